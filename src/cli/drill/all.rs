//! `drctl drill --all`: every inventory of a folder, each rehearsed by a process of drctl of its own.
//!
//! Its output lies in `STATE/drill-logs/`, named after the inventory and its place, until the next time: NDJSON, from which
//! its row is read, and what it complained of.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use clap::ValueEnum as _;
use futures_util::{StreamExt as _, stream};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::table::{Came, Row, table, worst};
use crate::cli::args::{Drill, Globals};
use crate::cli::exit::{Exit, Fault};
use crate::cli::say::say;
use crate::cli::session::{state_of, stop_on_signal};
use crate::drill::Drills;
use crate::durable::{self, PRIVATE};
use crate::engine::chain;
use crate::face::{Face, face, json};
use crate::hex::hex;
use crate::inventory::{self, Inventory};
use crate::report::Evidence;

const LOGS: &str = "drill-logs";

pub(super) async fn run(globals: &Globals, args: &Drill) -> Result<Exit, Fault> {
    let inventories = match &args.all {
        Some(dir) if globals.inventory.is_none() => inventories(dir)?,
        _ => {
            return Err(Fault::Usage {
                message: "`--all` and `--inventory` are both given".to_owned(),
                help: "`--all DIR` rehearses every inventory of a folder, `--inventory FILE` that one".to_owned(),
            });
        }
    };
    let every =
        Every { globals, args, face: face(globals.json(), globals.verbose > 0), stop: CancellationToken::new() };
    let signals = tokio::spawn(stop_on_signal(every.stop.clone()));
    let drills = inventories.into_iter().enumerate().map(|(number, path)| {
        let every = &every;
        async move { (number, every.drill(path).await) }
    });
    let mut rows: Vec<(usize, Row)> = stream::iter(drills).buffer_unordered(args.parallel.get()).collect().await;
    signals.abort();
    rows.sort_by_key(|(number, _)| *number);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let exit = worst(&rows).exit();
    tell(globals, &rows, exit)?;
    Ok(exit)
}

/// The inventories of a folder, by their names.
pub(super) fn inventories(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let unreadable = |source| Fault::Io { what: format!("list `{}`", dir.display()), source };
    let entries = std::fs::read_dir(dir).map_err(unreadable)?;
    let paths: Result<Vec<PathBuf>, Fault> = entries.map(|entry| Ok(entry.map_err(unreadable)?.path())).collect();
    let is_inventory = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir();
    let mut paths: Vec<PathBuf> = paths?.into_iter().filter(is_inventory).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Fault::Usage {
            message: format!("there is no inventory in `{}`: expected files whose names end in `.toml`", dir.display()),
            help: "put one for each cluster there; `inventory.example.toml` shows every key".to_owned(),
        });
    }
    Ok(paths)
}

/// The line for programs.
#[derive(Serialize)]
struct Drilled<'a> {
    exit: u8,
    drills: &'a [Row],
}

fn tell(globals: &Globals, rows: &[Row], exit: Exit) -> Result<(), Fault> {
    if globals.json() {
        json::drills(&Drilled { exit: exit.into(), drills: rows });
        return Ok(());
    }
    say(&table(rows))
}

/// What all the drills have in common.
struct Every<'a> {
    globals: &'a Globals,
    args: &'a Drill,
    face: Arc<dyn Face>,
    stop: CancellationToken,
}

/// Where a drill's process says what.
struct Log {
    lines: PathBuf,
    complaints: PathBuf,
}

