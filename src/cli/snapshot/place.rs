//! Which file is meant: a path, `latest`, or a name of the inventory's sources.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::causes::chain;
use crate::cli::args::Globals;
use crate::cli::exit::Fault;
use crate::cli::session::state_dir;
use crate::event::Live;
use crate::face::{Face, face};
use crate::inventory;
use crate::snapshot::time_in_name;
use crate::sources::{
    Catalog, Folder, Listed, Opened, PassedOver, SourceEntry, SourceError, TimeFrom, Unpack, newest, open,
};

/// The newest that is whole.
const LATEST: &str = "latest";

/// A snapshot on this controller.
#[derive(Debug)]
pub(super) struct Place {
    /// As it was typed, or its name in its source.
    pub(super) name: String,
    /// What is in it.
    pub(super) opened: Opened,
    /// Where it is from, when that is not the path itself.
    pub(super) source: Option<String>,
    pub(super) taken: Option<Timestamp>,
    pub(super) time_from: Option<TimeFrom>,
}

impl Place {
    /// The file as it lies on this controller.
    pub(super) fn path(&self) -> Option<String> {
        self.opened.file.as_ref().map(|path| path.display().to_string())
    }
}

/// Where snapshots are looked for, and how they are opened.
pub(super) struct Sources {
    pub(super) entries: Vec<SourceEntry>,
    cache: PathBuf,
    unpack: Unpack,
}

/// What finds snapshots by name.
pub(super) struct Finder<'a> {
    globals: &'a Globals,
    /// Shows what takes time; programs are told the answer only.
    face: Option<Arc<dyn Face>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(globals: &'a Globals) -> Self {
        Self { globals, face: (!globals.json()).then(|| face(false, globals.verbose > 0)) }
    }

    /// Says what is being done, when a person looks.
    pub(super) fn doing(&self, what: &str) {
        if let Some(face) = &self.face {
            face.doing(what);
        }
    }

    /// Nothing is being done any more.
    pub(super) fn done(&self) {
        if let Some(face) = &self.face {
            face.findings(&[]);
        }
    }

    /// The sources of the inventory.
    pub(super) fn sources(&self) -> Result<Sources, Fault> {
        let Some(path) = &self.globals.inventory else {
            return Err(Fault::Usage {
                message: "no inventory is named".to_owned(),
                help: "pass `--inventory FILE`, or the path of a file or folder".to_owned(),
            });
        };
        let inventory = inventory::load(path)?.inventory;
        Ok(Sources { unpack: Unpack::from(&inventory), cache: self.cache()?, entries: inventory.sources })
    }

    /// A folder, as if it were the only source.
    pub(super) fn folder(&self, folder: Folder) -> Result<Sources, Fault> {
        Ok(Sources { unpack: self.unpack()?, cache: self.cache()?, entries: vec![SourceEntry::Folder(folder)] })
    }

    /// Copies are kept here.
    fn cache(&self) -> Result<PathBuf, Fault> {
        Ok(state_dir(self.globals)?.join("snapshots"))
    }

    /// Without an inventory, what is encrypted stays so.
    fn unpack(&self) -> Result<Unpack, Fault> {
        let Some(path) = &self.globals.inventory else { return Ok(Unpack::default()) };
        Ok(Unpack::from(&inventory::load(path)?.inventory))
    }

    /// The file that a word stands for.
    pub(super) async fn find(&self, word: &str) -> Result<Place, Fault> {
        if word == LATEST {
            return self.latest().await;
        }
        let path = Path::new(word);
        if path.exists() || self.globals.inventory.is_none() {
            return self.a_file(word).await;
        }
        let sources = self.sources()?;
        let catalog = Catalog::of(&sources.entries).await;
        let found: Vec<&Listed> = catalog.named(word).collect();
        let [listed] = found.as_slice() else { return Err(not_one(word, &found, &catalog.failed)) };
        let opened = self.open(listed, &sources).await.map_err(|error| unusable(&error))?;
        let candidate = &listed.candidate;
        Ok(Place {
            name: candidate.shown(),
            opened,
            source: Some(listed.source()),
            taken: Some(candidate.taken),
            time_from: Some(candidate.time_from),
        })
    }

    /// The listed file on this controller; a copy takes time, and tells so.
    pub(super) async fn open(&self, listed: &Listed, sources: &Sources) -> Result<Opened, SourceError> {
        if !listed.here {
            self.doing(&format!("fetching {}", listed.candidate.shown()));
        }
        let opened = listed.open(&sources.cache, &sources.unpack, &self.teller()).await;
        self.done();
        opened
    }

    async fn latest(&self) -> Result<Place, Fault> {
        let sources = self.sources()?;
        self.doing("looking for the newest whole snapshot");
        let search = newest(&sources.entries, &sources.cache, &sources.unpack, &self.teller()).await;
        self.done();
        let search = search.map_err(|error| unusable(&error))?;
        for passed in &search.passed_over {
            warn(&format!("passed over, and it may be newer: {}", why(passed)));
        }
        let chosen = search.chosen;
        Ok(Place {
            name: chosen.name.clone(),
            source: Some(chosen.source.clone()),
            taken: Some(chosen.taken),
            time_from: Some(chosen.time_from),
            opened: chosen.into(),
        })
    }

    async fn a_file(&self, word: &str) -> Result<Place, Fault> {
        let metadata = std::fs::metadata(word).map_err(|error| no_file(format!("could not open `{word}`: {error}")))?;
        if !metadata.is_file() {
            return Err(no_file(format!("`{word}` is no file")));
        }
        let path = Path::new(word);
        let opened = open(path.to_owned(), &self.cache()?, &self.unpack()?).await;
        let named = path.file_name().and_then(time_in_name);
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        Ok(Place {
            name: word.to_owned(),
            opened: opened.map_err(|reason| Fault::Snapshot {
                message: format!("`{word}` cannot be unpacked: {reason}"),
                help: "with `--inventory`, its `[age] identity` and `max_unpacked_size` are used".to_owned(),
            })?,
            source: None,
            taken: named.or(modified),
            time_from: named.map(|_| TimeFrom::Name).or(modified.map(|_| TimeFrom::File)),
        })
    }

    /// Shows how much of a copy is there.
    fn teller(&self) -> impl Fn(u64, u64) + Send + Sync + 'static {
        let face = self.face.clone();
        move |done, total| {
            if let Some(face) = &face {
                face.live(&Live::Bytes { step: String::new(), done, total });
            }
        }
    }
}

