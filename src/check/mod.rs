//! All that can be known before a byte of the target changes. Looks first, then judges:
//! [`look`] asks the sources, the target and the network once; each entry of [`CHECKS`] is a
//! pure judgement over what was seen. So everything that is wrong is told at once.

mod address;
mod cluster;
mod contact;
mod control_plane;
mod data_time;
mod host;
mod look;
mod names;
mod pki;
mod pki_set;
mod service_accounts;
mod snapshot;
mod space;
#[cfg(test)]
pub(crate) mod tests;
mod tools;
mod ways;

pub use control_plane::{ANSWERS, UNHEARD};
pub use host::HELD;
pub use look::{Answer, Look, PATHS, PkiContents, Purpose, TargetLook, look};
pub(crate) use look::{read_files, read_pki};
pub(crate) use pki::{Seen, judge as judge_pki};

use std::collections::BTreeSet;

use crate::actions::{Finding, Loopback, PlanContext, Severity};
use crate::playbook::{Prospect, Step};
use crate::snapshot::Claims;

/// A judgement over what was seen.
pub type Check = fn(&Look) -> Vec<Finding>;

/// Every check, in the order of the report.
pub const CHECKS: &[Check] = &[
    snapshot::check,
    data_time::check,
    cluster::check,
    pki::check,
    service_accounts::check,
    control_plane::check,
    address::check,
    host::check,
    host::check_lock,
    tools::check,
    space::check,
    names::check,
];

/// The errors that `--accept` takes: what a person may know better, and what a run can go on in spite of.
///
/// Nothing is restored without a snapshot, a CA, a way to the target or a program that restores.
pub const ACCEPTABLE: &[&str] = &[
    "ca-foreign",
    "ca-unfit",
    "clock-skew",
    "cluster-foreign",
    "cluster-name",
    "command-check",
    "data-too-old",
    "disk-too-small",
    "encryption-config-missing",
    "encryption-config-unfit",
    "encryption-config-untold",
    "endpoint-foreign",
    "etcd-version",
    "kubeadm-node",
    "kubeadm-version",
    "kubelet-version",
    "kubernetes-version",
    "old-control-plane-answers",
    "old-control-plane-unheard",
    "pki-unfit",
    "ports-taken",
    "sa-foreign",
    "snapshot-too-old",
];

/// Runs every check, then every step's own.
pub async fn findings(look: &Look) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(look)).collect();
    let cx = look.plan_context();
    findings.extend(ways::check(look, &cx).await);
    for step in look.steps_to_run() {
        for mut finding in step.action.check(&cx).await {
            finding.message = format!("step `{}`: {}", step.name, finding.message);
            findings.push(finding);
        }
    }
    findings
}

/// The errors that nobody accepted by name.
pub fn refused<'a>(findings: &'a [Finding], accepted: &[String]) -> Vec<&'a Finding> {
    let unaccepted = |finding: &&Finding| finding.severity == Severity::Error && !accepted.contains(&finding.name);
    findings.iter().filter(unaccepted).collect()
}

impl Look {
    /// What the snapshot says of its cluster, when there is one.
    pub fn claims(&self) -> Option<&Claims> {
        self.snapshot.as_ref().ok().map(|search| &search.chosen.claims)
    }

    /// What plans and steps' checks are given.
    pub fn plan_context(&self) -> PlanContext<'_> {
        PlanContext {
            inventory: &self.inventory,
            target: self.target.as_ref().ok().map(|target| target.target.as_ref()),
            facts: self.target.as_ref().ok().map(|target| target.facts.as_ref()),
            snapshot: self.snapshot.as_ref().ok().map(|search| &search.chosen),
            pki: &self.pki,
            values: &self.values,
        }
    }

    /// Where the steps to run reach through SSH on the target's own loopback.
    fn tunnels(&self) -> BTreeSet<Loopback> {
        let cx = self.plan_context();
        self.steps_to_run().filter_map(|step| step.action.tunnels_to(&cx)).collect()
    }

    /// The steps that will run, and those that may: what an earlier step puts out decides amid the run.
    pub fn steps_to_run(&self) -> impl Iterator<Item = &Step> {
        let prospects = self.playbook.prospects(&self.values);
        prospects.filter(|(_, prospect)| !matches!(prospect, Prospect::Skipped(_))).map(|(step, _)| step)
    }
}
