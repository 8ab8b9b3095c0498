use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::Mutex;

use super::Host;
use crate::target::{Owner, Payload, Place, TargetError};

fn place(to: &str, mode: u32) -> Place {
    Place { to: to.to_owned(), mode, owner: Owner::root() }
}

const QUIET: &(dyn Fn(u64, u64) + Sync) = &|_, _| {};

#[tokio::test]
async fn a_small_file_is_placed_once() {
    let host = Host::new();
    let target = host.held().await;
    let to = host.path("etc/deep/ca.key");
    let placed = target.place(Payload::Bytes(b"secret"), &place(&to, 0o600), QUIET).await.unwrap();
    assert!(!placed.same);
    assert_eq!(placed.created, [host.path("etc"), host.path("etc/deep")]);
    assert_eq!(host.read("etc/deep/ca.key"), "secret");
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(host.path("etc")).unwrap().mode() & 0o7777, 0o755);
    let before = host.tree("etc");
    assert!(target.place(Payload::Bytes(b"secret"), &place(&to, 0o600), QUIET).await.unwrap().same);
    assert_eq!(host.tree("etc"), before);
    assert!(!target.place(Payload::Bytes(b"secret"), &place(&to, 0o644), QUIET).await.unwrap().same);
    let owner = "1000:nogroup".parse().unwrap();
    let other = Place { owner, ..place(&to, 0o640) };
    assert!(!target.place(Payload::Bytes(b"secret"), &other, QUIET).await.unwrap().same);
    assert!(target.place(Payload::Bytes(b"secret"), &other, QUIET).await.unwrap().same);
    assert_eq!(fs::metadata(&to).unwrap().uid(), 1000);
    assert_eq!(fs::read_dir(host.path("etc/deep")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_large_file_goes_on_from_where_it_was() {
    let host = Host::new();
    let target = host.held().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let from = host.path("snapshot.db");
    fs::write(&from, &bytes).unwrap();
    let sha = target.digest(&from).await.unwrap().unwrap();
    fs::create_dir_all(host.path("state/drctl/run-1/uploads")).unwrap();
    fs::write(host.path(&format!("state/drctl/run-1/uploads/{sha}")), &bytes[..5_000_000]).unwrap();
    let first = Mutex::new(None);
    let tell = |done, _| {
        first.lock().unwrap().get_or_insert(done);
    };
    let to = host.path("to.db");
    let placed = target.place(Payload::File(from.as_ref()), &place(&to, 0o640), &tell).await.unwrap();
    assert!(!placed.same);
    assert_eq!(*first.lock().unwrap(), Some(5_000_000));
    assert_eq!(fs::read(&to).unwrap(), bytes);
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o640);
    assert!(target.place(Payload::File(from.as_ref()), &place(&to, 0o640), QUIET).await.unwrap().same);
    assert_eq!(fs::read_dir(host.path("state/drctl/run-1/uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_partial_file_with_wrong_bytes_is_noticed_then_sent_anew() {
    let host = Host::new();
    let target = host.held().await;
    let bytes = vec![7; 1_000_000];
    let from = host.path("a");
    fs::write(&from, &bytes).unwrap();
    let sha = target.digest(&from).await.unwrap().unwrap();
    fs::create_dir_all(host.path("state/drctl/run-1/uploads")).unwrap();
    fs::write(host.path(&format!("state/drctl/run-1/uploads/{sha}")), [8; 1000]).unwrap();
    let to = place(&host.path("b"), 0o600);
    let error = target.place(Payload::File(from.as_ref()), &to, QUIET).await.unwrap_err();
    assert!(matches!(error, TargetError::Digest { .. }), "{error}");
    target.place(Payload::File(from.as_ref()), &to, QUIET).await.unwrap();
    assert_eq!(fs::read(host.path("b")).unwrap(), bytes);
}

#[tokio::test]
async fn another_file_system_is_no_obstacle() {
    let host = Host::new();
    let target = host.held().await;
    let bytes = vec![9; 1_000_000];
    let to = tempfile::tempdir_in("/dev/shm").unwrap();
    let to = to.path().join("b");
    target.place(Payload::Bytes(&bytes), &place(to.to_str().unwrap(), 0o600), QUIET).await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), bytes);
}

#[tokio::test]
async fn planted_links_are_replaced_and_never_followed() {
    let host = Host::new();
    let target = host.held().await;
    let victim = host.write("victim", "untouched");
    for payload in [vec![1; 10], vec![1; 400_000]] {
        let to = host.path("dir/to");
        host.write("dir/x", "");
        symlink(&victim, &to).unwrap();
        symlink(&victim, target.new_beside(&to)).unwrap();
        target.place(Payload::Bytes(&payload), &place(&to, 0o600), QUIET).await.unwrap();
        assert_eq!(host.read("victim"), "untouched");
        assert!(fs::symlink_metadata(&to).unwrap().is_file());
        fs::remove_dir_all(host.path("dir")).unwrap();
    }
}

#[tokio::test]
async fn a_way_through_somebody_elses_link_is_refused() {
    let host = Host::new();
    let target = host.held().await;
    host.write("real/x", "");
    symlink("real", host.path("alias")).unwrap();
    let to = host.path("alias/to");
    target.place(Payload::Bytes(b"1"), &place(&to, 0o600), QUIET).await.unwrap();
    std::os::unix::fs::lchown(host.path("alias"), Some(1000), None).unwrap();
    let error = target.place(Payload::Bytes(b"2"), &place(&to, 0o600), QUIET).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error}");
    assert_eq!(host.read("real/to"), "1");
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let host = Host::new();
    let target = host.held().await;
    for name in ["-rf", "a b", "$(touch oops)", "'\"", "*", "\u{f022}:x"] {
        let to = host.path(name);
        target.place(Payload::Bytes(b"1"), &place(&to, 0o600), QUIET).await.unwrap();
        assert_eq!(target.read_file(&to, 10).await.unwrap().unwrap(), b"1");
        assert!(target.digest(&to).await.unwrap().is_some());
    }
    assert_eq!(target.read_file(&host.path("none"), 10).await.unwrap(), None);
    for path in ["relative", "/", "/a/../b", "/a//b", "/a\nb"] {
        let error = target.place(Payload::Bytes(b"1"), &place(path, 0o600), QUIET).await.unwrap_err();
        assert!(matches!(error, TargetError::Path { .. }), "{path}");
    }
}

#[tokio::test]
async fn a_key_is_never_wider_than_it_ends() {
    let host = Host::new();
    let target = host.held().await;
    let dir = host.path("pki");
    fs::create_dir(&dir).unwrap();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (watched, over) = (dir.clone(), done.clone());
    let polling = std::thread::spawn(move || {
        let mut widest = 0;
        while !over.load(std::sync::atomic::Ordering::SeqCst) {
            for entry in fs::read_dir(&watched).unwrap().flatten() {
                widest |= entry.metadata().map_or(0, |about| about.mode() & 0o777);
            }
        }
        widest
    });
    for n in 0_u8..10 {
        let to = place(&format!("{dir}/ca.key"), 0o600);
        target.place(Payload::Bytes(&[n; 5000]), &to, QUIET).await.unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(polling.join().unwrap(), 0o600);
}
