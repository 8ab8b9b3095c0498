//! Does the target have what a control plane is made with?

use super::Look;
use crate::actions::Finding;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let Ok(target) = &look.target else {
        return Vec::new();
    };
    let uses_kubeadm = look.steps_to_run().any(|step| step.kind.name == "kubeadm_init");
    if !uses_kubeadm {
        return Vec::new();
    }
    let Some(kubeadm) = target.facts.tools.get("kubeadm") else {
        return vec![Finding::error(
            "no-kubeadm",
            "the target has no `kubeadm` in its PATH",
            "install kubeadm and kubelet of the cluster's version on the target",
        )];
    };
    let mut findings = vec![version(look, kubeadm.version.as_deref().unwrap_or("of an unknown version"))];
    if !target.facts.tools.contains_key("kubelet") {
        findings.push(Finding::error(
            "no-kubelet",
            "the target has no `kubelet` in its PATH",
            "install the kubelet of the cluster's version on the target",
        ));
    }
    findings
}

/// kubeadm initialises its own minor version and the one before.
fn version(look: &Look, kubeadm: &str) -> Finding {
    let snapshot = look.snapshot.as_ref().ok().and_then(|search| search.chosen.claims.kubernetes_version.clone());
    let Some((wanted, says)) = (look.inventory.cluster.kubernetes.clone().map(|version| (version, "the inventory")))
        .or(snapshot.map(|version| (version, "the snapshot")))
    else {
        return Finding::ok("kubeadm", format!("the target has kubeadm {kubeadm}; the cluster's version is not known"));
    };
    let said = format!("the target has kubeadm {kubeadm}; {says} says Kubernetes {wanted}");
    let (Some(has), Some(wants)) = (minor(kubeadm), minor(&wanted)) else {
        return Finding::warning("kubeadm-version", said, "check by hand that kubeadm can initialise that version");
    };
    if has.0 == wants.0 && (has.1 == wants.1 || has.1 == wants.1 + 1) {
        return Finding::ok("kubeadm", said);
    }
    Finding::error(
        "kubeadm-version",
        said,
        "install kubeadm, kubelet and kubectl of the cluster's minor version on the target",
    )
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
