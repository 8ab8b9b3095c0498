//! The verdict: what speaks for it and what against it. Pure.

use super::{Figures, Kind, Outcome, Proof, Verdict};
use crate::event::Ending;
use crate::report::{Report, StepReport, human_seconds, span};

/// All that is judged.
#[derive(Debug)]
pub struct Case<'a> {
    /// What it is of.
    pub kind: Kind,
    /// The run; `None` when none was begun.
    pub report: Option<&'a Report>,
    /// The figures and their limits.
    pub figures: &'a Figures,
    /// What was proved.
    pub proofs: &'a [Proof],
    /// What speaks against it besides the run, as sentences.
    pub against: &'a [String],
}

/// Limits decide about a drill. A restore that came late is a restore all the same: that it did is told.
pub fn judge(case: &Case<'_>) -> Verdict {
    let limits = limits(case.figures, case.report.is_some_and(|report| report.ending == Some(Ending::Restored)));
    let mut against = case.against.to_vec();
    match case.report {
        None if against.is_empty() => against.push("No run was begun.".to_owned()),
        None => {}
        Some(report) => against.extend(of_run(report)),
    }
    against.extend(case.proofs.iter().filter(|proof| proof.step.is_none() && proof.passed == Some(false)).map(
        |proof| {
            let expected = proof.expected.as_deref().unwrap_or("something else");
            format!("{}: expected {expected}, found {}.", proof.name, proof.found)
        },
    ));
    if case.kind == Kind::Drill {
        against.extend(limits.iter().filter(|limit| !limit.kept).map(|limit| limit.said.clone()));
    }
    if !against.is_empty() {
        return Verdict { outcome: Outcome::Failed, reasons: against };
    }
    match case.report {
        Some(report) if report.ending == Some(Ending::Restored) => {
            let reasons = std::iter::once(in_favour(case.proofs)).chain(limits.into_iter().map(|limit| limit.said));
            Verdict { outcome: Outcome::Passed, reasons: reasons.collect() }
        }
        report => {
            let stopped = report.and_then(|report| report.stopped.as_deref());
            let reason = stopped.map_or_else(
                || "The run has not ended: a drctl works on it, or was killed.".to_owned(),
                |reason| format!("The run stopped at its checkpoint: {}.", first_line(reason)),
            );
            Verdict { outcome: Outcome::Unfinished, reasons: vec![reason] }
        }
    }
}

/// What speaks against a run.
fn of_run(report: &Report) -> Vec<String> {
    let steps = report.steps.iter();
    let mut against: Vec<String> = steps.filter_map(of_step).collect();
    if report.ending == Some(Ending::RolledBack) {
        against.push("The run was rolled back: the target is as it was.".to_owned());
    }
    against
}

fn of_step(step: &StepReport) -> Option<String> {
    let detail = step.detail.as_deref().map(first_line).unwrap_or_default();
    match step.state {
        "failed" => Some(format!("Step `{}` failed: {detail}.", step.name)),
        "undo failed" => Some(format!("Step `{}` could not be undone, a person is needed: {detail}.", step.name)),
        _ => None,
    }
}

fn in_favour(proofs: &[Proof]) -> String {
    match proofs.iter().filter(|proof| proof.passed == Some(true)).count() {
        0 => "Every step took; the playbook has no proofs.".to_owned(),
        1 => "Every step took, and the one proof held.".to_owned(),
        proofs => format!("Every step took, and all {proofs} proofs held."),
    }
}

struct Limit {
    kept: bool,
    said: String,
}

/// RTO is only known of what was restored.
fn limits(figures: &Figures, restored: bool) -> Vec<Limit> {
    let rto = restored.then(|| limit("RTO", figures.rto_seconds, figures.rto_limit_seconds));
    let rpo = limit("RPO", figures.rpo_seconds, figures.rpo_limit_seconds);
    rto.into_iter().chain([rpo]).flatten().collect()
}

fn limit(name: &str, found: Option<f64>, limit: Option<f64>) -> Option<Limit> {
    let limit = limit?;
    let allowed = span(limit);
    let Some(found) = found else {
        return Some(Limit { kept: false, said: format!("{name} is not known; {allowed} is allowed.") });
    };
    let said = human_seconds(found);
    let kept = found <= limit;
    let said = if kept {
        format!("{name} is {said}, within the {allowed} that is allowed.")
    } else {
        format!("{name} is {said}; only {allowed} is allowed.")
    };
    Some(Limit { kept, said })
}

/// Errors go on with what a command wrote.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches('.')
}
