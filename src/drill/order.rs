//! What a provider is asked for: one throwaway target with the production control plane's name and addresses.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::inventory::{Inventory, split_endpoint};
use crate::snapshot::Claims;

/// One throwaway target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The drill's id, which is the target's name for ever.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// The host name that it gets: the lost control plane's.
    pub hostname: String,
    /// The addresses that it has within its own network: the lost control plane's, advertised one first.
    pub addresses: Vec<IpAddr>,
    /// Names that lead to it within its own network.
    pub names: BTreeMap<String, IpAddr>,
    /// Who may log in: the public key whose private half is the drill's.
    pub public_key: String,
    /// The fingerprint of the host key that it is given.
    pub host_key: String,
    /// The drill's folder on the controller; what the provider keeps of the target lies there.
    pub dir: PathBuf,
    /// A folder on the controller that all drills share.
    pub shared: PathBuf,
}

/// How many addresses of the living cluster are tried.
const MOST_STRANGERS: usize = 16;
/// How the name of a control plane that nobody remembers begins.
const NAMELESS: &str = "control-plane";
/// Where a control plane lives that has no address that anybody knows.
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 10));

impl Order {
    /// What the inventory says, else what the snapshot says of its control plane. Makes the keys.
    pub fn new(
        id: &str,
        dir: &Path,
        shared: &Path,
        inventory: &Inventory,
        claims: &Claims,
    ) -> Result<Self, std::io::Error> {
        let cluster = &inventory.cluster;
        let node = claims.nodes.iter().find(|node| node.control_plane);
        let hostname = cluster.node_name.clone().or_else(|| node.map(|node| node.name.clone()));
        let hostname = hostname.unwrap_or_else(|| NAMELESS.to_owned());
        let addresses = addresses(inventory, claims);
        let mut names = BTreeMap::from([(hostname.clone(), addresses[0])]);
        let endpoints = [Some(&cluster.endpoint), claims.control_plane_endpoint.as_ref()];
        names.extend(endpoints.into_iter().flatten().filter_map(|endpoint| Some((name(endpoint)?, addresses[0]))));
        let order = Self {
            id: id.to_owned(),
            cluster: cluster.name.clone(),
            hostname,
            addresses,
            names,
            public_key: make_key(&dir.join(IDENTITY), id)?.public_key().to_openssh().map_err(std::io::Error::other)?,
            host_key: make_key(&dir.join(HOST_KEY), id)?.fingerprint(HashAlg::Sha256).to_string(),
            dir: dir.to_owned(),
            shared: shared.to_owned(),
        };
        Ok(order)
    }

    /// Has the names of these lead to the target, too: in a network without a way out nobody else could tell where they lead,
    /// and what cannot be asked is not silent.
    pub fn lead_here(&mut self, endpoints: &[String]) {
        let home = self.addresses[0];
        for name in endpoints.iter().filter_map(|endpoint| name(endpoint)) {
            self.names.entry(name).or_insert(home);
        }
    }

    /// Addresses of the living cluster at which nothing may answer from within the drill's network: kubelets of its nodes,
    /// and etcd of other control planes.
    pub fn strangers(&self, claims: &Claims) -> Vec<String> {
        let own = |host: &str| host.parse().is_ok_and(|address: IpAddr| self.addresses.contains(&address));
        let nodes = claims.nodes.iter().flat_map(|node| &node.addresses);
        let kubelets = nodes.filter(|address| address.kind == "InternalIP" && !own(&address.address));
        let kubelets =
            kubelets.filter_map(|address| Some(std::net::SocketAddr::new(address.address.parse().ok()?, 10250)));
        let members = claims.members.iter().flat_map(|member| &member.client_urls);
        let members = members.filter_map(|url| url.split_once("://")?.1.trim_end_matches('/').parse().ok());
        let members = members.filter(|address: &std::net::SocketAddr| !self.addresses.contains(&address.ip()));
        let mut found: Vec<String> = kubelets.chain(members).map(|address| address.to_string()).collect();
        found.sort();
        found.dedup();
        found.truncate(MOST_STRANGERS);
        found
    }

    /// The private key that logs in.
    pub fn identity_file(&self) -> PathBuf {
        self.dir.join(IDENTITY)
    }

    /// The private host key.
    pub fn host_key_file(&self) -> PathBuf {
        self.dir.join(HOST_KEY)
    }
}

pub(super) const IDENTITY: &str = "id_ed25519";
pub(super) const HOST_KEY: &str = "host_key_ed25519";

/// The host of an endpoint, unless that is an address.
fn name(endpoint: &str) -> Option<String> {
    let host = split_endpoint(endpoint).map_or(endpoint, |(host, _)| host);
    host.parse::<IpAddr>().is_err().then(|| host.to_owned())
}

/// The one that it advertised first, then the one that clients know.
fn addresses(inventory: &Inventory, claims: &Claims) -> Vec<IpAddr> {
    let node = claims.nodes.iter().find(|node| node.control_plane);
    let of_node = node.into_iter().flat_map(|node| &node.addresses);
    let internal = of_node.filter(|address| address.kind == "InternalIP").map(|address| address.address.as_str());
    let endpoint = split_endpoint(&inventory.cluster.endpoint).map(|(host, _)| host);
    let advertised = inventory.cluster.advertise_address.as_deref();
    let known = match advertised {
        Some(advertised) => vec![advertised],
        // With one control plane its node's address is the advertised one; with several only the first can be had.
        None => internal.take(1).collect(),
    };
    let servers = claims.api_servers.iter().map(String::as_str).take(1);
    let mut found: Vec<IpAddr> = Vec::new();
    for text in known.into_iter().chain(endpoint).chain(servers.filter(|_| advertised.is_none())) {
        if let Ok(address) = text.parse()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    if found.is_empty() { vec![ADDRESS] } else { found }
}

fn make_key(path: &Path, comment: &str) -> Result<PrivateKey, std::io::Error> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    rustix::rand::getrandom(seed.as_mut_slice(), rustix::rand::GetRandomFlags::empty())?;
    let key = PrivateKey::new(Ed25519Keypair::from_seed(&seed).into(), comment).map_err(std::io::Error::other)?;
    let text = key.to_openssh(LineEnding::LF).map_err(std::io::Error::other)?;
    write_private(path, text.as_bytes())?;
    Ok(key)
}

/// Writes a file that only its owner may read, from its first moment on.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), std::io::Error> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
