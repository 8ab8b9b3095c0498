//! Records, folded into the state of the run. Resume, rollback, `show` and the report all begin here.

use std::path::Path;

use super::JournalError;
use super::file::io;
use super::record::{FIRST, Record};
use crate::engine::{IllegalEvent, StepState};
use crate::event::{Direction, Ending, Event, FORMAT, RunHeader};
use crate::text::Values;

/// What a journal says of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// What the run is.
    pub header: RunHeader,
    /// Each step's state, in order.
    pub steps: Vec<StepState>,
    /// How often each step was begun.
    pub attempts: Vec<u32>,
    /// Which way it goes.
    pub direction: Direction,
    /// How it ended, when it did.
    pub ending: Option<Ending>,
    /// Why its last process left, unless one has taken it up since.
    pub stopped: Option<String>,
}

/// The whole records of a file, and where they end.
pub(super) struct Whole {
    pub(super) records: Vec<Record>,
    pub(super) end: u64,
    pub(super) sum: String,
}

/// Reads a journal without opening it for writing; an unfinished last line is passed over.
pub fn read(path: &Path) -> Result<(RunState, Vec<Record>), JournalError> {
    let records = read_whole(path)?.records;
    Ok((RunState::of(path, &records)?, records))
}

pub(super) fn read_whole(path: &Path) -> Result<Whole, JournalError> {
    let bytes = std::fs::read(path).map_err(|source| io("read the journal", path, source))?;
    let mut whole = Whole { records: Vec::new(), end: 0, sum: FIRST.to_owned() };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let number = whole.records.len() + 1;
        let damaged = |reason: String| JournalError::Damaged { path: path.to_owned(), line: number, reason };
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        let text = std::str::from_utf8(text).map_err(|error| damaged(error.to_string()))?;
        check_format(path, text, number)?;
        let (record, sum) = Record::parse(text, &whole.sum, number as u64).map_err(damaged)?;
        whole.records.push(record);
        whole.end += line.len() as u64;
        whole.sum = sum;
    }
    Ok(whole)
}

/// A later format is named as such, not as damage.
fn check_format(path: &Path, first_line: &str, number: usize) -> Result<(), JournalError> {
    if number != 1 {
        return Ok(());
    }
    let value: serde_json::Value = serde_json::from_str(first_line).unwrap_or_default();
    match value.pointer("/data/format").and_then(serde_json::Value::as_u64) {
        Some(found) if found > u64::from(FORMAT) => {
            Err(JournalError::Format { path: path.to_owned(), found: u32::try_from(found).unwrap_or(u32::MAX) })
        }
        _ => Ok(()),
    }
}

impl RunState {
    /// The state of a run that has just begun.
    pub fn begun(header: RunHeader) -> Self {
        let steps = vec![StepState::Pending; header.steps.len()];
        let attempts = vec![0; header.steps.len()];
        Self { header, steps, attempts, direction: Direction::Forward, ending: None, stopped: None }
    }

    fn of(path: &Path, records: &[Record]) -> Result<Self, JournalError> {
        let mut records = records.iter();
        let Some(Record { data: Event::RunStarted(header), .. }) = records.next() else {
            return Err(JournalError::Empty { path: path.to_owned() });
        };
        let mut state = Self::begun((**header).clone());
        for record in records {
            let line = usize::try_from(record.seq).unwrap_or(usize::MAX);
            state.apply(&record.data).map_err(|source| JournalError::Illegal {
                path: path.to_owned(),
                line,
                source,
            })?;
        }
        Ok(state)
    }

    /// Folds the records of a journal that was opened.
    pub fn replay(path: &Path, records: &[Record]) -> Result<Self, JournalError> {
        Self::of(path, records)
    }

    /// Takes one more event in; refuses what cannot follow.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let illegal = || IllegalEvent { state: format!("{:?}", self.direction), event: format!("{event:?}") };
        if self.ending.is_some() && !matches!(event, Event::Resumed { direction: Direction::Back }) {
            return Err(illegal());
        }
        match event {
            Event::RunStarted(_) => return Err(illegal()),
            Event::Resumed { direction } => {
                if self.direction == Direction::Back && *direction == Direction::Forward {
                    return Err(illegal());
                }
                self.stopped = None;
                self.ending = None;
                for step in &mut self.steps {
                    *step = step.next(event)?;
                }
            }
            Event::RollbackStarted { .. } => self.direction = Direction::Back,
            Event::Stopped { reason } => self.stopped = Some(reason.clone()),
            Event::Finished { ending } => self.ending = Some(*ending),
            Event::StepStarted { step, .. }
            | Event::StepKept { step }
            | Event::StepDone { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepFailed { step, .. }
            | Event::UndoStarted { step }
            | Event::UndoDone { step }
            | Event::UndoFailed { step, .. } => {
                let index = self.header.steps.iter().position(|known| known.name == *step).ok_or_else(illegal)?;
                self.steps[index] = self.steps[index].next(event)?;
                if let Event::StepStarted { attempt, .. } = event {
                    self.attempts[index] = *attempt;
                }
            }
        }
        Ok(())
    }

    /// What the steps that are done have put out, as `step.<name>.<output>`.
    pub fn outputs(&self) -> Values {
        let named = self.header.steps.iter().zip(&self.steps);
        named
            .filter_map(|(step, state)| state.outputs().map(|outputs| (step, outputs)))
            .flat_map(|(step, outputs)| {
                outputs.iter().map(|(name, value)| (format!("step.{}.{name}", step.name), value.clone()))
            })
            .collect()
    }

    /// The steps with their states.
    pub fn named_steps(&self) -> impl Iterator<Item = (&str, &StepState)> {
        self.header.steps.iter().map(|step| step.name.as_str()).zip(&self.steps)
    }
}
