//! The whole story with real kubeadm: a control plane is lost, `drctl restore` brings it back on a fresh host, and every
//! object, the old credential and the controllers are there again.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{ADDRESS, Lab};

/// What kubectl says with the credential of before the disaster, from where users are.
fn kubectl(lab: &Lab, backup: &Path, args: &[&str]) -> String {
    let kubectl = format!("{}/kubectl", lab.lab(&["path", "kube-programs"]));
    let output = Command::new("nsenter")
        .arg(format!("--net={}", lab.netns().display()))
        .args(["--", &kubectl, "--kubeconfig"])
        .arg(backup.join("admin.conf"))
        .args(args)
        .output()
        .expect("kubectl can be run");
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `kind namespace name uid` of every object that was there, without those whose work is to change.
fn objects(lab: &Lab, backup: &Path) -> Vec<String> {
    let listed = kubectl(
        lab,
        backup,
        &[
            "get",
            "ns,nodes,cm,secrets,sa,deploy,rs,svc,pods,clusterroles,clusterrolebindings,roles,rolebindings,ds",
            "-A",
            "--no-headers",
            "-o",
            "custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name,U:.metadata.uid",
        ],
    );
    listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_lost_control_plane_comes_back() {
    let lab = Lab::new();
    let backup = lab.backup();
    let host = lab.host("target", "kube", ADDRESS, &["--hostname", "master"]);
    let inventory = lab.inventory(&host, "root", &backup);

    let ran = lab.drctl(&["restore", "--inventory", &inventory, "--yes"]).expect(0);
    assert!(ran.stderr.contains("RTO"), "{}", ran.stderr);

    let before = std::fs::read_to_string(backup.join("objects.txt")).expect("the backup's objects");
    let now = objects(&lab, &backup);
    // Tokens of bootstrapping expire; everything else is the same object, by its uid.
    let lost: Vec<&str> = before
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains("bootstrap-token"))
        .filter(|line| !now.contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    assert!(lost.is_empty(), "{} of {} objects are lost: {lost:#?}", lost.len(), before.lines().count());

    kubectl(&lab, &backup, &["-n", "shop", "create", "configmap", "after", "--from-literal=made=after"]);
    assert_eq!(
        kubectl(&lab, &backup, &["-n", "shop", "get", "configmap", "after", "-o", "jsonpath={.data.made}"]),
        "after"
    );
    // The snapshot's service-account tokens are good, since the keys that sign them came back too.
    let token = std::fs::read_to_string(backup.join("token")).expect("a token of before");
    let kubectl_with_token = format!(
        "t=$(cat) && kubectl --kubeconfig /dev/null --server https://{ADDRESS}:6443 \
         --certificate-authority /etc/kubernetes/pki/ca.crt --token \"$t\" auth can-i create selfsubjectaccessreviews"
    );
    let answer = host.sh_with(&kubectl_with_token, token.trim());
    assert_eq!(answer.trim(), "yes");
    // The taint that the operator had removed is not back.
    assert_eq!(kubectl(&lab, &backup, &["get", "node", "master", "-o", "jsonpath={.spec.taints}"]), "");

    let shown = lab.drctl(&["show", &lab.run_id()]).expect(0).stdout;
    assert!(shown.contains("state    restored"), "{shown}");
    lab.drctl(&["rollback", &lab.run_id(), "--yes"]).expect(2);
}
