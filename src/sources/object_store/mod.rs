//! Object stores and web servers: S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage, HTTP(S).

mod aws_files;
mod connect;
mod fetch;
mod location;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use self::connect::Connection;
use self::fetch::Object;
use super::download::{Download, DownloadError, Downloaded};
use super::folder::any_db;
use super::{Candidate, Here, Listing, SnapshotSource, SourceError, Told};
use crate::inventory::{Secret, SecretRef, Span};
use crate::snapshot::fits;

pub use location::{Location, Provider};

/// How long listing may take in all, however many tries that is.
const LISTING: Duration = Duration::from_mins(2);
/// How often an object that keeps changing is begun anew.
const CHANGES: u32 = 3;

/// A place in an object store, or on a web server. Credentials are the provider's own: environment variables and files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectStore {
    /// `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`; `https://HOST/FOLDER/` of a `WebDAV` server,
    /// `https://HOST/FILE` of any web server; `file:///FOLDER`.
    pub url: String,
    /// Which of its objects are snapshots: `*` stands for any characters, `?` for one (default `*.db`).
    #[serde(default = "any_db")]
    pub pattern: String,
    /// The server's own URL, when it is not the provider's: `MinIO`, Ceph and their like.
    pub endpoint: Option<String>,
    /// The region of an S3 bucket (default: `AWS_REGION`, the profile's, or `us-east-1`).
    pub region: Option<String>,
    /// Whether `http://` is allowed, which shows snapshots to whoever listens (default: no).
    #[serde(default)]
    pub allow_http: bool,
    /// Certificates of authorities (PEM) that are trusted besides the system's.
    pub ca_crt: Option<PathBuf>,
    /// What a web server is sent as `Authorization`, such as `Basic …` or `Bearer …`.
    pub authorization: Option<SecretRef>,
    /// How long a server that went away is tried again in the middle of a download (default `5m`).
    #[serde(default = "five_minutes")]
    pub reconnect_for: Span,
}

fn five_minutes() -> Span {
    Span::from_secs(300)
}

#[async_trait]
impl SnapshotSource for ObjectStore {
    fn label(&self) -> String {
        self.url.clone()
    }

    async fn list(&self) -> Result<Listing, SourceError> {
        let failed = |reason: String| SourceError::List { source_label: self.label(), reason };
        match tokio::time::timeout(LISTING, self.find()).await {
            Ok(found) => found.map(Listing::from).map_err(failed),
            Err(_) => Err(failed(format!("no answer within {} s", LISTING.as_secs()))),
        }
    }

    async fn open(&self, candidate: &Candidate, cache: &Path, tell: &Told) -> Result<Here, SourceError> {
        self.download(candidate, cache, tell).await.map_err(|error| error.of(self.label(), candidate))
    }
}

impl ObjectStore {
    async fn find(&self) -> Result<Vec<Candidate>, String> {
        let connection = self.connect().await?;
        let Location { path, is_file, .. } = &connection.location;
        let objects = if *is_file {
            vec![connection.store.head(path).await.map_err(|error| connection.explain(&error))?]
        } else {
            let prefix = (!path.is_root()).then_some(path);
            connection.store.list_with_delimiter(prefix).await.map_err(|error| connection.explain(&error))?.objects
        };
        let wanted = |candidate: &Candidate| *is_file || fits(&self.pattern, &candidate.name);
        Ok(objects.iter().filter_map(candidate).filter(wanted).collect())
    }

    /// What changes on the way is begun anew, as what it has become.
    async fn download(&self, listed: &Candidate, cache: &Path, tell: &Told) -> Result<Here, DownloadError> {
        let connection = self.connect().await.map_err(DownloadError::Lost)?;
        let location = connection.location.of(&listed.name)?;
        let mut candidate = listed.clone();
        for _ in 0..CHANGES {
            let source = self.label();
            let reconnect_for = self.reconnect_for.duration();
            let download = Download { cache, source: &source, candidate: &candidate, reconnect_for, tell };
            let object = Object { connection: &connection, location: &location, candidate: &candidate };
            match download.run(&object).await? {
                Downloaded::Whole(here) => return Ok(here),
                Downloaded::Changed => {
                    let now = connection.store.head(&location).await.map_err(|error| connection.explain(&error))?;
                    candidate = candidate_of(&now, &listed.name);
                }
            }
        }
        Err(format!("it changed {CHANGES} times while it was fetched; is it still being written?").into())
    }

    /// A small file beside the snapshots, or below them; `None` when it is not there.
    pub(crate) async fn read(&self, name: &str, limit: u64) -> Result<Option<Secret>, String> {
        let connection = self.connect().await?;
        let location = connection.location.of(name.as_ref())?;
        let reading = async {
            let found = match connection.store.get(&location).await {
                Err(::object_store::Error::NotFound { .. }) if !connection.lacks_bucket().await => return Ok(None),
                found => found.map_err(|error| connection.explain(&error))?,
            };
            if found.meta.size > limit {
                return Err(format!("`{name}` has {} bytes; {limit} are allowed", found.meta.size));
            }
            let bytes = found.bytes().await.map_err(|error| connection.explain(&error))?;
            Ok(Some(Secret::new(bytes.to_vec())))
        };
        match tokio::time::timeout(LISTING, reading).await {
            Ok(read) => read,
            Err(_) => Err(format!("no answer within {} s", LISTING.as_secs())),
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        Connection::to(self).await
    }
}

/// Objects without a name are markers of folders.
fn candidate(object: &ObjectMeta) -> Option<Candidate> {
    object.location.filename().map(|name| candidate_of(object, name.as_ref()))
}

fn candidate_of(object: &ObjectMeta, name: &std::ffi::OsStr) -> Candidate {
    let modified = Timestamp::from_millisecond(object.last_modified.timestamp_millis());
    let candidate = Candidate::new(name.to_owned(), object.size, modified.unwrap_or(Timestamp::UNIX_EPOCH));
    Candidate { tag: object.e_tag.as_deref().map(quoted), ..candidate }
}

/// An `ETag` has quotes, which some servers forget in one of their answers.
fn quoted(tag: &str) -> String {
    if tag.ends_with('"') { tag.to_owned() } else { format!("\"{tag}\"") }
}
