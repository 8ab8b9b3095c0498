//! What drctl does on a host, in `sh`, coreutils and util-linux: files, jobs, things set aside, the lock.
//!
//! Everything lives under [`HOME`]: one folder for each run, mode 0700. Every script that changes
//! something is repeatable, so a lost connection is answered by running it again, and begins by
//! comparing the epoch of the lock: a controller that lost the lock cannot change anything.
//!
//! The scripts are the `.sh` files beside this one; their values arrive in quoted assignments.

mod entries;
mod error;
mod facts;
mod facts_text;
mod files;
mod job;
mod lock;
mod patience;
mod set_aside;
mod shell;
mod silence;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use entries::Entry;
pub use error::TargetError;
pub use facts::{Facts, Filesystem, HomeState, Image, Kubelet, PathKind, PathState, Tool, VALUE_NAMES};
pub use files::{Owner, Payload, Place, Placed};
pub use job::{APPLY, Job, JobEnd, JobState};
pub use lock::{Claim, Holder, LockOutcome};
pub use set_aside::{Aside, How, Keep, StillKept};
pub use shell::quote;
pub use silence::{Heard, listen};

use crate::hex::hex;
use crate::transport::{Reply, Request, Transport};
use patience::Patience;
use shell::script;

/// drctl's folder on the target.
pub const HOME: &str = "/var/lib/drctl";

/// drctl's own names in a run's folder, beside the folders of its steps: no step is called so.
pub(crate) const OWN_NAMES: [&str; 5] = [UPLOADS, PASSING, BUSY, LATER, KUBELET_BEFORE];
/// What has arrived of large files.
const UPLOADS: &str = "uploads";
/// See [`Target::passing_folder`].
const PASSING: &str = "passing";
/// What scripts that change files hold while they run.
const BUSY: &str = "busy";
/// Names the run that came after this one.
const LATER: &str = "later";
/// What the host's kubelet and pods were before `kubeadm init`.
pub(crate) const KUBELET_BEFORE: &str = "kubelet-before";

/// What a script that lost the lock ends with.
const LOST_LOCK: i32 = 75;
/// What a script that finds something unsafe ends with.
const REFUSED: i32 = 76;
/// What a script that was ended by SIGKILL ends with.
const KILLED: i32 = 128 + 9;
/// The limit of scripts that do nothing.
const SHORT: Duration = Duration::from_mins(1);
/// The limit of scripts that copy or read much.
const LONG: Duration = Duration::from_hours(1);

/// A host, and the run that works on it.
#[derive(Debug)]
pub struct Target {
    transport: Arc<dyn Transport>,
    home: String,
    run: String,
    /// The lock's epoch once it was taken; empty before.
    epoch: Mutex<String>,
}

impl Target {
    /// The host behind a transport, for one run.
    pub fn new(transport: Arc<dyn Transport>, run: &str) -> Self {
        Self { transport, home: HOME.to_owned(), run: run.to_owned(), epoch: Mutex::default() }
    }

    /// The same with another folder than [`HOME`].
    #[must_use]
    pub fn at(self, home: &str) -> Self {
        Self { home: home.to_owned(), ..self }
    }

    /// The host as messages name it.
    pub fn host(&self) -> &str {
        self.transport.host()
    }

