//! Takes live records one by one and keeps what they say.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost::Message;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::authorities::{self, Witness};
use super::kubeadm::{ClusterConfiguration, ComponentConfiguration, KINDS, Kubeconfig};
use super::{Change, Clock, Encrypted, Knowledge, Node, Unread};
use crate::inventory::Secret;
use crate::snapshot::keyspace::{KeyValue, Store, Walked};
use crate::snapshot::kubernetes::{
    AnyObject, Cipher, ConfigMap, Endpoints, Event, Lease, NodeObject, SecretObject, Time, Unreadable, cipher, decode,
};
use crate::snapshot::object::{LONGEST_KEY, PREFIX, resource};

/// Tokens kept as proof: one would do, but keys may have been rotated.
const MOST_TOKENS: usize = 8;
/// What is listed by name is listed up to here; counts go on.
const MOST_LISTED: usize = 100_000;
/// More API servers than any cluster has.
const MOST_SERVERS: usize = 1000;
/// Bytes that all nodes together may take: twenty thousand of them.
const MOST_NODES: usize = 32 << 20;
/// Certificates and tokens are a few kilobytes.
const LONGEST_TOKEN: usize = 64 << 10;
/// Unread objects listed: enough to see what is wrong.
const MOST_UNREAD: usize = 100;
const ROLE: &str = "node-role.kubernetes.io/";
/// Where leaders left their lease before there were Lease objects.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

#[derive(Default)]
pub(super) struct Gathering {
    known: Knowledge,
    namespaces: BTreeSet<String>,
    nodes: BTreeMap<String, Node>,
    nodes_size: usize,
    api_servers: BTreeSet<String>,
    encrypted: BTreeMap<(String, Cipher), u64>,
    /// With how new the `ConfigMap` is: upgrades leave those of older versions.
    kubelet: Option<(u32, ComponentConfiguration)>,
    kube_proxy: Option<ComponentConfiguration>,
}

impl Gathering {
    pub(super) fn take(&mut self, record: &KeyValue) {
        let key = Some(&record.key).filter(|key| key.len() <= LONGEST_KEY).map(|key| std::str::from_utf8(key));
        let Some(Ok(key)) = key else { return };
        let Some(path) = key.strip_prefix(PREFIX) else { return };
        let resource = resource(path);
        let parts: Vec<&str> = path.splitn(5, '/').collect();
        self.look(key, &parts, &record.value);
        if let Some(count) = self.count(&resource) {
            count.objects += 1;
            count.bytes += (record.key.len() + record.value.len()) as u64;
        }
        if let Some(cipher) = cipher(&record.value) {
            let known = self.encrypted.len();
            let kind = (resource, cipher);
            if known < MOST_UNREAD || self.encrypted.contains_key(&kind) {
                *self.encrypted.entry(kind).or_default() += 1;
            }
        }
    }

    fn count(&mut self, resource: &str) -> Option<&mut super::Count> {
        let resources = &mut self.known.resources;
        if resources.contains_key(resource) || resources.len() < MOST_LISTED {
            return Some(resources.entry(resource.to_owned()).or_default());
        }
        None
    }

    fn look(&mut self, at: &str, parts: &[&str], value: &[u8]) {
        match *parts {
            ["configmaps", namespace, name] => self.config_map(at, namespace, name, value),
            ["secrets", _, _] => self.secret(at, value),
            ["minions", _] => self.node(at, value),
            ["leases", namespace, _] => self.lease(at, namespace, value),
            ["events", _, _] => self.event(at, value),
            ["services", "endpoints", "kube-system", _] => self.leader(at, value),
            ["services", "endpoints", "default", "kubernetes"] => self.api_port(at, value),
            ["masterleases", address] if self.api_servers.len() < MOST_SERVERS => {
                self.api_servers.insert(address.to_owned());
            }
            ["namespaces", name] => self.namespace(at, name, value),
            _ => {}
        }
    }

    /// Reads an object, or notes that it could not be; what is encrypted is noted elsewhere, by its key's name.
    fn read<T: Message + Default + DeserializeOwned>(&mut self, at: &str, value: &[u8]) -> Option<T> {
        decode(value)
            .map_err(|why| {
                if !matches!(why, Unreadable::Encrypted(_)) {
                    self.unread(at, why.to_string());
                }
            })
            .ok()
    }

    fn unread(&mut self, at: &str, reason: String) {
        if self.known.unread.len() < MOST_UNREAD {
            self.known.unread.push(Unread { key: at.to_owned(), reason });
        }
    }

