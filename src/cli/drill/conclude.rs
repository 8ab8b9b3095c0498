//! What a drill has come to: its report and its verdict, however early it ended.

use std::time::Duration;

use jiff::Timestamp;

use super::game_day::Disturbed;
use crate::actions::Finding;
use crate::cli::args::Drill;
use crate::cli::exit::{Exit, Fault};
use crate::cli::session::Session;
use crate::drill::providers::{Isolation, ProviderEntry};
use crate::drill::{DrillFolder, Drills, Level, fault};
use crate::inventory::Span;
use crate::report::evidence::{self, Circumstances, Evidence, Kind, Outcome as Verdict, Past, Proof, of_reports};
use crate::report::{Report, keep, means};
use crate::runs::RunFolder;
use crate::text::Values;

/// What is known of a drill from its beginning.
pub(super) struct Occasion<'a> {
    pub(super) production: &'a Session,
    pub(super) args: &'a Drill,
    pub(super) drills: Drills,
    pub(super) folder: DrillFolder,
    pub(super) id: String,
    pub(super) began: Timestamp,
    pub(super) provider: ProviderEntry,
    pub(super) isolation: Isolation,
}

/// What a drill has come to so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The target's name, once it is ordered.
    pub(super) host: Option<String>,
    pub(super) create: Option<Duration>,
    pub(super) level: Option<Level>,
    pub(super) run: Option<RunFolder>,
    pub(super) findings: Option<Vec<Finding>>,
    pub(super) facts: Values,
    pub(super) disturbed: Option<Disturbed>,
}

impl Occasion<'_> {
    /// The report is written whatever came of it; its verdict is the exit code.
    pub(super) async fn conclude(
        &self,
        progress: Progress,
        outcome: Result<Exit, Fault>,
        gone: Result<Option<Duration>, Fault>,
    ) -> Result<Exit, Fault> {
        let (mut against, mut interrupted) = (Vec::new(), false);
        let unbegun = match outcome {
            Ok(exit) => {
                interrupted = exit == Exit::Interrupted;
                None
            }
            Err(fault) => {
                interrupted |= matches!(fault, Fault::Interrupted);
                against.push(format!("{}.", fault.message()));
                Some(fault)
            }
        };
        let (destroy, left) = match gone {
            Ok(destroy) => (destroy, None),
            Err(fault) => {
                against.push(format!("{}.", fault.message()));
                (None, Some(fault))
            }
        };
        let evidence = self.evidence(progress, destroy, against);
        let face = &self.production.face;
        let evidence = match evidence {
            Ok(evidence) => evidence,
            Err(fault) => {
                face.warn(&format!("there is no report: {}", fault.message()));
                // A target that is left, or why nothing came of it, matters more.
                return Err(left.or(unbegun).unwrap_or(fault));
            }
        };
        let (written, warnings) = keep(&self.folder.dir, &evidence, &self.production.inventory.report).await;
        for warning in &warnings {
            face.warn(warning);
        }
        face.drill(&evidence, written.as_ref());
        match (left, unbegun) {
            (Some(fault), _) | (None, Some(fault)) => Err(fault),
            (None, None) if interrupted => Ok(Exit::Interrupted),
            (None, None) if evidence.verdict.outcome == Verdict::Passed => Ok(Exit::Done),
            (None, None) => Ok(Exit::RolledBack),
        }
    }

    fn evidence(&self, progress: Progress, destroy: Option<Duration>, against: Vec<String>) -> Result<Evidence, Fault> {
        let inventory = &self.production.inventory;
        let (cluster, settings) = (&inventory.cluster.name, &inventory.drill);
        let (past, unreadable) = of_reports(self.drills.dir(), Kind::Drill, cluster);
        for (path, reason) in unreadable {
            tracing::warn!("the report {} cannot be read: {reason}", path.display());
        }
        let passed = past.iter().filter(|evidence| evidence.verdict.outcome == Verdict::Passed);
        let taken = passed.flat_map(|evidence| &evidence.steps);
        let usual = means(taken.filter_map(|step| Some((step.name.as_str(), step.seconds?))));
        let circumstances = Circumstances {
            drill: Some(evidence::Rehearsal {
                id: self.id.clone(),
                provider: self.provider.provider().label(),
                level: progress.level.map(|level| level.to_string()).unwrap_or_default(),
                isolation: Some(match &self.isolation {
                    Isolation::Promised(how) => how.clone(),
                    Isolation::Unknown => "the owner of the inventory says so (`isolated = \"by me\"`)".to_owned(),
                }),
                fault: self.args.fault.map(|fault| fault.to_string()),
            }),
            begun: Some(self.began),
            ended: Some(Timestamp::now()),
            rto_limit: settings.rto.map(Span::duration),
            rpo_limit: settings.rpo.map(Span::duration),
            create: progress.create,
            destroy,
            against,
            proofs: isolation_proof(&progress).into_iter().chain(self.fault_proof(&progress)).collect(),
            findings: progress.findings,
            facts: progress.facts,
            usual,
            past: past.iter().map(Past::of).collect(),
        };
        let Some(run) = &progress.run else {
            let host = progress.host.as_ref().unwrap_or(&inventory.target.host);
            return Ok(Evidence::without_run(cluster, host, self.began, circumstances));
        };
        let (state, records) = run.read()?;
        let chosen = run.snapshot(&state.header).ok();
        let report = Report::of(&state, &records, chosen.as_ref());
        Ok(Evidence::of_run(&report, &records, run.journal_sha256().ok(), chosen.as_ref(), circumstances))
    }

    /// Whether the restore coped with what was broken.
    fn fault_proof(&self, progress: &Progress) -> Option<Proof> {
        let fault = self.args.fault?;
        let (found, passed) = match (&progress.disturbed, fault, &progress.findings) {
            (Some(disturbed), ..) => (disturbed.told.clone(), disturbed.as_expected),
            (None, fault::Fault::CorruptSnapshot, Some(findings)) => {
                let told = findings.iter().find(|finding| finding.name == "snapshot-passed-over");
                let found = told.map_or_else(|| "it was not noticed".to_owned(), |finding| finding.message.clone());
                (found, told.is_some())
            }
            (None, ..) => ("the run did not come so far".to_owned(), false),
        };
        Some(Proof {
            step: None,
            name: format!("Game day: {fault}"),
            how: "It was broken on purpose during the restore".to_owned(),
            expected: Some(fault.expected().to_owned()),
            found,
            passed: Some(passed),
        })
    }
}

/// That production was out of reach, seen from the target.
fn isolation_proof(progress: &Progress) -> Option<Proof> {
    let named = |name: &str| progress.findings.iter().flatten().filter(|finding| finding.name == name).count();
    let (silent, answering) = (named("old-control-plane"), named("old-control-plane-answers"));
    let unheard = named("old-control-plane-unheard");
    (silent + answering + unheard > 0).then(|| Proof {
        step: None,
        name: "Production is out of reach".to_owned(),
        how: "The target tried to connect to the addresses of the living cluster".to_owned(),
        expected: Some("silence".to_owned()),
        found: format!("{silent} silent, {answering} that answer, {unheard} that could not be asked"),
        passed: Some(answering + unheard == 0),
    })
}
