//! Where snapshots come from. One file and one line in [`SourceEntry`] for each.

mod any_path;
mod cache;
mod catalog;
mod download;
mod folder;
mod newest;
mod object_store;
mod plain;
mod ssh_folder;
mod unfit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use cache::sweep;
pub use catalog::{Catalog, Gap, Listed};
pub use folder::Folder;
pub(crate) use folder::any_db;
pub use newest::{Opened, PassedOver, Search, newest, open, still_there};
pub use object_store::{Location, ObjectStore, Provider};
pub use plain::{Plain, Unpack};
pub(crate) use ssh_folder::RemoteFolder;
pub use ssh_folder::SshFolder;
pub use unfit::Unfit;

use crate::packing::Packing;
use crate::snapshot::{Claims, time_in_name};
use crate::text::Values;

/// A place that snapshots are saved to, as the inventory names it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceEntry {
    /// A folder on the controller; a mounted share is one too.
    Folder(Folder),
    /// A folder on another host, over SSH.
    Ssh(Box<SshFolder>),
    /// A place in an object store, or on a web server.
    ObjectStore(Box<ObjectStore>),
}

/// Is given the bytes that were fetched so far, and how many there are.
pub type Told = dyn Fn(u64, u64) + Send + Sync;

/// A place that snapshots are saved to.
#[async_trait]
pub trait SnapshotSource: std::fmt::Debug + Send + Sync {
    /// How messages name it.
    fn label(&self) -> String;

    /// All files that look like snapshots, in no order.
    async fn list(&self) -> Result<Listing, SourceError>;

    /// Where on the controller the candidate is whole: its own place, or a verified copy under `cache`.
    /// `tell` is given the bytes that are there and their total.
    async fn open(&self, candidate: &Candidate, cache: &Path, tell: &Told) -> Result<Here, SourceError>;
}

/// What a source holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files that look like snapshots.
    pub candidates: Vec<Candidate>,
    /// Names of files that may be snapshots, and why nothing can be said of them.
    pub unseen: Vec<(String, String)>,
}

impl From<Vec<Candidate>> for Listing {
    fn from(candidates: Vec<Candidate>) -> Self {
        Self { candidates, unseen: Vec::new() }
    }
}

/// A candidate on the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// The whole file.
    pub path: PathBuf,
    /// What drctl has to do with it.
    pub kind: HereKind,
}

/// Whose a file on the controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HereKind {
    /// The source's own: drctl only reads it.
    Own,
    /// A copy that was there already; a run that has not ended may need it.
    FoundCopy,
    /// A copy that was made just now.
    NewCopy,
}

impl Here {
    /// The path, when it is a copy.
    fn copy(&self) -> Option<PathBuf> {
        (self.kind != HereKind::Own).then(|| self.path.clone())
    }
}

/// A file that looks like a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in the source; bytes that are not UTF-8 are kept.
    pub name: OsString,
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last.
    pub modified: Timestamp,
    /// When its data is from.
    pub taken: Timestamp,
    /// What that time was read from.
    pub time_from: TimeFrom,
    /// What its content is told by, where the source has such a mark: an `ETag`.
    pub tag: Option<String>,
}

impl SourceEntry {
    /// How messages name it.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Folder(folder) => folder.label(),
            Self::Ssh(folder) => folder.label(),
            Self::ObjectStore(store) => store.label(),
        }
    }

    /// Which of its files are snapshots.
    pub(crate) fn pattern(&self) -> &str {
        match self {
            Self::Folder(folder) => &folder.pattern,
            Self::Ssh(folder) => &folder.pattern,
            Self::ObjectStore(store) => &store.pattern,
        }
    }

    /// Whether its files can be read where they are, without a copy of them.
    fn is_here(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// The source itself; nothing is asked of it yet.
    fn source(&self) -> Result<Arc<dyn SnapshotSource>, SourceError> {
        Ok(match self {
            Self::Folder(folder) => Arc::new(folder.clone()),
            Self::Ssh(folder) => Arc::new(folder.connect()?),
            Self::ObjectStore(store) => Arc::new((**store).clone()),
        })
    }
}

impl Candidate {
    fn new(name: OsString, size: u64, modified: Timestamp) -> Self {
        let (taken, time_from) =
            time_in_name(&name).map_or((modified, TimeFrom::File), |taken| (taken, TimeFrom::Name));
        Self { name, size, modified, taken, time_from, tag: None }
    }

    /// Its name for people.
    #[must_use]
    pub fn shown(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}

/// What a snapshot's time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[serde(with = "any_path")]
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
    /// What it was packed in at its source, outermost first; `path`, size and digest are of what was within.
    #[serde(default)]
    pub packed: Vec<Packing>,
    /// The copy of it that was fetched, when it is not on the controller.
    #[serde(default)]
    pub copy: Option<PathBuf>,
    /// Keeps what was unpacked for as long as this is known, and no longer.
    #[serde(skip)]
    pub plain: Option<Arc<Plain>>,
}

impl Chosen {
    /// What playbooks may refer to.
    pub const NAMES: &'static [&'static str] = &[
        "snapshot.name",
        "snapshot.path",
        "snapshot.source",
        "snapshot.sha256",
        "snapshot.size",
        "snapshot.taken",
        "snapshot.revision",
    ];

    /// What those names stand for.
    #[must_use]
    pub fn values(&self) -> Values {
        let values = [
            self.name.clone(),
            self.path.display().to_string(),
            self.source.clone(),
            self.sha256.clone(),
            self.size.to_string(),
            self.taken.to_string(),
            self.claims.revision.to_string(),
        ];
        Self::NAMES.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)).collect()
    }
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
    /// The way to it broke while a file of it was read, and was not mended in time.
    #[error("could not read the snapshot `{name}` of {source_label}: {reason}")]
    Lost {
        /// The source.
        source_label: String,
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// What opens encrypted snapshots cannot be had.
    #[error(
        "the snapshot `{name}` of {source_label} cannot be opened, and nor can any other that is encrypted: {reason}"
    )]
    NoIdentity {
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
