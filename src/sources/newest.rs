//! The newest snapshot that is whole, of all sources; what is newer and is not whole is passed over, loudly.

use std::cmp::Reverse;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plain::{Plain, Unpack, hopeless};
use super::{Candidate, Chosen, SnapshotSource, SourceEntry, SourceError, Told};
use crate::packing::{HEAD, Packing};
use crate::snapshot::{Claims, Examined, Knowledge, Verdict, examine};

/// What was found.
#[derive(Debug, Clone)]
pub struct Search {
    /// The newest that is whole.
    pub chosen: Chosen,
    /// What is newer, or might be, and cannot be used.
    pub passed_over: Vec<PassedOver>,
}

/// A snapshot, or a whole source, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The file's name; `*` for all files of the source.
    pub name: String,
    /// The source.
    pub source: String,
    /// Why.
    pub reason: String,
}

impl PassedOver {
    /// Stands for all files of a source that could not be listed.
    pub const ALL: &'static str = "*";
}

/// A candidate and where it is.
pub(super) struct Offer {
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) candidate: Candidate,
}

/// A file that was proved whole, and what it says.
struct Proven {
    opened: Opened,
    examined: Examined,
    claims: Claims,
}

/// A snapshot, out of all that it was packed in.
#[derive(Debug)]
pub struct Opened {
    /// The plain file; of one that was packed, a path that is good as long as this is kept.
    pub path: PathBuf,
    /// The file as it lies on the controller, packed or not; `None` when that was forgotten.
    pub file: Option<PathBuf>,
    /// What it was packed in, outermost first.
    pub packed: Vec<Packing>,
    plain: Option<Arc<Plain>>,
    copy: Option<PathBuf>,
}

impl From<Chosen> for Opened {
    fn from(Chosen { path, packed, plain, copy, .. }: Chosen) -> Self {
        let file = copy.clone().or_else(|| packed.is_empty().then(|| path.clone()));
        Self { path, file, packed, plain, copy }
    }
}

/// Finds the newest snapshot that is whole, whatever it is packed in. `tell` is given the bytes of downloads.
pub async fn newest(
    entries: &[SourceEntry],
    cache: &Path,
    unpack: &Unpack,
    tell: &Told,
) -> Result<Search, SourceError> {
    let (offers, mut passed_over) = gather(entries).await;
    for Offer { source, candidate } in offers {
        match prove(source.as_ref(), &candidate, cache, unpack, tell).await {
            Ok(proven) => {
                let chosen = Chosen {
                    name: candidate.shown(),
                    source: source.label(),
                    path: proven.opened.path,
                    size: proven.examined.size,
                    sha256: proven.examined.sha256.to_string(),
                    taken: candidate.taken,
                    time_from: candidate.time_from,
                    claims: proven.claims,
                    packed: proven.opened.packed,
                    plain: proven.opened.plain,
                    copy: proven.opened.copy,
                };
                return Ok(Search { chosen, passed_over });
            }
            Err(reason) => passed_over.push(PassedOver { name: candidate.shown(), source: source.label(), reason }),
        }
    }
    Err(SourceError::None { passed_over })
}

/// The snapshot of a run that is taken up again: where it was, or else wherever the same bytes are.
///
/// When they are nowhere, it is given back as it was: a run past the steps that read the file does not need it.
pub async fn still_there(chosen: Chosen, entries: &[SourceEntry], cache: &Path, unpack: &Unpack) -> Chosen {
    // What was unpacked is gone with the process that did it.
    if chosen.packed.is_empty() && has_digest(&chosen.path, &chosen).await {
        return chosen;
    }
    let (offers, _) = gather(entries).await;
    let could_be = |offer: &Offer| {
        offer.candidate.shown() == chosen.name || chosen.packed.is_empty() && offer.candidate.size == chosen.size
    };
    let mut likely: Vec<Offer> = offers.into_iter().filter(could_be).collect();
    likely.sort_by_key(|offer| offer.candidate.shown() != chosen.name);
    for Offer { source, candidate } in likely {
        if let Ok(path) = source.open(&candidate, cache, &|_, _| {}).await
            && let Ok(opened) = open(path, cache, unpack).await
            && has_digest(&opened.path, &chosen).await
        {
            let Opened { path, packed, plain, copy, .. } = opened;
            return Chosen { path, packed, copy, plain, ..chosen };
        }
    }
    chosen
}

/// Unpacks a file, when it is packed.
pub async fn open(path: PathBuf, cache: &Path, unpack: &Unpack) -> Result<Opened, String> {
    let copy = path.starts_with(cache).then(|| path.clone());
    let file = Some(path.clone());
    Ok(match unpack.open(&path, cache).await? {
        Some((plain, packed)) => Opened { path: plain.path(), file, packed, plain: Some(plain), copy },
        None => Opened { path, file, packed: Vec::new(), plain: None, copy },
    })
}

/// All candidates of all sources, newest first, and the sources that could not be listed.
pub(super) async fn gather(entries: &[SourceEntry]) -> (Vec<Offer>, Vec<PassedOver>) {
    let (mut offers, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let listed = async {
            let source = entry.source()?;
            let candidates = source.list().await?;
            Ok::<_, SourceError>((source, candidates))
        };
        match listed.await {
            Ok((source, candidates)) => {
                offers.extend(candidates.into_iter().map(|candidate| Offer { source: Arc::clone(&source), candidate }));
            }
            Err(error) => {
                failed.push(PassedOver {
                    name: PassedOver::ALL.to_owned(),
                    source: entry.label(),
                    reason: error.to_string(),
                });
            }
        }
    }
    offers.sort_by_key(|offer| Reverse(offer.candidate.taken));
    (offers, failed)
}

async fn prove(
    source: &dyn SnapshotSource,
    candidate: &Candidate,
    cache: &Path,
    unpack: &Unpack,
    tell: &Told,
) -> Result<Proven, String> {
    if candidate.size == 0 {
        return Err(Verdict::Empty.to_string());
    }
    let fetched = source.open(candidate, cache, tell).await.map_err(|error| error.to_string())?;
    let read = async {
        let opened = open(fetched.clone(), cache, unpack).await?;
        let path = opened.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await.map_err(|error| error.to_string())?;
        read.map(|(examined, claims)| Proven { opened, examined, claims })
    };
    let read = read.await;
    if read.is_err() && fetched.starts_with(cache) {
        // A bad copy must not be taken for the file the next time.
        std::fs::remove_file(&fetched).map_err(|error| format!("could not remove `{}`: {error}", fetched.display()))?;
    }
    read
}

fn read(path: &Path) -> Result<(Examined, Claims), String> {
    let begin = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(hopeless(&head, size))
    });
    if let Some(reason) = begin.map_err(|error| format!("`{}`: {error}", path.display()))? {
        return Err(reason);
    }
    let examined = examine(path).map_err(|error| chain(&error))?;
    if !examined.verdict.is_whole() {
        return Err(examined.verdict.to_string());
    }
    let knowledge = Knowledge::read(path).map_err(|error| chain(&error))?;
    Ok((examined, Claims::from(&knowledge)))
}

async fn has_digest(path: &Path, chosen: &Chosen) -> bool {
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == chosen.size) {
        return false;
    }
    let path = path.to_owned();
    let examined = tokio::task::spawn_blocking(move || examine(&path)).await;
    matches!(examined, Ok(Ok(examined)) if examined.sha256.to_string() == chosen.sha256)
}

/// An error and its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
