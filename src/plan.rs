//! What a run would do: the steps, what each changes, how long they took before.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use crate::actions::Description;
use crate::check::Look;
use crate::playbook::Prospect;
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
    /// What decides whether it runs, when an earlier step's output does.
    pub only_if: Option<String>,
    /// What it would do.
    pub description: Description,
    /// Its mean time in past runs, in seconds.
    pub usual_seconds: Option<f64>,
}

impl Plan {
    /// The plan for what was seen.
    pub fn of(look: &Look, past: &BTreeMap<String, SignedDuration>) -> Self {
        let cx = look.plan_context();
        let steps = look.playbook.prospects(&look.values).map(|(step, prospect)| {
            let (skipped, only_if) = match prospect {
                Prospect::Runs => (None, None),
                Prospect::Depends(when) => (None, Some(when.to_string())),
                Prospect::Skipped(when) => (Some(format!("`when = {when}` does not hold")), None),
            };
            PlannedStep {
                name: step.name.clone(),
                action: step.kind.name.to_owned(),
                description: if skipped.is_some() { Description::default() } else { step.action.describe(&cx) },
                skipped,
                only_if,
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
            let only_if = step.only_if.as_ref().map(|when| format!("if `{when}`: ")).unwrap_or_default();
            match &step.skipped {
                Some(why) => writeln!(f, "  {number:>2}. {:width$}  skipped: {why}", step.name)?,
                None => {
                    writeln!(f, "  {number:>2}. {:width$}  {only_if}{}{usual}", step.name, step.description.summary)?;
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::look;

    #[test]
    fn a_step_that_an_earlier_one_decides_about_is_shown_with_what_it_does() {
        let look = look(
            r#"
            [[step]]
            name = "images"
            action = "upload"
            source = "/srv/images.tar"
            to = "/root/images.tar"

            [[step]]
            name = "import"
            action = "command"
            when = "step.images.path"
            run = "ctr images import ${step.images.path}"
            touches = ["/root/log"]

            [[step]]
            name = "keys"
            action = "upload"
            when = "pki.sa.key"
            source = "/srv/keys"
            to = "/root/keys"

            [[step]]
            name = "use-keys"
            action = "command"
            when = "step.keys.path"
            run = "cat ${step.keys.path}"
            "#,
        );
        let past = BTreeMap::from([("import".to_owned(), SignedDuration::from_secs(4))]);
        let plan = Plan::of(&look, &past);
        insta::assert_snapshot!(plan, @"
        Plan: restore cluster prod on 10.0.0.10
           1. images    upload /srv/images.tar to /root/images.tar
                        changes /root/images.tar
           2. import    if `step.images.path`: run `ctr images import ${step.images.path}`  (usually 4.0s)
                        changes /root/log
           3. keys      skipped: `when = pki.sa.key` does not hold
           4. use-keys  skipped: `when = step.keys.path` does not hold
        ");
        let only_if: Vec<_> = plan.steps.iter().map(|step| step.only_if.as_deref()).collect();
        assert_eq!(only_if, [None, Some("step.images.path"), None, None]);
    }
}
