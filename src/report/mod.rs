//! What became of a run: a fold of its journal. RTO, RPO, each step's time and outcome.

mod by_hand;
pub mod evidence;
mod files;
mod html;
mod markdown;
pub mod metrics;
mod signature;
mod text;
mod words;

pub use by_hand::ByHand;
pub use evidence::{Circumstances, Evidence};
pub use files::{Written, keep};
pub use html::html;
pub use markdown::markdown;
pub use signature::{NAMESPACE, SignError, Signer};

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::engine::StepState;
use crate::event::{Ending, Event, RunHeader};
use crate::journal::{Record, RunState};
use crate::sources::Chosen;
use crate::text::Values;

/// A run, told from its journal.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the run is.
    pub header: RunHeader,
    /// When it began.
    pub started: Timestamp,
    /// When its last record was written.
    pub last: Timestamp,
    /// How it ended, when it did.
    pub ending: Option<Ending>,
    /// Why its last process left, when it has not ended.
    pub stopped: Option<String>,
    /// Each step.
    pub steps: Vec<StepReport>,
    /// What a person has to do, when a step could not be undone.
    pub by_hand: Option<ByHand>,
    /// Seconds from the first record until the control plane was restored, whatever lay between.
    pub rto_seconds: Option<f64>,
    /// Seconds between the snapshot's data (by its own time, else the file's) and the start of the run: what is lost.
    pub rpo_seconds: f64,
}

/// One step, told from the journal.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: String,
    /// Where it stands, in a word: `done`, `skipped`, `failed` …
    pub state: &'static str,
    /// Why it was skipped, or what it said when it failed.
    pub detail: Option<String>,
    /// What it found or made, as later steps may refer to it.
    pub outputs: Values,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was last begun, relative to the run's start, in seconds.
    pub begun_after: Option<f64>,
    /// How long it took, from its intent to its outcome, in seconds.
    pub seconds: Option<f64>,
}

impl Report {
    /// Folds a journal. `snapshot` is what the run froze: it knows how old its data is.
    pub fn of(state: &RunState, records: &[Record], snapshot: Option<&Chosen>) -> Self {
        let started = records.first().map_or(Timestamp::UNIX_EPOCH, |record| record.at);
        let last = records.last().map_or(started, |record| record.at);
        let steps = state
            .named_steps()
            .zip(&state.header.steps)
            .zip(&state.attempts)
            .map(|(((name, step_state), step), attempts)| {
                let mut report = StepReport {
                    name: name.to_owned(),
                    action: step.action.clone(),
                    state: word(step_state),
                    detail: None,
                    outputs: step_state.outputs().cloned().unwrap_or_default(),
                    attempts: *attempts,
                    begun_after: None,
                    seconds: None,
                };
                report.follow(started, records);
                report
            })
            .collect();
        let newest_change = snapshot.and_then(|snapshot| snapshot.claims.newest_change);
        let restored = records.iter().find(|record| record.data == Event::Finished { ending: Ending::Restored });
        Self {
            started,
            last,
            ending: state.ending,
            stopped: state.stopped.clone(),
            steps,
            by_hand: ByHand::of(state, records),
            rto_seconds: restored
                .filter(|_| state.ending == Some(Ending::Restored))
                .map(|record| seconds(started, record.at)),
            rpo_seconds: seconds(newest_change.unwrap_or(state.header.snapshot.taken), started),
            header: state.header.clone(),
        }
    }
}

impl StepReport {
    fn follow(&mut self, run_started: Timestamp, records: &[Record]) {
        let mut begun = None;
        for record in records {
            match &record.data {
                Event::StepStarted { step, .. } if *step == self.name => {
                    begun = Some(record.at);
                    self.begun_after = Some(seconds(run_started, record.at));
                    (self.seconds, self.detail) = (None, None);
                }
                Event::StepDone { step, .. } if *step == self.name => {
                    self.seconds = begun.map(|begun| seconds(begun, record.at));
                }
                Event::StepSkipped { step, reason } if *step == self.name => self.detail = Some(reason.clone()),
                Event::StepFailed { step, error } | Event::UndoFailed { step, error, .. } if *step == self.name => {
                    self.seconds = begun.map(|begun| seconds(begun, record.at));
                    self.detail = Some(error.clone());
                }
                _ => {}
            }
        }
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn word(state: &StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::Started { .. } | StepState::Kept { .. } => "unsettled",
        StepState::Done { .. } => "done",
        StepState::Skipped => "skipped",
        StepState::Failed { .. } => "failed",
        StepState::Undoing { .. } => "undoing",
        StepState::Undone => "undone",
        StepState::UndoFailed { .. } => "undo failed",
    }
}

/// Seconds as people read them: `0.4s`, `12s`, `3m 05s`, `2h 10m`, `5d 3h`.
pub fn human_seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "spans of runs are far from the limits of i64")]
    let whole = seconds.round() as i64;
    match whole {
        ..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86400, whole % 86400 / 3600),
    }
}

/// A limit as people write it: `15m` rather than `15m 00s`.
pub(crate) fn span(seconds: f64) -> String {
    let said = human_seconds(seconds);
    let short = said.strip_suffix(" 00s").or_else(|| said.strip_suffix(" 00m")).or_else(|| said.strip_suffix(" 0h"));
    short.unwrap_or(&said).to_owned()
}

/// The mean time of each step in the runs that ended restored, by the steps' names.
pub fn past_durations(reports: &[Report]) -> BTreeMap<String, SignedDuration> {
    let restored = reports.iter().filter(|report| report.ending == Some(Ending::Restored));
    means(restored.flat_map(|report| &report.steps).filter_map(|step| Some((step.name.as_str(), step.seconds?))))
}

/// The mean of the seconds of each name.
pub(crate) fn means<'a>(taken: impl IntoIterator<Item = (&'a str, f64)>) -> BTreeMap<String, SignedDuration> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (name, seconds) in taken {
        let (sum, count) = sums.entry(name).or_default();
        *sum += seconds;
        *count += 1.0;
    }
    let mean = |(name, (sum, count)): (&str, (f64, f64))| (name.to_owned(), SignedDuration::from_secs_f64(sum / count));
    sums.into_iter().map(mean).collect()
}
