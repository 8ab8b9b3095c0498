//! Do the versions on the target fit the snapshot's? Data of a newer version may not be read by an older one.

use super::config::{Config, Origin};
use crate::actions::Finding;
use crate::inventory::Inventory;
use crate::snapshot::Claims;
use crate::target::Facts;
use crate::version::minor;

/// The version that would be initialised, and what says so.
fn planned<'a>(config: &'a Config, facts: &'a Facts) -> Option<(&'a str, String)> {
    if let Some(version) = &config.documents.kubernetes_version {
        let whose = match config.origin {
            Origin::Inventory => "the inventory's kubeadm configuration",
            Origin::Snapshot => "the snapshot's kubeadm configuration",
            Origin::Defaults => "`kubernetes` in `[cluster]`",
        };
        return Some((version, whose.to_owned()));
    }
    let version = facts.tools.get("kubeadm")?.version.as_deref()?;
    Some((version, "the target's kubeadm, as nothing else names a version".to_owned()))
}

/// The planned version and the snapshot's.
pub(super) fn kubernetes(config: &Config, inventory: &Inventory, facts: &Facts, claims: &Claims) -> Option<Finding> {
    let (planned, _) = planned(config, facts)?;
    let before = claims.kubernetes_version.as_deref()?;
    let said = format!("Kubernetes {planned} would be initialised; the snapshot's is {before}");
    let (now, was) = (minor(planned)?, minor(before)?);
    let asked = inventory.cluster.kubernetes.as_deref().and_then(minor);
    Some(match now.1.cmp(&was.1) {
        _ if now.0 != was.0 => return None,
        std::cmp::Ordering::Less => Finding::error(
            "kubernetes-version",
            said,
            "take the snapshot's minor version\n\
             if one went on, the API server could not read objects that a newer one wrote, and would drop fields of others",
        ),
        std::cmp::Ordering::Greater if now.1 - was.1 > 1 => Finding::error(
            "kubernetes-version",
            said,
            "take the snapshot's minor version, and upgrade afterwards, one minor version at a time\n\
             if one went on, objects stored in API versions that are gone by then could not be read",
        ),
        std::cmp::Ordering::Greater => Finding::warning(
            "kubernetes-version",
            said,
            "this would be an upgrade within the restore: rather take the snapshot's minor version, and upgrade afterwards",
        ),
        std::cmp::Ordering::Equal if asked.is_some_and(|asked| asked != now) => Finding::warning(
            "kubernetes-version",
            format!("{said}; `kubernetes` in `[cluster]` says otherwise and does not count"),
            "correct `kubernetes` in `[cluster]`, or name a `kubeadm_config` with the version that is meant",
        ),
        std::cmp::Ordering::Equal => Finding::ok("kubernetes-version", said),
    })
}

/// kubeadm initialises its own minor version and the one before.
pub(super) fn kubeadm(config: &Config, facts: &Facts) -> Option<Finding> {
    let has = facts.tools.get("kubeadm")?.version.as_deref();
    let (planned, whose) = planned(config, facts)?;
    let said =
        format!("the target has kubeadm {}; Kubernetes {planned} would be initialised ({whose})", has.unwrap_or("?"));
    let (Some(kubeadm), Some(wanted)) = (has.and_then(minor), minor(planned)) else {
        return Some(Finding::warning("kubeadm-version", said, "see by hand that kubeadm can initialise that version"));
    };
    if kubeadm.0 == wanted.0 && (kubeadm.1 == wanted.1 || kubeadm.1 == wanted.1 + 1) {
        return Some(Finding::ok("kubeadm", said));
    }
    Some(Finding::error(
        "kubeadm-version",
        said,
        "install kubeadm, kubelet and kubectl of the cluster's minor version on the target\n\
         if one went on, `kubeadm init` would refuse, or make what it does not know",
    ))
}

/// kubeadm's preflight refuses a kubelet that is newer than the API server, or older than it supports.
pub(super) fn kubelet(config: &Config, facts: &Facts) -> Option<Finding> {
    let (planned, _) = planned(config, facts)?;
    let kubelet = facts.tools.get("kubelet")?.version.as_deref()?;
    let (api, has) = (minor(planned)?, minor(kubelet)?);
    let kubeadm = facts.tools.get("kubeadm").and_then(|tool| minor(tool.version.as_deref()?)).unwrap_or(api);
    let oldest = kubeadm.1.saturating_sub(if kubeadm >= (1, 29) { 3 } else { 1 });
    let said = format!("the target has kubelet {kubelet}; Kubernetes {planned} would be initialised");
    if has.0 == api.0 && has.1 <= api.1 && has.1 >= oldest {
        return Some(Finding::ok("kubelet", said));
    }
    Some(Finding::error(
        "kubelet-version",
        said,
        "install the kubelet of the cluster's minor version on the target\n\
         if one went on, kubeadm's preflight check `KubeletVersion` would end `kubeadm init`",
    ))
}

/// The etcd that kubeadm would run, and the snapshot's.
pub(super) fn etcd(images: &str, claims: Option<&Claims>) -> Option<Finding> {
    let image = images
        .lines()
        .map(str::trim)
        .find(|image| image.rsplit_once(':').is_some_and(|(name, _)| name == "etcd" || name.ends_with("/etcd")))?;
    let before = claims?.etcd_version.as_deref()?;
    let said = format!("kubeadm would run {image}; the snapshot's etcd is {before}");
    let (_, tag) = image.rsplit_once(':')?;
    let (Some(now), Some(was)) = (minor(tag), minor(before)) else {
        return Some(Finding::warning(
            "etcd-version",
            said,
            "see by hand that this is the same minor version, or the next: an older one does not start",
        ));
    };
    if now == was {
        return Some(Finding::ok("etcd", said));
    }
    if now > was {
        let next = now.0 == was.0 && now.1 == was.1 + 1;
        let make = if next { Finding::warning } else { Finding::error };
        let help = "set `etcd.local.imageTag` in a `kubeadm_config` to the snapshot's minor version, and upgrade afterwards\n\
                    etcd is upgraded one minor version at a time: a greater step is not supported, and data may be lost";
        return Some(make("etcd-version", said, help));
    }
    Some(Finding::error(
        "etcd-version",
        said,
        "set `etcd.local.imageTag` in a `kubeadm_config` to the snapshot's minor version, or install the cluster's kubeadm\n\
         if one went on, etcd would end with `cluster cannot be downgraded`, and `kubeadm init` with a time limit",
    ))
}
