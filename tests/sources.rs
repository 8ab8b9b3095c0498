//! Which snapshot is taken, and why not the others.

#![expect(clippy::unwrap_used, reason = "a file that cannot be written is a failure")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use drctl::packing::Packing;
use drctl::sources::{Chosen, Folder, Search, SourceEntry, SourceError, TimeFrom, Unpack, newest, still_there};

const WHOLE: &[u8] = include_bytes!("fixtures/snapshots/etcd-3.4.db");
const OTHER: &[u8] = include_bytes!("fixtures/snapshots/etcd-3.5.db");

fn source(path: &Path) -> SourceEntry {
    SourceEntry::Folder(Folder { path: path.to_owned(), pattern: "*.db".to_owned() })
}

async fn search(entries: &[SourceEntry]) -> Result<Search, SourceError> {
    let cache = tempfile::tempdir().unwrap();
    newest(entries, cache.path(), &Unpack::default(), &|_, _| {}).await
}

fn passed_over(search: &Search) -> Vec<String> {
    search.passed_over.iter().map(|passed| format!("{}: {}", passed.name, passed.reason)).collect()
}

#[tokio::test]
async fn the_newest_by_name_is_taken_not_the_newest_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("etcd-snapshot-2018-05-24_21\u{F022}54\u{F022}03_UTC.db", WHOLE);
    write("etcd-snapshot-2018-05-24_21:49:03_UTC.db", OTHER);
    let found = search(&[source(folder.path())]).await.unwrap();
    assert_eq!(found.chosen.name, "etcd-snapshot-2018-05-24_21\u{F022}54\u{F022}03_UTC.db");
    assert_eq!(found.chosen.taken, "2018-05-24T21:54:03Z".parse().unwrap());
    assert_eq!((found.chosen.size, found.chosen.time_from), (WHOLE.len() as u64, TimeFrom::Name));
    assert!(found.chosen.claims.revision > 0 && found.passed_over.is_empty());
    assert_eq!(found.chosen.values()["snapshot.sha256"], found.chosen.sha256);
}

#[tokio::test]
async fn what_is_not_whole_is_passed_over_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let write = |minute: u8, bytes: &[u8]| {
        std::fs::write(folder.path().join(format!("etcd-2024-01-01T00:{minute:02}:00Z.db")), bytes).unwrap();
    };
    let mut flipped = WHOLE.to_vec();
    flipped[WHOLE.len() / 2] ^= 1;
    write(1, OTHER);
    write(2, WHOLE);
    write(3, &flipped);
    write(4, &WHOLE[..WHOLE.len() - 512]);
    write(5, &WHOLE[..WHOLE.len() - 100]);
    write(6, b"");
    let found = search(&[source(folder.path())]).await.unwrap();
    assert_eq!(found.chosen.name, "etcd-2024-01-01T00:02:00Z.db");
    let passed = passed_over(&found);
    let reasons = ["06:00Z.db: empty: 0 bytes", "05:00Z.db: truncated", "04:00Z.db: ", "03:00Z.db: damaged"];
    assert_eq!(passed.len(), reasons.len(), "{passed:?}");
    for (told, reason) in passed.iter().zip(reasons) {
        assert!(told.starts_with(&format!("etcd-2024-01-01T00:{reason}")), "{told}");
    }
}

#[tokio::test]
async fn the_files_own_time_counts_where_the_name_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, age) in [("a.db", WHOLE, 60), ("b.db", OTHER, 3600)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }
    let found = search(&[source(folder.path())]).await.unwrap();
    assert_eq!((found.chosen.name.as_str(), found.chosen.time_from), ("a.db", TimeFrom::File));
}

#[tokio::test]
async fn a_source_that_fails_is_told_when_another_has_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.db"), WHOLE).unwrap();
    let found = search(&[source(Path::new("/no/such/folder")), source(folder.path())]).await.unwrap();
    assert_eq!(found.chosen.name, "a.db");
    assert_eq!(found.passed_over.len(), 1);
    assert_eq!(found.passed_over[0].source, "the folder /no/such/folder");
}

#[tokio::test]
async fn nothing_anywhere_is_an_error_that_tells_all() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.db"), b"no snapshot").unwrap();
    let entries = [source(Path::new("/no/such/folder")), source(folder.path())];
    let error = search(&entries).await.unwrap_err();
    let told = if let SourceError::None { passed_over } = &error { passed_over.len() } else { 0 };
    assert_eq!(told, 2, "{error}");
}

#[tokio::test]
async fn a_frozen_snapshot_is_found_again_by_its_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = tempfile::tempdir().unwrap();
    std::fs::write(first.path().join("a.db"), WHOLE).unwrap();
    let chosen = search(&[source(first.path())]).await.unwrap().chosen;
    let entries = [source(first.path()), source(second.path())];
    assert_eq!(still_there(chosen.clone(), &entries, cache.path(), &Unpack::default()).await.path, chosen.path);

    // A newer one has taken the name, as rotation does; the bytes live on under another.
    let mut others = WHOLE.to_vec();
    others[0] ^= 1;
    std::fs::write(first.path().join("a.db"), others).unwrap();
    std::fs::write(second.path().join("b.db"), WHOLE).unwrap();
    assert_eq!(
        still_there(chosen.clone(), &entries, cache.path(), &Unpack::default()).await.path,
        second.path().join("b.db")
    );

    std::fs::remove_file(second.path().join("b.db")).unwrap();
    assert_eq!(still_there(chosen.clone(), &entries, cache.path(), &Unpack::default()).await.path, chosen.path);
}

