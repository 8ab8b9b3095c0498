//! The snapshot of the run, brought to the target.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::target::{Owner, Payload, Place, quote};
use crate::text::{Text, Values};

/// Brings the snapshot of the run to the target, into drctl's own folder there; an interrupted transfer goes on from
/// where it was, and the digest is compared.
///
/// Later steps find it as `${step.<name>.path}`.
///
/// ```toml
/// [[step]]
/// name = "fetch-snapshot"
/// action = "fetch_snapshot"
/// timeout = "1h"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchSnapshot {}

impl Declared for FetchSnapshot {
    const NAME: &'static str = "fetch_snapshot";
    const OUTPUTS: &'static [&'static str] = &["path"];
}

fn path(cx: &Context<'_>) -> String {
    format!("{}/snapshot.db", cx.target.run_folder())
}

fn outputs(cx: &Context<'_>) -> Values {
    Values::from([("path".to_owned(), path(cx))])
}

#[async_trait]
impl Action for FetchSnapshot {
    fn texts(&self) -> Vec<&Text> {
        Vec::new()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let summary = match cx.snapshot {
            Some(snapshot) => format!("bring `{}` to the target ({} MiB)", snapshot.name, snapshot.size.div_ceil(1 << 20)),
            None => "bring the newest valid snapshot to the target".to_owned(),
        };
        let details = cx.snapshot.map(|snapshot| format!("from {}, taken {}", snapshot.source, snapshot.taken));
        let touches = vec![format!("{}/<run>/snapshot.db", crate::target::HOME)];
        Description { summary, details: details.into_iter().collect(), touches }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "the snapshot goes to the run's own folder on the target" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let place = Place { to: path(cx), mode: 0o600, owner: Owner::root() };
        let tell = |done, total| cx.tell.bytes(done, total);
        cx.target.place(Payload::File(&cx.snapshot.path), &place, &tell).await?;
        Ok(Outcome::Done(outputs(cx)))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(match cx.target.digest(&path(cx)).await? {
            Some(found) if found == cx.snapshot.sha256 => Verdict::Took(outputs(cx)),
            Some(_) => Verdict::DidNot { reason: format!("{} is not the snapshot of this run", path(cx)) },
            None => Verdict::DidNot { reason: format!("{} is not there", path(cx)) },
        })
    }

    async fn undo(&self, cx: &Context<'_>) -> Result<(), ActionError> {
        let path = path(cx);
        let new = cx.target.new_beside(&path);
        cx.target.change("remove the snapshot", &format!("rm -f -- {} {}", quote(&path), quote(&new))).await?;
        Ok(())
    }
}
