//! `drctl man DIR`: a manual page for every command.

use super::args::{Man, command};
use super::exit::{Exit, Fault};

pub(super) fn run(args: &Man) -> Result<Exit, Fault> {
    std::fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(command(), &args.dir))
        .map_err(|source| Fault::Io { what: format!("write manual pages to `{}`", args.dir.display()), source })?;
    Ok(Exit::Done)
}
