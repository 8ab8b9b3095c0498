//! Those before: what a trend is made of.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Kind, Outcome};
use crate::causes::chain;

/// A drill or a restore, as later ones remember it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Past {
    /// When it ended.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How it was judged.
    pub outcome: Outcome,
    /// Its RTO in seconds, when it was restored.
    pub rto_seconds: Option<f64>,
    /// Its RPO in seconds, when a snapshot was chosen.
    pub rpo_seconds: Option<f64>,
    /// Its id.
    pub id: String,
}

impl Past {
    /// What is remembered of a report.
    pub fn of(evidence: &Evidence) -> Self {
        Self {
            at: evidence.ended,
            outcome: evidence.verdict.outcome,
            rto_seconds: evidence.figures.rto_seconds,
            rpo_seconds: evidence.figures.rpo_seconds,
            id: evidence.id().to_owned(),
        }
    }
}

/// Reports in folders below this one (`<folder>/<id>/report.json`), of one kind and cluster, oldest first; and those
/// that could not be read, with why. A folder that is not there holds none.
pub fn of_reports(folder: &Path, kind: Kind, cluster: &str) -> (Vec<Evidence>, Vec<(PathBuf, String)>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (found, unreadable),
        Err(error) => return (found, vec![(folder.to_owned(), error.to_string())]),
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path().join("report.json"),
            Err(error) => {
                unreadable.push((folder.to_owned(), error.to_string()));
                continue;
            }
        };
        match read(&path) {
            Ok(Some(evidence)) if evidence.kind == kind && evidence.cluster == cluster => found.push(evidence),
            Ok(_) => {}
            Err(reason) => unreadable.push((path, reason)),
        }
    }
    found.sort_by_key(|evidence| evidence.ended);
    (found, unreadable)
}

/// A report; nothing when there is none, as in the folder of one that is under way.
fn read(path: &Path) -> Result<Option<Evidence>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(chain(&error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| error.to_string())
}
