//! `drctl playbook show`: the embedded default.

use std::io::Write as _;

use super::args::{Playbook, PlaybookCommand};
use super::exit::{Exit, Fault};
use crate::playbook::DEFAULT;

pub(super) fn run(args: &Playbook) -> Result<Exit, Fault> {
    match args.command {
        PlaybookCommand::Show => std::io::stdout()
            .write_all(DEFAULT.as_bytes())
            .map_err(|source| Fault::Io { what: "write to standard output".to_owned(), source })?,
    }
    Ok(Exit::Done)
}
