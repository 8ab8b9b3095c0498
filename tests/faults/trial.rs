//! What is struck, where and how, and how the run is then brought to its end.

use std::fmt;
use std::time::Duration;

use crate::site::{Counts, Scene};

/// One strike at one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trial {
    /// The command that is struck.
    pub(crate) during: During,
    pub(crate) at: At,
    pub(crate) when: When,
    pub(crate) fault: Fault,
    /// How it is brought to its end.
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum During {
    Restore,
    /// Of a run that has finished: every step is undone.
    Rollback,
}

/// Counted from 1, within the process that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Operation(usize),
    Record(usize),
    /// So long after a step has begun that speaks through a tunnel: what it asks there is no operation that a gate counts.
    Tunnel {
        step: &'static str,
        after: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    /// Half of it was sent, or written.
    Torn,
    /// It was under way, and takes effect when somebody else may be at work already.
    Late,
    /// It took effect; nobody was told.
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL to drctl.
    Kill,
    /// The same, and once more in the command that takes the run up.
    KillTwice,
    /// The connection is closed.
    Cut,
    /// Packets vanish for a while, both ways.
    Hole,
    /// The target loses its power, and what it had not synced; then it is started anew.
    TargetOff,
    /// So does the controller.
    ControllerOff,
    /// The target's disk is full from here on, until the process has left.
    FullTarget,
    /// The controller's disk is full from here on, until the process has left.
    FullController,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// `resume`, or nothing more when the run went on by itself.
    Forward,
    /// `rollback`.
    Back,
}

impl At {
    pub(crate) fn is_odd(self) -> bool {
        match self {
            Self::Operation(number) | Self::Record(number) => number % 2 == 1,
            Self::Tunnel { .. } => false,
        }
    }
}

impl Fault {
    /// Whether the struck process must come through by itself.
    pub(crate) fn is_survived(self) -> bool {
        matches!(self, Self::Cut | Self::Hole)
    }
}

impl Scene {
    /// Every trial, for runs of so many operations and records.
    pub(crate) fn trials(self, counts: Counts) -> Vec<Trial> {
        let mut trials = Vec::new();
        for (during, operations, records) in [
            (During::Restore, counts.operations, counts.records),
            (During::Rollback, counts.undo_operations, counts.undo_records),
        ] {
            let operations = self.first_operation(during, counts)..=operations;
            for at in operations.map(At::Operation).chain((1..=records).map(At::Record)) {
                trials.extend(strikes(at).into_iter().flat_map(|(fault, when)| {
                    ends(during).iter().map(move |then| Trial { during, at, when, fault, then: *then })
                }));
            }
        }
        trials.extend(self.tunnels().iter().flat_map(|(step, moments)| {
            moments.iter().flat_map(|after| through_tunnel(step, Duration::from_millis(*after)))
        }));
        trials
    }

    /// The gate's trials of a scene of which each takes a minute.
    pub(crate) fn few(counts: Counts) -> [Trial; 2] {
        let (during, then) = (During::Restore, Then::Forward);
        let at = At::Operation(counts.kubeadm + 1);
        let killed = Trial { during, at, when: When::After, fault: Fault::Kill, then };
        let off = Trial { fault: Fault::TargetOff, then: Then::Back, ..killed };
        [killed, off]
    }
}

/// All strikes at one moment of a step that speaks through a tunnel.
fn through_tunnel(step: &'static str, after: Duration) -> impl Iterator<Item = Trial> {
    let (at, during, when) = (At::Tunnel { step, after }, During::Restore, When::Before);
    let faults = [Fault::Kill, Fault::Cut, Fault::TargetOff].into_iter();
    faults.flat_map(move |fault| ends(during).iter().map(move |then| Trial { during, at, when, fault, then: *then }))
}

fn strikes(at: At) -> Vec<(Fault, When)> {
    use When::{After, Before, Late, Torn};
    match at {
        At::Operation(_) => vec![
            (Fault::Kill, Before),
            (Fault::Kill, Torn),
            (Fault::Kill, Late),
            (Fault::Kill, After),
            (Fault::KillTwice, After),
            (Fault::Cut, Before),
            (Fault::Cut, Torn),
            (Fault::Cut, Late),
            (Fault::Cut, After),
            (Fault::Hole, Before),
            (Fault::Hole, After),
            (Fault::TargetOff, Before),
            (Fault::TargetOff, After),
            (Fault::ControllerOff, Before),
            (Fault::ControllerOff, After),
            (Fault::FullTarget, Before),
        ],
        At::Record(_) => {
            vec![
                (Fault::Kill, Before),
                (Fault::Kill, Torn),
                (Fault::Kill, After),
                (Fault::ControllerOff, After),
                (Fault::FullController, Torn),
            ]
        }
        At::Tunnel { .. } => Vec::new(),
    }
}

/// A rollback has one way to end.
fn ends(during: During) -> &'static [Then] {
    match during {
        During::Restore => &[Then::Forward, Then::Back],
        During::Rollback => &[Then::Back],
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let during = match self.during {
            During::Restore => "restore",
            During::Rollback => "rollback",
        };
        let then = match self.then {
            Then::Forward => "forward",
            Then::Back => "back",
        };
        match self.at {
            At::Operation(number) => write!(f, "{during} operation {number} {:?}", self.when)?,
            At::Record(number) => write!(f, "{during} record {number} {:?}", self.when)?,
            At::Tunnel { step, after } => write!(f, "{during} {step} after {after:?}")?,
        }
        write!(f, " {}, then {then}", self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::KillTwice => "kill twice",
            Self::Cut => "cut",
            Self::Hole => "black hole",
            Self::TargetOff => "target off",
            Self::ControllerOff => "controller off",
            Self::FullTarget => "target full",
            Self::FullController => "controller full",
        })
    }
}
