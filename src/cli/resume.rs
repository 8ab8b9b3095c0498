//! `drctl resume`: go on from the last checkpoint, with the frozen inventory, playbook and snapshot.

use super::args::{Globals, Resume};
use super::exit::{Exit, Fault};
use super::session::work;
use super::taken_up::TakenUp;
use crate::event::Event;

pub(super) async fn run(globals: &Globals, args: &Resume) -> Result<Exit, Fault> {
    let taken_up = TakenUp::find(globals, args.run.as_deref(), "resumed").await?;
    let direction = taken_up.state.direction;
    if taken_up.state.ending.is_some() {
        return Err(Fault::Usage {
            message: format!("run {} has ended; there is nothing to resume", taken_up.folder.id),
            help: format!("`drctl show {}` tells how", taken_up.folder.id),
        });
    }
    let runs = taken_up.runs();
    let (mut engine, run, folder, face) = taken_up.engine().await?;
    engine.note(Event::Resumed { direction })?;
    work(engine, &run, (&runs, &folder), face.as_ref(), false).await
}
