//! A walk through a bucket, one page per level in memory.

use super::error::{BoltError, Fault};
use super::page::{Entry, Page};
use super::{Bolt, Bucket, Reached, Root};

/// A real tree has a handful of levels: bbolt's branches hold dozens of children.
const MOST_LEVELS: usize = 64;
/// The most that the pages of all levels may take, with their overflow: some values of etcd's greatest recommended
/// request (10 MiB), and far below the memory of a host.
const MOST_BYTES: u64 = 32 << 20;

/// Which end a walk begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the first key.
    Forward,
    /// From the last key.
    Backward,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Buckets,
    Values,
}

/// Gives a bucket's entries one after the other.
#[derive(Debug)]
pub struct Cursor<'a> {
    bolt: &'a Bolt,
    direction: Direction,
    holds: Holds,
    levels: Vec<Level>,
    reached: &'a mut Reached,
    /// The memory of a page that is done with.
    spare: Vec<u8>,
    /// The key before, to see that leaves follow each other in order.
    last: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Level {
    page: Page,
    /// How many elements are done with.
    done: u16,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        bolt: &'a Bolt,
        bucket: &Bucket,
        direction: Direction,
        holds: Holds,
        reached: &'a mut Reached,
    ) -> Result<Self, BoltError> {
        let mut cursor = Self { bolt, direction, holds, levels: Vec::new(), reached, spare: Vec::new(), last: None };
        match &bucket.root {
            Root::Page(number) => cursor.enter(*number)?,
            Root::Inline { within, bytes } => {
                let page = Page::inline(bytes.clone(), *within, bolt.meta().page_size)?;
                if page.is_branch() {
                    let fault = Fault::BrokenBucket { length: bytes.len() };
                    return Err(BoltError::Page { page: *within, offset: page.offset(), fault });
                }
                cursor.levels.push(Level { page, done: 0 });
            }
        }
        Ok(cursor)
    }

    /// The next entry; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "entries borrow from the cursor, so it can't be an iterator")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, BoltError> {
        while let Some(level) = self.levels.last_mut() {
            let Some(index) = level.step(self.direction) else {
                self.spare = self.levels.pop().map(|level| level.page.into_spare()).unwrap_or_default();
                continue;
            };
            if level.page.is_branch() {
                let child = level.page.child(index);
                self.enter(child)?;
                continue;
            }
            if level.done == 1 {
                self.follows(index)?;
            }
            // The borrow checker can't see that the loop ends here, so the level is looked up again.
            return self.levels.last().map(|level| self.expected(&level.page, index)).transpose();
        }
        Ok(None)
    }

    fn expected<'p>(&self, page: &'p Page, index: u16) -> Result<Entry<'p>, BoltError> {
        let entry = page.entry(index)?;
        match (self.holds, entry.is_bucket) {
            (Holds::Buckets, false) => Err(page.wrong(index, Fault::NotBucket { index })),
            (Holds::Values, true) => Err(page.wrong(index, Fault::Nested { index })),
            (Holds::Buckets, true) | (Holds::Values, false) => Ok(entry),
        }
    }

    fn enter(&mut self, number: u64) -> Result<(), BoltError> {
        let wrong = |fault| BoltError::Page {
            page: number,
            offset: number.saturating_mul(u64::from(self.bolt.meta().page_size)),
            fault,
        };
        if self.levels.len() == MOST_LEVELS {
            return Err(wrong(Fault::TooDeep { limit: MOST_LEVELS }));
        }
        let held: u64 = self.levels.iter().map(|level| level.page.size()).sum();
        let limit = MOST_BYTES.saturating_sub(held);
        let page = Page::read(self.bolt, number, limit, std::mem::take(&mut self.spare))?;
        if !self.reached.mark(number, page.size() / u64::from(self.bolt.meta().page_size)) {
            return Err(wrong(Fault::Twice));
        }
        self.levels.push(Level { page, done: 0 });
        Ok(())
    }

    /// Compares the first key of a leaf with the last key of the leaf before, and remembers this leaf's last.
    fn follows(&mut self, index: u16) -> Result<(), BoltError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let key = level.page.entry(index)?.key;
        let ordered = self.last.as_deref().is_none_or(|last| match self.direction {
            Direction::Forward => last < key,
            Direction::Backward => last > key,
        });
        if !ordered {
            return Err(BoltError::Page {
                page: level.page.number(),
                offset: level.page.offset(),
                fault: Fault::Unordered { index },
            });
        }
        let far = match self.direction {
            Direction::Forward => level.page.count() - 1,
            Direction::Backward => 0,
        };
        let far = level.page.entry(far)?.key;
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(far);
        Ok(())
    }
}

impl Level {
    /// The next element's index.
    fn step(&mut self, direction: Direction) -> Option<u16> {
        let left = self.page.count() - self.done;
        if left == 0 {
            return None;
        }
        self.done += 1;
        Some(match direction {
            Direction::Forward => self.done - 1,
            Direction::Backward => left - 1,
        })
    }
}
