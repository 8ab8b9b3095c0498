//! What several commands begin with: reading the files, looking around, taking the lock, working.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::args::{Globals, Site};
use super::evidence;
use super::exit::{Exit, Fault, next_steps};
use crate::actions::Finding;
use crate::check::{self, Look, Purpose, TargetLook};
use crate::document;
use crate::engine::{Engine, Left, Listener, Run, chain};
use crate::face::{Face, face};
use crate::inventory::{self, Inventory};
use crate::playbook::{self, Playbook};
use crate::report::{Report, past_durations};
use crate::runs::{RunFolder, Runs};
use crate::sources;
use crate::target::{Claim, LockOutcome, Target};

/// How long a target is told that its run stops.
const GOODBYE: Duration = Duration::from_secs(10);

/// The files that were read, and where things are kept.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) face: Arc<dyn Face>,
    pub(super) state: PathBuf,
    pub(super) inventory: Arc<Inventory>,
    pub(super) inventory_path: PathBuf,
    pub(super) inventory_text: String,
    pub(super) playbook: Arc<Playbook>,
    /// Its absolute path, or `embedded`.
    pub(super) playbook_path: String,
}

impl Session {
    /// Reads both files; all that is wrong with either is told.
    pub(super) fn load(globals: &Globals, site: &Site) -> Result<Self, Fault> {
        let Some(path) = globals.inventory.clone() else {
            return Err(Fault::Usage {
                message: "no inventory is named".to_owned(),
                help: "pass `--inventory FILE`; `inventory.example.toml` shows every key".to_owned(),
            });
        };
        acceptable(&site.accept)?;
        let loaded = inventory::load(&path)?;
        let playbook = playbook::load(site.playbook.as_deref(), &loaded.inventory)?;
        let state = state_of(globals, Some(&loaded.inventory));
        let playbook_path = site.playbook.as_ref().map_or("embedded".to_owned(), |path| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        });
        Ok(Self {
            face: face(globals.json(), globals.verbose > 0),
            state,
            playbook_path,
            inventory_path: path,
            inventory: Arc::new(loaded.inventory),
            inventory_text: loaded.text,
            playbook: Arc::new(playbook),
        })
    }

    /// Downloads are kept here.
    pub(super) fn cache(&self) -> PathBuf {
        self.state.join("snapshots")
    }

    pub(super) fn runs(&self) -> Runs {
        Runs::new(&self.state)
    }

    /// Looks everywhere and shows what was found.
    pub(super) async fn look(&self, run: &str, purpose: Purpose) -> (Look, Vec<Finding>) {
        self.face.doing("reading the snapshots, the certificate authorities and the target");
        let (inventory, playbook) = (Arc::clone(&self.inventory), Arc::clone(&self.playbook));
        let look =
            check::look(inventory, playbook, &self.cache(), run, purpose, Arc::clone(&self.face) as Arc<dyn Listener>)
                .await;
        let findings = check::findings(&look).await;
        self.face.findings(&findings);
        self.sweep(&look);
        (look, findings)
    }

    /// Removes copies of snapshots that neither this command nor any open run needs. They do no harm if they stay.
    fn sweep(&self, look: &Look) {
        let chosen = look.snapshot.iter().filter_map(|search| search.chosen.copy.clone());
        let swept = self.runs().snapshots_in_use().map_err(|error| chain(&error)).and_then(|mut keep| {
            keep.extend(chosen);
            sources::sweep(&self.cache(), &keep).map_err(|error| error.to_string())
        });
        if let Err(reason) = swept {
            tracing::warn!("old copies of snapshots could not be removed: {reason}");
        }
    }

    /// The mean times of the steps in past runs of this cluster.
    pub(super) fn past(&self) -> std::collections::BTreeMap<String, jiff::SignedDuration> {
        let runs = self.runs().list().unwrap_or_default();
        let reports: Vec<Report> = runs
            .iter()
            .filter_map(|run| run.read().ok())
            .map(|(state, records)| Report::of(&state, &records, None))
            .filter(|report| report.header.cluster == self.inventory.cluster.name)
            .collect();
        past_durations(&reports)
    }

    pub(super) fn new_run_id(&self) -> Result<String, Fault> {
        Ok(Runs::new_id(&self.inventory.cluster.name, Timestamp::now())?)
    }
}

/// The folder of journals, for commands that need an inventory only to find it.
pub(super) fn state_dir(globals: &Globals) -> Result<PathBuf, Fault> {
    let inventory = match (&globals.state, &globals.inventory) {
        (None, Some(path)) => Some(inventory::load(path)?.inventory),
        _ => None,
    };
    Ok(state_of(globals, inventory.as_ref()))
}

