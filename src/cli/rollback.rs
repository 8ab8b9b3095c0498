//! `drctl rollback`: undo what a run did, step by step, backwards.

use super::args::{Globals, Rollback};
use super::exit::{Exit, Fault};
use super::session::work;
use super::taken_up::TakenUp;
use crate::event::{Direction, Ending, Event};

pub(super) async fn run(globals: &Globals, args: &Rollback) -> Result<Exit, Fault> {
    let taken_up = TakenUp::find(globals, args.run.as_deref(), "rolled back").await?;
    let id = taken_up.folder.id.clone();
    match taken_up.state.ending {
        Some(Ending::RolledBack) => {
            return Err(Fault::Usage {
                message: format!("run {id} is rolled back already"),
                help: format!("`drctl show {id}` tells how"),
            });
        }
        Some(Ending::Restored) if !args.after_success => {
            return Err(Fault::Usage {
                message: format!("run {id} finished: the cluster has lived on since, and all of that would be lost"),
                help: "if that is meant, pass `--after-success`".to_owned(),
            });
        }
        Some(Ending::Restored) | None => {}
    }
    confirm(&taken_up, args.yes)?;
    let turned = taken_up.state.direction == Direction::Back;
    let (mut engine, run, folder, face) = taken_up.engine().await?;
    engine.note(Event::Resumed { direction: Direction::Back })?;
    if !turned {
        engine.note(Event::RollbackStarted { reason: "asked for".to_owned() })?;
    }
    work(engine, &run, &folder, face.as_ref(), true).await
}

fn confirm(taken_up: &TakenUp, yes: bool) -> Result<(), Fault> {
    let question = format!("Undo run {} on {}?", taken_up.folder.id, taken_up.state.header.host);
    match (yes, || taken_up.face.confirm(&question)) {
        (true, _) => Ok(()),
        (false, ask) => match ask() {
            Some(true) => Ok(()),
            Some(false) => {
                Err(Fault::Usage { message: "not confirmed; nothing was touched".to_owned(), help: String::new() })
            }
            None => Err(Fault::Usage {
                message: "there is no terminal to ask for confirmation; nothing was touched".to_owned(),
                help: "automation passes `--yes`".to_owned(),
            }),
        },
    }
}
