//! Which steps will run, as far as it can be known before the first.

use std::collections::BTreeSet;

use super::{Playbook, Step, When};
use crate::text::Values;

/// Whether a step will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect<'a> {
    /// It will.
    Runs,
    /// What an earlier step puts out decides.
    Depends(&'a When),
    /// This does not hold, and will not.
    Skipped(&'a When),
}

impl Playbook {
    /// Every step with its prospect under the values that there are before the first.
    pub fn prospects<'a>(&'a self, values: &Values) -> impl Iterator<Item = (&'a Step, Prospect<'a>)> {
        let mut skipped = BTreeSet::new();
        self.steps.iter().map(move |step| {
            let prospect = match &step.when {
                None => Prospect::Runs,
                // A step that is skipped puts nothing out.
                Some(when) if when.step().is_some_and(|of| !skipped.contains(of)) => Prospect::Depends(when),
                Some(when) if when.holds(values) => Prospect::Runs,
                Some(when) => Prospect::Skipped(when),
            };
            if let Prospect::Skipped(_) = prospect {
                skipped.insert(step.name.as_str());
            }
            (step, prospect)
        })
    }
}
