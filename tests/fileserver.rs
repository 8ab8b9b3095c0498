//! Snapshots and keys on another host, over a real sshd: as root, as a plain user who may read them, and as one who may not.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::bed::{Origin, Procedure, words};
use support::{ADDRESS, Host, Lab, Ran};

const PKI: &str = "/srv/keys of prod";
const SNAPSHOTS: &str = "/srv/etcd snapshots";

/// A host with the backup of a real control plane, which only root may read.
fn vault<'a>(lab: &'a Lab, backup: &Path) -> Host<'a> {
    let host = lab.host("vault", "light", "10.77.0.40", &["--etcd", "none"]);
    host.sh(&format!("mkdir -m 700 '{PKI}' '{SNAPSHOTS}'"));
    let copy = |from: &str, to: &str| {
        let to = format!("{}{to}", host.field("merged"));
        let copied = std::process::Command::new("cp").arg("-r").arg(backup.join(from)).arg(to).status();
        assert!(copied.expect("cp can be run").success());
    };
    copy("pki/.", PKI);
    copy("snapshots/.", SNAPSHOTS);
    host.sh(&format!("chown -R root:root /srv; find '{PKI}' -type d -exec chmod 700 {{}} +; chmod 600 '{PKI}'/*.key '{PKI}'/etcd/*.key"));
    host
}

/// `ssh` of a table of the inventory.
fn ssh(lab: &Lab, host: &Host<'_>, user: &str, path: &str) -> String {
    format!(
        "ssh.path = \"{path}\"\nssh.server.host = \"{}\"\nssh.server.user = \"{user}\"\nssh.server.identity = \"{}\"\n\
         ssh.server.known_hosts = \"{}\"\nssh.server.ssh_config = \"none\"\n",
        host.field("ip"),
        lab.lab(&["key"]),
        host.known_hosts()
    )
}

/// An inventory whose target is never asked.
fn inventory(lab: &Lab, snapshots: &str, pki: &str) -> String {
    let text = format!(
        "[cluster]\nname = \"prod\"\nendpoint = \"{ADDRESS}:6443\"\nkubernetes = \"1.20.2\"\nnode_name = \"master\"\n\
         [target]\nhost = \"{ADDRESS}\"\nssh_config = \"none\"\n[[snapshots]]\n{snapshots}\n[pki]\n{pki}\n"
    );
    lab.write("prod.toml", text)
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The messages of a finding, one after the other.
fn said(ran: &Ran, name: &str) -> Vec<String> {
    let found = lines(ran).into_iter().filter(|line| line["kind"] == "finding" && line["data"]["name"] == name);
    found.map(|finding| finding["data"]["message"].as_str().expect("a message").to_owned()).collect()
}

/// No file of the controller's state holds a piece of this key.
fn is_nowhere_in(folder: PathBuf, key: &str) {
    let piece = key.lines().nth(3).expect("a line of the key");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            assert!(!String::from_utf8_lossy(&bytes).contains(piece), "the key is in {}", path.display());
        }
    }
}

#[test]
fn a_pki_set_of_another_host_is_read_by_whom_it_may_be() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = vault(&lab, &backup);
    let folder = format!("folder.path = \"{}/snapshots\"\n", backup.display());
    let verify = |user: &str, more: &str, code: i32| {
        let inventory = inventory(&lab, &folder, &(ssh(&lab, &host, user, PKI) + more));
        lab.drctl(&["pki", "verify", "--inventory", &inventory, "--output", "json"]).expect(code)
    };
    let is_the_clusters = |ran: &Ran| {
        assert_eq!(said(ran, "pki-pair").len(), 3, "{}", ran.stdout);
        assert!(!said(ran, "ca-of-snapshot").is_empty() && said(ran, "pki-incomplete").is_empty(), "{}", ran.stdout);
    };
    let is_refused = |ran: &Ran, why: &str| {
        let told = said(ran, "pki-unreachable").concat();
        assert!(told.contains(&format!("the folder {PKI} on 10.77.0.40")) && told.contains(why), "{told}");
        assert!(ran.stdout.contains("`become` makes it root"), "{}", ran.stdout);
    };

    is_the_clusters(&verify("root", "", 0));
    is_the_clusters(&verify("ops", "ssh.server.become = { method = \"sudo\" }\n", 0));

    is_refused(&verify("nosudo", "", 3), "the user nosudo may not enter");
    host.sh(&format!("chmod 755 '{PKI}'"));
    is_refused(&verify("nosudo", "", 3), "ca.key: Permission denied");
    // A set whose keys may be read but for those of a folder is no set that lacks them: nothing new may be made in silence.
    host.sh(&format!("chown nosudo '{PKI}'/*"));
    host.sh(&format!("chown root '{PKI}'/etcd"));
    is_refused(&verify("nosudo", "", 3), "may not enter etcd, where etcd/ca.crt would be");
    host.sh(&format!("chown -R nosudo '{PKI}'"));
    is_the_clusters(&verify("nosudo", "", 0));

    host.sh(&format!("ln -sf /gone '{PKI}/sa.key'"));
    is_refused(&verify("nosudo", "", 3), "sa.key");
    host.sh(&format!("rm '{PKI}/sa.key' '{PKI}/sa.pub'"));
    let incomplete = said(&verify("nosudo", "", 0), "pki-incomplete").concat();
    assert!(incomplete.contains("sa.key") && incomplete.contains("401"), "{incomplete}");
    host.sh(&format!("rm -r '{PKI}'"));
    is_refused(&verify("nosudo", "", 3), "there is no folder");
    is_nowhere_in(lab.dir.path().join("state"), &key(&backup));
}

