//! `drctl runs`: what ran, when, and how it ended.

use std::io::Write as _;

use super::args::Globals;
use super::exit::{Exit, Fault};
use super::session::state_dir;
use crate::engine::chain;
use crate::journal::JournalError;
use crate::report::{Report, human_seconds};
use crate::runs::Runs;

pub(super) fn run(globals: &Globals) -> Result<Exit, Fault> {
    let mut out = std::io::stdout().lock();
    let say = |error: std::io::Error| Fault::Io { what: "write to standard output".to_owned(), source: error };
    let runs = Runs::new(&state_dir(globals)?).list()?;
    for run in &runs {
        let line = match run.read() {
            Ok((state, records)) => line(&Report::of(&state, &records), globals.json()),
            Err(error) if globals.json() => crate::face::unreadable_line(&run.id, &error),
            Err(JournalError::Empty { .. }) => format!("{}  never begun: nothing was touched", run.id),
            Err(error) => format!("{}  UNREADABLE: {}", run.id, chain(&error)),
        };
        writeln!(out, "{line}").map_err(say)?;
    }
    if runs.is_empty() && !globals.json() {
        writeln!(out, "no runs yet").map_err(say)?;
    }
    Ok(Exit::Done)
}

fn line(report: &Report, json: bool) -> String {
    if json {
        return crate::face::report_line(report);
    }
    let took = human_seconds(report.last.duration_since(report.started).as_secs_f64());
    format!(
        "{}  {}  {took:>8}  {}",
        report.header.run,
        report.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        report.verdict()
    )
}
