//! The journal as a file on the controller.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::record::{FIRST, Record};
use super::{JournalError, lines};
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
        let whole = lines::read_whole(path)?;
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
        // Without a name nobody could read it after a crash.
        if self.file.metadata()?.nlink() == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "it was removed while the run was under way",
            ));
        }
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
