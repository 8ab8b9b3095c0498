//! What a target has of a run and its journal does not know: records are missing from the journal's end.
//!
//! A journal that was cut off at the end of a record is a whole one, of an earlier moment. What came after that moment would
//! not be undone, and a job of a later attempt would be taken for the next one's.

use super::StepState;
use crate::journal::RunState;
use crate::target::Entry;

/// Something that a step made without the journal's knowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjournalled {
    /// The step.
    pub step: String,
    /// What it made, below the step's folder; nothing when the whole folder is unknown.
    pub entry: Option<String>,
}

/// The first step, in their order, with something on the target that the journal would have announced.
pub fn unjournalled(state: &RunState, entries: &[Entry]) -> Option<Unjournalled> {
    let mut steps = state.header.steps.iter().zip(&state.steps).zip(&state.attempts);
    steps.find_map(|((step, stands), attempts)| {
        let mut own = entries.iter().filter(|entry| entry.is_of(&step.name));
        let found = own.find(|entry| {
            *attempts == 0
                || entry.attempt().is_some_and(|attempt| attempt > *attempts)
                || (*stands == StepState::Undone && entry.is_aside())
        })?;
        let entry = (*attempts > 0).then(|| found.name.clone());
        Some(Unjournalled { step: step.name.clone(), entry })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::header;
    use crate::event::Event;

    /// What is unknown of a run with these records, when these are in the folders of its steps `s0` and `s1`.
    fn found(events: &[Event], entries: &[(&str, &str)]) -> Option<Unjournalled> {
        let mut state = RunState::begun(header(2));
        for event in events {
            state.apply(event).unwrap();
        }
        let entries: Vec<Entry> = entries.iter().map(|(step, name)| Entry::new(step, name)).collect();
        unjournalled(&state, &entries)
    }

    fn of(step: &str, entry: Option<&str>) -> Unjournalled {
        Unjournalled { step: step.to_owned(), entry: entry.map(str::to_owned) }
    }

    #[test]
    fn what_was_announced_is_known_and_all_else_is_not() {
        let step = || "s0".to_owned();
        let begun = [Event::StepStarted { step: step(), attempt: 1 }, Event::StepKept { step: step() }];
        let undone = [Event::UndoStarted { step: step(), leaves_mark: true }, Event::UndoDone { step: step() }];
        let undone = [&begun[..], &undone].concat();

        let all = [("s0", "aside"), ("s0", "1-apply"), ("s0", "1-undo"), ("s0", "starting"), ("s0", "restored")];
        assert_eq!(found(&begun, &all), None);
        assert_eq!(found(&undone, &all[1..]), None);
        assert_eq!(found(&[], &[("uploads", "0f"), ("passing", "1-apply"), ("another", "aside")]), None);

        assert_eq!(found(&[], &all), Some(of("s0", None)));
        assert_eq!(found(&begun, &[("s0", "aside"), ("s1", "aside")]), Some(of("s1", None)));
        assert_eq!(found(&begun, &[("s0", "aside"), ("s0", "2-apply")]), Some(of("s0", Some("2-apply"))));
        assert_eq!(found(&undone, &all), Some(of("s0", Some("aside"))));
    }
}
