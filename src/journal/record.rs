//! One line of the journal: sequence number, time, event, and a sum that chains it to the line before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::event::Event;
use crate::hex::hex;

/// The sum before the first record.
pub(super) const FIRST: &str = "0000000000000000";
const BEFORE_SUM: &str = ",\"sum\":\"";
const AFTER_SUM: &str = "\"}";

/// An event with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// The controller's clock.
    pub at: Timestamp,
    /// What happened.
    pub data: Event,
}

impl Record {
    /// The line, with its end, and its sum.
    pub(super) fn frame(&self, sum_before: &str) -> serde_json::Result<(String, String)> {
        let json = serde_json::to_string(self)?;
        let body = json.strip_suffix('}').unwrap_or(&json);
        let sum = sum(sum_before, body);
        Ok((format!("{body}{BEFORE_SUM}{sum}{AFTER_SUM}\n"), sum))
    }
}

/// A line whose sum is right; what it says is not read yet.
pub(super) struct Line<'a> {
    body: &'a str,
    pub(super) sum: String,
}

impl<'a> Line<'a> {
    /// A line without its end; else what is wrong with it.
    pub(super) fn parse(line: &'a str, sum_before: &str) -> Result<Self, String> {
        let (body, stated) = line
            .strip_suffix(AFTER_SUM)
            .and_then(|line| line.rsplit_once(BEFORE_SUM))
            .ok_or("the line has no sum at its end")?;
        let found = sum(sum_before, body);
        if found != stated {
            return Err(format!("its sum is {stated}, its content's is {found}"));
        }
        Ok(Self { body, sum: found })
    }

    /// Where the last sum in these bytes ends, were it whole.
    pub(super) fn end_of_sum(bytes: &[u8]) -> Option<usize> {
        let at = bytes.windows(BEFORE_SUM.len()).rposition(|window| window == BEFORE_SUM.as_bytes())?;
        let end = at + BEFORE_SUM.len() + FIRST.len() + AFTER_SUM.len();
        (end <= bytes.len()).then_some(end)
    }

    /// The record, which must be the one with this number.
    pub(super) fn record(&self, seq: u64) -> Result<Record, String> {
        let record: Record = serde_json::from_str(&self.json()).map_err(|error| error.to_string())?;
        if record.seq != seq {
            return Err(format!("it is record {}, expected {seq}", record.seq));
        }
        Ok(record)
    }

    /// The format that a first line names.
    pub(super) fn format(&self) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_str(&self.json()).ok()?;
        value.pointer("/data/format")?.as_u64()
    }

    fn json(&self) -> String {
        format!("{}}}", self.body)
    }
}

fn sum(before: &str, body: &str) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(body).finalize();
    hex(&digest[..8])
}
