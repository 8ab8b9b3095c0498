//! Metrics as Prometheus itself reads them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use drctl::report::metrics::{file_name, metrics};

use crate::made::{failed, hostile, passed};

/// Debian's `promtool`, which `tests/needs` puts there.
const PROMTOOL: &str = "/var/cache/drctl-lab/promtool";

fn is_accepted(text: &str) {
    let mut promtool = Command::new(PROMTOOL)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: tests/needs");
    promtool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
fn a_failed_drill_in_metrics() {
    let text = metrics([&failed(3)]);
    is_accepted(&text);
    insta::assert_snapshot!(text, @"");
}

#[test]
fn several_clusters_share_their_families() {
    let mut staging = passed(3);
    staging.cluster = "staging".to_owned();
    let text = metrics([&failed(3), &staging]);
    is_accepted(&text);
    assert_eq!(text.matches("# TYPE drctl_rpo_seconds gauge").count(), 1);
    assert_eq!(text.matches("\ndrctl_rpo_seconds{").count(), 2);
}

#[test]
fn names_that_mean_something_to_prometheus_are_only_names() {
    let mut evidence = hostile();
    evidence.cluster.push_str("\"} 1\n# x");
    is_accepted(&metrics([&evidence]));
}

/// It would complain, were something wrong.
#[test]
#[should_panic(expected = "drctl_x")]
fn promtool_is_not_content_with_anything() {
    is_accepted("drctl_x{cluster=\"a\"b\"} 1\n");
}

#[test]
fn each_cluster_and_kind_has_a_file_of_its_own() {
    assert_eq!(file_name(&passed(0)), "drctl-drill-prod.prom");
}
