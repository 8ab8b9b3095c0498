//! Addresses of API servers that are gone: as long as they are registered, connections from pods go there and hang.

mod standing;

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Client, Compare, CompareOp, GetOptions, Txn, TxnOp};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::control_plane::Node;
use super::etcd::{self, Access, failed};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::text::{Text, Values};
use standing::{Entry, Next, Standing, addresses, next};

/// Sees that only API servers that live are registered behind the Service `kubernetes`.
///
/// Each API server registers its address in etcd with a lease of 15 s. Entries of the snapshot whose leases still run are
/// waited for; those without a lease would stay for ever, and are removed when nobody renews them. An address that was
/// renewed since the restore is never removed, nor is the target's own.
///
/// ```toml
/// [[step]]
/// name = "masterleases"
/// action = "masterleases"
/// timeout = "3m"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Masterleases {
    /// etcd's client port on the target's loopback (default 2379).
    #[serde(default = "etcd::port")]
    port: u16,
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

/// Where API servers register themselves; the rest of the key is the address.
const PREFIX: &str = "/registry/masterleases/";
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

impl Declared for Masterleases {
    const NAME: &'static str = "masterleases";
    const OUTPUTS: &'static [&'static str] = &["live", "expired", "removed", "left"];
}

#[async_trait]
impl Action for Masterleases {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.ca, &self.certificate, &self.key]
    }

    fn tunnels_to(&self, _: &PlanContext<'_>) -> Option<Loopback> {
        Some(Loopback::port(self.port))
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let own = Node::planned(cx).map(|node| node.address);
        let before = cx.snapshot.map(|chosen| chosen.claims.api_servers.clone()).unwrap_or_default();
        let gone: Vec<String> = before.into_iter().filter(|address| Some(address) != own.as_ref()).collect();
        let details = if gone.is_empty() { Vec::new() } else { vec![format!("the snapshot has {}", gone.join(", "))] };
        Description {
            summary: "see that only API servers that live are registered behind the Service `kubernetes`".to_owned(),
            details,
            touches: Vec::new(),
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "what is removed is in the restored data, which goes when its step is undone" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let Self { port, ca, certificate, key } = self;
        let mut etcd = Access { port: *port, tls: true, ca, certificate, key }.open(cx).await?;
        let own = Node::of(cx.inventory, cx.facts).map(|node| node.address);
        let used = !cx.snapshot.claims.api_servers.is_empty();
        let begun = Instant::now();
        let mut removed = Vec::new();
        loop {
            let entries = registered(&mut etcd.client, cx.snapshot.claims.revision).await?;
            match next(&entries, own.as_deref(), used, begun.elapsed()) {
                Next::Done => return Ok(Outcome::Done(outputs(cx, &entries, &removed))),
                Next::Remove(orphans) => {
                    cx.still_holds().await?;
                    for orphan in orphans {
                        if remove(&mut etcd.client, orphan).await? {
                            removed.push(orphan.clone());
                        }
                    }
                }
                Next::Wait(what) if begun.elapsed() >= cx.limit => {
                    let limit = crate::inventory::Span::from_secs(cx.limit.as_secs());
                    return Err(ActionError::TimeLimit { what, limit });
                }
                Next::Wait(what) => {
                    cx.tell.note(&what);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    /// Looking again tells all that is to be told, but for what was removed before.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "it was not looked at to the end".to_owned() })
    }

    /// What was removed is gone, and is told as expired.
    fn is_repeatable(&self) -> bool {
        true
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

/// The entries as they stand; what was written after `restored` is not the snapshot's.
async fn registered(etcd: &mut Client, restored: i64) -> Result<Vec<Entry>, ActionError> {
    let answer = etcd
        .get(PREFIX, Some(GetOptions::new().with_prefix()))
        .await
        .map_err(|error| failed("listing the API servers' addresses in etcd", &error))?;
    let mut entries = Vec::new();
    for pair in answer.kvs() {
        let (mod_revision, lease) = (pair.mod_revision(), pair.lease());
        let standing = Standing::of(mod_revision, restored, runs(etcd, lease).await?);
        let address = String::from_utf8_lossy(&pair.key()[PREFIX.len()..]).into_owned();
        entries.push(Entry { address, mod_revision, lease, standing });
    }
    Ok(entries)
}

/// Whether etcd knows the lease, and will end it.
async fn runs(etcd: &mut Client, lease: i64) -> Result<bool, ActionError> {
    if lease == 0 {
        return Ok(false);
    }
    let answer = etcd.lease_time_to_live(lease, None).await;
    let answer = answer.map_err(|error| failed("asking etcd for a lease", &error))?;
    Ok(answer.ttl() >= 0)
}

/// Removes an entry unless it was renewed since it was seen; whether it did.
async fn remove(etcd: &mut Client, entry: &Entry) -> Result<bool, ActionError> {
    let key = format!("{PREFIX}{}", entry.address);
    let unchanged = [
        Compare::mod_revision(key.as_str(), CompareOp::Equal, entry.mod_revision),
        Compare::lease(key.as_str(), CompareOp::Equal, entry.lease),
    ];
    let removal = Txn::new().when(unchanged).and_then([TxnOp::delete(key.as_str(), None)]);
    let answer = etcd.txn(removal).await;
    Ok(answer.map_err(|error| failed("removing the address of an API server that is gone", &error))?.succeeded())
}

fn outputs(cx: &Context<'_>, entries: &[Entry], removed: &[Entry]) -> Values {
    let is_live = |entry: &&Entry| entry.standing == Standing::Live;
    let there = |address: &&String| entries.iter().chain(removed).any(|entry| entry.address == **address);
    let expired: Vec<&str> =
        cx.snapshot.claims.api_servers.iter().filter(|address| !there(address)).map(String::as_str).collect();
    let outputs = [
        ("live", addresses(entries.iter().filter(is_live))),
        ("expired", if expired.is_empty() { "none".to_owned() } else { expired.join(", ") }),
        ("removed", addresses(removed.iter())),
        ("left", addresses(entries.iter().filter(|entry| !is_live(entry)))),
    ];
    outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
