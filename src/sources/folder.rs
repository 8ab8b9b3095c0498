//! A folder on the controller.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Candidate, Here, HereKind, Listing, SnapshotSource, SourceError, Told};
use crate::snapshot::fits;

/// A share whose server is gone keeps its readers waiting for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder on the controller; a mounted share is one too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The folder that snapshots are saved to; those in folders below it are not seen.
    pub path: PathBuf,
    /// Which of its files are snapshots: `*` stands for any characters, `?` for one (default `*.db`).
    #[serde(default = "any_db")]
    pub pattern: String,
}

pub(crate) fn any_db() -> String {
    "*.db".to_owned()
}

#[async_trait]
impl SnapshotSource for Folder {
    fn label(&self) -> String {
        format!("the folder {}", self.path.display())
    }

    async fn list(&self) -> Result<Listing, SourceError> {
        let failed = |reason: String| SourceError::List { source_label: self.label(), reason };
        let folder = self.clone();
        match impatiently(move || folder.read()).await {
            Ok(listing) => listing.map_err(|error| failed(error.to_string())),
            Err(silence) => Err(failed(silence)),
        }
    }

    async fn open(&self, candidate: &Candidate, _: &Path, _: &Told) -> Result<Here, SourceError> {
        let path = self.path.join(&candidate.name);
        let begun = path.clone();
        let begins = impatiently(move || std::fs::File::open(begun)?.read(&mut [0; 64])).await;
        let (source_label, name) = (self.label(), candidate.shown());
        match begins {
            Ok(Ok(_)) => Ok(Here { path, kind: HereKind::Own }),
            Ok(Err(error)) => Err(SourceError::Read { source_label, name, reason: error.to_string() }),
            Err(reason) => Err(SourceError::Lost { source_label, name, reason }),
        }
    }
}

/// Asks the file system, which may never answer: that is the error then. A thread of its own: the runtime would wait for
/// one of its own at the end.
async fn impatiently<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    // Nobody listens any more when it answers too late.
    std::thread::spawn(move || drop(tell.send(ask())));
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err("the thread that asked for it died".to_owned()),
        Err(_) => Err(format!("no answer within {} s; is its server there?", PATIENCE.as_secs())),
    }
}

impl Folder {
    /// What nothing can be learnt of hides none of the others.
    fn read(&self) -> std::io::Result<Listing> {
        let mut found = Listing::default();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if !fits(&self.pattern, &name) {
                continue;
            }
            match looks_like_snapshot(&entry.path(), &name) {
                Ok(candidate) => found.candidates.extend(candidate),
                Err(error) => found.unseen.push((name.to_string_lossy().into_owned(), error.to_string())),
            }
        }
        Ok(found)
    }
}

/// A file, or a link to one; what vanished since the folder was listed is none.
fn looks_like_snapshot(path: &Path, name: &OsStr) -> std::io::Result<Option<Candidate>> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let modified = Timestamp::try_from(metadata.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Some(Candidate::new(name.to_owned(), metadata.len(), modified)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;
    use crate::sources::TimeFrom;

    fn names(pattern: &str, folder: &Path) -> Vec<Vec<u8>> {
        let source = Folder { path: folder.to_owned(), pattern: pattern.to_owned() };
        let mut names: Vec<_> =
            source.read().unwrap().candidates.iter().map(|found| found.name.as_bytes().to_vec()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_that_fit_are_listed_whatever_their_names_are_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
        let mapped = "etcd-snapshot-2018-05-24_21\u{F022}54\u{F022}03_UTC.db".as_bytes();
        for name in [b"a.db".as_slice(), b"b-\xff.db", mapped, b"c.db.part", b"notes.txt", b".hidden.db"] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::create_dir(at(b"folder.db")).unwrap();
        std::os::unix::fs::symlink("a.db", at(b"link.db")).unwrap();
        std::os::unix::fs::symlink("nowhere", at(b"dangling.db")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(at(b"socket.db")).unwrap();
        assert_eq!(names("*.db", folder.path()), [b"a.db".as_slice(), b"b-\xff.db", mapped, b"link.db"]);
        assert_eq!(names("etcd-*_21:54:??_UTC.db", folder.path()), [mapped]);
        drop(socket);
    }

    #[test]
    fn the_time_in_the_name_counts_before_the_files() {
        let modified = Timestamp::from_second(1_600_000_000).unwrap();
        let named = Candidate::new("etcd-snapshot-2018-05-24_21:54:03_UTC.db".into(), 1, modified);
        assert_eq!((named.taken, named.time_from), ("2018-05-24T21:54:03Z".parse().unwrap(), TimeFrom::Name));
        let unnamed = Candidate::new("snapshot.db".into(), 1, modified);
        assert_eq!((unnamed.taken, unnamed.time_from), (modified, TimeFrom::File));
    }

    #[test]
    fn what_cannot_be_looked_at_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), "x").unwrap();
        std::os::unix::fs::symlink("loop.db", folder.path().join("loop.db")).unwrap();
        let listing = Folder { path: folder.path().to_owned(), pattern: any_db() }.read().unwrap();
        assert_eq!(listing.candidates.iter().map(Candidate::shown).collect::<Vec<_>>(), ["a.db"]);
        let [(name, reason)] = listing.unseen.as_slice() else { panic!("{listing:?}") };
        assert!(name == "loop.db" && reason.contains("symbolic links"), "{reason}");
    }

    #[tokio::test]
    async fn a_missing_folder_is_told() {
        let source = Folder { path: "/no/such/folder".into(), pattern: any_db() };
        let error = source.list().await.unwrap_err().to_string();
        assert!(
            error.starts_with("could not list the snapshots in the folder /no/such/folder: No such file"),
            "{error}"
        );
    }
}
