//! What a step can do. One file and one line in [`KINDS`] for each.

mod api;
mod command;
mod confirm;
mod context;
mod control_plane;
mod etcd;
mod expect;
mod fence;
mod fetch_snapshot;
mod kind;
mod kubeadm_init;
mod loopback;
mod masterleases;
mod mode;
mod place_file;
mod restore_etcd;
mod upload;
mod verify_cluster;
mod verify_data;
mod verify_etcd;
mod verify_objects;
mod wait_for;

use std::fmt::Debug;

use async_trait::async_trait;
use thiserror::Error;

pub use context::{Context, PlanContext, Tell};
pub use kind::{Declared, Kind};
pub(crate) use kubeadm_init::api_port;
pub use loopback::Loopback;

use crate::target::{Keep, TargetError};
use crate::text::{NoValue, Text, Values};

/// Every action a playbook may name, in the order of `docs/actions.md`.
pub const KINDS: &[Kind] = &[
    Kind::of::<fence::Fence>(),
    Kind::of::<fetch_snapshot::FetchSnapshot>(),
    Kind::of::<upload::Upload>(),
    Kind::of::<place_file::PlaceFile>(),
    Kind::of::<restore_etcd::RestoreEtcd>(),
    Kind::of::<kubeadm_init::KubeadmInit>(),
    Kind::of::<command::Command>(),
    Kind::of::<confirm::Confirm>(),
    Kind::of::<wait_for::WaitFor>(),
    Kind::of::<verify_etcd::VerifyEtcd>(),
    Kind::of::<masterleases::Masterleases>(),
    Kind::of::<verify_cluster::VerifyCluster>(),
    Kind::of::<verify_data::VerifyData>(),
    Kind::of::<verify_objects::VerifyObjects>(),
    Kind::of::<expect::Expect>(),
];

/// The output of a proof that was not made: neither right nor wrong.
pub(crate) const NOT_TRIED: &str = "not tried";

/// The typed thing a step does. Its parameters are its fields.
#[async_trait]
pub trait Action: Debug + Send + Sync {
    /// Every text of its parameters, so that names are checked at load.
    fn texts(&self) -> Vec<&Text>;

    /// Whether it takes a file of the PKI, besides those that its texts name.
    fn takes_pki(&self) -> bool {
        false
    }

    /// The port of the target's own loopback that it reaches through SSH, as far as that is known before the run.
    fn tunnels_to(&self, _: &PlanContext<'_>) -> Option<Loopback> {
        None
    }

    /// What it would do, for the plan: one line, and what a person should know besides.
    fn describe(&self, cx: &PlanContext<'_>) -> Description;

    /// What the engine keeps before `apply`, to be able to put it back.
    fn set_aside(&self, cx: &Context<'_>) -> Result<SetAside, ActionError>;

    /// Whether it may run: looks only, before anything is touched.
    async fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding>;

    /// Does it. Answers what later steps may refer to.
    async fn apply(&self, cx: &Context<'_>) -> Result<Outcome, ActionError>;

    /// Whether it took; asked after `apply`.
    async fn verify(&self, cx: &Context<'_>) -> Result<Verdict, ActionError>;

    /// Whether a step without an outcome happened; asked on resume. What only looks or asks is begun again, and a proof that
    /// was not written down is made again.
    async fn settle(&self, cx: &Context<'_>) -> Result<Verdict, ActionError> {
        if self.is_proof() {
            return Ok(Verdict::DidNot { reason: "the proof was not finished".to_owned() });
        }
        self.verify(cx).await
    }

    /// Whether it changes nothing and only proves that what came up is right: its failure has an exit code of its own.
    fn is_proof(&self) -> bool {
        false
    }

    /// Whether `apply` may simply be done again when its connection was cut amid it: true of proofs, and of what only looks.
    fn is_repeatable(&self) -> bool {
        self.is_proof()
    }

    /// Undoes what putting back the kept paths does not. Must be repeatable, and bear that `apply` never began.
    async fn undo(&self, cx: &Context<'_>) -> Result<(), ActionError>;
}

/// What a step would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// One line.
    pub summary: String,
    /// What is chosen and why, what is lost, what cannot be undone.
    pub details: Vec<String>,
    /// The paths on the target that it changes.
    pub touches: Vec<String>,
}

/// What is kept before a step changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetAside {
    /// These paths, moved or copied; put back by the engine on undo.
    Paths(Vec<Keep>),
    /// Nothing on the target changes, or nothing can be put back.
    Nothing {
        /// Why.
        why: &'static str,
    },
}

/// How a step ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; later steps may refer to these as `${step.<name>.<output>}`.
    Done(Values),
    /// There was nothing to do.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Whether a step took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did, with what later steps may refer to.
    Took(Values),
    /// It did not, or only in part: undo and apply again.
    DidNot {
        /// What is missing.
        reason: String,
    },
    /// Nobody can tell: a person must.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Something a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// A stable name, such as `snapshot-too-old`; what `--accept` takes.
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// What was expected and what was found, where.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is stopped.
    Warning,
    /// A run would end badly: nothing is begun.
    Error,
}

impl Finding {
    /// All is well here.
    pub fn ok(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), severity: Severity::Ok, message: message.into(), help: String::new() }
    }

    /// Worth knowing.
    pub fn warning(name: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.to_owned(), severity: Severity::Warning, message: message.into(), help: help.into() }
    }

    /// Nothing may begin.
    pub fn error(name: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.to_owned(), severity: Severity::Error, message: message.into(), help: help.into() }
    }
}

/// What a step could not do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The target could not, or could not be asked.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A text names something without a value.
    #[error(transparent)]
    NoValue(#[from] NoValue),
    /// The command of a step failed.
    #[error("{what} failed: {reason}")]
    Failed {
        /// The deed.
        what: String,
        /// What it said, with its last lines.
        reason: String,
    },
    /// The step's limit passed.
    #[error("{what} did not end within {limit}")]
    TimeLimit {
        /// The deed.
        what: String,
        /// The limit.
        limit: crate::inventory::Span,
    },
    /// What came up is not what was expected.
    #[error("{what}: expected {expected}, found {found}")]
    Unexpected {
        /// What was compared.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The run is being stopped: the step is left as it stands, at its checkpoint.
    #[error("interrupted")]
    Interrupted,
    /// Something on the controller failed.
    #[error("could not {what} on the controller: {reason}")]
    Local {
        /// The deed.
        what: String,
        /// Why.
        reason: String,
    },
}

impl ActionError {
    /// Whether it is the way to the target that failed: the step's outcome is then unknown, not bad.
    pub fn is_lost_contact(&self) -> bool {
        matches!(self, Self::Target(TargetError::Transport(error)) if error.is_transient())
    }
}
