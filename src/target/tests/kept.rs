use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::Host;
use crate::target::{How, Keep, Owner, Payload, Place, StillKept, Target};

/// A tree with what trees have: modes, owners, links, odd names.
fn furnish(host: &Host) {
    host.write("data/etcd/member/wal/0.wal", "wal");
    host.write("data/etcd/member/snap/db", "db");
    host.write("data/etcd/-odd 'name'\n$(id)", "odd");
    host.write("data/etc/kubernetes/pki/ca.key", "key");
    host.write("data/etc/kubernetes/pki/gone.crt", "crt");
    symlink("ca.key", host.path("data/etc/kubernetes/pki/link")).unwrap();
    fs::set_permissions(host.path("data/etc/kubernetes/pki/ca.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(host.path("data/etcd"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(host.path("data/etcd/member/snap"), Some(1000), Some(1001)).unwrap();
}

fn keeps(host: &Host) -> Vec<Keep> {
    vec![
        Keep::moved(host.path("data/etcd")),
        Keep::copied(host.path("data/etc/kubernetes")),
        Keep::moved(host.path("data/etc/kubernetes/pki/link")),
        Keep::moved(host.path("data/not/there/yet")),
        Keep::copied(host.path("data/nor this")),
    ]
}

fn wreck(host: &Host) {
    host.write("data/etcd/member/new", "new");
    host.write("data/etc/kubernetes/pki/ca.key", "other");
    fs::set_permissions(host.path("data/etc/kubernetes"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::remove_file(host.path("data/etc/kubernetes/pki/gone.crt")).unwrap();
    host.write("data/not/there/yet", "now");
    host.write("data/nor this/either", "now");
}

async fn twice_put_back(target: &Target) {
    target.put_back("step").await.unwrap();
    target.put_back("step").await.unwrap();
}

/// All of it, as far as nobody removed any of it.
const ALL: StillKept = StillKept::Except { gone: Vec::new() };

/// Whether the script was cut after so many of its durable deeds: `sync` is where it dies.
async fn was_cut(target: &Target, at: usize, script: &str) -> bool {
    let dying =
        format!("n=0; sync() {{ n=$((n + 1)); [ $n -lt {at} ] || kill -9 $$; command sync \"$@\"; }}\n{script}");
    target.ask("be cut", &dying).await.is_err()
}

/// Keeps and puts back, cut at every durable deed in turn; every second time what was cut is gone on with and wrecked
/// before it is put back. At no moment is anything missed that nobody removed.
async fn through_every_cut(host: &Host, keeps: &[Keep], last: usize, wreck: impl Fn()) {
    let before = host.tree("data");
    let target = host.held().await;
    let mut bit = [0, 0];
    for at in 1..=last {
        let set = target.set_aside_script("step", keeps).unwrap();
        bit[0] += usize::from(was_cut(&target, at, &set).await);
        if at % 2 == 0 {
            target.set_aside("step", keeps).await.unwrap();
            assert_eq!(target.still_kept("step").await.unwrap(), ALL);
            wreck();
        }
        let cut = was_cut(&target, at, &target.put_back_script("step")).await;
        bit[1] += usize::from(cut);
        let kept = target.still_kept("step").await.unwrap();
        assert!(
            kept == ALL || kept == StillKept::Back || (kept == StillKept::Nothing && at % 2 == 1),
            "{at}: {kept:?}"
        );
        twice_put_back(&target).await;
        assert_eq!(host.tree("data"), before, "cut at {at}");
        let kept = target.still_kept("step").await.unwrap();
        assert!(kept == StillKept::Back || (kept == StillKept::Nothing && at % 2 == 1), "{at}: {kept:?}");
    }
    assert!(bit.iter().all(|bit| (3..last).contains(bit)), "cuts that bit, of {last}: {bit:?}");
}

#[tokio::test]
async fn what_was_set_aside_comes_back_as_it_was() {
    let host = Host::new();
    furnish(&host);
    let before = host.tree("data");
    let target = host.held().await;
    for _ in 0..2 {
        target.set_aside("step", &keeps(&host)).await.unwrap();
        assert_eq!(target.still_kept("step").await.unwrap(), ALL);
        assert!(!fs::exists(host.path("data/etcd")).unwrap());
        assert_eq!(host.read("data/etc/kubernetes/pki/ca.key"), "key");
    }
    let asides = target.asides().await.unwrap();
    assert_eq!(asides.len(), 3);
    assert_eq!((asides[0].how, asides[0].path.as_str()), (How::Move, host.path("data/etcd").as_str()));
    assert!(asides.iter().all(|aside| fs::symlink_metadata(aside.stored.as_ref().unwrap()).is_ok()));
    assert!(asides.iter().all(|aside| target.is_of(aside, "step")));
    wreck(&host);
    // What is new where nothing was is told too: it is to go.
    let asides = target.asides().await.unwrap();
    let new: Vec<_> = asides.iter().filter(|aside| aside.stored.is_none()).map(|aside| aside.path.clone()).collect();
    assert_eq!(new, [host.path("data/not/there/yet"), host.path("data/nor this")]);
    target.set_aside("step", &keeps(&host)).await.unwrap();
    assert!(target.discard().await.is_err());
    twice_put_back(&target).await;
    assert_eq!(host.tree("data"), before);
    assert_eq!(target.still_kept("step").await.unwrap(), StillKept::Back);
    target.discard().await.unwrap();
    twice_put_back(&target).await;
    assert!(!fs::exists(host.path("state/drctl/run-1")).unwrap());
}

#[tokio::test]
async fn a_step_can_be_undone_and_done_again() {
    let host = Host::new();
    furnish(&host);
    let before = host.tree("data");
    let target = host.held().await;
    for _ in 0..2 {
        target.set_aside("step", &keeps(&host)).await.unwrap();
        wreck(&host);
        target.put_back("step").await.unwrap();
        assert_eq!(host.tree("data"), before);
    }
}

#[tokio::test]
async fn two_steps_that_touch_the_same_path_unwind_in_turn() {
    let host = Host::new();
    furnish(&host);
    let before = host.tree("data");
    let target = host.held().await;
    let key = host.path("data/etc/kubernetes/pki/ca.key");
    for step in ["one", "two"] {
        target.set_aside(step, &[Keep::moved(&key)]).await.unwrap();
        host.write("data/etc/kubernetes/pki/ca.key", step);
    }
    target.put_back("two").await.unwrap();
    assert_eq!(host.read("data/etc/kubernetes/pki/ca.key"), "one");
    target.put_back("one").await.unwrap();
    assert_eq!(host.tree("data"), before);
}

#[tokio::test]
async fn every_moment_of_keeping_and_putting_back_may_be_the_last() {
    let host = Host::new();
    furnish(&host);
    through_every_cut(&host, &keeps(&host), 40, || wreck(&host)).await;
}

/// A file system of its own, for as long as it lives.
struct Mounted(String);

impl Mounted {
    fn at(path: String) -> Self {
        fs::create_dir_all(&path).unwrap();
        assert!(std::process::Command::new("mount").args(["-t", "tmpfs", "none", &path]).status().unwrap().success());
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(std::process::Command::new("umount").arg(&self.0).status().unwrap().success());
    }
}

#[tokio::test]
async fn a_mount_point_keeps_its_place() {
    let host = Host::new();
    let mounted = Mounted::at(host.path("data/etcd"));
    host.write("data/etcd/member/snap/db", "db");
    host.write("data/etcd/.hidden", "too");
    fs::create_dir(host.path("data/etcd/lost+found")).unwrap();
    fs::set_permissions(&mounted.0, fs::Permissions::from_mode(0o755)).unwrap();
    through_every_cut(&host, &[Keep::moved(&mounted.0)], 12, || {
        assert!(!fs::exists(host.path("data/etcd/member")).unwrap());
        host.write("data/etcd/member/new", "new");
        fs::set_permissions(&mounted.0, fs::Permissions::from_mode(0o700)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_an_interrupted_placing_left_is_cleared_away() {
    let host = Host::new();
    furnish(&host);
    let before = host.tree("data");
    let target = host.held().await;
    for name in ["data/etc/kubernetes/pki/ca.key", "data/etc/kubernetes/a b/ca.key"] {
        let to = host.path(name);
        target.set_aside("step", &[Keep::moved(&to)]).await.unwrap();
        let place = Place { to: to.clone(), mode: 0o600, owner: Owner::root() };
        target.place(Payload::Bytes(b"1"), &place, &|_, _| {}).await.unwrap();
        fs::write(target.new_beside(&to), "half").unwrap();
        target.put_back("step").await.unwrap();
        assert_eq!(host.tree("data"), before);
    }
}

#[tokio::test]
async fn what_links_lead_to_comes_back_too() {
    let host = Host::new();
    host.write("data/disk/old.conf", "old");
    host.write("data/elsewhere/file", "old");
    symlink("disk", host.path("data/link")).unwrap();
    symlink("../elsewhere", host.path("data/disk/more")).unwrap();
    let before = host.tree("data");
    let target = host.held().await;
    let [link, more, folder] = ["data/link", "data/link/more", "data/elsewhere"].map(|name| host.path(name));
    let keeps = [Keep::copied(&link), Keep::linked(&link), Keep::linked(more), Keep::linked(folder)];
    target.set_aside("step", &keeps).await.unwrap();
    assert_eq!(target.asides().await.unwrap().len(), 3, "the link, and what two links lead to");
    for name in ["data/link/old.conf", "data/link/new.conf", "data/link/more/file"] {
        host.write(name, "new");
    }
    fs::remove_file(link).unwrap();
    twice_put_back(&target).await;
    assert_eq!(host.tree("data"), before);
}

/// What somebody removed by hand cannot come back, and what stands in its place is not taken away for nothing.
#[tokio::test]
async fn what_is_gone_is_not_called_put_back() {
    let host = Host::new();
    furnish(&host);
    let target = host.held().await;
    target.set_aside("step", &[Keep::moved(host.path("data/etcd"))]).await.unwrap();
    host.write("data/etcd/member/new", "new");
    let asides = target.asides().await.unwrap();
    let stored = asides[0].stored.clone().unwrap();
    fs::rename(&stored, host.path("data/elsewhere")).unwrap();
    let error = target.put_back("step").await.unwrap_err().to_string();
    assert!(error.contains("is gone"), "{error}");
    assert!(target.asides().await.unwrap()[0].gone);
    assert_eq!(host.read("data/etcd/member/new"), "new");
    fs::rename(host.path("data/elsewhere"), &stored).unwrap();
    twice_put_back(&target).await;
    assert!(!fs::exists(host.path("data/etcd/member/new")).unwrap());
}

/// One of several is missed before the others are put back, also when nothing tells any more what it was.
#[tokio::test]
async fn what_is_gone_in_part_is_missed_before_the_rest_is_put_back() {
    let host = Host::new();
    furnish(&host);
    let target = host.held().await;
    target.set_aside("step", &keeps(&host)).await.unwrap();
    wreck(&host);
    let wrecked = host.tree("data");
    for part in ["2/data/it", "2", "5", "1/how"] {
        let part = format!("{}/{part}", target.aside_folder("step"));
        fs::rename(&part, host.path("away")).unwrap();
        let StillKept::Except { gone } = target.still_kept("step").await.unwrap() else { panic!("it is kept") };
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert!(target.put_back("step").await.unwrap_err().to_string().contains(&gone[0]));
        assert_eq!(host.tree("data"), wrecked, "{part}");
        fs::rename(host.path("away"), &part).unwrap();
    }
    assert_eq!(target.still_kept("step").await.unwrap(), ALL);
    twice_put_back(&target).await;
}

/// A run that kept and sent nothing has no folder on the target, and ends like any other.
#[tokio::test]
async fn a_run_without_a_folder_is_tidied() {
    let host = Host::new();
    let target = host.held().await;
    target.tidy().await.unwrap();
    assert!(!fs::exists(host.path("state/drctl/run-1")).unwrap());
}
