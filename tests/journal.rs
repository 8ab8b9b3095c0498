//! Journals on the controller's disk, as the commands meet them: of older versions, damaged, never begun, held by others.

#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drctl::journal::{Journal, JournalError};
use drctl::runs::{Frozen, Runs, RunsError};
use drctl::sources::Chosen;
use drctl::{inventory, playbook};
use tempfile::TempDir;

const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journals/format-1");
const RESTORED: &str = "prod-20261124T214833Z-0cbb";
const ROLLED_BACK: &str = "prod-20261124T214838Z-659b";
const STOPPED: &str = "prod-20261124T214848Z-6d83";
const UNDO_FAILED: &str = "prod-20261124T214852Z-cbdf";
const UNDONE_AFTER_SUCCESS: &str = "prod-20261124T214858Z-ca56";

/// A folder of journals of its own, with these runs in it.
struct State {
    dir: TempDir,
    /// Whether it is a file system of its own.
    mounted: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        if self.mounted {
            drop(Command::new("umount").arg(self.dir.path()).status());
        }
    }
}

impl State {
    fn of(runs: &[&str]) -> Self {
        let state = Self { dir: tempfile::tempdir().expect("a folder"), mounted: false };
        for run in runs {
            std::fs::create_dir_all(state.run(run)).expect("a folder");
            for name in ["journal.ndjson", "inventory.toml", "playbook.toml", "snapshot.json"] {
                let from = Path::new(FORMAT_1).join("runs").join(run).join(name);
                std::fs::copy(from, state.run(run).join(name)).expect("a copy");
            }
        }
        state
    }

    fn run(&self, run: &str) -> PathBuf {
        self.dir.path().join("runs").join(run)
    }

    fn journal(&self, run: &str) -> PathBuf {
        self.run(run).join("journal.ndjson")
    }

