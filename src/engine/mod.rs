//! The loop of a run: decide, journal the intent, act, journal the outcome, tell.
//!
//! `state` and `decide` are pure; whatever is done to the target is done by `attempt`, and only
//! after the journal has it. A process may end at any instruction: what it leaves is what a
//! journal replays to, and `decide` knows what to do with each such state.

mod attempt;
mod decide;
#[cfg(test)]
mod model;
mod state;
#[cfg(test)]
mod tests;
mod unjournalled;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use decide::{Decision, Patience, decide};
pub use state::{IllegalEvent, StepState};
pub use unjournalled::{Unjournalled, unjournalled};

pub(crate) use crate::causes::chain;

use crate::actions::ActionError;
use crate::event::{Ending, Event, Live};
use crate::inventory::{Inventory, PkiFiles};
use crate::journal::{Journal, JournalError, Record, RunState};
use crate::playbook::Playbook;
use crate::sources::Chosen;
use crate::target::{Facts, Target, TargetError};
use crate::text::Values;

/// Who is told what happens: bars, plain lines or NDJSON.
#[async_trait]
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// A record that is durable now.
    fn record(&self, record: &Record);
    /// Something that is not kept.
    fn live(&self, live: &Live);
    /// Asks the person at the terminal; `None` when there is none to ask.
    async fn confirm(&self, question: &str) -> Option<bool>;
}

/// All that a run works with besides its journal.
#[derive(Debug, Clone)]
pub struct Run {
    /// The inventory, as frozen.
    pub inventory: Arc<Inventory>,
    /// The playbook, as frozen.
    pub playbook: Arc<Playbook>,
    /// The target; holds the lock.
    pub target: Arc<Target>,
    /// What was gathered on it.
    pub facts: Arc<Facts>,
    /// The snapshot.
    pub snapshot: Arc<Chosen>,
    /// The certificate authorities.
    pub pki: Arc<PkiFiles>,
    /// What names stand for before the first step.
    pub values: Values,
    /// Where downloads are kept on the controller.
    pub cache: PathBuf,
    /// Who is told.
    pub listener: Arc<dyn Listener>,
    /// Cancelled when the run is to stop at its checkpoint.
    pub stop: CancellationToken,
}

/// How a process left a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It ended.
    Ended(Ending),
    /// A step failed; the checkpoint is kept.
    Failed {
        /// The step.
        step: String,
        /// What it said.
        error: String,
        /// Whether the control plane is up and only a proof failed.
        proof: bool,
    },
    /// The target could not be reached for longer than it was tried.
    LostContact {
        /// What was noticed.
        reason: String,
    },
    /// Nobody can tell whether a step happened.
    Unknown {
        /// The step.
        step: String,
        /// Why.
        reason: String,
    },
    /// A step could not be undone: a person is needed.
    NeedsPerson {
        /// The step.
        step: String,
        /// What it said.
        error: String,
    },
    /// All steps are behind it, but what the run has on the target could not be cleared away.
    CannotEnd {
        /// What the target said.
        error: String,
    },
    /// Another controller holds the target now.
    LostLock {
        /// What the target said.
        reason: String,
    },
    /// Asked to stop.
    Interrupted,
}

/// What ends a process without an orderly word: the journal itself failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The journal cannot be written: nothing more may be done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine contradicted its own journal.
    #[error("drctl contradicts its own journal; this is a defect")]
    Defect(#[from] IllegalEvent),
}

/// What an attempt at something came to, when the run may go on.
type Step<T> = Result<T, Halt>;

/// Why the loop is left.
enum Halt {
    Left(Left),
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

/// One process's work on a run.
#[derive(Debug)]
pub struct Engine {
    run: Run,
    journal: Journal,
    state: RunState,
    /// The step being tried, and how often this process has begun it.
    tried: (usize, u32),
    /// How much longer than its own limit a step is waited for.
    grace: Duration,
}

const HEARTBEAT: Duration = Duration::from_secs(10);
/// Long enough for a job's own limit, which the target keeps, to speak first: 10 s until SIGKILL, 15 s for what is left behind,
/// 5 s for its output, and a slow link.
const GRACE: Duration = Duration::from_mins(1);

impl Engine {
    /// Takes a run up; its journal says where.
    pub fn new(run: Run, journal: Journal, state: RunState) -> Self {
        Self { run, journal, state, tried: (0, 0), grace: GRACE }
    }

