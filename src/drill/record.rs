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

    /// Every drill's folder with a record, oldest first.
    pub fn list(&self) -> Result<Vec<DrillFolder>, RecordError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("list", &self.dir, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let dir = entry.map_err(|source| failed("list", &self.dir, source))?.path();
            if dir.join(RECORD).exists() {
                found.push(DrillFolder { dir });
            }
        }
        found.sort_by_key(|folder| (folder.read().map_or(Timestamp::MAX, |record| record.began), folder.dir.clone()));
        Ok(found)
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

    /// What is known of it.
    pub fn read(&self) -> Result<DrillRecord, RecordError> {
        let path = self.dir.join(RECORD);
        let bytes = std::fs::read(&path).map_err(|source| failed("read", &path, source))?;
        serde_json::from_slice(&bytes).map_err(|error| failed("read", &path, error.into()))
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
