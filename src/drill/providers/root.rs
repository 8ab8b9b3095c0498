//! Root folders that are made once and used by every target: out of a tarball, or of a distribution's packages.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{ProviderError, ended_well};
use crate::drill::order::Order;
use crate::hex::hex;

/// A root of Debian's or Ubuntu's packages, made by `mmdebstrap`, else by `debootstrap`, at the first drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Debootstrap {
    /// The release, such as `bookworm`.
    pub suite: String,
    /// Where packages are taken from (default: the program's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Packages besides the smallest system and an SSH server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
}

/// Their folder, below the one that all drills share. One that is being made has the drill's id, with `.new`.
pub(in crate::drill) const ROOTS: &str = "roots";
/// What every target needs.
const ALWAYS: [&str; 2] = ["openssh-server", "iproute2"];

impl Debootstrap {
    /// The folder, made when it is not there.
    pub(super) async fn folder(&self, order: &Order) -> Result<PathBuf, ProviderError> {
        let packages: Vec<&str> = ALWAYS.into_iter().chain(self.include.iter().map(String::as_str)).collect();
        let packages = packages.join(",");
        let mirror = self.mirror.as_deref().unwrap_or_default();
        let digest = Sha256::digest(format!("{}\n{mirror}\n{packages}", self.suite));
        let digest = hex(&digest[..6]);
        let what = format!("make a root of {}", self.suite);
        let programs = ["mmdebstrap", "debootstrap"];
        let program = programs.into_iter().find(|program| is_there(program)).ok_or_else(|| {
            ProviderError::new(&what, "neither `mmdebstrap` nor `debootstrap` is on this machine: install one of them")
        })?;
        once(order, &format!("{}-{digest}", self.suite), async |new| {
            let mut command = Command::new(program);
            command.args(["--variant=minbase", &format!("--include={packages}"), &self.suite]).arg(new);
            command.args(self.mirror.as_deref()).stdin(Stdio::null()).env("LC_ALL", "C");
            ended_well(&mut command, &what).await.map(drop)
        })
        .await
    }
}

/// A folder as it is; a tarball unpacked, once for each of its states.
pub(super) async fn of_path(path: &Path, order: &Order) -> Result<PathBuf, ProviderError> {
    let what = format!("use `{}` as a root", path.display());
    let meta = std::fs::metadata(path).map_err(|error| ProviderError::new(&what, error))?;
    if meta.is_dir() {
        return Ok(path.to_owned());
    }
    let changed = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    once(order, &format!("{name}-{}-{}", meta.len(), changed.unwrap_or_default().as_nanos()), async |new| {
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--numeric-owner", "--preserve-permissions", "--xattrs", "--file"]);
        tar.arg(path).arg("--directory").arg(new).stdin(Stdio::null());
        ended_well(&mut tar, &what).await.map(drop)
    })
    .await
}

/// Makes a folder below the one that all drills share, unless it is there: whole, or not at all.
async fn once(
    order: &Order,
    name: &str,
    make: impl AsyncFnOnce(&Path) -> Result<(), ProviderError>,
) -> Result<PathBuf, ProviderError> {
    let roots = order.shared.join(ROOTS);
    let (folder, new) = (roots.join(name), roots.join(format!("{}.new", order.id)));
    if folder.exists() {
        return Ok(folder);
    }
    let failed = |error: std::io::Error| ProviderError::new(format!("make the root `{}`", folder.display()), error);
    std::fs::create_dir_all(&new).map_err(failed)?;
    if let Err(error) = make(&new).await {
        drop(std::fs::remove_dir_all(&new));
        return Err(error);
    }
    match std::fs::rename(&new, &folder) {
        // Another drill was quicker with the same.
        Err(_) if folder.exists() => drop(std::fs::remove_dir_all(&new)),
        renamed => renamed.map_err(failed)?,
    }
    Ok(folder)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
