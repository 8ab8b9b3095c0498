//! `drctl playbook show`: the embedded default.

use super::args::{Playbook, PlaybookCommand};
use super::exit::{Exit, Fault};
use super::say::say;
use crate::playbook::DEFAULT;

pub(super) fn run(args: &Playbook) -> Result<Exit, Fault> {
    match args.command {
        PlaybookCommand::Show => say(DEFAULT)?,
    }
    Ok(Exit::Done)
}
