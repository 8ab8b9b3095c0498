//! The newest snapshot that is whole, of all sources; what is newer and is not whole is passed over, loudly.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plain::{Plain, Unpack, hopeless};
use super::{Candidate, Chosen, Here, HereKind, Listing, SnapshotSource, SourceEntry, SourceError, Told, Unfit};
use crate::causes::chain;
use crate::packing::{HEAD, Packing, without_endings};
use crate::snapshot::{Claims, Examined, Knowledge, Verdict, examine};

/// So many snapshots of a source are fetched only to find them encrypted for others. The older ones hardly are not.
const FOR_OTHERS: usize = 3;

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

impl Proven {
    fn chosen(self, candidate: &Candidate, source: &dyn SnapshotSource) -> Chosen {
        Chosen {
            name: candidate.shown(),
            source: source.label(),
            path: self.opened.path,
            size: self.examined.size,
            sha256: self.examined.sha256.to_string(),
            taken: candidate.taken,
            time_from: candidate.time_from,
            claims: self.claims,
            packed: self.opened.packed,
            plain: self.opened.plain,
            copy: self.opened.copy,
        }
    }
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
    let mut given_up = GivenUp::default();
    for Offer { source, candidate } in offers {
        if given_up.holds(source.as_ref()) {
            continue;
        }
        let unfit = match prove(source.as_ref(), &candidate, cache, unpack, tell).await {
            Ok(proven) => return Ok(Search { chosen: proven.chosen(&candidate, source.as_ref()), passed_over }),
            Err(unfit) => unfit,
        };
        if let Unfit::NoIdentity(reason) = unfit {
            return Err(SourceError::NoIdentity { source_label: source.label(), name: candidate.shown(), reason });
        }
        let (name, label) = (candidate.shown(), source.label());
        passed_over.push(PassedOver { name, source: label.clone(), reason: unfit.to_string() });
        if let Some(reason) = given_up.after(&unfit, source.as_ref()).await {
            passed_over.push(PassedOver { name: PassedOver::ALL.to_owned(), source: label, reason });
        }
    }
    Err(SourceError::None { passed_over })
}

/// Sources whose other snapshots would cost a lot and end as the last one did.
#[derive(Default)]
struct GivenUp {
    labels: HashSet<String>,
    for_others: HashMap<String, usize>,
}

impl GivenUp {
    fn holds(&self, source: &dyn SnapshotSource) -> bool {
        self.labels.contains(&source.label())
    }

    /// Why the rest of a source is left, after one of its snapshots was unfit.
    async fn after(&mut self, unfit: &Unfit, source: &dyn SnapshotSource) -> Option<String> {
        let label = source.label();
        let reason = match unfit {
            // It may have been this file alone: who still lists is still there.
            Unfit::OutOfReach(_) => source.list().await.err()?.to_string(),
            Unfit::ForOthers(_) => {
                let count = self.for_others.entry(label.clone()).or_default();
                *count += 1;
                (*count == FOR_OTHERS).then(|| {
                    format!("{FOR_OTHERS} snapshots of {label} are encrypted for others, and its older ones were not fetched")
                })?
            }
            Unfit::Damaged(_) | Unfit::NoIdentity(_) | Unfit::Other(_) => return None,
        };
        self.labels.insert(label);
        Some(reason)
    }
}

/// The snapshot of a run that is taken up again: where it was, or else wherever the same bytes are.
///
/// When they are nowhere, it is given back as it was: a run past the steps that read the file does not need it.
pub async fn still_there(chosen: Chosen, entries: &[SourceEntry], cache: &Path, unpack: &Unpack) -> Chosen {
    if chosen.packed.is_empty() && has_digest(&chosen.path, &chosen).await {
        return chosen;
    }
    // What was unpacked is gone with the process that did it; the copy that it came out of may be there.
    if let Some(copy) = &chosen.copy
        && let Ok(found) =
            the_same(&chosen, &Here { path: copy.clone(), kind: HereKind::FoundCopy }, cache, unpack).await
    {
        return found;
    }
    let (mut likely, _) = gather(entries).await;
    let likeness = |candidate: &Candidate| match candidate.shown() {
        name if name == chosen.name => Some(0),
        // It may have been packed since, or unpacked.
        name if without_endings(&name) == without_endings(&chosen.name) => Some(1),
        _ => (candidate.size == chosen.size).then_some(2),
    };
    likely.retain(|offer| likeness(&offer.candidate).is_some());
    likely.sort_by_key(|offer| likeness(&offer.candidate));
    let mut given_up = GivenUp::default();
    for Offer { source, candidate } in likely {
        if given_up.holds(source.as_ref()) {
            continue;
        }
        let found = match source.open(&candidate, cache, &|_, _| {}).await {
            Ok(here) => the_same(&chosen, &here, cache, unpack).await,
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(found) => return found,
            Err(unfit) => drop(given_up.after(&unfit, source.as_ref()).await),
        }
    }
    // The number of an open file of a process that is gone could be any file of this one.
    let path =
        if chosen.packed.is_empty() { chosen.path.clone() } else { cache.join("in-no-source").join(&chosen.name) };
    Chosen { path, ..chosen }
}

