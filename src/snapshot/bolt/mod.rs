//! Reads bbolt files: the pages, and the keys of a bucket in order. Never writes, never maps the file into memory.
//!
//! Every page is read by position when its turn comes, so a walk holds one page per level of the tree (and a bit per
//! page of the file), however large the file is, and a file that ends early is an error instead of a signal.
//! Nothing in the file is believed: each number is checked against the page, the file and the meta page's high-water
//! mark before it is used, no page belongs to two trees or to one tree twice, and the trees' depth is bounded. So a walk
//! ends, whatever the bytes are.

mod cursor;
mod error;
mod freelist;
mod meta;
mod page;
mod reached;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

pub use cursor::{Cursor, Direction};
pub use error::{BoltError, Fault, Place};
pub use freelist::Pages;
pub use meta::{Meta, MetaFault, Metas};
pub use page::Entry;
pub use reached::Reached;

use cursor::Holds;
use page::HEADER_SIZE;

/// etcd has ten.
const MOST_BUCKETS: usize = 256;
/// The longest of etcd's has fifteen bytes.
const LONGEST_NAME: usize = 255;

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

    /// No page reached yet: what walks over one file share.
    pub fn nothing_reached(&self) -> Reached {
        Reached::new(self)
    }

    /// The top-level buckets with their names, in order.
    pub fn buckets(&self, reached: &mut Reached) -> Result<Vec<(Vec<u8>, Bucket)>, BoltError> {
        let top = Bucket { root: Root::Page(self.meta.root) };
        let mut cursor = Cursor::new(self, &top, Direction::Forward, Holds::Buckets, reached)?;
        let mut found = Vec::new();
        while let Some(entry) = cursor.next()? {
            if found.len() == MOST_BUCKETS || entry.key.len() > LONGEST_NAME {
                let fault = Fault::TooManyBuckets { limit: MOST_BUCKETS, name: LONGEST_NAME };
                return Err(at(entry.place, fault));
            }
            found.push((entry.key.to_vec(), self.bucket(&entry)?));
        }
        Ok(found)
    }

    /// Walks a bucket's keys in order, or in the opposite order.
    pub fn walk<'a>(
        &'a self,
        bucket: &Bucket,
        direction: Direction,
        reached: &'a mut Reached,
    ) -> Result<Cursor<'a>, BoltError> {
        Cursor::new(self, bucket, direction, Holds::Values, reached)
    }

    /// What the pages are, once every bucket was walked to its end.
    pub fn pages(&self, reached: Reached) -> Result<Pages, BoltError> {
        freelist::settle(self, reached)
    }

    /// A bucket's value is `u64 root, u64 sequence`, then the page itself when the root is 0.
    fn bucket(&self, entry: &Entry<'_>) -> Result<Bucket, BoltError> {
        let length = entry.value.len();
        let broken = || at(entry.place, Fault::BrokenBucket { length });
        let (root, rest) = entry.value.split_first_chunk::<8>().ok_or_else(broken)?;
        let inline = rest.get(8..).ok_or_else(broken)?;
        // bbolt keeps a page within up to a quarter of a page's size.
        let fits = HEADER_SIZE <= inline.len() && inline.len() as u64 <= u64::from(self.meta.page_size);
        Ok(Bucket {
            root: match u64::from_le_bytes(*root) {
                0 if !fits => return Err(broken()),
                0 => Root::Inline { within: entry.place.page, bytes: inline.to_vec() },
                page => Root::Page(page),
            },
        })
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

fn at(place: Place, fault: Fault) -> BoltError {
    BoltError::Page { page: place.page, offset: place.offset, fault }
}