    /// Journals what a process begins with (`Resumed`, `RollbackStarted`).
    pub fn note(&mut self, event: Event) -> Result<(), EngineError> {
        self.state.apply(&event)?;
        let record = self.journal.append(event)?;
        self.run.listener.record(&record);
        Ok(())
    }

    /// Works until the run has ended or must be left.
    pub async fn work(&mut self) -> Result<Left, EngineError> {
        let target = Arc::clone(&self.run.target);
        let left = tokio::select! {
            left = self.until_left() => left,
            reason = lost_lock(&target) => Err(Halt::Left(Left::LostLock { reason })),
        };
        match left {
            Ok(ending) => Ok(Left::Ended(ending)),
            Err(Halt::Engine(error)) => Err(error),
            Err(Halt::Left(left)) => {
                self.note(Event::Stopped { reason: left.reason() })?;
                Ok(left)
            }
        }
    }

    /// The state as it stands.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    async fn until_left(&mut self) -> Step<Ending> {
        let patience = self.patience();
        loop {
            if self.run.stop.is_cancelled() {
                return Err(Halt::Left(Left::Interrupted));
            }
            match decide(&self.state, &patience, self.tried.1) {
                None => return Ok(self.state.ending.unwrap_or(Ending::Restored)),
                Some(Decision::Finish { ending }) => self.finish(ending).await?,
                Some(Decision::Begin { step, attempt }) => self.begin(step, attempt).await?,
                Some(Decision::Continue { step, attempt }) => self.keep_and_apply(step, attempt).await?,
                Some(Decision::Settle { step, attempt }) => self.settle(step, attempt).await?,
                Some(Decision::Undo { step }) => self.undo(step).await?,
                Some(Decision::Stop { step, error }) => return Err(Halt::Left(self.failed(step, error))),
                Some(Decision::RollBack { reason }) => self.note(Event::RollbackStarted { reason })?,
            }
        }
    }

    fn patience(&self) -> Vec<Patience> {
        let policy = self.run.inventory.policy.on_failure;
        let of = |step: &crate::playbook::Step| Patience {
            retries: step.retries,
            on_failure: step.on_failure.unwrap_or(policy),
        };
        self.run.playbook.steps.iter().map(of).collect()
    }

    fn failed(&self, step: usize, error: String) -> Left {
        let step = &self.run.playbook.steps[step];
        Left::Failed { step: step.name.clone(), error, proof: step.action.is_proof() }
    }

    /// The target is let go before the last record: a crash in between lets it go once more.
    async fn finish(&mut self, ending: Ending) -> Step<()> {
        let left = match ending {
            Ending::Restored => self.run.target.tidy().await,
            Ending::RolledBack => self.run.target.discard().await,
        };
        left.map_err(cannot_end)?;
        self.run.target.release().await.map_err(cannot_end)?;
        Ok(self.note(Event::Finished { ending })?)
    }
}

fn cannot_end(error: TargetError) -> Halt {
    let error = ActionError::from(error);
    Halt::Left(Left::of(&error).unwrap_or_else(|| Left::CannotEnd { error: chain(&error) }))
}

impl Left {
    /// The reason that the journal keeps.
    fn reason(&self) -> String {
        match self {
            Self::Ended(_) => "ended".to_owned(),
            Self::Failed { step, .. } => format!("step `{step}` failed"),
            Self::LostContact { reason } | Self::LostLock { reason } => reason.clone(),
            Self::Unknown { step, reason } => format!("the outcome of step `{step}` is unknown: {reason}"),
            Self::NeedsPerson { step, .. } => format!("step `{step}` could not be undone"),
            Self::CannotEnd { error } => format!("every step is behind it, but the run could not be ended: {error}"),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }

    /// Why an action's error leaves the run, unless it simply failed.
    fn of(error: &ActionError) -> Option<Self> {
        match error {
            ActionError::Interrupted => Some(Self::Interrupted),
            ActionError::Target(lost @ TargetError::LostLock { .. }) => {
                Some(Self::LostLock { reason: lost.to_string() })
            }
            lost if lost.is_lost_contact() => Some(Self::LostContact { reason: chain(lost) }),
            _ => None,
        }
    }
}

/// Shows the target that this controller lives, until the target says that another holds it.
///
/// A heartbeat that cannot be delivered is no reason to leave: the step at hand notices a lost link itself.
async fn lost_lock(target: &Target) -> String {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        if let Err(error @ TargetError::LostLock { .. }) = target.heartbeat().await {
            return error.to_string();
        }
    }
}
