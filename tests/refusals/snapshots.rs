//! The snapshot: what is not whole, not there, or too old.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use jiff::SignedDuration;

use crate::clusters::Cluster;
use crate::pki::authority;
use crate::site::Site;
use crate::support::{ADDRESS, Lab};

#[test]
fn a_truncated_snapshot() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let file = File::options().write(true).open(site.snapshot()).expect("a snapshot");
    let whole = file.metadata().expect("its size").len();
    file.set_len(whole / 2).expect("a shorter file");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              `etcd-snapshot-[time].db` of the folder [dir]/backup/snapshots: truncated, or saved without its digest: a whole one has 32 bytes more than a multiple of 512, found [n] bytes
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
    // A size that looks right: pages are missing, the trailer's 32 bytes are there.
    file.set_len(whole - 4096).expect("a shorter file");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              `etcd-snapshot-[time].db` of the folder [dir]/backup/snapshots: truncated: [n] bytes of [n]
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_flipped_bit() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let mut bytes = fs::read(site.snapshot()).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(site.snapshot(), bytes).expect("a snapshot");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              `etcd-snapshot-[time].db` of the folder [dir]/backup/snapshots: damaged: its trailer says SHA-256 [sha256], its bytes have [sha256]
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
}

#[test]
fn an_empty_snapshot() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::write(site.snapshot(), "").expect("a snapshot");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              `etcd-snapshot-[time].db` of the folder [dir]/backup/snapshots: empty: 0 bytes
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
}

#[test]
fn no_snapshot() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::remove_file(site.snapshot()).expect("a snapshot");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              the folder [dir]/backup/snapshots holds no file `*.db`
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
    fs::remove_dir(site.file("snapshots")).expect("a folder");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              could not list the snapshots in the folder [dir]/backup/snapshots: No such file or directory (os error 2)
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
    error: 1 error; the target was not touched: no-snapshot
      help: what to do is said with each of them
    "#);
}

#[test]
fn the_newest_is_broken_and_an_older_one_is_used() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let whole = fs::read(site.snapshot()).expect("a snapshot");
    let taken = drctl::snapshot::time_in_name(site.snapshot().file_name().expect("a name")).expect("a time");
    let taken = u64::try_from(taken.as_second()).expect("a time of today");
    fs::remove_file(site.snapshot()).expect("a snapshot");
    for (name, bytes, later) in [("older.db", whole.as_slice(), 0), ("newest.db", &whole[..8192 + 32], 60)] {
        let path = site.file("snapshots").join(name);
        fs::write(&path, bytes).expect("a snapshot");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(taken + later);
        let file = File::options().write(true).open(path).expect("a snapshot");
        file.set_times(FileTimes::new().set_modified(time)).expect("its time");
    }
    site.args = vec!["check".to_owned()];
    let ran = site.refused(0);
    assert!(ran.stderr.contains("  ok    snapshot `older.db`"), "{}", ran.stderr);
    assert_snapshot!(Site::worded(&ran.stderr), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      warn  `newest.db` of the folder [dir]/backup/snapshots was passed over, and it may be newer: truncated: [n] bytes of [n] [snapshot-passed-over]
            -> an older snapshot is used; find out why the newer one is not whole, its changes will be missing
    "#);
}

#[test]
fn too_old_a_snapshot_is_refused_until_it_is_accepted() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.policy = "max_snapshot_age = \"1s\"".to_owned();
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR `etcd-snapshot-[time].db` is [a while] old by the time in its name; up to 1s is allowed [snapshot-too-old]
            -> all changes since then would be lost: find a newer snapshot, or accept the loss with `--accept snapshot-too-old`
    error: 1 error; the target was not touched: snapshot-too-old
      help: what to do is said with each of them
            to go on in spite of it: `--accept snapshot-too-old`
    "#);
    site.args = vec!["restore".to_owned(), "--yes".to_owned(), "--accept=snapshot-too-old".to_owned()];
    let ran = site.run().expect(0);
    assert!(ran.stderr.contains("[snapshot-too-old]"), "{}", ran.stderr);
    assert!(host.try_sh("[ -d /var/lib/etcd/member/wal ]").status.success());
    // What may be accepted may be absent: the same command line serves every day.
    site.policy = String::new();
    site.args = vec!["check".to_owned(), "--accept=snapshot-too-old".to_owned()];
    site.run().expect(0);
}

