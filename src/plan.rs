//! What a run would do: the steps, what each changes, how long they took before.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use crate::actions::Description;
use crate::check::Look;
use crate::report::human_seconds;

/// A run that has not begun.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The cluster.
    pub cluster: String,
    /// The target.
    pub host: String,
    /// The snapshot's name and source.
    pub snapshot: Option<String>,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// A step that has not begun.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: String,
    /// Why it would be skipped.
    pub skipped: Option<String>,
    /// What it would do.
    pub description: Description,
    /// Its mean time in past runs, in seconds.
    pub usual_seconds: Option<f64>,
}

impl Plan {
    /// The plan for what was seen.
    pub fn of(look: &Look, past: &BTreeMap<String, SignedDuration>) -> Self {
        let cx = look.plan_context();
        let steps = look.playbook.steps.iter().map(|step| {
            let skipped = step
                .when
                .as_ref()
                .filter(|when| !when.holds(&look.values))
                .map(|when| format!("`when = {when}` does not hold"));
            PlannedStep {
                name: step.name.clone(),
                action: step.kind.name.to_owned(),
                description: if skipped.is_some() { Description::default() } else { step.action.describe(&cx) },
                skipped,
                usual_seconds: past.get(&step.name).map(SignedDuration::as_secs_f64),
            }
        });
        Self {
            cluster: look.inventory.cluster.name.clone(),
            host: look.inventory.target.host.clone(),
            snapshot: cx.snapshot.map(|chosen| format!("{} from {}", chosen.name, chosen.source)),
            steps: steps.collect(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Plan: restore cluster {} on {}", self.cluster, self.host)?;
        if let Some(snapshot) = &self.snapshot {
            writeln!(f, "      from {snapshot}")?;
        }
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for (number, step) in (1..).zip(&self.steps) {
            let usual =
                step.usual_seconds.map(|usual| format!("  (usually {})", human_seconds(usual))).unwrap_or_default();
            match &step.skipped {
                Some(why) => writeln!(f, "  {number:>2}. {:width$}  skipped: {why}", step.name)?,
                None => writeln!(f, "  {number:>2}. {:width$}  {}{usual}", step.name, step.description.summary)?,
            }
            for detail in step.description.details.iter().flat_map(|detail| detail.lines()) {
                writeln!(f, "      {:width$}  - {detail}", "")?;
            }
            if !step.description.touches.is_empty() {
                writeln!(f, "      {:width$}  changes {}", "", step.description.touches.join(", "))?;
            }
        }
        Ok(())
    }
}
