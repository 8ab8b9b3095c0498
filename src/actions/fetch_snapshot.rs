//! The snapshot of the run, from its source to the target.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::target::{Owner, Payload, Place};
use crate::text::{Text, Values};

/// Brings the newest valid snapshot to the target, into drctl's own folder (mode 0600). It goes when the run ends well.
///
/// Which one that is was decided, and its trailing SHA-256 checked, before the run began.
///
/// ```toml
/// [[step]]
/// name = "snapshot"
/// action = "fetch_snapshot"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchSnapshot {}

impl Declared for FetchSnapshot {
    const NAME: &'static str = "fetch_snapshot";
    const OUTPUTS: &'static [&'static str] = &["path"];
}

#[async_trait]
impl Action for FetchSnapshot {
    fn texts(&self) -> Vec<&Text> {
        Vec::new()
    }

    fn describe(&self, cx: &PlanContext<'_>) -> Description {
        let summary = match cx.snapshot {
            Some(chosen) => format!("bring `{}` ({} bytes) to the target", chosen.name, chosen.size),
            None => "bring the newest valid snapshot to the target".to_owned(),
        };
        Description { summary, ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "the run's own folder on the target goes when the run is rolled back" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let to = path(cx);
        if cx.target.digest(&to).await?.as_deref() != Some(cx.snapshot.sha256.as_str()) {
            self.upload(cx, &to).await?;
        }
        Ok(Outcome::Done(Values::new()))
    }

    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        let path = path(cx);
        match cx.target.digest(&path).await? {
            Some(found) if found == cx.snapshot.sha256 => Ok(Verdict::Took([("path".to_owned(), path)].into())),
            Some(found) => Ok(Verdict::DidNot { reason: format!("`{path}` has the digest {found}") }),
            None => Ok(Verdict::DidNot { reason: format!("`{path}` is not there") }),
        }
    }

    /// A part that was uploaded stays for the next attempt; the run's folder goes as a whole.
    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

impl FetchSnapshot {
    async fn upload(&self, cx: &Context<'_>, to: &str) -> Result<(), ActionError> {
        let source = &cx.snapshot.path;
        if !source.is_file() {
            return Err(ActionError::Unexpected {
                what: format!("the snapshot `{}` of {}", cx.snapshot.name, cx.snapshot.source),
                expected: format!("a file with SHA-256 {}", cx.snapshot.sha256),
                found: "no such file in any source any more".to_owned(),
            });
        }
        let place = Place { to: to.to_owned(), mode: 0o600, owner: Owner::root() };
        let tell = |done, total| cx.tell.bytes(done, total);
        cx.target.place(Payload::File(source), &place, &tell).await?;
        Ok(())
    }
}

fn path(cx: &Context<'_>) -> String {
    format!("{}/snapshot.db", cx.target.passing_folder())
}
