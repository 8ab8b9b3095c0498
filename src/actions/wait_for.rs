//! Waiting until something answers.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    Action, ActionError, Context, Declared, Description, Finding, Loopback, Outcome, PlanContext, SetAside, Verdict,
};
use crate::inventory::Span;
use crate::kube::{asked_at, http_status};
use crate::target::quote;
use crate::text::{Text, Values};

/// Waits until a port accepts connections, a URL answers with a status below 400, or a command on the target succeeds.
///
/// All three are tried as the target sees them. Exactly one of `tcp`, `http` and `command` is given.
///
/// ```toml
/// [[step]]
/// name = "api-up"
/// action = "wait_for"
/// tcp = "127.0.0.1:6443"
/// timeout = "2m"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitFor {
    /// `host:port`, seen from the target.
    tcp: Option<Text>,
    /// An `http://` or `https://` URL, seen from the target; a certificate must be signed by the cluster's CA, and be for the
    /// URL's host. On the target's loopback one for the name `kubernetes` is as good, which every API server's is for.
    http: Option<Text>,
    /// A command line for the target's `sh`.
    command: Option<Text>,
    /// Time between two tries (default `1s`).
    #[serde(default = "one_second")]
    every: Span,
}

fn one_second() -> Span {
    Span::from_secs(1)
}

impl Declared for WaitFor {
    const NAME: &'static str = "wait_for";
    const OUTPUTS: &'static [&'static str] = &[];
}

/// What is waited for.
#[derive(Debug)]
enum Sign<'a> {
    Tcp(&'a Text),
    Http(&'a Text),
    Command(&'a Text),
}

impl WaitFor {
    fn sign(&self) -> Option<Sign<'_>> {
        match (&self.tcp, &self.http, &self.command) {
            (Some(tcp), None, None) => Some(Sign::Tcp(tcp)),
            (None, Some(http), None) => Some(Sign::Http(http)),
            (None, None, Some(command)) => Some(Sign::Command(command)),
            _ => None,
        }
    }

    /// Nothing when the sign is there, else what was seen instead.
    async fn look(&self, cx: &Context<'_>) -> Result<Option<String>, ActionError> {
        match self.sign() {
            Some(Sign::Tcp(address)) => tcp(cx, &cx.fill(address)?).await,
            Some(Sign::Http(url)) => Ok(http_status(cx, &cx.fill(url)?).await.err()),
            Some(Sign::Command(line)) => command(cx, &cx.fill(line)?).await,
            None => Err(ActionError::Failed { what: "waiting".to_owned(), reason: ONE.to_owned() }),
        }
    }
}

const ONE: &str = "exactly one of `tcp`, `http` and `command` must be given";

#[async_trait]
impl Action for WaitFor {
    fn texts(&self) -> Vec<&Text> {
        [&self.tcp, &self.http, &self.command].into_iter().flatten().collect()
    }

    /// What an earlier step has yet to say cannot be tried before.
    fn tunnels_to(&self, cx: &PlanContext<'_>) -> Option<Loopback> {
        match self.sign()? {
            Sign::Tcp(address) => {
                let address = address.fill(cx.values).ok()?;
                let (host, port) = host_and_port(&address)?;
                Loopback::at(host, port)
            }
            Sign::Http(url) => {
                let (host, port) = asked_at(&url.fill(cx.values).ok()?)?;
                Loopback::at(&host, port)
            }
            Sign::Command(_) => None,
        }
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        let summary = match self.sign() {
            Some(Sign::Tcp(address)) => format!("wait until {address} accepts connections"),
            Some(Sign::Http(url)) => format!("wait until {url} answers"),
            Some(Sign::Command(line)) => format!("wait until `{line}` succeeds"),
            None => "wait".to_owned(),
        };
        Description { summary, ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "waiting changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        match self.sign() {
            Some(_) => Vec::new(),
            None => vec![Finding::error("wait-for-what", ONE, "correct the step in the playbook")],
        }
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let begun = Instant::now();
        loop {
            let Some(seen) = self.look(cx).await? else {
                return Ok(Outcome::Done(Values::new()));
            };
            if begun.elapsed() >= cx.limit {
                let limit = Span::from_secs(cx.limit.as_secs());
                return Err(ActionError::Failed {
                    what: format!("waiting for {limit}"),
                    reason: format!("last seen: {seen}"),
                });
            }
            cx.tell.note(&seen);
            tokio::time::sleep(self.every.duration().max(Duration::from_millis(100))).await;
        }
    }

    /// Waiting may be repeated, and what was waited for may have gone since.
    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(match self.look(cx).await? {
            None => Verdict::Took(Values::new()),
            Some(reason) => Verdict::DidNot { reason },
        })
    }

    /// What was not seen over a link that was away may be there all the same.
    fn is_repeatable(&self) -> bool {
        true
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

async fn tcp(cx: &Context<'_>, address: &str) -> Result<Option<String>, ActionError> {
    let wrong =
        || ActionError::Failed { what: format!("waiting for `{address}`"), reason: "it is no `host:port`".to_owned() };
    let (host, port) = host_and_port(address).ok_or_else(wrong)?;
    match cx.target.transport().open_tcp(host, port).await {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

async fn command(cx: &Context<'_>, line: &str) -> Result<Option<String>, ActionError> {
    let reply = cx.target.look(&format!("sh -c {} 2>&1", quote(line))).await?;
    if reply.status == 0 {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&reply.stdout);
    Ok(Some(format!("exit status {}: {}", reply.status, said.lines().last().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use crate::check::tests::look;

    #[test]
    fn only_what_leads_to_the_loopback_needs_a_tunnel_there() {
        let tunnel = |sign: &str| {
            let look = look(&format!("[[step]]\nname = 'a'\naction = 'wait_for'\n{sign}\n"));
            let to = look.playbook.steps[0].action.tunnels_to(&look.plan_context());
            to.map_or_else(|| "none".to_owned(), |to| to.to_string())
        };
        assert_eq!(tunnel("tcp = '127.0.0.1:2379'"), "127.0.0.1:2379");
        assert_eq!(tunnel("tcp = '[::1]:2379'"), "[::1]:2379");
        assert_eq!(tunnel("http = 'https://localhost:6443/readyz'"), "localhost:6443");
        assert_eq!(tunnel("http = 'http://127.0.0.1/'"), "127.0.0.1:80");
        for elsewhere in ["tcp = '${inventory.cluster.endpoint}'", "http = 'https://10.0.0.1/'", "command = 'true'"] {
            assert_eq!(tunnel(elsewhere), "none", "{elsewhere}");
        }
    }
}
