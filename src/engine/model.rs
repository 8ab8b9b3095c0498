//! The engine's order of doing things, against a target made of values: any playbook, any cuts, same end.
//!
//! `Process` does what `attempt` does, with the real `decide` and the real `RunState`, on a `World` in which every
//! single effect may be the last one of its process. Thousands of runs a second; `tests/faults` proves the same of
//! real hosts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Decision, Patience, StepState, decide};
use crate::event::{Direction, Ending, Event, FORMAT, RunHeader, SnapshotRef, StepRef};
use crate::inventory::OnFailure;
use crate::journal::RunState;

/// How an action finds out whether it happened, once nobody wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It looks at what came out.
    Looks,
    /// It looks, and what was there before looks the same.
    Agrees,
    /// It cannot tell, but can be undone and begun again.
    Repeats,
    /// It runs a command as a job, which may be begun once in each attempt.
    Commands,
}

/// What stands at the path that a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Before,
    Nothing,
    Half,
    New,
}

#[derive(Debug, Clone)]
struct Place {
    content: Content,
    aside: Option<Content>,
    /// The mark that what was aside was put back.
    back: bool,
    /// Attempt → how often its command was begun.
    begun: BTreeMap<u32, u32>,
    /// The attempt whose job runs without anybody waiting for it.
    running: Option<u32>,
    /// The attempt whose job left an exit status.
    exited: Option<u32>,
}

/// The target, and the chance that rules it.
#[derive(Debug)]
struct World {
    places: Vec<Place>,
    kinds: Vec<Kind>,
    /// Effects that are left before the process dies.
    left: u32,
    chance: Chance,
}

/// What may go wrong, drawn one after the other; nothing once they are used up.
#[derive(Debug, Default)]
struct Chance {
    /// Whether a step, or an undo, fails.
    failures: Vec<bool>,
    /// Whether the link is away while a step's limit passes.
    cuts: Vec<bool>,
    /// Whether a step's `when` does not hold, or not any more.
    unmet: Vec<bool>,
}

/// The process died: nothing of what it was about to do happens.
struct Died;

impl World {
    /// One effect or record; the process may die before it.
    fn act(&mut self) -> Result<(), Died> {
        self.left = self.left.checked_sub(1).ok_or(Died)?;
        Ok(())
    }

    /// What goes on without drctl: a job comes to its end, or is broken off by a power cut.
    fn meanwhile(&mut self, reboot: bool) {
        for place in &mut self.places {
            if let Some(attempt) = place.running.take()
                && !reboot
            {
                place.content = Content::New;
                place.exited = Some(attempt);
            }
        }
    }

    fn fails(&mut self) -> bool {
        self.chance.failures.pop().unwrap_or(false)
    }

    fn is_cut_off(&mut self) -> bool {
        self.chance.cuts.pop().unwrap_or(false)
    }

    fn is_unmet(&mut self) -> bool {
        self.chance.unmet.pop().unwrap_or(false)
    }
}

/// One drctl process at work on the run.
struct Process<'w> {
    world: &'w mut World,
    state: &'w mut RunState,
    patience: &'w [Patience],
    tried: (usize, u32),
}

