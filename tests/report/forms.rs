//! Markdown and JSON, word for word where that is short.

use drctl::report::evidence::Kind;
use drctl::report::evidence::{Circumstances, Outcome, of_reports};
use drctl::report::{Evidence, markdown};
use serde_json::Value;

use crate::made::{HOSTILE, Journal, at, circumstances, failed, hostile, passed};

#[test]
#[expect(clippy::too_many_lines, reason = "a whole report is one picture")]
fn a_failed_drill_in_markdown() {
    insta::assert_snapshot!(markdown(&failed(3)), @r#"
    # Failed: drill of prod, 2026-11-24

    prod did not come back on a throwaway target.

    - Step `verify-cluster` failed: the UID of namespace kube-system: expected 0f9d2c7a-5b1e-4c38-9a77-3e2b6d1c8f40, found 5a1d7c90-52d7-4d43-b6a5-0c1f3f7f1a11.

    | Figure |  | Limit |  |
    | --- | ---: | --- | --- |
    | RTO | not reached | the limit is 2m | from the first record of the run to the proven control plane |
    | RPO | 3m 37s | within the limit of 10m | age of the data when the run began, by the newest change in the data |
    | Last successful drill | 7 days ago |  | 2026-11-17 01:18:37 UTC |

    ## Circumstances

    |  |  |
    | --- | --- |
    | Cluster | prod |
    | Level | control-plane |
    | Drill | prod-20261124T011836Z-b4cb |
    | Run | prod-20261124T011837Z-b4cb |
    | Began | 2026-11-24 01:18:36 UTC |
    | Ended | 2026-11-24 01:19:20 UTC |
    | Target | throwaway, made by `namespace` |
    | Isolation | The target has a network namespace of its own without any route out; only the controller reaches it |
    | Broken on purpose | kill-controller: drctl was killed while kubeadm-init ran |
    | Target made in | 1.2s |
    | Target gone in | 0.9s |
    | Snapshot | etcd-snapshot-2026-11-24\_01:15:01\_UTC.db |
    | Source | folder /srv/etcd-snapshots |
    | Saved | 2026-11-24 01:15:01 UTC |
    | Newest change in it | 2026-11-24 01:15:00 UTC |
    | Size | 46.08 MiB |
    | Holds | revision 1284377, 3,912 keys |

    ## Timeline

    ```text
    fence           ██······················      3.1s
    fetch-snapshot  ··█·····················      1.8s
    ca-crt          ···█····················      0.2s
    ca-key          ···█····················      0.2s
    sa-pub          ···█····················      0.2s
    sa-key          ···█····················      0.2s
    restore-etcd    ···██···················      2.4s
    kubeadm-init    ·····████████████·······       23s
    api-up          ·················█······      0.1s
    verify-etcd     ·················█······      0.6s
    masterleases    ·················███····      4.3s
    verify-cluster  ····················███·      6.1s
    ```

    - after 23s: taken up again
    - after 44s: stopped: step `verify-cluster` failed

    | Step | Action | State | Took | Usually | Difference |
    | --- | --- | --- | ---: | ---: | ---: |
    | fence | fence | done | 3.1s | 2.9s | +0.2s |
    | fetch-snapshot | fetch\_snapshot | done | 1.8s | 1.7s | +0.1s |
    | ca-crt | place\_file | done | 0.2s | 0.2s | 0.0s |
    | ca-key | place\_file | done | 0.2s | 0.2s | 0.0s |
    | sa-pub | place\_file | done | 0.2s | 0.2s | 0.0s |
    | sa-key | place\_file | done | 0.2s | 0.2s | 0.0s |
    | front-proxy-ca-crt | place\_file | skipped: `when = pki.front-proxy-ca-crt` does not hold |  |  |  |
    | front-proxy-ca-key | place\_file | skipped: `when = pki.front-proxy-ca-key` does not hold |  |  |  |
    | etcd-ca-crt | place\_file | skipped: `when = pki.etcd-ca-crt` does not hold |  |  |  |
    | etcd-ca-key | place\_file | skipped: `when = pki.etcd-ca-key` does not hold |  |  |  |
    | encryption-config | place\_file | skipped: `when = pki.encryption-config` does not hold |  |  |  |
    | restore-etcd | restore\_etcd | done | 2.4s | 2.3s | +0.1s |
    | kubeadm-init | kubeadm\_init | done | 23s | 26s | −3.3s |
    | api-up | wait\_for | done | 0.1s | 0.1s | 0.0s |
    | verify-etcd | verify\_etcd | done | 0.6s | 0.6s | 0.0s |
    | masterleases | masterleases | done | 4.3s | 4.0s | +0.3s |
    | verify-cluster | verify\_cluster | failed: the UID of namespace kube-system: expected 0f9d2c7a-5b1e-4c38-9a77-3e2b6d1c8f40, found 5a1d7c90-52d7-4d43-b6a5-0c1f3f7f1a11 | 6.1s | 9.2s |  |

    ## What was proved, and how

    | Proof | How | Expected | Found | Outcome | Step |
    | --- | --- | --- | --- | --- | --- |
    | Writes are kept | A key was written to etcd, read back and deleted | what was written | what was written | held | verify-etcd |
    | Revision | etcd's revision was compared with the snapshot's | at least 1284377 | 1001284391 | held | verify-etcd |
    | Keys of the snapshot | All keys were listed; those made up to the snapshot's revision were counted. Events and leases expire | nearly all of 3912 | 3908 | held | verify-etcd |
    | Keys now | All keys were counted, those made since the restore among them | – | 3931 | noted | verify-etcd |
    | API servers that live | Their addresses in etcd were seen to be renewed | – | 10.0.0.10 | noted | masterleases |
    | API servers that are gone | Their leases in the snapshot ran out | – | 10.0.0.11 | noted | masterleases |
    | API servers that were removed | Their entries had no lease and nobody renewed them | – | none | noted | masterleases |
    | API servers that are left | Entries that nobody was seen to renew, and that do no harm | – | none | noted | masterleases |
    | The UID of namespace kube-system | Action verify\_cluster | 0f9d2c7a-5b1e-4c38-9a77-3e2b6d1c8f40 | 5a1d7c90-52d7-4d43-b6a5-0c1f3f7f1a11 | failed | verify-cluster |

    ## What the checks found

    | Severity | Name | Finding |
    | --- | --- | --- |
    | warning | no-etcd-ca | the old etcd CA is not among the files: kubeadm makes a new one<br>clients of etcd outside of the cluster, backups among them, need new certificates |
    | ok | snapshot-valid | `etcd-snapshot-2026-11-24_01:15:01_UTC.db` is whole: digest, pages and records agree |
    | ok | data-age | the newest change in the data is 3m 37s old (2026-11-24T01:15:00Z) |
    | ok | ca-pair | ca.key belongs to ca.crt, which is valid until 2034-03-01 |
    | ok | ca-of-cluster | ca.crt is the CA that the snapshot holds |
    | ok | target | Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64, as root |
    | ok | space | 2.1 GiB are free where 138 MiB are needed |

    ## Versions

    |  |  |
    | --- | --- |
    | drctl | 0.1.0 |
    | Kubernetes | v1.31.4, in the snapshot |
    | etcd | 3.5.6, in the snapshot |
    | kubeadm | 1.31.4, on the target |
    | kubelet | 1.31.4, on the target |
    | etcd's tool | 3.5.16, on the target |
    | Distribution | Debian GNU/Linux 12 (bookworm) |
    | Kernel | 6.1.0-28-amd64 |

    ## SHA-256

    |  |  |
    | --- | --- |
    | Snapshot | 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 |
    | Inventory | 1c86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 |
    | Playbook | 7b86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 |
    | Journal | e486d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 |

    ## Trend

    | Ended | Verdict | RTO | RPO | Id |
    | --- | --- | ---: | ---: | --- |
    | 2026-11-24 01:19:20 UTC | failed | – | 3m 37s | prod-20261124T011836Z-b4cb |
    | 2026-11-17 01:18:37 UTC | passed | 47s | 3m 18s | prod-20261117T011837Z-0002 |
    | 2026-11-10 01:18:37 UTC | passed | 42s | 4m 19s | prod-20261110T011837Z-0001 |
    | 2026-11-03 01:18:37 UTC | passed | 38s | 5m 20s | prod-20261103T011837Z-0000 |
    "#);
}

#[test]
fn a_drill_without_a_run_in_markdown() {
    let mut circumstances = circumstances(0);
    circumstances.against = vec!["The target could not be made: the root `/srv/base` has no `/sbin/init`.".to_owned()];
    circumstances.ended = Some(at(0.2));
    (circumstances.create, circumstances.destroy, circumstances.findings) = (None, None, None);
    circumstances.facts.clear();
    let evidence = Evidence::without_run("prod", "10.0.0.10", at(0.0), circumstances);
    insta::assert_snapshot!(markdown(&evidence), @r#"
    # Failed: drill of prod, 2026-11-24

    prod did not come back on a throwaway target.

    - The target could not be made: the root `/srv/base` has no `/sbin/init`.

    | Figure |  | Limit |  |
    | --- | ---: | --- | --- |
    | RTO | not reached | the limit is 2m | from the first record of the run to the proven control plane |
    | RPO | unknown | the limit is 10m | age of the data when the run began |
    | Last successful drill | none yet |  | none before this one passed either |

    ## Circumstances

    |  |  |
    | --- | --- |
    | Cluster | prod |
    | Level | control-plane |
    | Drill | prod-20261124T011836Z-b4cb |
    | Began | 2026-11-24 01:18:37 UTC |
    | Ended | 2026-11-24 01:18:37 UTC |
    | Target | throwaway, made by `namespace` |
    | Isolation | The target has a network namespace of its own without any route out; only the controller reaches it |

    ## What was proved, and how

    Nothing was proved: no step that proves was reached.

    ## What the checks found

    Not kept: the run began with an earlier drctl, or its findings could not be written.

    ## Versions

    |  |  |
    | --- | --- |
    | drctl | 0.1.0 |

    ## Trend

    | Ended | Verdict | RTO | RPO | Id |
    | --- | --- | ---: | ---: | --- |
    | 2026-11-24 01:18:37 UTC | failed | – | – | prod-20261124T011836Z-b4cb |
    "#);
}

#[test]
fn hostile_text_stays_text_in_markdown() {
    let text = markdown(&hostile());
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!([3, 4, 5, 6, 7].contains(&cells), "{cells} bars: {line}");
    }
    let fenced = text.split("```").nth(1).expect("a timeline");
    let text = text.replace(fenced, "");
    for (markup, escaped) in [("<script", "\\<script"), ("**b**", "\\*\\*b\\*\\*"), ("[l](", "\\[l\\](")] {
        assert!(text.contains(escaped), "no {escaped} in {text}");
        assert!(!text.replace(escaped, "").contains(markup), "{markup} in {text}");
    }
}

#[test]
fn json_is_read_back_as_it_was() {
    for evidence in [passed(26), failed(3), hostile()] {
        let text = evidence.json().expect("JSON");
        let read: Evidence = serde_json::from_str(&text).expect("a report");
        assert_eq!(read, evidence);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["format"], 1);
    }
    assert!(hostile().json().expect("JSON").contains("alert('1')"), "{HOSTILE}");
}

