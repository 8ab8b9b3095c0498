//! Files and folders of the owner's alone that outlast a crash and a power cut from the moment that a call returns.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// The mode of what nobody else may read.
pub(crate) const PRIVATE: u32 = 0o600;

/// Makes what is missing of a path. Its own name, and each that was made, is on the disk when this returns.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing.iter().rev() {
        sync_name(made)?;
    }
    // It may be the work of a process that died before it could sync.
    sync_name(path)
}

/// Makes a folder that must not be there. Its name is durable once [`sync_name`] says so.
pub(crate) fn new_folder(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Gives a path these bytes at once: whoever reads it, after whatever crash, sees the old ones or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    sync_name(path)
}

/// Makes a path's own name durable.
pub(crate) fn sync_name(path: &Path) -> Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(above).and_then(|above| above.sync_all()) {
        // A folder that this user may not read is not one that this user has made a name in.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}
