//! A large snapshot over links that break, and under a drctl that is killed: what arrived is not sent again.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use crate::bed::{Origin, Procedure, cached, words};
use crate::support::{ADDRESS, Host, Lab, Ran};

const MIB: u64 = 1 << 20;
/// How much has left drctl when the link goes.
const ENOUGH: u64 = 100 * MIB;

/// More than 200 MiB; its folder, in which its age is that of today.
fn large(lab: &Lab) -> (PathBuf, u64) {
    let path = cached("large-3.5.db", |new| {
        let values =
            "for k in $(seq 220); do head -c 1048576 /dev/urandom | etcdctl put /registry/large/$k; done >/dev/null";
        let origin = Origin::new(lab, "3.5", values);
        std::fs::rename(origin.file(), new).or_else(|_| std::fs::copy(origin.file(), new).map(drop)).expect("it moves");
    });
    let folder = lab.dir.path().join("large");
    std::fs::create_dir(&folder).expect("a folder");
    let copy = folder.join("etcd.db");
    std::fs::copy(path, &copy).expect("a copy");
    let size = copy.metadata().expect("a size").len();
    assert!(size > 200 * MIB, "{size} bytes");
    (folder, size)
}

/// Bytes that came to the host, of whatever kind.
fn received(host: &Host<'_>) -> u64 {
    let lines = host.sh("grep -v -e lo: -e '|' /proc/net/dev | sed 's/.*://'");
    lines.lines().map(|line| line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("bytes")).sum()
}

/// How much of the snapshot the line says is done.
fn bytes(line: &str) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    let data = &line["data"];
    (data["event"] == "bytes" && data["step"] == "fetch-snapshot").then(|| data["done"].as_u64().expect("a number"))
}

/// drctl at work, with so much done as to be in the midst of it, and the number.
fn in_the_midst(lab: &Lab, args: &[&str]) -> (Child, std::io::Lines<BufReader<ChildStdout>>, u64) {
    let mut command = lab.command(&[args, &["--output", "json"]].concat());
    let mut drctl = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drctl can be run");
    let mut lines = BufReader::new(drctl.stdout.take().expect("its output")).lines();
    let done = lines.by_ref().map_while(Result::ok).find_map(|line| bytes(&line).filter(|done| *done >= ENOUGH));
    (drctl, lines, done.expect("the upload came so far"))
}

fn source(folder: &std::path::Path) -> String {
    format!("[[snapshots]]\nfolder.path = \"{}\"\n", folder.display())
}

#[test]
fn a_cut_during_the_upload_is_survived_and_what_arrived_is_not_sent_again() {
    let lab = Lab::new();
    let (folder, size) = large(&lab);
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    // A dead link is noticed within the cut.
    let procedure = Procedure { target: "keepalive = \"1s\"\n".to_owned(), ..Procedure::new("3.5") };
    let restore = procedure.write(&lab, &host, "ops", &source(&folder));

    let (mut drctl, lines, at_cut) = in_the_midst(&lab, &words(&restore, &[]));
    assert!(at_cut < size, "the upload was over before the cut");
    lab.lab(&["cut", "target"]);
    std::thread::sleep(Duration::from_secs(12));
    lab.lab(&["mend", "target"]);
    let after: Vec<u64> = lines.map_while(Result::ok).filter_map(|line| bytes(&line)).collect();
    assert_eq!(drctl.wait().expect("it ends").code(), Some(0));

    let again_from = after.windows(2).find(|pair| pair[1] < pair[0]).map(|pair| pair[1]);
    // What was told last may be just what had arrived: then it goes on from there, and no number is smaller.
    assert!(again_from.is_none_or(|from| from >= ENOUGH / 2), "it went on from {again_from:?}");
    let received = received(&host);
    assert!(received < size * 11 / 10, "{received} bytes came for a snapshot of {size}");
    assert_eq!(
        host.sh("/opt/etcd-3.5/etcdctl get /registry/large/ --prefix --keys-only | grep -c large").trim(),
        "220"
    );
}

#[test]
fn a_drctl_killed_during_the_upload_goes_on_from_the_offset() {
    let lab = Lab::new();
    let (folder, size) = large(&lab);
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    let restore = Procedure::new("3.5").write(&lab, &host, "root", &source(&folder));

    let (mut drctl, _, at_kill) = in_the_midst(&lab, &words(&restore, &[]));
    drctl.kill().expect("it can be killed");
    drctl.wait().expect("it ends");
    assert!(at_kill < size, "the upload was over before the kill");

    let resumed: Ran = lab.drctl(&["resume", "--output", "json"]).expect(0);
    let first = resumed.stdout.lines().find_map(bytes).expect("the upload goes on");
    assert!(first >= ENOUGH / 2 && first < size, "it went on from {first}");
    let received = received(&host);
    assert!(received < size * 11 / 10, "{received} bytes came for a snapshot of {size}");
}
