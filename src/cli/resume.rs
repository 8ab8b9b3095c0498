//! `drctl resume`: go on from the last checkpoint, with the frozen inventory, playbook and snapshot.

use super::args::{Globals, Resume};
use super::exit::{Exit, Fault};
use super::session::{Goal, work};
use super::taken_up::TakenUp;
use crate::engine::Left;
use crate::event::Event;

pub(super) async fn run(globals: &Globals, args: &Resume) -> Result<Exit, Fault> {
    let taken_up = TakenUp::find(globals, args.run.as_deref(), "resumed").await?;
    let direction = taken_up.state.direction;
    if let Some(ending) = taken_up.state.ending {
        // Whoever takes up a run that was killed at its very end wants to know how it ended, and nothing else.
        taken_up.tell()?;
        return Ok(Exit::of(&Left::Ended(ending), false));
    }
    let runs = taken_up.runs();
    let (mut engine, run, folder, face) = taken_up.engine(direction).await?;
    engine.note(Event::Resumed { direction })?;
    work(engine, &run, (&runs, &folder), face.as_ref(), Goal::Restore).await
}
