//! Making sure that the old master stays dead.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::check::{ANSWERS, UNHEARD};
use crate::inventory::{Inventory, ListenFrom, Span};
use crate::target::{Heard, listen};
use crate::text::{Text, Values};

/// Runs the inventory's fencing command, then sees that nothing answers at the old control plane's addresses.
///
/// An address that cannot be asked is not silent: the step fails.
///
/// Where `old-control-plane-answers` was accepted when the run began, that something answers is only told; not so when the
/// target listens. Where `old-control-plane-unheard` was accepted, so is that an address could not be asked.
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
        let listen_from = cx.inventory.fencing.listen_from;
        let through = (listen_from == ListenFrom::Target).then_some(cx.target);
        let until = Instant::now() + self.quiet_for.duration();
        let mut told = BTreeSet::new();
        loop {
            // All at once: an address that is silent takes its time.
            let heard = addresses(cx.inventory).into_iter().map(async |address| {
                let heard = listen(&address, through).await?;
                Ok::<_, ActionError>((address, heard))
            });
            for note in weigh(&try_join_all(heard).await?, cx.accepted, listen_from)? {
                if told.insert(note.clone()) {
                    cx.tell.note(&note);
                }
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

/// What was accepted when the run began, and is told; an error when an address was not silent that had to be.
fn weigh(heard: &[(String, Heard)], accepted: &[String], listen_from: ListenFrom) -> Result<Vec<String>, ActionError> {
    let is_accepted = |name: &str| accepted.iter().any(|accepted| accepted == name);
    // Whoever listens here may hear a load balancer with nothing behind it. What the target itself can reach is the living
    // cluster, and nobody's word makes that harmless.
    let may_answer = listen_from == ListenFrom::Controller && is_accepted(ANSWERS);
    let mut notes = Vec::new();
    for (address, heard) in heard {
        match heard {
            Heard::Silence => {}
            Heard::Answer if may_answer => {
                notes.push(format!("something answers at {address}, as was accepted when the run began"));
            }
            Heard::Answer => {
                return Err(ActionError::Unexpected {
                    what: format!("the old control plane at {address}"),
                    expected: "silence".to_owned(),
                    found: "an accepted connection".to_owned(),
                });
            }
            Heard::Unasked(reason) if is_accepted(UNHEARD) => {
                notes.push(format!("nobody could ask {address}, as was accepted when the run began: {reason}"));
            }
            Heard::Unasked(reason) => {
                return Err(ActionError::Failed {
                    what: format!("asking whether something answers at {address}"),
                    reason: format!(
                        "{reason}; that is no silence: mend it, or see that the old control plane is off, roll back, and \
                         begin a run with `--accept {UNHEARD}`"
                    ),
                });
            }
        }
    }
    Ok(notes)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(heard: Heard, accepted: &[&str], listen_from: ListenFrom) -> Result<Vec<String>, String> {
        let accepted: Vec<String> = accepted.iter().map(|name| (*name).to_owned()).collect();
        let heard = [("10.0.0.1:6443".to_owned(), Heard::Silence), ("api.prod:6443".to_owned(), heard)];
        weigh(&heard, &accepted, listen_from).map_err(|error| error.to_string())
    }

    fn unasked() -> Heard {
        Heard::Unasked("its name cannot be resolved".to_owned())
    }

    #[test]
    fn only_silence_is_silence() {
        for listen_from in [ListenFrom::Controller, ListenFrom::Target] {
            assert_eq!(weighed(Heard::Silence, &[], listen_from), Ok(Vec::new()));
            assert_eq!(
                weighed(Heard::Answer, &[UNHEARD], listen_from).unwrap_err(),
                "the old control plane at api.prod:6443: expected silence, found an accepted connection"
            );
            insta::allow_duplicates! {
                insta::assert_snapshot!(weighed(unasked(), &[ANSWERS], listen_from).unwrap_err(), @"asking whether something answers at api.prod:6443 failed: its name cannot be resolved; that is no silence: mend it, or see that the old control plane is off, roll back, and begin a run with `--accept old-control-plane-unheard`");
            }
        }
    }

    #[test]
    fn what_was_accepted_is_told() {
        let told = weighed(unasked(), &[UNHEARD], ListenFrom::Target).unwrap();
        assert_eq!(
            told,
            ["nobody could ask api.prod:6443, as was accepted when the run began: its name cannot be resolved"]
        );
        let told = weighed(Heard::Answer, &[ANSWERS], ListenFrom::Controller).unwrap();
        assert_eq!(told, ["something answers at api.prod:6443, as was accepted when the run began"]);
        weighed(Heard::Answer, &[ANSWERS], ListenFrom::Target).unwrap_err();
    }
}
