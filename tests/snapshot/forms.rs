//! Files of other forms than those that the etcd at hand makes. They are written here, from real content.

use std::collections::BTreeMap;
use std::fs;

use drctl::snapshot::bolt::{BoltError, Fault};
use drctl::snapshot::{Keyspace, Knowledge, ReadError, Verdict, examine, verify};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::etcd::{Etcd, Programs};
use crate::fixture;
use crate::writer::{Buckets, Form, Freelist, bucket, mend_metas, put, read, with_trailer, write};

const PAGE: usize = 4096;

/// A written file, in a folder that is thrown away.
struct Written {
    folder: TempDir,
}

impl Written {
    fn new(bytes: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("snapshot.db"), bytes).unwrap();
        Self { folder }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("snapshot.db")
    }

    fn fault(&self) -> Fault {
        match Keyspace::open(&self.path()).and_then(|keyspace| keyspace.totals()) {
            Err(ReadError::Pages(BoltError::Page { fault, .. })) => fault,
            other => panic!("expected a faulty page, found {other:?}"),
        }
    }
}

/// What etcd 3.6 adds to the store.
fn as_of_3_6(mut buckets: Buckets) -> Buckets {
    let meta = bucket(&mut buckets, "meta");
    put(meta, b"confState", br#"{"voters":[10276657743932975437]}"#);
    put(meta, b"storageVersion", b"3.6.0");
    put(meta, b"term", &2_u64.to_be_bytes());
    put(bucket(&mut buckets, "cluster"), b"clusterVersion", b"3.6.0");
    buckets
}

#[test]
fn the_storage_version_of_3_6_is_read() {
    let bytes = with_trailer(write(&as_of_3_6(read(&fixture("etcd-3.5.db"))), Form::default()));
    let written = Written::new(&bytes);
    assert!(verify(&written.path()).unwrap().whole);
    let keyspace = Keyspace::open(&written.path()).unwrap();
    assert_eq!(keyspace.store().storage_version.as_deref(), Some("3.6.0"));
    assert_eq!(keyspace.store().cluster_version.as_deref(), Some("3.6.0"));
    assert_eq!(keyspace.totals().unwrap(), Keyspace::open(&fixture("etcd-3.5.db")).unwrap().totals().unwrap());
}

#[test]
fn a_list_of_free_pages_is_read() {
    let buckets = read(&fixture("etcd-3.4.db"));
    let expected = Keyspace::open(&fixture("etcd-3.4.db")).unwrap().totals().unwrap();
    for (freelist, own) in [(Freelist::None, 0), (Freelist::Short, 1), (Freelist::Long, 1)] {
        for page_size in [4096, 16_384, 65_536] {
            let bytes = with_trailer(write(&buckets, Form { page_size, freelist }));
            let written = Written::new(&bytes);
            assert_eq!(examine(&written.path()).unwrap().verdict, Verdict::Whole);
            let walked = Keyspace::open(&written.path()).unwrap().for_each_live(|_| {}).unwrap();
            assert_eq!(walked.totals, expected);
            let pages = walked.pages;
            assert_eq!((pages.free, pages.lost), (1, 0), "{freelist:?} {page_size}");
            assert_eq!(pages.used + pages.free, pages.total);
            assert_eq!(u64::from(pages.size) * pages.total + 32, bytes.len() as u64);
            assert!(pages.used >= 3 + own);
        }
    }
}

#[test]
fn a_list_of_free_pages_that_lies() {
    let good = write(&read(&fixture("etcd-3.4.db")), Form { page_size: PAGE, freelist: Freelist::Short });
    let list = good.len() - PAGE;
    let number = (list / PAGE) as u64;
    let with = |at: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[list + at..list + at + new.len()].copy_from_slice(new);
        Written::new(&bytes).fault()
    };
    assert_eq!(with(16, &3_u64.to_le_bytes()), Fault::FreeInUse { page: 3 });
    assert_eq!(with(16, &number.to_le_bytes()), Fault::FreeInUse { page: number });
    assert_eq!(with(16, &1_u64.to_le_bytes()), Fault::FreeOutside { page: 1 });
    assert_eq!(with(16, &(1_u64 << 63).to_le_bytes()), Fault::FreeOutside { page: 1 << 63 });
    assert_eq!(with(10, &600_u16.to_le_bytes()), Fault::TooManyFree { count: 600 });
    assert_eq!(with(8, &2_u16.to_le_bytes()), Fault::NoFreelist { flags: 2 });
    assert_eq!(with(12, &u32::MAX.to_le_bytes()), Fault::BeyondHighWater { last: number });
    let mut long = [0xFF, 0xFF, 0, 0, 0, 0].to_vec();
    long.extend_from_slice(&(1_u64 << 63).to_le_bytes());
    assert_eq!(with(10, &long), Fault::TooManyFree { count: 1 << 63 });
}

