//! What a playbook may refer to of an inventory.

use std::path::PathBuf;

use super::Inventory;
use crate::text::Values;

/// Every name that an inventory can give a value to; the optional ones may have none.
pub const NAMES: &[&str] = &[
    "inventory.cluster.name",
    "inventory.cluster.endpoint",
    "inventory.cluster.endpoint_host",
    "inventory.cluster.endpoint_port",
    "inventory.cluster.kubernetes",
    "inventory.cluster.advertise_address",
    "inventory.cluster.node_name",
    "inventory.cluster.kubeadm_config",
    "inventory.cluster.etcd_image",
    "inventory.cluster.etcdutl",
    "inventory.cluster.admin_kubeconfig",
    "inventory.target.host",
    "inventory.target.port",
    "inventory.target.user",
];

impl Inventory {
    /// What names stand for; those of unset keys are not among them.
    #[must_use]
    pub fn values(&self) -> Values {
        let cluster = &self.cluster;
        let (host, port) = split_endpoint(&cluster.endpoint).unzip();
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let all = [
            ("cluster.name", Some(cluster.name.clone())),
            ("cluster.endpoint", Some(cluster.endpoint.clone())),
            ("cluster.endpoint_host", host.map(str::to_owned)),
            ("cluster.endpoint_port", port.map(|port| port.to_string())),
            ("cluster.kubernetes", cluster.kubernetes.clone()),
            ("cluster.advertise_address", cluster.advertise_address.clone()),
            ("cluster.node_name", cluster.node_name.clone()),
            ("cluster.kubeadm_config", path(&cluster.kubeadm_config)),
            ("cluster.etcd_image", cluster.etcd_image.clone()),
            ("cluster.etcdutl", path(&cluster.etcdutl)),
            ("cluster.admin_kubeconfig", path(&cluster.admin_kubeconfig)),
            ("target.host", Some(self.target.host.clone())),
            ("target.port", self.target.port.map(|port| port.to_string())),
            ("target.user", self.target.user.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((format!("inventory.{name}"), value?))).collect()
    }
}

/// Host and port of `host:port` or `[address]:port`.
#[must_use]
pub fn split_endpoint(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.rsplit_once(':')?;
    let port = port.parse().ok().filter(|number| *number != 0 && !port.starts_with('+'))?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|address| address.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let bare = !host.is_empty() && !host.starts_with('-') && host.bytes().all(named);
    (bare || host.contains(':') && endpoint.starts_with('[')).then_some((host, port))
}
