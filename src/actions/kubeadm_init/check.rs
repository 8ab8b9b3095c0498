//! What `kubeadm init` would make of the restored data, known before: which node, which folder, which versions.

use super::config::{Config, Origin};
use super::documents::Documents;
use super::{KubeadmInit, versions};
use crate::actions::control_plane::Node;
use crate::actions::{Finding, PlanContext, Severity};
use crate::snapshot::Claims;
use crate::target::{Facts, Target, quote};

/// Where kubeadm keeps etcd's data unless it is told otherwise, and where restored data must be.
const DATA_DIR: &str = "/var/lib/etcd";
/// Where kubeadm looks for certificates unless it is told otherwise, and where the CA is placed.
const PKI: &str = "/etc/kubernetes/pki";
/// The first minor version whose `kubeadm config images list` reads a configuration as `kubeadm init` does.
const LISTS_IMAGES: (u32, u32) = (1, 13);

impl KubeadmInit {
    pub(super) async fn judge(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let claims = cx.snapshot.map(|chosen| &chosen.claims);
        let config = match Config::of(cx.inventory, claims.and_then(|claims| self.held(claims)), cx.facts) {
            Ok(config) => config,
            Err(reason) => return vec![unreadable(&reason)],
        };
        let (Some(facts), Some(node)) = (cx.facts, Node::planned(cx)) else { return Vec::new() };
        let documents = &config.documents;
        let mut findings = Vec::new();
        findings.extend(other_node(documents, &node, facts));
        findings.extend(other_pki(&config, facts));
        findings.extend(other_data(&config, facts));
        if let Some(claims) = claims {
            findings.extend(renamed(claims, &node));
            findings.extend(versions::kubernetes(&config, cx.inventory, facts, claims));
        }
        findings.extend(versions::kubelet(&config, facts));
        let kubeadm = versions::kubeadm(&config, facts);
        let fits = kubeadm.as_ref().is_none_or(|finding| finding.severity != Severity::Error);
        findings.extend(kubeadm);
        if let Some(target) = cx.target.filter(|_| fits) {
            findings.extend(ask(target, facts, config.complete(&node, claims, facts, self.controllers), claims).await);
        }
        findings
    }
}

fn unreadable(reason: &str) -> Finding {
    Finding::error("kubeadm-config", reason, "see `kubeadm_config` in the inventory's `[cluster]`")
}

/// etcd's member is restored under the name and address that the inventory and the host give.
fn other_node(documents: &Documents, node: &Node, facts: &Facts) -> Option<Finding> {
    if !documents.has("InitConfiguration") {
        return None;
    }
    let name = documents.node_name.clone().unwrap_or_else(|| facts.hostname.clone()).to_ascii_lowercase();
    let address = documents.advertise_address.clone().or_else(|| facts.address.clone())?;
    if name == node.name && address == node.address {
        return None;
    }
    Some(Finding::error(
        "kubeadm-node",
        format!(
            "kubeadm's InitConfiguration and the inventory mean different nodes\n  kubeadm:       {name} at {address}\n  \
             etcd's member: {} at {}",
            node.name, node.address
        ),
        "give `node_name` and `advertise_address` in `[cluster]` the same values as `nodeRegistration.name` and \
         `localAPIEndpoint.advertiseAddress`\n\
         if one went on, etcd's member would keep a name and peer address that are not its own, and no other could join it",
    ))
}

/// A kubeadm that finds no CA makes a new one, and says that all is well.
fn other_pki(config: &Config, facts: &Facts) -> Option<Finding> {
    let folder = config.documents.certificates_dir.as_deref()?.trim_end_matches('/');
    if is_at(folder, PKI, facts) {
        return None;
    }
    let whose = config.origin.word();
    Some(Finding::error(
        "certificates-dir",
        format!(
            "kubeadm would look for the CA in another folder than where it is placed\n  expected: {PKI}\n  \
             found:    {folder} (`certificatesDir` of kubeadm's configuration, the {whose}'s)"
        ),
        format!(
            "make {PKI} a link to {folder} on the target, or give a `kubeadm_config` in `[cluster]` with {PKI}\n\
             if one went on, `kubeadm init` would make a new CA and exit 0, and every node and client would be locked out"
        ),
    ))
}

