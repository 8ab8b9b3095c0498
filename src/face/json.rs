//! NDJSON on standard output: one object a line, as `docs/events.schema.json` says.

use std::io::Write as _;
use std::sync::Once;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::Face;
use crate::actions::Finding;
use crate::engine::{Listener, chain};
use crate::event::{FORMAT, Live};
use crate::journal::{JournalError, Record};
use crate::plan::Plan;
use crate::report::evidence::Evidence;
use crate::report::{Report, Written};

/// NDJSON.
#[derive(Debug)]
pub struct Json;

/// A process has one standard output, whose first line says how to read the others.
static BEGUN: Once = Once::new();

/// One line: `kind` says what `data` is.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    kind: &'static str,
    at: Timestamp,
    data: &'a T,
}

#[derive(Serialize)]
struct Version {
    format: u32,
    drctl: &'static str,
}

#[derive(Serialize)]
struct Ended<'a> {
    report: &'a Report,
    written: Option<&'a Written>,
    next: &'a [String],
}

/// A reader that has gone is no reason to stop a recovery.
fn line<T: Serialize>(kind: &'static str, at: Timestamp, data: &T) {
    BEGUN.call_once(|| {
        write(&Line { kind: "version", at, data: &Version { format: FORMAT, drctl: env!("CARGO_PKG_VERSION") } });
    });
    write(&Line { kind, at, data });
}

/// What ended the command: the last line.
pub(crate) fn error(error: &serde_json::Value) {
    line("error", Timestamp::now(), error);
}

/// The files of a PKI set, one after the other.
pub(crate) fn pki<T: Serialize>(files: &[T]) {
    for file in files {
        line("pki", Timestamp::now(), file);
    }
}

/// What several drills came to.
pub(crate) fn drills<T: Serialize>(drills: &T) {
    line("drills", Timestamp::now(), drills);
}

fn write<T: Serialize>(line: &Line<'_, T>) {
    let mut out = std::io::stdout().lock();
    if let Ok(text) = serde_json::to_string(line) {
        drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    }
}

/// The line of a run that is over or left, for commands that only read journals.
pub fn report_line(report: &Report) -> String {
    let data = Ended { report, written: None, next: &[] };
    // A report is made of text, numbers and times: writing it cannot fail.
    serde_json::to_string(&Line { kind: "report", at: report.last, data: &data }).unwrap_or_default()
}

/// The line of a command that answers one question.
pub(crate) fn answer_line<T: Serialize>(kind: &'static str, data: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Line { kind, at: Timestamp::now(), data })
}

/// The line of a run whose journal cannot be read.
pub fn unreadable_line(run: &str, error: &JournalError) -> String {
    let never_begun = matches!(error, JournalError::Empty { .. });
    let data = serde_json::json!({ "run": run, "reason": chain(error), "never_begun": never_begun });
    serde_json::to_string(&Line { kind: "unreadable", at: Timestamp::now(), data: &data }).unwrap_or_default()
}

#[async_trait]
impl Listener for Json {
    fn record(&self, record: &Record) {
        line("record", record.at, &record.data);
    }

    fn live(&self, live: &Live) {
        line("live", Timestamp::now(), live);
    }

    async fn confirm(&self, _: &str) -> Option<bool> {
        None
    }
}

impl Face for Json {
    fn doing(&self, what: &str) {
        line("doing", Timestamp::now(), &what);
    }

    fn findings(&self, findings: &[Finding]) {
        for finding in findings {
            line("finding", Timestamp::now(), finding);
        }
    }

    fn plan(&self, plan: &Plan) {
        line("plan", Timestamp::now(), plan);
    }

    fn warn(&self, warning: &str) {
        line("warning", Timestamp::now(), &warning);
    }

    fn report(&self, report: &Report, written: Option<&Written>, next: &[String]) {
        line("report", Timestamp::now(), &Ended { report, written, next });
    }

    fn drill(&self, evidence: &Evidence, _: Option<&Written>) {
        line("drill", Timestamp::now(), evidence);
    }
}