    fn config_map(&mut self, at: &str, namespace: &str, name: &str, value: &[u8]) {
        match (namespace, name) {
            ("kube-public", "cluster-info") => self.cluster_info(at, value),
            ("kube-system", "extension-apiserver-authentication") => {
                let Some(map) = self.read::<ConfigMap>(at, value) else { return };
                self.authority(
                    at,
                    map.data.get("client-ca-file").map(String::as_bytes),
                    Witness::ApiServerAuthentication,
                );
                if let Some(pem) = map.data.get("requestheader-client-ca-file") {
                    authorities::add(
                        &mut self.known.front_proxy_authorities,
                        pem.as_bytes(),
                        Witness::ApiServerAuthentication,
                    );
                }
            }
            ("kube-system", "kubeadm-config") => {
                let Some(map) = self.read::<ConfigMap>(at, value) else { return };
                match KINDS.iter().find_map(|kind| map.data.get(*kind)).map(|yaml| ClusterConfiguration::parse(yaml)) {
                    Some(Ok(configuration)) => self.known.configuration = Some(configuration),
                    Some(Err(reason)) => self.unread(at, reason),
                    None => self.unread(at, format!("holds neither {}", KINDS.join(" nor "))),
                }
            }
            ("kube-system", "kube-proxy") => {
                self.kube_proxy = Some(self.component(at, value, "KubeProxyConfiguration", "config.conf"));
            }
            ("kube-system", name) if let Some(age) = kubelet_age(name) => self.kubelet(at, age, value),
            (_, "kube-root-ca.crt") => {
                let Some(map) = self.read::<ConfigMap>(at, value) else { return };
                self.authority(at, map.data.get("ca.crt").map(String::as_bytes), Witness::RootCa);
            }
            _ => {}
        }
    }

    fn kubelet(&mut self, at: &str, age: u32, value: &[u8]) {
        if self.kubelet.as_ref().is_none_or(|(known, _)| *known < age) {
            self.kubelet = Some((age, self.component(at, value, "KubeletConfiguration", "kubelet")));
        }
    }

    fn component(&mut self, at: &str, value: &[u8], kind: &str, key: &str) -> ComponentConfiguration {
        let Some(map) = self.read::<ConfigMap>(at, value) else { return ComponentConfiguration::Unknown };
        let yaml = map.data.get(key).ok_or_else(|| format!("holds no `{key}`"));
        yaml.and_then(|yaml| ComponentConfiguration::parse(kind, yaml)).unwrap_or_else(|reason| {
            self.unread(at, reason);
            ComponentConfiguration::Unknown
        })
    }

    fn authority(&mut self, at: &str, pem: Option<&[u8]>, witness: Witness) {
        if !pem.is_some_and(|pem| authorities::add(&mut self.known.authorities, pem, witness)) {
            self.unread(at, "holds no certificate".to_owned());
        }
    }

    fn cluster_info(&mut self, at: &str, value: &[u8]) {
        let Some(map) = self.read::<ConfigMap>(at, value) else { return };
        let yaml = map.data.get("kubeconfig").map(String::as_str).unwrap_or_default();
        match Kubeconfig::parse(yaml) {
            Ok(kubeconfig) => {
                for entry in kubeconfig.clusters {
                    let pem = STANDARD.decode(entry.cluster.certificate_authority_data).ok();
                    self.authority(at, pem.as_deref(), Witness::ClusterInfo);
                    self.known.server.get_or_insert(entry.cluster.server);
                }
            }
            Err(reason) => self.unread(at, reason),
        }
    }

    fn secret(&mut self, at: &str, value: &[u8]) {
        if self.known.service_account_tokens.len() == MOST_TOKENS {
            return;
        }
        let Some(mut secret) = self.read::<SecretObject>(at, value) else { return };
        if secret.kind != "kubernetes.io/service-account-token" {
            return;
        }
        if let Some(pem) = secret.data.get("ca.crt") {
            self.authority(at, Some(pem), Witness::ServiceAccountToken);
        }
        let token = secret.data.remove("token").filter(|token| token.len() <= LONGEST_TOKEN);
        self.known.service_account_tokens.extend(token.map(Secret::new));
    }

