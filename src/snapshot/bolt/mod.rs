//! Reads bbolt files: the pages, and the keys of a bucket in order. Never writes, never maps the file into memory.
//!
//! Every page is read by position when its turn comes, so a walk holds one page per level of the tree (and a bit per
//! page of the file), however large the file is, and a file that ends early is an error instead of a signal.
//! Nothing in the file is believed: each number is checked against the page, the file and the meta page's high-water
//! mark before it is used, a page is read at most once per walk, and the tree's depth is bounded. So a walk ends, whatever the
//! bytes are.

mod cursor;
mod error;
mod meta;
mod page;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

pub use cursor::{Cursor, Direction};
pub use error::{BoltError, Fault};
pub use meta::{Meta, MetaFault, Metas};
pub use page::Entry;

use page::HEADER_SIZE;

/// A bbolt file, open for reading.
#[derive(Debug)]
pub struct Bolt {
    file: File,
    size: u64,
    meta: Meta,
}

/// The root of a bucket's tree: a page of its own, or a page kept within the bucket's value.
#[derive(Debug, Clone)]
pub struct Bucket {
    root: Root,
}

#[derive(Debug, Clone)]
enum Root {
    Page(u64),
    Inline { within: u64, bytes: Vec<u8> },
}

impl Bolt {
    /// Opens a file and chooses the newer of its valid meta pages.
    pub fn open(path: &Path) -> Result<Self, BoltError> {
        File::open(path).map_err(|source| BoltError::Read { offset: 0, source }).and_then(Self::from_file)
    }

    /// Reads from a file that is already open.
    pub fn from_file(file: File) -> Result<Self, BoltError> {
        let failed = |source| BoltError::Read { offset: 0, source };
        let size = file.metadata().map_err(failed)?.len();
        let meta = Metas::read(&file).map_err(failed)?.newest()?;
        Ok(Self { file, size, meta })
    }

    /// The meta page in use.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The top-level bucket of that name; `None` when there is none.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket>, BoltError> {
        let mut top = Cursor::new(self, &Bucket { root: Root::Page(self.meta.root) }, Direction::Forward)?;
        while let Some(entry) = top.next()? {
            if entry.is_bucket && entry.key == name {
                return Bucket::parse(entry.value, entry.page).map(Some);
            }
        }
        Ok(None)
    }

    /// Walks a bucket's keys in order, or in the opposite order.
    pub fn walk(&self, bucket: &Bucket, direction: Direction) -> Result<Cursor<'_>, BoltError> {
        Cursor::new(self, bucket, direction)
    }

    fn read_at(&self, into: &mut [u8], page: u64, offset: u64) -> Result<(), BoltError> {
        self.file.read_exact_at(into, offset).map_err(|source| {
            if source.kind() == std::io::ErrorKind::UnexpectedEof {
                BoltError::Page { page, offset, fault: Fault::PastEnd { size: self.size } }
            } else {
                BoltError::Read { offset, source }
            }
        })
    }
}

impl Bucket {
    /// A bucket's value is `u64 root, u64 sequence`, then the page itself when the root is 0.
    fn parse(value: &[u8], within: u64) -> Result<Self, BoltError> {
        let broken = || BoltError::Page { page: within, offset: 0, fault: Fault::BrokenBucket { length: value.len() } };
        let (root, rest) = value.split_first_chunk::<8>().ok_or_else(broken)?;
        let inline = rest.get(8..).ok_or_else(broken)?;
        Ok(Self {
            root: match u64::from_le_bytes(*root) {
                0 if inline.len() < HEADER_SIZE => return Err(broken()),
                0 => Root::Inline { within, bytes: inline.to_vec() },
                page => Root::Page(page),
            },
        })
    }
}
