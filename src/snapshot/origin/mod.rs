//! Which cluster a snapshot is of, and what it holds.
//!
//! One walk over the live keys gathers it all. Objects that can't be read (encrypted, or damaged) are listed as such:
//! what [`Knowledge`] lacks is unknown, not absent.

mod authorities;
mod gather;
mod kubeadm;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bolt::Pages;
use super::keyspace::{Keyspace, ReadError, Store, Totals};
use super::kubernetes::{Cipher, NodeAddress, Taint};
use crate::inventory::Secret;

pub use authorities::{Authority, Witness};
pub use kubeadm::{ClusterConfiguration, ComponentConfiguration};

use gather::Gathering;

/// What a snapshot says.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Knowledge {
    /// Revision and counts.
    #[serde(flatten)]
    pub totals: Totals,
    /// What the file's pages are.
    pub pages: Pages,
    /// What etcd says of itself: its version, its members.
    pub etcd: Store,
    /// The cluster's certificate authorities.
    pub authorities: Vec<Authority>,
    /// The authorities for requests through the front proxy.
    pub front_proxy_authorities: Vec<Authority>,
    /// The UID of the namespace `kube-system`, which no two clusters share.
    pub kube_system_uid: Option<String>,
    /// The API server's URL as nodes that join are told it.
    pub server: Option<String>,
    /// What kubeadm was told.
    pub configuration: Option<ClusterConfiguration>,
    /// The kubelets' configuration.
    pub kubelet_configuration: ComponentConfiguration,
    /// kube-proxy's configuration.
    pub kube_proxy_configuration: ComponentConfiguration,
    /// The nodes, by name.
    pub nodes: Vec<Node>,
    /// The addresses of the API servers that were alive.
    pub api_servers: Vec<String>,
    /// The port that they listened on.
    pub api_port: Option<u16>,
    /// The newest time of each clock that left one.
    pub changes: BTreeMap<Clock, Change>,
    /// Objects that are encrypted at rest: without the `EncryptionConfiguration` and its keys they are lost.
    pub encrypted: Vec<Encrypted>,
    /// Objects and bytes by resource.
    pub resources: BTreeMap<String, Count>,
    /// The namespaces' names.
    pub namespaces: Vec<String>,
    /// Objects that should have said something and could not be read.
    pub unread: Vec<Unread>,
    /// Service-account tokens, newest first, a few: to see whether a key signed them.
    #[serde(skip)]
    pub service_account_tokens: Vec<Secret>,
}

/// A node as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<NodeAddress>,
    /// Its roles, from its labels.
    pub roles: Vec<String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Its kubelet's version, such as `v1.20.2`.
    pub kubelet: String,
    /// The pods' network on it.
    pub pod_cidr: String,
    /// Whether it was ready.
    pub ready: bool,
}

/// A clock that leaves its time in objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Leases of the controller manager, the scheduler and their like, renewed every few seconds.
    Leader,
    /// Leases of the nodes, renewed every ten seconds.
    NodeLease,
    /// Heartbeats in the nodes' status.
    NodeStatus,
    /// Events.
    Event,
}

/// A time, and the key that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// When.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// The object's key.
    pub key: String,
}

/// How many objects, and how large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// Objects.
    pub objects: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Objects encrypted in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Encrypted {
    /// Their resource, such as `secrets`.
    pub resource: String,
    /// By what, with which key.
    #[serde(flatten)]
    pub cipher: Cipher,
    /// How many.
    pub objects: u64,
}

/// An object that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unread {
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Knowledge {
    /// Reads a snapshot. Whether its bytes are right is [`examine`](super::examine)'s question, not asked here.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        Self::of(&Keyspace::open(path)?)
    }

    /// Gathers it all in one walk.
    pub fn of(keyspace: &Keyspace) -> Result<Self, ReadError> {
        let mut gathering = Gathering::default();
        let walked = keyspace.for_each_live(|record| gathering.take(record))?;
        Ok(gathering.finish(walked, keyspace.store().clone()))
    }

    /// The newest time in it: when the data was alive. It is as right as the clocks of the cluster were.
    pub fn newest_change(&self) -> Option<&Change> {
        self.changes.values().max_by_key(|change| change.time)
    }

    /// The Kubernetes version, such as `v1.20.2`: kubeadm's, or else the oldest control-plane kubelet's.
    pub fn kubernetes_version(&self) -> Option<&str> {
        let configured =
            self.configuration.as_ref().and_then(|configuration| configuration.kubernetes_version.as_deref());
        configured.or_else(|| self.control_plane().map(|node| node.kubelet.as_str()).min())
    }

    /// The cluster's name; kubeadm's default is `kubernetes`.
    pub fn cluster_name(&self) -> Option<&str> {
        self.configuration.as_ref()?.cluster_name.as_deref()
    }

    /// The nodes that were its control plane.
    pub fn control_plane(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_control_plane())
    }
}

impl Node {
    /// Whether it ran the control plane.
    pub fn is_control_plane(&self) -> bool {
        self.roles.iter().any(|role| role == "control-plane" || role == "master")
    }

    /// Its address of a kind, such as `InternalIP`.
    pub fn address(&self, kind: &str) -> Option<&str> {
        self.addresses.iter().find(|address| address.kind == kind).map(|address| address.address.as_str())
    }
}
