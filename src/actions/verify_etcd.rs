//! Proof that etcd serves the snapshot's data and keeps what is written.

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, TlsOptions};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::engine::chain;
use crate::inventory::Secret;
use crate::text::{Text, Values};
use crate::tunnel::Tunnel;

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
    #[serde(default = "port")]
    port: u16,
    /// Whether etcd speaks TLS (default yes).
    #[serde(default = "yes")]
    tls: bool,
    /// The CA of etcd's certificates, on the target (default kubeadm's).
    #[serde(default = "ca")]
    ca: Text,
    /// A client certificate, on the target (default kubeadm's).
    #[serde(default = "certificate")]
    certificate: Text,
    /// Its key, on the target (default kubeadm's).
    #[serde(default = "key")]
    key: Text,
    /// How many percent of the snapshot's keys must still be there (default 90; events and leases expire).
    #[serde(default = "ninety")]
    at_least_percent: u8,
}

fn port() -> u16 {
    2379
}

fn yes() -> bool {
    true
}

fn ninety() -> u8 {
    90
}

fn kubeadm(name: &str) -> Text {
    Text::plain(format!("/etc/kubernetes/pki/etcd/{name}"))
}

fn ca() -> Text {
    kubeadm("ca.crt")
}

fn certificate() -> Text {
    kubeadm("healthcheck-client.crt")
}

fn key() -> Text {
    kubeadm("healthcheck-client.key")
}

/// Keys are asked for in pages of this many.
const PAGE: i64 = 5_000;
/// One request; a half-restored etcd never answers a write.
const LIMIT: Duration = Duration::from_secs(10);

impl Declared for VerifyEtcd {
    const NAME: &'static str = "verify_etcd";
    const OUTPUTS: &'static [&'static str] = &["revision", "keys", "kept"];
}

#[async_trait]
impl Action for VerifyEtcd {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.ca, &self.certificate, &self.key]
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
        let tunnel = Tunnel::open(cx.target.transport(), "127.0.0.1", self.port)
            .await
            .map_err(crate::target::TargetError::from)?;
        let mut etcd = self.connect(cx, &tunnel).await?;
        cx.tell.note("writing a key and reading it back");
        write_and_read(&mut etcd, cx.run).await?;
        cx.tell.note("counting the snapshot's keys");
        self.compare(cx, &mut etcd).await
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    /// A proof that was not written down is made again.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "the proof was not finished".to_owned() })
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }

    fn is_proof(&self) -> bool {
        true
    }
}

impl VerifyEtcd {
    /// Tries until etcd answers or the step's limit passes: it may still be reading its data.
    async fn connect(&self, cx: &Context<'_>, tunnel: &Tunnel) -> Result<Client, ActionError> {
        let begun = Instant::now();
        let scheme = if self.tls { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", tunnel.address());
        loop {
            let options = self.options(cx).await?;
            let tried = async {
                let mut client = Client::connect([&endpoint], Some(options)).await?;
                client.status().await.map(|_| client)
            };
            match tokio::time::timeout(LIMIT, tried).await {
                Ok(Ok(client)) => return Ok(client),
                other if begun.elapsed() >= cx.limit => {
                    let reason = match other {
                        Ok(Err(error)) => chain(&error),
                        _ => format!("no answer within {LIMIT:?}"),
                    };
                    return Err(ActionError::Failed { what: "asking etcd for its status".to_owned(), reason });
                }
                _ => cx.tell.note("waiting for etcd to answer"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn options(&self, cx: &Context<'_>) -> Result<ConnectOptions, ActionError> {
        let options = ConnectOptions::new().with_connect_timeout(LIMIT).with_timeout(LIMIT);
        if !self.tls {
            return Ok(options);
        }
        let ca = read(cx, &self.ca).await?;
        let certificate = read(cx, &self.certificate).await?;
        let key = read(cx, &self.key).await?;
        let identity = Identity::from_pem(certificate.expose(), key.expose());
        Ok(options.with_tls(TlsOptions::new().ca_certificate(Certificate::from_pem(ca.expose())).identity(identity)))
    }

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

async fn read(cx: &Context<'_>, path: &Text) -> Result<Secret, ActionError> {
    cx.read_secret(&cx.fill(path)?).await
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

fn failed(what: &str, error: &etcd_client::Error) -> ActionError {
    ActionError::Failed { what: what.to_owned(), reason: chain(error) }
}

fn unexpected(what: &str, expected: String, found: String) -> ActionError {
    ActionError::Unexpected { what: what.to_owned(), expected, found }
}
