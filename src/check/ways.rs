//! Is what the steps change at plain paths, which nobody but root can lead elsewhere?

use super::Look;
use crate::actions::{Finding, PlanContext};

pub(super) async fn check(look: &Look, cx: &PlanContext<'_>) -> Vec<Finding> {
    let Some(target) = cx.target else { return Vec::new() };
    let touched = look.steps_to_run().flat_map(|step| step.action.describe(cx).touches);
    // What an earlier step gives a name to is looked at when its turn comes.
    let paths: Vec<String> = touched.filter(|path| !path.contains("${")).collect();
    let help =
        "correct the path in the playbook, or what is there on the target: a step could overwrite something else";
    match target.unsafe_paths(&paths).await {
        Ok(reasons) => reasons.into_iter().map(|reason| Finding::error("unsafe-path", reason, help)).collect(),
        Err(error) => vec![Finding::error("unsafe-path", error.to_string(), help)],
    }
}
