//! The verdict: what speaks for it and what against it. Pure.

use super::{Figures, Kind, Outcome, Proof, Verdict};
use crate::event::Ending;
use crate::report::{Report, StepReport, human_seconds, span};

/// All that is judged.
#[derive(Debug)]
pub struct Case<'a> {
    /// What it is of.
    pub kind: Kind,
    /// The run; `None` when none was begun.
    pub report: Option<&'a Report>,
    /// The figures and their limits.
    pub figures: &'a Figures,
    /// What was proved.
    pub proofs: &'a [Proof],
    /// What speaks against it besides the run, as sentences.
    pub against: &'a [String],
}

/// Limits decide about a drill. A restore that came late is a restore all the same: that it did is told.
pub fn judge(case: &Case<'_>) -> Verdict {
    let limits = case.report.map(|report| limits(case.figures, report)).unwrap_or_default();
    let mut against = case.against.to_vec();
    match case.report {
        None if against.is_empty() => against.push("No run was begun.".to_owned()),
        None => {}
        Some(report) => against.extend(of_run(report)),
    }
    against.extend(case.proofs.iter().filter(|proof| proof.step.is_none() && proof.passed == Some(false)).map(
        |proof| {
            let expected = proof.expected.as_deref().unwrap_or("something else");
            format!("{}: expected {expected}, found {}.", proof.name, proof.found)
        },
    ));
    if case.kind == Kind::Drill {
        against.extend(limits.iter().filter(|limit| !limit.kept).map(|limit| limit.said.clone()));
    }
    if !against.is_empty() {
        return Verdict { outcome: Outcome::Failed, reasons: against };
    }
    match case.report {
        Some(report) if report.ending == Some(Ending::Restored) => {
            let reasons = std::iter::once(in_favour(case.proofs)).chain(limits.into_iter().map(|limit| limit.said));
            Verdict { outcome: Outcome::Passed, reasons: reasons.collect() }
        }
        report => {
            let stopped = report.and_then(|report| report.stopped.as_deref());
            let reason = stopped.map_or_else(
                || "The run has not ended: a drctl works on it, or was killed.".to_owned(),
                |reason| format!("The run stopped at its checkpoint: {}.", first_line(reason)),
            );
            Verdict { outcome: Outcome::Unfinished, reasons: vec![reason] }
        }
    }
}

/// What speaks against a run.
fn of_run(report: &Report) -> Vec<String> {
    let steps = report.steps.iter();
    let mut against: Vec<String> = steps.filter_map(of_step).collect();
    if report.ending == Some(Ending::RolledBack) {
        against.push("The run was rolled back: the target is as it was.".to_owned());
    }
    against
}

fn of_step(step: &StepReport) -> Option<String> {
    let detail = step.detail.as_deref().map(first_line).unwrap_or_default();
    match step.state {
        "failed" => Some(format!("Step `{}` failed: {detail}.", step.name)),
        "undone" | "undoing" if !detail.is_empty() => Some(format!("Step `{}` failed: {detail}.", step.name)),
        "undo failed" => Some(format!("Step `{}` could not be undone, a person is needed: {detail}.", step.name)),
        _ => None,
    }
}

fn in_favour(proofs: &[Proof]) -> String {
    match proofs.iter().filter(|proof| proof.passed == Some(true)).count() {
        0 => "Every step took; the playbook has no proofs.".to_owned(),
        1 => "Every step took, and the one proof held.".to_owned(),
        proofs => format!("Every step took, and all {proofs} proofs held."),
    }
}

struct Limit {
    kept: bool,
    said: String,
}

/// RTO is only known of what was restored.
fn limits(figures: &Figures, report: &Report) -> Vec<Limit> {
    let restored = report.ending == Some(Ending::Restored);
    let rto = restored.then(|| limit("RTO", figures.rto_seconds, figures.rto_limit_seconds));
    let rpo = limit("RPO", figures.rpo_seconds, figures.rpo_limit_seconds);
    rto.into_iter().chain([rpo]).flatten().collect()
}

