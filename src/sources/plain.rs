//! Snapshots that are packed or encrypted: seen through, and kept unpacked no longer than this process lives.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::Unfit;
use crate::durable::PRIVATE;
use crate::inventory::{Inventory, SecretRef, Size};
use crate::packing::{HEAD, Identities, Limit, Packing, unpack};
use crate::snapshot::Verdict;

/// What copies and unpacking leave free on the controller's disk, for journals.
const RESERVE: u64 = 64 << 20;

/// How packed snapshots are opened, and how large they may become.
#[derive(Debug, Clone, Default)]
pub struct Unpack {
    /// Opens those that are encrypted.
    pub identity: Option<SecretRef>,
    /// The greatest size unpacked.
    pub limit: Size,
}

impl From<&Inventory> for Unpack {
    fn from(inventory: &Inventory) -> Self {
        Self { identity: inventory.age.identity.clone(), limit: inventory.policy.max_unpacked_size }
    }
}

/// What was unpacked: a file without a name in the cache's file system. The kernel frees it when this process ends, however
/// it ends, so that nothing decrypted outlives it.
#[derive(Debug)]
pub struct Plain {
    file: File,
}

impl Plain {
    /// Where this process finds it; to others the path means nothing.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

impl Unpack {
    /// What is within a file, and how it was packed; `None` when it is not packed at all.
    pub(super) async fn open(&self, path: &Path, cache: &Path) -> Result<Option<(Arc<Plain>, Vec<Packing>)>, Unfit> {
        let (path, cache) = (path.to_owned(), cache.to_owned());
        let (identity, limit) = (self.identity.clone(), self.limit);
        let opening = tokio::task::spawn_blocking(move || {
            let failed = |error: io::Error| Unfit::Other(format!("`{}`: {error}", path.display()));
            if packing_of(&path).map_err(failed)?.is_none() {
                return Ok(None);
            }
            let identities = Identities::of(identity, Handle::current());
            let packed = File::open(&path).map_err(failed)?;
            unpack_into(packed, &identities, limit, &cache).map(Some)
        });
        opening.await.map_err(|error| Unfit::Other(error.to_string()))?
    }
}

fn unpack_into(
    packed: File,
    identities: &Identities<'_>,
    limit: Size,
    cache: &Path,
) -> Result<(Arc<Plain>, Vec<Packing>), Unfit> {
    let local = |error: io::Error| Unfit::Other(format!("`{}` on the controller: {error}", cache.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(cache).map_err(local)?;
    let mut file = tempfile::tempfile_in(cache).map_err(local)?;
    file.set_permissions(std::fs::Permissions::from_mode(PRIVATE)).map_err(local)?;
    let limit = bound(limit, cache).map_err(local)?;
    let layers = unpack(BufReader::with_capacity(1 << 18, packed), identities, limit, &mut file)?;
    Ok((Arc::new(Plain { file }), layers))
}

/// The stated limit, or what fits the disk.
fn bound(limit: Size, cache: &Path) -> io::Result<Limit> {
    let free = spare(cache)?;
    Ok(if free < limit.bytes() {
        Limit { bytes: free, why: "the free space of the controller's state folder" }
    } else {
        Limit { bytes: limit.bytes(), why: "`max_unpacked_size` in `[policy]`" }
    })
}

/// How many bytes there is room for in a folder's file system.
pub(super) fn spare(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(RESERVE))
}

/// What a file is packed in.
pub(super) fn packing_of(path: &Path) -> io::Result<Option<Packing>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(Packing::of(&head))
}

/// Why a file that begins like this and is of this size cannot be a whole snapshot: known before the rest is fetched.
pub(super) fn hopeless(head: &[u8], size: u64) -> Option<String> {
    if size == 0 {
        return Some(Verdict::Empty.to_string());
    }
    if head.len() < HEAD || Packing::of(head).is_some() || size % 512 == 32 {
        return None;
    }
    // The trailer's 32 bytes follow whole pages.
    Some(format!(
        "truncated, or saved without its digest: a whole one has 32 bytes more than a multiple of 512, found {size} bytes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_unpacked_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db.zst");
        std::fs::write(&path, zstd::encode_all(&b"secret"[..], 1).unwrap()).unwrap();
        let (plain, _) = Unpack::default().open(&path, folder.path()).await.unwrap().unwrap();
        assert_eq!(plain.file.metadata().unwrap().permissions().mode() & 0o777, PRIVATE);
    }
}
