//! What a snapshot says of its cluster, as far as a restored control plane is compared with it. A run freezes this.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keyspace::Member;
use super::kubernetes::NodeAddress;
use super::origin::{Authority, ComponentConfiguration, Encrypted};
use super::{Knowledge, Node};
use crate::inventory::Secret;

/// What must be true of a control plane that was restored from the snapshot.
///
/// Runs of earlier versions froze fewer fields: what they lack is unknown, not absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// kubeadm's `KubeletConfiguration`.
    #[serde(default)]
    pub kubelet_configuration: ComponentConfiguration,
    /// kubeadm's `KubeProxyConfiguration`.
    #[serde(default)]
    pub kube_proxy_configuration: ComponentConfiguration,
    /// The certificates of the cluster's CA that the snapshot holds, as PEM.
    pub authorities: String,
    /// The same for requests through the front proxy.
    #[serde(default)]
    pub front_proxy_authorities: String,
    /// The cluster's name; kubeadm's default is `kubernetes`.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// Where nodes and clients reach the control plane, when it has a name of its own: `host:port`.
    #[serde(default)]
    pub control_plane_endpoint: Option<String>,
    /// The API server's URL as nodes that join are told it.
    #[serde(default)]
    pub server: Option<String>,
    /// Names and addresses that the API server's certificate has besides kubeadm's own.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// The addresses of the API servers that were alive: the names of `/registry/masterleases/*`.
    #[serde(default)]
    pub api_servers: Vec<String>,
    /// The port that they listened on.
    #[serde(default)]
    pub api_port: Option<u16>,
    /// The members of the etcd cluster.
    #[serde(default)]
    pub members: Vec<Member>,
    /// The newest time in the data: when it was alive, by the cluster's clocks.
    #[serde(default)]
    pub newest_change: Option<Timestamp>,
    /// What is encrypted at rest: without the `EncryptionConfiguration` and its keys it is lost.
    #[serde(default)]
    pub encrypted: Vec<Encrypted>,
    /// Some of the service accounts' tokens, to see whether a key signed them. A run does not keep them.
    #[serde(skip)]
    pub service_account_tokens: Vec<Secret>,
}

/// A node as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedNode {
    /// Its name.
    pub name: String,
    /// Whether it ran the control plane.
    pub control_plane: bool,
    /// Its taints, as `key=value:effect`.
    pub taints: Vec<String>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<NodeAddress>,
    /// Its roles, from its labels.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Its kubelet's version, such as `v1.20.2`.
    #[serde(default)]
    pub kubelet: String,
}

impl From<&Knowledge> for Claims {
    fn from(knowledge: &Knowledge) -> Self {
        let configuration = knowledge.configuration.as_ref();
        Self {
            revision: knowledge.totals.revision,
            live_keys: knowledge.totals.live_keys,
            etcd_version: knowledge.etcd.cluster_version.clone(),
            kubernetes_version: knowledge.kubernetes_version().map(str::to_owned),
            kube_system_uid: knowledge.kube_system_uid.clone(),
            nodes: knowledge.nodes.iter().map(ClaimedNode::from).collect(),
            configuration: configuration.map(|configuration| configuration.yaml.clone()),
            kubelet_configuration: knowledge.kubelet_configuration.clone(),
            kube_proxy_configuration: knowledge.kube_proxy_configuration.clone(),
            authorities: Authority::bundle(&knowledge.authorities),
            front_proxy_authorities: Authority::bundle(&knowledge.front_proxy_authorities),
            cluster_name: knowledge.cluster_name().map(str::to_owned),
            control_plane_endpoint: configuration.and_then(|found| found.control_plane_endpoint.clone()),
            server: knowledge.server.clone(),
            certificate_names: configuration.map(|found| found.cert_sans.clone()).unwrap_or_default(),
            api_servers: knowledge.api_servers.clone(),
            api_port: knowledge.api_port,
            members: knowledge.etcd.members.clone(),
            newest_change: knowledge.newest_change().map(|change| change.time),
            encrypted: knowledge.encrypted.clone(),
            service_account_tokens: knowledge.service_account_tokens.clone(),
        }
    }
}

impl From<&Node> for ClaimedNode {
    fn from(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            control_plane: node.is_control_plane(),
            taints: node.taints.iter().map(|taint| taint_text(&taint.key, &taint.value, &taint.effect)).collect(),
            addresses: node.addresses.clone(),
            roles: node.roles.clone(),
            kubelet: node.kubelet.clone(),
        }
    }
}

/// A taint as `kubectl` writes it.
pub fn taint_text(key: &str, value: &str, effect: &str) -> String {
    if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_froze_is_still_read() {
        let frozen = r#"{"revision":599,"live_keys":434,"etcd_version":"3.4.0","kubernetes_version":"v1.20.2",
            "kube_system_uid":"u-1","nodes":[{"name":"cp-1","control_plane":true,"taints":["a=b:NoSchedule"]}],
            "configuration":"kind: ClusterConfiguration\n","authorities":""}"#;
        let claims: Claims = serde_json::from_str(frozen).unwrap();
        assert_eq!((claims.revision, claims.nodes[0].name.as_str()), (599, "cp-1"));
        assert_eq!((claims.newest_change, claims.nodes[0].addresses.len()), (None, 0));
        assert_eq!(claims.kube_proxy_configuration, ComponentConfiguration::Unknown, "no cluster without kube-proxy");
    }

    #[test]
    fn tokens_are_not_frozen() {
        let claims = Claims { service_account_tokens: vec![Secret::new(b"ey.ey.x".to_vec())], ..Claims::default() };
        let frozen = serde_json::to_string(&claims).unwrap();
        assert!(!frozen.contains("token"), "{frozen}");
        assert!(serde_json::from_str::<Claims>(&frozen).unwrap().service_account_tokens.is_empty());
    }
}
