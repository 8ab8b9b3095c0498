//! A catalogue of ills, each made from a good file: none may pass for whole, and none may stop the reader.

use std::fs;
use std::path::Path;

use drctl::snapshot::bolt::{BoltError, Fault};
use drctl::snapshot::{ExamineError, Knowledge, ReadError, Verdict, examine};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::fixture;

const PAGE: usize = 4096;
const META_CHECKSUM: usize = 72;

/// A damaged copy, in a folder that is thrown away.
struct Ill {
    folder: TempDir,
}

impl Ill {
    fn new(bytes: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ill.db"), bytes).unwrap();
        Self { folder }
    }

    fn verdict(&self) -> Verdict {
        examine(&self.path()).unwrap().verdict
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("ill.db")
    }

    /// Reads all there is to read; that it ends is the point.
    fn read(&self) -> Result<Knowledge, ReadError> {
        Knowledge::read(&self.path())
    }

    fn fault(&self) -> (u64, Fault) {
        match self.read() {
            Err(ReadError::Pages(BoltError::Page { page, fault, .. })) => (page, fault),
            other => panic!("expected a faulty page, found {other:?}"),
        }
    }
}

fn whole() -> Vec<u8> {
    fs::read(fixture("etcd-3.4.db")).unwrap()
}

/// The number of the first page with these flags.
fn page_of(bytes: &[u8], flags: u16) -> usize {
    let is = |page: &usize| {
        bytes[page * PAGE..][..8] == (*page as u64).to_le_bytes()
            && bytes[page * PAGE + 8..][..2] == flags.to_le_bytes()
    };
    (0..bytes.len() / PAGE).find(is).unwrap()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

const BRANCH: u16 = 1;
const LEAF: u16 = 2;

#[test]
fn a_good_file_is_whole() {
    for name in ["etcd-3.4.db", "etcd-3.5.db"] {
        let examined = examine(&fixture(name)).unwrap();
        assert!(examined.verdict.is_whole());
        assert_eq!(examined.size, fs::metadata(fixture(name)).unwrap().len());
    }
}

#[test]
fn truncated_anywhere() {
    let bytes = whole();
    let pages = bytes.len() / PAGE;
    let borders = (1..=pages).flat_map(|page| [page * PAGE - 1, page * PAGE, page * PAGE + 1, page * PAGE + 32]);
    for length in borders.filter(|&length| length < bytes.len()) {
        let ill = Ill::new(&bytes[..length]);
        let verdict = ill.verdict();
        if length == pages * PAGE {
            assert_eq!(verdict, Verdict::NoTrailer, "only the trailer is gone");
        } else {
            let expected = Verdict::Truncated { expected: bytes.len() as u64, found: length as u64 };
            assert_eq!(verdict, expected, "at {length}");
        }
        // Trees that lie before the cut are read; no read ends in anything but a value or an error.
        drop(ill.read());
    }
    assert_eq!(Ill::new(&bytes[..2 * PAGE]).fault().1, Fault::PastEnd { size: 2 * PAGE as u64 });
}

#[test]
fn shorter_than_a_meta_page() {
    assert_eq!(Ill::new(&[]).verdict(), Verdict::Empty);
    assert!(matches!(Ill::new(&[]).read(), Err(ReadError::Pages(BoltError::NotBolt))));
    assert_eq!(Ill::new(&whole()[..31]).verdict(), Verdict::NotBolt);
}

#[test]
fn a_flipped_bit_in_any_page() {
    let bytes = whole();
    for page in 0..bytes.len() / PAGE {
        for within in [0, 9, 20, 75, 2000, PAGE - 1] {
            let mut damaged = bytes.clone();
            damaged[page * PAGE + within] ^= 0x10;
            let ill = Ill::new(&damaged);
            assert!(matches!(ill.verdict(), Verdict::Mismatch { .. }), "page {page}, byte {within}: {}", ill.verdict());
            drop(ill.read());
        }
    }
}

#[test]
fn a_wrong_trailer() {
    let mut bytes = whole();
    let end = bytes.len();
    put(&mut bytes, end - 32, &[0; 32]);
    let Verdict::Mismatch { expected, found } = Ill::new(&bytes).verdict() else { panic!("not found") };
    assert_eq!(expected.to_string(), "0".repeat(64));
    assert_eq!(found.0, whole()[end - 32..]);
}

#[test]
fn something_behind_the_end() {
    let bytes = [whole(), b"appended".to_vec()].concat();
    let expected = Verdict::OddSize { expected: whole().len() as u64, found: bytes.len() as u64 };
    assert_eq!(Ill::new(&bytes).verdict(), expected);
}

#[test]
fn not_a_database() {
    for content in [b"<html>404 Not Found</html>".repeat(4000), vec![0; 5 * PAGE + 32]] {
        let ill = Ill::new(&content);
        assert_eq!(ill.verdict(), Verdict::NotBolt);
        assert!(matches!(ill.read(), Err(ReadError::Pages(BoltError::NotBolt))));
    }
}

#[test]
fn another_programs_database() {
    let mut bytes = whole();
    // The list of buckets is the last thing that etcd wrote.
    let name = (0..bytes.len()).rfind(|&at| bytes[at..].starts_with(b"key")).unwrap();
    put(&mut bytes, name, b"kex");
    assert!(matches!(Ill::new(&bytes).read(), Err(ReadError::Foreign { .. })));
}

#[test]
fn one_bad_meta_page_is_survived() {
    let expected = Knowledge::read(&fixture("etcd-3.4.db")).unwrap().totals;
    for at in [META_CHECKSUM, PAGE + META_CHECKSUM] {
        let mut bytes = whole();
        bytes[at] ^= 1;
        assert_eq!(Ill::new(&bytes).read().unwrap().totals, expected);
    }
}

#[test]
fn both_meta_pages_bad() {
    let mut bytes = whole();
    bytes[META_CHECKSUM] ^= 1;
    bytes[PAGE + META_CHECKSUM] ^= 1;
    let ill = Ill::new(&bytes);
    assert!(matches!(ill.verdict(), Verdict::BothMetasBad { .. }), "{}", ill.verdict());
    assert!(matches!(ill.read(), Err(ReadError::Pages(BoltError::BothMetasBad { .. }))));
}

#[test]
fn a_branch_that_leads_to_itself() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH);
    let count = usize::from(u16::from_le_bytes([bytes[branch * PAGE + 10], bytes[branch * PAGE + 11]]));
    put(&mut bytes, branch * PAGE + 16 * count + 8, &(branch as u64).to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::Twice));
}

