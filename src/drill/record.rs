//! What is known of each drill for as long as its folder lives: written before a target is made, and after it is gone.
//!
//! Whatever instant a drill ends at, its record says what it may have left, and its lock whether it still works.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::order::Order;
use super::providers::ProviderEntry;
use crate::durable::{self, PRIVATE};

/// The form of the records.
const FORMAT: u32 = 1;
const RECORD: &str = "drill.json";
const REPORT: &str = "report.json";
const LOCK: &str = "lock";

/// One drill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DrillRecord {
    /// The record's form.
    pub format: u32,
    /// What was asked for.
    pub order: Order,
    /// Of whom.
    pub provider: ProviderEntry,
    /// When.
    pub began: Timestamp,
    /// What has become of the target.
    pub target: TargetState,
}

/// What has become of a throwaway target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// It is about to be made; some of it may be there.
    Planned,
    /// It is there.
    Created,
    /// Nothing of it is left.
    Destroyed,
}

/// A drill that could not be written down or read.
#[derive(Debug, Error)]
#[error("could not {what} `{}`", path.display())]
pub struct RecordError {
    what: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// All drills of a controller.
#[derive(Debug, Clone)]
pub struct Drills {
    dir: PathBuf,
}

/// A drill's folder.
#[derive(Debug, Clone)]
pub struct DrillFolder {
    /// The folder.
    pub dir: PathBuf,
}

/// Held for as long as a process works on a drill.
#[derive(Debug)]
pub struct Working(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Drills {
    /// The drills under a state folder.
    pub fn new(state: &Path) -> Self {
        Self { dir: state.join("drills") }
    }

    /// The folder of their folders.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What drills share: unpacked roots.
    pub fn shared(&self) -> PathBuf {
        self.dir.join("shared")
    }

    /// Makes a drill's folder, which nobody else has, and takes its lock.
    pub fn begin(&self, id: &str) -> Result<(DrillFolder, Working), RecordError> {
        let dir = self.dir.join(id);
        durable::private_folder(&self.shared()).map_err(|source| failed("make the folder", &self.dir, source))?;
        durable::new_folder(&dir)
            .and_then(|()| durable::sync_name(&dir))
            .map_err(|source| failed("make the folder", &dir, source))?;
        let folder = DrillFolder { dir };
        match folder.lock()? {
            Some(working) => Ok((folder, working)),
            None => Err(failed("lock", &folder.dir, ErrorKind::WouldBlock.into())),
        }
    }

    /// Every drill's folder, oldest first; those without a record are last.
    pub fn list(&self) -> Result<Vec<DrillFolder>, RecordError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("list", &self.dir, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let dir = entry.map_err(|source| failed("list", &self.dir, source))?.path();
            if dir.join(RECORD).exists() || dir.join(LOCK).exists() {
                found.push(DrillFolder { dir });
            }
        }
        let began = |folder: &DrillFolder| folder.read().ok().flatten().map(|record| record.began);
        found.sort_by_key(|folder| (began(folder).unwrap_or(Timestamp::MAX), folder.dir.clone()));
        Ok(found)
    }

    /// Removes roots that drills began to make which nobody works on any more; which ones, and whether they are gone.
    pub fn sweep_roots(&self) -> Vec<(PathBuf, Result<(), RecordError>)> {
        let roots = self.shared().join(super::providers::ROOTS);
        let entries: Result<Vec<_>, _> = std::fs::read_dir(&roots).and_then(Iterator::collect);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(source) => return vec![(roots.clone(), Err(failed("list", &roots, source)))],
        };
        let mut swept = Vec::new();
        for path in entries.into_iter().map(|entry| entry.path()) {
            let Some(id) = path.file_stem().filter(|_| path.extension().is_some_and(|it| it == "new")) else {
                continue;
            };
            let drill = DrillFolder { dir: self.dir.join(id) };
            let working = if drill.dir.exists() { drill.lock().map(|lock| lock.is_none()) } else { Ok(false) };
            let removed = match working {
                Ok(true) => continue,
                Ok(false) => there(std::fs::remove_dir_all(&path)).map_err(|source| failed("remove", &path, source)),
                Err(error) => Err(error),
            };
            swept.push((path, removed));
        }
        swept
    }
}