/// The run's snapshot, when a file holds its bytes.
async fn the_same(chosen: &Chosen, here: &Here, cache: &Path, unpack: &Unpack) -> Result<Chosen, Unfit> {
    let opened = open_here(here, cache, unpack).await?;
    if !has_digest(&opened.path, chosen).await {
        return Err(Unfit::Other("it holds other bytes".to_owned()));
    }
    let Opened { path, packed, plain, copy, .. } = opened;
    Ok(Chosen { path, packed, copy, plain, ..chosen.clone() })
}

/// Unpacks a file, when it is packed.
pub async fn open(path: PathBuf, cache: &Path, unpack: &Unpack) -> Result<Opened, Unfit> {
    open_here(&Here { path, kind: HereKind::Own }, cache, unpack).await
}

pub(super) async fn open_here(here: &Here, cache: &Path, unpack: &Unpack) -> Result<Opened, Unfit> {
    let (path, file, copy) = (here.path.clone(), Some(here.path.clone()), here.copy());
    Ok(match unpack.open(&path, cache).await? {
        Some((plain, packed)) => Opened { path: plain.path(), file, packed, plain: Some(plain), copy },
        None => Opened { path, file, packed: Vec::new(), plain: None, copy },
    })
}

/// All candidates of all sources, newest first, and what nothing could be learnt of.
pub(super) async fn gather(entries: &[SourceEntry]) -> (Vec<Offer>, Vec<PassedOver>) {
    let (mut offers, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let listed = async {
            let source = entry.source()?;
            let listing = source.list().await?;
            Ok::<_, SourceError>((source, listing))
        };
        match listed.await {
            Ok((source, Listing { candidates, unseen })) => {
                offers.extend(candidates.into_iter().map(|candidate| Offer { source: Arc::clone(&source), candidate }));
                let label = source.label();
                failed.extend(unseen.into_iter().map(|(name, reason)| PassedOver {
                    name,
                    source: label.clone(),
                    reason,
                }));
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
) -> Result<Proven, Unfit> {
    if candidate.size == 0 {
        return Err(Unfit::Damaged(Verdict::Empty.to_string()));
    }
    let here = source.open(candidate, cache, tell).await?;
    let read = async {
        let opened = open_here(&here, cache, unpack).await?;
        let path = opened.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let (examined, claims) = read.map_err(|error| Unfit::Other(error.to_string()))??;
        Ok(Proven { opened, examined, claims })
    };
    let read = read.await;
    if let Err(unfit) = &read
        && is_worthless(here.kind, unfit)
    {
        // A bad copy must not be taken for the file the next time.
        let path = here.path.display();
        std::fs::remove_file(&here.path)
            .map_err(|error| Unfit::Other(format!("could not remove `{path}`: {error}")))?;
    }
    match read {
        // To look at the next one costs nothing.
        Err(Unfit::ForOthers(reason)) if here.kind == HereKind::Own => Err(Unfit::Other(reason)),
        read => read,
    }
}

/// Whether a file is a copy that is of no use to anybody: another run may need one that is only of no use here and now.
fn is_worthless(kind: HereKind, unfit: &Unfit) -> bool {
    match (kind, unfit) {
        (HereKind::Own, _) => false,
        (HereKind::NewCopy | HereKind::FoundCopy, Unfit::Damaged(_)) => true,
        // Many would fill the disk.
        (HereKind::NewCopy, Unfit::Other(_)) => true,
        (HereKind::NewCopy | HereKind::FoundCopy, _) => false,
    }
}

fn read(path: &Path) -> Result<(Examined, Claims), Unfit> {
    let begin = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(hopeless(&head, size))
    });
    if let Some(reason) = begin.map_err(|error| Unfit::Other(format!("`{}`: {error}", path.display())))? {
        return Err(Unfit::Damaged(reason));
    }
    let examined = examine(path).map_err(|error| Unfit::Other(chain(&error)))?;
    if !examined.verdict.is_whole() {
        return Err(Unfit::Damaged(examined.verdict.to_string()));
    }
    let knowledge = Knowledge::read(path).map_err(|error| Unfit::Other(chain(&error)))?;
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Can be listed, or not any more.
    #[derive(Debug)]
    struct Elsewhere {
        is_there: bool,
    }

    #[async_trait]
    impl SnapshotSource for Elsewhere {
        fn label(&self) -> String {
            "elsewhere".to_owned()
        }

        async fn list(&self) -> Result<Listing, SourceError> {
            let gone = || SourceError::List { source_label: self.label(), reason: "no route".to_owned() };
            self.is_there.then(Listing::default).ok_or_else(gone)
        }

        async fn open(&self, candidate: &Candidate, _: &Path, _: &Told) -> Result<Here, SourceError> {
            Err(SourceError::Lost { source_label: self.label(), name: candidate.shown(), reason: "cut".to_owned() })
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_source_is_left_when_it_cannot_be_listed_any_more() {
        let candidate = Candidate::new("a.db".into(), 544, jiff::Timestamp::UNIX_EPOCH);
        for (is_there, told) in
            [(true, None), (false, Some("could not list the snapshots in elsewhere: no route".to_owned()))]
        {
            let (source, mut given_up) = (Elsewhere { is_there }, GivenUp::default());
            let proved = prove(&source, &candidate, Path::new("/none"), &Unpack::default(), &|_, _| {}).await;
            let Err(unfit) = proved else { panic!("nothing can be read of it") };
            assert_eq!(given_up.after(&unfit, &source).await, told);
            assert_eq!(given_up.holds(&source), !is_there);
        }
    }
}
