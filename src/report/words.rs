//! What every form of a report for people says, in the same words.

use jiff::Timestamp;

use super::evidence::{Evidence, Figures, Kind, Outcome, Past, Proof, Rehearsal, Step};
use super::{human_seconds, span};
use crate::actions::{Finding, Severity};

/// The verdict, as large as it can be said.
pub(super) const fn headline(evidence: &Evidence) -> &'static str {
    match (evidence.kind, evidence.verdict.outcome) {
        (Kind::Drill, Outcome::Passed) => "Passed",
        (Kind::Drill, Outcome::Failed) => "Failed",
        (Kind::Restore, Outcome::Passed) => "Restored",
        (Kind::Restore, Outcome::Failed) => "Not restored",
        (Kind::Drill | Kind::Restore, Outcome::Unfinished) => "Unfinished",
    }
}

/// What that means, in a sentence.
pub(super) fn lead(evidence: &Evidence) -> String {
    let Evidence { cluster, host, figures, .. } = evidence;
    let what = match evidence.drill.as_ref().map(|drill| drill.level.as_str()) {
        Some("data") => format!("The data of {cluster}"),
        _ => cluster.clone(),
    };
    let (back, lost) = (figures.rto_seconds.map(human_seconds), figures.rpo_seconds.map(human_seconds));
    let lost = lost.unwrap_or_else(|| "an unknown span".to_owned());
    match (evidence.kind, evidence.verdict.outcome, back) {
        (Kind::Drill, Outcome::Passed, Some(back)) => {
            format!("{what} would be back {back} after the first command, and {lost} of changes would be lost.")
        }
        (Kind::Restore, Outcome::Passed, Some(back)) => {
            format!("{what} was back on {host} {back} after the first command; {lost} of changes were lost.")
        }
        (Kind::Drill, Outcome::Failed, Some(_)) => {
            format!("{what} came back on a throwaway target, but not as it has to.")
        }
        (Kind::Drill, Outcome::Failed, None) => format!("{what} did not come back on a throwaway target."),
        (Kind::Restore, Outcome::Failed, _) => format!("{what} is not restored on {host}."),
        (kind, Outcome::Unfinished | Outcome::Passed, _) => {
            format!("The {} of {cluster} was left part way.", kind.word())
        }
    }
}

/// A point in time.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A day.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// When the last one that passed was, seen from the end of this one.
pub(super) fn last_success(evidence: &Evidence) -> String {
    match evidence.last_success {
        None => "none yet".to_owned(),
        Some(_) if evidence.verdict.outcome == Outcome::Passed => "this one".to_owned(),
        Some(at) => ago(at, evidence.ended),
    }
}

/// When that was exactly; and when the one that passed before this one was.
pub(super) fn last_success_note(evidence: &Evidence) -> String {
    let before = evidence.trend.iter().filter(|past| past.id != evidence.id());
    let before: Option<&Past> = before.filter(|past| past.outcome == Outcome::Passed).max_by_key(|past| past.at);
    match (evidence.verdict.outcome, before) {
        (Outcome::Passed, Some(before)) => {
            format!("the one before: {}, {}", day(before.at), ago(before.at, evidence.ended))
        }
        (Outcome::Passed, None) => "the first of this cluster that passed".to_owned(),
        (Outcome::Failed | Outcome::Unfinished, Some(before)) => time(before.at),
        (Outcome::Failed | Outcome::Unfinished, None) => "none before this one passed either".to_owned(),
    }
}

/// How long one point in time lies before another.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let span = now.duration_since(at);
    let (count, unit) = match (span.as_hours() / 24, span.as_hours(), span.as_mins()) {
        (1.., ..) => (span.as_hours() / 24, "day"),
        (_, 1.., _) => (span.as_hours(), "hour"),
        (_, _, minutes) => (minutes.max(1), "minute"),
    };
    let more = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{more} ago")
}

/// A figure beside its limit.
pub(super) struct Limited {
    pub(super) name: &'static str,
    pub(super) meaning: String,
    missing: &'static str,
    pub(super) found: Option<f64>,
    pub(super) limit: Option<f64>,
}

impl Limited {
    /// Whether the limit is kept; nothing without one.
    pub(super) fn kept(&self) -> Option<bool> {
        self.limit.map(|limit| self.found.is_some_and(|found| found <= limit))
    }

    pub(super) fn value(&self) -> String {
        self.found.map_or_else(|| self.missing.to_owned(), human_seconds)
    }

    /// What of it is allowed, and whether that is kept: never by colour alone.
    pub(super) fn allowed(&self) -> String {
        match (self.limit, self.kept()) {
            (Some(limit), Some(true)) => format!("within the limit of {}", span(limit)),
            (Some(limit), _) if self.found.is_some() => format!("over the limit of {}", span(limit)),
            (Some(limit), _) => format!("the limit is {}", span(limit)),
            (None, _) => "no limit is set".to_owned(),
        }
    }
}