    fn node(&mut self, at: &str, value: &[u8]) {
        let Some(node) = self.read::<NodeObject>(at, value) else { return };
        let (metadata, spec) = (node.metadata.unwrap_or_default(), node.spec.unwrap_or_default());
        let status = node.status.unwrap_or_default();
        for condition in &status.conditions {
            self.change(at, Clock::NodeStatus, condition.last_heartbeat_time);
        }
        let mut roles: Vec<String> =
            metadata.labels.keys().filter_map(|label| label.strip_prefix(ROLE)).map(str::to_owned).collect();
        roles.sort_unstable();
        let node = Node {
            name: metadata.name.clone(),
            roles,
            taints: spec.taints,
            pod_cidr: spec.pod_cidr,
            kubelet: status.node_info.unwrap_or_default().kubelet_version,
            ready: status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
            addresses: status.addresses,
        };
        // What is long in a node is what it says of itself, which is text.
        self.nodes_size += serde_json::to_vec(&node).map_or(MOST_NODES, |text| text.len());
        if self.nodes_size <= MOST_NODES {
            self.nodes.insert(metadata.name, node);
        } else {
            self.unread(at, "one node too many: not kept".to_owned());
        }
    }

    fn lease(&mut self, at: &str, namespace: &str, value: &[u8]) {
        let clock = match namespace {
            "kube-system" => Clock::Leader,
            "kube-node-lease" => Clock::NodeLease,
            _ => return,
        };
        let Some(lease) = self.read::<Lease>(at, value) else { return };
        self.change(at, clock, lease.spec.and_then(|spec| spec.renew_time));
    }

    fn event(&mut self, at: &str, value: &[u8]) {
        let Some(event) = self.read::<Event>(at, value) else { return };
        for time in [event.last_timestamp, event.first_seen, event.series.and_then(|series| series.last_observed_time)]
        {
            self.change(at, Clock::Event, time);
        }
    }

    fn leader(&mut self, at: &str, value: &[u8]) {
        #[derive(Deserialize)]
        struct Held {
            #[serde(rename = "renewTime")]
            renew_time: Option<Time>,
        }
        let Some(object) = self.read::<AnyObject>(at, value) else { return };
        let Some(held) = object.metadata.unwrap_or_default().annotations.remove(LEADER) else { return };
        match serde_json::from_str::<Held>(&held) {
            Ok(held) => self.change(at, Clock::Leader, held.renew_time),
            Err(error) => self.unread(at, error.to_string()),
        }
    }

    fn api_port(&mut self, at: &str, value: &[u8]) {
        let Some(endpoints) = self.read::<Endpoints>(at, value) else { return };
        let ports = endpoints.subsets.into_iter().flat_map(|subset| subset.ports);
        let port = ports.into_iter().find(|port| port.name == "https").map(|port| port.port);
        self.known.api_port = port.and_then(|port| port.try_into().ok()).filter(|port| *port != 0);
    }

    fn namespace(&mut self, at: &str, name: &str, value: &[u8]) {
        if self.namespaces.len() < MOST_LISTED {
            self.namespaces.insert(name.to_owned());
        }
        if name == "kube-system" {
            let uid = self.read::<AnyObject>(at, value).and_then(|object| object.metadata).map(|metadata| metadata.uid);
            self.known.kube_system_uid = uid.filter(|uid| !uid.is_empty());
        }
    }

    fn change(&mut self, at: &str, clock: Clock, time: Option<Time>) {
        let Some(time) = time.and_then(Time::timestamp) else { return };
        let newest = self.known.changes.get(&clock).map_or(Timestamp::MIN, |change| change.time);
        if time > newest {
            self.known.changes.insert(clock, Change { time, key: at.to_owned() });
        }
    }

    pub(super) fn finish(self, Walked { totals, pages }: Walked, etcd: Store) -> Knowledge {
        let encrypted = self.encrypted.into_iter();
        // API servers that do not register themselves leave it to somebody else where the Service leads.
        let registered = !self.api_servers.is_empty();
        Knowledge {
            api_port: self.known.api_port.filter(|_| registered),
            totals,
            pages,
            etcd,
            nodes: self.nodes.into_values().collect(),
            api_servers: self.api_servers.into_iter().collect(),
            namespaces: self.namespaces.into_iter().collect(),
            encrypted: encrypted.map(|((resource, cipher), objects)| Encrypted { resource, cipher, objects }).collect(),
            kubelet_configuration: self.kubelet.map_or(ComponentConfiguration::Absent, |(_, found)| found),
            kube_proxy_configuration: self.kube_proxy.unwrap_or(ComponentConfiguration::Absent),
            ..self.known
        }
    }
}

/// How new the `ConfigMap` of the kubelets' configuration is; `None` when it is another. Since 1.24 its name has no version.
fn kubelet_age(name: &str) -> Option<u32> {
    match name.strip_prefix("kubelet-config")? {
        "" => Some(u32::MAX),
        version => version.strip_prefix("-1.")?.parse().ok(),
    }
}
