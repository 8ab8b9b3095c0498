//! The snapshot reader beside real etcd, and against files that are not what they should be.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by panicking")]

#[path = "snapshot/command.rs"]
mod command;
#[path = "snapshot/etcd.rs"]
mod etcd;
#[path = "snapshot/forms.rs"]
mod forms;
#[path = "snapshot/ills.rs"]
mod ills;
#[path = "snapshot/origin.rs"]
mod origin;
#[path = "snapshot/writer.rs"]
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use drctl::snapshot::keyspace::Alarm;
use drctl::snapshot::{Keyspace, Totals, Verdict, examine};
use etcd_client::{Client, CompactionOptions, GetOptions, PutOptions, Txn, TxnOp};
use tempfile::TempDir;

use etcd::{Etcd, Programs};

/// Value, creation, change, version, lease.
type Pair = (Vec<u8>, i64, i64, i64, i64);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshots").join(name)
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn totals_and_pairs_are_those_that_etcd_answers() {
    for programs in Programs::all() {
        let etcd = Etcd::start(&programs);
        let mut client = etcd.client().await;
        let folder = TempDir::new().unwrap();
        let mut dice = Dice(1);
        for round in 0..6 {
            for _ in 0..60 {
                change(&mut client, &mut dice).await;
            }
            if round % 2 == 1 {
                let newest = client.status().await.unwrap().header().unwrap().revision();
                let keep = i64::try_from(dice.roll(20)).unwrap();
                client.compact(newest - keep, Some(CompactionOptions::new().with_physical())).await.unwrap();
            }
            let file = folder.path().join(format!("{round}.db"));
            etcd.save(&file);
            compare(&mut client, &file).await;
            assert_eq!(examine(&file).unwrap().verdict, Verdict::Whole);
        }
    }
}

/// One of the ways in which a store changes.
async fn change(client: &mut Client, dice: &mut Dice) {
    let key = format!("/registry/things/{:03}", dice.roll(200));
    match dice.roll(10) {
        0 => _ = client.delete(key, None).await.unwrap(),
        1 => {
            let length = usize::try_from(dice.roll(60_000)).unwrap();
            _ = client.put(key, vec![7; length], None).await.unwrap();
        }
        2 => {
            let lease = client.lease_grant(3600, None).await.unwrap().id();
            _ = client.put(key, "leased", Some(PutOptions::new().with_lease(lease))).await.unwrap();
        }
        3 => {
            let puts = (0..40).map(|i| TxnOp::put(format!("/many/{:04}", dice.roll(2000) * 40 + i), "x", None));
            let mut operations: Vec<_> = puts.collect();
            operations.push(TxnOp::delete(key, None));
            _ = client.txn(Txn::new().and_then(operations)).await.unwrap();
        }
        _ => _ = client.put(key, dice.roll(1 << 30).to_string(), None).await.unwrap(),
    }
}

async fn compare(client: &mut Client, file: &Path) {
    let all = client.get([0], Some(GetOptions::new().with_from_key())).await.unwrap();
    let expected: BTreeMap<Vec<u8>, Pair> = all
        .kvs()
        .iter()
        .map(|kv| {
            let pair = (kv.value().to_vec(), kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease());
            (kv.key().to_vec(), pair)
        })
        .collect();
    let mut found = BTreeMap::new();
    let totals = Keyspace::open(file).unwrap().for_each_live(|kv| {
        let pair = (kv.value.clone(), kv.create_revision, kv.mod_revision, kv.version, kv.lease);
        assert!(found.insert(kv.key.clone(), pair).is_none(), "a key is shown once");
    });
    let totals = totals.unwrap().totals;
    assert!(found == expected, "the pairs differ");
    assert_eq!(totals.live_keys, u64::try_from(all.count()).unwrap());
    assert_eq!(totals.revision, all.header().unwrap().revision());
}

#[tokio::test]
async fn the_revision_outlives_its_record() {
    for programs in Programs::all() {
        let etcd = Etcd::start(&programs);
        let mut client = etcd.client().await;
        client.put("a", "1", None).await.unwrap();
        client.put("b", "1", None).await.unwrap();
        let deleted = client.delete("b", None).await.unwrap().header().unwrap().revision();
        client.compact(deleted, Some(CompactionOptions::new().with_physical())).await.unwrap();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("snapshot.db");
        etcd.save(&file);
        compare(&mut client, &file).await;
    }
}

#[tokio::test]
async fn a_copied_database_has_no_trailer_and_the_same_keys() {
    for programs in Programs::all() {
        let etcd = Etcd::start(&programs);
        let mut client = etcd.client().await;
        client.put("a", "1", None).await.unwrap();
        client.put("a", "2", None).await.unwrap();
        let folder = TempDir::new().unwrap();
        let saved = folder.path().join("saved.db");
        etcd.save(&saved);
        let data = etcd.stop();
        let copied = data.path().join("member/snap/db");
        assert_eq!(examine(&copied).unwrap().verdict, Verdict::NoTrailer);
        let totals = |file: &Path| Keyspace::open(file).unwrap().totals().unwrap();
        assert_eq!(totals(&copied), totals(&saved));
    }
}

#[tokio::test]
async fn a_bumped_revision_is_no_key() {
    for programs in Programs::all().into_iter().filter(|programs| programs.has("etcdutl")) {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("restored");
        let arguments = ["--bump-revision", "1000000000", "--mark-compacted", "--data-dir", data.to_str().unwrap()];
        let snapshot = fixture("etcd-3.5.db");
        programs.run("etcdutl", &[&["snapshot", "restore", snapshot.to_str().unwrap()], arguments.as_slice()].concat());
        let before = Keyspace::open(&snapshot).unwrap().totals().unwrap();
        let restored = Keyspace::open(&data.join("member/snap/db")).unwrap();
        let after = restored.totals().unwrap();
        assert_eq!(after.live_keys, before.live_keys);
        assert_eq!(after.revision, before.revision + 1_000_000_000);
        assert_eq!(restored.store().compaction_asked, after.revision);
    }
}

#[test]
fn small_snapshots_say_what_was_put_into_them() {
    for version in ["3.4", "3.5"] {
        let keyspace = Keyspace::open(&fixture(&format!("etcd-{version}.db"))).unwrap();
        let expected = Totals { revision: 9, records: 174, live_keys: 112, live_bytes: 6704 };
        assert_eq!(keyspace.totals().unwrap(), expected);
        let store = keyspace.store();
        assert_eq!(store.cluster_version.as_deref(), Some(format!("{version}.0").as_str()));
        assert_eq!(store.members.len(), 1);
        assert_eq!(store.members[0].name, "node1");
        assert_eq!(store.members[0].peer_urls, ["http://127.0.0.1:23796"]);
        assert_eq!(store.alarms, Vec::<Alarm>::new());
        assert_eq!(store.compacted, 0);
        assert!(store.consistent_index.is_some());
    }
}
