//! A pause for a person.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, ActionError, Context, Declared, Description, Finding, Outcome, PlanContext, SetAside, Verdict};
use crate::text::{Text, Values};

/// Asks the person at the terminal before going on; with nobody to ask, the run stops at its checkpoint.
///
/// ```toml
/// [[step]]
/// name = "switch-address"
/// action = "confirm"
/// question = "Has ${inventory.cluster.endpoint} been moved to the new host?"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The question; anything but yes fails the step.
    question: Text,
}

impl Declared for Confirm {
    const NAME: &'static str = "confirm";
    const OUTPUTS: &'static [&'static str] = &[];
}

#[async_trait]
impl Action for Confirm {
    fn texts(&self) -> Vec<&Text> {
        vec![&self.question]
    }

    fn describe(&self, _: &PlanContext<'_>) -> Description {
        Description { summary: format!("ask: {}", self.question), ..Description::default() }
    }

    fn set_aside(&self, _: &Context<'_>) -> Result<SetAside, ActionError> {
        Ok(SetAside::Nothing { why: "a question changes nothing" })
    }

    async fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError> {
        let question = cx.fill(&self.question)?;
        let reason = match cx.tell.confirm(&question).await {
            Some(true) => return Ok(Outcome::Done(Values::new())),
            Some(false) => "the answer was no".to_owned(),
            None => "there is no terminal to ask at".to_owned(),
        };
        Err(ActionError::Failed { what: format!("asking \"{question}\""), reason })
    }

    async fn verify(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::Took(Values::new()))
    }

    /// An answer that was not written down was not given.
    async fn settle(&self, _: &Context<'_>) -> Result<Verdict, ActionError> {
        Ok(Verdict::DidNot { reason: "the answer is not known".to_owned() })
    }

    async fn undo(&self, _: &Context<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}
