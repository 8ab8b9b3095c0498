//! Random runs: whatever an engine may write replays to the state it had, and nothing else is accepted.

use proptest::prelude::*;

use super::*;
use crate::event::{Direction, Ending, Kept};
use crate::journal::RunState;

const STEPS: usize = 3;

/// Any event about any step: most cannot follow at any one moment.
fn any_event() -> impl Strategy<Value = Event> {
    let step = || (0..STEPS).prop_map(name);
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Back)];
    let ending = prop_oneof![Just(Ending::Restored), Just(Ending::RolledBack)];
    let text = || "[a-z\"\\\\\n\u{e9}\u{1f4a5}]{0,12}";
    let kept = || {
        let kept = (step(), "/[a-z ]{1,9}", prop::option::of("/[a-z ]{1,9}"), any::<bool>());
        let kept = kept.prop_map(|(step, path, stored, gone)| Kept { step, path, stored, gone });
        prop::option::of(prop::collection::vec(kept, 0..3))
    };
    prop_oneof![
        4 => (step(), 1_u32..4).prop_map(|(step, attempt)| Event::StepStarted { step, attempt }),
        4 => step().prop_map(|step| Event::StepKept { step }),
        4 => (step(), prop::collection::btree_map("[a-z]{1,4}", text(), 0..3))
            .prop_map(|(step, outputs)| Event::StepDone { step, outputs }),
        1 => (step(), text()).prop_map(|(step, reason)| Event::StepSkipped { step, reason }),
        2 => (step(), text()).prop_map(|(step, error)| Event::StepFailed { step, error }),
        1 => direction.prop_map(|direction| Event::Resumed { direction }),
        1 => text().prop_map(|reason| Event::RollbackStarted { reason }),
        4 => (step(), any::<bool>()).prop_map(|(step, leaves_mark)| Event::UndoStarted { step, leaves_mark }),
        4 => step().prop_map(|step| Event::UndoDone { step }),
        1 => (step(), text(), kept()).prop_map(|(step, error, kept)| Event::UndoFailed { step, error, kept }),
        1 => text().prop_map(|reason| Event::Stopped { reason }),
        2 => ending.prop_map(|ending| Event::Finished { ending }),
        1 => Just(started(STEPS)),
    ]
}

/// The events of these that can follow one another, and the state they lead to.
fn legal(events: Vec<Event>) -> (Vec<Event>, RunState) {
    let mut state = RunState::begun(header(STEPS));
    let mut taken = vec![started(STEPS)];
    for event in events {
        let before = state.clone();
        if state.apply(&event).is_ok() {
            taken.push(event);
        } else {
            assert_eq!(state, before, "a refused event changes nothing");
        }
    }
    (taken, state)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_legal_replays_to_the_same_state(events in prop::collection::vec(any_event(), 0..200)) {
        let (events, state) = legal(events);
        let (_dir, path) = written(events.clone());
        let (read, records) = read(&path).unwrap();
        prop_assert_eq!(read, state);
        let data: Vec<Event> = records.into_iter().map(|record| record.data).collect();
        prop_assert_eq!(data, events);
    }

    #[test]
    fn an_end_is_only_what_the_steps_allow(events in prop::collection::vec(any_event(), 0..400)) {
        let (_, state) = legal(events);
        match state.ending {
            Some(Ending::Restored) => prop_assert!(state.steps.iter().all(StepState::is_settled)),
            Some(Ending::RolledBack) => prop_assert!(!state.steps.iter().any(StepState::may_have_changed)),
            None => {}
        }
        // Forwards, nothing is begun behind a step that is not settled.
        if state.direction == Direction::Forward {
            let next = state.steps.iter().position(|step| !step.is_settled()).unwrap_or(STEPS);
            prop_assert!(state.steps.iter().skip(next + 1).all(|step| *step == StepState::Pending));
        }
    }

    #[test]
    fn whatever_happens_to_its_bytes_it_is_refused_or_a_beginning_of_what_it_was(
        events in prop::collection::vec(any_event(), 0..60),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (events, _) = legal(events);
        let (_dir, path) = written(events.clone());
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok((_, records)) = read(&path) {
            let data: Vec<Event> = records.into_iter().map(|record| record.data).collect();
            prop_assert_eq!(data.as_slice(), &events[..data.len()]);
        }
    }
}
