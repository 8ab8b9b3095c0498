//! What a snapshot says of its cluster, as far as a restored control plane is compared with it. A run freezes this.

use serde::{Deserialize, Serialize};

use super::{Encrypted, Knowledge};

/// What must be true of a control plane that was restored from the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The newest revision.
    pub revision: i64,
    /// How many keys live at it.
    pub live_keys: u64,
    /// The version of the etcd cluster, such as `3.4.0`.
    pub etcd_version: Option<String>,
    /// The version of Kubernetes, such as `v1.20.2`.
    pub kubernetes_version: Option<String>,
    /// The UID of the namespace `kube-system`: the cluster's identity.
    pub kube_system_uid: Option<String>,
    /// The nodes.
    pub nodes: Vec<ClaimedNode>,
    /// kubeadm's `ClusterConfiguration`, as YAML.
    pub configuration: Option<String>,
    /// The certificates of the cluster's CA that the snapshot holds, as PEM.
    pub authorities: String,
    /// Those of the authorities for requests through the front proxy.
    #[serde(default)]
    pub front_proxy_authorities: String,
    /// What is encrypted at rest, and with which key.
    #[serde(default)]
    pub encrypted: Vec<Encrypted>,
}

/// A node as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedNode {
    /// Its name.
    pub name: String,
    /// Whether it ran the control plane.
    pub control_plane: bool,
    /// Its taints, as `key=value:effect`.
    pub taints: Vec<String>,
}

impl From<&Knowledge> for Claims {
    fn from(knowledge: &Knowledge) -> Self {
        let nodes = knowledge.nodes.iter().map(|node| ClaimedNode {
            name: node.name.clone(),
            control_plane: node.is_control_plane(),
            taints: node.taints.iter().map(|taint| taint_text(&taint.key, &taint.value, &taint.effect)).collect(),
        });
        Self {
            revision: knowledge.totals.revision,
            live_keys: knowledge.totals.live_keys,
            etcd_version: knowledge.etcd.cluster_version.clone(),
            kubernetes_version: knowledge.kubernetes_version().map(str::to_owned),
            kube_system_uid: knowledge.kube_system_uid.clone(),
            nodes: nodes.collect(),
            configuration: knowledge.configuration.as_ref().map(|configuration| configuration.yaml.clone()),
            authorities: knowledge.authorities_pem(),
            front_proxy_authorities: knowledge
                .front_proxy_authorities
                .iter()
                .map(|authority| authority.pem.as_str())
                .collect(),
            encrypted: knowledge.encrypted.clone(),
        }
    }
}

/// A taint as `kubectl` writes it.
pub fn taint_text(key: &str, value: &str, effect: &str) -> String {
    if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
}
