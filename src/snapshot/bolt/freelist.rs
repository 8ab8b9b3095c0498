//! The list of free pages, which etcd keeps in the file up to 3.3.26 and in memory since.

use super::error::{BoltError, Fault};
use super::page::{HEADER_SIZE, u16_at, u32_at, u64_at};
use super::{Bolt, Reached};

const FREELIST: u16 = 0x10;
/// A count that does not fit its field: it is the list's first number then.
const COUNT_FOLLOWS: u16 = 0xFFFF;
/// How many numbers are read at a time.
const CHUNK: usize = 8192;

/// What became of a file's pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Pages {
    /// Bytes in a page.
    pub size: u32,
    /// All pages below the high-water mark.
    pub total: u64,
    /// Pages that hold something: the trees, the two meta pages, and the list of free pages when there is one.
    pub used: u64,
    /// Pages that hold nothing.
    pub free: u64,
    /// Pages that are neither in a tree nor in the file's list of free pages: lost space, no lost data.
    pub lost: u64,
}

/// Settles what the pages are that no tree came to; the list, when there is one, must not name a page of a tree.
pub(super) fn settle(bolt: &Bolt, mut reached: Reached) -> Result<Pages, BoltError> {
    const METAS: u64 = 2;
    let meta = bolt.meta();
    let trees = reached.count();
    let (mut list_pages, mut listed) = (0, None);
    if let Some(number) = meta.freelist {
        let list = List::open(bolt, number)?;
        list_pages = list.pages;
        if !reached.mark(number, list.pages) {
            return Err(list.wrong(Fault::Twice));
        }
        list.each(bolt, &mut reached)?;
        listed = Some(reached.count() - trees - list_pages);
    }
    let used = METAS + trees + list_pages;
    let rest = meta.high_water.saturating_sub(used);
    let free = listed.unwrap_or(rest);
    Ok(Pages { size: meta.page_size, total: meta.high_water, used, free, lost: rest.saturating_sub(free) })
}

struct List {
    number: u64,
    /// Where in the file it begins.
    offset: u64,
    /// Pages that it spans.
    pages: u64,
    /// Where its first number is.
    start: u64,
    count: u64,
}

impl List {
    fn open(bolt: &Bolt, number: u64) -> Result<Self, BoltError> {
        let meta = bolt.meta();
        let page_size = u64::from(meta.page_size);
        let offset = number.saturating_mul(page_size);
        let mut list = Self { number, offset, pages: 1, start: offset.saturating_add(HEADER_SIZE as u64), count: 0 };
        let end = meta.high_water.saturating_sub(1);
        if number > end {
            return Err(list.wrong(Fault::BeyondHighWater { last: end }));
        }
        let mut head = [0; HEADER_SIZE + 8];
        bolt.read_at(&mut head, number, offset)?;
        let (found, flags, count) = (u64_at(&head, 0), u16_at(&head, 8), u16_at(&head, 10));
        if found != number {
            return Err(list.wrong(Fault::WrongId { found }));
        }
        if flags != FREELIST {
            return Err(list.wrong(Fault::NoFreelist { flags }));
        }
        list.pages += u64::from(u32_at(&head, 12));
        if number.saturating_add(list.pages - 1) > end {
            return Err(list.wrong(Fault::BeyondHighWater { last: end }));
        }
        list.count = u64::from(count);
        if count == COUNT_FOLLOWS {
            list.count = u64_at(&head, HEADER_SIZE);
            list.start += 8;
        }
        let room = list.pages * page_size - (list.start - offset);
        if list.count > room / 8 {
            return Err(list.wrong(Fault::TooManyFree { count: list.count }));
        }
        Ok(list)
    }

    /// Marks each page that is listed.
    fn each(&self, bolt: &Bolt, reached: &mut Reached) -> Result<(), BoltError> {
        let mut bytes = vec![0; CHUNK * 8];
        let mut done = 0;
        while done < self.count {
            let now = usize::try_from(self.count - done).unwrap_or(CHUNK).min(CHUNK);
            let chunk = &mut bytes[..now * 8];
            bolt.read_at(chunk, self.number, self.start + done * 8)?;
            for at in (0..chunk.len()).step_by(8) {
                let page = u64_at(chunk, at);
                if page < 2 || page >= bolt.meta().high_water {
                    return Err(self.wrong(Fault::FreeOutside { page }));
                }
                if !reached.mark(page, 1) {
                    return Err(self.wrong(Fault::FreeInUse { page }));
                }
            }
            done += now as u64;
        }
        Ok(())
    }

    fn wrong(&self, fault: Fault) -> BoltError {
        BoltError::Page { page: self.number, offset: self.offset, fault }
    }
}
