//! `drctl completions SHELL`.

use super::args::{Completions, command};
use super::exit::{Exit, Fault};

#[expect(clippy::unnecessary_wraps, reason = "commands share one shape")]
pub(super) fn run(args: &Completions) -> Result<Exit, Fault> {
    clap_complete::generate(args.shell, &mut command(), "drctl", &mut std::io::stdout());
    Ok(Exit::Done)
}