/// A line on standard error, where programs do not read.
pub(super) fn warn(text: &str) {
    // A closed standard error is no reason to keep the answer back.
    drop(std::io::Write::write_all(&mut std::io::stderr(), format!("warning: {text}\n").as_bytes()));
}

/// What cannot be used, and why.
pub(super) fn why(PassedOver { name, source, reason }: &PassedOver) -> String {
    if name == PassedOver::ALL { reason.clone() } else { format!("`{name}` of {source}: {reason}") }
}

fn no_file(message: String) -> Fault {
    Fault::Usage {
        message,
        help: "name a file, or pass `--inventory FILE` and `latest` or a name that `drctl snapshot list` shows"
            .to_owned(),
    }
}

fn not_one(word: &str, found: &[&Listed], failed: &[PassedOver]) -> Fault {
    let several = found.iter().map(|listed| listed.source()).collect::<Vec<_>>().join(", ");
    let message = if found.is_empty() {
        let silent: String = failed.iter().map(|failed| format!("; {}", failed.reason)).collect();
        format!("`{word}` is neither a file nor a snapshot of the inventory's sources{silent}")
    } else {
        format!("`{word}` is in several sources: {several}")
    };
    Fault::Usage { message, help: "`drctl snapshot list` shows all names; a path names one file".to_owned() }
}

/// A source that failed: nothing of the snapshot is known.
pub(in crate::cli) fn unusable(error: &SourceError) -> Fault {
    let mut message = chain(error);
    if let SourceError::None { passed_over: all } = error {
        for passed in all {
            message.push_str(&format!("\n  {}", why(passed)));
        }
    }
    Fault::Snapshot { message, help: "`drctl snapshot list` shows what the sources hold".to_owned() }
}
