//! The journal against crashes, damage, a full disk, and everything that can be written into it.

mod damage;
mod replay;
mod space;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Journal, JournalError, read};
use crate::engine::StepState;
use crate::event::{Event, RunHeader, SnapshotRef, StepRef};

fn header(steps: usize) -> RunHeader {
    RunHeader {
        format: crate::event::FORMAT,
        run: "prod-1".to_owned(),
        drctl: "0".to_owned(),
        cluster: "prod".to_owned(),
        host: "cp".to_owned(),
        inventory: "/i".to_owned(),
        playbook: "embedded".to_owned(),
        inventory_sha256: String::new(),
        playbook_sha256: String::new(),
        snapshot_json_sha256: None,
        accepted: Vec::new(),
        snapshot: SnapshotRef {
            name: "s.db".to_owned(),
            source: "here".to_owned(),
            sha256: String::new(),
            size: 0,
            taken: Timestamp::UNIX_EPOCH,
            revision: 1,
        },
        steps: (0..steps).map(|step| StepRef { name: name(step), action: "command".to_owned(), holds: None }).collect(),
    }
}

fn name(step: usize) -> String {
    format!("step-{step}")
}

fn started(steps: usize) -> Event {
    Event::RunStarted(Box::new(header(steps)))
}

/// A step from its beginning to its checkpoint.
fn one_step() -> [Event; 4] {
    let step = || name(0);
    [
        started(1),
        Event::StepStarted { step: step(), attempt: 1 },
        Event::StepKept { step: step() },
        Event::StepDone { step: step(), outputs: [("path".to_owned(), "/x \"y\"".to_owned())].into() },
    ]
}

/// A journal of these events.
fn written(events: impl IntoIterator<Item = Event>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.ndjson");
    let mut journal = Journal::create(&path).unwrap();
    for event in events {
        journal.append(event).unwrap();
    }
    (dir, path)
}

fn lines(path: &Path) -> Vec<usize> {
    let bytes = std::fs::read(path).unwrap();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[test]
fn what_was_appended_is_read() {
    let (_dir, path) = written(one_step());
    let (state, records) = read(&path).unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!(state.outputs()["step.step-0.path"], "/x \"y\"");
    assert!(matches!(state.steps[0], StepState::Done { .. }));
}

#[test]
fn a_second_process_is_told_that_it_is_busy() {
    let (dir, path) = written(one_step());
    let held = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Busy { .. })));
    // By whatever name.
    let link = dir.path().join("link");
    std::fs::hard_link(&path, &link).unwrap();
    assert!(matches!(Journal::open(&link), Err(JournalError::Busy { .. })));
    drop(held);
    Journal::open(&path).unwrap();
}

#[test]
fn a_journal_without_a_name_is_not_written_on() {
    let (_dir, path) = written(one_step());
    let (mut journal, _) = Journal::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = journal.append(Event::Stopped { reason: String::new() }).unwrap_err();
    assert_eq!(
        crate::engine::chain(&error),
        format!("could not write to the journal `{}`: it was removed while the run was under way", path.display())
    );
}