#[test]
fn keys_of_later_versions_are_ignored() {
    let mut value = serde_json::to_value(passed(0)).expect("JSON");
    value["later"] = Value::from("x");
    value["figures"]["later"] = Value::from(1);
    let read: Evidence = serde_json::from_value(value).expect("a report");
    assert_eq!(read, passed(0));
}

/// The fields of the schema are those that are written.
#[test]
fn every_report_is_as_the_schema_says() {
    let schema = schemars::schema_for!(Evidence).to_value();
    for evidence in [passed(26), failed(3), hostile()] {
        let value = serde_json::to_value(evidence).expect("JSON");
        for (key, _) in value.as_object().expect("an object") {
            assert!(schema["properties"].get(key).is_some(), "{key} is not in the schema");
        }
        let required = schema["required"].as_array().expect("a list");
        for key in required {
            assert!(value.get(key.as_str().expect("a name")).is_some(), "{key} is missing");
        }
    }
}

#[test]
fn those_before_are_found_in_their_folders() {
    let state = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| {
        let path = state.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        path.join("report.json")
    };
    let mut earlier = failed(0);
    earlier.ended = at(-1000.0);
    std::fs::write(folder("b"), passed(0).json().expect("JSON")).expect("a file");
    std::fs::write(folder("a"), earlier.json().expect("JSON")).expect("a file");
    let mut other = passed(0);
    other.cluster = "staging".to_owned();
    std::fs::write(folder("c"), other.json().expect("JSON")).expect("a file");
    std::fs::write(folder("d"), "{\"format\": 1,").expect("a file");
    // One that is under way has none yet.
    drop(folder("e"));
    let (found, unreadable) = of_reports(state.path(), Kind::Drill, "prod");
    assert_eq!(
        found.iter().map(|report| report.verdict.outcome).collect::<Vec<_>>(),
        [Outcome::Failed, Outcome::Passed]
    );
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].0.ends_with("d/report.json"), "{unreadable:?}");
    assert_eq!(of_reports(state.path(), Kind::Restore, "prod"), (Vec::new(), unreadable));
    assert_eq!(of_reports(&state.path().join("none"), Kind::Drill, "prod"), (Vec::new(), Vec::new()));
}

