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
        StepState::Undoing { .. } | StepState::UndoFailed { .. } => Decision::Undo { step },
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::model::header;
    use crate::event::Event;

    fn state(steps: usize) -> RunState {
        RunState::begun(header(steps))
    }

    /// What chance does to a run: each draw decides how one thing ends, or where the process dies.
    struct Chance(Vec<u8>);

    impl Chance {
        fn draw(&mut self) -> u8 {
            self.0.pop().unwrap_or(0)
        }
    }

    /// Does what the engine does, with chance as the target. Answers whether the process died.
    fn act(state: &mut RunState, decision: &Decision, chance: &mut Chance, tried: &mut u32) -> bool {
        let name = |step: usize| format!("s{step}");
        let mut note = |event: Event| state.apply(&event).expect("the engine only does what is legal");
        let dies = |chance: &mut Chance| chance.draw() % 5 == 1;
        let outcome = |note: &mut dyn FnMut(Event), step: usize, chance: &mut Chance| match chance.draw() % 4 {
            // Nobody saw it: the limit passed while the link was away.
            2 => {}
            1 => note(Event::StepFailed { step: name(step), error: String::new() }),
            _ => note(Event::StepDone { step: name(step), outputs: crate::text::Values::new() }),
        };
        match decision {
            Decision::Begin { step, .. } if chance.draw() % 7 == 2 => {
                note(Event::StepSkipped { step: name(*step), reason: String::new() });
            }
            Decision::Begin { step, attempt } => {
                *tried += 1;
                note(Event::StepStarted { step: name(*step), attempt: *attempt });
                if dies(chance) {
                    return true;
                }
                if chance.draw() % 7 == 2 {
                    note(Event::StepFailed { step: name(*step), error: String::new() });
                    return false;
                }
                note(Event::StepKept { step: name(*step) });
                if dies(chance) {
                    return true;
                }
                outcome(&mut note, *step, chance);
            }
            Decision::Continue { step, .. } => {
                note(Event::StepKept { step: name(*step) });
                outcome(&mut note, *step, chance);
            }
            Decision::Settle { step, .. } => {
                if chance.draw().is_multiple_of(2) {
                    outcome(&mut note, *step, chance);
                } else {
                    note(Event::UndoStarted { step: name(*step), leaves_mark: true });
                    note(Event::UndoDone { step: name(*step) });
                }
            }
            Decision::Undo { step } => {
                note(Event::UndoStarted { step: name(*step), leaves_mark: true });
                if dies(chance) {
                    return true;
                }
                if chance.draw() % 6 == 1 {
                    note(Event::UndoFailed { step: name(*step), error: String::new(), kept: None });
                    return true;
                }
                note(Event::UndoDone { step: name(*step) });
            }
            Decision::Stop { .. } => return true,
            Decision::RollBack { reason } => note(Event::RollbackStarted { reason: reason.clone() }),
            Decision::Finish { ending } => note(Event::Finished { ending: *ending }),
        }
        false
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// However often it dies, fails and is taken up again, a run ends: wholly restored or wholly rolled back.
        #[test]
        fn every_run_ends(
            steps in 1_usize..6,
            retries in 0_u32..3,
            rollback in any::<bool>(),
            chance in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let on_failure = if rollback { OnFailure::Rollback } else { OnFailure::Stop };
            let patience = vec![Patience { retries, on_failure }; steps];
            let mut state = state(steps);
            let (mut chance, mut tried, mut turns) = (Chance(chance), 0, 0);
            let mut current = usize::MAX;
            while let Some(decision) = decide(&state, &patience, tried) {
                if let Decision::Begin { step, .. } = decision && step != current {
                    (current, tried) = (step, 0);
                }
                if act(&mut state, &decision, &mut chance, &mut tried) {
                    let direction = state.direction;
                    state.apply(&Event::Resumed { direction }).expect("a run can be taken up anywhere");
                    (current, tried) = (usize::MAX, 0);
                }
                turns += 1;
                prop_assert!(turns < 2_000, "the run goes round in circles: {state:?}");
            }
            match state.ending {
                Some(Ending::Restored) => prop_assert!(state.steps.iter().all(StepState::is_settled)),
                Some(Ending::RolledBack) => prop_assert!(!state.steps.iter().any(StepState::may_have_changed)),
                None => prop_assert!(false, "left without an ending"),
            }
        }

        /// An attempt's number is never used twice: the target's job folders are named by it.
        #[test]
        fn attempts_are_never_reused(chance in prop::collection::vec(any::<u8>(), 0..80)) {
            let patience = vec![Patience { retries: 2, on_failure: OnFailure::Stop }; 3];
            let mut state = state(3);
            let (mut chance, mut tried, mut begun) = (Chance(chance), 0, std::collections::BTreeSet::new());
            while let Some(decision) = decide(&state, &patience, tried) {
                if let Decision::Begin { step, attempt } = decision {
                    prop_assert!(begun.insert((step, attempt)), "step {step} attempt {attempt}");
                }
                if act(&mut state, &decision, &mut chance, &mut tried) {
                    state.apply(&Event::Resumed { direction: Direction::Forward }).expect("a run can be taken up anywhere");
                    tried = 0;
                }
            }
        }
    }
}
