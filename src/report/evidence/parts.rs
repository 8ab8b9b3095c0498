//! What a report consists of.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sources::TimeFrom;

/// What a report is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rehearsal on a throwaway target.
    Drill,
    /// The real thing.
    Restore,
}

impl Kind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Restore => "restore",
        }
    }
}

/// Whether it did what it was to do, and why that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// Why, as sentences.
    pub reasons: Vec<String>,
}

/// A verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The control plane came up, was proved to be the cluster's, and a drill kept its limits.
    Passed,
    /// It did not, or not in time.
    Failed,
    /// It was left part way; nothing speaks against it yet.
    Unfinished,
}

impl Outcome {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
        }
    }
}

/// What only a drill has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// The drill's id.
    pub id: String,
    /// What made the target.
    pub provider: String,
    /// How much was to be proved: `data`, `control-plane` or `workload`.
    pub level: String,
    /// Why production was out of reach, as a sentence.
    pub isolation: Option<String>,
    /// What was broken on purpose.
    pub fault: Option<String>,
}

/// How long, how old, how much, and what was allowed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Seconds from the run's first record until the control plane was restored and proved; absent when it was not.
    pub rto_seconds: Option<f64>,
    /// How many it may be.
    pub rto_limit_seconds: Option<f64>,
    /// Seconds between the snapshot's data and the run's begin: what is lost.
    pub rpo_seconds: Option<f64>,
    /// What the age of the data was told by.
    pub rpo_basis: Option<Basis>,
    /// How many it may be.
    pub rpo_limit_seconds: Option<f64>,
    /// Seconds until the throwaway target was there.
    pub create_seconds: Option<f64>,
    /// Seconds until it was gone again.
    pub destroy_seconds: Option<f64>,
}

/// What the age of data was told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The newest time in the data.
    Data,
    /// The time in the snapshot's name.
    Name,
    /// When the snapshot's file was changed last.
    File,
}

impl Basis {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Data => "by the newest change in the data",
            Self::Name => "by the time in the snapshot's name",
            Self::File => "by the time of the snapshot's file",
        }
    }
}

impl From<TimeFrom> for Basis {
    fn from(from: TimeFrom) -> Self {
        match from {
            TimeFrom::Name => Self::Name,
            TimeFrom::File => Self::File,
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// Its name in its source.
    pub name: String,
    /// The source.
    pub source: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was saved.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The newest time in its data.
    #[schemars(with = "Option<String>")]
    pub newest_change: Option<Timestamp>,
    /// The etcd revision that it holds.
    pub revision: i64,
    /// How many keys live in it.
    pub keys: Option<u64>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: String,
    /// Where it stands: `done`, `skipped`, `failed`, `pending`, `unsettled`, `undoing`, `undone` or `undo failed`.
    pub state: String,
    /// Why it was skipped, or what it said when it failed.
    pub detail: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
    /// How long its last attempt took.
    pub seconds: Option<f64>,
    /// Its mean in those before that passed.
    pub usual_seconds: Option<f64>,
    /// How much longer than that it took.
    pub difference_seconds: Option<f64>,
    /// When it was worked on.
    pub spans: Vec<Span>,
}

/// A time in which a step was worked on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// When it began, in seconds after the report's begin.
    pub after: f64,
    /// How long it was.
    pub seconds: f64,
    /// How it ended.
    pub end: End,
}

/// How the work on a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It took.
    Done,
    /// It failed.
    Failed,
    /// Nobody wrote an outcome down.
    Open,
    /// What it had done was undone.
    Undone,
    /// What it had done could not be undone.
    UndoFailed,
}

impl End {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Open => "left open",
            Self::Undone => "undone",
            Self::UndoFailed => "could not be undone",
        }
    }
}

/// Something that happened to a run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// When, in seconds after the report's begin.
    pub after: f64,
    /// What, in a few words.
    pub what: String,
}

/// Something that was compared with what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The step that made it; absent when no step did.
    pub step: Option<String>,
    /// What was proved, in a few words.
    pub name: String,
    /// What was looked at, and how.
    pub how: String,
    /// What it should be; absent when it is told and fails nothing.
    pub expected: Option<String>,
    /// What it is.
    pub found: String,
    /// Whether that is right; absent when it was not tried, or is told only.
    pub passed: Option<bool>,
}

/// What was at work, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// drctl, when the run began.
    pub drctl: String,
    /// The etcd cluster that the snapshot is of.
    pub etcd: Option<String>,
    /// Kubernetes, as the snapshot has it.
    pub kubernetes: Option<String>,
    /// kubeadm on the target.
    pub kubeadm: Option<String>,
    /// The kubelet on the target.
    pub kubelet: Option<String>,
    /// `etcdutl`, else `etcdctl`, on the target.
    pub etcd_tool: Option<String>,
    /// The target's distribution.
    pub os: Option<String>,
    /// The target's kernel.
    pub kernel: Option<String>,
}

/// SHA-256 of that which was used and written, in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digests {
    /// The snapshot's file, out of all that it was packed in.
    pub snapshot: Option<String>,
    /// The inventory's text, as the run froze it.
    pub inventory: Option<String>,
    /// The playbook's text, as the run froze it.
    pub playbook: Option<String>,
    /// The journal's file, when this was written.
    pub journal: Option<String>,
}
