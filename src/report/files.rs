//! Reports in their folder: each form a file, signed when that is wanted, and metrics for Prometheus.

use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::evidence::Evidence;
use super::metrics::{file_name, metrics};
use super::signature::{SignError, Signer};
use super::{html, markdown};
use crate::causes::chain;
use crate::durable::{self, PRIVATE};
use crate::inventory::{Reporting, SigningKey};

/// `node_exporter` is another user; metrics are figures.
const FOR_ALL: u32 = 0o644;

/// A report's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// For a browser, and for paper.
    pub html: PathBuf,
    /// For tickets and repositories.
    pub markdown: PathBuf,
    /// For programs.
    pub json: PathBuf,
    /// Whether each has its signature beside it: its name with `.sig`.
    pub signed: bool,
}

#[derive(Debug, Error)]
enum FileError {
    #[error("could not write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Writes all forms, signs them, and tells Prometheus. No report is worth a run: what could not be done is only told,
/// as sentences. Nothing is answered when the files themselves could not be written.
pub async fn keep(folder: &Path, evidence: &Evidence, settings: &Reporting) -> (Option<Written>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut told = |what: &str, error: &FileError| warnings.push(format!("{what}: {}", chain(error)));
    let mut written = None;
    match write(folder, evidence) {
        Err(error) => told("the report is not kept", &error),
        Ok((mut files, contents)) => {
            if let Some(signing) = &settings.sign {
                match sign(signing, &contents).await {
                    Ok(()) => files.signed = true,
                    Err(error) => told("the report is not signed", &error),
                }
            }
            written = Some(files);
        }
    }
    if let Some(folder) = &settings.metrics
        && let Err(error) = place(&folder.join(file_name(evidence)), &metrics([evidence]), FOR_ALL)
    {
        told("the metrics are not written", &error);
    }
    (written, warnings)
}

type Contents = [(PathBuf, String); 3];

/// The three files, and what is in each.
fn write(folder: &Path, evidence: &Evidence) -> Result<(Written, Contents), FileError> {
    let path = |form: &str| folder.join(format!("report.{form}"));
    let json_text = evidence
        .json()
        .map_err(|error| FileError::Write { path: path("json"), source: std::io::Error::other(error) })?;
    let written = Written { html: path("html"), markdown: path("md"), json: path("json"), signed: false };
    let contents = [
        (written.json.clone(), json_text),
        (written.markdown.clone(), markdown(evidence)),
        (written.html.clone(), html(evidence)),
    ];
    for (path, text) in &contents {
        // A signature of what was there before would call this one forged.
        match std::fs::remove_file(signature_of(path)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::Write { path: signature_of(path), source });
            }
            Ok(()) | Err(_) => {}
        }
        // A report names hosts, paths and what is weak.
        place(path, text, PRIVATE)?;
    }
    Ok((written, contents))
}

async fn sign(signing: &SigningKey, contents: &Contents) -> Result<(), FileError> {
    let mut signer = Signer::open(signing).await?;
    for (path, text) in contents {
        place(&signature_of(path), &signer.sign(text.as_bytes()).await?, PRIVATE)?;
    }
    Ok(())
}

fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Gives a path this text at once.
fn place(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    durable::replace(path, text.as_bytes(), mode).map_err(|source| FileError::Write { path: path.to_owned(), source })
}
