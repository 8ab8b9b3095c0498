//! The inventory: which cluster is to be brought back, onto which host, from what.
//!
//! These types are what a person may write in `prod.toml`; `inventory.example.toml` shows
//! every key. Nothing here reads a secret: a [`SecretRef`] only says where one is.

mod duration;
mod load;
mod paths;
mod pki_files;
mod prompt;
mod rules;
mod secret;
mod size;
mod values;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use duration::Span;
pub use load::{Loaded, load, parse};
pub use pki_files::{ENCRYPTION_CONFIG, Fetched, PkiFile, PkiFiles, PkiSource};
pub use prompt::Question;
pub(crate) use prompt::unless_asking;
pub use secret::{Secret, SecretError, SecretRef};
pub use size::Size;
pub use values::{NAMES, split_endpoint};

pub use crate::document::LoadError;
use crate::drill::DrillSettings;
use crate::sources::{ObjectStore, SourceEntry, SshFolder};

/// One cluster and all that a recovery of it needs to know.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The cluster that is brought back.
    pub cluster: Cluster,
    /// The host that becomes the control plane.
    pub target: SshHost,
    /// Where snapshots are found; the newest valid one of all sources is taken.
    #[serde(rename = "snapshots")]
    pub sources: Vec<SourceEntry>,
    /// Where the certificate authorities are.
    pub pki: Pki,
    /// What opens files that are encrypted with age.
    #[serde(default)]
    pub age: Age,
    /// How old, how long, and what to do on failure.
    #[serde(default)]
    pub policy: Policy,
    /// How the old master is kept from coming back.
    #[serde(default)]
    pub fencing: Fencing,
    /// Where runs are recorded.
    #[serde(default)]
    pub state: State,
    /// How its recovery is rehearsed.
    #[serde(default)]
    pub drill: DrillSettings,
    /// What is made of reports besides their files.
    #[serde(default)]
    pub report: Reporting,
}

/// The cluster that is brought back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Its name: letters, digits, `-`, `_` and `.`; used in reports and file names.
    pub name: String,
    /// The UID of its namespace `kube-system`, which no other cluster has; a snapshot of another is refused.
    pub uid: Option<String>,
    /// `host:port` where nodes and clients reach the API server.
    pub endpoint: String,
    /// The Kubernetes version to initialise, such as `1.20.2`; kubeadm's own when unset.
    pub kubernetes: Option<String>,
    /// The address etcd and the API server advertise; the target's default address when unset.
    pub advertise_address: Option<String>,
    /// The control plane's node name; the target's host name when unset.
    pub node_name: Option<String>,
    /// A file with kubeadm's `ClusterConfiguration` (and `InitConfiguration`, when there is one).
    pub kubeadm_config: Option<PathBuf>,
    /// The same, written here.
    pub kubeadm_config_inline: Option<String>,
    /// The etcd image that holds `etcdutl` or `etcdctl`, for restoring through a container engine.
    pub etcd_image: Option<String>,
    /// An `etcdutl` on the controller, uploaded when the target has no tool of its own.
    pub etcdutl: Option<PathBuf>,
    /// A kubeconfig from before the disaster, to prove that old credentials work again.
    pub admin_kubeconfig: Option<PathBuf>,
}

/// A host reached over SSH. What is unset here is taken from `~/.ssh/config`, then from SSH's defaults.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshHost {
    /// Name, address or `Host` alias of the SSH configuration.
    pub host: String,
    /// TCP port.
    pub port: Option<u16>,
    /// Login user.
    pub user: Option<String>,
    /// Private key file; tried before the agent's keys.
    pub identity: Option<PathBuf>,
    /// The passphrase of that key.
    pub identity_passphrase: Option<SecretRef>,
    /// OpenSSH certificate for that key; `<identity>-cert.pub` is found by itself.
    pub certificate: Option<PathBuf>,
    /// Whether the SSH agent's keys are offered (default: yes, when `SSH_AUTH_SOCK` is set).
    pub agent: Option<bool>,
    /// The only host key accepted: `SHA256:…` as `ssh-keygen -lf` prints it.
    pub host_key: Option<String>,
    /// Known hosts file, instead of those of the SSH configuration.
    pub known_hosts: Option<PathBuf>,
    /// SSH configuration file, instead of `~/.ssh/config`; `"none"` for no file at all.
    pub ssh_config: Option<PathBuf>,
    /// Hosts to go through, in order; each a full description of its own.
    #[serde(default)]
    pub jump: Vec<SshHost>,
    /// How to become root (default: not at all when the login user is root, else sudo).
    #[serde(rename = "become")]
    pub become_root: Option<Become>,
    /// Limit for TCP connection and SSH handshake each (default `10s`).
    pub connect_timeout: Option<Span>,
    /// Interval of keepalives (default `10s`; three unanswered ones end the connection).
    pub keepalive: Option<Span>,
    /// How long a lost connection is tried again before the run stops at its checkpoint (default `5m`).
    pub reconnect_for: Option<Span>,
}

