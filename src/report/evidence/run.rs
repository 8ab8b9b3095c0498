//! What a journal tells of times: when each step was worked on, and what happened to the run as a whole.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{End, Moment, Span, Step, rounded};
use crate::event::{Direction, Event};
use crate::journal::Record;
use crate::report::{Report, StepReport, seconds};

pub(super) fn steps(
    report: &Report,
    records: &[Record],
    begun: Timestamp,
    usual: &BTreeMap<String, SignedDuration>,
) -> Vec<Step> {
    report.steps.iter().map(|step| of_step(step, records, begun, usual.get(&step.name))).collect()
}

fn of_step(step: &StepReport, records: &[Record], begun: Timestamp, usual: Option<&SignedDuration>) -> Step {
    let usual_seconds = usual.map(|usual| rounded(usual.as_secs_f64()));
    let seconds = step.seconds.map(rounded);
    let took = seconds.filter(|_| step.state == "done");
    Step {
        name: step.name.clone(),
        action: step.action.clone(),
        state: step.state.to_owned(),
        detail: step.detail.clone(),
        attempts: step.attempts,
        seconds,
        usual_seconds,
        difference_seconds: took.zip(usual_seconds).map(|(took, usual)| rounded(took - usual)),
        spans: spans(&step.name, records, begun),
    }
}

fn spans(name: &str, records: &[Record], begun: Timestamp) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Option<Timestamp> = None;
    let mut close = |from: &mut Option<Timestamp>, at: Timestamp, end: End| {
        if let Some(from) = from.take() {
            spans.push(Span { after: rounded(seconds(begun, from)), seconds: rounded(seconds(from, at)), end });
        }
    };
    for record in records.iter().filter(|record| record.data.step() == Some(name)) {
        match &record.data {
            Event::StepStarted { .. } | Event::UndoStarted { .. } => {
                close(&mut open, record.at, End::Open);
                open = Some(record.at);
            }
            Event::StepDone { .. } => close(&mut open, record.at, End::Done),
            Event::StepFailed { .. } => close(&mut open, record.at, End::Failed),
            Event::UndoDone { .. } => close(&mut open, record.at, End::Undone),
            Event::UndoFailed { .. } => close(&mut open, record.at, End::UndoFailed),
            // Nothing was done for it.
            Event::StepSkipped { .. } => open = None,
            _ => {}
        }
    }
    if let Some(last) = records.last() {
        close(&mut open, last.at, End::Open);
    }
    spans
}

pub(super) fn moments(records: &[Record], begun: Timestamp) -> Vec<Moment> {
    let told = records.iter().filter_map(|record| {
        let what = match &record.data {
            Event::Resumed { direction: Direction::Forward } => "taken up again".to_owned(),
            Event::Resumed { direction: Direction::Back } => "taken up again, to be rolled back".to_owned(),
            Event::RollbackStarted { reason } => {
                format!("rolling back: {}", reason.lines().next().unwrap_or_default())
            }
            Event::Stopped { reason } => format!("stopped: {}", reason.lines().next().unwrap_or_default()),
            _ => return None,
        };
        Some(Moment { after: rounded(seconds(begun, record.at)), what })
    });
    told.collect()
}
