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

use site::Scene;

/// Every n-th trial.
fn every(default: usize) -> usize {
    let given = std::env::var("DRCTL_MATRIX_EVERY").ok();
    given.map_or(default, |every| every.parse().expect("DRCTL_MATRIX_EVERY is a number"))
}

fn matrix(scene: Scene, default: usize) {
    let every = every(default).max(1);
    let report = pool::run(scene, every);
    report.leave(scene.name());
    assert!(report.failures().is_empty(), "{report}");
}

#[test]
fn light_host_every_step_up_to_a_running_etcd() {
    matrix(Scene::Light, 50);
}

#[test]
fn kube_host_the_shipped_playbook() {
    matrix(Scene::Kube, 2000);
}
