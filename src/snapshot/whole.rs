//! Is a snapshot file whole? Decided by its own SHA-256 trailer, in one pass, without an etcd tool.
//!
//! The server ends a snapshot with the SHA-256 of all before it: 32 bytes, which is how a file's size tells (it is 32 more
//! than a multiple of 512). `etcdctl snapshot status` never looks at it; a restore does, after it has written to the target.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::bolt::{BoltError, Metas};

/// Bytes of the trailer.
const TRAILER: usize = 32;
/// A snapshot without its trailer is made of pages, whose sizes are multiples of this.
const BLOCK: u64 = 512;
/// What is read at a time: enough that the hash is what takes the time.
const CHUNK: usize = 1 << 20;

/// A SHA-256, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Sum(pub [u8; 32]);

/// A file as it was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the whole file, trailer and all: what `sha256sum` says.
    pub sha256: Sha256Sum,
    /// Whether it may be restored.
    pub verdict: Verdict,
}

/// What became of the snapshot on its way here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Error)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every byte is as the server sent it.
    #[error("whole: its SHA-256 trailer fits")]
    Whole,
    /// Nothing in it.
    #[error("empty: 0 bytes")]
    Empty,
    /// Some other file.
    #[error("not an etcd snapshot: no bbolt meta page in it")]
    NotBolt,
    /// The meta pages are there and damaged.
    #[error("damaged: both meta pages are bad ({reason})")]
    BothMetasBad {
        /// What is wrong with each.
        reason: String,
    },
    /// It ends too early.
    #[error("truncated: {found} bytes of {expected}")]
    Truncated {
        /// What its meta page promises, with the trailer.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A database without a trailer: copied from a data folder, not saved through the API.
    #[error("no SHA-256 trailer: a database copied from a data folder, which nothing proves to be whole")]
    NoTrailer,
    /// It goes on after the end, by something that is neither pages nor a trailer.
    #[error("{found} bytes, but its pages and trailer are {expected}: something was added or lost at the end")]
    OddSize {
        /// Pages in use and trailer.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The bytes are not those that the server sent.
    #[error("damaged: its trailer says SHA-256 {expected}, its bytes have {found}")]
    Mismatch {
        /// As the trailer says.
        expected: Sha256Sum,
        /// As computed.
        found: Sha256Sum,
    },
}

/// A file that could not be examined at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// It could not be opened.
    #[error("could not open the snapshot")]
    Open {
        /// Why.
        source: std::io::Error,
    },
    /// It could not be read to its end.
    #[error("could not read the snapshot after {after} bytes")]
    Read {
        /// What was read before.
        after: u64,
        /// Why.
        source: std::io::Error,
    },
    /// Its size changed meanwhile.
    #[error("the snapshot changed while it was read: {before} bytes, then {after}; is it still being written?")]
    Changed {
        /// The size at first.
        before: u64,
        /// What was read.
        after: u64,
    },
}

/// Computes both digests of a snapshot that passes by: of all bytes, and of all but the trailer.
#[derive(Debug, Clone, Default)]
pub struct Digester {
    body: Sha256,
    /// The last bytes seen, at most a trailer's worth: they may turn out to be it.
    held: Vec<u8>,
    size: u64,
}

/// What a [`Digester`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Bytes seen.
    pub size: u64,
    /// Of all bytes.
    pub whole: Sha256Sum,
    /// Of all but the last 32.
    pub body: Sha256Sum,
    /// The last 32 bytes; `None` when there were fewer.
    pub trailer: Option<Sha256Sum>,
}

impl Verdict {
    /// Whether it is proved whole.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let (old, new) = (self.held.len(), bytes.len());
        let settled = (old + new).saturating_sub(TRAILER);
        self.body.update(&self.held[..settled.min(old)]);
        self.held.drain(..settled.min(old));
        let (body, tail) = bytes.split_at(settled.saturating_sub(old));
        self.body.update(body);
        self.held.extend_from_slice(tail);
    }

    /// The digests of what was seen so far.
    pub fn digests(&self) -> Digests {
        let whole = self.body.clone().chain_update(&self.held);
        Digests {
            size: self.size,
            whole: Sha256Sum(whole.finalize().into()),
            body: Sha256Sum(self.body.clone().finalize().into()),
            trailer: self.held.as_slice().try_into().ok().map(Sha256Sum),
        }
    }
}

/// Reads a file once, from end to end, and says what it is.
pub fn examine(path: &Path) -> Result<Examined, ExamineError> {
    examine_with(path, |_| {})
}

/// The same; `seen` is told how many bytes were read so far.
pub fn examine_with(path: &Path, mut seen: impl FnMut(u64)) -> Result<Examined, ExamineError> {
    let mut file = File::open(path).map_err(|source| ExamineError::Open { source })?;
    let before = file.metadata().map_err(|source| ExamineError::Open { source })?.len();
    let metas = Metas::read(&file).map_err(|source| ExamineError::Read { after: 0, source })?;
    let mut digester = Digester::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => digester.update(&chunk[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ExamineError::Read { after: digester.size, source }),
        }
        seen(digester.size);
    }
    let digests = digester.digests();
    if digests.size != before {
        return Err(ExamineError::Changed { before, after: digests.size });
    }
    Ok(Examined { size: digests.size, sha256: digests.whole, verdict: verdict(&digests, &metas) })
}

/// A trailer that fits proves the whole file; all else is only about saying what happened to it.
fn verdict(digests: &Digests, metas: &Metas) -> Verdict {
    let found = digests.size;
    if found == 0 {
        return Verdict::Empty;
    }
    let meta = match metas.newest() {
        Ok(meta) => meta,
        Err(BoltError::NotBolt) => return Verdict::NotBolt,
        Err(error) => return Verdict::BothMetasBad { reason: error.to_string() },
    };
    let expected = meta.used().saturating_add(TRAILER as u64);
    match digests.trailer.filter(|_| found % BLOCK == TRAILER as u64) {
        Some(trailer) if trailer == digests.body => Verdict::Whole,
        Some(_) | None if found < meta.used() => Verdict::Truncated { expected, found },
        Some(trailer) if found == expected => Verdict::Mismatch { expected: trailer, found: digests.body },
        None if found.is_multiple_of(BLOCK) => Verdict::NoTrailer,
        None if found < expected => Verdict::Truncated { expected, found },
        Some(_) | None => Verdict::OddSize { expected, found },
    }
}

impl std::fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a SHA-256 of 64 hexadecimal digits")]
pub struct NotASum;

impl std::str::FromStr for Sha256Sum {
    type Err = NotASum;

    fn from_str(text: &str) -> Result<Self, NotASum> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotASum);
        }
        let mut sum = [0; 32];
        for (byte, at) in sum.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotASum)?;
        }
        Ok(Self(sum))
    }
}

impl Serialize for Sha256Sum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Sum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