    /// The way to the host.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    /// How many connections to it were made so far.
    pub fn connections(&self) -> u64 {
        self.transport.connections()
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// drctl's folder on the target.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// The run's folder on the target, mode 0700.
    pub fn run_folder(&self) -> String {
        format!("{}/{}", self.home, component(&self.run))
    }

    /// The run's folder for what no rollback needs: it goes when the run ends well.
    pub fn passing_folder(&self) -> String {
        format!("{}/{PASSING}", self.run_folder())
    }

    /// What is made next to a path, to become it; [`Target::put_back`] clears it away.
    pub fn new_beside(&self, path: &str) -> String {
        self.beside(path, &format!("{}.new", files::file_name(path)))
    }

    /// A name next to `path` that only this run uses.
    fn beside(&self, path: &str, purpose: &str) -> String {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        format!("{parent}/{}", self.hidden(purpose))
    }

    /// The name of anything of this run that stands outside of drctl's folder.
    fn hidden(&self, purpose: &str) -> String {
        format!(".drctl-{}.{}", component(&self.run), component(purpose))
    }

    /// The step's folder below that of the run.
    pub fn step_folder(&self, step: &str) -> String {
        format!("{}/{}", self.run_folder(), component(step))
    }

    /// Runs a script that only looks, and answers what it wrote. `what` completes "could not …".
    pub async fn ask(&self, what: &str, text: &str) -> Result<String, TargetError> {
        let reply = self.look(text).await?;
        let reply = self.succeeded(what, reply)?;
        Ok(String::from_utf8_lossy(&reply.stdout).into_owned())
    }

    /// Runs a script that only looks, and answers how it ended.
    pub async fn look(&self, text: &str) -> Result<Reply, TargetError> {
        self.patiently(text, LONG).await
    }

    /// Sees that the host can be reached: a link that is away is waited for.
    pub async fn reach(&self) -> Result<(), TargetError> {
        self.patiently(":", SHORT).await.map(drop)
    }

    /// Runs a repeatable script that changes something, as long as the lock is held.
    pub async fn change(&self, what: &str, text: &str) -> Result<String, TargetError> {
        let reply = self.patiently(&self.fenced(text), LONG).await?;
        let reply = self.changed(what, reply).await?;
        Ok(String::from_utf8_lossy(&reply.stdout).into_owned())
    }

    /// What a fenced script came to. One that was killed may have been in the way of another controller, which holds the
    /// lock now.
    async fn changed(&self, what: &str, reply: Reply) -> Result<Reply, TargetError> {
        if reply.status == KILLED {
            let fence = self.patiently(&self.fenced(":"), LONG).await?;
            self.succeeded("ask who holds the lock", fence)?;
        }
        self.succeeded(what, reply)
    }

    async fn patiently(&self, text: &str, limit: Duration) -> Result<Reply, TargetError> {
        let mut patience = Patience::new(self.transport.reconnect_for());
        loop {
            match self.transport.run(Request { limit, ..Request::new(text) }).await {
                Ok(reply) => return Ok(reply),
                Err(error) => patience.again(error).await?,
            }
        }
    }

    /// The script, run only while the lock has this run's epoch; what it starts does not hold the lock.
    fn fenced(&self, text: &str) -> String {
        let epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fence = script(&[("drctl_home", &self.home), ("drctl_epoch", &epoch)], include_str!("fence.sh"));
        format!("{fence}{}", self.minding_space(&format!("exec 8<&-\n{text}")))
    }

    /// The script, which also tells of full disks when it fails.
    fn minding_space(&self, text: &str) -> String {
        script(&[("drctl_home", &self.home)], &format!("(\n{text}\n)\n{}", include_str!("full.sh")))
    }

    fn succeeded(&self, what: &str, reply: Reply) -> Result<Reply, TargetError> {
        let said = String::from_utf8_lossy(&reply.stderr);
        let host = || self.host().to_owned();
        match reply.status {
            0 => Ok(reply),
            LOST_LOCK if said.contains("drctl: lost lock") => {
                Err(TargetError::LostLock { host: host(), holder: lock::holder_in_words(&said, &self.run) })
            }
            REFUSED => Err(TargetError::Refused { host: host(), reason: said.trim().to_owned() }),
            status => {
                Err(TargetError::Failed { what: what.to_owned(), host: host(), status, output: said.into_owned() })
            }
        }
    }

    fn unknown_answer(&self, what: &'static str, answer: &str) -> TargetError {
        let answer = answer.chars().take(200).collect();
        TargetError::Answer { host: self.host().to_owned(), what, answer }
    }
}

/// A name as one component of a path: what is not a letter, a digit, `-`, `_` or an inner `.` is
/// written as `%` and two digits; what gets too long is named by its digest.
fn component(name: &str) -> String {
    use std::fmt::Write;

    use sha2::{Digest, Sha256};

    let mut safe = String::new();
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && at > 0) {
            safe.push(char::from(byte));
        } else {
            let _infallible = write!(safe, "%{byte:02x}");
        }
    }
    match safe.len() {
        0 => "%".to_owned(),
        1..=80 => safe,
        _ => format!("%{}", hex(&Sha256::digest(name))),
    }
}
