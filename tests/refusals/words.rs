//! What was written or typed: the inventory, the playbook, the arguments.

use insta::assert_snapshot;

use crate::site::Site;
use crate::support::{ADDRESS, Lab, Ran};

#[test]
fn a_fit_host_is_accepted() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.args = vec!["check".to_owned()];
    assert_snapshot!(site.refused(0).stderr, @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ok    snapshot `etcd-snapshot-[time].db` from the folder [dir]/backup/snapshots is whole: [n] bytes, revision [n], [n] keys
      ok    `etcd-snapshot-[time].db` is [a while] old by the time in its name; up to 24h is allowed
      ok    the newest change in the data is [a while] old ([time])
      ok    the snapshot is of the cluster [uid]: as `uid` in `[cluster]` it refuses any other
      ok    ca.crt and ca.key belong together: CN=kubernetes, valid until [time], SHA256 [sha256]
      ok    the snapshot holds the same CA
      ok    front-proxy-ca.crt and front-proxy-ca.key belong together: CN=front-proxy-ca, valid until [time]
      ok    etcd/ca.crt and etcd/ca.key belong together: CN=etcd-ca, valid until [time]
      ok    the snapshot holds the same front proxy CA
      ok    sa.pub and sa.key belong together
      ok    `sa.pub` signed the snapshot's service accounts' tokens (8 tried)
      ok    nothing answers at 10.77.0.10:6443
      ok    the snapshot's nodes look for the control plane at 10.77.0.10:6443
      ok    10.77.0.10 is target (10.77.0.10), reached as root
      ok    the target's clock is [seconds] off this one's; up to 30s is allowed
      ok    the ports of a control plane are free on the target
      ok    nothing of an older control plane is on the target
      ok    the target has the control-plane address 10.77.0.10
      ok    /var/lib/drctl and /var/lib/etcd need 194 MiB, [n] MiB are free
      ok    step `restore-etcd`: etcdctl 3.4.23 (/usr/local/bin/etcdctl)
    "#);
}

#[test]
fn an_unknown_key_and_a_wrong_type() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.cluster.push_str("\nendpont = \"10.77.0.11:6443\"");
    site.policy = "max_snapshot_age = 24".to_owned();
    assert_snapshot!(site.refusal(2), @r#"
      x the inventory `[dir]/prod.toml` has 2 errors

    Error:
      x unknown key `endpont`
       ,-[[dir]/prod.toml:5:1]
     4 | node_name = "master"
     5 | endpont = "10.77.0.11:6443"
       : ^^^|^^^
       :    `-- not known here
     6 |
       `----
      help: did you mean `endpoint`?
            known here: `name`, `uid`, `endpoint`, `kubernetes`, `advertise_address`, `node_name`, `kubeadm_config`, `kubeadm_config_inline`, `etcd_image`, `etcdutl`, `admin_kubeconfig`

    Error:
      x expected a length of time in quotes, such as `"90s"`, `"1h 30m"` or `"1d"`, found the number `24`
        ,-[[dir]/prod.toml:22:20]
     21 | [policy]
     22 | max_snapshot_age = 24
        :                    ^|
        :                     `-- wrong here
        `----
    "#);
}

