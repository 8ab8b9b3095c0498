//! The configuration that `kubeadm init` is given.

use serde_json::json;

use super::documents::Documents;
use super::versions;
use crate::actions::control_plane::Node;
use crate::inventory::Inventory;
use crate::snapshot::{Claims, ComponentConfiguration};
use crate::target::Facts;

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

/// The first format that has time limits in it.
const V1BETA4: &str = "kubeadm.k8s.io/v1beta4";
/// How long kubeadm waits for an API server that starts. Where the phase that does so is skipped, the phases after it wait as
/// long as for any other request, which by default is a minute.
const API_SERVER_START: &str = "4m0s";

/// The format of documents that a kubeadm reads, where no configuration has one already: the newest that it knows. All of
/// them have what drctl writes in the same form; each is gone after some versions.
fn format_of(kubeadm: Option<(u32, u32)>) -> &'static str {
    match kubeadm {
        Some(version) if version >= (1, 31) => V1BETA4,
        Some(version) if version >= (1, 22) => "kubeadm.k8s.io/v1beta3",
        Some(_) | None => "kubeadm.k8s.io/v1beta2",
    }
}

impl Config {
    /// The cluster's configuration: the inventory's, else the snapshot's, else kubeadm's defaults; or why it cannot be read.
    pub(super) fn of(inventory: &Inventory, held: Option<&String>, facts: Option<&Facts>) -> Result<Self, String> {
        let origin = Origin::of(inventory, held);
        let text = given(inventory)?.or_else(|| held.cloned()).unwrap_or_else(|| defaults(inventory, facts));
        let documents = Documents::read(&text)?;
        Ok(Self { text, documents, origin })
    }

    /// The same with the node, unless it says itself which node is meant, and with what kubeadm would overwrite otherwise.
    pub(super) fn complete(mut self, node: &Node, claims: Option<&Claims>, facts: &Facts, controllers: bool) -> Self {
        if !self.documents.has("InitConfiguration") {
            let format = self.documents.version().unwrap_or_else(|| format_of(versions::of_kubeadm(facts)));
            self.append(&init_configuration(format, node, claims, controllers));
        }
        for (_, component) in components(self.origin, claims) {
            if let ComponentConfiguration::Yaml(yaml) = component {
                let lines = yaml.lines().filter(|line| *line != OF_THE_HOST);
                self.append(&lines.collect::<Vec<_>>().join("\n"));
            }
        }
        self
    }

    fn append(&mut self, document: &str) {
        self.text = format!("{}\n---\n{}\n", self.text.trim_end(), document.trim());
    }
}

/// What kubeadm wrote for a host where systemd-resolved runs, and writes again where it does. Elsewhere there is no such file,
/// and a kubelet that is to read it starts no pod.
const OF_THE_HOST: &str = "resolvConf: /run/systemd/resolve/resolv.conf";

/// Whose configuration kubeadm makes anew unless it is given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Kubelet,
    KubeProxy,
}

/// What the snapshot says of the components. Whoever gives a configuration of their own means all of it.
pub(super) fn components(origin: Origin, claims: Option<&Claims>) -> Vec<(Component, &ComponentConfiguration)> {
    let Some(claims) = claims.filter(|_| origin == Origin::Snapshot) else { return Vec::new() };
    vec![(Component::Kubelet, &claims.kubelet_configuration), (Component::KubeProxy, &claims.kube_proxy_configuration)]
}

