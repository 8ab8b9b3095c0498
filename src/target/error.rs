//! What could not be done on a target.

use thiserror::Error;

use crate::transport::TransportError;

/// What could not be done on a target.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The host could not be asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A command said no.
    #[error("could not {what} on {host} (exit status {status}){}", last_lines(.output))]
    Failed {
        /// The deed.
        what: String,
        /// The host.
        host: String,
        /// Its exit status.
        status: i32,
        /// The last lines it wrote.
        output: String,
    },
    /// Something on the host is not as drctl needs it to be safe.
    #[error("{host}: {reason}")]
    Refused {
        /// The host.
        host: String,
        /// What is where, and why that is not safe.
        reason: String,
    },
    /// Another controller took the lock over: this one may not write any more.
    #[error("{host} is now held by {holder}; nothing more is changed from here")]
    LostLock {
        /// The host.
        host: String,
        /// Who holds it.
        holder: String,
    },
    /// A file is not what was sent.
    #[error("`{path}` on {host} has the digest {found}, expected {expected}")]
    Digest {
        /// The host.
        host: String,
        /// The file.
        path: String,
        /// SHA-256 of what was sent.
        expected: String,
        /// SHA-256 of what is there.
        found: String,
    },
    /// A file of the controller could not be read.
    #[error("could not read `{path}` on the controller: {reason}")]
    Local {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A path that nothing may be done with.
    #[error("`{path}` is not a path that drctl changes: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// A script answered what no script of drctl's answers.
    #[error("{host} answered {what} in an unknown form: {answer:?}")]
    Answer {
        /// The host.
        host: String,
        /// The question.
        what: &'static str,
        /// What came.
        answer: String,
    },
}

/// Output as the end of an error message: indented, on lines of its own, nothing when empty.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(10)..];
    shown.iter().map(|line| format!("\n  | {line}")).collect()
}
