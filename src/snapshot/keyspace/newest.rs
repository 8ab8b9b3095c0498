//! Which record is the newest of its key, decided in bounded memory.
//!
//! Only a key that changed since the last compaction can be met again, so only those are remembered, as 64-bit keyed
//! hashes. Kubernetes compacts every five minutes, which makes that a few thousand. A store that was never compacted may
//! have more than [`MOST`]: then half of all hashes are left to another walk, and the records are read once more.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// How many hashes are kept at a time: some 40 MiB, and half as much again while their table grows.
const MOST: usize = 3_500_000;

/// The walks that are still to be made; most stores need one.
#[derive(Debug)]
pub(super) struct Walks {
    hasher: RandomState,
    most: usize,
    open: Vec<Share>,
}

/// The keys that one walk decides on: those whose hashes lie in a range.
#[derive(Debug, Clone, Copy)]
struct Share {
    from: u64,
    to: u64,
    /// Records at the start that an earlier walk has decided.
    decided: u64,
}

/// Decides during one walk, newest record first.
#[derive(Debug)]
pub(super) struct Newest<'a> {
    walks: &'a mut Walks,
    share: Share,
    keys: HashSet<u64>,
    met: u64,
}

impl Walks {
    pub(super) fn new() -> Self {
        Self::of(MOST)
    }

    pub(super) fn of(most: usize) -> Self {
        let all = Share { from: 0, to: u64::MAX, decided: 0 };
        Self { hasher: RandomState::new(), most, open: vec![all] }
    }

    pub(super) fn next(&mut self) -> Option<Newest<'_>> {
        let share = self.open.pop()?;
        Some(Newest { walks: self, share, keys: HashSet::new(), met: 0 })
    }
}

impl Newest<'_> {
    /// Whether the next record is the newest of its key, and for this walk to show. Older ones may follow when `again`.
    pub(super) fn shows(&mut self, key: &[u8], again: bool) -> bool {
        self.met += 1;
        let hash = self.walks.hasher.hash_one(key);
        if !(self.share.from..=self.share.to).contains(&hash) {
            return false;
        }
        let newest = if again { self.keys.insert(hash) } else { !self.keys.contains(&hash) };
        let shows = newest && self.met > self.share.decided;
        if self.keys.len() > self.walks.most {
            self.halve();
        }
        shows
    }

    /// Leaves the upper half of the share to another walk.
    fn halve(&mut self) {
        let Share { from, to, decided } = self.share;
        let middle = from + (to - from) / 2;
        self.walks.open.push(Share { from: middle + 1, to, decided: decided.max(self.met) });
        self.share.to = middle;
        self.keys.retain(|&hash| hash <= middle);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The keys shown, by the number of the record that showed them.
    fn shown(records: &[u8], most: usize) -> (Vec<usize>, usize) {
        let (mut walks, mut shown, mut made) = (Walks::of(most), Vec::new(), 0);
        while let Some(mut newest) = walks.next() {
            made += 1;
            shown.extend((0..records.len()).filter(|&at| newest.shows(&[records[at]], true)));
        }
        shown.sort_unstable();
        (shown, made)
    }

    proptest! {
        #[test]
        fn the_walks_together_show_what_one_would(records in proptest::collection::vec(any::<u8>(), 0..600), most in 2_usize..40) {
            let (expected, one) = shown(&records, usize::MAX);
            prop_assert_eq!(one, 1);
            prop_assert_eq!(shown(&records, most).0, expected);
        }
    }

    #[test]
    fn memory_is_traded_for_walks() {
        let records: Vec<u8> = (0..=255).collect();
        let (shown, made) = shown(&records, 16);
        assert_eq!(shown.len(), 256);
        assert!(made >= 16, "{made} walks");
    }
}
