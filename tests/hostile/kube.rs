//! A real kubeadm, whose folders an owner moved to another disk.

use crate::support::{ADDRESS, Lab};

#[test]
fn a_control_plane_behind_links_comes_up_and_is_undone() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    host.sh(
        "set -e; mkdir -p /data/etcd /data/kubernetes /data/pki/etcd /data/manifests
         rm -rf /etc/kubernetes /var/lib/etcd
         ln -s /data/kubernetes /etc/kubernetes; ln -s /data/pki /data/kubernetes/pki; ln -s ../manifests /data/kubernetes/manifests
         ln -s /data/etcd /var/lib/etcd; echo old >/data/pki/apiserver.crt; echo old >/data/kubernetes/admin.conf
         echo old >/data/pki/etcd/server.key; chmod 600 /data/pki/etcd/server.key; chmod 700 /data/etcd",
    );
    let touched = ["/data", "/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"];
    let before = host.tree(&touched);
    let inventory = lab.inventory(&host, "root", &lab.backup());
    lab.drctl(&["restore", "--inventory", &inventory, "--yes"]).expect(0);
    host.sh("set -e; [ -L /etc/kubernetes ]; [ -L /var/lib/etcd ]; [ -s /data/manifests/etcd.yaml ]; [ -s /data/etcd/member/snap/db ]");
    assert_ne!(host.sh("cat /data/pki/apiserver.crt"), "old\n");
    lab.drctl(&["rollback", &lab.run_id(), "--after-success", "--yes"]).expect(0);
    let after = host.tree(&touched);
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let extra: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(lost.is_empty() && extra.is_empty(), "lost {lost:#?}\nextra {extra:#?}");
}
