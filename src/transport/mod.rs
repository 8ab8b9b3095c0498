//! How commands and bytes reach a host: over SSH, or this machine's own `sh`.
//!
//! A script never stands in a command line. What the far side is asked to execute is a short
//! constant (`sh -c '… s=$(head -c N) … eval "$s"'`, after sudo where needed) that any login shell reads
//! alike; the script follows on standard input, then the payload. So neither argv nor a login
//! shell's quoting rules ever see a value or a secret.

mod auth;
mod channel;
mod connection;
mod drain;
mod error;
mod hop;
mod host_key;
mod identity;
mod jump;
mod known_hosts;
mod local;
mod signer;
mod ssh;
mod ssh_config;
mod sudo;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

pub use error::TransportError;
pub(crate) use identity::{open as open_key, public_half};
pub use local::Local;
pub use ssh::Ssh;

/// One script to run as root on the host.
pub struct Request<'a> {
    /// POSIX shell text.
    pub script: &'a str,
    /// What the script reads on standard input after its own text.
    pub stdin: Option<&'a mut (dyn AsyncRead + Send + Unpin)>,
    /// Where standard output goes; kept in the reply when `None`. A sink that waits for the same host may wait
    /// for ever: its connection stands still while more than a few MiB are not taken.
    pub stdout: Option<&'a mut (dyn AsyncWrite + Send + Unpin)>,
    /// After this the channel is closed and [`TransportError::TimeLimit`] returned.
    pub limit: Duration,
}

impl<'a> Request<'a> {
    /// A script without payload, limited to a minute.
    #[must_use]
    pub fn new(script: &'a str) -> Self {
        Self { script, stdin: None, stdout: None, limit: Duration::from_mins(1) }
    }
}

/// How a script ended. An ending that was not seen is an error, never a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Exit status; 128 + n for a signal n.
    pub status: i32,
    /// Standard output when the request named no sink: the first MiB.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

/// A connection to something that the host can reach.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A way to a host. Connects when first used, and again after a loss.
#[async_trait]
pub trait Transport: Debug + Send + Sync {
    /// The host as messages name it.
    fn host(&self) -> &str;

    /// Runs a script as root. After [`TransportError::Lost`] nobody knows whether it ran.
    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError>;

    /// Opens a TCP connection as the host would.
    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError>;

    /// How long a lost connection is worth trying again.
    fn reconnect_for(&self) -> Duration;

    /// How many connections were made so far. More than before: what went through an older one may have been cut off.
    fn connections(&self) -> u64;
}
