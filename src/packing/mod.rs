//! What a file is packed in, told by its first bytes and not by its name: gzip, zstd, age, and these within each other.
//!
//! [`unpack`] streams: it holds a window of the file, never the file. What comes out is bounded, at every layer, so that
//! a small file cannot fill a disk; an age file that was altered or cut off is an error before its end is reached.

mod identity;
mod layers;

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::inventory::SecretError;

pub use identity::{Identities, Identity, read as read_identities};

use layers::{Bomb, Layer};

/// As many layers as anybody has a use for, and one more.
const DEEPEST: usize = 4;

/// How many first bytes tell what a file is packed in.
pub const HEAD: usize = 64;

/// What an age file in ASCII armor begins with.
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// A way of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
    /// `age`, in its binary form or in ASCII armor.
    Age,
}

/// A packed file that could not be unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackingError {
    /// It is encrypted, and nothing says with what to decrypt it.
    #[error("encrypted with age, and the inventory has no `[age] identity` to decrypt it with")]
    NoIdentity,
    /// The identity cannot be had.
    #[error("the identity of `[age]`: {0}")]
    Identity(String),
    /// It is encrypted for others.
    #[error("encrypted with age for other recipients: none of the identities of `[age]` opens it")]
    OtherRecipients,
    /// It is encrypted with a passphrase.
    #[error(
        "encrypted with age and a passphrase, which drctl does not ask for: encrypt it for a recipient (`age -r age1…`)"
    )]
    Passphrase,
    /// It is larger than allowed.
    #[error(
        "more than {limit} bytes come out of it, which is all that {why} allows: no snapshot, or a larger limit is needed"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// What sets it.
        why: &'static str,
    },
    /// It ends before its end.
    #[error("the {packing} data is cut off")]
    CutOff {
        /// The outermost layer.
        packing: Packing,
    },
    /// Its bytes are not what its first ones promise.
    #[error("the {packing} data is damaged: {reason}")]
    Damaged {
        /// The outermost layer.
        packing: Packing,
        /// What was found.
        reason: String,
    },
    /// It is packed too often.
    #[error("packed more than {DEEPEST} times over")]
    TooDeep,
    /// What came out could not be written.
    #[error("could not write what comes out of it")]
    Write(#[source] io::Error),
}

/// How much may come out, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The most bytes.
    pub bytes: u64,
    /// What sets it, for messages.
    pub why: &'static str,
}

impl Packing {
    /// By a file's first bytes.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        const SKIPPABLE: std::ops::RangeInclusive<u8> = 0x50..=0x5f;
        match head {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [first, 0x2a, 0x4d, 0x18, ..] if SKIPPABLE.contains(first) => Some(Self::Zstd),
            _ if head.starts_with(b"age-encryption.org/") || head.starts_with(ARMOR) => Some(Self::Age),
            _ => None,
        }
    }

    /// What names of packed files end with.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Age => ".age",
        }
    }
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Age => "age",
        })
    }
}

/// A name without the endings of packed files: `a.db` of `a.db.zst.age`.
#[must_use]
pub fn without_endings(mut name: &str) -> &str {
    while let Some(rest) =
        [Packing::Gzip, Packing::Zstd, Packing::Age].iter().find_map(|p| name.strip_suffix(p.ending()))
    {
        name = rest;
    }
    name
}

/// Writes what is packed, and answers how it was packed, outermost first; `identities` are asked for when there is need.
pub fn unpack(
    input: impl BufRead + Send,
    identities: &Identities<'_>,
    limit: Limit,
    out: &mut impl Write,
) -> Result<Vec<Packing>, PackingError> {
    let mut layers = Vec::new();
    let mut layer = Layer::outermost(input);
    while let Some(packing) = layer.packing().map_err(|error| damaged(&layers, limit, &error))? {
        if layers.len() == DEEPEST {
            return Err(PackingError::TooDeep);
        }
        layers.push(packing);
        layer = layer.open(packing, identities, limit.bytes)?;
    }
    let mut buffer = vec![0; 1 << 18];
    loop {
        match io::Read::read(&mut layer, &mut buffer) {
            Ok(0) => return Ok(layers),
            Ok(count) => out.write_all(&buffer[..count]).map_err(PackingError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(&layers, limit, &error)),
        }
    }
}

/// An error within layers is told of the innermost: the others passed their own checks so far.
fn damaged(layers: &[Packing], limit: Limit, error: &io::Error) -> PackingError {
    let packing = layers.last().copied().unwrap_or(Packing::Gzip);
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Bomb>) {
        return PackingError::TooLarge { limit: limit.bytes, why: limit.why };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => PackingError::CutOff { packing },
        _ => PackingError::Damaged { packing, reason: error.to_string() },
    }
}

impl From<SecretError> for PackingError {
    fn from(error: SecretError) -> Self {
        Self::Identity(error.to_string())
    }
}

#[cfg(test)]
mod tests;
