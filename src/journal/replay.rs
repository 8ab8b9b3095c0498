//! Records, folded into the state of the run. Resume, rollback, `show` and the report all begin here.

use std::path::Path;

use super::JournalError;
use super::lines::read_whole;
use super::record::Record;
use crate::engine::{IllegalEvent, StepState};
use crate::event::{Direction, Ending, Event, RunHeader};
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

/// Reads a journal without opening it for writing; an unfinished last line is passed over.
pub fn read(path: &Path) -> Result<(RunState, Vec<Record>), JournalError> {
    let records = read_whole(path)?.records;
    Ok((RunState::replay(path, &records)?, records))
}

impl RunState {
    /// The state of a run that has just begun.
    pub fn begun(header: RunHeader) -> Self {
        let steps = vec![StepState::Pending; header.steps.len()];
        let attempts = vec![0; header.steps.len()];
        Self { header, steps, attempts, direction: Direction::Forward, ending: None, stopped: None }
    }

    /// Folds the records of a journal.
    pub fn replay(path: &Path, records: &[Record]) -> Result<Self, JournalError> {
        let illegal = |line, source| JournalError::Illegal { path: path.to_owned(), line, source };
        let mut records = records.iter();
        let mut state = match records.next().map(|record| &record.data) {
            None => return Err(JournalError::Empty { path: path.to_owned() }),
            Some(Event::RunStarted(header)) => Self::begun((**header).clone()),
            Some(other) => {
                let nothing = IllegalEvent { state: "nothing".to_owned(), event: format!("{other:?}") };
                return Err(illegal(1, nothing));
            }
        };
        for record in records {
            let line = usize::try_from(record.seq).unwrap_or(usize::MAX);
            state.apply(&record.data).map_err(|source| illegal(line, source))?;
        }
        Ok(state)
    }

    /// Takes one more event in; refuses what cannot follow.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let illegal = || IllegalEvent { state: self.in_words(), event: format!("{event:?}") };
        if !self.may_follow(event) {
            return Err(illegal());
        }
        match event {
            Event::RunStarted(_) => return Err(illegal()),
            Event::Resumed { .. } => {
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
            | Event::UndoStarted { step, .. }
            | Event::UndoDone { step }
            | Event::UndoFailed { step, .. } => {
                let index = self.index(step).ok_or_else(illegal)?;
                self.steps[index] = self.steps[index].next(event)?;
                if let Event::StepStarted { attempt, .. } = event {
                    self.attempts[index] = *attempt;
                }
            }
        }
        Ok(())
    }

    /// Whether the run as a whole allows the event; what its step allows is the step's own business.
    fn may_follow(&self, event: &Event) -> bool {
        let forward = self.direction == Direction::Forward;
        match event {
            Event::Resumed { direction } => match self.ending {
                None => forward || *direction == Direction::Back,
                Some(Ending::Restored) => *direction == Direction::Back,
                Some(Ending::RolledBack) => false,
            },
            _ if self.ending.is_some() => false,
            Event::RunStarted(_) => false,
            Event::RollbackStarted { .. } => forward,
            Event::Stopped { .. } => true,
            Event::Finished { ending: Ending::Restored } => forward && self.steps.iter().all(StepState::is_settled),
            Event::Finished { ending: Ending::RolledBack } => {
                !forward && !self.steps.iter().any(StepState::may_have_changed)
            }
            Event::StepStarted { step, attempt } => {
                let before = attempt.checked_sub(1);
                forward && self.is_next(step) && self.index(step).is_some_and(|at| before == Some(self.attempts[at]))
            }
            Event::StepKept { step }
            | Event::StepDone { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepFailed { step, .. } => forward && self.is_next(step),
            Event::UndoStarted { step, .. } | Event::UndoDone { step } | Event::UndoFailed { step, .. } => {
                if forward {
                    self.is_next(step)
                } else {
                    self.is_last_changed(step)
                }
            }
        }
    }

    /// A run goes forwards only at its first step that is not settled.
    fn is_next(&self, step: &str) -> bool {
        self.named_steps().find(|(_, state)| !state.is_settled()).is_some_and(|(name, _)| name == step)
    }

    /// And backwards only at its last one that may have changed something.
    fn is_last_changed(&self, step: &str) -> bool {
        let changed = self.steps.iter().rposition(StepState::may_have_changed);
        changed.is_some_and(|at| self.header.steps[at].name == step)
    }

    fn index(&self, step: &str) -> Option<usize> {
        self.header.steps.iter().position(|known| known.name == step)
    }

    fn in_words(&self) -> String {
        format!("{:?}, ended {:?}, steps {:?}", self.direction, self.ending, self.steps)
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
