//! The two meta pages: which tree is current, how large pages are, how many are in use.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::error::BoltError;
use super::page::{HEADER_SIZE, u32_at, u64_at};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// The page sizes of the systems that etcd runs on; a file's is its writer's.
const PAGE_SIZES: [u32; 7] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// The page's header, then 64 bytes of meta.
const META_SIZE: usize = HEADER_SIZE + 64;

/// A valid meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Bytes in a page.
    pub page_size: u32,
    /// The page of the top-level buckets.
    pub root: u64,
    /// The first page number never used yet: all pages are below it.
    pub high_water: u64,
    /// The transaction that wrote it.
    pub transaction: u64,
    /// The page of the list of free pages; `None` when the writer kept none in the file.
    pub freelist: Option<u64>,
}

/// Both meta pages as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metas {
    /// At page 0 and at page 1.
    pub found: [Result<Meta, MetaFault>; 2],
}

/// Why a meta page is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaFault {
    /// The file ends before it.
    #[error("the file ends before it")]
    Missing,
    /// It does not begin as a meta page does.
    #[error("no meta page there")]
    Magic,
    /// A format that is not known.
    #[error("format version {found}, expected {VERSION}")]
    Version {
        /// What it says.
        found: u32,
    },
    /// Its own checksum does not fit.
    #[error("checksum {found:016x}, expected {expected:016x}")]
    Checksum {
        /// As written in it.
        found: u64,
        /// As computed.
        expected: u64,
    },
    /// A page size that no system has.
    #[error("page size {found}")]
    PageSize {
        /// What it says.
        found: u32,
    },
}

impl Meta {
    /// Bytes that the pages in use take.
    pub fn used(&self) -> u64 {
        self.high_water.saturating_mul(u64::from(self.page_size))
    }

    fn parse(bytes: &[u8; META_SIZE]) -> Result<Self, MetaFault> {
        let meta = &bytes[HEADER_SIZE..];
        if u32_at(meta, 0) != MAGIC {
            return Err(MetaFault::Magic);
        }
        let version = u32_at(meta, 4);
        if version != VERSION {
            return Err(MetaFault::Version { found: version });
        }
        let (found, expected) = (u64_at(meta, 56), fnv1a(&meta[..56]));
        if found != expected {
            return Err(MetaFault::Checksum { found, expected });
        }
        let page_size = u32_at(meta, 8);
        if !PAGE_SIZES.contains(&page_size) {
            return Err(MetaFault::PageSize { found: page_size });
        }
        let freelist = Some(u64_at(meta, 32)).filter(|&page| page != u64::MAX);
        Ok(Self {
            page_size,
            root: u64_at(meta, 16),
            high_water: u64_at(meta, 40),
            transaction: u64_at(meta, 48),
            freelist,
        })
    }
}

impl Metas {
    /// Reads both; the second is where the first says, or else where a page size would put it.
    pub fn read(file: &File) -> io::Result<Self> {
        let first = Self::read_one(file, 0)?;
        let second = match &first {
            Ok(meta) => Self::read_one(file, u64::from(meta.page_size))?,
            Err(_) => Self::search(file)?,
        };
        Ok(Self { found: [first, second] })
    }

    /// The valid one of the later transaction.
    pub fn newest(&self) -> Result<Meta, BoltError> {
        match &self.found {
            [Ok(first), Ok(second)] if second.transaction > first.transaction => Ok(*second),
            [Ok(meta), _] | [_, Ok(meta)] => Ok(*meta),
            [Err(MetaFault::Magic | MetaFault::Missing), Err(MetaFault::Magic | MetaFault::Missing)] => {
                Err(BoltError::NotBolt)
            }
            [Err(first), Err(second)] => {
                Err(BoltError::BothMetasBad { first: first.to_string(), second: second.to_string() })
            }
        }
    }

    fn search(file: &File) -> io::Result<Result<Meta, MetaFault>> {
        let mut nearest = Err(MetaFault::Missing);
        for size in PAGE_SIZES {
            match Self::read_one(file, u64::from(size))? {
                Ok(meta) if meta.page_size == size => return Ok(Ok(meta)),
                Ok(meta) => nearest = Err(MetaFault::PageSize { found: meta.page_size }),
                Err(MetaFault::Magic | MetaFault::Missing) => {}
                Err(fault) => nearest = Err(fault),
            }
        }
        Ok(nearest)
    }

    fn read_one(file: &File, offset: u64) -> io::Result<Result<Meta, MetaFault>> {
        let mut bytes = [0; META_SIZE];
        match file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Meta::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(MetaFault::Missing)),
            Err(error) => Err(error),
        }
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
