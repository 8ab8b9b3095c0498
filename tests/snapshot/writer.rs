//! Writes bbolt files, to have those that no etcd at hand makes: of other page sizes, with a list of free pages as up to
//! etcd 3.3, with the keys that etcd 3.6 adds, and of other programs. Real etcd reads them too: a test holds it to that.

use std::path::Path;

use drctl::snapshot::bolt::{Bolt, Direction};
use sha2::{Digest as _, Sha256};

pub(crate) type Records = Vec<(Vec<u8>, Vec<u8>)>;
pub(crate) type Buckets = Vec<(Vec<u8>, Records)>;

const HEADER: usize = 16;
const ELEMENT: usize = 16;

/// How the list of free pages is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freelist {
    /// Not in the file: etcd 3.4 and later on Linux.
    None,
    /// In a page of its own, its length in the page's header.
    Short,
    /// The same, its length as the first number: how more than 65534 free pages are written.
    Long,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) page_size: usize,
    pub(crate) freelist: Freelist,
}

impl Default for Form {
    fn default() -> Self {
        Self { page_size: 4096, freelist: Freelist::None }
    }
}

/// All that a real file holds.
pub(crate) fn read(path: &Path) -> Buckets {
    let bolt = Bolt::open(path).unwrap();
    let mut reached = bolt.nothing_reached();
    let mut all = Vec::new();
    for (name, bucket) in bolt.buckets(&mut reached).unwrap() {
        let mut cursor = bolt.walk(&bucket, Direction::Forward, &mut reached).unwrap();
        let mut records = Vec::new();
        while let Some(entry) = cursor.next().unwrap() {
            records.push((entry.key.to_vec(), entry.value.to_vec()));
        }
        all.push((name, records));
    }
    all
}

/// The records of a bucket, which is made when there is none.
pub(crate) fn bucket<'a>(buckets: &'a mut Buckets, name: &str) -> &'a mut Records {
    let at = buckets.iter().position(|(known, _)| known == name.as_bytes());
    let at = at.unwrap_or_else(|| {
        buckets.push((name.into(), Vec::new()));
        buckets.len() - 1
    });
    &mut buckets[at].1
}

/// Puts a record in its place, instead of one of the same key.
pub(crate) fn put(records: &mut Records, key: &[u8], value: &[u8]) {
    records.retain(|(known, _)| known != key);
    records.push((key.to_vec(), value.to_vec()));
    records.sort();
}

/// A file of these buckets, without a trailer. Page 2 is free.
pub(crate) fn write(buckets: &Buckets, form: Form) -> Vec<u8> {
    let mut file = File { bytes: vec![0; 3 * form.page_size], page_size: form.page_size };
    let mut top: Records = buckets
        .iter()
        .map(|(name, records)| {
            let root = file.tree(records, 0);
            (name.clone(), [root.to_le_bytes(), [0; 8]].concat())
        })
        .collect();
    top.sort();
    let root = file.tree(&top, 1);
    let freelist = file.freelist(form.freelist);
    file.meta(0, 2, root, freelist);
    file.meta(1, 1, root, freelist);
    file.bytes
}

/// Makes the checksums of both meta pages fit what is in them.
pub(crate) fn mend_metas(bytes: &mut [u8]) {
    for page in [0, 4096] {
        let sum = fnv1a(&bytes[page + HEADER..page + HEADER + 56]);
        bytes[page + HEADER + 56..page + HEADER + 64].copy_from_slice(&sum.to_le_bytes());
    }
}

