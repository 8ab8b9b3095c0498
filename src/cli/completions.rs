//! `drctl completions SHELL`.

use super::args::{Completions, command};
use super::exit::{Exit, Fault};
use super::say::say;

pub(super) fn run(args: &Completions) -> Result<Exit, Fault> {
    // Into memory first: a reader that leaves early would be a panic in there.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "drctl", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
