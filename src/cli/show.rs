//! `drctl show RUN`: its timeline.

use std::io::Write as _;

use super::args::{Globals, Show};
use super::exit::{Exit, Fault};
use super::session::state_dir;
use crate::report::Report;
use crate::runs::Runs;

pub(super) fn run(globals: &Globals, args: &Show) -> Result<Exit, Fault> {
    let folder = Runs::new(&state_dir(globals)?).find(&args.run)?;
    let (state, records) = folder.read()?;
    let report = Report::of(&state, &records);
    let text = if globals.json() {
        crate::face::report_line(&report)
    } else {
        format!("{report}\njournal  {}", folder.journal().display())
    };
    writeln!(std::io::stdout(), "{text}")
        .map_err(|source| Fault::Io { what: "write to standard output".to_owned(), source })?;
    Ok(Exit::Done)
}
