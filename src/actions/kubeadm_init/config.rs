//! The configuration that `kubeadm init` is given.

use serde_json::json;

use super::documents::Documents;
use crate::actions::control_plane::Node;
use crate::inventory::Inventory;
use crate::snapshot::{Claims, ComponentConfiguration};

/// A file of configuration documents.
#[derive(Debug)]
pub(super) struct Config {
    /// The documents.
    pub(super) text: String,
    /// What they say.
    pub(super) documents: Documents,
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

/// Understood by kubeadm 1.15 to 1.26, for clusters whose own version of it is not known.
const OLDEST: &str = "kubeadm.k8s.io/v1beta2";

impl Config {
    /// The cluster's configuration: the inventory's, else the snapshot's, else kubeadm's defaults; or why it cannot be read.
    pub(super) fn of(inventory: &Inventory, held: Option<&String>) -> Result<Self, String> {
        let origin = Origin::of(inventory, held);
        let text = given(inventory)?.or_else(|| held.cloned()).unwrap_or_else(|| defaults(inventory));
        let documents = Documents::read(&text)?;
        Ok(Self { text, documents, origin })
    }

    /// The same with the node, unless it says itself which node is meant, and with what kubeadm would overwrite otherwise.
    pub(super) fn complete(mut self, node: &Node, claims: Option<&Claims>) -> Self {
        if !self.documents.has("InitConfiguration") {
            let version = self.documents.version().unwrap_or(OLDEST);
            self.append(&init_configuration(version, node, claims));
        }
        for (_, component) in components(self.origin, claims) {
            if let ComponentConfiguration::Yaml(yaml) = component {
                self.append(yaml);
            }
        }
        self
    }

    fn append(&mut self, document: &str) {
        self.text = format!("{}\n---\n{}\n", self.text.trim_end(), document.trim());
    }
}

/// Whose configuration kubeadm makes anew unless it is given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Kubelet,
    KubeProxy,
}

/// What the snapshot says of the components. Whoever gives a configuration of their own means all of it.
pub(super) fn components(origin: Origin, claims: Option<&Claims>) -> Vec<(Component, &ComponentConfiguration)> {
    let Some(claims) = claims.filter(|_| origin == Origin::Snapshot) else { return Vec::new() };
    vec![
        (Component::Kubelet, &claims.kubelet_configuration),
        (Component::KubeProxy, &claims.kube_proxy_configuration),
    ]
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

/// JSON is YAML. With no `taints` at all kubeadm adds its own, even when the operator had removed them.
fn init_configuration(version: &str, node: &Node, claims: Option<&Claims>) -> String {
    let before = claims.and_then(|claims| claims.nodes.iter().find(|known| known.name == node.name));
    let mut init = json!({
        "apiVersion": version,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": node.address},
        "nodeRegistration": {"name": node.name},
    });
    // No ClusterConfiguration has it, and nodes and load balancers lead there.
    if let Some(port) = claims.and_then(|claims| claims.api_port) {
        init["localAPIEndpoint"]["bindPort"] = json!(port);
    }
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
    use crate::snapshot::ClaimedNode;

    fn init(node: &Node, claims: &Claims) -> serde_json::Value {
        serde_json::from_str(&init_configuration(OLDEST, node, Some(claims))).unwrap()
    }

    #[test]
    fn the_node_keeps_its_name_address_port_and_taints() {
        let node = Node { name: "master".to_owned(), address: "10.0.0.1".to_owned() };
        let before = ClaimedNode {
            name: "master".to_owned(),
            control_plane: true,
            taints: vec!["a/b=c:NoExecute".to_owned(), "node.kubernetes.io/unreachable:NoExecute".to_owned()],
            ..ClaimedNode::default()
        };
        let init = init(&node, &Claims { nodes: vec![before], api_port: Some(8443), ..Claims::default() });
        assert_eq!(init["nodeRegistration"]["taints"], json!([{"key": "a/b", "value": "c", "effect": "NoExecute"}]));
        assert_eq!(init["nodeRegistration"]["name"], "master");
        assert_eq!(init["localAPIEndpoint"], json!({"advertiseAddress": "10.0.0.1", "bindPort": 8443}));
    }

    #[test]
    fn a_node_that_had_no_taints_gets_none() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let before = ClaimedNode { name: "m".to_owned(), control_plane: true, ..ClaimedNode::default() };
        let init = init(&node, &Claims { nodes: vec![before], ..Claims::default() });
        assert_eq!(init["nodeRegistration"]["taints"], json!([]));
        assert_eq!(init["localAPIEndpoint"], json!({"advertiseAddress": "10.0.0.1"}), "the port is kubeadm's to choose");
    }

    #[test]
    fn the_kubelets_and_kube_proxys_configuration_come_along() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let yaml = |text: &str| ComponentConfiguration::Yaml(text.to_owned());
        let mut claims = Claims {
            kubelet_configuration: yaml(
                "apiVersion: kubelet.config.k8s.io/v1beta1\ncgroupDriver: systemd\nkind: KubeletConfiguration\n",
            ),
            kube_proxy_configuration: yaml(
                "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n",
            ),
            ..Claims::default()
        };
        let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n";
        let complete = |origin: Origin, claims: &Claims| {
            let config = Config { text: text.to_owned(), documents: Documents::read(text).unwrap(), origin };
            config.complete(&node, Some(claims)).text
        };
        let given = complete(Origin::Snapshot, &claims);
        insta::assert_snapshot!(given, @r#"
        apiVersion: kubeadm.k8s.io/v1beta3
        kind: ClusterConfiguration
        ---
        {"apiVersion":"kubeadm.k8s.io/v1beta3","kind":"InitConfiguration","localAPIEndpoint":{"advertiseAddress":"10.0.0.1"},"nodeRegistration":{"name":"m"}}
        ---
        apiVersion: kubelet.config.k8s.io/v1beta1
        cgroupDriver: systemd
        kind: KubeletConfiguration
        ---
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        mode: ipvs
        "#);
        assert!(Documents::read(&given).unwrap().has("KubeProxyConfiguration"));
        assert!(!complete(Origin::Inventory, &claims).contains("ipvs"), "the inventory's is all of it");
        claims.kube_proxy_configuration = ComponentConfiguration::Absent;
        assert!(!complete(Origin::Snapshot, &claims).contains("KubeProxyConfiguration"));
    }

    #[test]
    fn the_node_is_added_unless_it_is_named() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n";
        let config = |text: &str| Config {
            text: text.to_owned(),
            documents: Documents::read(text).unwrap(),
            origin: Origin::Inventory,
        };
        let added = config(text).complete(&node, None);
        let read = Documents::read(&added.text).unwrap();
        assert_eq!(read.version(), Some("kubeadm.k8s.io/v1beta3"));
        assert_eq!((read.node_name.as_deref(), read.advertise_address.as_deref()), (Some("m"), Some("10.0.0.1")));
        let named = format!("{text}---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n");
        assert_eq!(config(&named).complete(&node, None).text, named);
    }
}
