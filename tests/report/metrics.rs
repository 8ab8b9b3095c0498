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
    insta::assert_snapshot!(text, @r#"
    # HELP drctl_last_success_timestamp_seconds When the last drill or restore that passed ended.
    # TYPE drctl_last_success_timestamp_seconds gauge
    drctl_last_success_timestamp_seconds{cluster="prod",kind="drill"} 1794878317.412
    # HELP drctl_last_run_timestamp_seconds When the last drill or restore ended.
    # TYPE drctl_last_run_timestamp_seconds gauge
    drctl_last_run_timestamp_seconds{cluster="prod",kind="drill"} 1795483160.712
    # HELP drctl_verdict The verdict of the last drill or restore: 1 for the one that it has.
    # TYPE drctl_verdict gauge
    drctl_verdict{cluster="prod",kind="drill",verdict="passed"} 0
    drctl_verdict{cluster="prod",kind="drill",verdict="failed"} 1
    drctl_verdict{cluster="prod",kind="drill",verdict="unfinished"} 0
    # HELP drctl_rto_limit_seconds How long it may take from the first record to the proven control plane.
    # TYPE drctl_rto_limit_seconds gauge
    drctl_rto_limit_seconds{cluster="prod",kind="drill"} 120
    # HELP drctl_rpo_seconds The age of the data when the last run began.
    # TYPE drctl_rpo_seconds gauge
    drctl_rpo_seconds{cluster="prod",kind="drill"} 217.4
    # HELP drctl_rpo_limit_seconds How old the data may be when a run begins.
    # TYPE drctl_rpo_limit_seconds gauge
    drctl_rpo_limit_seconds{cluster="prod",kind="drill"} 600
    # HELP drctl_snapshot_size_bytes The size of the snapshot of the last run.
    # TYPE drctl_snapshot_size_bytes gauge
    drctl_snapshot_size_bytes{cluster="prod",kind="drill"} 48322592
    # HELP drctl_target_create_seconds How long the throwaway target of the last drill took to make.
    # TYPE drctl_target_create_seconds gauge
    drctl_target_create_seconds{cluster="prod",kind="drill"} 1.24
    # HELP drctl_target_destroy_seconds How long the throwaway target of the last drill took to go.
    # TYPE drctl_target_destroy_seconds gauge
    drctl_target_destroy_seconds{cluster="prod",kind="drill"} 0.87
    # HELP drctl_step_duration_seconds How long each step of the last run took.
    # TYPE drctl_step_duration_seconds gauge
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="fence"} 3.1
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="fetch-snapshot"} 1.8
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="ca-crt"} 0.2
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="ca-key"} 0.2
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="sa-pub"} 0.2
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="sa-key"} 0.2
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="restore-etcd"} 2.4
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="kubeadm-init"} 23.2
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="api-up"} 0.1
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="verify-etcd"} 0.6
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="masterleases"} 4.3
    drctl_step_duration_seconds{cluster="prod",kind="drill",step="verify-cluster"} 6.1
    "#);
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
