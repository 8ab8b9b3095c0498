//! What a drill or a restore has shown, as one value: whoever was not there can read, keep and check it.
//!
//! Made from the journal ([`Evidence::of_run`]) and from what a run does not know ([`Circumstances`]). Each form of a
//! report ([`super::html`], [`super::markdown`], [`super::metrics`], and JSON) is written from this value alone.

mod judge;
mod parts;
mod past;
mod proofs;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use judge::{Case, judge};
pub use parts::{
    Basis, Digests, End, Figures, Kind, Moment, Outcome, Proof, Rehearsal, Restored, Span, Step, Verdict, Versions,
};
pub use past::{Past, of_reports};
pub(super) use proofs::is_proof;

use super::Report;
use crate::actions::Finding;
use crate::journal::Record;
use crate::sources::Chosen;
use crate::text::Values;

/// The version of the report's form. A reader ignores keys that it does not know.
pub const FORMAT: u32 = 1;

/// The report of a drill or a restore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The version of this form, now 1.
    pub format: u32,
    /// What it is of.
    pub kind: Kind,
    /// Whether it did what it was to do.
    pub verdict: Verdict,
    /// The cluster's name.
    pub cluster: String,
    /// The target, as the inventory names it.
    pub host: String,
    /// The run's id; absent when none was begun.
    pub run: Option<String>,
    /// What only a drill has.
    pub drill: Option<Rehearsal>,
    /// When it began.
    #[schemars(with = "String")]
    pub begun: Timestamp,
    /// When its last record was written.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// How long, how old, how much, and what was allowed.
    pub figures: Figures,
    /// What was restored; absent when no snapshot was chosen.
    pub snapshot: Option<Restored>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What happened to the run as a whole, in order.
    pub moments: Vec<Moment>,
    /// What was compared with what it should be.
    pub proofs: Vec<Proof>,
    /// What the checks found before anything was touched; absent when that was not kept.
    pub findings: Option<Vec<Finding>>,
    /// What was at work.
    pub versions: Versions,
    /// What identifies that which was used and written.
    pub digests: Digests,
    /// This one and those before it, oldest first.
    pub trend: Vec<Past>,
    /// When the last one that passed ended; this one counts.
    #[schemars(with = "Option<String>")]
    pub last_success: Option<Timestamp>,
}

/// What a run does not know of itself.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// What makes it a drill.
    pub drill: Option<Rehearsal>,
    /// When it began, when that was before the run.
    pub begun: Option<Timestamp>,
    /// When it ended, when that was after the run.
    pub ended: Option<Timestamp>,
    /// How long a drill may take.
    pub rto_limit: Option<Duration>,
    /// How old the data may be.
    pub rpo_limit: Option<Duration>,
    /// How long the throwaway target took to make.
    pub create: Option<Duration>,
    /// How long it took to go.
    pub destroy: Option<Duration>,
    /// What speaks against it besides its run, as sentences: each makes it fail.
    pub against: Vec<String>,
    /// Proofs that no step made.
    pub proofs: Vec<Proof>,
    /// What the checks found.
    pub findings: Option<Vec<Finding>>,
    /// What was gathered on the target: [`crate::target::Facts::values`].
    pub facts: Values,
    /// The mean times of steps in those before: [`super::past_durations`].
    pub usual: BTreeMap<String, SignedDuration>,
    /// Those before, oldest first.
    pub past: Vec<Past>,
}

impl Evidence {
    /// Of a run, as its journal tells it. `snapshot` is what the run froze.
    pub fn of_run(
        report: &Report,
        records: &[Record],
        journal_sha256: Option<String>,
        snapshot: Option<&Chosen>,
        circumstances: Circumstances,
    ) -> Self {
        let header = &report.header;
        let begun = circumstances.begun.unwrap_or(report.started);
        let mut evidence = Self::bare(&header.cluster, &header.host, begun, report.last, &circumstances);
        evidence.run = Some(header.run.clone());
        evidence.figures.rto_seconds = report.rto_seconds.map(rounded);
        evidence.restored(report, snapshot);
        evidence.steps = run::steps(report, records, begun, &circumstances.usual);
        evidence.moments = run::moments(records, begun);
        evidence.proofs.splice(0..0, proofs::of(report, snapshot.map(|snapshot| &snapshot.claims)));
        evidence.versions.drctl.clone_from(&header.drctl);
        evidence.digests = Digests {
            snapshot: Some(header.snapshot.sha256.clone()),
            inventory: Some(header.inventory_sha256.clone()),
            playbook: Some(header.playbook_sha256.clone()),
            journal: journal_sha256,
        };
        evidence.conclude(Some(report), circumstances)
    }

