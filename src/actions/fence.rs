//! Making sure that the old master stays dead.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::check::ANSWERS;
use crate::inventory::{Inventory, ListenFrom, Span};
use crate::target::{Heard, listen};
use crate::text::{Text, Values};

/// Runs the inventory's fencing command, then sees that nothing answers at the old control plane's addresses.
///
/// Where `old-control-plane-answers` was accepted when the run began, that something answers is only told; not so when the
/// target listens.
///
/// Cannot be undone: what was switched off stays off.
///
/// ```toml
/// [[step]]
/// name = "fence"
/// action = "fence"
/// quiet_for = "5s"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fence {
    /// How long every address must stay silent (default `3s`).
    #[serde(default = "three_seconds")]
    quiet_for: Span,
}

fn three_seconds() -> Span {
    Span::from_secs(3)
}

impl Declared for Fence {
    const NAME: &'static str = "fence";
    const OUTPUTS: &'static [&'static str] = &[];
}

#[async_trait]
impl Action for Fence {
    fn texts(&self) -> Vec<&Text> {
        Vec::new()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let addresses = addresses(cx.inventory).join(", ");
        let how = match &cx.inventory.fencing.command {
            Some(command) => format!("run `{}`, then see", command.join(" ")),
            None => "see".to_owned(),
        };
        let mut details = Vec::new();
        if cx.inventory.fencing.command.is_none() {
            details.push(
                "no fencing command in the inventory: nothing keeps the old master from coming back later".to_owned(),
            );
        }
        Description {
            summary: format!("{how} that nothing answers at {addresses} for {}", self.quiet_for),
            details,
            touches: Vec::new(),
        }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "the target is not touched; what is switched off stays off" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        if let Some(command) = &cx.inventory.fencing.command {
            cx.tell.note("running the fencing command");
            run(command, cx.limit).await?;
        }
        cx.tell.note("listening for the old control plane");
        let transport = cx.target.transport();
        let through = (cx.inventory.fencing.listen_from == ListenFrom::Target).then_some(transport.as_ref());
        let until = Instant::now() + self.quiet_for.duration();
        loop {
            // All at once: an address that is silent takes its time.
            let heard = addresses(cx.inventory).into_iter().map(async |address| {
                let heard = listen(&address, through).await;
                (address, heard)
            });
            // Who cannot be asked was a finding of its own before the run.
            if let Some((address, _)) = join_all(heard).await.into_iter().find(|(_, heard)| *heard == Heard::Answer) {
                if is_accepted(cx.accepted, cx.inventory.fencing.listen_from) {
                    cx.tell.note(&format!("something answers at {address}, as was accepted when the run began"));
                    return Ok(Outcome::Done(Values::new()));
                }
                return Err(ActionError::Unexpected {
                    what: format!("the old control plane at {address}"),
                    expected: "silence".to_owned(),
                    found: "an accepted connection".to_owned(),
                });
            }
            if Instant::now() >= until {
                return Ok(Outcome::Done(Values::new()));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    /// Switching off what is off is harmless, and silence is to be heard again.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "the old control plane may answer again".to_owned() })
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

/// Whoever listens here may hear a load balancer with nothing behind it. What the target itself can reach is the living
/// cluster, and nobody's word makes that harmless.
fn is_accepted(accepted: &[String], listen_from: ListenFrom) -> bool {
    listen_from == ListenFrom::Controller && accepted.iter().any(|name| name == ANSWERS)
}

fn addresses(inventory: &Inventory) -> Vec<String> {
    std::iter::once(inventory.cluster.endpoint.clone())
        .chain(inventory.fencing.must_not_answer.iter().cloned())
        .collect()
}

async fn run(command: &[String], limit: Duration) -> Result<(), ActionError> {
    let what = || format!("the fencing command `{}`", command.join(" "));
    let failed = |reason: String| ActionError::Failed { what: what(), reason };
    let program = command.first().ok_or_else(|| failed("it is empty".to_owned()))?;
    let output =
        Command::new(program).args(&command[1..]).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, output)
        .await
        .map_err(|_| ActionError::TimeLimit { what: what(), limit: Span::from_secs(limit.as_secs()) })?
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    Err(failed(format!("{}\n{}", output.status, last.into_iter().rev().collect::<Vec<_>>().join("\n"))))
}
