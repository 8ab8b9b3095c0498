//! The files of kubeadm's certificate authorities: which there are, where, and what is lost without the others.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Pki, Secret, SecretError, SecretRef};
use crate::text::Values;

/// The files that were looked for.
#[derive(Debug, Clone, Default)]
pub struct PkiFiles {
    files: Vec<PkiFile>,
    failed: Option<String>,
}

/// A file of a certificate authority.
#[derive(Debug, Clone)]
pub struct PkiFile {
    /// Its path under kubeadm's folder, such as `etcd/ca.key`.
    pub name: &'static str,
    /// Where it is taken from.
    pub source: PkiSource,
    /// Whether only root may read it.
    pub private: bool,
    /// Whether it is there; what a variable, a command or a person gives is taken to be.
    pub found: bool,
    /// Whether the inventory names it; otherwise its folder was searched.
    pub named: bool,
}

/// Where a file is taken from.
#[derive(Debug, Clone)]
pub enum PkiSource {
    /// From the controller, when it is needed.
    Here(SecretRef),
    /// From elsewhere: it was fetched, and is held in memory.
    Held {
        /// Where it was fetched from, for messages.
        from: String,
        /// Its content; `None` when it is not there.
        content: Option<Secret>,
    },
}

/// What was fetched of a set that is not on the controller.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where from, for messages.
    pub from: String,
    /// The files by kubeadm's names, or why none could be fetched.
    pub files: Result<BTreeMap<&'static str, Secret>, String>,
}

impl PkiSource {
    /// The file on the controller, when it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Here(secret) => secret.path(),
            Self::Held { .. } => None,
        }
    }

    /// Mode bits that let others read the file.
    #[must_use]
    pub fn too_open(&self) -> Option<u32> {
        match self {
            Self::Here(secret) => secret.too_open(),
            Self::Held { .. } => None,
        }
    }

    /// Its bytes.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Here(secret) => secret.read().await,
            Self::Held { content: Some(secret), .. } => Ok(secret.clone()),
            Self::Held { from, content: None } => Err(SecretError::NotThere { place: from.clone() }),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Here(secret) => secret.path().is_none_or(may_be_file),
            Self::Held { content, .. } => content.is_some(),
        }
    }
}

/// One in a folder that nobody may look into counts as there: reading it tells why not.
fn may_be_file(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// What opens the snapshot's encrypted objects.
pub const ENCRYPTION_CONFIG: &str = "encryption-config.yaml";

const TOKENS: &str =
    "every service-account token of the snapshot and of running pods is refused (401) until it is made anew";
const AGGREGATION: &str = "a new one is made; aggregated APIs such as metrics-server may need a restart";
const ETCD_CLIENTS: &str = "a new one is made; clients of etcd outside of the cluster need new certificates";

/// Every file, and what happens when kubeadm makes it anew. Nothing is said of the root CA, which must be there, nor of
/// what opens encrypted objects: only the snapshot tells whether there are any.
const LOSSES: &[(&str, &str)] = &[
    ("ca.crt", ""),
    ("ca.key", ""),
    ("sa.pub", TOKENS),
    ("sa.key", TOKENS),
    ("front-proxy-ca.crt", AGGREGATION),
    ("front-proxy-ca.key", AGGREGATION),
    ("etcd/ca.crt", ETCD_CLIENTS),
    ("etcd/ca.key", ETCD_CLIENTS),
    (ENCRYPTION_CONFIG, ""),
];

impl PkiFiles {
    /// What playbooks call the files: `pki.` and the name, with dots for slashes.
    pub const VALUE_NAMES: &'static [&'static str] = &[
        "pki.ca.crt",
        "pki.ca.key",
        "pki.sa.pub",
        "pki.sa.key",
        "pki.front-proxy-ca.crt",
        "pki.front-proxy-ca.key",
        "pki.etcd.ca.crt",
        "pki.etcd.ca.key",
        "pki.encryption-config",
    ];

    /// The names of all files of a set.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LOSSES.iter().map(|(name, _)| *name)
    }

    /// Looks for the files that the inventory tells of; `fetched` is what was brought from elsewhere.
    #[must_use]
    pub fn find(pki: &Pki, fetched: Option<&Fetched>) -> Self {
        let file = |path: &Option<std::path::PathBuf>| path.clone().map(SecretRef::File);
        let named = [
            file(&pki.ca_crt),
            pki.ca_key.clone(),
            file(&pki.sa_pub),
            pki.sa_key.clone(),
            file(&pki.front_proxy_ca_crt),
            pki.front_proxy_ca_key.clone(),
            file(&pki.etcd_ca_crt),
            pki.etcd_ca_key.clone(),
            pki.encryption_config.clone(),
        ];
        let files = LOSSES.iter().zip(named).filter_map(|((name, _), own)| {
            let named = own.is_some();
            let source = own.map(PkiSource::Here).or_else(|| elsewhere(pki, fetched, name))?;
            let secret = |extension: &std::ffi::OsStr| extension == "key" || extension == "yaml";
            let private = Path::new(name).extension().is_some_and(secret);
            let found = source.is_there();
            Some(PkiFile { name, source, private, found, named })
        });
        let failed = fetched.and_then(|fetched| Some(format!("{}: {}", fetched.from, fetched.files.as_ref().err()?)));
        Self { files: files.collect(), failed }
    }

    /// Why the place that the files should be fetched from gave none.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// The file of this name, wherever it should be.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PkiFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Those that are there.
    pub fn found(&self) -> impl Iterator<Item = &PkiFile> {
        self.files.iter().filter(|file| file.found)
    }

    /// Those that are not, with what is lost without each. The root CA is not among them: nothing goes without it.
    pub fn missing(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let there = |name: &str| self.get(name).is_some_and(|file| file.found);
        LOSSES.iter().filter(move |(name, loss)| !loss.is_empty() && !there(name)).copied()
    }

    /// What playbooks may ask about: a value for each file that is there, but for what opens encrypted objects.
    #[must_use]
    pub fn values(&self) -> Values {
        let value = |file: &PkiFile| file.source.path().map_or("found".to_owned(), |path| path.display().to_string());
        let certificates = self.found().filter(|file| file.name != ENCRYPTION_CONFIG);
        certificates.map(|file| (format!("pki.{}", file.name.replace('/', ".")), value(file))).collect()
    }
}

