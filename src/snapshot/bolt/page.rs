//! One page: its header and its elements, each checked before it is used.

use super::Bolt;
use super::error::{BoltError, Fault, Place};

pub(super) const HEADER_SIZE: usize = 16;
const ELEMENT_SIZE: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const BUCKET: u32 = 0x01;
/// Memory of a page that is worth keeping for the next one.
const MOST_KEPT: usize = 1 << 20;

/// A branch or leaf page in memory, with the number under which it is told in errors.
#[derive(Debug)]
pub(super) struct Page {
    number: u64,
    /// Where in the file it begins.
    offset: u64,
    bytes: Vec<u8>,
    count: u16,
    branch: bool,
}

/// One key with its value.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; of a bucket, its header.
    pub value: &'a [u8],
    /// Whether it is a bucket.
    pub(super) is_bucket: bool,
    /// The page that holds it.
    pub place: Place,
}

impl Page {
    /// Reads page `number`, reusing `bytes`, when it spans no more than `limit`.
    pub(super) fn read(bolt: &Bolt, number: u64, limit: u64, mut bytes: Vec<u8>) -> Result<Self, BoltError> {
        let meta = bolt.meta();
        let page_size = u64::from(meta.page_size);
        let offset = number.saturating_mul(page_size);
        let wrong = |fault| BoltError::Page { page: number, offset, fault };
        let beyond = |page: u64| page >= meta.high_water;
        if beyond(number) {
            return Err(wrong(Fault::BeyondHighWater { last: meta.high_water.saturating_sub(1) }));
        }
        let first = usize::try_from(meta.page_size).unwrap_or(usize::MAX);
        bytes.resize(first, 0);
        bolt.read_at(&mut bytes, number, offset)?;
        let overflow = u64::from(u32_at(&bytes, 12));
        if overflow > 0 {
            if beyond(number.saturating_add(overflow)) {
                return Err(wrong(Fault::BeyondHighWater { last: meta.high_water.saturating_sub(1) }));
            }
            let all = (overflow + 1) * page_size;
            let length = usize::try_from(all).ok().filter(|_| all <= limit);
            bytes.resize(length.ok_or_else(|| wrong(Fault::TooLong { bytes: all, limit }))?, 0);
            bolt.read_at(&mut bytes[first..], number, offset + page_size)?;
        }
        let found = u64_at(&bytes, 0);
        if found == number { Self::parse(number, offset, bytes) } else { Err(wrong(Fault::WrongId { found })) }
    }

    /// Takes over the bytes of a page that is kept inside a bucket's value, on page `within`.
    pub(super) fn inline(bytes: Vec<u8>, within: u64, page_size: u32) -> Result<Self, BoltError> {
        Self::parse(within, within.saturating_mul(u64::from(page_size)), bytes)
    }

    fn parse(number: u64, offset: u64, bytes: Vec<u8>) -> Result<Self, BoltError> {
        let wrong = |fault| BoltError::Page { page: number, offset, fault };
        let (flags, count) = (u16_at(&bytes, 8), u16_at(&bytes, 10));
        let branch = match flags {
            BRANCH => true,
            LEAF => false,
            flags => return Err(wrong(Fault::WrongKind { flags })),
        };
        if HEADER_SIZE + usize::from(count) * ELEMENT_SIZE > bytes.len() {
            return Err(wrong(Fault::TooMany { count }));
        }
        if branch && count == 0 {
            return Err(wrong(Fault::EmptyBranch));
        }
        let page = Self { number, offset, bytes, count, branch };
        page.in_order()?;
        Ok(page)
    }

    fn in_order(&self) -> Result<(), BoltError> {
        let mut last: Option<&[u8]> = None;
        for index in 0..self.count {
            let key = self.key(index)?;
            if last.is_some_and(|last| last >= key) {
                return Err(self.wrong(index, Fault::Unordered { index }));
            }
            last = Some(key);
        }
        Ok(())
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn is_branch(&self) -> bool {
        self.branch
    }

    /// The memory that it takes.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Gives the memory back for the next page, unless it is so much that a small page should not hold it.
    pub(super) fn into_spare(self) -> Vec<u8> {
        if self.bytes.capacity() > MOST_KEPT { Vec::new() } else { self.bytes }
    }

    fn key(&self, index: u16) -> Result<&[u8], BoltError> {
        let at = Self::element(index);
        let (position, length) = if self.branch { (0, 4) } else { (4, 8) };
        self.slice(index, at + to_usize(u32_at(&self.bytes, at + position)), u32_at(&self.bytes, at + length))
    }

    /// The page that a branch's element leads to.
    pub(super) fn child(&self, index: u16) -> u64 {
        u64_at(&self.bytes, Self::element(index) + 8)
    }

    /// A leaf's key and value.
    pub(super) fn entry(&self, index: u16) -> Result<Entry<'_>, BoltError> {
        let key = self.key(index)?;
        let at = Self::element(index);
        let value = at.saturating_add(to_usize(u32_at(&self.bytes, at + 4))).saturating_add(key.len());
        Ok(Entry {
            key,
            value: self.slice(index, value, u32_at(&self.bytes, at + 12))?,
            is_bucket: u32_at(&self.bytes, at) & BUCKET != 0,
            place: Place { page: self.number, offset: self.offset },
        })
    }

    fn element(index: u16) -> usize {
        HEADER_SIZE + usize::from(index) * ELEMENT_SIZE
    }

    fn slice(&self, index: u16, start: usize, length: u32) -> Result<&[u8], BoltError> {
        let end = start.saturating_add(to_usize(length));
        self.bytes.get(start..end).ok_or_else(|| self.wrong(index, Fault::OutsidePage { index }))
    }

    pub(super) fn wrong(&self, index: u16, fault: Fault) -> BoltError {
        let within = u64::try_from(Self::element(index)).unwrap_or(0);
        BoltError::Page { page: self.number, offset: self.offset.saturating_add(within), fault }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Little-endian numbers; callers have checked that the bytes are there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