#[test]
fn a_branch_with_the_same_child_twice() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH) * PAGE;
    let child = bytes[branch + 16 + 8..branch + 32].to_vec();
    put(&mut bytes, branch + 32 + 8, &child);
    assert_eq!(Ill::new(&bytes).fault().1, Fault::Twice);
}

#[test]
fn a_child_far_away() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH) * PAGE;
    put(&mut bytes, branch + 16 + 8, &u64::MAX.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (u64::MAX, Fault::BeyondHighWater { last: 11 }));
}

#[test]
fn more_elements_than_fit() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH);
    put(&mut bytes, branch * PAGE + 10, &u16::MAX.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::TooMany { count: u16::MAX }));
    put(&mut bytes, branch * PAGE + 10, &0_u16.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::EmptyBranch));
}

#[test]
fn a_page_longer_than_the_file() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH);
    put(&mut bytes, branch * PAGE + 12, &u32::MAX.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::BeyondHighWater { last: 11 }));
}

#[test]
fn lengths_beyond_the_page() {
    for field in [4, 8, 12] {
        let mut bytes = whole();
        // The first leaf of the records: the one after the small buckets, with sixty elements.
        let leaf = (0..12).find(|page| bytes[page * PAGE + 8] == 2 && bytes[page * PAGE + 10] > 60).unwrap();
        put(&mut bytes, leaf * PAGE + 16 + field, &u32::MAX.to_le_bytes());
        assert_eq!(Ill::new(&bytes).fault(), (leaf as u64, Fault::OutsidePage { index: 0 }), "field {field}");
    }
}

#[test]
fn a_page_in_anothers_place() {
    let mut bytes = whole();
    let branch = page_of(&bytes, BRANCH);
    put(&mut bytes, branch * PAGE, &77_u64.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::WrongId { found: 77 }));
    put(&mut bytes, branch * PAGE, &(branch as u64).to_le_bytes());
    put(&mut bytes, branch * PAGE + 8, &0x10_u16.to_le_bytes());
    assert_eq!(Ill::new(&bytes).fault(), (branch as u64, Fault::WrongKind { flags: 0x10 }));
}

#[test]
fn errors_say_where() {
    let mut bytes = whole();
    let leaf = page_of(&bytes, LEAF);
    assert_ne!(leaf, 0);
    let branch = page_of(&bytes, BRANCH);
    put(&mut bytes, branch * PAGE + 16 + 8, &u64::MAX.to_le_bytes());
    let Err(ReadError::Pages(error)) = Ill::new(&bytes).read() else { panic!("read") };
    assert_eq!(
        error.to_string(),
        "page 18446744073709551615 at offset 18446744073709551615: beyond the last page in use, 11"
    );
}

#[test]
fn no_such_file() {
    assert!(matches!(examine(Path::new("/nonexistent")), Err(ExamineError::Open { .. })));
}

proptest! {
    /// Any bytes, in place of any bytes: the reader ends, and calls nothing whole that is not the file.
    #[test]
    fn damaged_at_random(changes in proptest::collection::vec((0_usize..49_184, proptest::collection::vec(any::<u8>(), 1..12)), 1..10)) {
        let good = whole();
        let mut bytes = good.clone();
        for (at, new) in changes {
            let end = (at + new.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
        let ill = Ill::new(&bytes);
        drop(ill.read());
        prop_assert!(bytes == good || !ill.verdict().is_whole());
    }

    /// Headers and elements are where damage does most.
    #[test]
    fn damaged_headers(changes in proptest::collection::vec((0_usize..12, 0_usize..80, any::<u8>()), 1..6)) {
        let mut bytes = whole();
        for (page, within, new) in changes {
            // The meta pages' checksums would stop all that follows.
            bytes[page.max(2) * PAGE + within] = new;
        }
        drop(Ill::new(&bytes).read());
    }
}
