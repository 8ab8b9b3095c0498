//! Targets of virtual machines and of containers, for real: an emulated machine with cloud-init, a container of Podman's,
//! a real sshd and a real etcd in each; what they prove, what they can reach (nothing), what a killed drctl leaves (nothing).

#![expect(clippy::expect_used, reason = "a test panics to say what went wrong")]

mod container;
mod machine;
#[path = "../drill/site.rs"]
#[expect(dead_code, reason = "drills of namespaces use the rest")]
mod site;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use site::Site;

/// Longer than an emulated machine takes while others work, too.
const LONG: Duration = Duration::from_mins(6);

/// A drill that is under way.
fn begun(site: &Site) -> Child {
    let mut command = site.lab.command(&["drill", "--inventory", &site.inventory, "--level", "data"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("drctl can be run")
}

/// Waits for a fact; a drill that ends before is told.
fn until(what: &str, drctl: &mut Child, mut fact: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !fact() {
        if let Some(status) = drctl.try_wait().expect("its state") {
            let said = drctl.stderr.take().and_then(|pipe| std::io::read_to_string(pipe).ok());
            panic!("drctl ended ({status}) before {what}: {}", said.unwrap_or_default());
        }
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(mut drctl: Child) {
    drctl.kill().expect("it can be killed");
    drctl.wait().expect("it ends");
}

/// The folders of all drills.
fn folders(site: &Site) -> Vec<PathBuf> {
    let entries = site.lab.dir.path().join("state/drills").read_dir();
    let folders = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join("drill.json").exists()).collect()
}

/// Whether the newest drill's run has come to this.
fn journal_has(site: &Site, word: &str) -> bool {
    let runs = folders(site).into_iter().filter_map(|folder| folder.join("runs").read_dir().ok()).flatten().flatten();
    let mut journals = runs.filter_map(|run| std::fs::read_to_string(run.path().join("journal.ndjson")).ok());
    journals.any(|journal| journal.contains(word))
}

/// Takes away what a killed drill left, and says it. A process that the drill was just about to start holds its lock for a
/// moment longer.
#[track_caller]
fn sweep(site: &Site) {
    let end = Instant::now() + Duration::from_secs(10);
    let said = loop {
        let said = site.lab.drctl(&["drill", "sweep"]).expect(0).stdout;
        if !said.contains("a drctl works on it") || Instant::now() > end {
            break said;
        }
    };
    assert!(said.contains("its target is gone now"), "{said}");
    assert_eq!(site.lab.drctl(&["drill", "sweep"]).expect(0).stdout, "nothing was left by any drill\n");
}