#[test]
fn the_last_success_is_the_newest_that_passed() {
    assert_eq!(passed(3).last_success, Some(at(46.2)));
    let failed = failed(3);
    assert_eq!(failed.last_success, Some(at(-7.0 * 86_400.0)));
    assert_eq!(failed.trend.len(), 4);
    let lonely = Evidence::without_run("prod", "h", at(0.0), Circumstances::default());
    assert_eq!(lonely.last_success, None);
}

#[test]
fn a_step_is_compared_with_its_mean() {
    let evidence = passed(3);
    let init = evidence.steps.iter().find(|step| step.name == "kubeadm-init").expect("a step");
    assert!((init.difference_seconds.expect("a difference") - (21.7 - 21.7 * 1.22)).abs() < 1e-3);
    let skipped = evidence.steps.iter().find(|step| step.state == "skipped").expect("a step");
    assert_eq!((skipped.seconds, skipped.difference_seconds, skipped.spans.len()), (None, None, 0));
}

/// The snapshot was saved 1.4 s after its newest change: the terminal counts from the change, as every report does.
#[test]
fn the_terminal_tells_the_rpo_of_the_reports() {
    let mut journal = Journal::new("prod-20261124T011837Z-b4cb", 0.0);
    journal.on_from(0);
    let (said, figures) = (journal.report().to_string(), journal.evidence(Circumstances::default()).figures);
    assert_eq!(figures.rpo_seconds, Some(217.4));
    assert!(said.ends_with("RPO      3m 37s of changes are not in the snapshot"), "{said}");
}
