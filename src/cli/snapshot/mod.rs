//! `drctl snapshot`: one file for each of its commands. Answers go to standard output, as those of `runs` and `show` do.

mod diff;
mod inspect;
mod list;
mod place;
mod table;
mod verify;

pub(super) use place::unusable;

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;

use super::args::{Globals, SnapshotCommand};
use super::exit::{Exit, Fault};
use super::say::say;
use crate::face::json::answer_line;
use crate::snapshot::{ExamineError, Verified};
use crate::sources::Opened;

pub(super) async fn run(globals: &Globals, command: &SnapshotCommand) -> Result<Exit, Fault> {
    match command {
        SnapshotCommand::Verify(command) => verify::run(globals, command).await,
        SnapshotCommand::Inspect(command) => inspect::run(globals, command).await,
        SnapshotCommand::Diff(command) => diff::run(globals, command).await,
        SnapshotCommand::List(command) => list::run(globals, command).await,
    }
}

/// The kinds of answers for programs, and what their data are.
pub fn answers(generator: &mut SchemaGenerator) -> [(&'static str, Schema); 4] {
    [
        (verify::KIND, generator.subschema_for::<verify::Answer>()),
        (inspect::KIND, generator.subschema_for::<inspect::Answer>()),
        (diff::KIND, generator.subschema_for::<diff::Answer>()),
        (list::KIND, generator.subschema_for::<list::Answer>()),
    ]
}

/// Writes the answer: a line of JSON, or the text for people.
fn answer<T: Serialize>(
    globals: &Globals,
    kind: &'static str,
    data: &T,
    text: impl Fn() -> String,
) -> Result<(), Fault> {
    if !globals.json() {
        return say(&text());
    }
    let line = answer_line(kind, data)
        .map_err(|error| Fault::Io { what: "write the answer as JSON".to_owned(), source: error.into() })?;
    say(&(line + "\n"))
}

/// Reads a file on a thread of its own.
async fn verified(opened: &Opened) -> Result<Verified, ExamineError> {
    let path = opened.path.clone();
    let read = tokio::task::spawn_blocking(move || crate::snapshot::verify(&path)).await;
    read.unwrap_or_else(|error| Err(ExamineError::Open { source: std::io::Error::other(error) }))
}