impl Every<'_> {
    /// One drill, from its beginning to its row. What goes wrong is the row's, so that the others go on.
    async fn drill(&self, path: PathBuf) -> Row {
        let inventory = match inventory::load(&path) {
            Ok(loaded) => loaded.inventory,
            Err(error) => {
                let reason = format!("{}; `drctl drill --inventory {}` shows where", chain(&error), path.display());
                return Row::bare(path, None, Came::Unusable, Some(reason));
            }
        };
        let cluster = Some(inventory.cluster.name.clone());
        if self.stop.is_cancelled() {
            return Row::bare(path, cluster, Came::Interrupted, Some("not begun".to_owned()));
        }
        self.face.doing(&format!("{}: a drill begins", inventory.cluster.name));
        let row = match self.process(&path, &inventory).await {
            Ok((status, log)) => self.row(path, &inventory, status, &log),
            Err(error) => {
                let reason = format!("a process of drctl could not be run: {error}");
                Row::bare(path, cluster, Came::Failed, Some(reason))
            }
        };
        self.face.doing(&format!("{}: its drill has ended", row.name()));
        row
    }

    /// Runs drctl to its end. Ctrl-C is passed on, and what then must be taken away is waited for.
    async fn process(&self, path: &Path, inventory: &Inventory) -> Result<(ExitStatus, Log), std::io::Error> {
        let dir = state_of(self.globals, Some(inventory)).join(LOGS);
        durable::private_folder(&dir)?;
        let name = log_name(path);
        let named = |extension: &str| dir.join(format!("{name}.{extension}"));
        let log = Log { lines: named("ndjson"), complaints: named("log") };
        let mut child = self.command(path)?.stdout(private(&log.lines)?).stderr(private(&log.complaints)?).spawn()?;
        let status = tokio::select! {
            status = child.wait() => status?,
            () = self.stop.cancelled() => {
                let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
                if let Some(pid) = pid {
                    kill_process(pid, Signal::INT)?;
                }
                child.wait().await?
            }
        };
        Ok((status, log))
    }

    fn command(&self, path: &Path) -> Result<Command, std::io::Error> {
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(state) = &self.globals.state {
            command.arg("--state").arg(state);
        }
        command.args(["--output", "json", "drill", "--inventory"]).arg(path);
        if let Some(level) = self.args.level.and_then(|level| level.to_possible_value()) {
            command.arg("--level").arg(level.get_name());
        }
        if let Some(fault) = self.args.fault.and_then(|fault| fault.to_possible_value()) {
            command.arg("--fault").arg(fault.get_name());
        }
        if let Some(playbook) = &self.args.site.playbook {
            command.arg("--playbook").arg(playbook);
        }
        for finding in &self.args.site.accept {
            command.arg("--accept").arg(finding);
        }
        // A terminal's Ctrl-C comes once, from here; and whoever kills this process lets the drills end in order.
        command.stdin(Stdio::null()).process_group(0);
        Ok(command)
    }

    fn row(&self, path: PathBuf, inventory: &Inventory, status: ExitStatus, log: &Log) -> Row {
        let cluster = Some(inventory.cluster.name.clone());
        // Before it listens to signals nothing is made that could be left.
        let interrupted = status.signal() == Some(Signal::INT.as_raw());
        let came = if interrupted { Came::Interrupted } else { Came::of(status.code()) };
        let said = last_said(&log.lines);
        let reason = (came != Came::Passed).then(|| match &said {
            Said { error: Some(error), .. } => format!("{error}."),
            Said { error: None, .. } if status.code().is_none() && !interrupted => format!(
                "Its process was killed ({status}): `drctl drill sweep` takes away what it left; see `{}`.",
                log.complaints.display()
            ),
            Said { error: None, .. } => format!("It ended with {status}; see `{}`.", log.complaints.display()),
        });
        let row = Row::bare(path, cluster, came, reason);
        let Some(evidence) = said.evidence else { return row };
        let drills = Drills::new(&state_of(self.globals, Some(inventory)));
        let report = evidence.drill.as_ref().map(|drill| drills.dir().join(&drill.id).join("report.html"));
        Row { report: report.filter(|report| report.exists()), ..row.with(&evidence) }
    }
}

/// How the logs of an inventory's drills are called. One of the same name in another folder has logs of its own.
fn log_name(inventory: &Path) -> String {
    let path = std::path::absolute(inventory).unwrap_or_else(|_| inventory.to_owned());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    format!("{}-{}", path.file_stem().unwrap_or_default().to_string_lossy(), hex(&digest[..4]))
}

/// A log of this process and its child alone, without what was in it.
fn private(path: &Path) -> Result<File, std::io::Error> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let told = format!("another `drctl drill --all` rehearses it now (`{}` is locked)", path.display());
            return Err(std::io::Error::new(ErrorKind::WouldBlock, told));
        }
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    file.set_len(0)?;
    Ok(file)
}

/// What a process of drctl said of its drill.
#[derive(Debug, Default)]
struct Said {
    evidence: Option<Evidence>,
    error: Option<String>,
}

/// A process that was killed has said less, or half a line.
fn last_said(lines: &Path) -> Said {
    let mut said = Said::default();
    let text = std::fs::read(lines).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        let Ok(mut line) = serde_json::from_str::<Value>(line) else { continue };
        match line["kind"].as_str() {
            Some("drill") => said.evidence = serde_json::from_value(line["data"].take()).ok(),
            Some("error") => said.error = line["data"]["message"].as_str().map(str::to_owned),
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventories_of_one_name_have_logs_of_their_own() {
        assert_eq!(log_name(Path::new("/a/prod.toml")), "prod-b93f5385");
        assert_eq!(log_name(Path::new("/b/prod.toml")), "prod-b2537bbd");
    }
}
