//! What `kubeadm init` would make of the data: asked of a real kubeadm, before anything is touched.

use insta::assert_snapshot;

use crate::site::Site;
use crate::support::{ADDRESS, Lab};

const CLUSTER: &str = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n";

/// `[cluster]` with kubeadm's configuration.
fn configured(cluster: &str, documents: &str) -> String {
    format!("{cluster}\nkubeadm_config_inline = '''\n{documents}'''")
}

#[test]
fn what_kubeadm_would_make_of_it_is_known_before() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    let cluster = site.cluster.clone();

    site.args = vec!["check".to_owned()];
    let told = site.refused(0).stderr;
    let of_kubeadm = told.lines().filter(|line| line.contains("`kubeadm-init`")).collect::<Vec<_>>().join("\n");
    assert_snapshot!(of_kubeadm, @"");

    // A format that this kubeadm does not know.
    site.args = vec!["restore".to_owned(), "--yes".to_owned()];
    site.cluster = configured(&cluster, &CLUSTER.replace("v1beta2", "v1beta4"));
    assert_snapshot!(site.refusal(3), @"");

    // An etcd older than the data, and a Kubernetes.
    site.cluster = configured(&cluster, &format!("{CLUSTER}etcd:\n  local:\n    imageTag: 3.3.15-0\n"));
    assert_snapshot!(site.refusal(3), @"");
    site.cluster = configured(&cluster, &CLUSTER.replace("v1.20.2", "v1.18.0"));
    assert_snapshot!(site.refusal(3), @"");

    // Another node and another folder than the restored.
    let init = "---\napiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\nnodeRegistration:\n  name: cp-7\n";
    site.cluster = configured(&cluster, &format!("{CLUSTER}etcd:\n  local:\n    dataDir: /data/etcd\n{init}"));
    assert_snapshot!(site.refusal(3), @"");
}
