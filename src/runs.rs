//! The folder of runs on the controller: each with its journal and the texts it froze.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

use crate::event::{Event, RunHeader};
use crate::journal::{self, Journal, JournalError, Record, RunState};
use crate::sources::Chosen;

/// All runs of a controller.
#[derive(Debug, Clone)]
pub struct Runs {
    dir: PathBuf,
}

/// One run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The run's id, which is the folder's name.
    pub id: String,
    dir: PathBuf,
}

/// What a run froze besides its journal.
#[derive(Debug)]
pub struct Frozen<'a> {
    /// The inventory's text.
    pub inventory: &'a str,
    /// The playbook's text.
    pub playbook: &'a str,
    /// The snapshot, with all that it says of itself.
    pub snapshot: &'a Chosen,
}

/// A run that could not be found, read or begun.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunsError {
    /// The file system said no.
    #[error("could not {what} `{}`", path.display())]
    Io {
        /// The deed.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No run has this id.
    #[error("no run here is called `{id}`")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// Several runs begin so.
    #[error("`{id}` may be any of {}", among.join(", "))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// The runs that begin so.
        among: Vec<String>,
    },
    /// No run is to be taken up.
    #[error("no unfinished run of this controller is to be {what}")]
    NoneOpen {
        /// `resumed` or `rolled back`.
        what: &'static str,
    },
}

impl Runs {
    /// The runs under a state folder.
    pub fn new(state: &Path) -> Self {
        Self { dir: state.join("runs") }
    }

    /// `$XDG_STATE_HOME/drctl`, else `~/.local/state/drctl`.
    pub fn default_state() -> PathBuf {
        let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join(".local/state");
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        state.unwrap_or_else(home).join("drctl")
    }

    /// An id that nobody has: cluster, time, and two random bytes.
    pub fn new_id(cluster: &str, now: Timestamp) -> Result<String, RunsError> {
        Ok(format!("{cluster}-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), random_hex::<2>()?))
    }

    /// How a target's lock names this controller: its host and this folder, for ever.
    ///
    /// Not the process: whoever has a run's journal open here is its only process, so a lock of the same run and the
    /// same folder is its own, left by one that died.
    pub fn controller(&self) -> Result<String, RunsError> {
        let path = self.dir.join("controller");
        private_folder(&self.dir)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        match write_new(&path, format!("{host}-{}", random_hex::<4>()?).as_bytes()) {
            Err(RunsError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {}
            written => written?,
        }
        std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))
    }

    /// Begins a run: its texts first, then the journal with its first record.
    pub fn begin(&self, header: RunHeader, frozen: &Frozen<'_>) -> Result<(RunFolder, Journal, Record), RunsError> {
        let folder = RunFolder { dir: self.dir.join(&header.run), id: header.run.clone() };
        private_folder(&self.dir)?;
        private_folder(&folder.dir)?;
        write_new(&folder.dir.join("inventory.toml"), frozen.inventory.as_bytes())?;
        write_new(&folder.dir.join("playbook.toml"), frozen.playbook.as_bytes())?;
        let snapshot = serde_json::to_vec_pretty(frozen.snapshot).map_err(|error| RunsError::Io {
            what: "write",
            path: folder.dir.join("snapshot.json"),
            source: error.into(),
        })?;
        write_new(&folder.dir.join("snapshot.json"), &snapshot)?;
        let mut journal = Journal::create(&folder.journal())?;
        let record = journal.append(Event::RunStarted(Box::new(header)))?;
        Ok((folder, journal, record))
    }

    /// Every run's folder, oldest first.
    pub fn list(&self) -> Result<Vec<RunFolder>, RunsError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io("list", &self.dir, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| io("list", &self.dir, source))?;
            if let Ok(id) = entry.file_name().into_string()
                && entry.path().join("journal.ndjson").exists()
            {
                found.push(RunFolder { id, dir: entry.path() });
            }
        }
        found.sort_by_key(|run| (run.started(), run.id.clone()));
        Ok(found)
    }

    /// The run of this id, or of which this is the only beginning.
    pub fn find(&self, id: &str) -> Result<RunFolder, RunsError> {
        let mut found: Vec<_> = self.list()?.into_iter().filter(|run| run.id.starts_with(id)).collect();
        if let Some(exact) = found.iter().position(|run| run.id == id) {
            return Ok(found.swap_remove(exact));
        }
        match found.len() {
            0 => Err(RunsError::Unknown { id: id.to_owned() }),
            1 => Ok(found.swap_remove(0)),
            _ => Err(RunsError::Ambiguous { id: id.to_owned(), among: found.into_iter().map(|run| run.id).collect() }),
        }
    }

    /// The files on the controller that runs which have not ended would go on with.
    pub fn snapshots_in_use(&self) -> Result<Vec<PathBuf>, RunsError> {
        let mut used = Vec::new();
        for run in self.list()? {
            // A journal that cannot be read may be of a run that goes on once it is mended.
            if run.read().is_ok_and(|(state, _)| state.ending.is_some()) {
                continue;
            }
            let Chosen { path, copy, .. } = run.snapshot()?;
            used.extend(copy.into_iter().chain([path]));
        }
        Ok(used)
    }

    /// The newest run that has not ended; damaged journals are passed over.
    pub fn newest_open(&self, what: &'static str) -> Result<RunFolder, RunsError> {
        let open = |run: &RunFolder| run.read().is_ok_and(|(state, _)| state.ending.is_none());
        self.list()?.into_iter().rev().find(open).ok_or(RunsError::NoneOpen { what })
    }
}

impl RunFolder {
    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal.ndjson")
    }

    /// What the journal says.
    pub fn read(&self) -> Result<(RunState, Vec<Record>), JournalError> {
        journal::read(&self.journal())
    }

    /// Opens the journal to go on with it.
    pub fn open(&self) -> Result<(Journal, RunState), JournalError> {
        let (journal, records) = Journal::open(&self.journal())?;
        let state = RunState::replay(&self.journal(), &records)?;
        Ok((journal, state))
    }

    /// The frozen inventory's text.
    pub fn inventory(&self) -> Result<String, RunsError> {
        self.text("inventory.toml")
    }

    /// The frozen playbook's text.
    pub fn playbook(&self) -> Result<String, RunsError> {
        self.text("playbook.toml")
    }

    /// The frozen snapshot.
    pub fn snapshot(&self) -> Result<Chosen, RunsError> {
        let path = self.dir.join("snapshot.json");
        serde_json::from_str(&self.text("snapshot.json")?).map_err(|error| io("understand", &path, error.into()))
    }

    /// Takes a run away that never touched anything.
    pub fn forget(&self) -> Result<(), RunsError> {
        std::fs::remove_dir_all(&self.dir).map_err(|source| io("remove", &self.dir, source))
    }

    fn text(&self, name: &str) -> Result<String, RunsError> {
        let path = self.dir.join(name);
        std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))
    }

    /// Unreadable journals sort first, so that they are seen.
    fn started(&self) -> Option<Timestamp> {
        self.read().ok().and_then(|(_, records)| records.first().map(|record| record.at))
    }
}

fn random_hex<const N: usize>() -> Result<String, RunsError> {
    let mut random = [0_u8; N];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io("read random bytes from", Path::new("getrandom"), error.into()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn private_folder(path: &Path) -> Result<(), RunsError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| io("make the folder", path, source))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RunsError> {
    let write = || {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| io("write", path, source))
}

fn io(what: &'static str, path: &Path, source: std::io::Error) -> RunsError {
    RunsError::Io { what, path: path.to_owned(), source }
}
