//! Kubernetes objects as the API server stores them, declared only as far as drctl reads them.
//!
//! A stored value is protobuf behind `k8s\0` (the built-in kinds), JSON (custom resources, and everything when the API server
//! was told so), or encrypted behind `k8s:enc:`. Field numbers are those of the `generated.proto` files of k8s.io/api.

use std::collections::HashMap;

use jiff::Timestamp;
use prost::Message;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const PROTOBUF: &[u8] = b"k8s\0";
const ENCRYPTED: &[u8] = b"k8s:enc:";
/// Names of providers and keys are short; what is longer is not one.
const MOST_NAME: usize = 253;

/// How a value was encrypted before it reached etcd.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Cipher {
    /// `aescbc`, `aesgcm`, `secretbox`, or `kms` with its version.
    pub provider: String,
    /// The key's name (or the KMS plugin's) in the `EncryptionConfiguration`.
    pub key: String,
}

/// Why an object was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Only the API server can, with its key.
    #[error("encrypted by {} with the key `{}`", .0.provider, .0.key)]
    Encrypted(Cipher),
    /// Neither protobuf nor JSON.
    #[error("neither protobuf nor JSON")]
    Unknown,
    /// Not the object that its key promises.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// How a value is encrypted; `None` when it is not.
pub fn cipher(value: &[u8]) -> Option<Cipher> {
    let rest = value.strip_prefix(ENCRYPTED)?;
    let head = rest.get(..rest.len().min(2 * MOST_NAME))?;
    let mut words = head.split(|&byte| byte == b':').map(|word| String::from_utf8_lossy(word).into_owned());
    let (provider, version, key) = (words.next()?, words.next()?, words.next()?);
    // A word that nothing ends is ciphertext already.
    words.next()?;
    let provider = if provider == "kms" { format!("kms {version}") } else { provider };
    Some(Cipher { provider, key })
}

/// Reads an object.
pub(super) fn decode<T: Message + Default + DeserializeOwned>(value: &[u8]) -> Result<T, Unreadable> {
    if let Some(envelope) = value.strip_prefix(PROTOBUF) {
        let damaged = |error: prost::DecodeError| Unreadable::Damaged(error.to_string());
        let envelope = Envelope::decode(envelope).map_err(damaged)?;
        return T::decode(envelope.raw.as_slice()).map_err(damaged);
    }
    if value.first() == Some(&b'{') {
        // The error's own words would quote the value, which may be a Secret's.
        let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        return serde_json::from_slice(value).map_err(|error| Unreadable::Damaged(place(error)));
    }
    Err(cipher(value).map_or(Unreadable::Unknown, Unreadable::Encrypted))
}

/// The UID of whatever object a value is; `None` when it has none or cannot be read.
pub fn uid(value: &[u8]) -> Option<String> {
    let object: AnyObject = decode(value).ok()?;
    object.metadata.map(|metadata| metadata.uid).filter(|uid| !uid.is_empty())
}

/// `runtime.Unknown`: what is around each protobuf object.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

/// `metav1.ObjectMeta`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ObjectMeta {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "5")]
    pub uid: String,
    #[prost(map = "string, string", tag = "11")]
    pub labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    pub annotations: HashMap<String, String>,
}

