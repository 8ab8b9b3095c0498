//! Files and folders of runs: private, and durable before anything is built on them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::RunsError;
use crate::durable::{self, PRIVATE};
use crate::hex::hex;

/// Makes what is missing of a path, durably.
pub(super) fn private_folder(path: &Path) -> Result<(), RunsError> {
    durable::private_folder(path).map_err(|source| io("make the folder", path, source))
}

/// Makes a folder that must not be there.
pub(super) fn new_folder(path: &Path) -> Result<(), RunsError> {
    durable::new_folder(path).map_err(|source| io("make the folder", path, source))
}

/// Writes a file that must not be there. Its name is durable once its folder is synced.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RunsError> {
    let write = || {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| io("write", path, source))
}

/// Gives a file this text at once, unless another process has given it a good one; which text it has.
pub(super) fn write_once(path: &Path, text: &str, good: impl Fn(&str) -> bool) -> Result<String, RunsError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        if let Err(error) = new.persist_noclobber(path) {
            if error.error.kind() != ErrorKind::AlreadyExists {
                return Err(error.error);
            }
            let there = std::fs::read_to_string(path)?;
            if good(&there) {
                return Ok(there);
            }
            error.file.persist(path).map_err(|error| error.error)?;
        }
        Ok(text.to_owned())
    };
    let written = write().and_then(|written| durable::sync_name(path).map(|()| written));
    written.map_err(|source| io("write", path, source))
}

pub(super) fn random_hex<const N: usize>() -> Result<String, RunsError> {
    let mut random = [0_u8; N];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io("read random bytes from", Path::new("getrandom"), error.into()))?;
    Ok(hex(&random))
}

pub(super) fn io(what: &'static str, path: &Path, source: std::io::Error) -> RunsError {
    RunsError::Io { what, path: path.to_owned(), source }
}
