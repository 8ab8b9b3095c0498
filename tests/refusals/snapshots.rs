//! The snapshot: what is not whole, not there, or too old.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;

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
    assert_snapshot!(site.refusal(3), @"");
    // A size that looks right: pages are missing, the trailer's 32 bytes are there.
    file.set_len(whole - 4096).expect("a shorter file");
    assert_snapshot!(site.refusal(3), @"");
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
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn an_empty_snapshot() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::write(site.snapshot(), "").expect("a snapshot");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn no_snapshot() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    fs::remove_file(site.snapshot()).expect("a snapshot");
    assert_snapshot!(site.refusal(3), @"");
    fs::remove_dir(site.file("snapshots")).expect("a folder");
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn the_newest_is_broken_and_an_older_one_is_used() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let whole = fs::read(site.snapshot()).expect("a snapshot");
    fs::remove_file(site.snapshot()).expect("a snapshot");
    for (name, bytes, age) in [("older.db", whole.as_slice(), 7200), ("newest.db", &whole[..8192 + 32], 3600)] {
        let path = site.file("snapshots").join(name);
        fs::write(&path, bytes).expect("a snapshot");
        let time = SystemTime::now() - Duration::from_secs(age);
        let file = File::options().write(true).open(path).expect("a snapshot");
        file.set_times(FileTimes::new().set_modified(time)).expect("its time");
    }
    site.args = vec!["check".to_owned()];
    let ran = site.refused(0);
    assert!(ran.stderr.contains("  ok    snapshot `older.db`"), "{}", ran.stderr);
    assert_snapshot!(Site::worded(&ran.stderr), @"");
}

#[test]
fn too_old_a_snapshot_is_refused_until_it_is_accepted() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.policy = "max_snapshot_age = \"1s\"".to_owned();
    assert_snapshot!(site.refusal(3), @"");
    site.args = vec!["restore".to_owned(), "--yes".to_owned(), "--accept=snapshot-too-old".to_owned()];
    let ran = site.run().expect(0);
    assert!(ran.stderr.contains("[snapshot-too-old]"), "{}", ran.stderr);
    assert!(host.try_sh("[ -d /var/lib/etcd/member/wal ]").status.success());
    // What may be accepted may be absent: the same command line serves every day.
    site.policy = String::new();
    site.args.insert(0, "check".to_owned());
    site.args.retain(|arg| arg != "restore" && arg != "--yes");
    site.run().expect(0);
}
