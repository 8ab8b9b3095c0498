//! Proof that etcd serves exactly the snapshot's data: for a rehearsal, before anything else writes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use async_trait::async_trait;
use etcd_client::{Client, GetOptions};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::etcd::{self, Access, failed};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::engine::chain;
use crate::hex::hex;
use crate::snapshot::Keyspace;
use crate::snapshot::object::{Object, resource};
use crate::text::{Text, Values};

/// Compares every key that etcd serves with the snapshot: value, versions, revisions and lease, by a digest for each
/// resource.
///
/// Only for an etcd that nobody has written to since the restore: under a living control plane it fails, and rightly.
/// Keys whose leases ran out since are counted and fail nothing.
///
/// ```toml
/// [[step]]
/// name = "verify-data"
/// action = "verify_data"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyData {
    /// etcd's client port on the target's loopback (default 2379).
    #[serde(default = "etcd::port")]
    port: u16,
    /// Whether etcd speaks TLS (default yes).
    #[serde(default = "etcd::tls")]
    tls: bool,
    /// The CA of etcd's certificates, on the target (default kubeadm's).
    #[serde(default = "etcd::ca")]
    ca: Text,
    /// A client certificate, on the target (default kubeadm's).
    #[serde(default = "etcd::certificate")]
    certificate: Text,
    /// Its key, on the target (default kubeadm's).
    #[serde(default = "etcd::key")]
    key: Text,
}

/// Keys with their values are asked for in pages of this many.
const PAGE: i64 = 500;
/// How many differences are named; all are counted.
const NAMED: usize = 5;
/// Where drctl's own proofs write.
const OWN: &[u8] = b"drctl/";

impl Declared for VerifyData {
    const NAME: &'static str = "verify_data";
    const OUTPUTS: &'static [&'static str] = &["keys", "resources", "expired", "digest"];
}

#[async_trait]
impl Action for VerifyData {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.ca, &self.certificate, &self.key]
    }

    fn tunnels_to(&self, _: &PlanContext<'_>) -> Option<Loopback> {
        Some(Loopback::port(self.port))
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let keys = cx.snapshot.map(|chosen| format!(" ({} keys)", chosen.claims.live_keys)).unwrap_or_default();
        Description {
            summary: format!("prove that etcd serves exactly the snapshot's data{keys}"),
            ..Description::default()
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "comparing changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let Self { port, tls, ca, certificate, key } = self;
        let mut etcd = Access { port: *port, tls: *tls, ca, certificate, key }.open(cx).await?;
        cx.tell.note("reading every key of etcd");
        let served = served(&mut etcd.client).await.map_err(|error| failed("reading keys", &error))?;
        cx.tell.note("comparing with the snapshot");
        let path = cx.snapshot.path.clone();
        let compared = tokio::task::spawn_blocking(move || Compared::of(&path, served)).await;
        let local = |reason: String| ActionError::Local { what: "read the snapshot".to_owned(), reason };
        compared.map_err(|error| local(chain(&error)))?.map_err(|error| local(chain(&error)))?.outcome()
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }

    fn is_proof(&self) -> bool {
        true
    }
}

/// The first half of a SHA-256.
type Half = [u8; 16];

/// A key by the digest of its name, and the digest of all that etcd says of it.
type Served = HashMap<Half, (Half, String)>;

fn half(parts: &[&[u8]]) -> Half {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let whole: [u8; 32] = digest.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Of a key's value and of all numbers that etcd keeps with it.
fn content(value: &[u8], numbers: [i64; 4]) -> Half {
    let [create, modified, version, lease] = numbers.map(i64::to_be_bytes);
    half(&[value, &create, &modified, &version, &lease])
}

async fn served(etcd: &mut Client) -> Result<Served, etcd_client::Error> {
    let mut served = Served::new();
    let mut from = vec![0_u8];
    loop {
        let options = GetOptions::new().with_from_key().with_limit(PAGE);
        let page = etcd.get(from, Some(options)).await?;
        for pair in page.kvs().iter().filter(|pair| !pair.key().starts_with(OWN)) {
            let numbers = [pair.create_revision(), pair.mod_revision(), pair.version(), pair.lease()];
            let name = shown(pair.key());
            served.insert(half(&[pair.key()]), (content(pair.value(), numbers), name));
        }
        match page.kvs().last() {
            Some(last) if page.more() => from = [last.key(), &[0]].concat(),
            _ => return Ok(served),
        }
    }
}

/// What was found key by key.
#[derive(Debug, Default)]
struct Compared {
    keys: u64,
    expired: u64,
    resources: BTreeMap<String, Sum>,
    differences: u64,
    named: Vec<String>,
}

/// A sum of digests: the same for the same keys in any order.
#[derive(Debug, Default, Clone, Copy)]
struct Sum(u128);

impl Compared {
    fn of(snapshot: &Path, mut served: Served) -> Result<Self, crate::snapshot::ReadError> {
        let mut compared = Self::default();
        Keyspace::open(snapshot)?.for_each_live(|record| {
            if record.key.starts_with(OWN) {
                return;
            }
            let numbers = [record.create_revision, record.mod_revision, record.version, record.lease];
            let (key, expected) = (half(&[&record.key]), content(&record.value, numbers));
            match served.remove(&key) {
                Some((found, _)) if found == expected => compared.same(&record.key, key, expected),
                Some(_) => compared.differs(&record.key, "has another value or revision"),
                None if record.lease != 0 => compared.expired += 1,
                None => compared.differs(&record.key, "is not there"),
            }
        })?;
        for (_, name) in served.into_values() {
            compared.differs(name.as_bytes(), "is not in the snapshot");
        }
        Ok(compared)
    }

    fn same(&mut self, name: &[u8], key: Half, content: Half) {
        self.keys += 1;
        let path = String::from_utf8_lossy(name).into_owned();
        let resource = path.strip_prefix(crate::snapshot::object::PREFIX).map_or_else(String::new, resource);
        let sum = self.resources.entry(resource).or_default();
        sum.0 = sum.0.wrapping_add(u128::from_be_bytes(half(&[&key, &content])));
    }

    fn differs(&mut self, key: &[u8], how: &str) {
        self.differences += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{} {how}", shown(key)));
        }
    }

    fn outcome(self) -> Result<Outcome, ActionError> {
        if self.differences > 0 {
            return Err(ActionError::Unexpected {
                what: "the data that etcd serves".to_owned(),
                expected: "the snapshot's, key by key".to_owned(),
                found: format!("{} differences: {}", self.differences, self.named.join("; ")),
            });
        }
        let mut whole = Sha256::new();
        for (resource, sum) in &self.resources {
            whole.update(format!("{resource} {:032x}\n", sum.0));
        }
        let digest: [u8; 32] = whole.finalize().into();
        let outputs = [
            ("keys", self.keys.to_string()),
            ("resources", self.resources.len().to_string()),
            ("expired", self.expired.to_string()),
            ("digest", hex(&digest[..16])),
        ];
        Ok(Outcome::Done(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

/// A key for people; never a value.
fn shown(key: &[u8]) -> String {
    let Object { resource, namespace, name } = Object::of_key(key);
    let words = [Some(resource), namespace, Some(name)].into_iter().flatten().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("/")
}
