//! Every way to end, its exit code, and the hint that goes with it.

use std::process::ExitCode;

use miette::Diagnostic as _;

use super::remedy;
use crate::actions::Finding;
use crate::check::ACCEPTABLE;
use crate::drill::RecordError;
use crate::engine::{EngineError, Left, chain};
use crate::event::Ending;
use crate::face::json;
use crate::inventory::LoadError;
use crate::journal::JournalError;
use crate::runs::RunsError;
use crate::target::TargetError;

/// The exit codes that automation may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed, and the target is as it was.
    RolledBack,
    /// Usage, inventory or playbook error.
    Usage,
    /// A check failed and nothing was touched.
    Checks,
    /// Stopped part way; the checkpoint is kept.
    Stopped,
    /// A rollback itself failed: a person is needed.
    NeedsPerson,
    /// Another run holds the target.
    Held,
    /// Restored, but verification failed.
    NotProven,
    /// Interrupted; the journal is closed.
    Interrupted,
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => 0,
            Exit::RolledBack => 1,
            Exit::Usage => 2,
            Exit::Checks => 3,
            Exit::Stopped => 4,
            Exit::NeedsPerson => 5,
            Exit::Held => 6,
            Exit::NotProven => 7,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(u8::from(exit))
    }
}

impl Exit {
    /// Of a run that was left. `asked` is true when a rollback was what the person asked for.
    pub(super) fn of(left: &Left, asked: bool) -> Self {
        match left {
            Left::Ended(Ending::Restored) => Self::Done,
            Left::Ended(Ending::RolledBack) if asked => Self::Done,
            Left::Ended(Ending::RolledBack) => Self::RolledBack,
            Left::Failed { proof: true, .. } => Self::NotProven,
            Left::Failed { .. } | Left::LostContact { .. } | Left::Unknown { .. } | Left::CannotEnd { .. } => {
                Self::Stopped
            }
            Left::NeedsPerson { .. } => Self::NeedsPerson,
            Left::LostLock { .. } => Self::Held,
            Left::Interrupted => Self::Interrupted,
        }
    }
}

/// What to do next, after a run was left.
pub(super) fn next_steps(left: &Left, run: &str) -> Vec<String> {
    let either = |first: String| vec![first, format!("`drctl rollback {run}` puts the target back as it was")];
    match left {
        Left::Ended(Ending::Restored) => vec![
            "restart kubelet, kube-proxy and the CNI on every node if the restore could not bump revisions".to_owned(),
            "take a new snapshot at once, and see that the CronJob runs again".to_owned(),
            format!("`drctl show {run}` tells the whole run"),
        ],
        Left::Ended(Ending::RolledBack) => vec![format!("`drctl show {run}` tells the whole run")],
        Left::Failed { proof: true, .. } => {
            either(format!("the control plane is up but not proven: look, then `drctl resume {run}` proves again"))
        }
        Left::Failed { .. } => {
            either(format!("mend what the error says, then `drctl resume {run}` tries the step again"))
        }
        Left::LostContact { .. } => either(format!("see why the target is out of reach, then `drctl resume {run}`")),
        Left::Unknown { .. } => {
            let mut next = either(format!(
                "look at the target, then `drctl resume {run}` at a terminal: it asks whether the step happened, and goes on with that"
            ));
            next.push("with a `verify` in its playbook, a step of the next run can tell that by itself".to_owned());
            next
        }
        Left::CannotEnd { .. } => either(format!(
            "every step is behind it: mend on the target what it says, then `drctl resume {run}` ends the run"
        )),
        // The report says it, here and in `drctl show`.
        Left::NeedsPerson { .. } => Vec::new(),
        Left::LostLock { .. } => vec!["another controller works on this target: leave it to that one".to_owned()],
        Left::Interrupted => either(format!("`drctl resume {run}` goes on from the checkpoint")),
    }
}

