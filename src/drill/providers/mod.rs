//! Where throwaway targets come from. One file and one line in [`ProviderEntry`] for each.

mod command;
mod container;
mod namespace;
mod qemu;
mod root;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use command::Command;
pub use container::Container;
pub use namespace::Namespace;
pub use qemu::Qemu;
pub(super) use root::ROOTS;

use super::link::Way;
use super::order::Order;

/// What makes the throwaway target, as the inventory names it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProviderEntry {
    /// Namespaces of the controller itself, over a root folder: up in about a second.
    Namespace(Namespace),
    /// A virtual machine: isolated like no other, up in half a minute.
    Qemu(Qemu),
    /// A container of an engine on the controller.
    Container(Container),
    /// Commands of the user's own: a cloud's, a hypervisor's, Terraform.
    Command(Command),
}

/// A place that throwaway targets come from.
///
/// Everything is done to the target of one [`Order`], which names it for ever: what `create` was interrupted in is still
/// found and taken away by `destroy`, from another process.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// How messages name it.
    fn label(&self) -> String;

    /// What keeps the target from the production cluster.
    fn isolation(&self) -> Isolation;

    /// How long a target may take until SSH answers.
    fn patience(&self) -> Duration;

    /// Makes the target.
    async fn create(&self, order: &Order) -> Result<Throwaway, ProviderError>;

    /// Cuts its power and starts it again on the same disk. `None` where that cannot be done.
    async fn reboot(&self, order: &Order) -> Option<Result<(), ProviderError>>;

    /// Takes away all there is of it. Repeatable, and bears that little or nothing was made.
    async fn destroy(&self, order: &Order) -> Result<(), ProviderError>;

    /// The last lines of its console, when there is one.
    fn console(&self, order: &Order) -> Option<String>;
}

/// What keeps a throwaway target from the production cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// The provider makes it so.
    Promised(String),
    /// Only the user can know.
    Unknown,
}

/// A target that was made.
#[derive(Debug, Clone)]
pub struct Throwaway {
    /// How its SSH server is reached.
    pub way: Way,
    /// Login user; one that is not root has sudo without a password.
    pub user: String,
    /// Its host key, `SHA256:…`; the order's own when it was given to the target.
    pub host_key: String,
}

/// A target that could not be made or taken away.
#[derive(Debug, Error)]
#[error("could not {what}: {reason}")]
pub struct ProviderError {
    /// The deed.
    pub what: String,
    /// What was said.
    pub reason: String,
}

impl ProviderError {
    fn new(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }
}

impl ProviderEntry {
    /// The provider itself; nothing is asked of it yet.
    pub fn provider(&self) -> &dyn Provider {
        match self {
            Self::Namespace(namespace) => namespace,
            Self::Qemu(qemu) => qemu,
            Self::Container(container) => container,
            Self::Command(command) => command,
        }
    }

    /// The paths that begin at the inventory's folder.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Namespace(namespace) => namespace.paths(),
            Self::Qemu(qemu) => qemu.paths(),
            Self::Container(_) | Self::Command(_) => Vec::new(),
        }
    }
}

/// Runs a program to its end; what it complained of is the reason when it failed.
async fn ended_well(command: &mut tokio::process::Command, what: &str) -> Result<Vec<u8>, ProviderError> {
    of_output(command.output().await.map_err(|error| ProviderError::new(what, error))?, what)
}

/// What a program printed, or what it complained of.
fn of_output(output: std::process::Output, what: &str) -> Result<Vec<u8>, ProviderError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = last_lines(&String::from_utf8_lossy(&output.stderr));
    let end = output.status;
    Err(ProviderError::new(what, said.map_or_else(|| end.to_string(), |said| format!("{end}\n{said}"))))
}

/// Handles of the processes that were started with such words. What a drill that was killed had started is found by these:
/// they hold from its first moment on, while the number of a process may be a stranger's by now.
fn started_with(ours: impl Fn(&[&[u8]]) -> bool) -> std::io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // The handle first: what is read then is of the process that it holds, however soon numbers are given again.
        let Some((pid, Ok(process))) = pid.map(|pid| (pid, pidfd_open(pid, PidfdFlags::empty()))) else { continue };
        let Ok(line) = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())) else { continue };
        if ours(&line.split(|byte| *byte == 0).collect::<Vec<_>>()) {
            found.push(process);
        }
    }
    Ok(found)
}

/// What is shown of a console or a complaint.
const MOST_LINES: usize = 20;

/// The end of a text, or nothing when it is empty.
fn last_lines(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(MOST_LINES);
    (!lines.is_empty()).then(|| lines[from..].join("\n"))
}