/// The flag, else the inventory, else the default.
pub(super) fn state_of(globals: &Globals, inventory: Option<&Inventory>) -> PathBuf {
    let from_inventory = || inventory.and_then(|inventory| inventory.state.dir.clone());
    globals.state.clone().or_else(from_inventory).unwrap_or_else(Runs::default_state)
}

/// Names that can be accepted; told before anything is looked at.
fn acceptable(accepted: &[String]) -> Result<(), Fault> {
    match accepted.iter().find(|name| !check::ACCEPTABLE.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Fault::Usage {
            message: format!("`{name}` is nothing that `--accept` takes"),
            help: document::choices(name, check::ACCEPTABLE, "it takes"),
        }),
    }
}

/// Errors that nobody accepted end a command before anything is touched.
pub(super) fn refuse(look: &Look, findings: &[Finding], site: &Site) -> Result<(), Fault> {
    let mut accepted = site.accept.clone();
    if let (Some(run), Ok(TargetLook { holder: Some((holder, false)), .. })) = (&site.take_over, &look.target)
        && holder.run == *run
    {
        accepted.push(check::HELD.to_owned());
    }
    let refused: Vec<Finding> = check::refused(findings, &accepted).into_iter().cloned().collect();
    if refused.is_empty() { Ok(()) } else { Err(Fault::Checks(refused)) }
}

/// Asks before the first change; with nobody to ask, `--yes` must have said so.
pub(super) async fn confirm(face: &dyn Face, question: &str, yes: bool) -> Result<(), Fault> {
    let refused = |why: &str, help: &str| {
        Err(Fault::Usage { message: format!("{why}; nothing was touched"), help: help.to_owned() })
    };
    let answer = if yes { Some(true) } else { face.confirm(question).await };
    match answer {
        Some(true) => Ok(()),
        Some(false) => refused("not confirmed", "answer `y` to go on"),
        None => refused("there is no terminal to ask for confirmation", "automation passes `--yes`"),
    }
}

/// Takes the target's lock for the run.
pub(super) async fn hold(target: &Target, runs: &Runs, take_over: Option<&str>) -> Result<(), Fault> {
    match target.acquire(Claim { controller: &runs.controller()?, user: &user(), take_over }).await? {
        LockOutcome::Acquired { .. } => Ok(()),
        LockOutcome::Held { holder, live } => Err(Fault::Held(format!(
            "run {} of {} holds the target ({})",
            holder.run,
            holder.controller,
            if live { "alive" } else { "stopped part way, or dead" },
        ))),
        LockOutcome::Superseded { by } => Err(Fault::Superseded { by }),
    }
}

/// Tells the target that its run stops part way. Best effort: the lock also says so by its age. A link that was cut
/// meanwhile is not waited for.
pub(super) async fn leave(target: &Target) {
    drop(tokio::time::timeout(GOODBYE, target.stop()).await);
}

/// What a run is worked on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The restored control plane.
    Restore,
    /// The target as it was.
    Rollback,
    /// To see whether it can be restored.
    Rehearsal,
}

/// Works on a run until it is left; then tells.
pub(super) async fn work(
    mut engine: Engine,
    run: &Run,
    (runs, folder): (&Runs, &RunFolder),
    face: &dyn Face,
    goal: Goal,
) -> Result<Exit, Fault> {
    let left = {
        let signals = tokio::spawn(stop_on_signal(run.stop.clone()));
        let left = engine.work().await;
        signals.abort();
        left?
    };
    let exit = Exit::of(&left, goal == Goal::Rollback);
    let reachable = !matches!(left, Left::Ended(_) | Left::LostContact { .. } | Left::LostLock { .. });
    if reachable {
        leave(&run.target).await;
    }
    let (state, records) = folder.read()?;
    // A rehearsal writes its own report, and what comes next in it is that its target goes.
    let (written, next) = match goal {
        Goal::Rehearsal => (None, Vec::new()),
        Goal::Restore | Goal::Rollback => {
            (evidence::keep(folder, runs, &run.inventory.report, face).await, next_steps(&left, &folder.id))
        }
    };
    face.report(&Report::of(&state, &records, Some(&run.snapshot)), written.as_ref(), &next);
    Ok(exit)
}

/// SIGINT and SIGTERM stop the run at its checkpoint.
pub(super) async fn stop_on_signal(stop: CancellationToken) {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { return },
        _ = terminate.recv() => {}
    }
    stop.cancel();
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string())
}

/// The folder that a frozen inventory's relative paths begin at.
pub(super) fn base_of(inventory: &str) -> &Path {
    Path::new(inventory).parent().unwrap_or(Path::new("/"))
}
