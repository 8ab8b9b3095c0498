//! `drctl snapshot`, as people and scripts see it, and beside what etcd itself answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use drctl::snapshot::keyspace::KeyValue;
use etcd_client::{Client, GetOptions};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::etcd::{Etcd, Programs};
use crate::origin::Backup;
use crate::writer::{Buckets, Form, with_trailer, write};
use crate::{Dice, change, fixture};

/// What drctl wrote, and how it ended.
struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

impl Ran {
    /// The one line of JSON.
    fn data(&self, kind: &str) -> Value {
        let line: Value = serde_json::from_str(&self.stdout).unwrap();
        assert_eq!(line["kind"], kind);
        line["data"].clone()
    }
}

/// Runs `drctl snapshot` in a folder, so that paths are short and the same everywhere.
fn snapshot(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
    command.current_dir(folder).arg("snapshot").args(arguments);
    command.env("NO_COLOR", "1").env("DRCTL_STATE", folder.join("state"));
    let output = command.output().unwrap();
    Ran {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// The content of a small cluster, stored as JSON.
fn cluster() -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let ca = include_str!("../fixtures/snapshots/ca.crt");
    let authority = base64::engine::general_purpose::STANDARD.encode(ca);
    let kubeconfig = format!(
        "clusters:\n- cluster:\n    server: https://10.0.0.10:6443\n    certificate-authority-data: {authority}\n"
    );
    let configuration = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nclusterName: prod\n\
        kubernetesVersion: v1.28.4\ncontrolPlaneEndpoint: api.example:6443\n\
        networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12, dnsDomain: cluster.local}\n";
    let node = |name: &str, address: &str, labels: Value, ready: &str| {
        json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"podCIDR": "10.244.0.0/24"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}],
                "conditions": [{"type": "Ready", "status": ready}],
                "nodeInfo": {"kubeletVersion": "v1.28.4"},
            },
        })
    };
    let objects = [
        ("namespaces/kube-system", json!({"metadata": {"name": "kube-system", "uid": "9f3c-uid"}})),
        ("namespaces/shop", json!({"metadata": {"name": "shop", "uid": "77-uid"}})),
        ("minions/cp-1", node("cp-1", "10.0.0.10", json!({"node-role.kubernetes.io/control-plane": ""}), "True")),
        ("minions/worker-1", node("worker-1", "10.0.0.21", json!({}), "False")),
        ("masterleases/10.0.0.10", json!({"metadata": {"name": ""}})),
        ("configmaps/kube-system/kubeadm-config", json!({"data": {"ClusterConfiguration": configuration}})),
        ("configmaps/kube-public/cluster-info", json!({"data": {"kubeconfig": kubeconfig}})),
        ("leases/kube-system/kube-scheduler", json!({"spec": {"renewTime": "2026-03-01T02:59:58Z"}})),
    ];
    let mut all: Vec<_> =
        objects.map(|(key, object)| (format!("/registry/{key}"), object.to_string().into_bytes())).to_vec();
    for name in ["a", "b"] {
        all.push((format!("/registry/secrets/shop/{name}"), b"k8s:enc:aescbc:v1:key1:\xff\x00ciphertext".to_vec()));
    }
    all
}

/// A snapshot of these pairs, each written once.
fn stored(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let records = pairs.iter().zip(2_i64..).map(|((key, value), revision)| {
        let (key, value) = (key.clone().into_bytes(), value.clone());
        let record = KeyValue { key, value, create_revision: revision, mod_revision: revision, version: 1, lease: 0 };
        ([&revision.to_be_bytes()[..], b"_", &[0; 8]].concat(), record.encode_to_vec())
    });
    let member = json!({"id": 1, "name": "cp-1", "peerURLs": ["https://10.0.0.10:2380"]});
    let buckets: Buckets = vec![
        (b"cluster".to_vec(), vec![(b"clusterVersion".to_vec(), b"3.5.0".to_vec())]),
        (b"key".to_vec(), records.collect()),
        (b"members".to_vec(), vec![(b"1".to_vec(), member.to_string().into_bytes())]),
    ];
    with_trailer(write(&buckets, Form::default()))
}