/// What ends a command before, or instead of, a run's own ending.
#[derive(Debug)]
pub(super) enum Fault {
    /// The inventory or the playbook.
    Load(Box<LoadError>),
    /// What was typed.
    Usage { message: String, help: String },
    /// Findings that nobody accepted.
    Checks(Vec<Finding>),
    /// The runs of this controller.
    Runs(RunsError),
    /// A run could not be written down, so it was not begun.
    NotBegun(RunsError),
    /// The link broke while the lock was asked for.
    MayHold { run: String, reason: String },
    /// The target, before a run began.
    Target(TargetError),
    /// The target of a run that is taken up again.
    OutOfReach(TargetError),
    /// What steps of a run that is taken up again need cannot be fetched.
    NoPki { reason: String },
    /// The target has something of a run that the run's journal does not know.
    NotInJournal { host: String, step: String, place: String },
    /// Another run holds the target.
    Held(String),
    /// Another run has worked on the target since.
    Superseded { by: String },
    /// A snapshot that cannot be had or read.
    Snapshot { message: String, help: String },
    /// The journal cannot be written.
    Engine(EngineError),
    /// A drill that could not be made, or that contradicts itself.
    Drill { message: String, help: String },
    /// Throwaway targets that are still there.
    Leftover { drills: Vec<String> },
    /// Asked to stop before a run began.
    Interrupted,
    /// A file could not be written.
    Io { what: String, source: std::io::Error },
}