/// Whether a folder of the configuration is the one that is meant, or where a link there leads to.
fn is_at(folder: &str, expected: &str, facts: &Facts) -> bool {
    folder == expected || facts.paths.get(expected).and_then(|state| state.resolved.as_deref()) == Some(folder)
}

/// An etcd that starts on another folder starts empty, and `kubeadm init` says that all is well.
fn other_data(config: &Config, facts: &Facts) -> Option<Finding> {
    let whose = config.origin.word();
    if let Some(endpoints) = &config.documents.external_etcd {
        return Some(Finding::error(
            "etcd-external",
            format!("kubeadm's configuration (the {whose}'s) has an external etcd: {}", endpoints.join(", ")),
            "restore that etcd by its own means, or give a `kubeadm_config` in `[cluster]` without `etcd.external`\n\
             if one went on, the API server would not use the data that is restored here",
        ));
    }
    let folder = config.documents.etcd_data_dir.as_deref().unwrap_or(DATA_DIR).trim_end_matches('/');
    if is_at(folder, DATA_DIR, facts) {
        return None;
    }
    Some(Finding::error(
        "etcd-data-dir",
        format!(
            "etcd would be started on another folder than the restored one\n  expected: {DATA_DIR}\n  \
             found:    {folder} (`etcd.local.dataDir` of kubeadm's configuration, the {whose}'s)"
        ),
        format!(
            "make {DATA_DIR} a link to {folder} on the target, or give a `kubeadm_config` in `[cluster]` with {DATA_DIR}\n\
             if one went on, etcd would start empty: `kubeadm init` exits 0, and nodes that reconnect stop their pods"
        ),
    ))
}

/// Nodes are known by their names.
fn renamed(claims: &Claims, node: &Node) -> Option<Finding> {
    let before: Vec<&str> =
        claims.nodes.iter().filter(|known| known.control_plane).map(|known| known.name.as_str()).collect();
    if before.is_empty() || before.contains(&node.name.as_str()) {
        return None;
    }
    Some(Finding::warning(
        "node-renamed",
        format!("the control plane would be node {}; in the snapshot it is {}", node.name, before.join(", ")),
        "set `node_name` in `[cluster]` to take its labels, taints and pods over\n\
         otherwise the old node stays in the list, not ready, until it is deleted",
    ))
}

/// kubeadm itself says whether it takes the configuration, and which etcd it would run.
async fn ask(target: &Target, facts: &Facts, config: Config, claims: Option<&Claims>) -> Vec<Finding> {
    let kubeadm = versions::of_kubeadm(facts);
    let names_its_version = config.documents.kubernetes_version.as_deref().is_some_and(|version| {
        // Others, such as `stable-1`, are asked for on the internet.
        crate::version::minor(version).is_some()
    });
    if kubeadm.is_none_or(|version| version < LISTS_IMAGES) || !names_its_version {
        return Vec::new();
    }
    let script =
        format!("printf '%s' {} | timeout 20 kubeadm config images list --config /dev/stdin", quote(&config.text));
    let Ok(reply) = target.look(&script).await else { return Vec::new() };
    if reply.status == 0 {
        let images = String::from_utf8_lossy(&reply.stdout);
        return versions::etcd(&images, claims).into_iter().collect();
    }
    let said = String::from_utf8_lossy(&reply.stderr);
    let whose = match config.origin {
        Origin::Inventory => "see `kubeadm_config` in the inventory's `[cluster]`",
        Origin::Snapshot | Origin::Defaults => {
            "install the cluster's version of kubeadm, or give a `kubeadm_config` in `[cluster]` that this one reads \
             (`kubeadm config migrate` of a version between)"
        }
    };
    vec![Finding::error(
        "kubeadm-config",
        format!(
            "the target's kubeadm does not take the {}'s configuration: {}",
            config.origin.word(),
            complaint(&said)
        ),
        format!("{whose}\nif one went on, `kubeadm init` would end with the same words"),
    )]
}