/// How the login user becomes root.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Become {
    /// The way.
    pub method: BecomeMethod,
    /// The password that sudo asks for; unset when the rule says NOPASSWD.
    pub password: Option<SecretRef>,
}

/// The ways of becoming root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BecomeMethod {
    /// The login user is root already.
    None,
    /// `sudo`, with or without a password.
    Sudo,
}

/// Where the certificate authorities are: one place with kubeadm's names, single files, or both (files win).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// A folder that holds `ca.crt`, `ca.key` and whatever else of kubeadm's set was saved.
    pub dir: Option<PathBuf>,
    /// Such a folder on another host, over SSH.
    pub ssh: Option<Box<SshFolder>>,
    /// Such a folder in an object store, or on a web server.
    pub object_store: Option<Box<ObjectStore>>,
    /// All of it in one encrypted file, as `drctl pki bundle` makes it: its path, or with `ssh` or `object_store` its name
    /// there.
    pub bundle: Option<PathBuf>,
    /// The root CA's certificate.
    pub ca_crt: Option<PathBuf>,
    /// The root CA's key.
    pub ca_key: Option<SecretRef>,
    /// The public key that service-account tokens are verified with.
    pub sa_pub: Option<PathBuf>,
    /// The key that service-account tokens are signed with.
    pub sa_key: Option<SecretRef>,
    /// The front proxy CA's certificate.
    pub front_proxy_ca_crt: Option<PathBuf>,
    /// The front proxy CA's key.
    pub front_proxy_ca_key: Option<SecretRef>,
    /// The etcd CA's certificate.
    pub etcd_ca_crt: Option<PathBuf>,
    /// The etcd CA's key.
    pub etcd_ca_key: Option<SecretRef>,
    /// The API server's `EncryptionConfiguration`, which opens what the snapshot holds encrypted.
    pub encryption_config: Option<SecretRef>,
}

/// What opens files that are encrypted with age: snapshots, and bundles of the PKI.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// The identities, as `age-keygen` writes them; a file that others can read is refused.
    pub identity: Option<SecretRef>,
}

/// What is acceptable, and what to do when a step fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The greatest age of a snapshot (the RPO); older ones are refused.
    pub max_snapshot_age: Span,
    /// The greatest size that a packed or encrypted snapshot may have when it is unpacked.
    pub max_unpacked_size: Size,
    /// The greatest difference between the controller's and the target's clock.
    pub max_clock_skew: Span,
    /// What a failed step leads to, unless the playbook's step says otherwise.
    pub on_failure: OnFailure,
    /// The limit of a step without one of its own.
    pub step_timeout: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_snapshot_age: Span::from_secs(24 * 3600),
            max_unpacked_size: Size::default(),
            max_clock_skew: Span::from_secs(30),
            on_failure: OnFailure::Stop,
            step_timeout: Span::from_secs(600),
        }
    }
}

/// What a failed step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run stops at its checkpoint; `resume` or `rollback` follow.
    Stop,
    /// All that was done is undone.
    Rollback,
}

/// How the old master is kept from coming back.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fencing {
    /// A command on the controller that makes sure that the old master stays dead (power off, isolate).
    pub command: Option<Vec<String>>,
    /// Further `host:port` of the old control plane that must not answer; the endpoint always counts.
    #[serde(default)]
    pub must_not_answer: Vec<String>,
    /// Whose eyes see whether those addresses are silent (default `controller`).
    #[serde(default)]
    pub listen_from: ListenFrom,
}

/// Where silence is listened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenFrom {
    /// The controller connects to the addresses.
    #[default]
    Controller,
    /// The target does, through SSH: for a target in a network of its own, where the addresses mean something else.
    Target,
}

/// Where runs are recorded.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The folder of journals (default `$XDG_STATE_HOME/drctl`, else `~/.local/state/drctl`).
    pub dir: Option<PathBuf>,
}

/// What is made of reports besides their files.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reporting {
    /// What signs them, as `ssh-keygen -Y verify` checks it.
    pub sign: Option<SigningKey>,
    /// The folder of `node_exporter`'s textfile collector; metrics are written there for Prometheus.
    pub metrics: Option<PathBuf>,
}

/// A key that signs reports.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// The private key file; or a public one, whose private half the SSH agent has.
    pub key: PathBuf,
    /// The passphrase of that key.
    pub passphrase: Option<SecretRef>,
}