fn limit(name: &str, found: Option<f64>, limit: Option<f64>) -> Option<Limit> {
    let limit = limit?;
    let allowed = span(limit);
    let Some(found) = found else {
        return Some(Limit { kept: false, said: format!("{name} is not known; {allowed} is allowed.") });
    };
    let said = human_seconds(found);
    let kept = found <= limit;
    let said = if kept {
        format!("{name} is {said}, within the {allowed} that is allowed.")
    } else {
        format!("{name} is {said}; only {allowed} is allowed.")
    };
    Some(Limit { kept, said })
}

/// Errors go on with what a command wrote.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::event::{Direction, Event, FORMAT, RunHeader, SnapshotRef, StepRef};
    use crate::journal::{Record, RunState};
    use crate::text::Values;

    const LIMITS: Figures = Figures {
        rto_seconds: Some(60.0),
        rto_limit_seconds: Some(900.0),
        rpo_seconds: Some(200.0),
        rpo_basis: None,
        rpo_limit_seconds: Some(600.0),
        create_seconds: None,
        destroy_seconds: None,
    };

    fn report(events: Vec<Event>) -> Report {
        let snapshot = SnapshotRef {
            name: String::new(),
            source: String::new(),
            sha256: String::new(),
            size: 0,
            taken: Timestamp::UNIX_EPOCH,
            revision: 0,
        };
        let step = StepRef { name: "one".to_owned(), action: "verify_etcd".to_owned(), holds: None };
        let mut state = RunState::begun(RunHeader {
            format: FORMAT,
            run: String::new(),
            drctl: String::new(),
            cluster: String::new(),
            host: String::new(),
            inventory: String::new(),
            playbook: String::new(),
            inventory_sha256: String::new(),
            playbook_sha256: String::new(),
            snapshot_json_sha256: None,
            accepted: Vec::new(),
            snapshot,
            steps: vec![step],
        });
        let mut records = Vec::new();
        for (event, seq) in events.into_iter().zip(1..) {
            state.apply(&event).unwrap();
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(seq).unwrap());
            records.push(Record { seq, at, data: event });
        }
        Report::of(&state, &records, None)
    }

    fn one() -> String {
        "one".to_owned()
    }

    fn started() -> Event {
        Event::StepStarted { step: one(), attempt: 1 }
    }

    fn failed() -> Event {
        Event::StepFailed { step: one(), error: "etcd's revision: expected 7, found 6\n  | more".to_owned() }
    }

    fn restored() -> Report {
        let done = Event::StepDone { step: one(), outputs: Values::new() };
        report(vec![started(), Event::StepKept { step: one() }, done, Event::Finished { ending: Ending::Restored }])
    }

    fn verdict(kind: Kind, report: Option<&Report>, figures: &Figures, against: &[&str]) -> (Outcome, String) {
        let against: Vec<String> = against.iter().map(|said| (*said).to_owned()).collect();
        let Verdict { outcome, reasons } = judge(&Case { kind, report, figures, proofs: &[], against: &against });
        (outcome, reasons.join(" "))
    }

    #[test]
    fn a_drill_within_its_limits_passes() {
        let said = "Every step took; the playbook has no proofs. RTO is 1m 00s, within the 15m that is allowed. \
                    RPO is 3m 20s, within the 10m that is allowed.";
        assert_eq!(verdict(Kind::Drill, Some(&restored()), &LIMITS, &[]), (Outcome::Passed, said.to_owned()));
    }

    #[test]
    fn a_limit_is_kept_up_to_its_last_moment() {
        let at = Figures { rto_seconds: Some(900.0), rpo_seconds: Some(600.0), ..LIMITS };
        assert_eq!(verdict(Kind::Drill, Some(&restored()), &at, &[]).0, Outcome::Passed);
        for over in [Figures { rto_seconds: Some(900.1), ..LIMITS }, Figures { rpo_seconds: Some(600.1), ..LIMITS }] {
            assert_eq!(verdict(Kind::Drill, Some(&restored()), &over, &[]).0, Outcome::Failed, "{over:?}");
        }
    }

    #[test]
    fn a_drill_over_a_limit_fails_and_a_restore_only_tells() {
        let late = Figures { rto_seconds: Some(1000.0), ..LIMITS };
        let said = "RTO is 16m 40s; only 15m is allowed.";
        assert_eq!(verdict(Kind::Drill, Some(&restored()), &late, &[]), (Outcome::Failed, said.to_owned()));
        let (outcome, reasons) = verdict(Kind::Restore, Some(&restored()), &late, &[]);
        assert_eq!(outcome, Outcome::Passed);
        assert!(reasons.contains(said), "{reasons}");
    }

    #[test]
    fn what_is_not_known_keeps_no_limit() {
        let unknown = Figures { rpo_seconds: None, ..LIMITS };
        let said = "RPO is not known; 10m is allowed.";
        assert_eq!(verdict(Kind::Drill, Some(&restored()), &unknown, &[]), (Outcome::Failed, said.to_owned()));
        let limitless = Figures { rpo_limit_seconds: None, ..unknown };
        assert_eq!(verdict(Kind::Drill, Some(&restored()), &limitless, &[]).0, Outcome::Passed);
    }

    #[test]
    fn a_failed_step_fails_whoever_asked() {
        let stopped = Event::Stopped { reason: "step `one` failed".to_owned() };
        let failed = report(vec![started(), failed(), stopped]);
        let figures = Figures { rto_seconds: None, ..LIMITS };
        let said = "Step `one` failed: etcd's revision: expected 7, found 6.";
        for kind in [Kind::Drill, Kind::Restore] {
            assert_eq!(verdict(kind, Some(&failed), &figures, &[]), (Outcome::Failed, said.to_owned()));
        }
    }

    #[test]
    fn what_was_rolled_back_says_what_had_failed() {
        let back = [
            Event::RollbackStarted { reason: "step `one` failed".to_owned() },
            Event::UndoStarted { step: one(), leaves_mark: true },
            Event::UndoDone { step: one() },
            Event::Finished { ending: Ending::RolledBack },
        ];
        let rolled_back = report([started(), failed()].into_iter().chain(back).collect());
        let said = "Step `one` failed: etcd's revision: expected 7, found 6. \
                    The run was rolled back: the target is as it was.";
        let figures = Figures { rto_seconds: None, ..LIMITS };
        assert_eq!(verdict(Kind::Restore, Some(&rolled_back), &figures, &[]), (Outcome::Failed, said.to_owned()));
    }

    #[test]
    fn what_was_left_is_unfinished_unless_something_speaks_against_it() {
        let stopped = Event::Stopped { reason: "interrupted".to_owned() };
        let left = report(vec![started(), stopped.clone()]);
        let figures = Figures { rto_seconds: None, ..LIMITS };
        let said = "The run stopped at its checkpoint: interrupted.";
        assert_eq!(verdict(Kind::Drill, Some(&left), &figures, &[]), (Outcome::Unfinished, said.to_owned()));
        let killed = report(vec![started()]);
        let said = "The run has not ended: a drctl works on it, or was killed.";
        assert_eq!(verdict(Kind::Restore, Some(&killed), &figures, &[]), (Outcome::Unfinished, said.to_owned()));
        let again = report(vec![started(), stopped, Event::Resumed { direction: Direction::Forward }]);
        assert_eq!(verdict(Kind::Restore, Some(&again), &figures, &[]).1, said);
        let against = ["The target could not be destroyed."];
        assert_eq!(verdict(Kind::Drill, Some(&left), &figures, &against), (Outcome::Failed, against[0].to_owned()));
    }

    #[test]
    fn without_a_run_nothing_passes() {
        let none = Figures { rto_seconds: None, rpo_seconds: None, ..LIMITS };
        assert_eq!(verdict(Kind::Drill, None, &none, &[]), (Outcome::Failed, "No run was begun.".to_owned()));
        let against = ["The target could not be made: no space."];
        assert_eq!(verdict(Kind::Drill, None, &none, &against), (Outcome::Failed, against[0].to_owned()));
    }

    #[test]
    fn a_proof_of_the_drill_itself_that_fails_counts() {
        let proof = Proof {
            step: None,
            name: "Isolation".to_owned(),
            how: String::new(),
            expected: Some("no route".to_owned()),
            found: "a default route".to_owned(),
            passed: Some(false),
        };
        let (report, proofs) = (restored(), [proof]);
        let case = Case { kind: Kind::Drill, report: Some(&report), figures: &LIMITS, proofs: &proofs, against: &[] };
        let Verdict { outcome, reasons } = judge(&case);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(reasons, ["Isolation: expected no route, found a default route."]);
    }
}
