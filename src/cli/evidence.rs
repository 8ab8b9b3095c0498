//! The evidence of a run, from its folder and those of the runs before it.

use super::session::base_of;
use crate::causes::chain;
use crate::event::RunHeader;
use crate::face::Face;
use crate::inventory::{self, Reporting};
use crate::journal::{Record, RunState};
use crate::report::evidence::Past;
use crate::report::{Circumstances, Evidence, Report, Written, keep as keep_files, past_durations};
use crate::runs::{RunFolder, Runs, RunsError};

/// Writes the report of a run into its folder; what could not be done is told, and changes nothing else.
pub(super) async fn keep(folder: &RunFolder, runs: &Runs, settings: &Reporting, face: &dyn Face) -> Option<Written> {
    let evidence = match of(folder, runs) {
        Ok(evidence) => evidence,
        Err(error) => {
            face.warn(&format!("the report is not kept: {}", chain(&error)));
            return None;
        }
    };
    let (written, warnings) = keep_files(folder.path(), &evidence, settings).await;
    for warning in &warnings {
        face.warn(warning);
    }
    written
}

/// What became of a run.
pub(super) fn report(folder: &RunFolder, state: &RunState, records: &[Record]) -> Report {
    Report::of(state, records, folder.snapshot(&state.header).ok().as_ref())
}

/// The evidence of a run, told anew from what its folder holds.
pub(super) fn of(folder: &RunFolder, runs: &Runs) -> Result<Evidence, RunsError> {
    let (state, records) = folder.read()?;
    let snapshot = folder.snapshot(&state.header).ok();
    let report = Report::of(&state, &records, snapshot.as_ref());
    let before = before(&report, runs)?;
    let reports: Vec<Report> = before.iter().map(|(_, report, _)| report.clone()).collect();
    let seen = folder.seen()?;
    let circumstances = Circumstances {
        rpo_limit: rpo_limit(folder, &report.header),
        findings: seen.as_ref().map(|seen| seen.findings.clone()),
        facts: seen.map(|seen| seen.facts).unwrap_or_default(),
        usual: past_durations(&reports),
        past: before.iter().map(|(folder, report, records)| past(folder, report, records)).collect(),
        against: changed(folder, &report.header),
        ..Circumstances::default()
    };
    Ok(Evidence::of_run(&report, &records, Some(folder.journal_sha256()?), snapshot.as_ref(), circumstances))
}

type Before = (RunFolder, Report, Vec<Record>);

/// The runs of the same cluster that began before; one that cannot be read has nothing to tell.
fn before(report: &Report, runs: &Runs) -> Result<Vec<Before>, RunsError> {
    let read = runs.list()?.into_iter().filter_map(|folder| {
        let (state, records): (RunState, Vec<Record>) = folder.read().ok()?;
        let other = self::report(&folder, &state, &records);
        let earlier = other.started < report.started && other.header.run != report.header.run;
        (earlier && other.header.cluster == report.header.cluster).then_some((folder, other, records))
    });
    Ok(read.collect())
}

fn past(folder: &RunFolder, report: &Report, records: &[Record]) -> Past {
    let snapshot = folder.snapshot(&report.header).ok();
    Past::of(&Evidence::of_run(report, records, None, snapshot.as_ref(), Circumstances::default()))
}

/// What the inventory allowed when the run began; one that a later drctl cannot read any more allows anything.
fn rpo_limit(folder: &RunFolder, header: &RunHeader) -> Option<std::time::Duration> {
    let text = folder.inventory(header).ok()?;
    let inventory = inventory::parse(&header.inventory, &text, base_of(&header.inventory)).ok()?;
    Some(inventory.policy.max_snapshot_age.duration())
}

/// Frozen texts that are not what they were: what is told of them cannot be believed.
fn changed(folder: &RunFolder, header: &RunHeader) -> Vec<String> {
    let faults = [folder.inventory(header).err(), folder.snapshot(header).err()];
    let changed = faults.into_iter().flatten().filter(|fault| matches!(fault, RunsError::Frozen { .. }));
    changed.map(|fault| format!("{}.", chain(&fault))).collect()
}
