//! What is known of a host before anything is done: gathered by one script, in one round trip.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Target, TargetError, facts_text, quote, script};
use crate::text::Values;

/// What [`Facts::values`] names, all beginning with `target.`.
pub const VALUE_NAMES: &[&str] = &[
    "target.address",
    "target.etcdctl_version",
    "target.etcdutl_version",
    "target.hostname",
    "target.kernel",
    "target.kubeadm_version",
    "target.kubelet_version",
    "target.machine",
    "target.os",
];

/// A host as it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its host name.
    pub hostname: String,
    /// Its boot: changes with each start.
    pub boot_id: String,
    /// Its clock, in Unix seconds.
    pub clock: f64,
    /// Who the scripts run as.
    pub uid: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The architecture, as `uname -m` says it.
    pub machine: String,
    /// The distribution, as it calls itself.
    pub os: String,
    /// Whether systemd is init.
    pub systemd: bool,
    /// The programs of interest that are there.
    pub tools: BTreeMap<String, Tool>,
    /// What drctl's own scripts need and do not find.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// The kubelet's service, when systemd knows one.
    pub kubelet: Option<Kubelet>,
    /// All global addresses.
    pub addresses: Vec<String>,
    /// The first IPv4 address of the device with the default route, else the first there is.
    pub address: Option<String>,
    /// TCP ports that something listens on.
    pub listening: Vec<u16>,
    /// Container images that look like etcd's.
    pub images: Vec<Image>,
    /// drctl's own folder.
    pub home: HomeState,
    /// The paths asked about.
    pub paths: BTreeMap<String, PathState>,
}

/// A program on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Where it is.
    pub path: String,
    /// Its version as `1.2.3`.
    pub version: Option<String>,
    /// Whether it has `snapshot restore`.
    pub restores: bool,
    /// Whether that has `--bump-revision`.
    pub bumps: bool,
}

/// The kubelet's service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubelet {
    /// Whether it runs.
    pub active: bool,
    /// Whether it is started at boot.
    pub enabled: bool,
}

/// A container image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `containerd`, `docker` or `podman`.
    pub engine: String,
    /// Its reference.
    pub name: String,
}

/// Whether drctl's folder can be worked in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomeState {
    /// It is not there yet.
    Absent,
    /// It is root's alone.
    Safe,
    /// It must not be used.
    Unsafe {
        /// Why.
        reason: String,
    },
}

/// A path on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathState {
    /// What is there.
    pub kind: PathKind,
    /// Whether nothing is in it.
    pub empty: bool,
    /// The path with all links followed, as far as it is there.
    pub resolved: Option<String>,
    /// The file system that it is on, or would be.
    pub filesystem: Option<Filesystem>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A folder that a file system is mounted on.
    Mount,
    /// A symbolic link.
    Symlink,
    /// Something else.
    Other,
}

/// A file system, as far as space is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Equal for paths of the same file system.
    pub id: u64,
    /// Free for root, in bytes.
    pub free: u64,
}

impl Facts {
    /// What playbooks may refer to.
    pub fn values(&self) -> Values {
        let version = |tool: &str| self.tools.get(tool).and_then(|tool| tool.version.clone());
        [
            ("target.address", self.address.clone()),
            ("target.etcdctl_version", version("etcdctl")),
            ("target.etcdutl_version", version("etcdutl")),
            ("target.hostname", Some(self.hostname.clone())),
            ("target.kernel", Some(self.kernel.clone())),
            ("target.kubeadm_version", version("kubeadm")),
            ("target.kubelet_version", version("kubelet")),
            ("target.machine", Some(self.machine.clone())),
            ("target.os", Some(self.os.clone())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

#[cfg(test)]
impl Facts {
    /// A host that has nothing, for tests that add what they are about.
    pub(crate) fn bare() -> Self {
        Self {
            hostname: "h".to_owned(),
            boot_id: String::new(),
            clock: 0.0,
            uid: 0,
            kernel: String::new(),
            machine: String::new(),
            os: String::new(),
            systemd: true,
            tools: BTreeMap::new(),
            lacks: Vec::new(),
            kubelet: None,
            addresses: Vec::new(),
            address: None,
            listening: Vec::new(),
            images: Vec::new(),
            home: HomeState::Absent,
            paths: BTreeMap::new(),
        }
    }
}

impl Target {
    /// Gathers what is known of the host, and of these paths on it.
    pub async fn facts(&self, paths: &[&str]) -> Result<Facts, TargetError> {
        let arguments: String = paths.iter().map(|path| format!(" {}", quote(path))).collect();
        let body = format!("set --{arguments}\n{}", include_str!("facts.sh"));
        let answer = self.ask("gather facts", &script(&[("home", self.home())], &body)).await?;
        facts_text::read(&answer, paths).map_err(|odd| self.unknown_answer("what it is", &odd))
    }
}
