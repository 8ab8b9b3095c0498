//! The configuration that `kubeadm init` is given.

use serde::Deserialize;
use serde_json::json;

use crate::actions::control_plane::Node;
use crate::actions::{ActionError, Context, Finding};
use crate::inventory::Inventory;
use crate::snapshot::ClaimedNode;

/// A file of configuration documents.
#[derive(Debug)]
pub(super) struct Config {
    /// The documents.
    pub(super) text: String,
    /// Where they come from.
    pub(super) origin: Origin,
}

/// Where a cluster's configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Inventory,
    Snapshot,
    Defaults,
}

impl Origin {
    pub(super) fn of(inventory: &Inventory, snapshot: Option<&String>) -> Self {
        let cluster = &inventory.cluster;
        if cluster.kubeadm_config.is_some() || cluster.kubeadm_config_inline.is_some() {
            Self::Inventory
        } else if snapshot.is_some() {
            Self::Snapshot
        } else {
            Self::Defaults
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Snapshot => "snapshot",
            Self::Defaults => "defaults",
        }
    }
}

/// What says which version a document is of, and which kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

/// Understood by kubeadm 1.15 to 1.26, for clusters whose own version of it is not known.
const OLDEST: &str = "kubeadm.k8s.io/v1beta2";

impl Config {
    /// Finds out early whether the inventory's file can be used.
    pub(super) fn faults(inventory: &Inventory) -> Vec<Finding> {
        let wrong = |message: String| {
            Finding::error("kubeadm-config", message, "see `kubeadm_config` in the inventory's `[cluster]`")
        };
        match given(inventory) {
            Err(reason) => vec![wrong(reason)],
            Ok(Some(text)) => heads(&text).err().map(wrong).into_iter().collect(),
            Ok(None) => Vec::new(),
        }
    }

    pub(super) fn write(cx: &Context<'_>, node: &Node, from_snapshot: bool) -> Result<Self, ActionError> {
        let local = |reason: String| ActionError::Local { what: "read kubeadm's configuration".to_owned(), reason };
        let claims = &cx.snapshot.claims;
        let held = claims.configuration.as_ref().filter(|_| from_snapshot);
        let origin = Origin::of(cx.inventory, held);
        let given = match given(cx.inventory).map_err(local)? {
            Some(given) => Some(given),
            None => held.cloned(),
        };
        let text = given.unwrap_or_else(|| defaults(cx.inventory));
        let heads = heads(&text).map_err(local)?;
        if heads.iter().any(|head| head.kind == "InitConfiguration") {
            return Ok(Self { text, origin });
        }
        let version = heads.iter().find(|head| head.api_version.starts_with("kubeadm.k8s.io/"));
        let version = version.map_or(OLDEST, |head| head.api_version.as_str());
        let before = claims.nodes.iter().find(|known| known.name == node.name);
        let init = init_configuration(version, node, before);
        Ok(Self { text: format!("{}\n---\n{init}\n", text.trim_end()), origin })
    }
}

fn given(inventory: &Inventory) -> Result<Option<String>, String> {
    let cluster = &inventory.cluster;
    if let Some(inline) = &cluster.kubeadm_config_inline {
        return Ok(Some(inline.clone()));
    }
    let read = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    cluster.kubeadm_config.as_ref().map(read).transpose()
}

fn defaults(inventory: &Inventory) -> String {
    let mut cluster = json!({"apiVersion": OLDEST, "kind": "ClusterConfiguration"});
    if let Some(version) = &inventory.cluster.kubernetes {
        cluster["kubernetesVersion"] = json!(format!("v{}", version.trim_start_matches('v')));
    }
    cluster.to_string()
}

fn heads(text: &str) -> Result<Vec<Head>, String> {
    let mut heads = Vec::new();
    for document in text.split("\n---").filter(|document| !document.trim().is_empty()) {
        let document = document.trim_start_matches("---");
        let head = serde_saphyr::from_str(document)
            .map_err(|error| format!("a document without `apiVersion` and `kind`: {error}"))?;
        heads.push(head);
    }
    Ok(heads)
}

/// JSON is YAML. With no `taints` at all kubeadm adds its own, even when the operator had removed them.
fn init_configuration(version: &str, node: &Node, before: Option<&ClaimedNode>) -> String {
    let mut init = json!({
        "apiVersion": version,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": node.address},
        "nodeRegistration": {"name": node.name},
    });
    if let Some(before) = before.filter(|before| before.control_plane) {
        let taints: Vec<_> = before.taints.iter().filter_map(|taint| taint_of(taint)).collect();
        init["nodeRegistration"]["taints"] = json!(taints);
    }
    init.to_string()
}

/// What the node controller adds to a node that is away is not the operator's.
fn taint_of(taint: &str) -> Option<serde_json::Value> {
    if taint.starts_with("node.kubernetes.io/") {
        return None;
    }
    let (rest, effect) = taint.rsplit_once(':')?;
    Some(match rest.split_once('=') {
        Some((key, value)) => json!({"key": key, "value": value, "effect": effect}),
        None => json!({"key": rest, "effect": effect}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_keeps_its_name_address_and_taints() {
        let node = Node { name: "master".to_owned(), address: "10.0.0.1".to_owned() };
        let before = ClaimedNode {
            name: "master".to_owned(),
            control_plane: true,
            taints: vec!["a/b=c:NoExecute".to_owned(), "node.kubernetes.io/unreachable:NoExecute".to_owned()],
            ..ClaimedNode::default()
        };
        let init: serde_json::Value = serde_json::from_str(&init_configuration(OLDEST, &node, Some(&before))).unwrap();
        assert_eq!(init["nodeRegistration"]["taints"], json!([{"key": "a/b", "value": "c", "effect": "NoExecute"}]));
        assert_eq!(init["nodeRegistration"]["name"], "master");
        assert_eq!(init["localAPIEndpoint"]["advertiseAddress"], "10.0.0.1");
    }

    #[test]
    fn a_node_that_had_no_taints_gets_none() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let before = ClaimedNode { name: "m".to_owned(), control_plane: true, ..ClaimedNode::default() };
        let init: serde_json::Value = serde_json::from_str(&init_configuration(OLDEST, &node, Some(&before))).unwrap();
        assert_eq!(init["nodeRegistration"]["taints"], json!([]));
    }

    #[test]
    fn documents_are_told_by_their_kinds() {
        let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n";
        let kinds: Vec<_> = heads(text).unwrap().into_iter().map(|head| head.kind).collect();
        assert_eq!(kinds, ["ClusterConfiguration", "InitConfiguration"]);
        assert!(heads("just text").is_err());
    }
}
