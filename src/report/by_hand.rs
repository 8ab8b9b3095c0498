//! What remains for a person when a step could not be undone, as the journal has it.

use std::fmt;

use serde::Serialize;

use crate::engine::StepState;
use crate::event::{Direction, Event, Kept};
use crate::journal::{Record, RunState};

/// A step that could not be undone, and all that waits behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// The step.
    pub step: String,
    /// Why it could not be undone.
    pub error: String,
    /// The steps that a rollback undoes after it, in that order.
    pub then: Vec<String>,
    /// The paths that are not as they were; nothing when the target could not tell.
    pub kept: Option<Vec<Kept>>,
    /// What to do, in order.
    pub next: Vec<String>,
    #[serde(skip)]
    host: String,
    #[serde(skip)]
    run: String,
}

impl ByHand {
    /// From a journal whose last word of a step is that it could not be undone.
    pub(super) fn of(state: &RunState, records: &[Record]) -> Option<Self> {
        let (index, error) = state.steps.iter().enumerate().find_map(|(index, step)| match step {
            StepState::UndoFailed { error, .. } => Some((index, error)),
            _ => None,
        })?;
        let step = &state.header.steps[index].name;
        let kept = records.iter().rev().find_map(|record| match &record.data {
            Event::UndoFailed { step: failed, kept, .. } if failed == step => Some(kept.clone()),
            _ => None,
        });
        let before = state.named_steps().take(index).filter(|(_, state)| state.may_have_changed());
        let mut then: Vec<String> = before.map(|(name, _)| name.to_owned()).collect();
        then.reverse();
        Some(Self {
            step: step.clone(),
            error: error.clone(),
            then,
            kept: kept.flatten(),
            next: next(state, step),
            host: state.header.host.clone(),
            run: state.header.run.clone(),
        })
    }
}

fn next(state: &RunState, step: &str) -> Vec<String> {
    let (host, run) = (&state.header.host, &state.header.run);
    let mend = format!("on {host}, mend what `{step}` said; leave what is kept where it is");
    let back = format!("`drctl rollback {run}` undoes `{step}` again, then the others");
    let tell = format!("`drctl show {run}` tells this again");
    match state.direction {
        Direction::Back => vec![mend, back, tell],
        Direction::Forward => {
            vec![mend, format!("`drctl resume {run}` undoes `{step}` again and goes on; {back}"), tell]
        }
    }
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.error.lines();
        writeln!(f, "BY HAND  step `{}` could not be undone: {}", self.step, said.next().unwrap_or_default())?;
        for line in said {
            writeln!(f, "         {line}")?;
        }
        match self.then.as_slice() {
            [] => writeln!(f, "         no other step is to be undone after it")?,
            then => writeln!(f, "         to be undone after it: {}", then.join(", "))?,
        }
        self.paths(f)?;
        for (number, next) in self.next.iter().enumerate() {
            writeln!(f, "         {}. {next}", number + 1)?;
        }
        Ok(())
    }
}

