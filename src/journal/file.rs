//! The journal as a file on the controller.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::record::{FIRST, Record};
use super::{JournalError, replay};
use crate::event::Event;

/// A journal that is open for appending; no second process can have it open so.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the next record goes: behind the last whole one.
    end: u64,
    seq: u64,
    sum: String,
}

impl Journal {
    /// Begins a journal; the file must not exist.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| io("create the journal", path, source))?;
        let journal = Self { path: path.to_owned(), file, end: 0, seq: 0, sum: FIRST.to_owned() };
        journal.hold()?;
        sync_folder(path)?;
        Ok(journal)
    }

    /// Opens a journal to go on with it; an unfinished last line is cut off.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| io("open the journal", path, source))?;
        let mut journal = Self { path: path.to_owned(), file, end: 0, seq: 0, sum: FIRST.to_owned() };
        journal.hold()?;
        let whole = replay::read_whole(path)?;
        journal.file.set_len(whole.end).map_err(|source| io("cut the unfinished line off", path, source))?;
        (journal.end, journal.seq, journal.sum) = (whole.end, whole.records.len() as u64, whole.sum);
        Ok((journal, whole.records))
    }

    /// Appends an event; when this returns it is on the disk.
    ///
    /// After an error nothing of the record remains, so that the next one can follow when space is free again.
    pub fn append(&mut self, event: Event) -> Result<Record, JournalError> {
        let record = Record { seq: self.seq + 1, at: Timestamp::now(), data: event };
        let (line, sum) = record
            .frame(&self.sum)
            .map_err(|error| io("write to the journal", &self.path, std::io::Error::other(error)))?;
        if let Err(source) = self.write(line.as_bytes()) {
            // A partial line would be dropped by any reader; cutting it off here is a courtesy to the next append.
            self.file.set_len(self.end).map_err(|source| io("cut the unfinished line off", &self.path, source))?;
            return Err(io("write to the journal", &self.path, source));
        }
        self.end += line.len() as u64;
        self.seq = record.seq;
        self.sum = sum;
        Ok(record)
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(line)?;
        self.file.sync_data()
    }

    fn hold(&self) -> Result<(), JournalError> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Busy { path: self.path.clone() }),
            Err(error) => Err(io("lock the journal", &self.path, error.into())),
        }
    }
}

/// Makes the file's name durable.
fn sync_folder(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| io("sync the folder of", path, source))
}

pub(super) fn io(what: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::StepState;
    use crate::event::{RunHeader, SnapshotRef, StepRef};
    use crate::journal::{RunState, read};

    fn header() -> Event {
        Event::RunStarted(Box::new(RunHeader {
            format: crate::event::FORMAT,
            run: "prod-1".to_owned(),
            drctl: "0".to_owned(),
            cluster: "prod".to_owned(),
            host: "cp".to_owned(),
            inventory: "/i".to_owned(),
            playbook: "embedded".to_owned(),
            inventory_sha256: String::new(),
            playbook_sha256: String::new(),
            snapshot: SnapshotRef {
                name: "s.db".to_owned(),
                source: "here".to_owned(),
                sha256: String::new(),
                size: 0,
                taken: Timestamp::UNIX_EPOCH,
                revision: 1,
            },
            steps: vec![StepRef { name: "one".to_owned(), action: "command".to_owned() }],
        }))
    }

    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.ndjson");
        let mut journal = Journal::create(&path).unwrap();
        let step = || "one".to_owned();
        for event in [
            header(),
            Event::StepStarted { step: step(), attempt: 1 },
            Event::StepKept { step: step() },
            Event::StepDone { step: step(), outputs: [("path".to_owned(), "/x \"y\"".to_owned())].into() },
        ] {
            journal.append(event).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn what_was_appended_is_read() {
        let (_dir, path) = written();
        let (state, records) = read(&path).unwrap();
        assert_eq!(records.len(), 4);
        assert_eq!(state.outputs()["step.one.path"], "/x \"y\"");
        assert!(matches!(state.steps[0], StepState::Done { .. }));
    }

    #[test]
    fn an_unfinished_last_line_is_dropped_and_the_next_record_follows() {
        let (_dir, path) = written();
        let whole = std::fs::read(&path).unwrap();
        let before_last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for end in before_last..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, records) = Journal::open(&path).unwrap();
            assert_eq!(records.len(), 3, "cut at {end}");
            journal.append(Event::StepFailed { step: "one".to_owned(), error: "x".to_owned() }).unwrap();
            assert_eq!(read(&path).unwrap().1.len(), 4);
        }
    }

    #[test]
    fn a_second_process_is_told_that_it_is_busy() {
        let (_dir, path) = written();
        let held = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Busy { .. })));
        drop(held);
        Journal::open(&path).unwrap();
    }

    #[test]
    fn a_later_format_is_named() {
        let (_dir, path) = written();
        let text = std::fs::read_to_string(&path).unwrap().replacen("\"format\":1", "\"format\":9", 1);
        std::fs::write(&path, text).unwrap();
        let error = RunState::replay(&path, &[]).unwrap_err();
        assert!(matches!(error, JournalError::Empty { .. }));
        assert!(matches!(read(&path), Err(JournalError::Format { found: 9, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_changed_byte_is_noticed(at in 0.0_f64..1.0, bit in 0_u32..8) {
            let (_dir, path) = written();
            let mut bytes = std::fs::read(&path).unwrap();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in the file")]
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            // The very last line end is what tells a whole line from an unfinished one.
            if at + 1 < bytes.len() {
                prop_assert!(read(&path).is_err(), "byte {} of {}", at, bytes.len());
            }
        }
    }
}
