//! Plain lines on standard error, each with the time: for logs, hooks and pipes.

use std::io::Write as _;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Face, drill_lines, finding_lines, record_line, report_text};
use crate::actions::Finding;
use crate::engine::Listener;
use crate::event::{Event, Live};
use crate::journal::Record;
use crate::plan::Plan;
use crate::report::evidence::Evidence;
use crate::report::{Report, Written};

/// Plain lines.
#[derive(Debug)]
pub struct Plain {
    verbose: bool,
}

impl Plain {
    /// With the output of commands when verbose.
    pub fn new(verbose: bool) -> Self {
        Self { verbose }
    }
}

/// A closed standard error is no reason to stop a recovery.
fn line(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

fn timed(at: Timestamp, text: &str) {
    line(&format!("{} {text}", at.strftime("%H:%M:%S")));
}

#[async_trait]
impl Listener for Plain {
    fn record(&self, record: &Record) {
        if let Event::StepStarted { step, attempt } = &record.data {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            timed(record.at, &format!("begins   {step}{again}"));
        } else if let Some(text) = record_line(&record.data) {
            timed(record.at, &text);
        }
    }

    fn live(&self, live: &Live) {
        match live {
            Live::Output { step, line } if self.verbose => timed(Timestamp::now(), &format!("  {step} | {line}")),
            Live::Note { step, note } => timed(Timestamp::now(), &format!("  {step}: {note}")),
            Live::Output { .. } | Live::Bytes { .. } => {}
        }
    }

    async fn confirm(&self, _: &str) -> Option<bool> {
        None
    }
}

impl Face for Plain {
    fn doing(&self, what: &str) {
        timed(Timestamp::now(), what);
    }

    fn findings(&self, findings: &[Finding]) {
        for finding in findings {
            line(&finding_lines(finding));
        }
    }

    fn plan(&self, plan: &Plan) {
        line(&plan.to_string());
    }

    fn warn(&self, warning: &str) {
        timed(Timestamp::now(), &format!("warning  {warning}"));
    }

    fn report(&self, report: &Report, written: Option<&Written>, next: &[String]) {
        line(&report_text(report, written, next));
    }

    fn drill(&self, evidence: &Evidence, written: Option<&Written>) {
        for text in drill_lines(evidence, written) {
            line(&text);
        }
    }
}
