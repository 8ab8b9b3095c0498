//! `drctl show RUN`: its timeline, or its whole report.

use super::args::{Globals, ReportForm, Show};
use super::evidence;
use super::exit::{Exit, Fault};
use super::say::say;
use super::session::state_dir;
use crate::report::{html, markdown};
use crate::runs::{RunFolder, Runs};

pub(super) fn run(globals: &Globals, args: &Show) -> Result<Exit, Fault> {
    let runs = Runs::new(&state_dir(globals)?);
    let folder = runs.find(&args.run)?;
    let text = match args.report {
        Some(form) => report(&folder, &runs, form)?,
        None => timeline(globals, &folder)? + "\n",
    };
    say(&text)?;
    Ok(Exit::Done)
}

fn timeline(globals: &Globals, folder: &RunFolder) -> Result<String, Fault> {
    let (state, records) = folder.read()?;
    let report = evidence::report(folder, &state, &records);
    if globals.json() {
        return Ok(crate::face::report_line(&report));
    }
    Ok(format!("{report}\njournal  {}", folder.journal().display()))
}

fn report(folder: &RunFolder, runs: &Runs, form: ReportForm) -> Result<String, Fault> {
    let evidence = evidence::of(folder, runs)?;
    Ok(match form {
        ReportForm::Html => html(&evidence),
        ReportForm::Markdown => markdown(&evidence),
        ReportForm::Json => evidence
            .json()
            .map_err(|error| Fault::Io { what: "write the report".to_owned(), source: std::io::Error::other(error) })?,
    })
}
