//! Which pages of a file the walks have come to.

use super::Bolt;

/// One bit for each page: no page belongs to two trees, nor to one tree twice.
#[derive(Debug, Clone)]
pub struct Reached {
    words: Vec<u64>,
    count: u64,
}

impl Reached {
    /// Pages beyond the file's end can't be read, so the high-water mark alone does not decide how much memory is taken.
    pub(super) fn new(bolt: &Bolt) -> Self {
        let pages = bolt.meta().high_water.min(bolt.size() / u64::from(bolt.meta().page_size) + 1);
        Self { words: vec![0; usize::try_from(pages / 64 + 1).unwrap_or(0)], count: 0 }
    }

    /// Marks `count` pages from `first` on; false when one of them was marked before.
    pub(super) fn mark(&mut self, first: u64, count: u64) -> bool {
        (first..first.saturating_add(count)).all(|page| self.mark_one(page))
    }

    /// How many pages are marked.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn mark_one(&mut self, page: u64) -> bool {
        let Some(word) = usize::try_from(page / 64).ok().and_then(|at| self.words.get_mut(at)) else { return false };
        let bit = 1 << (page % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(fresh);
        fresh
    }
}