    fn change(&self, run: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.journal(run)).expect("a journal");
        change(&mut bytes);
        std::fs::write(self.journal(run), bytes).expect("a journal");
    }

    /// Exit code, standard output, standard error; the folder's own path is left out.
    fn drctl(&self, args: &[&str]) -> (i32, String, String) {
        // Without any network: no target is within reach.
        let output: Output = Command::new("unshare")
            .args(["--net", "--", env!("CARGO_BIN_EXE_drctl"), "--state"])
            .arg(self.dir.path())
            .args(args)
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .env_remove("SSH_AUTH_SOCK")
            .output()
            .expect("drctl can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*self.dir.path().to_string_lossy(), "STATE");
        (output.status.code().expect("no signal"), text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn refused(&self, args: &[&str], code: i32, said: &str) {
        let (found, out, err) = self.drctl(args);
        assert_eq!(found, code, "{args:?}\n{out}\n{err}");
        assert!(err.contains(said), "{args:?} does not say {said:?}:\n{err}");
        assert!(err.contains("\n  help: "), "{err}");
    }
}

#[test]
fn journals_of_format_1_are_read_for_ever() {
    let state = State::of(&[RESTORED, ROLLED_BACK, STOPPED, UNDO_FAILED, UNDONE_AFTER_SUCCESS]);
    let (code, runs, _) = state.drctl(&["runs"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(runs, @"
    prod-20261124T214833Z-0cbb  2026-11-24 21:48:34 UTC      2.4s  restored
    prod-20261124T214838Z-659b  2026-11-24 21:48:38 UTC      8.7s  rolled back: the target is as it was
    prod-20261124T214848Z-6d83  2026-11-24 21:48:48 UTC      2.8s  stopped: step `broken` failed
    prod-20261124T214852Z-cbdf  2026-11-24 21:48:53 UTC      4.0s  stopped: step `register` could not be undone
    prod-20261124T214858Z-ca56  2026-11-24 21:48:59 UTC      3.7s  rolled back: the target is as it was
    ");
    for run in [RESTORED, ROLLED_BACK, STOPPED, UNDO_FAILED, UNDONE_AFTER_SUCCESS] {
        let (code, shown, err) = state.drctl(&["show", run]);
        assert_eq!(code, 0, "{err}");
        assert!(shown.contains(run), "{shown}");
        let (code, shown, _) = state.drctl(&["show", run, "--output", "json"]);
        assert_eq!(code, 0);
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("a line of JSON");
        assert_eq!(shown["data"]["report"]["header"]["run"], run);
    }
}

#[test]
fn what_runs_of_format_1_froze_can_be_taken_up_for_ever() {
    let runs = [RESTORED, ROLLED_BACK, STOPPED, UNDO_FAILED, UNDONE_AFTER_SUCCESS];
    let state = State::of(&runs);
    for run in runs {
        let folder = Runs::new(state.dir.path()).find(run).expect("the run");
        let opened = folder.open().expect("what it froze");
        let header = &opened.state.header;
        let base = Path::new(&header.inventory).parent().expect("a folder");
        let inventory =
            inventory::parse("inventory", &opened.inventory, base).map_err(miette::Report::new).expect("an inventory");
        let playbook =
            playbook::parse("playbook", &opened.playbook, &inventory).map_err(miette::Report::new).expect("a playbook");
        let frozen: Vec<&str> = playbook.steps.iter().map(|step| step.name.as_str()).collect();
        let journalled: Vec<&str> = header.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(frozen, journalled);
        assert_eq!(opened.snapshot.claims.revision, header.snapshot.revision);
    }
    // As far as the target: it is out of reach, and the run stands where it stood.
    for (command, run) in [("resume", STOPPED), ("rollback", STOPPED), ("rollback", UNDO_FAILED)] {
        let before = std::fs::read(state.journal(run)).expect("the journal");
        let yes: &[&str] = if command == "rollback" { &["--yes"] } else { &[] };
        state.refused(&[&[command, run], yes].concat(), 4, "the run stands where it stood");
        assert_eq!(std::fs::read(state.journal(run)).expect("the journal"), before);
    }
}

#[test]
fn a_run_whose_undo_failed_before_paths_were_kept_in_the_journal_still_says_what_remains() {
    let state = State::of(&[UNDO_FAILED]);
    let (_, shown, _) = state.drctl(&["show", UNDO_FAILED]);
    let by_hand = shown.split("\n\n").nth(2).expect("a third part");
    insta::assert_snapshot!(by_hand, @"
    BY HAND  step `register` could not be undone: `echo the load balancer does not answer >&2; exit 1` failed: exit status 1
               | the load balancer does not answer
             to be undone after it: note, restore-etcd, ca-key, ca-crt, fetch-snapshot, fence
             which paths are kept is not known: on 10.77.0.10, see /var/lib/drctl/prod-20261124T214852Z-cbdf and `.drctl-prod-20261124T214852Z-cbdf.…` beside what the steps change
             1. on 10.77.0.10, mend what `register` said; leave what is kept where it is
             2. `drctl rollback prod-20261124T214852Z-cbdf` undoes `register` again, then the others
             3. `drctl show prod-20261124T214852Z-cbdf` tells this again
    ");
}

#[test]
fn a_damaged_journal_of_the_newest_run_is_told_and_no_older_run_is_taken_up_instead() {
    let state = State::of(&[STOPPED, UNDO_FAILED]);
    state.change(UNDO_FAILED, |bytes| {
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
    });
    let before = std::fs::read(state.journal(UNDO_FAILED)).expect("the journal");
    let (code, runs, _) = state.drctl(&["runs"]);
    assert_eq!(code, 0);
    let last = runs.lines().last().expect("a run");
    assert!(last.starts_with(&format!("{UNDO_FAILED}  UNREADABLE: the journal `STATE/runs/{UNDO_FAILED}/journal.ndjson` is damaged at line 32: its sum is")), "{last}");
    for args in [["resume"].as_slice(), &["rollback", "--yes"]] {
        state.refused(args, 4, &format!("whether run {UNDO_FAILED} is to be"));
        state.refused(args, 4, "is damaged at line 32");
    }
    for args in [["show", UNDO_FAILED].as_slice(), &["resume", UNDO_FAILED], &["rollback", "--yes", UNDO_FAILED]] {
        state.refused(args, 4, "is damaged at line 32");
    }
    assert_eq!(std::fs::read(state.journal(UNDO_FAILED)).expect("the journal"), before, "it is left as it is");
    // The older one is taken up when it is named.
    state.refused(&["resume", STOPPED], 4, "the run stands where it stood");
    // For programs too.
    let (_, runs, _) = state.drctl(&["runs", "--output", "json"]);
    let last: serde_json::Value = serde_json::from_str(runs.lines().last().expect("a run")).expect("JSON");
    assert_eq!((last["kind"].as_str(), last["data"]["run"].as_str()), (Some("unreadable"), Some(UNDO_FAILED)));
}

#[test]
fn a_damaged_journal_counts_as_young_as_it_may_be() {
    // The older run's journal is damaged, and was written to after the newer one's.
    let state = State::of(&[STOPPED, UNDO_FAILED]);
    state.change(STOPPED, |bytes| bytes[10] ^= 1);
    state.refused(&["resume"], 4, &format!("whether run {STOPPED} is to be resumed"));
    // A newer format is one that cannot be read either.
    let state = State::of(&[STOPPED]);
    std::fs::write(state.journal(STOPPED), later_format()).expect("a journal");
    state.refused(&["resume"], 4, "has format 2; this drctl reads up to 1");
    state.refused(&["show", STOPPED], 4, "use the drctl that wrote it, or a later one");
}

/// A first line as a later drctl might write it.
fn later_format() -> String {
    use sha2::{Digest as _, Sha256};
    let body = r#"{"seq":1,"at":"2030-01-01T00:00:00Z","data":{"event":"run_started","format":2,"steps":{}}"#;
    let digest = Sha256::new().chain_update("0".repeat(16)).chain_update(body).finalize();
    let sum: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{body},\"sum\":\"{sum}\"}}\nanything\n")
}

#[test]
fn a_run_that_was_never_begun_is_no_obstacle_wherever_its_process_died() {
    let state = State::of(&[STOPPED]);
    let never = "prod-20270101T000000Z-aaaa";
    let header = std::fs::read(state.journal(STOPPED)).expect("a journal");
    let header = header.split_inclusive(|byte| *byte == b'\n').next().expect("a first line").to_vec();
    // The folder; the texts, one of them torn; the journal, empty; its first record, torn.
    let stages: [&dyn Fn(&Path); 5] = [
        &|dir| std::fs::create_dir(dir).expect("a folder"),
        &|dir| std::fs::write(dir.join("inventory.toml"), "[cluster]\nna").expect("a file"),
        &|dir| std::fs::write(dir.join("journal.ndjson"), "").expect("a file"),
        &|dir| std::fs::write(dir.join("journal.ndjson"), &header[..100]).expect("a file"),
        &|dir| std::fs::write(dir.join("journal.ndjson"), &header[..header.len() - 1]).expect("a file"),
    ];
    for (number, stage) in stages.iter().enumerate() {
        stage(&state.run(never));
        let (code, runs, _) = state.drctl(&["runs"]);
        assert_eq!(code, 0);
        assert!(runs.contains(&format!("{STOPPED}  2026")), "{runs}");
        let told = runs.contains(&format!("{never}  never begun: nothing was touched"));
        assert_eq!(told, number >= 2, "{runs}");
        let words = if number >= 2 { "the run was never begun" } else { "no run here is called" };
        for args in [["show", never].as_slice(), &["resume", never], &["rollback", "--yes", never]] {
            state.refused(args, 2, words);
        }
        // The run before it is the newest that did not end.
        state.refused(&["resume"], 4, "the run stands where it stood");
    }
}

#[test]
fn texts_that_are_not_what_the_run_froze_are_refused() {
    for name in ["inventory.toml", "playbook.toml"] {
        let state = State::of(&[STOPPED]);
        let path = state.run(STOPPED).join(name);
        let mut text = std::fs::read_to_string(&path).expect("a text");
        text.push_str("\n# a harmless remark\n");
        std::fs::write(&path, &text).expect("a text");
        let said = format!("`STATE/runs/{STOPPED}/{name}` is not what the run froze when it began: its SHA-256 is");
        state.refused(&["resume"], 4, &said);
        state.refused(&["rollback", "--yes", STOPPED], 4, &said);
        std::fs::remove_file(&path).expect("a text");
        state.refused(&["resume"], 4, &format!("could not read `STATE/runs/{STOPPED}/{name}`: No such file"));
        assert_eq!(state.drctl(&["show", STOPPED]).0, 0, "the journal itself can still be shown");
    }
    let state = State::of(&[STOPPED]);
    let path = state.run(STOPPED).join("snapshot.json");
    let text = std::fs::read_to_string(&path).expect("a text");
    std::fs::write(&path, text.replace("\"sha256\": \"5", "\"sha256\": \"6")).expect("a text");
    state.refused(&["resume"], 4, "it names the snapshot with SHA-256 6");
    std::fs::write(&path, "{").expect("a text");
    state.refused(&["resume"], 4, "is not what the run froze when it began: EOF while parsing");
}

#[test]
fn a_folder_that_was_renamed_is_not_taken_for_another_run() {
    let state = State::of(&[STOPPED]);
    let other = "prod-20261124T214848Z-ffff";
    std::fs::rename(state.run(STOPPED), state.run(other)).expect("a folder");
    state.refused(&["resume"], 4, &format!("is that of run `{STOPPED}`"));
    state.refused(&["show", other], 4, &format!("call it `{STOPPED}` again"));
}

#[test]
fn a_run_that_another_process_works_on_is_left_alone() {
    let state = State::of(&[STOPPED]);
    let held = Journal::open(&state.journal(STOPPED)).expect("the journal");
    for args in [["resume"].as_slice(), &["rollback", "--yes", STOPPED]] {
        state.refused(args, 6, "another drctl process has the journal");
    }
    assert_eq!(state.drctl(&["runs"]).0, 0);
    drop(held);
    state.refused(&["resume"], 4, "the run stands where it stood");
}

#[test]
fn no_id_is_not_any_id() {
    let state = State::of(&[STOPPED]);
    state.refused(&["rollback", "--yes", ""], 2, "no run here is called ``");
}

/// A file system of this many pages.
fn mounted(pages: usize) -> State {
    let mut state = State { dir: tempfile::tempdir().expect("a folder"), mounted: false };
    mount(&["-t", "tmpfs", "-o", &format!("size={}k", pages * 4), "tmpfs"], &state);
    state.mounted = true;
    state
}

fn mount(args: &[&str], state: &State) {
    let done = Command::new("mount").args(args).arg(state.dir.path()).status().expect("mount can be run");
    assert!(done.success(), "mount {args:?}");
}

#[test]
fn a_disk_that_cannot_be_written_is_told_and_reading_goes_on() {
    let state = mounted(100);
    std::fs::create_dir_all(state.run(STOPPED)).expect("a folder");
    for file in std::fs::read_dir(Path::new(FORMAT_1).join("runs").join(STOPPED)).expect("a folder") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), state.run(STOPPED).join(file.file_name())).expect("a copy");
    }
    mount(&["-o", "remount,ro"], &state);
    state.refused(
        &["resume"],
        4,
        &format!("could not open the journal `STATE/runs/{STOPPED}/journal.ndjson`: Read-only file system"),
    );
    assert_eq!(state.drctl(&["runs"]).0, 0);
    assert_eq!(state.drctl(&["show", STOPPED]).0, 0);
}

/// What a run of the fixtures began with.
fn beginning() -> (drctl::event::RunHeader, Chosen, [String; 2]) {
    let folder = Path::new(FORMAT_1).join("runs").join(STOPPED);
    let (state, _) = drctl::journal::read(&folder.join("journal.ndjson")).expect("a journal");
    let snapshot = std::fs::read(folder.join("snapshot.json")).expect("a snapshot");
    let texts = ["inventory.toml", "playbook.toml"];
    let texts = texts.map(|name| std::fs::read_to_string(folder.join(name)).expect("a text"));
    (state.header, serde_json::from_slice(&snapshot).expect("a snapshot"), texts)
}

#[test]
fn a_run_that_finds_no_room_is_not_begun_and_leaves_nothing() {
    let (header, snapshot, [inventory, playbook]) = beginning();
    let frozen = Frozen { inventory: &inventory, playbook: &playbook, snapshot: &snapshot };
    let mut refused = 0;
    for pages in 1..8 {
        let state = mounted(pages);
        let runs = Runs::new(state.dir.path());
        match runs.begin(header.clone(), &frozen) {
            Ok((folder, journal, state, _)) => {
                drop(journal);
                let opened = folder.open().expect("the run");
                assert_eq!(opened.state, state);
                assert!(opened.state.header.snapshot_json_sha256.is_some());
            }
            Err(error) => {
                refused += 1;
                let (RunsError::Io { source, .. } | RunsError::Journal(JournalError::Io { source, .. })) = &error
                else {
                    panic!("{error:?}")
                };
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
                assert_eq!(runs.list().expect("the runs").len(), 0);
                assert!(!state.run(STOPPED).exists(), "with {pages} pages");
            }
        }
    }
    assert_eq!(refused, 3, "the playbook, the snapshot and the journal, each in turn, find no room");
}

#[test]
fn a_run_is_begun_once() {
    let (header, snapshot, [inventory, playbook]) = beginning();
    let frozen = Frozen { inventory: &inventory, playbook: &playbook, snapshot: &snapshot };
    let state = State::of(&[]);
    let runs = Runs::new(&state.dir.path().join("a/state/that/is/not/there"));
    let begun = runs.begin(header.clone(), &frozen).expect("a run");
    let again = runs.begin(header, &frozen).map(drop).expect_err("the same id");
    assert!(again.to_string().starts_with("could not make the folder"), "{again}");
    assert_eq!(begun.0.read().expect("the first").0, begun.2);
}

#[test]
fn all_processes_of_a_controller_have_one_name_for_it() {
    for left in [None, Some(""), Some("\0\0"), Some("\n")] {
        let state = State::of(&[]);
        let runs = Runs::new(state.dir.path());
        std::fs::create_dir_all(state.dir.path().join("runs")).expect("a folder");
        if let Some(left) = left {
            std::fs::write(state.dir.path().join("runs/controller"), left).expect("a file");
        }
        let name = runs.controller().expect("a name");
        assert!(name.len() > 9 && !name.contains(char::is_control), "{name:?}");
        assert_eq!(runs.controller().expect("a name"), name);
        assert_eq!(runs.list().expect("the runs").len(), 0);
    }
    for _ in 0..20 {
        let state = State::of(&[]);
        let names: Vec<String> = std::thread::scope(|scope| {
            let asked: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Runs::new(state.dir.path()).controller().expect("a name"))).collect();
            asked.into_iter().map(|asked| asked.join().expect("no panic")).collect()
        });
        assert!(names.iter().all(|name| *name == names[0] && !name.is_empty()), "{names:?}");
    }
}