impl Fault {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Load(_) | Self::Usage { .. } => Exit::Usage,
            Self::Runs(RunsError::Journal(JournalError::Busy { .. })) | Self::Held(_) | Self::Superseded { .. } => {
                Exit::Held
            }
            Self::Runs(
                RunsError::Unknown { .. }
                | RunsError::Ambiguous { .. }
                | RunsError::NoneOpen { .. }
                | RunsError::Journal(JournalError::Empty { .. }),
            ) => Exit::Usage,
            Self::Checks(findings) if findings.iter().any(|finding| finding.name == crate::check::HELD) => Exit::Held,
            Self::Checks(_) | Self::Target(_) | Self::NotBegun(_) | Self::Snapshot { .. } => Exit::Checks,
            Self::Io { .. } => Exit::Usage,
            Self::Drill { .. } => Exit::RolledBack,
            Self::Leftover { .. } => Exit::NeedsPerson,
            Self::Interrupted => Exit::Interrupted,
            Self::Runs(_)
            | Self::Engine(_)
            | Self::OutOfReach(_)
            | Self::NoPki { .. }
            | Self::NotInJournal { .. }
            | Self::MayHold { .. } => Exit::Stopped,
        }
    }

    /// One report on standard error; for programs, one object on standard output.
    pub(super) fn tell(&self, as_json: bool) {
        let (message, help) = self.words();
        if as_json {
            let places = match self {
                Self::Load(error) => error.places(),
                _ => Vec::new(),
            };
            let findings = match self {
                Self::Checks(findings) => findings.as_slice(),
                _ => &[],
            };
            json::error(&serde_json::json!({
                "exit": u8::from(self.exit()), "message": message, "help": help, "faults": places, "findings": findings,
            }));
            return;
        }
        let text = if let Self::Load(error) = self {
            let mut text = String::new();
            let drawn = miette::GraphicalReportHandler::new().render_report(&mut text, error.as_ref());
            if drawn.is_ok() { text } else { message }
        } else {
            format!("error: {message}\n  help: {}\n", help.replace('\n', "\n        "))
        };
        drop(std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()));
    }

    /// What happened, without what to do.
    pub(super) fn message(&self) -> String {
        self.words().0
    }

    fn words(&self) -> (String, String) {
        match self {
            Self::Load(error) => (chain(error.as_ref()), error.help().map(|help| help.to_string()).unwrap_or_default()),
            Self::Usage { message, help } | Self::Snapshot { message, help } | Self::Drill { message, help } => (message.clone(), help.clone()),
            Self::Checks(findings) => (failed(findings), accepting(findings)),
            Self::Runs(error) => (chain(error), remedy::of_runs(error)),
            Self::NotBegun(error) => (
                format!("the run could not be written down, so it was not begun: {}", chain(error)),
                "the target was not touched: see the folder of journals, its permissions and the space on its disk"
                    .to_owned(),
            ),
            Self::MayHold { run, reason } => (
                format!(
                    "the link broke while the lock was asked for, and the target may have given it to run {run}: {reason}"
                ),
                format!(
                    "nothing else was changed: `drctl resume {run}` begins, `drctl rollback {run}` lets go of the target"
                ),
            ),
            Self::Target(error) => (chain(error), "the target was not changed".to_owned()),
            Self::OutOfReach(error) => (
                chain(error),
                "the run stands where it stood: see why the target is out of reach, then try again".to_owned(),
            ),
            Self::NoPki { reason } => (
                format!("steps of the run need the PKI, which could not be fetched from {reason}"),
                "the run stands where it stood: `[pki]` of its inventory says where it is taken from, and by whom; see that it can \
                 be reached and opened from here, then `drctl resume` again\n`drctl rollback` does without it"
                    .to_owned(),
            ),
            Self::NotInJournal { host, step, place } => (
                format!(
                    "step `{step}` made `{place}` on {host}, and the journal does not know of it: records are missing from its end"
                ),
                format!(
                    "the run stands where it stood, since what the journal does not know would not be undone: if an older copy \
                     of the state folder was put back, put the newest one back, then try again\nwithout one, see there what \
                     the step kept and ran, undo it by hand, remove `{place}`, then try again"
                ),
            ),
            Self::Held(message) => (message.clone(), "wait for it, or see `drctl resume` and `--take-over`".to_owned()),
            Self::Superseded { by } => (
                format!("run {by} has worked on the target since, on top of what this run left there"),
                format!(
                    "go on with run {by}, from its controller; only once that is rolled back can this run go on or back"
                ),
            ),
            Self::Engine(error) => (
                chain(error),
                "see the folder of journals and the space on its disk, then `drctl resume`; the target stands at its last checkpoint"
                    .to_owned(),
            ),
            Self::Leftover { drills } => (
                format!("what drills made is left: {}", drills.join("; ")),
                "see why, then `drctl drill sweep` takes them away; until then they may run and cost".to_owned(),
            ),
            Self::Interrupted => ("interrupted".to_owned(), "nothing is left".to_owned()),
            Self::Io { what, source } => {
                (format!("could not {what}: {source}"), "see the path and its permissions".to_owned())
            }
        }
    }
}

/// How many errors, and their names.
fn failed(findings: &[Finding]) -> String {
    let mut names: Vec<&str> = findings.iter().map(|finding| finding.name.as_str()).collect();
    names.dedup();
    let count = if findings.len() == 1 { "1 error".to_owned() } else { format!("{} errors", findings.len()) };
    format!("{count}; the target was not touched: {}", names.join(", "))
}

/// How to go on in spite of those errors that leave a choice.
fn accepting(findings: &[Finding]) -> String {
    let names = findings.iter().map(|finding| finding.name.as_str()).filter(|name| ACCEPTABLE.contains(name));
    let accept: Vec<String> = names.map(|name| format!("`--accept {name}`")).collect();
    let how = "what to do is said with each of them";
    if accept.is_empty() {
        return how.to_owned();
    }
    format!("{how}\nto go on in spite of it: {}", accept.join(", "))
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::Load(Box::new(error))
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        Self::Drill { message: chain(&error), help: "see the state folder, its permissions and its space".to_owned() }
    }
}

impl From<RunsError> for Fault {
    fn from(error: RunsError) -> Self {
        Self::Runs(error)
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Runs(error.into())
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<TargetError> for Fault {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}