#[tokio::test]
async fn what_was_unpacked_is_found_again_and_leaves_nothing_behind() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("a.db.zst"), zstd::encode_all(WHOLE, 3).unwrap()).unwrap();
    let entries = [source(folder.path())];
    let chosen = newest(&entries, cache.path(), &Unpack::default(), &|_, _| {}).await.unwrap().chosen;
    assert_eq!((chosen.size, chosen.packed.as_slice()), (WHOLE.len() as u64, [Packing::Zstd].as_slice()));
    assert!(std::fs::read(&chosen.path).unwrap() == WHOLE);
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);

    // A run freezes it as text; who takes the run up again is another process.
    let frozen: Chosen = serde_json::from_str(&serde_json::to_string(&chosen).unwrap()).unwrap();
    let path = chosen.path.clone();
    drop(chosen);
    assert!(!std::fs::read(path).is_ok_and(|bytes| bytes == WHOLE), "it outlived its last holder");
    let found = still_there(frozen, &entries, cache.path(), &Unpack::default()).await;
    assert!(std::fs::read(&found.path).unwrap() == WHOLE);
}

fn encrypted(for_whom: &age::x25519::Identity, bytes: &[u8]) -> Vec<u8> {
    age::encrypt(&for_whom.to_public(), bytes).unwrap()
}

#[tokio::test]
async fn an_identity_that_is_missing_ends_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("etcd-2024-01-01T00:02:00Z.db.age", &encrypted(&age::x25519::Identity::generate(), WHOLE));
    write("etcd-2024-01-01T00:01:00Z.db", WHOLE);
    let error = search(&[source(folder.path())]).await.unwrap_err();
    assert!(matches!(&error, SourceError::NoIdentity { name, .. } if name.contains("00:02")), "{error}");
    assert!(error.to_string().contains("the inventory has no `[age] identity`"), "{error}");
}

/// A source of another machine: what it has is copied.
fn elsewhere(folder: &Path) -> SourceEntry {
    let url = format!("file://{}/", folder.display());
    serde_json::from_value(serde_json::json!({ "object_store": { "url": url } })).unwrap()
}

#[tokio::test]
async fn what_is_encrypted_for_others_is_not_fetched_to_the_last() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (own, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let key = folder.path().join("key");
    std::fs::write(&key, age::secrecy::ExposeSecret::expose_secret(&own.to_string())).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for minute in 1..9 {
        let name = format!("etcd-2024-01-01T00:0{minute}:00Z.db.age");
        std::fs::write(folder.path().join(name), encrypted(&other, OTHER)).unwrap();
    }
    let unpack = Unpack { identity: Some(drctl::inventory::SecretRef::File(key)), ..Unpack::default() };
    let error = newest(&[elsewhere(folder.path())], cache.path(), &unpack, &|_, _| {}).await.unwrap_err();
    let SourceError::None { passed_over } = error else { panic!("{error}") };
    let names: Vec<&str> = passed_over.iter().map(|passed| passed.name.as_str()).collect();
    assert_eq!(names.len(), 4, "{passed_over:?}");
    assert!(names[3] == "*" && passed_over[3].reason.contains("are encrypted for others"), "{passed_over:?}");
}

#[tokio::test]
async fn copies_go_only_when_they_are_of_no_use_to_anybody() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copies = || std::fs::read_dir(cache.path()).unwrap().count();
    let find = async |limit: &str| {
        let unpack = Unpack { limit: limit.parse().unwrap(), ..Unpack::default() };
        newest(&[elsewhere(folder.path())], cache.path(), &unpack, &|_, _| {}).await
    };
    std::fs::write(folder.path().join("a.db.zst"), zstd::encode_all(WHOLE, 3).unwrap()).unwrap();
    find("1KiB").await.unwrap_err();
    assert_eq!(copies(), 0, "a new copy that cannot be unpacked");
    find("1GiB").await.unwrap();
    assert_eq!(copies(), 1);
    find("1KiB").await.unwrap_err();
    assert_eq!(copies(), 1, "a run may need the one that was there");

    // The cache as a source: its files are the user's own.
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("mine.db"), b"no snapshot at all").unwrap();
    newest(&[source(own.path())], own.path(), &Unpack::default(), &|_, _| {}).await.unwrap_err();
    assert!(own.path().join("mine.db").exists());
}

#[tokio::test]
async fn a_frozen_snapshot_is_found_again_when_it_was_packed_or_unpacked_since() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    let entries = [source(folder.path())];
    let again = async |chosen: &Chosen| {
        let frozen = serde_json::from_str(&serde_json::to_string(chosen).unwrap()).unwrap();
        still_there(frozen, &entries, cache.path(), &Unpack::default()).await
    };
    std::fs::write(at("a.db"), WHOLE).unwrap();
    let chosen = search(&entries).await.unwrap().chosen;
    std::fs::write(at("a.db.zst"), zstd::encode_all(WHOLE, 3).unwrap()).unwrap();
    std::fs::remove_file(at("a.db")).unwrap();
    let found = again(&chosen).await;
    assert!(found.packed == [Packing::Zstd] && std::fs::read(&found.path).unwrap() == WHOLE);

    std::fs::write(at("a.db"), WHOLE).unwrap();
    std::fs::remove_file(at("a.db.zst")).unwrap();
    assert_eq!(again(&found).await.path, at("a.db"));

    std::fs::remove_file(at("a.db")).unwrap();
    let lost = again(&found).await;
    assert!(!lost.path.exists() && !lost.path.starts_with("/proc"), "{}", lost.path.display());
}
