//! Who the new control plane is: the same for etcd's membership and for kubeadm.

use super::PlanContext;
use crate::inventory::Inventory;
use crate::target::Facts;

/// The name and address that kubeadm gives to the node, and etcd to its member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Its name.
    pub(super) name: String,
    /// The address that it advertises.
    pub(super) address: String,
}

impl Node {
    /// From the inventory, else from the target; nothing when the target has no address.
    pub(super) fn of(inventory: &Inventory, facts: &Facts) -> Option<Self> {
        let name = inventory.cluster.node_name.clone().unwrap_or_else(|| facts.hostname.clone());
        let address = inventory.cluster.advertise_address.clone().or_else(|| facts.address.clone())?;
        // kubeadm writes node names in lower case, whatever the host calls itself.
        Some(Self { name: name.to_ascii_lowercase(), address })
    }

    /// The same while planning, as far as it is known.
    pub(super) fn planned(cx: &PlanContext<'_>) -> Option<Self> {
        Self::of(cx.inventory, cx.facts?)
    }

    /// The URL that etcd's peers use.
    pub(super) fn peer_url(&self) -> String {
        if self.address.contains(':') {
            format!("https://[{}]:2380", self.address)
        } else {
            format!("https://{}:2380", self.address)
        }
    }
}
