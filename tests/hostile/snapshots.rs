//! Names of snapshots, in a folder of the controller and on another host.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::bed::{Bed, COMMANDS};
use crate::support::{ADDRESS, Host, Lab};

/// Names that whoever can write there may give: what they are made of, and what is shown of them.
fn names() -> Vec<OsString> {
    let colons = "etcd-snapshot-2018-05-24_21:54:03_UTC";
    let longest = "n".repeat(252);
    let texts = [COMMANDS, "-rf", &colons.replace(':', "\u{f022}"), &colons.replace(':', "\u{f03a}"), &longest];
    let texts = texts.map(|text| OsString::from(format!("{text}.db")));
    texts.into_iter().chain([OsStr::from_bytes(b"not\xfftext \xc3\x28.db").to_owned()]).collect()
}

/// Restores from a folder that holds the one snapshot under this name; what a command gets of the name.
fn restored(bed: &mut Bed<'_>, folder: &Path, name: &OsStr) {
    std::fs::copy(bed.snapshot(), folder.join(name)).expect("the snapshot");
    bed.steps.clear();
    bed.step("fetch", "fetch_snapshot", "");
    let run = "run = '''printf '%s' ${snapshot.name} >/root/name; cp ${step.fetch.path} /root/copy.db'''";
    bed.step("look", "command", run);
    bed.restore().expect(0);
    let merged = bed.host.field("merged");
    let shown = std::fs::read(format!("{merged}/root/name")).expect("the name");
    assert_eq!(String::from_utf8_lossy(&shown), name.to_string_lossy(), "{}", name.display());
    let copy = std::fs::read(format!("{merged}/root/copy.db")).expect("the copy");
    assert!(copy == std::fs::read(bed.snapshot()).expect("the snapshot"), "{}", name.display());
    std::fs::remove_file(folder.join(name)).expect("it goes");
}

#[test]
fn a_snapshot_of_any_name_is_restored_from_a_folder() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let folder = lab.dir.path().join("odd $(touch canary) folder");
    std::fs::create_dir(&folder).expect("a folder");
    let mut bed = Bed::new(&lab, &host);
    bed.snapshots =
        format!("[[snapshots]]\nfolder.path = \"{}\"\n[policy]\nmax_snapshot_age = \"90000h\"", folder.display());
    for name in names() {
        restored(&mut bed, &folder, &name);
    }
    // In a listing of another host a line end would make two files of one.
    restored(&mut bed, &folder, OsStr::new("two\nlines; touch canary\n.db"));
}

fn vault(lab: &Lab) -> (Host<'_>, PathBuf) {
    let vault = lab.host("vault", "light", "10.77.0.40", &["--etcd", "none"]);
    let folder = PathBuf::from(format!("{}/srv/odd $(touch canary) folder", vault.field("merged")));
    std::fs::create_dir(&folder).expect("a folder");
    (vault, folder)
}

#[test]
fn a_snapshot_of_any_name_is_restored_from_another_host() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let (vault, folder) = vault(&lab);
    let mut bed = Bed::new(&lab, &host);
    bed.snapshots = format!(
        "[[snapshots]]\nssh.path = \"/srv/odd $(touch canary) folder\"\nssh.server.host = \"10.77.0.40\"\n\
         ssh.server.user = \"nosudo\"\nssh.server.identity = \"{}\"\nssh.server.known_hosts = \"{}\"\n\
         ssh.server.ssh_config = \"none\"\n[policy]\nmax_snapshot_age = \"90000h\"",
        lab.lab(&["key"]),
        vault.known_hosts()
    );
    for name in names() {
        restored(&mut bed, &folder, &name);
    }
    assert_eq!(vault.sh("find / -xdev -name 'canary*'"), "");
}
