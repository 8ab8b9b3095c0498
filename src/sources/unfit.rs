//! Why a snapshot cannot be used, and what that says of the others.

use thiserror::Error;

use super::SourceError;
use crate::causes::chain;
use crate::packing::PackingError;

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Its bytes are not a whole snapshot's, and never will be.
    #[error("{0}")]
    Damaged(String),
    /// It is encrypted for others, as the next one may be.
    #[error("{0}")]
    ForOthers(String),
    /// What opens encrypted ones cannot be had: none of them can be opened.
    #[error("{0}")]
    NoIdentity(String),
    /// The way to its source broke, as it will for the next one.
    #[error("{0}")]
    OutOfReach(String),
    /// Something that may be otherwise the next time, such as a full disk.
    #[error("{0}")]
    Other(String),
}

impl From<PackingError> for Unfit {
    fn from(error: PackingError) -> Self {
        let reason = chain(&error);
        match error {
            PackingError::NoIdentity | PackingError::Identity(_) => Self::NoIdentity(reason),
            PackingError::OtherRecipients => Self::ForOthers(reason),
            PackingError::CutOff { .. } | PackingError::Damaged { .. } => Self::Damaged(reason),
            _ => Self::Other(reason),
        }
    }
}

impl From<SourceError> for Unfit {
    fn from(error: SourceError) -> Self {
        let reason = error.to_string();
        match error {
            SourceError::Lost { .. } => Self::OutOfReach(reason),
            _ => Self::Other(reason),
        }
    }
}
