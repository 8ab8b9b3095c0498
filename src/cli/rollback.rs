//! `drctl rollback`: undo what a run did, step by step, backwards.

use super::args::{Globals, Rollback};
use super::exit::{Exit, Fault};
use super::session::{Goal, confirm, work};
use super::taken_up::TakenUp;
use crate::event::{Direction, Ending, Event};

pub(super) async fn run(globals: &Globals, args: &Rollback) -> Result<Exit, Fault> {
    let taken_up = TakenUp::find(globals, args.run.as_deref(), "rolled back").await?;
    let id = taken_up.folder.id.clone();
    match taken_up.state.ending {
        Some(Ending::RolledBack) => {
            taken_up.tell()?;
            return Ok(Exit::Done);
        }
        Some(Ending::Restored) if !args.after_success => {
            return Err(Fault::Usage {
                message: format!("run {id} finished: the cluster has lived on since, and all of that would be lost"),
                help: "if that is meant, pass `--after-success`".to_owned(),
            });
        }
        Some(Ending::Restored) | None => {}
    }
    let question = format!("Undo run {id} on {}?", taken_up.state.header.host);
    confirm(taken_up.face.as_ref(), &question, args.yes).await?;
    let turned = taken_up.state.direction == Direction::Back;
    let runs = taken_up.runs();
    let (mut engine, run, folder, face) = taken_up.engine(Direction::Back).await?;
    engine.note(Event::Resumed { direction: Direction::Back })?;
    if !turned {
        engine.note(Event::RollbackStarted { reason: "asked for".to_owned() })?;
    }
    work(engine, &run, (&runs, &folder), face.as_ref(), Goal::Rollback).await
}
