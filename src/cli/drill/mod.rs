//! `drctl drill`: rehearsals, what they left, and what they found.

mod game_day;
mod list;
mod rehearse;
mod sweep;

use super::args::{Drill, DrillCommand, Globals};
use super::exit::{Exit, Fault};

pub(super) async fn run(globals: &Globals, args: &Drill) -> Result<Exit, Fault> {
    match &args.command {
        None => rehearse::run(globals, args).await,
        Some(DrillCommand::Sweep) => sweep::run(globals).await,
        Some(DrillCommand::List) => list::run(globals),
    }
}