impl Process<'_> {
    /// Until the run has ended, was left, or the process died.
    fn work(&mut self) -> Result<(), Died> {
        while let Some(decision) = decide(self.state, self.patience, self.tried.1) {
            match decision {
                Decision::Begin { step, .. } if self.world.is_unmet() => {
                    self.note(Event::StepSkipped { step: name(step), reason: String::new() })?;
                }
                Decision::Begin { step, attempt } => {
                    self.tried = if self.tried.0 == step { (step, self.tried.1 + 1) } else { (step, 1) };
                    self.note(Event::StepStarted { step: name(step), attempt })?;
                    self.keep_and_apply(step, attempt)?;
                }
                Decision::Continue { step, attempt } => self.keep_and_apply(step, attempt)?,
                Decision::Settle { step, attempt } => self.settle(step, attempt)?,
                Decision::Undo { step } => self.undo(step)?,
                Decision::Stop { .. } => return Ok(()),
                Decision::RollBack { reason } => self.note(Event::RollbackStarted { reason })?,
                Decision::Finish { ending } => self.note(Event::Finished { ending })?,
            }
        }
        Ok(())
    }

    #[expect(clippy::needless_pass_by_value, reason = "said as the engine says it")]
    fn note(&mut self, event: Event) -> Result<(), Died> {
        self.world.act()?;
        self.state.apply(&event).expect("the engine does only what is legal");
        Ok(())
    }

    fn keep_and_apply(&mut self, step: usize, attempt: u32) -> Result<(), Died> {
        // Written down and moved; what was kept before stays as it was kept.
        self.world.act()?;
        if self.world.fails() {
            return self.note(Event::StepFailed { step: name(step), error: String::new() });
        }
        let place = &mut self.world.places[step];
        place.back = false;
        if place.aside.is_none() {
            place.aside = Some(place.content);
            place.content = Content::Nothing;
        }
        self.note(Event::StepKept { step: name(step) })?;
        self.apply(step, attempt)
    }

    fn apply(&mut self, step: usize, attempt: u32) -> Result<(), Died> {
        if self.world.kinds[step] == Kind::Commands {
            self.world.act()?;
            let place = &mut self.world.places[step];
            if place.exited != Some(attempt) && place.running != Some(attempt) {
                *place.begun.entry(attempt).or_default() += 1;
                place.running = Some(attempt);
                place.content = Content::Half;
            }
            // Nobody saw it to its end: the loop settles the step.
            if self.world.is_cut_off() {
                return Ok(());
            }
            self.world.act()?;
            self.world.meanwhile(false);
        } else {
            for content in [Content::Half, Content::New] {
                self.world.act()?;
                self.world.places[step].content = content;
                if self.world.is_cut_off() {
                    return Ok(());
                }
            }
        }
        let event = if self.world.fails() {
            Event::StepFailed { step: name(step), error: String::new() }
        } else {
            Event::StepDone { step: name(step), outputs: crate::text::Values::new() }
        };
        self.note(event)
    }

    fn settle(&mut self, step: usize, attempt: u32) -> Result<(), Died> {
        let place = &self.world.places[step];
        if place.running == Some(attempt) || place.exited == Some(attempt) {
            return self.apply(step, attempt);
        }
        let took = match self.world.kinds[step] {
            Kind::Looks => place.content == Content::New,
            Kind::Agrees => matches!(place.content, Content::New | Content::Before),
            Kind::Repeats | Kind::Commands => false,
        };
        if took {
            return self.note(Event::StepDone { step: name(step), outputs: crate::text::Values::new() });
        }
        self.undo(step)
    }

    fn undo(&mut self, step: usize) -> Result<(), Died> {
        let kept = self.state.steps[step].was_kept();
        self.note(Event::UndoStarted { step: name(step), leaves_mark: true })?;
        self.world.act()?;
        let place = &mut self.world.places[step];
        assert!(!kept || place.aside.is_some() || place.back, "what was put back would be missed");
        place.running = None;
        if self.world.chance.failures.len() % 7 == 3 && self.world.fails() {
            return self.note(Event::UndoFailed { step: name(step), error: String::new(), kept: None }).and(Err(Died));
        }
        self.world.act()?;
        let place = &mut self.world.places[step];
        if let Some(aside) = place.aside.take() {
            place.content = aside;
            place.back = true;
        }
        self.note(Event::UndoDone { step: name(step) })
    }
}

fn name(step: usize) -> String {
    format!("s{step}")
}

/// The header of a run of so many steps, named `s0`, `s1` …
pub(super) fn header(steps: usize) -> RunHeader {
    RunHeader {
        format: FORMAT,
        run: "r".to_owned(),
        drctl: String::new(),
        cluster: String::new(),
        host: String::new(),
        inventory: String::new(),
        playbook: String::new(),
        inventory_sha256: String::new(),
        playbook_sha256: String::new(),
        snapshot_json_sha256: None,
        accepted: Vec::new(),
        snapshot: SnapshotRef {
            name: String::new(),
            source: String::new(),
            sha256: String::new(),
            size: 0,
            taken: jiff::Timestamp::UNIX_EPOCH,
            revision: 0,
        },
        steps: (0..steps).map(|step| StepRef { name: name(step), action: "command".to_owned(), holds: None }).collect(),
    }
}

