//! What `kubeadm init` would make of the data: asked of a real kubeadm, before anything is touched.

use insta::assert_snapshot;

use crate::clusters::Cluster;
use crate::site::Site;
use crate::support::{ADDRESS, Lab};

/// kubeadm's configuration in the inventory.
fn configured(site: &mut Site<'_>, documents: &str) {
    site.cluster.push_str(&format!("\nkubeadm_config_inline = '''\n{documents}'''"));
}

const CLUSTER: &str = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n";

#[test]
fn a_fit_host_with_kubeadm_is_accepted() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    site.args = vec!["check".to_owned()];
    let told = site.refused(0).stderr;
    let of_kubeadm = told.lines().filter(|line| line.contains("`kubeadm-init`")).collect::<Vec<_>>().join("\n");
    assert_snapshot!(of_kubeadm, @"");
}

#[test]
fn a_configuration_that_kubeadm_does_not_take() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    configured(&mut site, &CLUSTER.replace("v1beta2", "v1beta4"));
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn versions_that_do_not_fit() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    let cluster = site.cluster.clone();
    configured(&mut site, &format!("{CLUSTER}etcd:\n  local:\n    imageTag: 3.3.15-0\n"));
    assert_snapshot!(site.refusal(3), @"");
    site.cluster = cluster;
    configured(&mut site, &CLUSTER.replace("v1.20.2", "v1.18.0"));
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn another_node_and_another_folder_than_the_restored() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    let init = "---\napiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\nnodeRegistration:\n  name: cp-7\n";
    configured(&mut site, &format!("{CLUSTER}etcd:\n  local:\n    dataDir: /data/etcd\n{init}"));
    assert_snapshot!(site.refusal(3), @"");
}

#[test]
fn what_is_encrypted_needs_its_configuration() {
    let lab = Lab::new();
    let ca = std::fs::read_to_string(lab.backup().join("pki/ca.crt")).expect("the CA");
    let secret = "etcdctl put /registry/secrets/shop/database 'k8s:enc:aescbc:v1:key1:0123456789abcdef'".to_owned();
    let snapshots = Cluster { more: secret, ..Cluster::like(&ca) }.saved(&lab);
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let mut site = Site::new(&lab, &host);
    site.snapshots = snapshots;
    site.playbook = include_str!("../../playbooks/restore.toml").to_owned();
    assert_snapshot!(site.refusal(3), @"");
    let arguments = "apiServer:\n  extraArgs:\n    encryption-provider-config: /etc/kubernetes/encryption.yaml\n";
    configured(&mut site, &format!("{CLUSTER}{arguments}"));
    assert_snapshot!(site.refusal(3), @"");
    let file = lab.write("encryption.yaml", "kind: EncryptionConfiguration\n");
    site.playbook = site.playbook.replace(
        "[[step]]\nname = \"kubeadm-init\"",
        &format!(
            "[[step]]\nname = \"encryption\"\naction = \"place_file\"\nsource = \"{file}\"\n\
             to = \"/etc/kubernetes/encryption.yaml\"\nmode = \"0600\"\n\n[[step]]\nname = \"kubeadm-init\""
        ),
    );
    site.args = vec!["check".to_owned()];
    let told = site.refused(0).stderr;
    assert!(told.contains("a step of the playbook places /etc/kubernetes/encryption.yaml"), "{told}");
}
