//! All that the sources hold, newest first, with the gaps between: a job that missed its time shows there.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::newest::{Offer, Opened, gather, open_here};
use super::{Candidate, PassedOver, SnapshotSource, SourceEntry, SourceError, Told, Unpack};

/// Gaps on either side of one that it is compared with: where old snapshots are thinned out, gaps are larger for good.
const NEIGHBOURS: usize = 5;
/// Fewer gaps than these say nothing about what is usual.
const FEWEST: usize = 3;
/// How many times the usual gap one is when a run was missed. Jobs do not start to the second.
const MISSED: f64 = 1.7;

/// What the sources hold.
#[derive(Debug)]
pub struct Catalog {
    /// Everything that looks like a snapshot, newest first.
    pub listed: Vec<Listed>,
    /// Sources, and single files, that nothing could be learnt of.
    pub failed: Vec<PassedOver>,
}

/// A file that looks like a snapshot, in its source.
#[derive(Debug)]
pub struct Listed {
    /// The file.
    pub candidate: Candidate,
    /// The time to the one before in the same source.
    pub gap: Option<Gap>,
    /// Whether it can be read where it is, without a copy of it.
    pub here: bool,
    source: Arc<dyn SnapshotSource>,
}

/// The time between a snapshot and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How long.
    pub time: SignedDuration,
    /// How long it usually is around there.
    pub usual: Option<SignedDuration>,
}

impl Catalog {
    /// Lists all sources.
    pub async fn of(entries: &[SourceEntry]) -> Self {
        let here: HashSet<String> = entries.iter().filter(|entry| entry.is_here()).map(SourceEntry::label).collect();
        let (offers, failed) = gather(entries).await;
        let mut listed: Vec<Listed> = offers
            .into_iter()
            .map(|Offer { source, candidate }| Listed {
                candidate,
                gap: None,
                here: here.contains(&source.label()),
                source,
            })
            .collect();
        let mut by_source: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, each) in listed.iter().enumerate() {
            by_source.entry(each.source()).or_default().push(at);
        }
        for own in by_source.values() {
            let times: Vec<Timestamp> = own.iter().map(|&at| listed[at].candidate.taken).collect();
            for (&at, gap) in own.iter().zip(gaps(&times)) {
                listed[at].gap = Some(gap);
            }
        }
        Self { listed, failed }
    }

    /// The time since the newest, beside what is usual around it.
    pub fn since_newest(&self, now: Timestamp) -> Option<Gap> {
        let newest = self.listed.first()?;
        Some(Gap { time: now.duration_since(newest.candidate.taken), usual: newest.gap?.usual })
    }

    /// Those of that name; one each in several sources, perhaps.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Listed> {
        self.listed.iter().filter(move |listed| listed.candidate.shown() == name)
    }
}

impl Listed {
    /// How messages name its source.
    pub fn source(&self) -> String {
        self.source.label()
    }

    /// The snapshot on the controller: where it is, or a copy under `cache`; unpacked.
    pub async fn open(&self, cache: &Path, unpack: &Unpack, tell: &Told) -> Result<Opened, SourceError> {
        let here = self.source.open(&self.candidate, cache, tell).await?;
        open_here(&here, cache, unpack).await.map_err(|unfit| SourceError::Read {
            source_label: self.source(),
            name: self.candidate.shown(),
            reason: unfit.to_string(),
        })
    }
}

impl Gap {
    /// How many runs of the job that saves snapshots are missing in it.
    pub fn missed_runs(&self) -> u64 {
        let Some(usual) = self.usual else { return 0 };
        let times = self.time.as_secs_f64() / usual.as_secs_f64().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and above one")]
        if times > MISSED { (times.round() as u64).saturating_sub(1).max(1) } else { 0 }
    }
}

/// The gaps between times, newest first; one less than there are times.
fn gaps(times: &[Timestamp]) -> Vec<Gap> {
    let times: Vec<SignedDuration> = times.windows(2).map(|pair| pair[0].duration_since(pair[1])).collect();
    (0..times.len()).map(|at| Gap { time: times[at], usual: usual(&times, at) }).collect()
}

/// The median of the gaps around one.
fn usual(gaps: &[SignedDuration], at: usize) -> Option<SignedDuration> {
    let from = at.saturating_sub(NEIGHBOURS);
    let mut around: Vec<SignedDuration> = gaps.iter().skip(from).take(at - from + NEIGHBOURS + 1).copied().collect();
    around.sort_unstable();
    (around.len() >= FEWEST).then(|| around[around.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaps of snapshots that are so many minutes old.
    fn missed_at(minutes: &[i64]) -> Vec<u64> {
        let at = |minutes: &i64| Timestamp::from_second(1_700_000_000 - minutes * 60).unwrap();
        gaps(&minutes.iter().map(at).collect::<Vec<_>>()).iter().map(Gap::missed_runs).collect()
    }

    #[test]
    fn a_missed_run_shows() {
        assert_eq!(missed_at(&[0, 3, 6, 9, 15, 18, 21]), [0, 0, 0, 1, 0, 0]);
        assert_eq!(missed_at(&[0, 3, 6, 9, 39, 42, 45]), [0, 0, 0, 9, 0, 0]);
    }

    #[test]
    fn old_ones_may_be_thinned_out() {
        let thinned = missed_at(&[0, 3, 6, 9, 12, 15, 18, 21, 81, 141, 201, 261, 321, 381, 441, 501]);
        assert!(thinned[8..].iter().all(|&runs| runs == 0), "{thinned:?}");
    }

    #[test]
    fn a_few_say_nothing() {
        assert!(missed_at(&[0]).is_empty());
        assert_eq!(missed_at(&[0, 3, 100]), [0, 0]);
    }
}