impl ByHand {
    fn paths(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = match self.kept.as_deref() {
            None => {
                return writeln!(
                    f,
                    "         which paths are kept is not known: on {}, see /var/lib/drctl/{run} and `.drctl-{run}.…` beside \
                     what the steps change",
                    self.host,
                    run = self.run
                );
            }
            Some([]) => return writeln!(f, "         no path is kept on {}", self.host),
            Some(kept) => kept,
        };
        writeln!(f, "         not yet as they were on {}:", self.host)?;
        let path_width = kept.iter().map(|kept| kept.path.len()).max().unwrap_or(0);
        let step_width = kept.iter().map(|kept| kept.step.len()).max().unwrap_or(0);
        for Kept { step, path, stored, gone } in kept {
            let was = match stored {
                None => "was not there".to_owned(),
                Some(stored) if *gone => format!("was kept as {stored}, which is gone"),
                Some(stored) => format!("is kept as {stored}"),
            };
            writeln!(f, "           {step:step_width$}  {path:path_width$}  {was}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{FORMAT, RunHeader, SnapshotRef, StepRef};

    fn run(events: Vec<Event>) -> Option<ByHand> {
        let mut state = RunState::begun(RunHeader {
            format: FORMAT,
            run: "prod-20261124T011837Z-b4cb".to_owned(),
            drctl: String::new(),
            cluster: "prod".to_owned(),
            host: "10.77.0.10".to_owned(),
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
                taken: Timestamp::UNIX_EPOCH,
                revision: 1,
            },
            steps: ["ca-crt", "restore-etcd", "register"]
                .map(|name| StepRef { name: name.to_owned(), action: "command".to_owned(), holds: None })
                .into(),
        });
        let mut records = Vec::new();
        for (event, seq) in events.into_iter().zip(2..) {
            state.apply(&event).unwrap();
            records.push(Record { seq, at: Timestamp::UNIX_EPOCH, data: event });
        }
        ByHand::of(&state, &records)
    }

    fn done(step: &str) -> [Event; 3] {
        let step = || step.to_owned();
        [
            Event::StepStarted { step: step(), attempt: 1 },
            Event::StepKept { step: step() },
            Event::StepDone { step: step(), outputs: crate::text::Values::new() },
        ]
    }

    fn undo_failed(kept: Option<Vec<Kept>>) -> [Event; 2] {
        let step = || "register".to_owned();
        let error = "`deregister` failed: exit status 1\n  | the load balancer does not answer".to_owned();
        [Event::UndoStarted { step: step(), leaves_mark: true }, Event::UndoFailed { step: step(), error, kept }]
    }

    fn events(back: bool, kept: Option<Vec<Kept>>) -> Vec<Event> {
        let mut events = ["ca-crt", "restore-etcd", "register"].map(done).concat();
        if back {
            events.push(Event::RollbackStarted { reason: "asked for".to_owned() });
        } else {
            events.truncate(8);
            events.push(Event::StepFailed { step: "register".to_owned(), error: String::new() });
        }
        events.extend(undo_failed(kept));
        events
    }

    #[test]
    fn it_says_exactly_what_remains() {
        let kept = |step: &str, path: &str, stored: Option<&str>| Kept {
            step: step.to_owned(),
            path: path.to_owned(),
            stored: stored.map(str::to_owned),
            gone: stored.is_some_and(|stored| stored.ends_with("/it")),
        };
        let by_hand = run(events(
            true,
            Some(vec![
                kept(
                    "restore-etcd",
                    "/var/lib/etcd",
                    Some("/var/lib/.drctl-prod-20261124T011837Z-b4cb.restore-etcd.1"),
                ),
                kept("ca-crt", "/etc/kubernetes/pki/ca.crt", None),
                kept("ca-crt", "/srv/ca", Some("/var/lib/drctl/prod-20261124T011837Z-b4cb/ca-crt/aside/2/data/it")),
            ]),
        ));
        insta::assert_snapshot!(by_hand.unwrap(), @"
        BY HAND  step `register` could not be undone: `deregister` failed: exit status 1
                   | the load balancer does not answer
                 to be undone after it: restore-etcd, ca-crt
                 not yet as they were on 10.77.0.10:
                   restore-etcd  /var/lib/etcd               is kept as /var/lib/.drctl-prod-20261124T011837Z-b4cb.restore-etcd.1
                   ca-crt        /etc/kubernetes/pki/ca.crt  was not there
                   ca-crt        /srv/ca                     was kept as /var/lib/drctl/prod-20261124T011837Z-b4cb/ca-crt/aside/2/data/it, which is gone
                 1. on 10.77.0.10, mend what `register` said; leave what is kept where it is
                 2. `drctl rollback prod-20261124T011837Z-b4cb` undoes `register` again, then the others
                 3. `drctl show prod-20261124T011837Z-b4cb` tells this again
        ");
    }

    #[test]
    fn a_run_that_goes_forwards_can_go_on_either_way() {
        insta::assert_snapshot!(run(events(false, None)).unwrap(), @"
        BY HAND  step `register` could not be undone: `deregister` failed: exit status 1
                   | the load balancer does not answer
                 to be undone after it: restore-etcd, ca-crt
                 which paths are kept is not known: on 10.77.0.10, see /var/lib/drctl/prod-20261124T011837Z-b4cb and `.drctl-prod-20261124T011837Z-b4cb.…` beside what the steps change
                 1. on 10.77.0.10, mend what `register` said; leave what is kept where it is
                 2. `drctl resume prod-20261124T011837Z-b4cb` undoes `register` again and goes on; `drctl rollback prod-20261124T011837Z-b4cb` undoes `register` again, then the others
                 3. `drctl show prod-20261124T011837Z-b4cb` tells this again
        ");
    }

    #[test]
    fn nothing_remains_once_the_undo_was_begun_again() {
        let mut events = events(true, Some(Vec::new()));
        assert!(run(events.clone()).is_some());
        events.push(Event::UndoStarted { step: "register".to_owned(), leaves_mark: true });
        assert_eq!(run(events), None);
    }
}