/// RTO and RPO.
pub(super) fn limited(figures: &Figures) -> [Limited; 2] {
    let basis = figures.rpo_basis.map(|basis| format!(", {}", basis.word())).unwrap_or_default();
    [
        Limited {
            name: "RTO",
            meaning: "from the first record of the run to the proven control plane".to_owned(),
            missing: "not reached",
            found: figures.rto_seconds,
            limit: figures.rto_limit_seconds,
        },
        Limited {
            name: "RPO",
            meaning: format!("age of the data when the run began{basis}"),
            missing: "unknown",
            found: figures.rpo_seconds,
            limit: figures.rpo_limit_seconds,
        },
    ]
}

/// Names and what they stand for: what was restored, where, when.
pub(super) fn circumstances(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Cluster", evidence.cluster.clone())];
    match &evidence.drill {
        Some(Rehearsal { level, id, .. }) => rows.extend([("Level", level.clone()), ("Drill", id.clone())]),
        None => rows.push(("Target", evidence.host.clone())),
    }
    rows.extend(evidence.run.clone().map(|run| ("Run", run)));
    rows.push(("Began", time(evidence.begun)));
    rows.push(("Ended", time(evidence.ended)));
    if let Some(Rehearsal { provider, isolation, fault, .. }) = &evidence.drill {
        rows.push(("Target", format!("throwaway, made by `{provider}`")));
        rows.extend(isolation.clone().map(|isolation| ("Isolation", isolation)));
        rows.extend(fault.clone().map(|fault| ("Broken on purpose", fault)));
    }
    let seconds = |name, seconds: Option<f64>| seconds.map(|seconds| (name, human_seconds(seconds)));
    rows.extend(seconds("Target made in", evidence.figures.create_seconds));
    rows.extend(seconds("Target gone in", evidence.figures.destroy_seconds));
    if let Some(snapshot) = &evidence.snapshot {
        rows.push(("Snapshot", snapshot.name.clone()));
        rows.push(("Source", snapshot.source.clone()));
        rows.push(("Saved", time(snapshot.taken)));
        rows.extend(snapshot.newest_change.map(|at| ("Newest change in it", time(at))));
        rows.push(("Size", indicatif::HumanBytes(snapshot.bytes).to_string()));
        let keys = snapshot.keys.map(|keys| format!(", {} keys", indicatif::HumanCount(keys))).unwrap_or_default();
        rows.push(("Holds", format!("revision {}{keys}", snapshot.revision)));
    }
    rows
}

/// What was at work.
pub(super) fn versions(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let versions = &evidence.versions;
    let (snapshot, target) = (", in the snapshot", ", on the target");
    let known = [
        ("Kubernetes", &versions.kubernetes, snapshot),
        ("etcd", &versions.etcd, snapshot),
        ("kubeadm", &versions.kubeadm, target),
        ("kubelet", &versions.kubelet, target),
        ("etcd's tool", &versions.etcd_tool, target),
        ("Distribution", &versions.os, ""),
        ("Kernel", &versions.kernel, ""),
    ];
    let known = known.into_iter().filter_map(|(name, version, of)| Some((name, format!("{}{of}", version.as_ref()?))));
    std::iter::once(("drctl", versions.drctl.clone())).chain(known).collect()
}

/// What identifies that which was used and written.
pub(super) fn digests(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let digests = &evidence.digests;
    let known = [
        ("Snapshot", &digests.snapshot),
        ("Inventory", &digests.inventory),
        ("Playbook", &digests.playbook),
        ("Journal", &digests.journal),
    ];
    known.into_iter().filter_map(|(name, digest)| Some((name, digest.clone()?))).collect()
}

/// Whether a proof held.
pub(super) const fn proved(proof: &Proof) -> &'static str {
    match (proof.passed, &proof.expected) {
        (Some(true), _) => "held",
        (Some(false), _) => "failed",
        (None, Some(_)) => "not tried",
        (None, None) => "noted",
    }
}

/// How bad a finding is. What a run began in spite of was accepted by name.
pub(super) const fn severity(finding: &Finding, begun: bool) -> &'static str {
    match (finding.severity, begun) {
        (Severity::Ok, _) => "ok",
        (Severity::Warning, _) => "warning",
        (Severity::Error, true) => "accepted error",
        (Severity::Error, false) => "error",
    }
}

/// The findings, the worst first.
pub(super) fn worst_first(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    sorted
}

/// How much longer a step took than it usually does.
pub(super) fn difference(step: &Step) -> String {
    match step.difference_seconds {
        None => String::new(),
        Some(longer) if longer.abs() < 0.05 => "0.0s".to_owned(),
        Some(longer) if longer < 0.0 => format!("−{}", human_seconds(-longer)),
        Some(longer) => format!("+{}", human_seconds(longer)),
    }
}

/// A step's state, with how often it was tried.
pub(super) fn state(step: &Step) -> String {
    if step.attempts > 1 { format!("{}, attempt {}", step.state, step.attempts) } else { step.state.clone() }
}
