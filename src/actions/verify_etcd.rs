//! Proof that etcd serves the snapshot's data and keeps what is written.

use async_trait::async_trait;
use etcd_client::{Client, GetOptions};
use schemars::JsonSchema;
use serde::Deserialize;

use super::etcd::{self, Access, failed};
use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::text::{Text, Values};

/// Writes a key to the restored etcd, reads it back, and compares revision and keys with the snapshot.
///
/// A half-restored etcd answers `healthy` and loses every write, so health alone is no proof. The
/// connection goes through SSH, with the target's own client certificate.
///
/// ```toml
/// [[step]]
/// name = "verify-etcd"
/// action = "verify_etcd"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyEtcd {
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
    /// How many percent of the snapshot's keys must still be there (default 90; events and leases expire).
    #[serde(default = "ninety")]
    at_least_percent: u8,
}

fn ninety() -> u8 {
    90
}

/// Keys are asked for in pages of this many.
const PAGE: i64 = 5_000;

impl Declared for VerifyEtcd {
    const NAME: &'static str = "verify_etcd";
    const OUTPUTS: &'static [&'static str] = &["revision", "keys", "kept"];
}

#[async_trait]
impl Action for VerifyEtcd {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.ca, &self.certificate, &self.key]
    }

    fn tunnels_to(&self, _: &PlanContext<'_>) -> Option<Loopback> {
        Some(Loopback::port(self.port))
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let expected = cx
            .snapshot
            .map(|chosen| format!(" (revision {}, {} keys)", chosen.claims.revision, chosen.claims.live_keys));
        let summary =
            format!("prove that etcd holds the snapshot's data{} and keeps a write", expected.unwrap_or_default());
        Description { summary, ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "the one key that is written is deleted again" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let Self { port, tls, ca, certificate, key, .. } = self;
        let mut etcd = Access { port: *port, tls: *tls, ca, certificate, key }.open(cx).await?;
        cx.tell.note("writing a key and reading it back");
        cx.still_holds().await?;
        write_and_read(&mut etcd.client, cx.run).await?;
        cx.tell.note("counting the snapshot's keys");
        self.compare(cx, &mut etcd.client).await
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

impl VerifyEtcd {
    async fn compare(&self, cx: &Context<'_>, etcd: &mut Client) -> Result<Outcome, ActionError> {
        let expected = &cx.snapshot.claims;
        let (revision, keys, kept) =
            count(etcd, expected.revision).await.map_err(|error| failed("counting keys", &error))?;
        if revision < expected.revision {
            return Err(unexpected("etcd's revision", format!("at least {}", expected.revision), revision.to_string()));
        }
        let needed = expected.live_keys.saturating_mul(u64::from(self.at_least_percent)).div_ceil(100);
        if kept < needed {
            return Err(unexpected(
                "the snapshot's keys in etcd",
                format!("at least {needed} of {}", expected.live_keys),
                kept.to_string(),
            ));
        }
        let outputs = [("revision", revision.to_string()), ("keys", keys.to_string()), ("kept", kept.to_string())];
        Ok(Outcome::Done(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

/// The key lies outside of what Kubernetes reads, and is named after the run.
async fn write_and_read(etcd: &mut Client, run: &str) -> Result<(), ActionError> {
    let key = format!("drctl/verify/{run}");
    etcd.put(key.as_str(), run, None).await.map_err(|error| failed("writing a key to etcd", &error))?;
    let answer =
        etcd.get(key.as_str(), None).await.map_err(|error| failed("reading the key back from etcd", &error))?;
    let found = answer.kvs().first().map(|pair| String::from_utf8_lossy(pair.value()).into_owned());
    if found.as_deref() != Some(run) {
        return Err(unexpected(
            "the key that was written to etcd",
            run.to_owned(),
            found.unwrap_or_else(|| "nothing".to_owned()),
        ));
    }
    etcd.delete(key.as_str(), None).await.map_err(|error| failed("deleting the key from etcd", &error))?;
    Ok(())
}

/// Revision, live keys, and how many of them were made no later than `until`.
async fn count(etcd: &mut Client, until: i64) -> Result<(i64, u64, u64), etcd_client::Error> {
    let (mut keys, mut kept) = (0_u64, 0_u64);
    let mut from = vec![0_u8];
    loop {
        let options = GetOptions::new().with_from_key().with_keys_only().with_limit(PAGE);
        let page = etcd.get(from, Some(options)).await?;
        keys += page.kvs().len() as u64;
        kept += page.kvs().iter().filter(|pair| pair.create_revision() <= until).count() as u64;
        let revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
        match page.kvs().last() {
            Some(last) if page.more() => from = [last.key(), &[0]].concat(),
            _ => return Ok((revision, keys, kept)),
        }
    }
}

fn unexpected(what: &str, expected: String, found: String) -> ActionError {
    ActionError::Unexpected { what: what.to_owned(), expected, found }
}
