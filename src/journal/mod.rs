//! The run's write-ahead record: append-only, each record durable before what it announces.
//!
//! One JSON object on a line. Each carries a sum over itself and the sum before it, so that a
//! changed byte anywhere is noticed; an unfinished last line is what a crash leaves, and is dropped.

mod file;
mod lines;
mod record;
mod replay;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use thiserror::Error;

pub use file::Journal;
pub use record::Record;
pub use replay::{RunState, read};

use crate::engine::IllegalEvent;

/// A journal that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system said no.
    #[error("could not {what} `{}`", path.display())]
    Io {
        /// The deed.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another drctl works on this run.
    #[error("another drctl process has the journal `{}` open", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A record is not what was written.
    #[error("the journal `{}` is damaged at line {line}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The records do not make sense one after another.
    #[error("the journal `{}` cannot be right at line {line}", path.display())]
    Illegal {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The event that may not follow.
        source: IllegalEvent,
    },
    /// A later drctl wrote it.
    #[error("the journal `{}` has format {found}; this drctl reads up to {}", path.display(), crate::event::FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// It lies in the folder of another run.
    #[error("the journal `{}` is that of run `{found}`", path.display())]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
    },
    /// The first record is missing: the run was never begun.
    #[error("the journal `{}` is empty: the run was never begun", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}
