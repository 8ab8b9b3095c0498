//! Do the versions on the target fit the snapshot's? Data of a newer version may not be read by an older one.

use super::config::{Config, Origin};
use crate::actions::Finding;
use crate::inventory::Inventory;
use crate::snapshot::Claims;
use crate::target::Facts;
use crate::version::minor;

/// The target's kubeadm.
pub(super) fn of_kubeadm(facts: &Facts) -> Option<(u32, u32)> {
    minor(facts.tools.get("kubeadm")?.version.as_deref()?)
}

/// The version that would be initialised, and what says so.
fn planned<'a>(config: &'a Config, facts: &'a Facts) -> Option<(&'a str, String)> {
    if let Some(version) = &config.documents.kubernetes_version {
        let whose = match config.origin {
            Origin::Inventory => "the inventory's kubeadm configuration",
            Origin::Snapshot => "the snapshot's kubeadm configuration",
            Origin::Defaults => "`kubernetes` in `[cluster]`, else kubeadm's own",
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
    let kubeadm = of_kubeadm(facts).unwrap_or(api);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::actions::Severity::{self, Error, Ok, Warning};
    use crate::actions::kubeadm_init::documents::Documents;
    use crate::target::Tool;

    fn config(version: &str) -> Config {
        let documents = Documents { kubernetes_version: Some(version.to_owned()), ..Documents::default() };
        Config { text: String::new(), documents, origin: Origin::Snapshot }
    }

    fn facts(kubeadm: &str, kubelet: &str) -> Facts {
        let tool = |version: &str| Tool {
            path: "/usr/bin/x".to_owned(),
            version: Some(version.to_owned()),
            restores: false,
            bumps: false,
        };
        let tools = [("kubeadm".to_owned(), tool(kubeadm)), ("kubelet".to_owned(), tool(kubelet))].into();
        Facts { tools, ..Facts::bare() }
    }

    fn inventory(more: &str) -> Inventory {
        let text = format!(
            "[cluster]\nname = \"a\"\nendpoint = \"a:6443\"\n{more}\n[target]\nhost = \"h\"\n[[snapshots]]\n\
             folder.path = \"/b\"\n[pki]\ndir = \"/p\"\n"
        );
        crate::inventory::parse("test", &text, Path::new("/")).unwrap()
    }

    fn severity(finding: Option<Finding>) -> Option<Severity> {
        finding.map(|finding| finding.severity)
    }

    #[test]
    fn the_snapshots_minor_version_is_the_one_to_take() {
        let of = |planned: &str, more: &str| {
            let claims = Claims { kubernetes_version: Some("v1.20.2".to_owned()), ..Claims::default() };
            severity(kubernetes(&config(planned), &inventory(more), &facts("1.20.2", "1.20.2"), &claims))
        };
        assert_eq!(of("v1.20.15", ""), Some(Ok));
        assert_eq!(of("v1.19.16", ""), Some(Error));
        assert_eq!(of("v1.21.0", ""), Some(Warning));
        assert_eq!(of("v1.22.0", ""), Some(Error));
        assert_eq!(of("v1.20.2", "kubernetes = \"1.21.0\""), Some(Warning));
        assert_eq!(of("stable-1", ""), None);
    }

    #[test]
    fn kubeadm_is_of_that_version_or_the_next() {
        let of = |has: &str| severity(kubeadm(&config("v1.20.2"), &facts(has, "1.20.2")));
        assert_eq!((of("1.20.15"), of("1.21.0")), (Some(Ok), Some(Ok)));
        assert_eq!((of("1.22.0"), of("1.19.1")), (Some(Error), Some(Error)));
        assert_eq!(severity(kubeadm(&config("stable-1"), &facts("1.20.2", "1.20.2"))), Some(Warning));
    }

    #[test]
    fn the_kubelet_is_never_newer_and_not_much_older() {
        let of = |planned: &str, kubeadm: &str, has: &str| severity(kubelet(&config(planned), &facts(kubeadm, has)));
        assert_eq!(of("v1.20.2", "1.20.2", "1.20.4"), Some(Ok));
        assert_eq!(of("v1.20.2", "1.20.2", "1.19.0"), Some(Ok));
        assert_eq!(of("v1.20.2", "1.20.2", "1.21.0"), Some(Error));
        assert_eq!(of("v1.20.2", "1.20.2", "1.18.0"), Some(Error));
        assert_eq!(of("v1.30.2", "1.30.2", "1.27.0"), Some(Ok));
        assert_eq!(of("v1.30.2", "1.30.2", "1.26.0"), Some(Error));
    }

    #[test]
    fn etcd_is_never_older() {
        let of = |image: &str, before: &str| {
            let claims = Claims { etcd_version: Some(before.to_owned()), ..Claims::default() };
            severity(etcd(&format!("k8s.gcr.io/pause:3.2\n{image}\nk8s.gcr.io/coredns:1.7.0\n"), Some(&claims)))
        };
        assert_eq!(of("k8s.gcr.io/etcd:3.4.13-0", "3.4.0"), Some(Ok));
        assert_eq!(of("k8s.gcr.io/etcd:3.4.13-0", "3.5.0"), Some(Error));
        assert_eq!(of("registry:5000/etcd:3.5.9-0", "3.4.0"), Some(Warning));
        assert_eq!(of("k8s.gcr.io/etcd:3.6.1-0", "3.4.0"), Some(Error));
        assert_eq!(of("k8s.gcr.io/etcd:ours", "3.4.0"), Some(Warning));
        assert_eq!(of("k8s.gcr.io/other:1", "3.4.0"), None);
    }
}
