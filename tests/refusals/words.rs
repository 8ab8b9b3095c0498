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
    assert_snapshot!(site.refused(0).stderr, @"");
}

#[test]
fn an_unknown_key_and_a_wrong_type() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.cluster.push_str("\nendpont = \"10.77.0.11:6443\"");
    site.policy = "max_snapshot_age = 24".to_owned();
    assert_snapshot!(site.refusal(2), @"");
}

#[test]
fn an_inventory_or_playbook_that_is_not_there() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let site = Site::new(&lab, &host);
    let inventory = site.written();
    assert_snapshot!(lab.drctl(&["restore", "--yes"]).expect(2).stderr, @"");
    assert_snapshot!(lab.drctl(&["restore", "--yes", "--inventory", "no/such.toml"]).expect(2).stderr, @"");
    let no_playbook = ["restore", "--yes", "--inventory", &inventory, "--playbook", "no/such.toml"];
    assert_snapshot!(lab.drctl(&no_playbook).expect(2).stderr, @"");
}

#[test]
fn a_step_that_names_nothing() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.playbook = site.playbook.replace("step.fetch-snapshot.path", "step.fetch.path");
    assert_snapshot!(site.refusal(2), @"");
}

#[test]
fn an_accepted_finding_that_there_is_not() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.arg("--accept=snapshot-to-old");
    assert_snapshot!(site.refusal(2), @"");
}

#[test]
fn nobody_to_ask() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.args = vec!["restore".to_owned()];
    assert_snapshot!(site.refusal(2), @"");
}

#[test]
fn several_faults_at_once() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &["--etcd", "none"]);
    let mut site = Site::new(&lab, &host);
    std::fs::remove_file(site.file("pki/ca.key")).expect("a key");
    std::fs::write(site.snapshot(), "").expect("a snapshot");
    host.sh("mkdir -p /var/lib/etcd/member");
    site.arg("--accept=existing-data");
    assert_snapshot!(site.refusal(3), @"");
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
    assert_snapshot!(last_line(&site.refused(3)), @"");
    site.policy = "max_snapshot_age = 24\non_failure = \"retry\"".to_owned();
    assert_snapshot!(last_line(&site.refused(2)), @"");
    site.arg("--restart");
    assert_snapshot!(site.refused(2).stderr, @"");
}
