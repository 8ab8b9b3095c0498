//! How much a drill proves.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Facts;

/// How much a drill proves; each contains those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// etcd serves exactly the snapshot's data.
    Data,
    /// kubeadm brings the control plane up, and its objects are the snapshot's.
    ControlPlane,
    /// The checks of `[[drill.check]]` pass.
    Workload,
}

impl Level {
    /// The most that a target offers.
    pub fn offered(facts: &Facts, checks: bool) -> Self {
        let kubeadm = facts.tools.contains_key("kubeadm") && facts.kubelet.is_some();
        match (kubeadm, checks) {
            (false, _) => Self::Data,
            (true, false) => Self::ControlPlane,
            (true, true) => Self::Workload,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::ControlPlane => "control-plane",
            Self::Workload => "workload",
        })
    }
}
