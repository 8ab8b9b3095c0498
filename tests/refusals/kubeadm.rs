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
fn formats_and_versions_that_do_not_fit() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    let cluster = site.cluster.clone();

    site.args = vec!["check".to_owned()];
    let told = site.refused(0).stderr;
    let of_kubeadm = told.lines().filter(|line| line.contains("`kubeadm-init`")).collect::<Vec<_>>().join("\n");
    assert_snapshot!(of_kubeadm, @r#"
    ok    step `kubeadm-init`: Kubernetes v1.20.2 would be initialised; the snapshot's is v1.20.2
    ok    step `kubeadm-init`: the target has kubelet 1.20.2; Kubernetes v1.20.2 would be initialised
    ok    step `kubeadm-init`: the target has kubeadm 1.20.2; Kubernetes v1.20.2 would be initialised (the snapshot's kubeadm configuration)
    ok    step `kubeadm-init`: kubeadm would run k8s.gcr.io/etcd:3.4.13-0; the snapshot's etcd is 3.4.0
    "#);

    // A format that this kubeadm does not know.
    site.args = vec!["restore".to_owned(), "--yes".to_owned()];
    site.cluster = configured(&cluster, &CLUSTER.replace("v1beta2", "v1beta4"));
    // It names whichever of its documents it comes to first.
    let said = site.refusal(3).replace("kind \"InitConfiguration\"", "kind \"ClusterConfiguration\"");
    assert_snapshot!(said, @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `kubeadm-init`: the target's kubeadm does not take the inventory's configuration: could not convert cfg to an internal cfg: no kind "ClusterConfiguration" is registered for version "kubeadm.k8s.io/v1beta4" in scheme "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme/scheme.go:31" [kubeadm-config]
            -> see `kubeadm_config` in the inventory's `[cluster]`
               if one went on, `kubeadm init` would end with the same words
    error: 1 error; the target was not touched: kubeadm-config
      help: what to do is said with each of them
    "#);

    // An etcd older than the data, and a Kubernetes.
    site.cluster = configured(&cluster, &format!("{CLUSTER}etcd:\n  local:\n    imageTag: 3.3.15-0\n"));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `kubeadm-init`: kubeadm would run k8s.gcr.io/etcd:3.3.15-0; the snapshot's etcd is 3.4.0 [etcd-version]
            -> set `etcd.local.imageTag` in a `kubeadm_config` to the snapshot's minor version, or install the cluster's kubeadm
               if one went on, etcd would end with `cluster cannot be downgraded`, and `kubeadm init` with a time limit
    error: 1 error; the target was not touched: etcd-version
      help: what to do is said with each of them
            to go on in spite of it: `--accept etcd-version`
    "#);
    site.cluster = configured(&cluster, &CLUSTER.replace("v1.20.2", "v1.18.0"));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `kubeadm-init`: Kubernetes v1.18.0 would be initialised; the snapshot's is v1.20.2 [kubernetes-version]
            -> take the snapshot's minor version
               if one went on, the API server could not read objects that a newer one wrote, and would drop fields of others
      ERROR step `kubeadm-init`: the target has kubelet 1.20.2; Kubernetes v1.18.0 would be initialised [kubelet-version]
            -> install the kubelet of the cluster's minor version on the target
               if one went on, kubeadm's preflight check `KubeletVersion` would end `kubeadm init`
      ERROR step `kubeadm-init`: the target has kubeadm 1.20.2; Kubernetes v1.18.0 would be initialised (the inventory's kubeadm configuration) [kubeadm-version]
            -> install kubeadm, kubelet and kubectl of the cluster's minor version on the target
               if one went on, `kubeadm init` would refuse, or make what it does not know
    error: 3 errors; the target was not touched: kubernetes-version, kubelet-version, kubeadm-version
      help: what to do is said with each of them
            to go on in spite of it: `--accept kubernetes-version`, `--accept kubelet-version`, `--accept kubeadm-version`
    "#);
}

#[test]
fn another_node_and_another_folder_than_the_restored() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    let init = "---\napiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\nnodeRegistration:\n  name: cp-7\n";
    site.cluster = configured(&site.cluster, &format!("{CLUSTER}etcd:\n  local:\n    dataDir: /data/etcd\n{init}"));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR step `kubeadm-init`: kubeadm's InitConfiguration and the inventory mean different nodes [kubeadm-node]
              kubeadm:       cp-7 at 10.77.0.10
              etcd's member: master at 10.77.0.10
            -> give `node_name` and `advertise_address` in `[cluster]` the same values as `nodeRegistration.name` and `localAPIEndpoint.advertiseAddress`
               if one went on, etcd's member would keep a name and peer address that are not its own, and no other could join it
      ERROR step `kubeadm-init`: etcd would be started on another folder than the restored one [etcd-data-dir]
              expected: /var/lib/etcd
              found:    /data/etcd (`etcd.local.dataDir` of kubeadm's configuration, the inventory's)
            -> make /var/lib/etcd a link to /data/etcd on the target, or give a `kubeadm_config` in `[cluster]` with /var/lib/etcd
               if one went on, etcd would start empty: `kubeadm init` exits 0, and nodes that reconnect stop their pods
    error: 2 errors; the target was not touched: kubeadm-node, etcd-data-dir
      help: what to do is said with each of them
            to go on in spite of it: `--accept kubeadm-node`
    "#);
}
