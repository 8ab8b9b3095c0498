//! Which program turns a snapshot into a data directory. One file and one line in [`ENGINES`] for each.

mod choice;
mod containers;
mod programs;

use std::fmt::Debug;

use crate::inventory::Inventory;
use crate::target::{Facts, quote};
use crate::version::minor;

pub use choice::{Choice, choose};

/// Every restore engine, in order of preference.
pub const ENGINES: &[&dyn RestoreEngine] = &[
    &programs::Etcdutl,
    &programs::Etcdctl,
    &containers::Docker,
    &containers::Containerd,
    &containers::Podman,
    &programs::Uploaded,
];

/// A program, on the host or in an image, that has `snapshot restore`.
pub trait RestoreEngine: Debug + Sync {
    /// The word that playbooks and plans use.
    fn name(&self) -> &'static str;

    /// What of it can be used on this host for a snapshot of this version of etcd, or why nothing can.
    fn probe(&self, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Result<Usable, String>;

    /// Shell text that restores. `usable` is its own answer to `probe`.
    fn command(&self, usable: &Usable, restore: &Restore<'_>) -> String;
}

/// A restore engine that can be used on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// The program's path, or the image's reference.
    pub program: String,
    /// The version of etcd that it comes from.
    pub version: Option<String>,
    /// Whether it has `--bump-revision`.
    pub bumps: bool,
}

/// One restore.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The snapshot on the target.
    pub snapshot: &'a str,
    /// A folder on the target that is there, for the new data directory.
    pub stage: &'a str,
    /// The member's name.
    pub name: &'a str,
    /// The member's peer URL.
    pub peer_url: &'a str,
    /// The new cluster's token.
    pub token: &'a str,
    /// By how much the revision grows, when the program can do that.
    pub bump: Option<u64>,
    /// Where an uploaded program lies.
    pub uploaded: &'a str,
    /// A name that no other container has.
    pub container: &'a str,
}

impl Restore<'_> {
    /// The arguments after the program's name, quoted.
    fn arguments(&self, bumps: bool) -> String {
        let mut words = vec![
            "snapshot".to_owned(),
            "restore".to_owned(),
            self.snapshot.to_owned(),
            format!("--data-dir={}/new", self.stage),
            format!("--name={}", self.name),
            format!("--initial-cluster={}={}", self.name, self.peer_url),
            format!("--initial-advertise-peer-urls={}", self.peer_url),
            format!("--initial-cluster-token={}", self.token),
        ];
        if let (Some(bump), true) = (self.bump, bumps) {
            words.extend([format!("--bump-revision={bump}"), "--mark-compacted".to_owned()]);
        }
        words.iter().map(quote).collect::<Vec<_>>().join(" ")
    }
}

/// Whether a version of etcd's tools has `--bump-revision`.
fn bumps(version: &str) -> bool {
    let patch = version.trim_start_matches('v').split(['.', '-']).nth(2).and_then(|part| part.parse::<u32>().ok());
    match (minor(version), patch) {
        (Some((3, 4)), Some(patch)) => patch >= 27,
        (Some((3, 5)), Some(patch)) => patch >= 10,
        (Some(minor), _) => minor >= (3, 6),
        (None, _) => false,
    }
}
