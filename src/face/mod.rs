//! What is shown while something runs: bars on a terminal, plain lines elsewhere, NDJSON for programs.

mod bars;
pub(crate) mod json;
mod plain;
mod still;

use std::sync::Arc;

use console::style;

use crate::actions::{Finding, Severity};
use crate::engine::Listener;
use crate::plan::Plan;
use crate::report::evidence::Evidence;
use crate::report::{Report, Written, human_seconds};

pub use bars::Bars;
pub use json::{Json, report_line, unreadable_line};
pub use plain::Plain;

/// Everything that commands show.
pub trait Face: Listener {
    /// What is being done before the first step.
    fn doing(&self, what: &str);
    /// What the checks found.
    fn findings(&self, findings: &[Finding]);
    /// What a run would do.
    fn plan(&self, plan: &Plan);
    /// Something that went wrong and stops nothing.
    fn warn(&self, warning: &str);
    /// What became of a run, where its report is kept, and what to do next.
    fn report(&self, report: &Report, written: Option<&Written>, next: &[String]);
    /// What a drill has shown, and where its report is kept.
    fn drill(&self, evidence: &Evidence, written: Option<&Written>);
}

/// The face for an output form and the terminal that is there, or not.
pub fn face(json: bool, verbose: bool) -> Arc<dyn Face> {
    use std::io::IsTerminal as _;
    match (json, std::io::stderr().is_terminal()) {
        (true, _) => Arc::new(Json),
        (false, true) => Arc::new(Bars::new(verbose)),
        (false, false) => Arc::new(Plain::new(verbose)),
    }
}

/// What became of a run, for people.
fn report_text(report: &Report, written: Option<&Written>, next: &[String]) -> String {
    let mut text = format!("\n{report}");
    if let Some(written) = written {
        text.push_str(&format!("\nreport   {}", written.html.display()));
    }
    for next in next {
        text.push_str(&format!("\nnext     {next}"));
    }
    text
}

/// A finding for people.
fn finding_lines(finding: &Finding) -> String {
    let mark = match finding.severity {
        Severity::Ok => style("ok   ").green(),
        Severity::Warning => style("warn ").yellow(),
        Severity::Error => style("ERROR").red().bold(),
    };
    // Colour only where a person looks; everything reads the same without it.
    let mark = mark.for_stderr();
    let told = finding.severity != Severity::Ok;
    let mut lines = finding.message.lines();
    let mut text = format!("  {mark} {}", lines.next().unwrap_or_default());
    if told {
        text.push_str(&format!(" [{}]", finding.name));
    }
    for line in lines {
        text.push_str(&format!("\n        {line}"));
    }
    for (number, line) in finding.help.lines().enumerate().filter(|_| told) {
        text.push_str(&format!("\n        {} {line}", if number == 0 { "->" } else { "  " }));
    }
    text
}

/// What came of a step, for people; nothing for records that are only the engine's own.
fn record_line(event: &crate::event::Event) -> Option<String> {
    use crate::event::{Ending, Event};
    Some(match event {
        Event::RunStarted(header) => format!("run {} begins on {}", header.run, header.host),
        Event::Resumed { .. } => "the run is taken up again".to_owned(),
        Event::StepDone { step, .. } => format!("done     {step}"),
        Event::StepSkipped { step, reason } => format!("skipped  {step}: {reason}"),
        Event::StepFailed { step, error } => format!("FAILED   {step}: {error}"),
        Event::RollbackStarted { reason } => format!("rolling back: {reason}"),
        Event::UndoDone { step } => format!("undone   {step}"),
        Event::UndoFailed { step, error, .. } => format!("UNDO FAILED {step}: {error}"),
        Event::Stopped { reason } => format!("stopped: {reason}"),
        Event::Finished { ending: Ending::Restored } => "restored".to_owned(),
        Event::Finished { ending: Ending::RolledBack } => "rolled back: the target is as it was".to_owned(),
        Event::StepStarted { .. } | Event::StepKept { .. } | Event::UndoStarted { .. } => return None,
    })
}

/// A drill for people: the verdict, why, the figures, and where all of it is written.
fn drill_lines(evidence: &Evidence, written: Option<&Written>) -> Vec<String> {
    let drill = evidence.drill.clone().unwrap_or_default();
    let passed = evidence.proofs.iter().filter(|proof| proof.passed == Some(true)).count();
    let figures = &evidence.figures;
    let allowed =
        |limit: Option<f64>| limit.map(|limit| format!(", {} allowed", human_seconds(limit))).unwrap_or_default();
    let mut lines =
        vec![String::new(), format!("DRILL {} {}", evidence.verdict.outcome.word().to_uppercase(), drill.id)];
    lines.extend(evidence.verdict.reasons.iter().map(|reason| format!("  {}", reason.replace('\n', "\n  "))));
    if !drill.level.is_empty() {
        lines.push(format!("level    {}, {passed} proofs held", drill.level));
    }
    for (name, found, limit) in [
        ("RTO", figures.rto_seconds, figures.rto_limit_seconds),
        ("RPO", figures.rpo_seconds, figures.rpo_limit_seconds),
    ] {
        if let Some(found) = found {
            lines.push(format!("{name}      {}{}", human_seconds(found), allowed(limit)));
        }
    }
    let took =
        |what: &str, seconds: Option<f64>| seconds.map(|seconds| format!("{what} in {}, ", human_seconds(seconds)));
    let (made, gone) = (took("made", figures.create_seconds), took("gone", figures.destroy_seconds));
    lines.push(format!("target   {}{}from {}", made.unwrap_or_default(), gone.unwrap_or_default(), drill.provider));
    lines.extend(written.map(|written| format!("report   {}", written.html.display())));
    lines
}