#[test]
fn a_database_of_another_program() {
    let buckets: Buckets =
        vec![(b"containers".to_vec(), vec![(b"a".to_vec(), b"{}".to_vec())]), (b"images".to_vec(), Vec::new())];
    let written = Written::new(&write(&buckets, Form::default()));
    let error = Keyspace::open(&written.path()).unwrap_err();
    assert_eq!(error.to_string(), "not etcd's database: it has no bucket `key`, but `containers`, `images`");
}

#[test]
fn a_record_that_is_none() {
    let changed = |name: &str, key: &[u8], value: &[u8]| {
        let mut buckets = read(&fixture("etcd-3.4.db"));
        put(bucket(&mut buckets, name), key, value);
        let written = Written::new(&write(&buckets, Form::default()));
        let read = Keyspace::open(&written.path()).and_then(|keyspace| keyspace.totals());
        read.unwrap_err().to_string().split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(changed("key", b"short", b""), "a record's key of 5 bytes is no revision");
    let revision = b"\0\0\0\0\0\0\0\x63_\0\0\0\0\0\0\0\0";
    assert_eq!(changed("key", revision, b"\xff\xff"), "the record of revision 99 is damaged");
    assert_eq!(changed("meta", b"consistent_index", b"7"), "a record of the bucket `meta` is damaged: 1 bytes long");
    assert!(changed("members", b"1", b"{").starts_with("a record of the bucket `members` is damaged: "));
}

#[tokio::test]
async fn real_etcd_takes_the_written_file_for_its_own() {
    for programs in Programs::all().into_iter().filter(|programs| programs.has("etcdutl")) {
        let bytes =
            with_trailer(write(&read(&fixture("etcd-3.5.db")), Form { page_size: PAGE, freelist: Freelist::Short }));
        let written = Written::new(&bytes);
        let path = written.path();
        let status = programs.run("etcdutl", &["snapshot", "status", "-w", "json", path.to_str().unwrap()]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let totals = Keyspace::open(&path).unwrap().totals().unwrap();
        assert_eq!(status["revision"], totals.revision);

        let data = written.folder.path().join("data");
        programs.run("etcdutl", &["snapshot", "restore", path.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        let folder = TempDir::new().unwrap();
        fs::rename(data.join("member"), folder.path().join("member")).unwrap();
        let etcd = Etcd::start_on(&programs, folder);
        let mut client = etcd.client().await;
        let count = etcd_client::GetOptions::new().with_prefix().with_count_only();
        assert_eq!(client.get("", Some(count)).await.unwrap().count(), i64::try_from(totals.live_keys).unwrap());
    }
}

fn any_records() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let value =
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 3000..9000),];
    proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 1..30), value, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written is read, in order, in every page size, forwards as backwards.
    #[test]
    fn what_is_written_is_read(records in any_records(), large in any::<bool>()) {
        let records: Vec<_> = records.into_iter().collect();
        let buckets = vec![(b"b".to_vec(), records.clone()), (b"e".to_vec(), Vec::new())];
        let page_size = if large { 16_384 } else { 4096 };
        let written = Written::new(&write(&buckets, Form { page_size, freelist: Freelist::Short }));
        prop_assert_eq!(read(&written.path()), buckets);
    }

    /// Damage in any page of a file with a list of free pages, its meta pages' checksums made good again: the reader ends.
    #[test]
    fn damaged_in_any_page(changes in proptest::collection::vec((0_usize..14, 0_usize..4096, any::<u8>()), 1..12)) {
        let mut bytes = write(&read(&fixture("etcd-3.4.db")), Form { page_size: PAGE, freelist: Freelist::Long });
        for (page, within, new) in changes {
            let at = (page * PAGE + within).min(bytes.len() - 1);
            bytes[at] = new;
        }
        mend_metas(&mut bytes);
        let written = Written::new(&bytes);
        let keyspace = fs::File::open(written.path()).map(Keyspace::from_file).unwrap();
        drop(keyspace.and_then(|keyspace| Knowledge::of(&keyspace)));
        prop_assert!(!verify(&written.path()).unwrap().whole, "without a trailer nothing is whole");
    }
}
