//! `drctl runs`: what ran, when, and how it ended.

use super::args::Globals;
use super::evidence;
use super::exit::{Exit, Fault};
use super::say::say;
use super::session::state_dir;
use crate::engine::chain;
use crate::journal::JournalError;
use crate::report::{Report, human_seconds};
use crate::runs::Runs;

pub(super) fn run(globals: &Globals) -> Result<Exit, Fault> {
    let runs = Runs::new(&state_dir(globals)?).list()?;
    for run in &runs {
        let line = match run.read() {
            Ok((state, records)) => line(&evidence::report(run, &state, &records), globals.json()),
            Err(error) if globals.json() => crate::face::unreadable_line(&run.id, &error),
            Err(JournalError::Empty { .. }) => format!("{}  never begun: nothing was touched", run.id),
            Err(error) => format!("{}  UNREADABLE: {}", run.id, chain(&error)),
        };
        say(&format!("{line}\n"))?;
    }
    if runs.is_empty() && !globals.json() {
        say("no runs yet\n")?;
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
