//! All that can happen in a run: what the journal keeps, and what is only shown while it happens.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Values;

/// The version of the journal's and the event stream's form.
///
/// A reader accepts every format up to its own; additions that old readers may ignore do not raise it.
pub const FORMAT: u32 = 1;

/// Something that the journal keeps. Each is durable before what it announces is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Always the first record: what the run is, frozen.
    RunStarted(Box<RunHeader>),
    /// A process took the run up again; a step without an outcome is to be settled first.
    Resumed {
        /// Whether it goes on or back.
        direction: Direction,
    },
    /// The step is about to be begun; nothing of it has happened yet.
    StepStarted {
        /// The step.
        step: String,
        /// Counted from 1.
        attempt: u32,
    },
    /// All that the step may change is kept; from here on it may have changed something.
    StepKept {
        /// The step.
        step: String,
    },
    /// The step took: a checkpoint.
    StepDone {
        /// The step.
        step: String,
        /// What later steps may refer to.
        outputs: Values,
    },
    /// There was nothing to do, or its `when` said no: a checkpoint.
    StepSkipped {
        /// The step.
        step: String,
        /// Why.
        reason: String,
    },
    /// The step failed, for a known reason.
    StepFailed {
        /// The step.
        step: String,
        /// What it said.
        error: String,
    },
    /// From here on the run goes backwards.
    RollbackStarted {
        /// Why.
        reason: String,
    },
    /// The step is about to be undone.
    UndoStarted {
        /// The step.
        step: String,
        /// Whether a mark stays on the target once what was kept is back: what is neither there nor marked was then removed by
        /// others. Absent in journals from before 0.1.0, whose undos left none.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaves_mark: bool,
    },
    /// All that the step changed is as it was.
    UndoDone {
        /// The step.
        step: String,
    },
    /// The step could not be undone: a person is needed.
    UndoFailed {
        /// The step.
        step: String,
        /// What it said.
        error: String,
        /// What the run keeps on the target for steps that are not undone, in the order in which they are undone; absent
        /// when the target could not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Vec<Kept>>,
    },
    /// The process leaves; the run can be taken up again from here.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Always the last record.
    Finished {
        /// How.
        ending: Ending,
    },
}

impl Event {
    /// The step that it is about.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepStarted { step, .. }
            | Self::StepKept { step }
            | Self::StepDone { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepFailed { step, .. }
            | Self::UndoStarted { step, .. }
            | Self::UndoDone { step }
            | Self::UndoFailed { step, .. } => Some(step),
            Self::RunStarted(_)
            | Self::Resumed { .. }
            | Self::RollbackStarted { .. }
            | Self::Stopped { .. }
            | Self::Finished { .. } => None,
        }
    }
}

/// What a run is; frozen at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunHeader {
    /// The journal's format.
    pub format: u32,
    /// The run's id.
    pub run: String,
    /// The version of drctl that began it.
    pub drctl: String,
    /// The cluster's name.
    pub cluster: String,
    /// The target, as the inventory names it.
    pub host: String,
    /// The inventory's path; its text lies beside the journal.
    pub inventory: String,
    /// The playbook's path, or `embedded`; its text lies beside the journal.
    pub playbook: String,
    /// SHA-256 of the inventory's text.
    pub inventory_sha256: String,
    /// SHA-256 of the playbook's text.
    pub playbook_sha256: String,
    /// SHA-256 of `snapshot.json`; absent in journals from before 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_json_sha256: Option<String>,
    /// The findings that `--accept` named, found or not; absent when there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// The snapshot that is restored.
    pub snapshot: SnapshotRef,
    /// The steps, in order.
    pub steps: Vec<StepRef>,
}

/// Which snapshot a run restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotRef {
    /// Its name in its source.
    pub name: String,
    /// The source.
    pub source: String,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// When its data is from.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The etcd revision it holds.
    pub revision: i64,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRef {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: String,
    /// Whether its `when` held when the run began, which is what counts from then on; absent without one, when it asks about
    /// an earlier step, and in journals from before 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
}

/// A path that is not as it was before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The step that changed it.
    pub step: String,
    /// The path.
    pub path: String,
    /// Where what was there is kept on the target; absent when nothing was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    /// Whether somebody removed it from there; absent when nobody did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the restored control plane.
    Forward,
    /// Towards the target as it was.
    Back,
}

/// How a run ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every step took.
    Restored,
    /// The target is as it was.
    RolledBack,
}

/// Something that is shown while it happens and not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Live {
    /// A line that a command wrote.
    Output {
        /// The step.
        step: String,
        /// The line, without its end.
        line: String,
    },
    /// Bytes on their way.
    Bytes {
        /// The step.
        step: String,
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// What is being waited for.
    Note {
        /// The step, or nothing before the first.
        step: String,
        /// In a few words.
        note: String,
    },
}