/// What kubeadm says, without its warnings and its advice on stack traces.
fn complaint(said: &str) -> String {
    let is_warning = |line: &str| line.starts_with('W') && line[1..].starts_with(|c: char| c.is_ascii_digit());
    let words = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_warning(line) && !line.starts_with("To see the stack trace"));
    words.collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{PathKind, PathState};

    fn config(yaml: &str) -> Config {
        let text = format!("apiVersion: kubeadm.k8s.io/v1beta3\n{yaml}");
        Config { documents: Documents::read(&text).unwrap(), text, origin: Origin::Snapshot }
    }

    fn facts(hostname: &str, address: &str, data_dir: &str) -> Facts {
        Facts {
            hostname: hostname.to_owned(),
            address: Some(address.to_owned()),
            paths: [(DATA_DIR.to_owned(), leads_to(data_dir))].into(),
            ..Facts::bare()
        }
    }

    fn leads_to(folder: &str) -> PathState {
        PathState { kind: PathKind::Symlink, empty: true, resolved: Some(folder.to_owned()), filesystem: None }
    }

    fn name(finding: Option<Finding>) -> Option<String> {
        finding.map(|finding| finding.name)
    }

    #[test]
    fn the_member_is_the_node_that_kubeadm_makes() {
        let node = Node { name: "cp-1".to_owned(), address: "10.0.0.1".to_owned() };
        let of = |yaml: &str, facts: &Facts| name(other_node(&config(yaml).documents, &node, facts));
        let here = facts("CP-1", "10.0.0.1", DATA_DIR);
        assert_eq!(of("kind: ClusterConfiguration\n", &here), None);
        assert_eq!(of("kind: InitConfiguration\n", &here), None);
        assert_eq!(
            of("kind: InitConfiguration\n", &facts("other", "10.0.0.1", DATA_DIR)),
            Some("kubeadm-node".to_owned())
        );
        let named = "kind: InitConfiguration\nnodeRegistration:\n  name: cp-1\nlocalAPIEndpoint:\n  advertiseAddress: ";
        assert_eq!(of(&format!("{named}10.0.0.1\n"), &facts("other", "10.9.9.9", DATA_DIR)), None);
        assert_eq!(of(&format!("{named}10.0.0.2\n"), &here), Some("kubeadm-node".to_owned()));
    }

    #[test]
    fn kubeadm_finds_the_placed_ca() {
        let of = |folder: &str, resolved: &str| {
            let yaml = format!("kind: ClusterConfiguration\n{folder}");
            other_pki(&config(&yaml), &Facts { paths: [(PKI.to_owned(), leads_to(resolved))].into(), ..Facts::bare() })
        };
        assert_eq!(of("", PKI), None);
        assert_eq!(of("certificatesDir: /etc/kubernetes/pki/\n", PKI), None);
        assert_eq!(of("certificatesDir: /etc/kubernetes/ssl\n", "/etc/kubernetes/ssl"), None, "a link leads to it");
        let finding = of("certificatesDir: /etc/kubernetes/ssl\n", PKI).unwrap();
        insta::assert_snapshot!(format!("[{}] {}\n{}", finding.name, finding.message, finding.help), @r"
        [certificates-dir] kubeadm would look for the CA in another folder than where it is placed
          expected: /etc/kubernetes/pki
          found:    /etc/kubernetes/ssl (`certificatesDir` of kubeadm's configuration, the snapshot's)
        make /etc/kubernetes/pki a link to /etc/kubernetes/ssl on the target, or give a `kubeadm_config` in `[cluster]` with /etc/kubernetes/pki
        if one went on, `kubeadm init` would make a new CA and exit 0, and every node and client would be locked out
        ");
    }

    #[test]
    fn etcd_starts_on_the_restored_folder() {
        let of = |yaml: &str, resolved: &str| name(other_data(&config(yaml), &facts("a", "10.0.0.1", resolved)));
        let elsewhere = "kind: ClusterConfiguration\netcd:\n  local:\n    dataDir: /data/etcd/\n";
        assert_eq!(of("kind: ClusterConfiguration\n", DATA_DIR), None);
        assert_eq!(of(elsewhere, DATA_DIR), Some("etcd-data-dir".to_owned()));
        assert_eq!(of(elsewhere, "/data/etcd"), None, "/var/lib/etcd is a link to it");
        let external = "kind: ClusterConfiguration\netcd:\n  external:\n    endpoints: [a]\n";
        assert_eq!(of(external, DATA_DIR), Some("etcd-external".to_owned()));
    }

    #[test]
    fn warnings_are_no_complaint() {
        let said = "W1124 22:01:40.470533   23295 strict.go:47] unknown configuration\ncould not convert cfg\n\
                    To see the stack trace of this error execute with --v=5 or higher\n";
        assert_eq!(complaint(said), "could not convert cfg");
    }
}