fn key(backup: &Path) -> String {
    std::fs::read_to_string(backup.join("pki/ca.key")).expect("the key")
}

#[test]
fn a_bundle_of_another_host() {
    use age::secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let backup = lab.backup();
    let host = vault(&lab, &backup);
    let identity = age::x25519::Identity::generate();
    let path = lab.write("age.key", identity.to_string().expose_secret());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a private key");
    let to = format!("{}{PKI}/prod.tar.zst.age", host.field("merged"));
    let from = backup.join("pki").display().to_string();
    lab.drctl(&["pki", "bundle", "--from", &from, "--to", &to, "--recipient", &identity.to_public().to_string()])
        .expect(0);

    let folder = format!("folder.path = \"{}/snapshots\"\n", backup.display());
    let verify = |user: &str, name: &str, code: i32| {
        let pki = format!("{}bundle = \"{name}\"\n[age]\nidentity = \"age.key\"\n", ssh(&lab, &host, user, PKI));
        let inventory = inventory(&lab, &folder, &pki);
        lab.drctl(&["pki", "verify", "--inventory", &inventory, "--output", "json"]).expect(code)
    };
    assert_eq!(said(&verify("root", "prod.tar.zst.age", 0), "pki-pair").len(), 3);
    host.sh(&format!("chmod 755 '{PKI}'"));
    let refused = |user: &str, name: &str| said(&verify(user, name, 3), "pki-unreachable").concat();
    let told = refused("nosudo", "prod.tar.zst.age");
    assert!(
        told.contains("the bundle `prod.tar.zst.age` of the folder") && told.contains("Permission denied"),
        "{told}"
    );
    assert!(refused("nosudo", "none.age").contains("there is no such file"));
    assert!(refused("root", "ca.crt").contains("not encrypted"));
    host.sh(&format!("truncate -s 17M '{PKI}/large.age'"));
    assert!(refused("root", "large.age").contains("16777216 are allowed"));
    // The user who may read the bundle needs to read nothing else.
    host.sh(&format!("chown nosudo '{PKI}/prod.tar.zst.age'"));
    assert_eq!(said(&verify("nosudo", "prod.tar.zst.age", 0), "pki-pair").len(), 3);
    is_nowhere_in(lab.dir.path().join("state"), &key(&backup));
}

#[test]
fn keys_of_another_host_are_placed_and_fetched_again_by_a_resumed_run() {
    let lab = Lab::new();
    let backup = lab.backup();
    let origin = Origin::new(&lab, "3.5", "");
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "3.5"]);
    let vault = vault(&lab, &backup);
    let restore = Procedure::new("3.5").write(&lab, &host, "root", &origin.source());
    let path = lab.dir.path().join("light.toml");
    let text = std::fs::read_to_string(&path).expect("the inventory");
    let (own, _) = text.split_once("[pki]").expect("its `[pki]`");
    let elsewhere = ssh(&lab, &vault, "root", PKI);
    std::fs::write(&path, format!("{own}[pki]\n{elsewhere}ssh.server.connect_timeout = \"1s\"\n"))
        .expect("the inventory");
    assert!(lab.killed_at(&words(&restore, &[]), "step_done", "fetch-snapshot", Duration::ZERO));
    // Without them, steps would find nothing to place.
    lab.lab(&["cut", "vault"]);
    let refused = lab.drctl(&["resume", &lab.run_id()]).expect(4).stderr;
    assert!(refused.contains("steps of the run need the PKI, which could not be fetched from"), "{refused}");
    lab.lab(&["mend", "vault"]);
    lab.drctl(&["resume", &lab.run_id()]).expect(0);
    origin.is_served(&host, true);
    assert_eq!(host.sh("cat /etc/kubernetes/pki/ca.key"), key(&backup));
    assert_eq!(host.sh("stat -c '%a %U' /etc/kubernetes/pki/ca.key"), "600 root\n");
    is_nowhere_in(lab.dir.path().join("state"), &key(&backup));
}