#[test]
fn an_inventory_or_playbook_that_is_not_there() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let inventory = site.written();
    assert_snapshot!(lab.drctl(&["restore", "--yes"]).expect(2).stderr, @r#"
    error: no inventory is named
      help: pass `--inventory FILE`; `inventory.example.toml` shows every key
    "#);
    assert_snapshot!(lab.drctl(&["restore", "--yes", "--inventory", "no/such.toml"]).expect(2).stderr, @r#"
    x could not read the inventory `no/such.toml`
    `-> No such file or directory (os error 2)
    help: check the path after `--inventory`; inventory.example.toml shows every key
    "#);
    let no_playbook = ["restore", "--yes", "--inventory", &inventory, "--playbook", "no/such.toml"];
    assert_snapshot!(lab.drctl(&no_playbook).expect(2).stderr, @r#"
    x could not read the playbook `no/such.toml`
    `-> No such file or directory (os error 2)
    help: check the path after `--playbook`; without `--playbook` the shipped one is used
    "#);
}

#[test]
fn a_step_that_names_nothing() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.playbook = site.playbook.replace("step.fetch-snapshot.path", "step.fetch.path");
    assert_snapshot!(site.refusal(2), @r#"
      x the playbook `[dir]/playbook.toml` has an error

    Error:
      x there is no step `fetch`
        ,-[[dir]/playbook.toml:29:13]
     28 | action = "restore_etcd"
     29 | snapshot = "${step.fetch.path}"
        :             ^^^^^^^^^|^^^^^^^^
        :                      `-- referred to here
     30 | data_dir = "/var/lib/etcd"
        `----
      help: steps before this one: `ca-crt`, `ca-key`, `fence`, `fetch-snapshot`
    "#);
}

#[test]
fn a_late_step_that_needs_what_is_not_there() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.playbook
        .push_str("\n[[step]]\nname = \"late\"\naction = \"command\"\nrun = \"echo ${target.etcdutl_version}\"\n");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `late`: `${target.etcdutl_version}` has no value [no-value]
            -> see to what it comes from, or let the step run only `when = "target.etcdutl_version"`
    error: 1 error; the target was not touched: no-value
      help: what to do is said with each of them
    "#);
}

#[test]
fn an_accepted_finding_that_there_is_not() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.arg("--accept=snapshot-to-old");
    assert_snapshot!(site.refusal(2), @r#"
    error: `snapshot-to-old` is nothing that `--accept` takes
      help: did you mean `snapshot-too-old`?
            it takes: `ca-foreign`, `ca-unfit`, `clock-skew`, `cluster-foreign`, `cluster-name`, `command-check`, `data-too-old`, `disk-too-small`, `encryption-config-missing`, `encryption-config-unfit`, `encryption-config-untold`, `endpoint-foreign`, `etcd-version`, `kubeadm-node`, `kubeadm-version`, `kubelet-version`, `kubernetes-version`, `old-control-plane-answers`, `old-control-plane-unheard`, `pki-unfit`, `ports-taken`, `sa-foreign`, `snapshot-too-old`
    "#);
    site.args.pop();
    site.arg("--accept=no-ca");
    assert_snapshot!(site.refusal(2), @r#"
    error: `no-ca` is nothing that `--accept` takes
      help: it takes: `ca-foreign`, `ca-unfit`, `clock-skew`, `cluster-foreign`, `cluster-name`, `command-check`, `data-too-old`, `disk-too-small`, `encryption-config-missing`, `encryption-config-unfit`, `encryption-config-untold`, `endpoint-foreign`, `etcd-version`, `kubeadm-node`, `kubeadm-version`, `kubelet-version`, `kubernetes-version`, `old-control-plane-answers`, `old-control-plane-unheard`, `pki-unfit`, `ports-taken`, `sa-foreign`, `snapshot-too-old`
    "#);
}

#[test]
fn what_can_be_accepted_is_documented() {
    for name in drctl::check::ACCEPTABLE {
        let row =
            include_str!("../../docs/checks.md").lines().find(|line| line.starts_with(&format!("| `{name}` | error")));
        assert!(row.is_some_and(|row| !row.ends_with("| never |")), "{name}");
    }
}

#[test]
fn nobody_to_ask() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.args = vec!["restore".to_owned()];
    assert_snapshot!(site.refusal(2), @r#"
    [time] reading the snapshots, the certificate authorities and the target
    Plan: restore cluster prod on 10.77.0.10
          from etcd-snapshot-[time].db from the folder [dir]/backup/snapshots
       1. fence           see that nothing answers at 10.77.0.10:6443 for 3s
                          - no fencing command in the inventory: nothing keeps the old master from coming back later
       2. fetch-snapshot  bring `etcd-snapshot-[time].db` ([n] bytes) to the target
       3. ca-crt          place ca.crt at /etc/kubernetes/pki/ca.crt, mode 0644, owner root:root
                          changes /etc/kubernetes/pki/ca.crt
       4. ca-key          place ca.key at /etc/kubernetes/pki/ca.key, mode 0600, owner root:root
                          changes /etc/kubernetes/pki/ca.key
       5. restore-etcd    restore the snapshot into /var/lib/etcd with etcdctl 3.4.23 (/usr/local/bin/etcdctl)
                          - not etcdutl: the target has no `etcdutl`
                          - not docker: the target has no `docker`
                          - not containerd: the target has no `ctr`
                          - not podman: the target has no `podman`
                          - not uploaded: the inventory names no `etcdutl` to upload
                          - as member master at https://10.77.0.10:2380
                          - watchers may go back in time: the program may be too old to raise the revision
                          changes /var/lib/etcd

    error: there is no terminal to ask for confirmation; nothing was touched
      help: automation passes `--yes`
    "#);
}

#[test]
fn several_faults_at_once() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "none"]);
    let site = Site::new(&lab, &host);
    std::fs::remove_file(site.file("pki/ca.key")).expect("a key");
    std::fs::write(site.snapshot(), "").expect("a snapshot");
    host.sh("mkdir -p /var/lib/etcd/member");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR found no valid snapshot [no-snapshot]
              `etcd-snapshot-[time].db` of the folder [dir]/backup/snapshots: empty: 0 bytes
            -> point `[[snapshots]]` of the inventory at a place that holds at least one whole snapshot
      ERROR `ca.key` of the cluster's root CA is not there: no such file: `[dir]/backup/pki/ca.key` [no-ca]
            -> put it there, or say where it is with `ca_key` in `[pki]`
               without it `kubeadm init` would make a new CA, and every node and user would be locked out
      warn  the target already holds /var/lib/etcd [existing-data]
            -> it is set aside, not deleted; `drctl rollback` puts it back
      ERROR step `restore-etcd`: no program on the target restores a snapshot [restore-engine]
              not etcdutl: the target has no `etcdutl`
              not etcdctl: the target has no `etcdctl`
              not docker: the target has no `docker`
              not containerd: the target has no `ctr`
              not podman: the target has no `podman`
              not uploaded: the inventory names no `etcdutl` to upload
            -> install etcdutl or etcdctl on the target, load an etcd image there, or name an `etcdutl` in the inventory
    error: 3 errors; the target was not touched: no-snapshot, no-ca, restore-engine
      help: what to do is said with each of them
    "#);
}