/// In the folder of the controller, or among what was fetched.
fn elsewhere(pki: &Pki, fetched: Option<&Fetched>, name: &str) -> Option<PkiSource> {
    if let Some(folder) = &pki.dir {
        return Some(PkiSource::Here(SecretRef::File(folder.join(name))));
    }
    let Fetched { from, files } = fetched?;
    let content = files.as_ref().ok()?.get(name).cloned();
    Some(PkiSource::Held { from: from.clone(), content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etcd")).unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn files_win_over_the_folder_and_the_rest_is_missing() {
        let folder = folder(&["ca.crt", "ca.key", "etcd/ca.key"]);
        let pki = Pki {
            dir: Some(folder.path().to_owned()),
            ca_key: Some(SecretRef::Env("KEY".to_owned())),
            sa_pub: Some("/no/such/sa.pub".into()),
            ..Pki::default()
        };
        let files = PkiFiles::find(&pki, None);
        let found: Vec<_> = files.found().map(|file| (file.name, file.private, file.named)).collect();
        assert_eq!(found, [("ca.crt", false, false), ("ca.key", true, true), ("etcd/ca.key", true, false)]);
        assert!(matches!(&files.get("ca.key").unwrap().source, PkiSource::Here(SecretRef::Env(name)) if name == "KEY"));
        let missing: Vec<_> = files.missing().map(|(name, _)| name).collect();
        assert_eq!(missing, ["sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt"]);
        let values = files.values();
        assert_eq!(values.keys().collect::<Vec<_>>(), ["pki.ca.crt", "pki.ca.key", "pki.etcd.ca.key"]);
        assert_eq!(values["pki.ca.key"], "found");
    }

    #[test]
    fn every_value_has_its_name_and_is_a_name() {
        let names: Vec<_> = LOSSES
            .iter()
            .map(|(name, _)| format!("pki.{}", name.replace('/', ".").trim_end_matches(".yaml")))
            .collect();
        assert_eq!(names, PkiFiles::VALUE_NAMES);
        assert!(names.iter().all(|name| crate::text::is_name(name)));
    }

    #[test]
    fn without_a_folder_nothing_is_found() {
        assert_eq!(PkiFiles::find(&Pki::default(), None).missing().count(), 6);
    }

    #[test]
    fn what_was_fetched_stands_for_a_folder_and_single_files_win() {
        let files = [("ca.crt", Secret::new(b"c".to_vec())), ("ca.key", Secret::new(b"k".to_vec()))].into();
        let fetched = Fetched { from: "there".to_owned(), files: Ok(files) };
        let pki = Pki { ca_key: Some(SecretRef::Env("KEY".to_owned())), ..Pki::default() };
        let files = PkiFiles::find(&pki, Some(&fetched));
        let found: Vec<_> = files.found().map(|file| (file.name, file.named)).collect();
        assert_eq!(found, [("ca.crt", false), ("ca.key", true)]);
        assert_eq!(files.values()["pki.ca.crt"], "found");
        assert!(files.failed().is_none() && !format!("{files:?}").contains("99"));

        let fetched = Fetched { from: "there".to_owned(), files: Err("gone".to_owned()) };
        let files = PkiFiles::find(&Pki::default(), Some(&fetched));
        assert_eq!((files.found().count(), files.failed()), (0, Some("there: gone")));
    }
}
