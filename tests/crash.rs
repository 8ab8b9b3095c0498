//! Killed in every step, with a real kubeadm: resume ends where an undisturbed run ends, rollback ends where all began.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::time::Duration;

use support::{ADDRESS, Host, Lab};

/// Every step that restoring this backup takes, in order: it holds nothing encrypted.
const STEPS: [&str; 16] = [
    "fence",
    "fetch-snapshot",
    "ca-crt",
    "ca-key",
    "sa-pub",
    "sa-key",
    "front-proxy-ca-crt",
    "front-proxy-ca-key",
    "etcd-ca-crt",
    "etcd-ca-key",
    "restore-etcd",
    "kubeadm-init",
    "api-up",
    "verify-etcd",
    "masterleases",
    "verify-cluster",
];

/// These add nothing that `kubeadm-init` or `verify-cluster` would not leave to undo, and take a control plane each.
const PROOFS_AMID: [&str; 3] = ["api-up", "verify-etcd", "masterleases"];

/// All that the playbook may touch.
const TOUCHED: [&str; 3] = ["/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"];

fn fresh(lab: &Lab) -> Host<'_> {
    lab.host("target", "kube", ADDRESS, &["--hostname", "master"])
}

/// What an owner may have left on the host: other content, odd modes and owners, names with blanks, a link.
const LEFTOVERS: &str = "set -e
    mkdir -p '/etc/kubernetes/pki/etcd' /etc/kubernetes/manifests /var/lib/etcd/member/wal /var/lib/kubelet
    echo old >/etc/kubernetes/pki/ca.crt; chmod 640 /etc/kubernetes/pki/ca.crt; chown 12:34 /etc/kubernetes/pki/ca.crt
    echo old >/etc/kubernetes/admin.conf; echo keep >'/etc/kubernetes/audit policy.yaml'
    ln -s ../ca.crt /etc/kubernetes/pki/etcd/ca.crt
    head -c 100000 /dev/urandom >/var/lib/etcd/member/wal/0.wal; chown -R 999:999 /var/lib/etcd; chmod 750 /var/lib/etcd
    echo x >/var/lib/kubelet/state; touch -d 2001-01-01 /var/lib/kubelet/state";

fn starts_of_kubeadm(host: &Host<'_>) -> usize {
    host.sh("cat /root/kubeadm.starts 2>/dev/null || true").lines().count()
}

/// kubeadm, counting how often `init` is begun.
fn count_starts(host: &Host<'_>) {
    host.sh(
        "mv /usr/bin/kubeadm /usr/bin/kubeadm.real
         printf '%s\\n' '#!/bin/sh' '[ \"$1\" != init ] || echo init >>/root/kubeadm.starts' 'exec /usr/bin/kubeadm.real \"$@\"' >/usr/bin/kubeadm
         chmod 755 /usr/bin/kubeadm",
    );
}

#[test]
fn killed_in_every_step_and_resumed_it_ends_restored() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = fresh(&lab);
    count_starts(&host);
    let inventory = lab.inventory(&host, "root", &backup);

    let restore = ["restore", "--inventory", &inventory, "--yes"];
    assert!(lab.killed_at(&restore, "step_started", STEPS[0], Duration::from_millis(50)), "the first step began");
    for step in &STEPS[1..] {
        // In long steps a moment later, so that something of them has happened.
        let after = match *step {
            "kubeadm-init" => Duration::from_secs(4),
            "verify-cluster" => Duration::from_secs(3),
            _ => Duration::ZERO,
        };
        assert!(lab.killed_at(&["resume"], "step_kept", step, after), "step {step} was kept");
    }
    lab.drctl(&["resume"]).expect(0);

    assert_eq!(starts_of_kubeadm(&host), 1, "kubeadm init was begun once, and attached to after each kill");
    let shown = lab.drctl(&["show", &lab.run_id()]).expect(0).stdout;
    assert!(shown.contains("state    restored"), "{shown}");
    let nodes = host.sh("kubectl --kubeconfig /etc/kubernetes/admin.conf get ns shop billing --no-headers");
    assert_eq!(nodes.lines().count(), 2, "{nodes}");
}

#[test]
fn killed_wherever_there_is_more_to_undo_it_is_rolled_back_to_where_it_began() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = fresh(&lab);
    host.sh("systemctl stop kubelet");
    host.sh(LEFTOVERS);
    let inventory = lab.inventory(&host, "root", &backup);
    let before = host.tree(&TOUCHED);

    let restore = ["restore", "--inventory", &inventory, "--yes"];
    for step in STEPS.into_iter().filter(|step| !PROOFS_AMID.contains(step)) {
        let after = if step == "kubeadm-init" { Duration::from_secs(6) } else { Duration::ZERO };
        assert!(lab.killed_at(&restore, "step_kept", step, after), "step {step} was kept");
        lab.drctl(&["rollback", "--yes"]).expect(0);
        similar(&before, &host.tree(&TOUCHED), step);
        assert_eq!(host.sh("crictl pods -q"), "", "pods are left after {step}");
        assert_eq!(host.sh("ls /var/lib/drctl"), "epoch\nmutex\n", "after {step}");
    }
}

fn similar(before: &str, after: &str, step: &str) {
    let missing: Vec<_> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    let added: Vec<_> = after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    assert!(missing.is_empty() && added.is_empty(), "after {step}\nmissing: {missing:#?}\nadded: {added:#?}");
}

#[test]
fn a_link_cut_during_kubeadm_init_is_survived_without_a_second_start() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = fresh(&lab);
    count_starts(&host);
    let inventory = lab.inventory(&host, "root", &backup);

    let mut drctl = lab.command(&["restore", "--inventory", &inventory, "--yes"]).spawn().expect("drctl can be run");
    while starts_of_kubeadm(&host) == 0 {
        assert!(drctl.try_wait().expect("drctl lives").is_none(), "drctl ended before kubeadm was begun");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Silently: no packet comes through, none is refused.
    lab.lab(&["cut", "target"]);
    std::thread::sleep(Duration::from_secs(8));
    lab.lab(&["mend", "target"]);
    // And openly: every connection of sshd is closed.
    std::thread::sleep(Duration::from_secs(1));
    host.close_connections();
    let status = drctl.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert_eq!(starts_of_kubeadm(&host), 1);
}
