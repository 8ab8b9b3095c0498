//! Whatever instant a drill ends at, what it made is found and taken away.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::site::{Root, Site};
use super::support::{DRCTL, Ran};

#[test]
fn a_killed_drill_is_swept() {
    let site = Site::new(Root::Light, "");
    for state in ["planned", "created"] {
        let mut drctl = begun(&site, &[]);
        reaches(&site, state);
        drctl.kill().expect("it can be killed");
        drctl.wait().expect("it ends");
        let said = site.lab.drctl(&["drill", "sweep"]).expect(0).stdout;
        assert!(said.contains("its target is gone now"), "killed when {state}: {said}");
        site.leaves_nothing();
        let again = site.lab.drctl(&["drill", "sweep"]).expect(0).stdout;
        assert_eq!(again, "nothing was left by any drill\n");
    }
    let listed = site.lab.drctl(&["drill", "list"]).expect(0).stdout;
    assert_eq!(listed.matches("target gone").count(), 2, "{listed}");
}

/// The target of a drill that still works is nobody else's to take.
#[test]
fn a_drill_that_works_is_left_alone() {
    let site = Site::new(Root::Light, "");
    let drctl = begun(&site, &[]);
    reaches(&site, "created");
    let said = site.lab.drctl(&["drill", "sweep"]).expect(0).stdout;
    assert!(said.contains("a drctl works on it: left alone"), "{said}");
    let ended = drctl.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    site.leaves_nothing();
}

/// Ctrl-C takes the target away before it says goodbye; what is no target yet is not kept.
#[test]
fn an_interrupted_drill_leaves_nothing() {
    let site = Site::new(Root::Light, "");
    for (state, more) in [("planned", ["--keep"].as_slice()), ("created", &[])] {
        let drctl = begun(&site, more);
        reaches(&site, state);
        let pid = rustix::process::Pid::from_child(&drctl);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
        let ended = drctl.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(130), "{state}: {}", String::from_utf8_lossy(&ended.stderr));
        site.leaves_nothing();
    }
}

/// One that cannot be read leaves the others' leftovers nowhere.
#[test]
fn a_sweep_goes_on_past_what_it_cannot_take_away() {
    let state = tempfile::tempdir().expect("a folder");
    let drills = state.path().join("drills");
    for drill in ["a", "b"] {
        std::fs::create_dir_all(drills.join(drill).join("snapshots")).expect("a drill");
        std::fs::write(drills.join(drill).join("lock"), "").expect("its lock");
    }
    std::fs::write(drills.join("a/drill.json"), "{").expect("a record");
    let root = drills.join("shared/roots/b.new");
    std::fs::create_dir_all(&root).expect("a root");
    let mut command = std::process::Command::new(DRCTL);
    let ran: Ran =
        command.arg("--state").arg(state.path()).args(["drill", "sweep"]).output().expect("drctl can be run").into();
    let ran = ran.expect(5);
    assert!(ran.stdout.starts_with("a  NOT GONE: could not read "), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nb  ended before it had a target"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("roots/b.new  nobody makes this root any more: gone now\n"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("error: what drills made is left: a\n"), "{}", ran.stderr);
    assert!(!drills.join("b").exists() && !root.exists());
}

/// What is fetched before there is a target does not outlast Ctrl-C, nor, once that is swept, SIGKILL.
#[test]
fn a_drill_without_a_target_leaves_no_snapshot() {
    let site = Site::new(Root::Light, "");
    let (newest, reading) = (site.lab.dir.path().join("newest"), site.lab.dir.path().join("reading"));
    std::fs::create_dir(&newest).expect("a folder");
    // Its key is long in coming.
    std::fs::write(newest.join("etcd-2099-01-01.db.age"), format!("age-encryption.org/v1\n{}", "-".repeat(600)))
        .expect("a file");
    let text = std::fs::read_to_string(&site.inventory).expect("the inventory");
    let more = format!(
        "{text}\n[[snapshots]]\nfolder.path = \"{}\"\n\n[age]\nidentity = {{ command = [\"sh\", \"-c\", \"touch {}; exec sleep 2\"] }}\n",
        newest.display(),
        reading.display(),
    );
    std::fs::write(&site.inventory, more).expect("another inventory");
    let signalled = |signal| {
        let drctl = begun(&site, &[]);
        let until = Instant::now() + Duration::from_mins(1);
        while !reading.exists() {
            assert!(Instant::now() < until, "no key is asked for");
            std::thread::sleep(Duration::from_millis(5));
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&drctl), signal).expect("a signal");
        let ended = drctl.wait_with_output().expect("it ends");
        std::fs::remove_file(&reading).expect("the mark");
        ended
    };
    let killed = signalled(rustix::process::Signal::KILL);
    assert_eq!(killed.status.code(), None);
    assert!(site.unplanned().join("snapshots").exists());
    let said = site.lab.drctl(&["drill", "sweep"]).expect(0).stdout;
    assert!(said.ends_with("  ended before it had a target: what it had fetched is gone now\n"), "{said}");
    let interrupted = signalled(rustix::process::Signal::INT);
    assert_eq!(interrupted.status.code(), Some(130), "{}", String::from_utf8_lossy(&interrupted.stderr));
    assert!(site.unplanned().join("report.json").exists() && !site.unplanned().join("snapshots").exists());
}

fn begun(site: &Site, more: &[&str]) -> Child {
    let mut command = site.lab.command(&[&["drill", "--inventory", &site.inventory], more].concat());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("drctl can be run")
}

/// Waits until the newest drill's record says so.
fn reaches(site: &Site, state: &str) {
    let until = Instant::now() + Duration::from_mins(1);
    let drills = site.lab.dir.path().join("state/drills");
    loop {
        let records = drills.read_dir().into_iter().flatten().flatten().map(|entry| entry.path().join("drill.json"));
        let texts: Vec<String> = records.filter_map(|record| std::fs::read_to_string(record).ok()).collect();
        if texts.iter().any(|text| text.contains(&format!("\"target\": \"{state}\""))) {
            return;
        }
        assert!(Instant::now() < until, "no drill is {state}: {texts:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
