//! `drctl drill sweep`: takes away what drills left that ended before their time.

use crate::cli::args::Globals;
use crate::cli::exit::{Exit, Fault};
use crate::cli::say::say;
use crate::cli::session::state_dir;
use crate::drill::{self, Drills, Swept};
use crate::engine::chain;

pub(super) async fn run(globals: &Globals) -> Result<Exit, Fault> {
    let (mut told, mut failed) = (false, Vec::new());
    let drills = Drills::new(&state_dir(globals)?);
    for folder in drills.list()? {
        let id = folder.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = match drill::sweep(&folder).await {
            Ok(Swept::Nothing) => continue,
            Ok(Swept::Working) => format!("{id}  a drctl works on it: left alone"),
            Ok(Swept::Destroyed) => format!("{id}  its target is gone now"),
            Ok(Swept::Discarded) => format!("{id}  ended before it had a target: what it had fetched is gone now"),
            Ok(Swept::Failed(error)) => not_gone(&mut failed, &id, &error),
            // The others' targets cost no less.
            Err(error) => not_gone(&mut failed, &id, &error),
        };
        told = true;
        say(&format!("{line}\n"))?;
    }
    for (root, removed) in drills.sweep_roots() {
        let root = root.display().to_string();
        let line = match removed {
            Ok(()) => format!("{root}  nobody makes this root any more: gone now"),
            Err(error) => not_gone(&mut failed, &root, &error),
        };
        told = true;
        say(&format!("{line}\n"))?;
    }
    if !failed.is_empty() {
        return Err(Fault::Leftover { drills: failed });
    }
    if !told && !globals.json() {
        say("nothing was left by any drill\n")?;
    }
    Ok(Exit::Done)
}

/// What is left, noted, and its line.
fn not_gone(failed: &mut Vec<String>, what: &str, error: &dyn std::error::Error) -> String {
    failed.push(what.to_owned());
    format!("{what}  NOT GONE: {}", chain(error))
}
