//! Does the target have what a control plane is made with? Whether their versions fit is the step's own question.

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
    let mut findings = Vec::new();
    if !target.facts.tools.contains_key("kubeadm") {
        findings.push(Finding::error(
            "no-kubeadm",
            "the target has no `kubeadm` in its PATH",
            "install kubeadm and kubelet of the cluster's version on the target",
        ));
    }
    if !target.facts.tools.contains_key("kubelet") {
        findings.push(Finding::error(
            "no-kubelet",
            "the target has no `kubelet` in its PATH",
            "install the kubelet of the cluster's version on the target",
        ));
    }
    findings
}