const NAME: &str = "etcd-snapshot-2026-03-01_03:00:00_UTC.db";

#[test]
fn what_a_snapshot_holds() {
    let folder = folder_with(&[(NAME, &stored(&cluster()))]);
    let ran = snapshot(folder.path(), &["inspect", NAME]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    insta::with_settings!({filters => vec![
        (r", [0-9dhms. ]+ ago", ", AGE ago"), (r"sha256        [0-9a-f]{64}", "sha256        FILE"),
    ]}, { insta::assert_snapshot!(ran.stdout, @r"
    etcd-snapshot-2026-03-01_03:00:00_UTC.db
      state         whole
      taken         2026-03-01 03:00:00 UTC, AGE ago, by its name
      data          newest change 2026-03-01 02:59:58 UTC, 2.0s before it was taken
                    a leader's lease: /registry/leases/kube-system/kube-scheduler
      size          28.03 KiB in 7 pages of 4.00 KiB: 6 used, 1 free (14 %)
      sha256        FILE

    Cluster
      name          prod
      kube-system   9f3c-uid
      kubernetes    v1.28.4
      endpoint      api.example:6443
      API servers   10.0.0.10
      pods          10.244.0.0/16
      services      10.96.0.0/12
      domain        cluster.local
      at rest       secrets: 2 of 2 encrypted by aescbc with the key `key1`
                    the EncryptionConfiguration with these keys is needed: without it they are lost

    etcd
      version       3.5.0
      revision      11, compacted up to 0
      keys          10 (2.19 KiB), 10 records, 0 leases
      members       cp-1 https://10.0.0.10:2380

    Nodes (2)
      NAME      ROLES          ADDRESS    KUBELET  PODS           STATE
      cp-1      control-plane  10.0.0.10  v1.28.4  10.244.0.0/24  ready
      worker-1  -              10.0.0.21  v1.28.4  10.244.0.0/24  not ready

    Certificate authorities
      cluster       CN=kubernetes  2026-11-24 to 2126-10-31
                    sha256 17d61a5e2d2f9861af43bcd635cce47aa900cd3ac6888a46b28e8ff088facbbc
                    in cluster-info

    Namespaces (2)
      kube-system, shop

    Objects (10), the largest resources first
      RESOURCE      OBJECTS      SIZE
      configmaps          2  1.24 KiB  ████████████████████████
      nodes               2     559 B  ██████████
      namespaces          2     152 B  ██
      secrets             2     118 B  ██
      leases              1      88 B  █
      masterleases        1      56 B  █
    "); });
}

#[test]
fn what_a_snapshot_holds_for_programs() {
    let folder = folder_with(&[(NAME, &stored(&cluster()))]);
    let data = snapshot(folder.path(), &["inspect", NAME, "--output", "json"]).data("snapshot_inspected");
    assert_eq!(data["whole"], true);
    assert_eq!(data["cluster_name"], "prod");
    assert_eq!(data["kubernetes_version"], "v1.28.4");
    assert_eq!(data["newest_change"]["time"], "2026-03-01T02:59:58Z");
    assert_eq!(data["newest_change"]["clock"], "leader");
    assert_eq!(data["encrypted"], json!([{"resource": "secrets", "provider": "aescbc", "key": "key1", "objects": 2}]));
    assert_eq!(data["nodes"][0]["addresses"][0]["address"], "10.0.0.10");
    assert_eq!(data["api_servers"], json!(["10.0.0.10"]));
    assert_eq!(data["certificates"][0]["subject"], "CN=kubernetes");
    assert_eq!(data["live_keys"], 10);
    assert_eq!(data["resources"]["secrets"]["objects"], 2);
    assert!(!data.to_string().contains("service_account_tokens"));
}

/// The same file in several states.
fn states() -> TempDir {
    let whole = fs::read(fixture("etcd-3.4.db")).unwrap();
    let mut flipped = whole.clone();
    flipped[5000] ^= 1;
    let mut torn = whole.clone();
    torn[4096 * 4 + 8] = 0x77;
    folder_with(&[
        ("whole.db", &whole),
        ("flipped.db", &flipped),
        ("torn.db", &torn),
        ("cut.db", &whole[..20_000]),
        ("copied.db", &whole[..whole.len() - 32]),
        ("empty.db", b""),
        ("page.html", &b"<html>404 Not Found</html>".repeat(400)),
    ])
}

#[test]
fn a_whole_one() {
    let folder = states();
    let ran = snapshot(folder.path(), &["verify", "whole.db"]);
    assert_eq!(ran.code, Some(0));
    insta::assert_snapshot!(ran.stdout, @r"
    whole.db
      ok    digest   whole: its SHA-256 trailer fits
      ok    metas    both meta pages are valid
      ok    pages    12 pages of 4096 bytes: 10 used, 2 free
      ok    records  174 records up to revision 9; 112 keys live
      warn  objects  no Kubernetes objects: nothing below /registry/
      whole  49184 bytes, sha256 dfbcd4ba43ff70ac299b965d386b86a829c8fedb58190a5c2cb42087329cd978
    ");
}

#[test]
fn those_that_are_not_whole() {
    let folder = states();
    let ran =
        snapshot(folder.path(), &["verify", "flipped.db", "torn.db", "cut.db", "copied.db", "empty.db", "page.html"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""));
    insta::assert_snapshot!(ran.stdout, @r"
    flipped.db
      ERROR digest   damaged: its trailer says SHA-256 ed2193f029ba8f3e377835e47b57de85227d4620a6fe854afcd05ada1fb2d181, its bytes have 27ecfcba93d2fe911c97c09dd49e17341892b5a4c68e125b0e58802197932718
      ok    metas    both meta pages are valid
      ok    pages    12 pages of 4096 bytes: 10 used, 2 free
      ok    records  174 records up to revision 9; 112 keys live
      warn  objects  no Kubernetes objects: nothing below /registry/
      NOT WHOLE  49184 bytes, sha256 cc3cc6af1fe54cd588575512ae2c3b49835121483278370d4a51570110d69a7f
    torn.db
      ERROR digest   damaged: its trailer says SHA-256 ed2193f029ba8f3e377835e47b57de85227d4620a6fe854afcd05ada1fb2d181, its bytes have 41cf919da14f9b93462d635f3c3b455a7fb67f769df1a01b573b4a7a5fee0f63
      ok    metas    both meta pages are valid
      ERROR pages    could not read the database's pages: page 4 at offset 16384: expected a branch or a leaf, found flags 0x0077
      -     records  not reached
      NOT WHOLE  49184 bytes, sha256 5f9eae14aac13bc03a865193af8ee79c3ae10c651c7aa82da6520bb466626685
    cut.db
      ERROR digest   truncated: 20000 bytes of 49184
      ok    metas    both meta pages are valid
      ERROR pages    could not read the database's pages: page 11 at offset 45056: the file ends here, after 20000 bytes
      -     records  not reached
      NOT WHOLE  20000 bytes, sha256 a5f16aadfe52e22bf5631bfa363fe413ef7f4b8aa2b71621d086a3be53c45838
    copied.db
      ERROR digest   no SHA-256 trailer: a database copied from a data folder, which nothing proves to be whole
      ok    metas    both meta pages are valid
      ok    pages    12 pages of 4096 bytes: 10 used, 2 free
      ok    records  174 records up to revision 9; 112 keys live
      warn  objects  no Kubernetes objects: nothing below /registry/
      NOT WHOLE  49152 bytes, sha256 ed2193f029ba8f3e377835e47b57de85227d4620a6fe854afcd05ada1fb2d181
    empty.db
      ERROR digest   empty: 0 bytes
      -     metas    not reached
      -     pages    not reached
      -     records  not reached
      NOT WHOLE  0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    page.html
      ERROR digest   not an etcd snapshot: no bbolt meta page in it
      -     metas    not reached
      -     pages    not reached
      -     records  not reached
      NOT WHOLE  10400 bytes, sha256 a1529a55efd58a05c9492f5138c3108b14be4fd93d1c5d13d182e907b2ff15e5
    ");
}

#[test]
fn exit_codes_for_scripts() {
    let folder = folder_with(&[("empty.db", b""), ("good.db", &fs::read(fixture("etcd-3.5.db")).unwrap())]);
    let code = |arguments: &[&str]| snapshot(folder.path(), arguments).code;
    assert_eq!(code(&["verify", "good.db"]), Some(0));
    assert_eq!(code(&["verify", "good.db", "empty.db"]), Some(3));
    assert_eq!(code(&["verify", "absent.db"]), Some(2));
    assert_eq!(code(&["verify", "absent.db", "empty.db"]), Some(3));
    assert_eq!(code(&["verify", "."]), Some(2));
    assert_eq!(code(&["verify"]), Some(2));
    assert_eq!(code(&["verify", "latest"]), Some(2), "no inventory is named");
    assert_eq!(code(&["inspect", "empty.db"]), Some(3));
    assert_eq!(code(&["diff", "good.db", "empty.db"]), Some(3));
    assert_eq!(code(&["list", "absent"]), Some(2));
    let data = snapshot(folder.path(), &["verify", "empty.db", "--output", "json"]).data("snapshot_verified");
    assert_eq!((&data["whole"], &data["size"]), (&json!(false), &json!(0)));
    assert_eq!(data["proofs"][0], json!({"of": "digest", "outcome": "failed", "said": "empty: 0 bytes"}));
}

#[test]
fn what_changed_between_two() {
    let first = cluster();
    let mut second = cluster();
    second.retain(|(key, _)| key != "/registry/minions/worker-1" && key != "/registry/secrets/shop/b");
    second[1].1 = json!({"metadata": {"name": "shop", "uid": "78-uid"}}).to_string().into_bytes();
    for name in ["c", "d", "e"] {
        second.push((format!("/registry/pods/shop/{name}"), b"k8s\0".to_vec()));
    }
    second.push(("elsewhere".to_owned(), b"1".to_vec()));
    let folder = folder_with(&[("a.db", &stored(&first)), ("b.db", &stored(&second))]);
    let ran = snapshot(folder.path(), &["diff", "a.db", "b.db", "--limit", "5"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout, @r"
      first         a.db
                    revision 11, 10 keys, data of 2026-03-01 02:59:58 UTC
      second        b.db
                    revision 13, 12 keys, data of 2026-03-01 02:59:58 UTC
      all           4 came, 2 went, 1 changed, 7 the same

    By resource
      RESOURCE                CAME  WENT  CHANGED  SAME
      (not below /registry/)     1     -        -     -
      namespaces                 -     -        1     1
      nodes                      -     1        -     1
      pods                       3     -        -     -
      secrets                    -     1        -     1

    By object
      + (not below /registry/) elsewhere
      ~ namespaces shop
      - nodes worker-1
      + pods shop/c
      + pods shop/d
      … and 2 more (`--all`, `--limit`)
    ");
    let data = snapshot(folder.path(), &["diff", "a.db", "b.db", "--all", "--output", "json"]).data("snapshot_diff");
    assert_eq!(data["all"], json!({"came": 4, "went": 2, "changed": 1, "same": 7}));
    assert_eq!(data["objects"].as_array().unwrap().len(), 7);
    assert_eq!(data["same_cluster"], true);
    let same = snapshot(folder.path(), &["diff", "a.db", "a.db"]);
    assert!(same.stdout.ends_with("\n  nothing differs\n"), "{}", same.stdout);
}

#[test]
fn a_missed_run_shows_in_the_list() {
    let good = stored(&cluster());
    let times = ["02:48", "02:51", "02:54", "03:03", "03:06", "03:09"];
    let names: Vec<String> = times.iter().map(|time| format!("etcd-snapshot-2026-03-01_{time}:00_UTC.db")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), good.as_slice())).collect();
    files[5].1 = &good[..4096];
    let folder = folder_with(&files);
    fs::write(folder.path().join("inventory.toml"), inventory(folder.path())).unwrap();
    let ran = snapshot(folder.path(), &["list", "-i", "inventory.toml", "--limit", "5"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let root = fs::canonicalize(folder.path()).unwrap().display().to_string();
    insta::with_settings!({filters => vec![
        (root.as_str(), "ROOT"), (r"  +[0-9]+d [0-9]+h  ", "  AGE  "), (r"is [0-9]+d [0-9]+h old", "is AGE old"),
        // The column is as wide as the ages are on this day, at this hour.
        (r"\(UTC\) +AGE", "(UTC)  AGE"),
    ]}, { insta::assert_snapshot!(ran.stdout, @r"
    NAME                                      TAKEN (UTC)  AGE       SIZE  STATE      CLUSTER               GAP
    etcd-snapshot-2026-03-01_03:09:00_UTC.db  2026-03-01 03:09:00  AGE   4.00 KiB  NOT WHOLE  -                  3m 00s
    etcd-snapshot-2026-03-01_03:06:00_UTC.db  2026-03-01 03:06:00  AGE  28.03 KiB  whole      prod               3m 00s
    etcd-snapshot-2026-03-01_03:03:00_UTC.db  2026-03-01 03:03:00  AGE  28.03 KiB  whole      prod     2 missed  9m 00s
    etcd-snapshot-2026-03-01_02:54:00_UTC.db  2026-03-01 02:54:00  AGE  28.03 KiB  whole      prod               3m 00s
    etcd-snapshot-2026-03-01_02:51:00_UTC.db  2026-03-01 02:51:00  AGE  28.03 KiB  whole      prod               3m 00s
    NOT WHOLE etcd-snapshot-2026-03-01_03:09:00_UTC.db: truncated: 4096 bytes of 28704
    and 1 more (`--all`, `--limit`)
    5 of the folder ROOT
    the newest is AGE old, and one usually comes every 3m 00s: does the job that saves them still run?
    "); });

    let data = snapshot(folder.path(), &["list", ".", "--output", "json"]).data("snapshots_listed");
    let missed: Vec<_> = data["snapshots"].as_array().unwrap().iter().map(|row| &row["gap"]["missed_runs"]).collect();
    assert_eq!(missed, [&json!(0), &json!(0), &json!(2), &json!(0), &json!(0), &Value::Null]);
    assert_eq!(data["snapshots"][1]["cluster"], "prod");
    assert_eq!(data["snapshots"][0]["state"], "not_whole");

    let latest = snapshot(folder.path(), &["inspect", "latest", "-i", "inventory.toml", "--output", "json"]);
    assert!(latest.stderr.contains("03:09:00_UTC.db"), "the newer one was passed over: {}", latest.stderr);
    assert!(latest.data("snapshot_inspected")["name"].as_str().unwrap().contains("03:06:00"));
    let older = snapshot(folder.path(), &["verify", &names[0], "-i", "inventory.toml"]);
    assert_eq!(older.code, Some(0));
    let none = snapshot(folder.path(), &["verify", "other.db", "-i", "inventory.toml"]);
    insta::assert_snapshot!(none.stderr, @r"
    error: `other.db` is neither a file nor a snapshot of the inventory's sources
      help: `drctl snapshot list` shows all names; a path names one file
    ");
}

fn inventory(snapshots: &Path) -> String {
    let folder = fs::canonicalize(snapshots).unwrap();
    let folder = folder.display();
    format!(
        "[cluster]\nname = 'prod'\nendpoint = 'x:6443'\n[target]\nhost = 'x'\n[[snapshots]]\nfolder.path = '{folder}'\n\
         [pki]\ndir = '{folder}'\n"
    )
}

/// Counts, revision and counts by resource, beside etcd's own.
async fn compare(client: &mut Client, file: &Path, resources: &[(&str, &str)]) {
    let path = file.to_str().unwrap();
    let data = snapshot(file.parent().unwrap(), &["inspect", path, "--output", "json"]).data("snapshot_inspected");
    let mut count = async |prefix: &str| {
        let options = GetOptions::new().with_prefix().with_count_only();
        client.get(prefix, Some(options)).await.unwrap().count()
    };
    assert_eq!(data["live_keys"], count("").await);
    for (resource, prefix) in resources {
        let found = data["resources"].get(resource).map_or(json!(0), |held| held["objects"].clone());
        assert_eq!(found, count(prefix).await, "{resource}");
    }
    let status = client.status().await.unwrap();
    assert_eq!(data["revision"], status.header().unwrap().revision());
    // The server has allocated what the pages in use need, or more.
    let pages = &data["pages"];
    let bytes = pages["total"].as_i64().unwrap() * pages["size"].as_i64().unwrap();
    assert!(bytes <= status.db_size(), "{bytes} of {}", status.db_size());
    assert_eq!(i64::try_from(fs::metadata(file).unwrap().len()).unwrap(), bytes + 32);
}

#[tokio::test]
async fn etcd_answers_the_same() {
    for programs in Programs::all() {
        let etcd = Etcd::start(&programs);
        let mut client = etcd.client().await;
        let mut dice = Dice(7);
        for _ in 0..200 {
            change(&mut client, &mut dice).await;
        }
        for name in 0..20 {
            client.put(format!("/registry/pods/shop/{name}"), "k8s", None).await.unwrap();
            client.put(format!("/registry/services/specs/shop/{name}"), "k8s", None).await.unwrap();
        }
        client.delete("/registry/pods/shop/3", None).await.unwrap();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("snapshot.db");
        etcd.save(&file);
        let resources =
            [("things", "/registry/things/"), ("pods", "/registry/pods/"), ("services", "/registry/services/specs/")];
        compare(&mut client, &file, &resources).await;
    }
}

#[tokio::test]
async fn etcd_answers_the_same_of_a_real_control_plane() {
    let backup = Backup::take();
    // The resources whose keys begin in another way than they are called, and some others.
    let resources = [
        ("nodes", "/registry/minions/"),
        ("services", "/registry/services/specs/"),
        ("endpoints", "/registry/services/endpoints/"),
        ("secrets", "/registry/secrets/"),
        ("configmaps", "/registry/configmaps/"),
        ("pods", "/registry/pods/"),
        ("events", "/registry/events/"),
        ("apiregistration.k8s.io/apiservices", "/registry/apiregistration.k8s.io/apiservices/"),
    ];
    for programs in Programs::all() {
        let folder = TempDir::new().unwrap();
        let data: PathBuf = folder.path().join("data");
        let tool = if programs.has("etcdutl") { "etcdutl" } else { "etcdctl" };
        let saved = backup.snapshot();
        programs.run(tool, &["snapshot", "restore", saved.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        let data_folder = TempDir::new().unwrap();
        fs::rename(data.join("member"), data_folder.path().join("member")).unwrap();
        let etcd = Etcd::start_on(&programs, data_folder);
        let mut client = etcd.client().await;
        let file = folder.path().join("again.db");
        etcd.save(&file);
        compare(&mut client, &file, &resources).await;
    }
}

#[test]
fn packed_ones_are_seen_through() {
    let good = fs::read(fixture("etcd-3.5.db")).unwrap();
    let folder = folder_with(&[("a.db", &good)]);
    let packed = Command::new("gzip").arg("-k").arg(folder.path().join("a.db")).status().unwrap();
    assert!(packed.success());
    let plain = snapshot(folder.path(), &["verify", "a.db", "--output", "json"]).data("snapshot_verified");
    let within = snapshot(folder.path(), &["verify", "a.db.gz", "--output", "json"]).data("snapshot_verified");
    assert_eq!((&within["whole"], &within["packed"]), (&json!(true), &json!(["gzip"])));
    assert_eq!((&within["sha256"], &within["size"]), (&plain["sha256"], &plain["size"]));
    let same = snapshot(folder.path(), &["diff", "a.db", "a.db.gz"]);
    assert!(same.stdout.ends_with("\n  nothing differs\n"), "{}", same.stdout);
    let listed = snapshot(folder.path(), &["list", ".", "--output", "json"]).data("snapshots_listed");
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    assert!(listed["snapshots"].as_array().unwrap().iter().all(|row| row["state"] == "whole"));
}