/// Every line of standard output is an object, and the last is the error.
#[track_caller]
fn last_line(ran: &Ran) -> String {
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.first().map(|line| &line["kind"]), Some(&"version".into()), "{}", ran.stdout);
    assert!(
        lines.iter().all(|line| line["at"].is_string() && line["data"] != serde_json::Value::Null),
        "{}",
        ran.stdout
    );
    let kinds: Vec<_> = lines.iter().filter(|line| line["kind"] == "error").collect();
    assert_eq!(kinds, lines.last().into_iter().collect::<Vec<_>>(), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
    serde_json::to_string_pretty(&lines.last().expect("a line")["data"]).expect("JSON")
}

#[test]
fn programs_read_why() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "none"]);
    let mut site = Site::new(&lab, &host);
    site.arg("--output=json");
    assert_snapshot!(last_line(&site.refused(3)), @r#"
    {
      "exit": 3,
      "faults": [],
      "findings": [
        {
          "help": "install etcdutl or etcdctl on the target, load an etcd image there, or name an `etcdutl` in the inventory",
          "message": "step `restore-etcd`: no program on the target restores a snapshot\n  not etcdutl: the target has no `etcdutl`\n  not etcdctl: the target has no `etcdctl`\n  not docker: the target has no `docker`\n  not containerd: the target has no `ctr`\n  not podman: the target has no `podman`\n  not uploaded: the inventory names no `etcdutl` to upload",
          "name": "restore-engine",
          "severity": "error"
        }
      ],
      "help": "what to do is said with each of them",
      "message": "1 error; the target was not touched: restore-engine"
    }
    "#);
    site.policy = "max_snapshot_age = 24\non_failure = \"retry\"".to_owned();
    assert_snapshot!(last_line(&site.refused(2)), @r#"
    {
      "exit": 2,
      "faults": [
        {
          "column": 20,
          "help": null,
          "line": 21,
          "message": "expected a length of time in quotes, such as `\"90s\"`, `\"1h 30m\"` or `\"1d\"`, found the number `24`"
        },
        {
          "column": 14,
          "help": "possible: `stop`, `rollback`",
          "line": 22,
          "message": "unknown word `retry`"
        }
      ],
      "findings": [],
      "help": "",
      "message": "the inventory `[dir]/prod.toml` has 2 errors"
    }
    "#);
}