impl DrillFolder {
    /// The drill's lock; `None` while another process works on it.
    pub fn lock(&self) -> Result<Option<Working>, RecordError> {
        let path = self.dir.join(LOCK);
        let file = File::create(&path).map_err(|source| failed("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Working(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
        }
    }

    /// Removes what was for the target alone: copies of snapshots, and the keys that led to it.
    pub fn clear(&self) -> Result<(), RecordError> {
        for name in ["snapshots", super::fault::DAMAGED] {
            let path = self.dir.join(name);
            there(std::fs::remove_dir_all(&path)).map_err(|source| failed("remove", &path, source))?;
        }
        for name in [super::order::IDENTITY, super::order::HOST_KEY] {
            let path = self.dir.join(name);
            there(std::fs::remove_file(&path)).map_err(|source| failed("remove", &path, source))?;
        }
        Ok(())
    }

    /// Removes all but the report of a drill that ended before its target was planned; whether there was anything.
    pub(super) fn discard(&self) -> Result<bool, RecordError> {
        if self.has_report() {
            self.clear()?;
            return Ok(false);
        }
        there(std::fs::remove_dir_all(&self.dir)).map_err(|source| failed("remove", &self.dir, source))?;
        Ok(true)
    }

    /// Whether it came to a verdict.
    pub fn has_report(&self) -> bool {
        self.dir.join(REPORT).exists()
    }

    /// What is known of it; nothing before its target is planned.
    pub fn read(&self) -> Result<Option<DrillRecord>, RecordError> {
        let path = self.dir.join(RECORD);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed("read", &path, error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Writes it down; it is durable when this returns.
    pub fn write(&self, record: &DrillRecord) -> Result<(), RecordError> {
        let path = self.dir.join(RECORD);
        serde_json::to_vec_pretty(record)
            .map_err(std::io::Error::from)
            .and_then(|bytes| durable::replace(&path, &bytes, PRIVATE))
            .map_err(|source| failed("write", &path, source))
    }
}

impl DrillRecord {
    /// A drill whose target is about to be made.
    pub fn planned(order: Order, provider: ProviderEntry, began: Timestamp) -> Self {
        Self { format: FORMAT, order, provider, began, target: TargetState::Planned }
    }
}

/// What is not there is as good as removed.
fn there(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> RecordError {
    RecordError { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_works_on_is_swept() {
        let state = tempfile::tempdir().unwrap();
        let drills = Drills::new(state.path());
        let begin = |id: &str| {
            let (folder, working) = drills.begin(id).unwrap();
            std::fs::create_dir(folder.dir.join("snapshots")).unwrap();
            let root = drills.shared().join("roots").join(format!("{id}.new"));
            std::fs::create_dir_all(root.join("etc")).unwrap();
            (folder, working, root)
        };
        let (_, _working, in_work) = begin("works");
        let (killed, lock, killed_root) = begin("killed");
        drop(lock);
        let (told, lock, _) = begin("told");
        drop(lock);
        std::fs::write(told.dir.join(REPORT), "{}").unwrap();
        let whole = drills.shared().join("roots/bookworm-1f");
        std::fs::create_dir(&whole).unwrap();
        let foreign = drills.dir().join("notes");
        std::fs::create_dir(&foreign).unwrap();

        let listed: Vec<PathBuf> = drills.list().unwrap().into_iter().map(|folder| folder.dir).collect();
        assert_eq!(listed, ["killed", "told", "works"].map(|id| drills.dir().join(id)));
        assert_eq!((killed.discard().unwrap(), killed.dir.exists()), (true, false));
        assert!(!told.discard().unwrap() && told.has_report() && !told.dir.join("snapshots").exists());
        let swept = drills.sweep_roots().into_iter();
        let mut swept: Vec<PathBuf> = swept.map(|(root, removed)| (removed.unwrap(), root).1).collect();
        swept.sort();
        assert_eq!(swept, ["killed.new", "told.new"].map(|name| drills.shared().join("roots").join(name)));
        assert!(in_work.exists() && whole.exists() && foreign.exists() && !killed_root.exists());
    }
}