/// One life of a process: after how many effects it dies, and what happens before the next one.
#[derive(Debug, Clone, Copy)]
struct Life {
    effects: u32,
    reboot: bool,
    /// Whoever takes the run up next turns it round.
    back: bool,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = (0_u32..40, prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    prop::collection::vec(life.prop_map(|(effects, reboot, back)| Life { effects, reboot, back }), 0..12)
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    prop::collection::vec(prop::sample::select(vec![Kind::Looks, Kind::Agrees, Kind::Repeats, Kind::Commands]), 1..7)
}

/// Works on a run through all its lives, and a last one without end.
fn live(kinds: Vec<Kind>, lives: &[Life], patience: &[Patience], chance: Chance) -> (RunState, World) {
    let place = Place {
        content: Content::Before,
        aside: None,
        back: false,
        begun: BTreeMap::new(),
        running: None,
        exited: None,
    };
    let mut state = RunState::begun(header(kinds.len()));
    let mut world = World { places: vec![place; kinds.len()], kinds, left: 0, chance };
    let last = Life { effects: u32::MAX, reboot: false, back: false };
    for life in lives.iter().chain(std::iter::repeat_n(&last, 100)) {
        world.left = life.effects;
        let mut process = Process { world: &mut world, state: &mut state, patience, tried: (usize::MAX, 0) };
        let died = process.work().is_err();
        world.meanwhile(life.reboot);
        if state.ending.is_some() {
            break;
        }
        let direction = if life.back { Direction::Back } else { state.direction };
        let turned = direction != state.direction;
        state.apply(&Event::Resumed { direction }).expect("a run can be taken up anywhere");
        if turned {
            state.apply(&Event::RollbackStarted { reason: String::new() }).expect("and turned round");
        }
        // A step that stops the run has failed for good here, unless chance has run out.
        if !died {
            world.chance.failures.clear();
        }
    }
    (state, world)
}

/// The same end as an undisturbed run: all of it, or nothing of it.
fn is_whole(state: &RunState, world: &World) -> Result<(), TestCaseError> {
    let ending = state.ending.ok_or_else(|| TestCaseError::fail(format!("the run has no ending: {state:?}")))?;
    for (place, step) in world.places.iter().zip(&state.steps) {
        let expected = match ending {
            Ending::Restored if *step != StepState::Skipped => Content::New,
            Ending::Restored | Ending::RolledBack => Content::Before,
        };
        prop_assert_eq!(place.content, expected);
        prop_assert_eq!(place.running, None, "a job is left running");
        prop_assert!(place.begun.values().all(|times| *times == 1), "begun twice in one attempt: {:?}", place.begun);
        if expected == Content::Before {
            prop_assert!(place.aside.is_none(), "something is still set aside");
            prop_assert!(!step.may_have_changed());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn any_playbook_with_any_cuts_and_failures_ends_whole(
        kinds in kinds(),
        lives in lives(),
        retries in 0_u32..3,
        rollback in any::<bool>(),
        failures in prop::collection::vec(prop::bool::weighted(0.3), 0..30),
        cuts in prop::collection::vec(prop::bool::weighted(0.3), 0..30),
        unmet in prop::collection::vec(prop::bool::weighted(0.1), 0..30),
    ) {
        let on_failure = if rollback { OnFailure::Rollback } else { OnFailure::Stop };
        let patience = vec![Patience { retries, on_failure }; kinds.len()];
        let (state, world) = live(kinds, &lives, &patience, Chance { failures, cuts, unmet });
        is_whole(&state, &world)?;
    }

    /// Without failures and power cuts no command is begun twice, however often drctl dies and the link is away.
    #[test]
    fn deaths_and_cuts_alone_begin_no_command_twice(
        kinds in kinds(),
        deaths in prop::collection::vec(0_u32..40, 0..12),
        cuts in prop::collection::vec(prop::bool::weighted(0.3), 0..30),
    ) {
        let lives: Vec<Life> = deaths.into_iter().map(|effects| Life { effects, reboot: false, back: false }).collect();
        let patience = vec![Patience { retries: 0, on_failure: OnFailure::Stop }; kinds.len()];
        let (state, world) = live(kinds, &lives, &patience, Chance { cuts, ..Chance::default() });
        prop_assert_eq!(state.ending, Some(Ending::Restored));
        is_whole(&state, &world)?;
        for (place, kind) in world.places.iter().zip(&world.kinds) {
            let begun: u32 = place.begun.values().sum();
            prop_assert_eq!(begun, u32::from(*kind == Kind::Commands));
        }
        prop_assert!(state.steps.iter().all(StepState::is_settled));
    }

    /// Every single cut of a run, and of the rollback after it, by its number.
    #[test]
    fn every_cut_by_number_ends_where_an_undisturbed_run_ends(kinds in kinds(), back in any::<bool>()) {
        let patience = vec![Patience { retries: 0, on_failure: OnFailure::Stop }; kinds.len()];
        for effects in 0..(8 * u32::try_from(kinds.len()).unwrap_or(0) + 2) {
            for again in [None, Some(effects / 2), Some(2)] {
                let mut lives = vec![Life { effects, reboot: false, back }];
                lives.extend(again.map(|effects| Life { effects, reboot: false, back: false }));
                let (state, world) = live(kinds.clone(), &lives, &patience, Chance::default());
                is_whole(&state, &world)?;
            }
        }
    }
}
