//! The folder of runs on the controller: each with its journal and the texts it froze.

mod disk;
mod folder;
mod machine;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::actions::Finding;
use crate::event::{Ending, Event, RunHeader};
use crate::journal::{Journal, JournalError, Record, RunState};
use crate::sources::Chosen;
use crate::text::Values;
use disk::{io, new_folder, private_folder, random_hex, write_once};

pub use folder::{Opened, RunFolder};

/// All runs of a controller.
#[derive(Debug, Clone)]
pub struct Runs {
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

/// What was seen before a run began; no step needs it, but whoever asks later why it was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What the checks found.
    pub findings: Vec<Finding>,
    /// What was gathered on the target: [`crate::target::Facts::values`].
    pub facts: Values,
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
    /// What the run froze is not what it was.
    #[error("`{}` is not what the run froze when it began: {reason}", path.display())]
    Frozen {
        /// The file.
        path: PathBuf,
        /// How it differs.
        reason: String,
    },
    /// Whether this run ended cannot be told, so none is taken up in its stead.
    #[error("whether run {id} is to be {what} cannot be told")]
    Unreadable {
        /// The run.
        id: String,
        /// `resumed` or `rolled back`.
        what: &'static str,
        /// What is wrong with its journal.
        source: JournalError,
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

    /// How a target's lock names this controller: this folder, and the machine that it is on.
    ///
    /// Not the process: whoever has a run's journal open here is its only process, so a lock of the same run, folder and
    /// machine is its own, left by one that died. A copy of the folder on another machine is another controller.
    pub fn controller(&self) -> Result<String, RunsError> {
        let name = self.name()?;
        Ok(format!("{name}/{}", machine::mark(&name, &machine::id())))
    }

    /// What this folder is called, for ever and in all its copies.
    fn name(&self) -> Result<String, RunsError> {
        let path = self.dir.join("controller");
        private_folder(&self.dir)?;
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        let named = |name: &String| !name.trim().is_empty() && !name.contains(char::is_control);
        if let Some(name) = Some(read()).filter(named) {
            return Ok(name);
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        write_once(&path, &format!("{host}-{}", random_hex::<4>()?), |there| named(&there.to_owned()))
    }

    /// Begins a run: its texts first, then the journal with its first record. All of it is durable when this returns.
    pub fn begin(
        &self,
        mut header: RunHeader,
        frozen: &Frozen<'_>,
    ) -> Result<(RunFolder, Journal, RunState, Record), RunsError> {
        let folder = RunFolder { dir: self.dir.join(&header.run), id: header.run.clone() };
        private_folder(&self.dir)?;
        new_folder(&folder.dir)?;
        let begun = (|| {
            header.snapshot_json_sha256 = Some(folder.freeze(frozen)?);
            let mut journal = Journal::create(&folder.journal())?;
            let record = journal.append(Event::RunStarted(Box::new(header.clone())))?;
            Ok((journal, record))
        })();
        match begun {
            Ok((journal, record)) => Ok((folder, journal, RunState::begun(header), record)),
            Err(error) => {
                // What stays would be no run either, only in the way of the eye.
                drop(folder.forget());
                Err(error)
            }
        }
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
            if let Ok(id) = entry.file_name().into_string() {
                found.extend(RunFolder::at(entry.path(), id));
            }
        }
        found.sort_by_key(|run| (run.started(), run.id.clone()));
        Ok(found)
    }

    /// The run of this id, or of which this is the only beginning.
    pub fn find(&self, id: &str) -> Result<RunFolder, RunsError> {
        // Nothing is a beginning of every id; an empty variable of a script means no run.
        let meant = |run: &RunFolder| !id.is_empty() && run.id.starts_with(id);
        let mut found: Vec<_> = self.list()?.into_iter().filter(meant).collect();
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
            let state = match run.read() {
                Ok((state, _)) => state,
                // A run that was never begun touched nothing.
                Err(JournalError::Empty { .. }) => continue,
                // One that cannot be read may go on once it is mended.
                Err(error) => return Err(error.into()),
            };
            if state.ending.is_none() {
                let Chosen { path, copy, .. } = run.snapshot(&state.header)?;
                used.extend(copy.into_iter().chain([path]));
            }
        }
        Ok(used)
    }

    /// The newest run that has not ended. A newer one whose journal cannot be read is in the way: it may be the one.
    pub fn newest_open(&self, what: &'static str) -> Result<RunFolder, RunsError> {
        for run in self.list()?.into_iter().rev() {
            match run.read() {
                Ok((RunState { ending: None, .. }, _)) => return Ok(run),
                // A run that was never begun touched nothing.
                Ok((RunState { ending: Some(Ending::Restored | Ending::RolledBack), .. }, _))
                | Err(JournalError::Empty { .. }) => {}
                Err(source) => return Err(RunsError::Unreadable { id: run.id, what, source }),
            }
        }
        Err(RunsError::NoneOpen { what })
    }
}
