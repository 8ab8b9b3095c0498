//! What a run does next, from its state alone. Pure.

use super::state::StepState;
use crate::event::{Direction, Ending};
use crate::inventory::OnFailure;
use crate::journal::RunState;

/// What the playbook says of a step that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often it is tried again.
    pub retries: u32,
    /// What happens then.
    pub on_failure: OnFailure,
}

/// What to do now. `step` is an index into the run's steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Announce the step and begin it.
    Begin {
        /// The step.
        step: usize,
        /// Counted from 1.
        attempt: u32,
    },
    /// It was announced but not begun: keep what it may change, then begin it.
    Continue {
        /// The step.
        step: usize,
        /// Which attempt.
        attempt: u32,
    },
    /// Nobody knows whether it happened: ask the target.
    Settle {
        /// The step.
        step: usize,
        /// Which attempt.
        attempt: u32,
    },
    /// Undo it; forward runs then try it again, backward runs go on to the step before.
    Undo {
        /// The step.
        step: usize,
    },
    /// Leave, keeping the checkpoint.
    Stop {
        /// The step that failed.
        step: usize,
        /// What it said.
        error: String,
    },
    /// Turn round.
    RollBack {
        /// Why.
        reason: String,
    },
    /// All is done.
    Finish {
        /// How.
        ending: Ending,
    },
}

/// What to do now, and nothing when the run has ended.
///
/// `tried` counts the current step's attempts of this process: a resumed run has its patience back.
pub fn decide(state: &RunState, patience: &[Patience], tried: u32) -> Option<Decision> {
    if state.ending.is_some() {
        return None;
    }
    Some(match state.direction {
        Direction::Forward => forward(state, patience, tried),
        Direction::Back => back(state),
    })
}

fn forward(state: &RunState, patience: &[Patience], tried: u32) -> Decision {
    let Some((step, current)) = state.steps.iter().enumerate().find(|(_, step)| !step.is_settled()) else {
        return Decision::Finish { ending: Ending::Restored };
    };
    match current {
        StepState::Started { attempt } => Decision::Continue { step, attempt: *attempt },
        StepState::Kept { attempt } => Decision::Settle { step, attempt: *attempt },
        StepState::Failed { error, .. } => {
            let name = &state.header.steps[step].name;
            match patience[step] {
                Patience { retries, .. } if tried <= retries => Decision::Undo { step },
                Patience { on_failure: OnFailure::Stop, .. } => Decision::Stop { step, error: error.clone() },
                Patience { on_failure: OnFailure::Rollback, .. } => {
                    Decision::RollBack { reason: format!("step `{name}` failed") }
                }
            }
        }
        // An undo that was begun to try again goes on to its end first.
        StepState::Undoing | StepState::UndoFailed { .. } => Decision::Undo { step },
        StepState::Pending | StepState::Undone | StepState::Done { .. } | StepState::Skipped => {
            Decision::Begin { step, attempt: state.attempts[step] + 1 }
        }
    }
}

fn back(state: &RunState) -> Decision {
    match state.steps.iter().rposition(StepState::may_have_changed) {
        Some(step) => Decision::Undo { step },
        None => Decision::Finish { ending: Ending::RolledBack },
    }
}
