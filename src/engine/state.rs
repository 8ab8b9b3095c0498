//! The only legal transitions of a step. Pure.

use thiserror::Error;

use crate::event::Event;
use crate::text::Values;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Announced; nothing of it has happened, except that things may have been set aside.
    Started {
        /// Which attempt.
        attempt: u32,
    },
    /// All that it may change is kept; it may have happened, wholly or in part.
    Kept {
        /// Which attempt.
        attempt: u32,
    },
    /// It took.
    Done {
        /// What later steps may refer to.
        outputs: Values,
        /// Whether all that it may change was kept before.
        kept: bool,
    },
    /// There was nothing to do.
    Skipped,
    /// It failed for a known reason; what it left has not been undone.
    Failed {
        /// Which attempt.
        attempt: u32,
        /// What it said.
        error: String,
        /// Whether all that it may change was kept before: nothing of it has happened otherwise.
        kept: bool,
    },
    /// It is being undone.
    Undoing {
        /// Whether what was kept for it is on the target, or a mark that it was put back.
        kept: bool,
    },
    /// All that it changed is as it was.
    Undone,
    /// It could not be undone.
    UndoFailed {
        /// What it said.
        error: String,
        /// As while it was being undone.
        kept: bool,
    },
}

/// An event that cannot follow. In a journal that was read it is damage; in a live run it is a defect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{event} cannot follow in the state {state}")]
pub struct IllegalEvent {
    /// The state.
    pub state: String,
    /// The event.
    pub event: String,
}

impl StepState {
    /// The state after an event that concerns the step.
    pub fn next(&self, event: &Event) -> Result<Self, IllegalEvent> {
        let next = match (self, event) {
            // What was left without an outcome, or failed, is settled afresh by whoever takes the run up; what failed while it
            // was being kept is kept first.
            (Self::Failed { attempt, kept: true, .. }, Event::Resumed { .. }) => Self::Kept { attempt: *attempt },
            (Self::Failed { attempt, kept: false, .. }, Event::Resumed { .. }) => Self::Started { attempt: *attempt },
            (same, Event::Resumed { .. }) => same.clone(),

            (Self::Pending | Self::Undone, Event::StepStarted { attempt, .. }) => Self::Started { attempt: *attempt },
            (Self::Started { attempt }, Event::StepKept { .. }) => Self::Kept { attempt: *attempt },
            // Without having been kept: before 0.1.0, what had failed while it was being kept was settled all the same.
            (Self::Started { .. } | Self::Kept { .. }, Event::StepDone { outputs, .. }) => {
                Self::Done { outputs: outputs.clone(), kept: self.was_kept() }
            }
            // Before it was begun, or begun again: its `when` does not hold, or not any more. Once begun: nothing to do.
            (Self::Pending | Self::Undone | Self::Kept { .. }, Event::StepSkipped { .. }) => Self::Skipped,
            (Self::Started { attempt } | Self::Kept { attempt }, Event::StepFailed { error, .. }) => {
                Self::Failed { attempt: *attempt, error: error.clone(), kept: self.was_kept() }
            }

            (
                Self::Started { .. }
                | Self::Kept { .. }
                | Self::Done { .. }
                | Self::Failed { .. }
                | Self::Undoing { .. }
                | Self::UndoFailed { .. },
                Event::UndoStarted { leaves_mark, .. },
            ) => Self::Undoing { kept: self.was_kept() && *leaves_mark },
            (Self::Undoing { .. }, Event::UndoDone { .. }) => Self::Undone,
            (Self::Undoing { kept }, Event::UndoFailed { error, .. }) => {
                Self::UndoFailed { error: error.clone(), kept: *kept }
            }

            (state, event) => {
                return Err(IllegalEvent { state: format!("{state:?}"), event: format!("{event:?}") });
            }
        };
        Ok(next)
    }

    /// Whether something of it may have to be undone.
    pub fn may_have_changed(&self) -> bool {
        match self {
            Self::Started { .. }
            | Self::Kept { .. }
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Undoing { .. }
            | Self::UndoFailed { .. } => true,
            Self::Pending | Self::Skipped | Self::Undone => false,
        }
    }

    /// Whether the target certainly holds what was kept for it, or a mark that it was put back.
    pub fn was_kept(&self) -> bool {
        match self {
            Self::Kept { .. } => true,
            Self::Done { kept, .. }
            | Self::Failed { kept, .. }
            | Self::Undoing { kept }
            | Self::UndoFailed { kept, .. } => *kept,
            Self::Pending | Self::Started { .. } | Self::Skipped | Self::Undone => false,
        }
    }

    /// Whether the run may go past it.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped)
    }

    /// What later steps may refer to.
    pub fn outputs(&self) -> Option<&Values> {
        match self {
            Self::Done { outputs, .. } => Some(outputs),
            Self::Pending
            | Self::Started { .. }
            | Self::Kept { .. }
            | Self::Skipped
            | Self::Failed { .. }
            | Self::Undoing { .. }
            | Self::Undone
            | Self::UndoFailed { .. } => None,
        }
    }
}
