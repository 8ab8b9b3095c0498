//! `drctl drill list`: the drills of this controller.

use crate::cli::args::Globals;
use crate::cli::exit::{Exit, Fault};
use crate::cli::say::say;
use crate::cli::session::state_dir;
use crate::drill::{Drills, TargetState};

pub(super) fn run(globals: &Globals) -> Result<Exit, Fault> {
    for folder in Drills::new(&state_dir(globals)?).list()? {
        let Some(record) = folder.read()? else {
            let id = folder.dir.file_name().unwrap_or_default().to_string_lossy();
            let left = if folder.has_report() { "" } else { ", a snapshot may be LEFT: see `drctl drill sweep`" };
            say(&format!("{id}  target never planned{left}\n"))?;
            continue;
        };
        let target = match record.target {
            TargetState::Destroyed => "gone",
            TargetState::Planned | TargetState::Created => "LEFT: see `drctl drill sweep`",
        };
        let began = record.began.strftime("%Y-%m-%d %H:%M:%S UTC");
        say(&format!("{}  {began}  target {target}\n", record.order.id))?;
    }
    Ok(Exit::Done)
}
