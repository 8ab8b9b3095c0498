//! `drctl drill list`: the drills of this controller.

use std::io::Write as _;

use crate::cli::args::Globals;
use crate::cli::exit::{Exit, Fault};
use crate::cli::session::state_dir;
use crate::drill::{Drills, TargetState};

pub(super) fn run(globals: &Globals) -> Result<Exit, Fault> {
    let mut out = std::io::stdout().lock();
    let say = |source| Fault::Io { what: "write to standard output".to_owned(), source };
    for folder in Drills::new(&state_dir(globals)?).list()? {
        let record = folder.read()?;
        let target = match record.target {
            TargetState::Destroyed => "gone",
            TargetState::Planned | TargetState::Created => "LEFT: see `drctl drill sweep`",
        };
        writeln!(out, "{}  {}  target {target}", record.order.id, record.began.strftime("%Y-%m-%d %H:%M:%S UTC"))
            .map_err(say)?;
    }
    Ok(Exit::Done)
}
