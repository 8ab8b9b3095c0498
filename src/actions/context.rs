//! All that an action may touch.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{ActionError, api_port};
use crate::inventory::{Inventory, PkiFiles, Secret};
use crate::sources::Chosen;
use crate::target::{Facts, Target};
use crate::text::{Text, Values};

/// What is known while checking and planning: nothing may be changed through it.
#[derive(Debug)]
pub struct PlanContext<'a> {
    /// The inventory.
    pub inventory: &'a Inventory,
    /// The target, when it could be reached.
    pub target: Option<&'a Target>,
    /// What was gathered on it.
    pub facts: Option<&'a Facts>,
    /// The snapshot that would be restored.
    pub snapshot: Option<&'a Chosen>,
    /// The certificate authorities that were found.
    pub pki: &'a PkiFiles,
    /// What names stand for so far; outputs of steps are not among them.
    pub values: &'a Values,
}

impl PlanContext<'_> {
    /// The port that the target's API server will listen on.
    pub(super) fn api_port(&self) -> u16 {
        api_port(self.inventory, self.snapshot.map(|chosen| &chosen.claims))
    }
}

/// What a running step has.
#[derive(Debug)]
pub struct Context<'a> {
    /// The inventory, as frozen at the start of the run.
    pub inventory: &'a Inventory,
    /// The target; holds the lock.
    pub target: &'a Target,
    /// What was gathered on it at the start of this process.
    pub facts: &'a Facts,
    /// The snapshot of this run.
    pub snapshot: &'a Chosen,
    /// The certificate authorities.
    pub pki: &'a PkiFiles,
    /// What names stand for now.
    pub values: &'a Values,
    /// The run's id.
    pub run: &'a str,
    /// The findings that were accepted by name when it began, found or not.
    pub accepted: &'a [String],
    /// The step's name.
    pub step: &'a str,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long the step may take.
    pub limit: Duration,
    /// Where progress and output go.
    pub tell: &'a dyn Tell,
    /// Cancelled when the run is to stop at its checkpoint.
    pub stop: &'a CancellationToken,
    /// drctl's folder on the controller, for downloads.
    pub cache: &'a PathBuf,
}

/// Certificates, keys and kubeconfigs are smaller.
const SECRET_LIMIT: usize = 256 << 10;

impl Context<'_> {
    /// The text with its names replaced.
    pub fn fill(&self, text: &Text) -> Result<String, ActionError> {
        Ok(text.fill(self.values)?)
    }

    /// Sees that the lock is still held, right before something is written that goes by no script, and so is not fenced.
    pub(super) async fn still_holds(&self) -> Result<(), ActionError> {
        Ok(self.target.heartbeat().await?)
    }

    /// A certificate, key or kubeconfig of the target, kept in memory alone.
    pub(super) async fn read_secret(&self, path: &str) -> Result<Secret, ActionError> {
        let bytes = self.target.read_file(path, SECRET_LIMIT).await?.ok_or_else(|| ActionError::Unexpected {
            what: format!("`{path}` on the target"),
            expected: "a file".to_owned(),
            found: "no such file".to_owned(),
        })?;
        Ok(Secret::new(bytes))
    }
}

/// Where a step's progress goes: bars, plain lines or NDJSON. Never the journal.
#[async_trait]
pub trait Tell: Send + Sync + std::fmt::Debug {
    /// A line that a command wrote.
    fn output(&self, line: &str);
    /// Bytes done, of a known total.
    fn bytes(&self, done: u64, total: u64);
    /// What is being waited for, in a few words.
    fn note(&self, note: &str);
    /// Asks the person at the terminal; `None` when there is none to ask.
    async fn confirm(&self, question: &str) -> Option<bool>;
}