    /// Of a drill that ended before its run began: its target could not be made, or a check failed.
    pub fn without_run(cluster: &str, host: &str, begun: Timestamp, circumstances: Circumstances) -> Self {
        Self::bare(cluster, host, begun, begun, &circumstances).conclude(None, circumstances)
    }

    fn bare(cluster: &str, host: &str, begun: Timestamp, last: Timestamp, circumstances: &Circumstances) -> Self {
        let fact = |name: &str| circumstances.facts.get(name).cloned();
        let seconds = |span: &Option<Duration>| span.map(|span| rounded(span.as_secs_f64()));
        Self {
            format: FORMAT,
            kind: if circumstances.drill.is_some() { Kind::Drill } else { Kind::Restore },
            verdict: Verdict { outcome: Outcome::Unfinished, reasons: Vec::new() },
            cluster: cluster.to_owned(),
            host: host.to_owned(),
            run: None,
            drill: circumstances.drill.clone(),
            begun,
            ended: circumstances.ended.unwrap_or(last),
            figures: Figures {
                rto_limit_seconds: seconds(&circumstances.rto_limit),
                rpo_limit_seconds: seconds(&circumstances.rpo_limit),
                create_seconds: seconds(&circumstances.create),
                destroy_seconds: seconds(&circumstances.destroy),
                ..Figures::default()
            },
            snapshot: None,
            steps: Vec::new(),
            moments: Vec::new(),
            proofs: circumstances.proofs.clone(),
            findings: circumstances.findings.clone(),
            versions: Versions {
                drctl: env!("CARGO_PKG_VERSION").to_owned(),
                kubeadm: fact("target.kubeadm_version"),
                kubelet: fact("target.kubelet_version"),
                etcd_tool: fact("target.etcdutl_version").or_else(|| fact("target.etcdctl_version")),
                os: fact("target.os"),
                kernel: fact("target.kernel"),
                ..Versions::default()
            },
            digests: Digests::default(),
            trend: Vec::new(),
            last_success: None,
        }
    }

    /// What was restored, and how old it was.
    fn restored(&mut self, report: &Report, snapshot: Option<&Chosen>) {
        let frozen = &report.header.snapshot;
        let claims = snapshot.map(|snapshot| &snapshot.claims);
        let newest_change = claims.and_then(|claims| claims.newest_change);
        self.figures.rpo_seconds = Some(rounded(report.rpo_seconds));
        self.figures.rpo_basis =
            newest_change.map(|_| Basis::Data).or_else(|| snapshot.map(|snapshot| snapshot.time_from.into()));
        self.versions.etcd = claims.and_then(|claims| claims.etcd_version.clone());
        self.versions.kubernetes = claims.and_then(|claims| claims.kubernetes_version.clone());
        self.snapshot = Some(Restored {
            name: frozen.name.clone(),
            source: frozen.source.clone(),
            bytes: frozen.size,
            taken: frozen.taken,
            newest_change,
            revision: frozen.revision,
            keys: claims.map(|claims| claims.live_keys),
        });
    }

    /// The verdict, and the place among those before.
    fn conclude(mut self, report: Option<&Report>, circumstances: Circumstances) -> Self {
        let case = Case {
            kind: self.kind,
            report,
            figures: &self.figures,
            proofs: &self.proofs,
            against: &circumstances.against,
        };
        self.verdict = judge(&case);
        self.trend = circumstances.past;
        self.trend.push(Past::of(&self));
        let passed = self.trend.iter().filter(|past| past.outcome == Outcome::Passed);
        self.last_success = passed.map(|past| past.at).max();
        self
    }

    /// As `report.json` has it: for programs, and to be signed.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Its own id: the drill's, else the run's.
    pub fn id(&self) -> &str {
        self.drill.as_ref().map(|drill| drill.id.as_str()).or(self.run.as_deref()).unwrap_or_default()
    }
}

/// Milliseconds are all that clocks are worth, and a program reads them back as they were written.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
