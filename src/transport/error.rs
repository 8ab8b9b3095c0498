//! What can go wrong between the controller and a host.

use std::time::Duration;

use thiserror::Error;

/// A host that could not be asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No TCP connection, or no SSH handshake.
    #[error("could not connect to {host} (port {port})")]
    Connect {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The host key is unknown, changed, revoked, or not the pinned one.
    #[error("the host key of {host} is not to be trusted: {reason}\n  expected: {expected}\n  found:    {found}")]
    HostKey {
        /// The host.
        host: String,
        /// Unknown, changed, revoked or not the pinned one.
        reason: String,
        /// The fingerprints that would have been accepted, and where they are written.
        expected: String,
        /// The fingerprint that was shown.
        found: String,
    },
    /// No key, certificate or agent identity was accepted.
    #[error("{host} accepted none of the credentials for {user}: {tried}")]
    Auth {
        /// The host.
        host: String,
        /// The login user.
        user: String,
        /// What was offered and what became of it.
        tried: String,
    },
    /// An identity, certificate, known hosts or configuration file is of no use.
    #[error("could not use {what}: {reason}")]
    Config {
        /// The file or setting.
        what: String,
        /// Why.
        reason: String,
    },
    /// The login user cannot become root.
    #[error("{user} cannot become root on {host}: {reason}")]
    Become {
        /// The host.
        host: String,
        /// The login user.
        user: String,
        /// What sudo said.
        reason: String,
    },
    /// The connection broke while something ran: its outcome is unknown.
    #[error("lost the connection to {host}: {reason}")]
    Lost {
        /// The host.
        host: String,
        /// What was noticed.
        reason: String,
    },
    /// A script did not end in its time.
    #[error("a command on {host} did not end within {limit:?}")]
    TimeLimit {
        /// The host.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The server refuses TCP forwarding, or nothing listens there.
    #[error("could not reach {to} through {host}: {reason}")]
    Forward {
        /// The host that was to forward.
        host: String,
        /// The far end.
        to: String,
        /// Whether the host tried to connect: without that nothing is known of the far end.
        tried: bool,
        /// What it said.
        reason: String,
    },
    /// The payload or the sink of a request failed on the controller.
    #[error("could not {what} on the controller")]
    Local {
        /// What was being done.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl TransportError {
    /// Whether trying again may help: the way to the host failed, not what was asked of it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. })
    }

    /// The same once more, when it is the host's refusal and not worth asking for again.
    pub(super) fn refusal(&self) -> Option<Self> {
        if let Self::HostKey { host, reason, expected, found } = self {
            let (host, reason, expected, found) = (host.clone(), reason.clone(), expected.clone(), found.clone());
            return Some(Self::HostKey { host, reason, expected, found });
        }
        if let Self::Auth { host, user, tried } = self {
            return Some(Self::Auth { host: host.clone(), user: user.clone(), tried: tried.clone() });
        }
        None
    }
}
