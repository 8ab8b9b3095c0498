//! The files of kubeadm's certificate authorities: which there are, where, and what is lost without the others.

use std::path::Path;

use super::{Pki, SecretRef};
use crate::text::Values;

/// The files that were looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PkiFiles {
    files: Vec<PkiFile>,
}

/// A file of a certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiFile {
    /// Its path under kubeadm's folder, such as `etcd/ca.key`.
    pub name: &'static str,
    /// Where it is taken from.
    pub source: SecretRef,
    /// Whether only root may read it.
    pub private: bool,
    /// Whether it is there; what a variable, a command or a person gives is taken to be.
    pub found: bool,
    /// Whether the inventory names it; otherwise its folder was searched.
    pub named: bool,
}

/// Every file, and what happens when kubeadm makes it anew; nothing is said of the root CA, which must be there.
const LOSSES: &[(&str, &str)] = &[
    ("ca.crt", ""),
    ("ca.key", ""),
    (
        "sa.pub",
        "every service-account token of the snapshot and of running pods is refused (401) until it is made anew",
    ),
    (
        "sa.key",
        "every service-account token of the snapshot and of running pods is refused (401) until it is made anew",
    ),
    ("front-proxy-ca.crt", "a new one is made; aggregated APIs such as metrics-server may need a restart"),
    ("front-proxy-ca.key", "a new one is made; aggregated APIs such as metrics-server may need a restart"),
    ("etcd/ca.crt", "a new one is made; clients of etcd outside of the cluster need new certificates"),
    ("etcd/ca.key", "a new one is made; clients of etcd outside of the cluster need new certificates"),
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
    ];

    /// Looks for the files that the inventory tells of.
    #[must_use]
    pub fn find(pki: &Pki) -> Self {
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
        ];
        let files = LOSSES.iter().zip(named).filter_map(|((name, _), own)| {
            let named = own.is_some();
            let source = own.or_else(|| Some(SecretRef::File(pki.dir.as_ref()?.join(name))))?;
            let found = source.path().is_none_or(Path::is_file);
            let private = Path::new(name).extension().is_some_and(|extension| extension == "key");
            Some(PkiFile { name, source, private, found, named })
        });
        Self { files: files.collect() }
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

    /// What playbooks may ask about: a value for each file that is there.
    #[must_use]
    pub fn values(&self) -> Values {
        let value = |file: &PkiFile| file.source.path().map_or("found".to_owned(), |path| path.display().to_string());
        self.found().map(|file| (format!("pki.{}", file.name.replace('/', ".")), value(file))).collect()
    }
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
        let files = PkiFiles::find(&pki);
        let found: Vec<_> = files.found().map(|file| (file.name, file.private, file.named)).collect();
        assert_eq!(found, [("ca.crt", false, false), ("ca.key", true, true), ("etcd/ca.key", true, false)]);
        assert_eq!(files.get("ca.key").map(|file| &file.source), Some(&SecretRef::Env("KEY".to_owned())));
        let missing: Vec<_> = files.missing().map(|(name, _)| name).collect();
        assert_eq!(missing, ["sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt"]);
        let values = files.values();
        assert_eq!(values.keys().collect::<Vec<_>>(), ["pki.ca.crt", "pki.ca.key", "pki.etcd.ca.key"]);
        assert_eq!(values["pki.ca.key"], "found");
    }

    #[test]
    fn every_value_has_its_name_and_is_a_name() {
        let names: Vec<_> = LOSSES.iter().map(|(name, _)| format!("pki.{}", name.replace('/', "."))).collect();
        assert_eq!(names, PkiFiles::VALUE_NAMES);
        assert!(names.iter().all(|name| crate::text::is_name(name)));
    }

    #[test]
    fn without_a_folder_nothing_is_found() {
        assert_eq!(PkiFiles::find(&Pki::default()).missing().count(), 6);
    }
}
