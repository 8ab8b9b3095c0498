//! What a URL says: whose store it is, and where in it.

use std::ffi::OsStr;

use object_store::ObjectStoreScheme;
use object_store::path::Path;
use url::Url;

/// Whose store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, or a server that speaks its language.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// A web server.
    Http,
    /// This machine's own files.
    File,
}

/// A place in a store.
#[derive(Debug, Clone)]
pub struct Location {
    /// Whose store it is.
    pub provider: Provider,
    /// The whole URL.
    pub url: Url,
    /// The folder, or the file, within the store.
    pub path: Path,
    /// Whether it is one file, and not a folder.
    pub is_file: bool,
}

impl Location {
    /// Reads a URL; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
        let (scheme, path) = ObjectStoreScheme::parse(&url)
            .map_err(|_| format!("`{}` is not a kind of store that drctl knows", url.scheme()))?;
        let provider = match scheme {
            ObjectStoreScheme::AmazonS3 => Provider::S3,
            ObjectStoreScheme::GoogleCloudStorage => Provider::Gcs,
            ObjectStoreScheme::MicrosoftAzure => Provider::Azure,
            ObjectStoreScheme::Http => Provider::Http,
            ObjectStoreScheme::Local => Provider::File,
            _ => return Err(format!("`{}` is not a kind of store that drctl knows", url.scheme())),
        };
        // Azure's own URLs name the container before an `@`.
        let user = !url.username().is_empty() && provider != Provider::Azure;
        if user || url.password().is_some() {
            return Err("a URL must not hold credentials".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL must not have a query or a fragment: what signs it is a secret".to_owned());
        }
        let is_file = provider == Provider::Http && !url.path().ends_with('/');
        Ok(Self { provider, url, path, is_file })
    }

    /// Where a file of the folder is.
    pub(super) fn of(&self, name: &OsStr) -> Result<Path, String> {
        if self.is_file {
            return Ok(self.path.clone());
        }
        let shown = name.to_string_lossy();
        let whole = if self.path.is_root() { shown.into_owned() } else { format!("{}/{shown}", self.path) };
        Path::parse(whole).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_every_kind() {
        let cases = [
            ("s3://bucket/etcd/prod", Provider::S3, "etcd/prod", false),
            ("s3://bucket", Provider::S3, "", false),
            ("https://bucket.s3.eu-central-1.amazonaws.com/etcd/", Provider::S3, "etcd", false),
            ("gs://bucket/etcd", Provider::Gcs, "etcd", false),
            ("az://container/etcd", Provider::Azure, "etcd", false),
            ("abfss://container@account.dfs.core.windows.net/etcd", Provider::Azure, "etcd", false),
            ("https://dav.example.org/etcd/", Provider::Http, "etcd", false),
            ("https://www.example.org/etcd/newest.db", Provider::Http, "etcd/newest.db", true),
            ("file:///srv/etcd", Provider::File, "srv/etcd", false),
        ];
        for (text, provider, path, is_file) in cases {
            let found = Location::parse(text).unwrap();
            assert_eq!((found.provider, found.path.as_ref(), found.is_file), (provider, path, is_file), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        let cases = [
            ("bucket/etcd", "is not a URL"),
            ("ftp://host/etcd", "`ftp` is not a kind of store"),
            ("memory:///etcd", "`memory` is not a kind of store"),
            ("https://user:word@host/etcd/", "must not hold credentials"),
            ("s3://key@bucket/etcd", "must not hold credentials"),
            ("https://host/a.db?X-Amz-Signature=1", "must not have a query"),
        ];
        for (text, said) in cases {
            let error = Location::parse(text).unwrap_err();
            assert!(error.contains(said) && !error.contains("word"), "{text}: {error}");
        }
    }

    #[test]
    fn names_keep_their_colons() {
        let folder = Location::parse("s3://bucket/etcd").unwrap();
        let name = OsStr::new("etcd-snapshot-2018-05-24_21:54:03_UTC.db");
        assert_eq!(folder.of(name).unwrap().as_ref(), "etcd/etcd-snapshot-2018-05-24_21:54:03_UTC.db");
        assert!(folder.of(OsStr::new("../secret")).is_err());
    }
}
