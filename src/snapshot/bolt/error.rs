//! What can be wrong with a bbolt file, said with page and offset.

use thiserror::Error;

/// A page, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub page: u64,
    /// Where in the file it begins.
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "page {} at offset {}", self.page, self.offset)
    }
}

/// A file that could not be read as bbolt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BoltError {
    /// The system failed to read.
    #[error("could not read at offset {offset}")]
    Read {
        /// Where in the file.
        offset: u64,
        /// Why.
        source: std::io::Error,
    },
    /// Neither meta page begins as one does.
    #[error("not a bbolt file: no meta page found")]
    NotBolt,
    /// There are meta pages, but each is damaged.
    #[error("both meta pages are damaged: {first}; {second}")]
    BothMetasBad {
        /// What is wrong with the first.
        first: String,
        /// What is wrong with the second.
        second: String,
    },
    /// A page is not what it should be.
    #[error("page {page} at offset {offset}: {fault}")]
    Page {
        /// The page's number.
        page: u64,
        /// Where in the file (the page's first byte, or the faulty element).
        offset: u64,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends within the page.
    #[error("the file ends here, after {size} bytes")]
    PastEnd {
        /// The file's size.
        size: u64,
    },
    /// The number is not below the high-water mark.
    #[error("beyond the last page in use, {last}")]
    BeyondHighWater {
        /// The last page in use.
        last: u64,
    },
    /// The page says that it is another one.
    #[error("calls itself page {found}")]
    WrongId {
        /// What it says.
        found: u64,
    },
    /// Neither branch nor leaf.
    #[error("expected a branch or a leaf, found flags {flags:#06x}")]
    WrongKind {
        /// What it says.
        flags: u16,
    },
    /// Spans more pages than any real value needs.
    #[error("spans {bytes} bytes, more than the {limit} that are read")]
    TooLong {
        /// How much it spans.
        bytes: u64,
        /// How much is read at most.
        limit: u64,
    },
    /// More elements than fit.
    #[error("has {count} elements, more than fit")]
    TooMany {
        /// How many it says.
        count: u16,
    },
    /// A branch without children.
    #[error("is a branch without children")]
    EmptyBranch,
    /// An element's key or value lies outside the page.
    #[error("element {index} lies outside the page")]
    OutsidePage {
        /// Which element.
        index: u16,
    },
    /// Keys are not in order.
    #[error("element {index} is out of order")]
    Unordered {
        /// Which element.
        index: u16,
    },
    /// A page that was already read in this walk.
    #[error("is reached twice")]
    Twice,
    /// The tree is deeper than any real one.
    #[error("is deeper than {limit} levels")]
    TooDeep {
        /// How deep is read at most.
        limit: usize,
    },
    /// A bucket's value is neither a header nor a header with a small page behind it.
    #[error("holds a bucket of {length} bytes, which is neither a header nor a page kept within")]
    BrokenBucket {
        /// Its length.
        length: usize,
    },
    /// A value among the top-level buckets.
    #[error("element {index} is a value where all are buckets")]
    NotBucket {
        /// Which element.
        index: u16,
    },
    /// A bucket within a bucket.
    #[error("element {index} is a bucket where all are values")]
    Nested {
        /// Which element.
        index: u16,
    },
    /// More buckets, or longer names, than a program that drctl reads files of has.
    #[error("has more than {limit} buckets, or one with a name of more than {name} bytes")]
    TooManyBuckets {
        /// How many are read at most.
        limit: usize,
        /// How long a name is at most.
        name: usize,
    },
    /// Not the list of free pages.
    #[error("expected the list of free pages, found flags {flags:#06x}")]
    NoFreelist {
        /// What it says.
        flags: u16,
    },
    /// More free pages than the list has room for.
    #[error("lists {count} free pages, more than fit")]
    TooManyFree {
        /// How many it says.
        count: u64,
    },
    /// A free page that the file does not have.
    #[error("lists page {page} as free, which is none of the file's")]
    FreeOutside {
        /// The page.
        page: u64,
    },
    /// A free page that a tree uses, or that is listed twice: the next write would destroy it.
    #[error("lists page {page} as free, which is in use or listed already")]
    FreeInUse {
        /// The page.
        page: u64,
    },
}
