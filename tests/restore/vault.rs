//! Snapshots on another host, over SSH.

use crate::bed::{Origin, Procedure, words};
use crate::support::{ADDRESS, Lab};

#[test]
fn the_newest_whole_snapshot_of_another_host_is_restored() {
    let lab = Lab::new();
    let origin = Origin::new(&lab, "3.5", "");
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    let vault = lab.host("vault", "light", "10.77.0.40", &["--etcd", "none"]);
    let folder = format!("{}/var/backups/etcd of prod", vault.field("merged"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let name = origin.file().file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = std::fs::read(origin.file()).expect("the snapshot");
    std::fs::write(format!("{folder}/{name}"), &bytes).expect("the snapshot");
    // Older by its name, younger as a file; and the newest, which is still being written.
    std::fs::write(format!("{folder}/etcd-snapshot-2018-05-24_21:54:03_UTC.db"), &bytes).expect("an old one");
    let year: u32 = name["etcd-snapshot-".len()..][..4].parse().expect("a year");
    let broken = name.replacen(&year.to_string(), &(year + 1).to_string(), 1);
    std::fs::write(format!("{folder}/{broken}"), &bytes[..bytes.len() - 5000]).expect("a broken one");

    let known_hosts = vault.known_hosts();
    let source = format!(
        "[[snapshots]]\nssh.path = \"/var/backups/etcd of prod\"\nssh.pattern = \"etcd-snapshot-*.db\"\n\
         ssh.server.host = \"10.77.0.40\"\nssh.server.user = \"nosudo\"\nssh.server.identity = \"{}\"\n\
         ssh.server.known_hosts = \"{known_hosts}\"\nssh.server.ssh_config = \"none\"\n",
        lab.lab(&["key"])
    );
    let restore = Procedure::new("3.5").write(&lab, &host, "root", &source);
    let ran = lab.drctl(&words(&restore, &[])).expect(0);
    assert!(ran.stderr.contains(&broken), "the broken one is told: {}", ran.stderr);
    let shown = lab.drctl(&["show", &lab.run_id()]).expect(0).stdout;
    assert!(shown.contains(&name), "{shown}");
    origin.is_served(&host, true);
}
