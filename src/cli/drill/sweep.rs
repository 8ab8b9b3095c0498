//! `drctl drill sweep`: takes away what drills left that ended before their time.

use crate::cli::args::Globals;
use crate::cli::exit::{Exit, Fault};
use crate::cli::say::say;
use crate::cli::session::state_dir;
use crate::drill::{self, Drills, Swept};

pub(super) async fn run(globals: &Globals) -> Result<Exit, Fault> {
    let (mut told, mut failed) = (false, Vec::new());
    let drills = Drills::new(&state_dir(globals)?);
    for folder in drills.list()? {
        let id = folder.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = match drill::sweep(&folder).await? {
            Swept::Nothing => continue,
            Swept::Working => format!("{id}  a drctl works on it: left alone"),
            Swept::Destroyed => format!("{id}  its target is gone now"),
            Swept::Discarded => format!("{id}  ended before it had a target: what it had fetched is gone now"),
            Swept::Failed(error) => {
                failed.push(id.clone());
                format!("{id}  NOT GONE: {error}")
            }
        };
        told = true;
        say(&format!("{line}\n"))?;
    }
    for root in drills.sweep_roots()? {
        told = true;
        say(&format!("{}  nobody makes this root any more: gone now\n", root.display()))?;
    }
    if !failed.is_empty() {
        return Err(Fault::Leftover { drills: failed });
    }
    if !told && !globals.json() {
        say("nothing was left by any drill\n")?;
    }
    Ok(Exit::Done)
}
