//! Reports in their folder: each form a file, signed when that is wanted, and metrics for Prometheus.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::evidence::Evidence;
use super::metrics::{file_name, metrics};
use super::signature::{SignError, Signer};
use super::{html, markdown};
use crate::causes::chain;
use crate::inventory::{Reporting, SigningKey};

/// The owner's alone: a report names hosts, paths and what is weak.
const PRIVATE: u32 = 0o600;
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

/// Gives a path this text at once: whoever reads it sees the old one or the new one.
fn place(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| FileError::Write { path: path.to_owned(), source })
}