#[test]
fn another_clusters_snapshot() {
    let lab = Lab::new();
    let staging = Cluster {
        uid: "5f0ff7a5-3f0e-4d13-9b6e-0f5d1f7c9a42",
        name: "staging",
        endpoint: "10.77.5.5:6443".to_owned(),
        ..Cluster::like(&authority(2100).0)
    };
    let snapshots = staging.saved(&lab);
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.snapshots = snapshots;
    let unpinned = site.cluster.clone();
    site.cluster.push_str("\nuid = \"00eb9270-6aa7-4e8c-96a9-d4a05a6be796\"");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the snapshot is of another cluster [cluster-foreign]
              expected: kube-system [uid] (`uid` in `[cluster]`)
              found:    kube-system [uid]
            -> see that `[[snapshots]]` is this cluster's
               if one went on, the other cluster's objects would be served here, and nodes that connect would run its pods
      ERROR the CA is not the snapshot's [ca-foreign]
              expected: SHA256 [sha256]
              found:    SHA256 [sha256]
              `[dir]/backup/pki/ca.crt`
              `[dir]/backup/pki/ca.key`
            -> find the CA of this cluster, or the snapshot of that CA
               `kubeadm init` would exit 0 with this one, and every node and user would be locked out
      ERROR the snapshot does not know the control plane's address [endpoint-foreign]
              expected: 10.77.5.5:6443, where its nodes look for it
              found:    10.77.0.10:6443 (`endpoint` in `[cluster]`)
            -> see that `[[snapshots]]` and `[pki]` are this cluster's, and correct `endpoint`; if the control plane is to move, accept it
               if one went on, no node would come back until `server` in its `/etc/kubernetes/kubelet.conf` is changed, and clients alike
    error: 3 errors; the target was not touched: cluster-foreign, ca-foreign, endpoint-foreign
      help: what to do is said with each of them
            to go on in spite of it: `--accept cluster-foreign`, `--accept ca-foreign`, `--accept endpoint-foreign`
    "#);
    // Where it was saved together with its own CA, the CA proves nothing.
    site.replace("pki/ca.crt", &staging.ca);
    let told = site.refusal(3);
    for name in ["cluster-foreign", "endpoint-foreign"] {
        assert!(told.contains(&format!("[{name}]")), "{told}");
    }
    assert!(!told.contains("[ca-foreign]"), "{told}");
    // Without a pinned UID, the name is what tells.
    let pinned = std::mem::replace(&mut site.cluster, unpinned);
    let told = site.refusal(3);
    assert!(told.contains("[cluster-name]") && !told.contains("[cluster-foreign]"), "{told}");
    site.cluster = pinned;
    // Each is accepted by its own name, and by no other.
    for name in ["cluster-foreign", "endpoint-foreign"] {
        site.arg(&format!("--accept={name}"));
    }
    let told = site.refusal(3);
    assert!(told.contains("error: 1 error; the target was not touched: ca-unfit"), "{told}");
}

#[test]
fn a_fresh_file_of_an_etcd_that_stood_still() {
    let lab = Lab::new();
    let ca = std::fs::read_to_string(lab.backup().join("pki/ca.crt")).expect("the CA");
    let frozen = Cluster { silent_for: SignedDuration::from_hours(72), ..Cluster::like(&ca) };
    let snapshots = frozen.saved(&lab);
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.snapshots = snapshots;
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the newest change in the data is [a while] old ([time]); up to 24h is allowed [data-too-old]
              `etcd-snapshot-[time].db` itself is from [time]: nothing had changed for [a while] when it was saved
            -> what is saved is an etcd that stands still: a copy, a member that is cut off, or a cluster that was dead by then; find a snapshot of the one that lived, or accept the loss with `--accept data-too-old`
               if one went on, all changes since then would be lost, and volumes and nodes made since would be unknown
    error: 1 error; the target was not touched: data-too-old
      help: what to do is said with each of them
            to go on in spite of it: `--accept data-too-old`
    "#);
    // Within the limit it is only told.
    site.policy = "max_snapshot_age = \"7d\"".to_owned();
    site.args = vec!["check".to_owned()];
    assert_snapshot!(site.refusal(0), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      warn  nothing in the data had changed for [a while] when `etcd-snapshot-[time].db` was saved [data-stood-still]
              the newest change in the data is [a while] old ([time])
            -> either the control plane was dead by then, or what is saved is not the etcd that lives: see what the backup job saves
    "#);
}
