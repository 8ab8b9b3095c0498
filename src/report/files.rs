//! A report's files in a folder: private, and each whole or not there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::evidence::Evidence;
use super::html;

/// A report that could not be written.
#[derive(Debug, Error)]
#[error("could not write `{}`", path.display())]
pub struct FileError {
    path: PathBuf,
    source: std::io::Error,
}

impl Evidence {
    /// Writes `report.json` and `report.html`, mode 0600.
    pub fn write_to(&self, folder: &Path) -> Result<(), FileError> {
        let json = self.json().map_err(|error| failed(&folder.join("report.json"), error.into()))?;
        for (name, text) in [("report.json", json), ("report.html", html(self))] {
            let path = folder.join(name);
            write(&path, text.as_bytes()).map_err(|source| failed(&path, source))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, source: std::io::Error) -> FileError {
    FileError { path: path.to_owned(), source }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
