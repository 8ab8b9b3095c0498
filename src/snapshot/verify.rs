//! All that can be proved of a file by itself, each thing told apart: stricter than `etcdutl snapshot status`, which reads
//! the pages and never asks whether they are the server's.

use std::fs::File;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::bolt::{MetaFault, Metas};
use super::keyspace::{Alarm, ReadError};
use super::whole::{ExamineError, Examined, Sha256Sum, Verdict, examine};
use super::{Claims, Knowledge};
use crate::causes::chain;

/// What was found in a file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Verified {
    /// Whether nothing speaks against restoring it: its digest fits, its pages and records are sound.
    pub whole: bool,
    /// Its size in bytes; 0 when it could not be read to its end.
    pub size: u64,
    /// The digest of the whole file, trailer and all: what `sha256sum` says; null when it could not be read to its end.
    #[schemars(with = "Option<String>")]
    pub sha256: Option<Sha256Sum>,
    /// One entry for each thing that was looked at, from the outside in.
    pub proofs: Vec<Proof>,
    /// What it says of its cluster; `None` when it could not be read.
    #[serde(skip)]
    pub knowledge: Option<Knowledge>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Proof {
    /// What.
    pub of: Subject,
    /// How it came out.
    pub outcome: Outcome,
    /// In words.
    pub said: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The SHA-256 that the server put at the end.
    Digest,
    /// Both meta pages.
    Metas,
    /// Every page of every bucket, and the list of free pages.
    Pages,
    /// Every revision and record.
    Records,
    /// The Kubernetes objects that drctl reads.
    Objects,
    /// etcd's alarms: a store that was full is full again when it is restored.
    Alarms,
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as it should be, and no reason against restoring it.
    Warned,
    /// The file is not whole.
    Failed,
    /// Something before it failed.
    NotReached,
}

impl Verified {
    /// A file that could not be read to its end.
    pub fn unreadable(said: String) -> Self {
        let mut proofs = vec![proof(Subject::Digest, Outcome::Failed, said)];
        proofs.extend([Subject::Metas, Subject::Pages, Subject::Records].map(not_reached));
        Self { whole: false, size: 0, sha256: None, proofs, knowledge: None }
    }

    /// Why it is not whole, in one line.
    pub fn fault(&self) -> Option<&str> {
        self.proofs.iter().find(|proof| proof.is_failed()).map(|proof| proof.said.as_str())
    }

    /// What a control plane restored from it is compared with.
    pub fn claims(&self) -> Option<Claims> {
        self.knowledge.as_ref().map(Claims::from)
    }
}

/// Reads a file twice, once for its digest and once for its pages, and says all that was found.
pub fn verify(path: &Path) -> Result<Verified, ExamineError> {
    let Examined { size, sha256, verdict } = examine(path)?;
    let mut proofs = vec![digest(&verdict)];
    let mut knowledge = None;
    if matches!(verdict, Verdict::Empty | Verdict::NotBolt) {
        proofs.extend([Subject::Metas, Subject::Pages, Subject::Records].map(not_reached));
    } else {
        let metas = File::open(path).and_then(|file| Metas::read(&file));
        proofs.push(both_metas(&metas.map_err(|source| ExamineError::Read { after: 0, source })?));
        match Knowledge::read(path) {
            Ok(known) => {
                proofs.extend(sound(&known));
                knowledge = Some(known);
            }
            Err(error) => proofs.extend(unsound(&error)),
        }
    }
    let whole = proofs.iter().all(|proof| matches!(proof.outcome, Outcome::Passed | Outcome::Warned));
    Ok(Verified { whole, size, sha256: Some(sha256), proofs, knowledge })
}

impl Proof {
    /// Whether it is why the file is not whole.
    pub fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

fn proof(of: Subject, outcome: Outcome, said: impl Into<String>) -> Proof {
    Proof { of, outcome, said: said.into() }
}

fn not_reached(of: Subject) -> Proof {
    proof(of, Outcome::NotReached, "not reached")
}

fn digest(verdict: &Verdict) -> Proof {
    let outcome = if verdict.is_whole() { Outcome::Passed } else { Outcome::Failed };
    proof(Subject::Digest, outcome, verdict.to_string())
}

fn both_metas(metas: &Metas) -> Proof {
    let [first, second] = &metas.found;
    match (first, second) {
        (Ok(_), Ok(_)) => proof(Subject::Metas, Outcome::Passed, "both meta pages are valid"),
        (Err(fault), other) | (other, Err(fault)) => {
            let rest = match other {
                Ok(_) => "the other one is valid".to_owned(),
                Err(other) => MetaFault::to_string(other),
            };
            proof(Subject::Metas, Outcome::Failed, format!("a meta page is damaged: {fault}; {rest}"))
        }
    }
}

fn sound(known: &Knowledge) -> Vec<Proof> {
    let pages = known.pages;
    let lost = if pages.lost > 0 { format!(", {} lost", pages.lost) } else { String::new() };
    let totals = known.totals;
    let mut proofs = vec![
        proof(
            Subject::Pages,
            Outcome::Passed,
            format!("{} pages of {} bytes: {} used, {} free{lost}", pages.total, pages.size, pages.used, pages.free),
        ),
        proof(
            Subject::Records,
            Outcome::Passed,
            format!("{} records up to revision {}; {} keys live", totals.records, totals.revision, totals.live_keys),
        ),
        objects(known),
    ];
    let told = |alarm: &Alarm| match alarm {
        Alarm::NoSpace => "NOSPACE: the store was full, and refuses writes when it is restored".to_owned(),
        Alarm::Corrupt => "CORRUPT: the members' data differed".to_owned(),
        Alarm::Other(number) => format!("alarm {number}"),
    };
    if !known.etcd.alarms.is_empty() {
        let told: Vec<String> = known.etcd.alarms.iter().map(told).collect();
        proofs.push(proof(Subject::Alarms, Outcome::Warned, told.join("; ")));
    }
    proofs
}

fn objects(known: &Knowledge) -> Proof {
    let count: u64 = known.resources.values().map(|count| count.objects).sum();
    let Some(first) = known.unread.first() else {
        return if count == 0 {
            proof(Subject::Objects, Outcome::Warned, "no Kubernetes objects: nothing below /registry/")
        } else {
            proof(Subject::Objects, Outcome::Passed, format!("{count} Kubernetes objects"))
        };
    };
    let more = match known.unread.len() {
        1 => String::new(),
        all => format!(", and {} more", all - 1),
    };
    let said = format!("{count} Kubernetes objects; `{}` could not be read: {}{more}", first.key, first.reason);
    proof(Subject::Objects, Outcome::Warned, said)
}

fn unsound(error: &ReadError) -> Vec<Proof> {
    let said = chain(error);
    match error {
        ReadError::Pages(_) => vec![proof(Subject::Pages, Outcome::Failed, said), not_reached(Subject::Records)],
        ReadError::Foreign { .. } | ReadError::Aside { .. } | ReadError::Revision { .. } | ReadError::Record { .. } => {
            vec![not_reached(Subject::Pages), proof(Subject::Records, Outcome::Failed, said)]
        }
    }
}
