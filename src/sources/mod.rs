//! Where snapshots come from. One file and one line in [`SourceEntry`] for each.

mod folder;
mod newest;
mod ssh_folder;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use folder::Folder;
pub use newest::{PassedOver, Search, find_digest, newest};
pub use ssh_folder::SshFolder;

use crate::snapshot::Claims;

/// A place that snapshots are saved to, as the inventory names it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceEntry {
    /// A folder on the controller; a mounted share is one too.
    Folder(Folder),
    /// A folder on another host, over SSH.
    Ssh(Box<SshFolder>),
}

/// A place that snapshots are saved to.
#[async_trait]
pub trait SnapshotSource: std::fmt::Debug + Send + Sync {
    /// How messages name it.
    fn label(&self) -> String;

    /// All files that look like snapshots, in no order.
    async fn list(&self) -> Result<Vec<Candidate>, SourceError>;

    /// A path on the controller that holds the candidate whole: its own, or a verified copy under `cache`.
    async fn open(&self, candidate: &Candidate, cache: &Path, tell: &dyn Fn(u64, u64)) -> Result<PathBuf, SourceError>;
}

/// A file that looks like a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in the source; bytes that are not UTF-8 are kept.
    pub name: std::ffi::OsString,
    /// Its size in bytes.
    pub size: u64,
    /// When its data is from.
    pub taken: Timestamp,
    /// What that time was read from.
    pub time_from: TimeFrom,
}

/// What a snapshot's time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFrom {
    /// The file's name.
    Name,
    /// The file's modification time.
    File,
}

/// The snapshot of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chosen {
    /// The file's name in its source.
    pub name: String,
    /// The source.
    pub source: String,
    /// The whole file on the controller.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the whole file, hexadecimal.
    pub sha256: String,
    /// When its data is from.
    pub taken: Timestamp,
    /// What that time was read from.
    pub time_from: TimeFrom,
    /// What a control plane restored from it is compared with.
    pub claims: Claims,
}

/// A source that could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It could not be listed.
    #[error("could not list the snapshots in {source_label}: {reason}")]
    List {
        /// The source.
        source_label: String,
        /// Why.
        reason: String,
    },
    /// A file of it could not be read.
    #[error("could not read the snapshot `{name}` of {source_label}: {reason}")]
    Read {
        /// The source.
        source_label: String,
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// No file of any source is a valid snapshot.
    #[error("found no valid snapshot")]
    None {
        /// What was looked at, and why each was passed over.
        passed_over: Vec<PassedOver>,
    },
}