/// What the server adds when it sends a snapshot.
pub(crate) fn with_trailer(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

struct File {
    bytes: Vec<u8>,
    page_size: usize,
}

impl File {
    /// Appends a page; its number.
    fn page(&mut self, flags: u16, count: u16, body: &[u8]) -> u64 {
        let number = (self.bytes.len() / self.page_size) as u64;
        let pages = (HEADER + body.len()).div_ceil(self.page_size);
        let overflow = u32::try_from(pages - 1).unwrap();
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&flags.to_le_bytes());
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.extend_from_slice(&overflow.to_le_bytes());
        self.bytes.extend_from_slice(body);
        self.bytes.resize((usize::try_from(number).unwrap() + pages) * self.page_size, 0);
        number
    }

    /// Leaves, and branches above them until there is one page.
    fn tree(&mut self, records: &Records, flags: u32) -> u64 {
        let room = self.page_size - HEADER;
        let sizes = records.iter().map(|(key, value)| ELEMENT + key.len() + value.len());
        let mut level: Vec<(Vec<u8>, u64)> = split(records, sizes.collect(), room)
            .into_iter()
            .map(|part| {
                let key = part.first().map(|(key, _)| key.clone()).unwrap_or_default();
                (key, self.leaf(part, flags))
            })
            .collect();
        while level.len() > 1 {
            let sizes = level.iter().map(|(key, _)| ELEMENT + key.len()).collect();
            level = split(&level, sizes, room).into_iter().map(|part| (part[0].0.clone(), self.branch(part))).collect();
        }
        level[0].1
    }

    fn leaf(&mut self, records: &[(Vec<u8>, Vec<u8>)], flags: u32) -> u64 {
        let (mut elements, mut data) = (Vec::new(), Vec::new());
        for (at, (key, value)) in records.iter().enumerate() {
            let position = (records.len() - at) * ELEMENT + data.len();
            for number in [flags, length(position), length(key.len()), length(value.len())] {
                elements.extend_from_slice(&number.to_le_bytes());
            }
            data.extend_from_slice(&[key.as_slice(), value].concat());
        }
        self.page(2, u16::try_from(records.len()).unwrap(), &[elements, data].concat())
    }

    fn branch(&mut self, children: &[(Vec<u8>, u64)]) -> u64 {
        let (mut elements, mut data) = (Vec::new(), Vec::new());
        for (at, (key, child)) in children.iter().enumerate() {
            let position = (children.len() - at) * ELEMENT + data.len();
            elements.extend_from_slice(&length(position).to_le_bytes());
            elements.extend_from_slice(&length(key.len()).to_le_bytes());
            elements.extend_from_slice(&child.to_le_bytes());
            data.extend_from_slice(key);
        }
        self.page(1, u16::try_from(children.len()).unwrap(), &[elements, data].concat())
    }

    fn freelist(&mut self, freelist: Freelist) -> u64 {
        let free = 2_u64.to_le_bytes();
        match freelist {
            Freelist::None => u64::MAX,
            Freelist::Short => self.page(0x10, 1, &free),
            Freelist::Long => self.page(0x10, 0xFFFF, &[1_u64.to_le_bytes(), free].concat()),
        }
    }

    fn meta(&mut self, page: usize, transaction: u64, root: u64, freelist: u64) {
        let high_water = (self.bytes.len() / self.page_size) as u64;
        let mut body = Vec::new();
        for number in [0xED0C_DAED_u32, 2, length(self.page_size), 0] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        for number in [root, 0, freelist, high_water, transaction] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        let sum = fnv1a(&body);
        body.extend_from_slice(&sum.to_le_bytes());
        let at = page * self.page_size;
        self.bytes[at..at + 8].copy_from_slice(&(page as u64).to_le_bytes());
        self.bytes[at + 8..at + 10].copy_from_slice(&4_u16.to_le_bytes());
        self.bytes[at + HEADER..at + HEADER + body.len()].copy_from_slice(&body);
    }
}

/// Parts that each fit a page, or hold one element that fits none. At least one part.
fn split<T>(all: &[T], sizes: Vec<usize>, room: usize) -> Vec<&[T]> {
    let (mut parts, mut from, mut taken) = (Vec::new(), 0, 0);
    for (at, size) in sizes.into_iter().enumerate() {
        if at > from && taken + size > room {
            parts.push(&all[from..at]);
            (from, taken) = (at, 0);
        }
        taken += size;
    }
    parts.push(&all[from..]);
    parts
}

fn length(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
