//! All chosen trials of a scene, several at once, each worker with a network of its own.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::judge::{Outcome, Way, judge};
use crate::site::{Counts, Disks, Scene, Shared, Site};
use crate::support::Lab;
use crate::table::Report;
use crate::trial::Trial;

/// Which trials are run.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// About every n-th.
    Every(usize),
    /// Those whose line has these words.
    Only(String),
    /// Those of [`Scene::few`].
    Few,
}

/// Runs the chosen trials.
pub(crate) fn run(scene: Scene, choice: &Choice) -> Report {
    let lab = Lab::new();
    let mut shared = Shared::new(scene, &lab);
    (shared.counts, shared.left) = undisturbed_run(&shared, &lab);
    let (shared, counts) = (&shared, shared.counts);
    let all = scene.trials(counts);
    let is_meant = |number: usize, trial: &Trial| match choice {
        Choice::Every(every) => is_chosen(number, *every),
        Choice::Only(words) => trial.to_string().contains(words),
        Choice::Few => Scene::few(counts).contains(trial),
    };
    let chosen: Vec<Trial> =
        all.iter().copied().enumerate().filter(|(n, trial)| is_meant(*n, trial)).map(|(_, trial)| trial).collect();
    eprintln!("{counts:?}: {} of {} trials", chosen.len(), all.len());

    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..scene.workers().min(chosen.len()) {
            scope.spawn(|| {
                let lab = Lab::new();
                while let Some(trial) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = caught(shared, &lab, *trial);
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

/// About every n-th, without regard to the order they come in; another part for each `DRCTL_MATRIX_FROM`.
fn is_chosen(number: usize, every: usize) -> bool {
    let from =
        std::env::var("DRCTL_MATRIX_FROM").map_or(0, |from| from.parse().expect("DRCTL_MATRIX_FROM is a number"));
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    usize::try_from(hasher.finish() >> 32).expect("32 bits fit") % every == from % every
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

/// How many operations and records there are, there and back; and what the restore left.
fn undisturbed_run(shared: &Shared, lab: &Lab) -> (Counts, String) {
    let site = Site::new(shared, lab, Disks::Lasting);
    let mut counts = Counts::default();
    let args = site.restore();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    (counts.operations, counts.records) = undisturbed(&site, &args, |event| {
        if event["event"] == "step_started" && event["step"] == "kubeadm-init" {
            counts.kubeadm = site.gate.count() + 1;
        }
    });
    site.gate.disarm();
    let left = site.left();
    let undo = ["rollback", &lab.run_id(), "--after-success", "--yes"];
    (counts.undo_operations, counts.undo_records) = undisturbed(&site, &undo, |_| ());
    assert_eq!(site.tree(), site.before, "an undisturbed rollback");
    site.host.down();
    (counts, left)
}

/// Runs a command to its end; how many operations and records it had.
fn undisturbed(site: &Site<'_>, args: &[&str], mut on_record: impl FnMut(&serde_json::Value)) -> (usize, usize) {
    let mut command = site.lab.command(&[args, &["--output", "json"]].concat());
    let mut drctl = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drctl can be run");
    let mut records = 0;
    for line in BufReader::new(drctl.stdout.take().expect("its output")).lines().map_while(Result::ok) {
        let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        if line["kind"] == "record" {
            records += 1;
            on_record(&line["data"]);
        }
    }
    assert_eq!(drctl.wait().expect("it ends").code(), Some(0), "undisturbed: {args:?}");
    (site.gate.count(), records)
}
