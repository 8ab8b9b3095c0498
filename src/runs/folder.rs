//! One run's folder: its journal, and what it froze.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::disk::{io, write_new};
use super::{Frozen, RunsError, Seen};
use crate::event::RunHeader;
use crate::hex::hex;
use crate::journal::{self, Journal, JournalError, Record, RunState};
use crate::sources::Chosen;

/// One run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The run's id, which is the folder's name.
    pub id: String,
    pub(super) dir: PathBuf,
}

/// A run whose journal is open, with what it froze, all of it as it was when the run began.
#[derive(Debug)]
pub struct Opened {
    /// The journal; no other process has it open.
    pub journal: Journal,
    /// What it says.
    pub state: RunState,
    /// The frozen inventory's text.
    pub inventory: String,
    /// The frozen playbook's text.
    pub playbook: String,
    /// The frozen snapshot.
    pub snapshot: Chosen,
}

const INVENTORY: &str = "inventory.toml";
const PLAYBOOK: &str = "playbook.toml";
const SNAPSHOT: &str = "snapshot.json";
const SEEN: &str = "seen.json";

impl RunFolder {
    /// A folder with a journal. Without one it was left by a process that died before its run began.
    pub(super) fn at(dir: PathBuf, id: String) -> Option<Self> {
        let folder = Self { id, dir };
        match folder.journal().symlink_metadata() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            // What cannot be looked at is told when it is read.
            Ok(_) | Err(_) => Some(folder),
        }
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal.ndjson")
    }

    /// The run's own folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// SHA-256 of the journal's file as it stands, in hexadecimal.
    pub fn journal_sha256(&self) -> Result<String, RunsError> {
        let path = self.journal();
        std::fs::read(&path).map(|bytes| hex_digest(&bytes)).map_err(|source| io("read", &path, source))
    }

    /// Keeps what was seen before the run began.
    pub fn keep_seen(&self, seen: &Seen) -> Result<(), RunsError> {
        let path = self.dir.join(SEEN);
        let text = serde_json::to_vec_pretty(seen).map_err(|error| io("write", &path, error.into()))?;
        write_new(&path, &text)
    }

    /// What was seen before the run began; nothing when an earlier drctl began it.
    pub fn seen(&self) -> Result<Option<Seen>, RunsError> {
        let path = self.dir.join(SEEN);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| io("read", &path, error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io("read", &path, source)),
        }
    }

    /// What the journal says.
    pub fn read(&self) -> Result<(RunState, Vec<Record>), JournalError> {
        let (state, records) = journal::read(&self.journal())?;
        self.own(&state.header)?;
        Ok((state, records))
    }

    /// Opens the journal to go on with it, and reads what the run froze.
    pub fn open(&self) -> Result<Opened, RunsError> {
        let (journal, records) = Journal::open(&self.journal())?;
        let state = RunState::replay(&self.journal(), &records)?;
        let header = &state.header;
        self.own(header)?;
        let inventory = self.inventory(header)?;
        let playbook = self.frozen(PLAYBOOK, Some(&header.playbook_sha256))?;
        let snapshot = self.snapshot(header)?;
        Ok(Opened { journal, state, inventory, playbook, snapshot })
    }

    /// Writes what the run froze; the digest of the snapshot's file.
    pub(super) fn freeze(&self, frozen: &Frozen<'_>) -> Result<String, RunsError> {
        write_new(&self.dir.join(INVENTORY), frozen.inventory.as_bytes())?;
        write_new(&self.dir.join(PLAYBOOK), frozen.playbook.as_bytes())?;
        let path = self.dir.join(SNAPSHOT);
        let snapshot = serde_json::to_vec_pretty(frozen.snapshot).map_err(|error| io("write", &path, error.into()))?;
        write_new(&path, &snapshot)?;
        Ok(hex_digest(&snapshot))
    }

    /// Takes a run away that never touched anything.
    pub fn forget(&self) -> Result<(), RunsError> {
        std::fs::remove_dir_all(&self.dir).map_err(|source| io("remove", &self.dir, source))
    }

    /// When it began, as far as that can be told: an unreadable journal counts as young as it may be, so that no older
    /// run is mistaken for the newest.
    pub(super) fn started(&self) -> Timestamp {
        let begun = self.read().ok().and_then(|(_, records)| records.first().map(|record| record.at));
        begun.unwrap_or_else(|| {
            let written = self.journal().symlink_metadata().and_then(|about| about.modified()).ok();
            let written = written.and_then(|time| Timestamp::try_from(time).ok());
            written.max(time_in_id(&self.id)).unwrap_or(Timestamp::MAX)
        })
    }

    /// A run's folder on the target and its lock have the name of this folder: it must be the run's own.
    fn own(&self, header: &RunHeader) -> Result<(), JournalError> {
        if header.run == self.id {
            return Ok(());
        }
        Err(JournalError::OtherRun { path: self.journal(), found: header.run.clone() })
    }

    /// The frozen inventory's text.
    pub fn inventory(&self, header: &RunHeader) -> Result<String, RunsError> {
        self.frozen(INVENTORY, Some(&header.inventory_sha256))
    }

    /// The frozen snapshot.
    pub fn snapshot(&self, header: &RunHeader) -> Result<Chosen, RunsError> {
        let text = self.frozen(SNAPSHOT, header.snapshot_json_sha256.as_deref())?;
        let differs = |reason: String| RunsError::Frozen { path: self.dir.join(SNAPSHOT), reason };
        let chosen: Chosen = serde_json::from_str(&text).map_err(|error| differs(error.to_string()))?;
        if chosen.sha256 != header.snapshot.sha256 {
            return Err(differs(format!(
                "it names the snapshot with SHA-256 {}, the journal that with {}",
                chosen.sha256, header.snapshot.sha256
            )));
        }
        Ok(chosen)
    }

    /// A frozen text, which must have the digest that the journal has of it.
    fn frozen(&self, name: &str, sha256: Option<&str>) -> Result<String, RunsError> {
        let path = self.dir.join(name);
        let bytes = std::fs::read(&path).map_err(|source| io("read", &path, source))?;
        let found = hex_digest(&bytes);
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            let reason = format!("its SHA-256 is {found}, the journal has {expected}");
            return Err(RunsError::Frozen { path, reason });
        }
        String::from_utf8(bytes).map_err(|error| RunsError::Frozen { path, reason: error.to_string() })
    }
}

/// The time that is part of every id.
fn time_in_id(id: &str) -> Option<Timestamp> {
    let time = id.rsplit('-').nth(1)?;
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