/// Any object, as far as its metadata go.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct AnyObject {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ObjectMeta>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ConfigMap {
    #[prost(map = "string, string", tag = "2")]
    pub data: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct SecretObject {
    #[prost(map = "string, bytes", tag = "2")]
    #[serde(deserialize_with = "base64_values")]
    pub data: HashMap<String, Vec<u8>>,
    #[prost(string, tag = "3")]
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct NodeObject {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub spec: Option<NodeSpec>,
    #[prost(message, optional, tag = "3")]
    pub status: Option<NodeStatus>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    #[prost(string, tag = "1")]
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    #[prost(message, repeated, tag = "5")]
    pub taints: Vec<Taint>,
}

/// A node's taint.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Taint {
    /// Its key, such as `node-role.kubernetes.io/control-plane`.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value, mostly empty.
    #[prost(string, tag = "2")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[prost(string, tag = "3")]
    pub effect: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeStatus {
    #[prost(message, repeated, tag = "4")]
    pub conditions: Vec<NodeCondition>,
    #[prost(message, repeated, tag = "5")]
    pub addresses: Vec<NodeAddress>,
    #[prost(message, optional, tag = "7")]
    pub node_info: Option<NodeInfo>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeCondition {
    #[prost(string, tag = "1")]
    #[serde(rename = "type")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub status: String,
    #[prost(message, optional, tag = "3")]
    pub last_heartbeat_time: Option<Time>,
}

/// One of a node's addresses.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, …
    #[prost(string, tag = "1")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    #[prost(string, tag = "2")]
    pub address: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeInfo {
    #[prost(string, tag = "7")]
    pub kubelet_version: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct Endpoints {
    #[prost(message, repeated, tag = "2")]
    pub subsets: Vec<EndpointSubset>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct EndpointSubset {
    #[prost(message, repeated, tag = "3")]
    pub ports: Vec<EndpointPort>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct EndpointPort {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub port: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct Lease {
    #[prost(message, optional, tag = "2")]
    pub spec: Option<LeaseSpec>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LeaseSpec {
    #[prost(message, optional, tag = "4")]
    pub renew_time: Option<Time>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Event {
    #[prost(message, optional, tag = "7")]
    pub last_timestamp: Option<Time>,
    #[prost(message, optional, tag = "10")]
    #[serde(rename = "eventTime")]
    pub first_seen: Option<Time>,
    #[prost(message, optional, tag = "11")]
    pub series: Option<EventSeries>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EventSeries {
    #[prost(message, optional, tag = "2")]
    pub last_observed_time: Option<Time>,
}

/// `metav1.Time` and `metav1.MicroTime`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Time {
    /// `None` for the zero time, which means "never".
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        Timestamp::new(self.seconds, self.nanos).ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = Timestamp::deserialize(deserializer)?;
        Ok(Self { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
    }
}

fn base64_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<String, Vec<u8>>, D::Error> {
    use base64::Engine as _;
    let standard = base64::engine::general_purpose::STANDARD;
    HashMap::<String, String>::deserialize(deserializer)?
        .into_iter()
        .map(|(name, value)| Ok((name, standard.decode(value).map_err(serde::de::Error::custom)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_names_its_key() {
        let cipher_of = |value: &[u8]| cipher(value).map(|cipher| (cipher.provider, cipher.key));
        let named = |provider: &str, key: &str| Some((provider.to_owned(), key.to_owned()));
        assert_eq!(cipher_of(b"k8s:enc:aescbc:v1:key1:\xff\x00:\x01"), named("aescbc", "key1"));
        assert_eq!(cipher_of(b"k8s:enc:kms:v2:vault:\xff"), named("kms v2", "vault"));
        assert_eq!(cipher_of(b"k8s:enc:aescbc:v1:\xff\xff"), None);
        assert_eq!(cipher_of(b"k8s\0"), None);
    }

    #[test]
    fn the_same_object_in_both_encodings() {
        let json = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","creationTimestamp":null},"data":{"k":"v"}}"#;
        let map: ConfigMap = decode(json).unwrap();
        let raw = map.encode_to_vec();
        let stored = [PROTOBUF, Envelope { raw }.encode_to_vec().as_slice()].concat();
        assert_eq!(decode::<ConfigMap>(&stored).unwrap(), map);
        assert_eq!(map.data["k"], "v");

        let json = br#"{"data":{"token":"YWJj"},"type":"kubernetes.io/service-account-token"}"#;
        assert_eq!(decode::<SecretObject>(json).unwrap().data["token"], b"abc");
        let json = br#"{"spec":{"renewTime":"2026-11-24T00:09:51.907031Z"}}"#;
        let renewed = decode::<Lease>(json).unwrap().spec.unwrap().renew_time.and_then(Time::timestamp);
        assert_eq!(renewed.unwrap().to_string(), "2026-11-24T00:09:51.907031Z");
    }

    #[test]
    fn what_is_no_object() {
        assert_eq!(decode::<ConfigMap>(b"635"), Err(Unreadable::Unknown));
        assert!(matches!(decode::<ConfigMap>(b"k8s\0\x12\xff\xff\xff\xff\x0f"), Err(Unreadable::Damaged(_))));
        assert!(matches!(decode::<ConfigMap>(b"{\"data\":"), Err(Unreadable::Damaged(_))));
        assert!(matches!(decode::<ConfigMap>(b"k8s:enc:aescbc:v1:key1:x"), Err(Unreadable::Encrypted(_))));
    }
}
