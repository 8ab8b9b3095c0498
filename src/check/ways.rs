//! Can somebody else than root lead what a step changes elsewhere?

use super::Look;
use crate::actions::{Finding, PlanContext};

pub(super) async fn check(look: &Look, cx: &PlanContext<'_>) -> Vec<Finding> {
    let Some(target) = cx.target else { return Vec::new() };
    let touched = look.steps_to_run().flat_map(|step| step.action.describe(cx).touches);
    // What an earlier step gives a name to is looked at when its turn comes.
    let paths: Vec<String> = touched.filter(|path| path.starts_with('/') && !path.contains("${")).collect();
    let help = "whoever made it could have drctl overwrite other files, so no step begins";
    match target.unsafe_ways(&paths).await {
        Ok(ways) => ways.into_iter().map(|way| Finding::error("unsafe-path", way, help)).collect(),
        Err(error) => vec![Finding::error("unsafe-path", error.to_string(), help)],
    }
}
