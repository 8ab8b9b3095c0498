//! `drctl drill`: rehearsals, what they left, and what they found.

mod all;
mod conclude;
mod game_day;
mod list;
mod rehearse;
mod schedule;
mod sweep;
mod table;

use super::args::{Drill, DrillCommand, Globals};
use super::exit::{Exit, Fault};

pub(super) async fn run(globals: &Globals, args: &Drill) -> Result<Exit, Fault> {
    match &args.command {
        None if args.all.is_some() => all::run(globals, args).await,
        None => rehearse::run(globals, args).await,
        Some(DrillCommand::Sweep) => sweep::run(globals).await,
        Some(DrillCommand::List) => list::run(globals),
        Some(DrillCommand::Schedule(schedule)) => schedule::run(globals, schedule),
    }
}
