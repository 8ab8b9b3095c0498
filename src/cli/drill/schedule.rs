//! `drctl drill schedule`: prints or writes what rehearses regularly.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::all::inventories;
use super::rehearse::{isolation, provider_of};
use crate::cli::args::{Globals, Schedule as Args};
use crate::cli::exit::{Exit, Fault};
use crate::cli::say::say;
use crate::drill::providers::ProviderEntry;
use crate::drill::schedule::{NoTime, STATE, Schedule, Scheduled, What, kubernetes, name, systemd};
use crate::inventory::{self, Inventory};

pub(super) fn run(globals: &Globals, args: &Args) -> Result<Exit, Fault> {
    let schedule = schedule(globals, args)?;
    let files = if args.systemd {
        let program =
            std::env::current_exe().map_err(|source| Fault::Io { what: "find drctl's own file".to_owned(), source })?;
        systemd::units(&schedule, &program).map_err(|error| unknown(&error))?.to_vec()
    } else {
        vec![kubernetes::cron_job(&schedule, &args.image).map_err(|error| unknown(&error))?]
    };
    match &args.to {
        Some(dir) => write(dir, &files)?,
        None => print(&files, if args.systemd { "/etc/systemd/system/" } else { "" })?,
    }
    Ok(Exit::Done)
}

/// Reads the inventories: what is wrong with them is told now, and not by a drill at night.
fn schedule(globals: &Globals, args: &Args) -> Result<Schedule, Fault> {
    let (what, paths) = match (&args.all, &globals.inventory) {
        (Some(dir), None) => (What::All(absolute(dir)?, args.parallel), inventories(dir)?),
        (None, Some(file)) => (What::One(absolute(file)?), vec![file.clone()]),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Fault::Usage {
                message: "one of `--inventory FILE` and `--all DIR` is needed".to_owned(),
                help: "name the cluster that is to be rehearsed, or the folder of several".to_owned(),
            });
        }
    };
    let loaded: Result<Vec<Inventory>, Fault> = paths.iter().map(|path| Ok(inventory::load(path)?.inventory)).collect();
    let loaded = loaded?;
    let mut namespaces = false;
    for inventory in &loaded {
        let provider = provider_of(inventory)?;
        isolation(inventory, &provider)?;
        namespaces |= matches!(provider, ProviderEntry::Namespace(_) | ProviderEntry::Container(_));
    }
    let single = match what {
        What::One(_) => loaded.first(),
        What::All(..) => None,
    };
    let of_inventory = single.and_then(|inventory| inventory.state.dir.clone());
    let state = match globals.state.clone().or(of_inventory) {
        Some(dir) => absolute(&dir)?,
        None => STATE.into(),
    };
    Ok(Schedule {
        name: name(single.map(|inventory| inventory.cluster.name.as_str())),
        what,
        every: args.every.clone(),
        state,
        namespaces,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|source| Fault::Io { what: format!("find `{}`", path.display()), source })
}

fn unknown(error: &NoTime) -> Fault {
    Fault::Usage { message: error.to_string(), help: "say it with `--every`".to_owned() }
}

/// All or none: a folder that has one of them has them from an earlier time, perhaps with changes.
fn write(dir: &Path, files: &[Scheduled]) -> Result<(), Fault> {
    let paths: Vec<PathBuf> = files.iter().map(|file| dir.join(&file.name)).collect();
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(Fault::Usage {
            message: format!("`{}` is there already; nothing was written", there.display()),
            help: "move it away first, or choose another folder".to_owned(),
        });
    }
    for (path, file) in paths.iter().zip(files) {
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut open| open.write_all(file.text.as_bytes()));
        written.map_err(|source| Fault::Io { what: format!("write `{}`", path.display()), source })?;
    }
    let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    say(&lines)
}

/// Several are separated by a comment with the path of each, as `systemctl cat` does it.
fn print(files: &[Scheduled], folder: &str) -> Result<(), Fault> {
    if let [one] = files {
        return say(&one.text);
    }
    let texts: Vec<String> = files.iter().map(|file| format!("# {folder}{}\n{}", file.name, file.text)).collect();
    say(&texts.join("\n"))
}