/// The port that the API server will listen on. Only the inventory has documents that name one.
pub(crate) fn api_port(inventory: &Inventory, claims: Option<&Claims>) -> u16 {
    // What cannot be read there is told by the step's check.
    let documents = given(inventory).ok().flatten().and_then(|text| Documents::read(&text).ok()).unwrap_or_default();
    documents.api_port(claims.and_then(|claims| claims.api_port))
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

/// Of a configuration that names no version kubeadm asks the internet which one is meant.
fn defaults(inventory: &Inventory, facts: Option<&Facts>) -> String {
    let kubeadm = facts.and_then(versions::of_kubeadm);
    let mut cluster = json!({"apiVersion": format_of(kubeadm), "kind": "ClusterConfiguration"});
    let own = facts.and_then(|facts| facts.tools.get("kubeadm")?.version.as_ref()).filter(|_| kubeadm >= Some((1, 0)));
    if let Some(version) = inventory.cluster.kubernetes.as_ref().or(own) {
        cluster["kubernetesVersion"] = json!(format!("v{}", version.trim_start_matches('v')));
    }
    cluster.to_string()
}

/// JSON is YAML. With no `taints` at all kubeadm adds its own, even when the operator had removed them.
fn init_configuration(format: &str, node: &Node, claims: Option<&Claims>, controllers: bool) -> String {
    let before = claims.and_then(|claims| claims.nodes.iter().find(|known| known.name == node.name));
    let mut init = json!({
        "apiVersion": format,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": node.address},
        "nodeRegistration": {"name": node.name},
    });
    // No ClusterConfiguration has it, and nodes and load balancers lead there.
    if let Some(port) = claims.and_then(|claims| claims.api_port) {
        init["localAPIEndpoint"]["bindPort"] = json!(port);
    }
    if !controllers && format == V1BETA4 {
        init["timeouts"] = json!({"kubernetesAPICall": API_SERVER_START});
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
    use crate::target::Tool;

    fn init(node: &Node, claims: &Claims) -> serde_json::Value {
        serde_json::from_str(&init_configuration(format_of(None), node, Some(claims), true)).unwrap()
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
        assert_eq!(
            init["localAPIEndpoint"],
            json!({"advertiseAddress": "10.0.0.1"}),
            "the port is kubeadm's to choose"
        );
    }

    #[test]
    fn without_controllers_the_api_server_has_as_long_to_start() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let timeouts = |format: &str, controllers: bool| {
            let text = init_configuration(format, &node, None, controllers);
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["timeouts"].clone()
        };
        assert_eq!(timeouts("kubeadm.k8s.io/v1beta4", false), json!({"kubernetesAPICall": "4m0s"}));
        assert!(timeouts("kubeadm.k8s.io/v1beta4", true).is_null());
        assert!(timeouts("kubeadm.k8s.io/v1beta3", false).is_null(), "it has no such limits");
    }

    fn with_kubeadm(version: &str) -> Facts {
        let (path, version) = ("/usr/bin/kubeadm".to_owned(), Some(version.to_owned()));
        let kubeadm = Tool { path, version, restores: false, bumps: false };
        Facts { tools: [("kubeadm".to_owned(), kubeadm)].into(), ..Facts::bare() }
    }

    fn inventory(more: &str) -> Inventory {
        let text = format!(
            "[cluster]\nname = \"a\"\nendpoint = \"a:6443\"\n{more}[target]\nhost = \"h\"\n[[snapshots]]\n\
             folder.path = \"/b\"\n[pki]\ndir = \"/p\"\n"
        );
        crate::inventory::parse("test", &text, std::path::Path::new("/")).unwrap()
    }

    #[test]
    fn the_inventorys_port_counts_before_the_snapshots() {
        let claims = Claims { api_port: Some(8443), ..Claims::default() };
        let inline = |init: &str| {
            format!("kubeadm_config_inline = '''\napiVersion: kubeadm.k8s.io/v1beta3\nkind: {init}\n'''\n")
        };
        let init = inline("InitConfiguration\nlocalAPIEndpoint: {bindPort: 7443}");
        assert_eq!(api_port(&inventory(&init), Some(&claims)), 7443);
        assert_eq!(api_port(&inventory(&inline("ClusterConfiguration")), Some(&claims)), 8443);
        assert_eq!(api_port(&inventory(""), Some(&claims)), 8443);
        assert_eq!(api_port(&inventory("kubeadm_config = '/nowhere'\n"), None), 6443, "which is told elsewhere");
    }

    #[test]
    fn defaults_are_of_the_kubeadm_that_is_there() {
        let of = |kubeadm: &str, more: &str| {
            let documents = Config::of(&inventory(more), None, Some(&with_kubeadm(kubeadm))).unwrap().documents;
            (documents.version().unwrap().to_owned(), documents.kubernetes_version)
        };
        let expected = |format: &str, version: &str| (format!("kubeadm.k8s.io/{format}"), Some(version.to_owned()));
        assert_eq!(of("1.20.2", ""), expected("v1beta2", "v1.20.2"));
        assert_eq!(of("1.22.0", ""), expected("v1beta3", "v1.22.0"));
        assert_eq!(of("1.30.4", ""), expected("v1beta3", "v1.30.4"));
        assert_eq!(of("1.33.1", "kubernetes = \"1.32.0\"\n"), expected("v1beta4", "v1.32.0"));
        assert_eq!(of("0.0.0", ""), ("kubeadm.k8s.io/v1beta2".to_owned(), None), "nobody's release");
    }

    #[test]
    fn the_kubelets_and_kube_proxys_configuration_come_along() {
        let node = Node { name: "m".to_owned(), address: "10.0.0.1".to_owned() };
        let yaml = |text: &str| ComponentConfiguration::Yaml(text.to_owned());
        let mut claims = Claims {
            kubelet_configuration: yaml(
                "apiVersion: kubelet.config.k8s.io/v1beta1\ncgroupDriver: systemd\nkind: KubeletConfiguration\n\
                 resolvConf: /run/systemd/resolve/resolv.conf\n",
            ),
            kube_proxy_configuration: yaml(
                "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n",
            ),
            ..Claims::default()
        };
        let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n";
        let complete = |origin: Origin, claims: &Claims| {
            let config = Config { text: text.to_owned(), documents: Documents::read(text).unwrap(), origin };
            config.complete(&node, Some(claims), &Facts::bare(), true).text
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
        let added = config(text).complete(&node, None, &Facts::bare(), true);
        let read = Documents::read(&added.text).unwrap();
        assert_eq!(read.version(), Some("kubeadm.k8s.io/v1beta3"));
        assert_eq!((read.node_name.as_deref(), read.advertise_address.as_deref()), (Some("m"), Some("10.0.0.1")));
        let named = format!("{text}---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n");
        assert_eq!(config(&named).complete(&node, None, &Facts::bare(), true).text, named);
    }
}
