//! Any instant may be the last: each remote operation and each journal record of a run is struck, in several ways, and
//! what follows must end restored or as it was before.
//!
//! `DRCTL_MATRIX_EVERY=N` runs every N-th trial (default: few enough for the gate), `1` all of them;
//! `tests/matrix` is the command for people. Tables are left in `target/matrix`.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests panic to say what went wrong, and long ones tell how far they are"
)]

#[path = "../support/mod.rs"]
mod support;

mod gate;
mod journal;
mod judge;
mod pool;
mod site;
mod strike;
mod table;
mod trial;

use pool::Choice;
use site::Scene;

/// What the environment asks for.
fn choice(default: Choice) -> Choice {
    let given = |name: &str| std::env::var(name).ok();
    if let Some(words) = given("DRCTL_MATRIX_ONLY") {
        return Choice::Only(words);
    }
    let every = given("DRCTL_MATRIX_EVERY").map(|every| every.parse().expect("DRCTL_MATRIX_EVERY is a number"));
    every.map_or(default, |every: usize| Choice::Every(every.max(1)))
}

fn matrix(scene: Scene, default: Choice) {
    let report = pool::run(scene, &choice(default));
    report.leave(scene.name());
    assert!(report.failures().is_empty(), "{report}");
    // The last operations are not in every run: how often a job is asked for its end depends on the machine.
    assert!(
        report.struck() * 10 >= report.outcomes.len() * 9 && report.struck() > 0,
        "too little was struck: {report}"
    );
}

#[test]
fn light_host_every_step_up_to_a_running_etcd() {
    matrix(Scene::Light, Choice::Every(50));
}

#[test]
fn kube_host_the_shipped_playbook() {
    matrix(Scene::Kube, Choice::Few);
}