/// The one answer of a command.
fn answer(ran: &Ran) -> Value {
    let [line] = lines(ran).try_into().unwrap_or_else(|_| panic!("{}\n{}", ran.stdout, ran.stderr));
    let mut line: Value = line;
    line["data"].take()
}

fn states(listed: &Value) -> Vec<(&str, &str)> {
    let rows = listed["snapshots"].as_array().expect("snapshots").iter();
    rows.map(|row| (row["name"].as_str().expect("a name"), row["state"].as_str().expect("a state"))).collect()
}

#[test]
fn snapshots_of_another_host_by_name() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = vault(&lab, &backup);
    let newest = host.sh(&format!("ls '{SNAPSHOTS}'")).trim().to_owned();
    let (old, broken) = ("etcd-snapshot-2018-05-24_21:49:03_UTC.db", "etcd-snapshot-2018-05-24_21:54:03_UTC.db");
    host.sh(&format!("cd '{SNAPSHOTS}'; cp '{newest}' {old}; head -c 500000 '{newest}' >{broken}; echo x >notes.txt"));
    let pki = format!("dir = \"{}/pki\"\n", backup.display());
    let snapshot = |user: &str, args: &[&str], code: i32| {
        let inventory = inventory(&lab, &ssh(&lab, &host, user, SNAPSHOTS), &pki);
        lab.drctl(&[&["snapshot"], args, &["--inventory", &inventory, "--output", "json"]].concat()).expect(code)
    };

    let listed = answer(&snapshot("root", &["list"], 0));
    assert_eq!(states(&listed), [(newest.as_str(), "unread"), (broken, "unread"), (old, "unread")]);
    assert_eq!(listed["snapshots"][1]["gap"]["seconds"], 300.0);
    assert!(!lab.dir.path().join("state/snapshots").exists(), "listing copies nothing");
    // Who may not look is told so, and is not told that there are none.
    let refused = snapshot("nosudo", &["list"], 3);
    assert!(
        format!("{}{}", refused.stdout, refused.stderr).contains("the user nosudo may not enter"),
        "{}",
        refused.stdout
    );
    host.sh(&format!("chmod 711 '{SNAPSHOTS}'"));
    let refused = snapshot("nosudo", &["list"], 3);
    assert!(
        format!("{}{}", refused.stdout, refused.stderr).contains("the user nosudo may not list"),
        "{}",
        refused.stdout
    );
    host.sh(&format!("chmod 755 '{SNAPSHOTS}'; chmod 600 '{SNAPSHOTS}'/*; chmod 644 '{SNAPSHOTS}/{newest}'"));

    let listed = answer(&snapshot("nosudo", &["list", "--fetch"], 0));
    assert_eq!(states(&listed), [(newest.as_str(), "whole"), (broken, "not_whole"), (old, "not_whole")]);
    assert!(listed["snapshots"][2]["reason"].as_str().expect("a reason").contains("Permission denied"), "{listed}");
    let listed = answer(&snapshot("root", &["list", "--fetch"], 0));
    assert_eq!(states(&listed), [(newest.as_str(), "whole"), (broken, "not_whole"), (old, "whole")]);
    assert_eq!(listed["snapshots"][0]["cluster"], "kubernetes");

    let verified = answer(&snapshot("root", &["verify", &newest], 0));
    assert_eq!((&verified["whole"], &verified["name"]), (&Value::Bool(true), &Value::from(newest.clone())));
    assert_eq!(verified["source"], format!("the folder {SNAPSHOTS} on 10.77.0.40"));
    let ran = snapshot("root", &["verify", old, broken], 3);
    let told = lines(&ran);
    assert_eq!((&told[0]["data"]["whole"], told[0]["data"]["name"].as_str()), (&Value::Bool(true), Some(old)));
    let why = told.last().expect("a second answer")["data"]["message"].to_string();
    assert!(why.contains(broken) && why.contains("truncated") && why.contains("found 500000 bytes"), "{why}");
    snapshot("root", &["verify", "etcd-snapshot-2018-05-24_21:59:03_UTC.db"], 2);

    let (latest, named) =
        (answer(&snapshot("root", &["inspect", "latest"], 0)), answer(&snapshot("root", &["inspect", &newest], 0)));
    assert_eq!(latest["name"], newest);
    let known = std::fs::read_to_string(backup.join("cluster.env")).expect("the backup's facts");
    let uid = known.lines().find_map(|line| line.strip_prefix("KUBE_SYSTEM_UID=")).expect("the UID");
    for inspected in [latest, named] {
        assert_eq!(inspected["kube_system_uid"], uid, "{inspected}");
    }
    let compared = answer(&snapshot("root", &["diff", old, &newest], 0));
    assert_eq!(
        (&compared["same_cluster"], &compared["all"]["changed"]),
        (&Value::Bool(true), &Value::from(0)),
        "{compared}"
    );
}
