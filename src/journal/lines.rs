//! The bytes of a journal's file, as whole records.

use std::path::Path;

use super::JournalError;
use super::file::io;
use super::record::{FIRST, Line, Record};
use crate::event::FORMAT;

/// The whole records of a file, and where they end.
pub(super) struct Whole {
    pub(super) records: Vec<Record>,
    pub(super) end: u64,
    pub(super) sum: String,
}

/// Reads a file's whole records; an unfinished last line is passed over.
pub(super) fn read_whole(path: &Path) -> Result<Whole, JournalError> {
    let bytes = std::fs::read(path).map_err(|source| io("read the journal", path, source))?;
    let mut whole = Whole { records: Vec::new(), end: 0, sum: FIRST.to_owned() };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let number = whole.records.len() + 1;
        let damaged = |reason: String| JournalError::Damaged { path: path.to_owned(), line: number, reason };
        let Some(text) = line.strip_suffix(b"\n") else {
            return if is_torn(line, &whole.sum) {
                Ok(whole)
            } else {
                Err(damaged("something else than a line end follows its sum".to_owned()))
            };
        };
        let text = std::str::from_utf8(text).map_err(|error| damaged(error.to_string()))?;
        let framed = Line::parse(text, &whole.sum).map_err(damaged)?;
        if number == 1 {
            check_format(path, &framed)?;
        }
        let record = framed.record(number as u64).map_err(damaged)?;
        whole.records.push(record);
        whole.end += line.len() as u64;
        whole.sum = framed.sum;
    }
    Ok(whole)
}

/// Whether a last line without its end is what a crash leaves: a beginning of a record. A whole record with more
/// behind it was once followed by its line end.
fn is_torn(line: &[u8], sum_before: &str) -> bool {
    Line::end_of_sum(line)
        .filter(|end| *end < line.len())
        .and_then(|end| std::str::from_utf8(&line[..end]).ok())
        .is_none_or(|text| Line::parse(text, sum_before).is_err())
}

/// A later format is named as such, not as damage; its first line has the sum of this one's.
fn check_format(path: &Path, first: &Line<'_>) -> Result<(), JournalError> {
    match first.format() {
        Some(found) if found > u64::from(FORMAT) => Err(JournalError::Format { path: path.to_owned(), found }),
        _ => Ok(()),
    }
}
