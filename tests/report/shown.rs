//! `drctl show --report`: from journals that earlier versions wrote, too.

use std::path::{Path, PathBuf};
use std::process::Command;

use drctl::report::Evidence;
use drctl::report::evidence::{Kind, Outcome};
use tempfile::TempDir;

const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journals/format-1");
const RESTORED: &str = "prod-20261124T214833Z-0cbb";
const ROLLED_BACK: &str = "prod-20261124T214838Z-659b";
const UNDO_FAILED: &str = "prod-20261124T214852Z-cbdf";

/// The fixtures' journals in a folder of their own.
fn state() -> TempDir {
    let state = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp").arg("-r").arg(Path::new(FORMAT_1).join("runs")).arg(state.path()).status();
    assert!(copied.expect("cp can be run").success());
    state
}

fn run(state: &TempDir, id: &str) -> PathBuf {
    state.path().join("runs").join(id)
}

fn shown(state: &TempDir, id: &str, form: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_drctl"))
        .arg("--state")
        .arg(state.path())
        .args(["show", id, "--report", form])
        .output()
        .expect("drctl can be run");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn evidence(state: &TempDir, id: &str) -> Evidence {
    serde_json::from_str(&shown(state, id, "json")).expect("a report")
}

#[test]
fn older_runs_have_reports_in_every_form() {
    let state = state();
    assert!(shown(&state, RESTORED, "html").contains("</svg>Restored</h1>"));
    assert!(shown(&state, RESTORED, "markdown").starts_with("# Restored: restore of prod, 2026-11-24\n"));
    let restored = evidence(&state, RESTORED);
    assert_eq!((restored.kind, restored.verdict.outcome), (Kind::Restore, Outcome::Passed));
    assert_eq!(restored.findings, None, "it was begun before findings were kept");
    assert_eq!(restored.versions.kubernetes.as_deref(), Some("v1.20.2"));
    assert_eq!(restored.figures.rpo_limit_seconds, Some(364.0 * 86_400.0));
    assert_eq!(restored.trend.len(), 1, "later runs are not its past");
    let failed = evidence(&state, UNDO_FAILED);
    assert_eq!(failed.verdict.outcome, Outcome::Failed);
    assert!(failed.verdict.reasons[0].contains("a person is needed"), "{:?}", failed.verdict);
    assert_eq!(
        failed.trend.iter().map(|past| past.outcome).collect::<Vec<_>>(),
        [Outcome::Passed, Outcome::Failed, Outcome::Failed, Outcome::Failed]
    );
    assert_eq!(failed.last_success, Some(restored.ended));
    let rolled_back = evidence(&state, ROLLED_BACK);
    assert!(rolled_back.verdict.reasons.iter().any(|reason| reason.contains("was rolled back")));
    assert!(!run(&state, RESTORED).join("report.json").exists(), "showing writes nothing");
}

#[test]
fn the_digest_is_that_of_the_journals_file() {
    let state = state();
    let output = Command::new("sha256sum").arg(run(&state, RESTORED).join("journal.ndjson")).output();
    let said = String::from_utf8(output.expect("sha256sum can be run").stdout).expect("UTF-8");
    let digests = evidence(&state, RESTORED).digests;
    assert_eq!(digests.journal.as_deref(), said.split_whitespace().next());
    let inventory = Command::new("sha256sum").arg(run(&state, RESTORED).join("inventory.toml")).output();
    let said = String::from_utf8(inventory.expect("sha256sum can be run").stdout).expect("UTF-8");
    assert_eq!(digests.inventory.as_deref(), said.split_whitespace().next());
}

#[test]
fn frozen_texts_that_were_changed_speak_against_the_report() {
    let state = state();
    let path = run(&state, RESTORED).join("inventory.toml");
    let text = std::fs::read_to_string(&path).expect("an inventory");
    std::fs::write(&path, text + "# changed\n").expect("a file");
    let verdict = evidence(&state, RESTORED).verdict;
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert!(verdict.reasons[0].contains("is not what the run froze when it began"), "{verdict:?}");
}

#[test]
fn the_same_journal_gives_the_same_report() {
    let state = state();
    for form in ["html", "markdown", "json"] {
        assert_eq!(shown(&state, UNDO_FAILED, form), shown(&state, UNDO_FAILED, form));
    }
}
