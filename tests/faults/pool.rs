//! All chosen trials of a scene, several at once, each worker with a network of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::judge::{Outcome, Way, judge};
use crate::site::{Counts, Scene, Shared, Site};
use crate::strike::run as drctl;
use crate::support::Lab;
use crate::table::Report;
use crate::trial::Trial;

/// Runs every n-th trial.
pub(crate) fn run(scene: Scene, every: usize) -> Report {
    let lab = Lab::new();
    let shared = Shared::new(scene, &lab);
    let counts = count(&shared, &lab);
    let all = scene.trials(counts);
    let chosen: Vec<Trial> = all.iter().copied().skip(offset(every)).step_by(every).collect();
    eprintln!("{counts:?}: {} of {} trials", chosen.len(), all.len());

    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..scene.workers().min(chosen.len()) {
            scope.spawn(|| {
                let lab = Lab::new();
                while let Some(trial) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = caught(&shared, &lab, *trial);
                    if let Some(failure) = &outcome.failure {
                        eprintln!("FAILED {trial} (at {}): {failure}", outcome.step);
                    }
                    let mut outcomes = outcomes.lock().expect("no worker panics while it holds this");
                    outcomes.push(outcome);
                    if outcomes.len() % 25 == 0 {
                        eprintln!("{} of {} after {:?}", outcomes.len(), chosen.len(), begun.elapsed());
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no worker panics while it holds this");
    Report { scene: scene.name(), counts, all: all.len(), outcomes, took: begun.elapsed() }
}

/// Another part of the whole for each number, when the environment gives one.
fn offset(every: usize) -> usize {
    let given = std::env::var("DRCTL_MATRIX_FROM").ok();
    given.map_or(every / 2, |from| from.parse().expect("DRCTL_MATRIX_FROM is a number")) % every
}

fn caught(shared: &Shared, lab: &Lab, trial: Trial) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| judge(shared, lab, trial))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
        lab.lab(&["down", "target"]);
        let failure = Some(format!("panicked: {}", text.unwrap_or_default()));
        Outcome { trial, step: "-".to_owned(), way: Way::NotReached, failure }
    })
}

/// Undisturbed: how many operations and records there are, there and back.
fn count(shared: &Shared, lab: &Lab) -> Counts {
    let site = Site::new(shared, lab, false);
    let args = site.restore();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--output", "json"]).collect();
    let restored = drctl(&site, &args).expect(0);
    let operations = site.gate.count();
    let records = records(&restored.stdout);
    site.gate.disarm();
    let undone = drctl(&site, &["rollback", &lab.run_id(), "--after-success", "--yes", "--output", "json"]).expect(0);
    let undo_operations = site.gate.count();
    let undo_records = self::records(&undone.stdout);
    assert_eq!(site.tree(), site.before, "an undisturbed rollback");
    let kubeadm = kubeadm(&restored.stdout, operations);
    site.host.down();
    Counts { operations, records, undo_operations, undo_records, kubeadm }
}

fn records(stdout: &str) -> usize {
    stdout.lines().filter(|line| line.contains("\"kind\":\"record\"")).count()
}

/// About where the step `kubeadm-init` begins: each step before it has about as many operations as the next.
fn kubeadm(stdout: &str, operations: usize) -> usize {
    let done: Vec<&str> = stdout.lines().filter(|line| line.contains("\"event\":\"step_started\"")).collect();
    let before = done.iter().position(|line| line.contains("\"kubeadm-init\"")).unwrap_or(0);
    operations * before / done.len().max(1) / 2
}
