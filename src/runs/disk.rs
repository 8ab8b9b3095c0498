//! Files and folders of runs: private, and durable before anything is built on them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::RunsError;

/// Makes what is missing of a path. Its own name, and each that was made, is on the disk when this returns.
pub(super) fn private_folder(path: &Path) -> Result<(), RunsError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| io("make the folder", path, source))?;
    for made in missing.iter().rev() {
        sync_name(made)?;
    }
    // It may be the work of a process that died before it could sync.
    sync_name(path)
}

/// Makes a folder that must not be there.
pub(super) fn new_folder(path: &Path) -> Result<(), RunsError> {
    DirBuilder::new().mode(0o700).create(path).map_err(|source| io("make the folder", path, source))?;
    sync_name(path)
}

/// Writes a file that must not be there. Its name is durable once its folder is synced.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RunsError> {
    let write = || {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
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
    let written = write().map_err(|source| io("write", path, source))?;
    sync_name(path)?;
    Ok(written)
}

/// Makes a path's own name durable.
fn sync_name(path: &Path) -> Result<(), RunsError> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(above).and_then(|above| above.sync_all()) {
        // A folder that this user may not read is not one that this user has made a name in.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|source| io("sync", above, source)),
    }
}

pub(super) fn random_hex<const N: usize>() -> Result<String, RunsError> {
    let mut random = [0_u8; N];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io("read random bytes from", Path::new("getrandom"), error.into()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn io(what: &'static str, path: &Path, source: std::io::Error) -> RunsError {
    RunsError::Io { what, path: path.to_owned(), source }
}
