//! `drctl restore`: check, plan, ask, run.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::args::{Globals, Restore, Site};
use super::exit::{Exit, Fault};
use super::session::{Goal, Session, confirm, hold, refuse, work};
use crate::actions::Finding;
use crate::check::Purpose;
use crate::engine::{Engine, Listener, Run, chain};
use crate::event::{Event, FORMAT, RunHeader, SnapshotRef, StepRef};
use crate::hex::hex;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::runs::{Frozen, RunFolder, Seen};
use crate::sources::Chosen;
use crate::target::TargetError;
use crate::text::Values;

pub(super) async fn run(globals: &Globals, args: &Restore) -> Result<Exit, Fault> {
    let session = Session::load(globals, &args.site)?;
    let question =
        format!("Restore cluster {} onto {}?", session.inventory.cluster.name, session.inventory.target.host);
    let asked = Asked { site: &args.site, question: &question, yes: args.yes, stop: CancellationToken::new() };
    let begun = begin(&session, &asked).await?;
    let folder = begun.folder;
    work(begun.engine, &begun.run, (&session.runs(), &folder), session.face.as_ref(), Goal::Restore).await
}

/// What a restore is asked to do.
pub(super) struct Asked<'a> {
    pub(super) site: &'a Site,
    pub(super) question: &'a str,
    pub(super) yes: bool,
    /// Cancelled when the run is to stop at its checkpoint.
    pub(super) stop: CancellationToken,
}

/// A restore that is written down, holds its target, and has changed nothing yet.
pub(super) struct Begun {
    pub(super) engine: Engine,
    pub(super) run: Run,
    pub(super) folder: RunFolder,
    /// What the checks found.
    pub(super) findings: Vec<Finding>,
}

/// Checks, plans, asks, and begins.
pub(super) async fn begin(session: &Session, asked: &Asked<'_>) -> Result<Begun, Fault> {
    let id = session.new_run_id()?;
    let (look, findings) = session.look(&id, Purpose::Restore).await;
    refuse(&look, &findings, asked.site)?;
    session.face.plan(&Plan::of(&look, &session.past()));
    confirm(session.face.as_ref(), asked.question, asked.yes).await?;

    let (Ok(search), Ok(target)) = (&look.snapshot, &look.target) else {
        return Err(Fault::Usage {
            message: "a snapshot and a reachable target cannot be done without".to_owned(),
            help: "findings about them cannot be accepted".to_owned(),
        });
    };
    let header = header(session, &id, &search.chosen, &look.values, asked.site);
    let frozen =
        Frozen { inventory: &session.inventory_text, playbook: &session.playbook.text, snapshot: &search.chosen };
    let (folder, mut journal, state, record) = session.runs().begin(header, &frozen).map_err(Fault::NotBegun)?;
    if let Err(fault) = hold(&target.target, &session.runs(), asked.site.take_over.as_deref()).await {
        return Err(not_held(&folder, &mut journal, fault));
    }
    session.face.record(&record);
    let seen = Seen { findings: findings.clone(), facts: target.facts.values() };
    if let Err(error) = folder.keep_seen(&seen) {
        session.face.warn(&format!("the report will lack what the checks found: {}", chain(&error)));
    }
    let run = Run {
        inventory: Arc::clone(&look.inventory),
        playbook: Arc::clone(&look.playbook),
        target: Arc::clone(&target.target),
        facts: Arc::clone(&target.facts),
        snapshot: Arc::new(search.chosen.clone()),
        pki: Arc::clone(&look.pki),
        values: look.values.clone(),
        cache: session.cache(),
        listener: listener(session),
        stop: asked.stop.clone(),
    };
    let engine = Engine::new(run.clone(), journal, state);
    Ok(Begun { engine, run, folder, findings })
}

/// A run without the lock never was; but when the link broke, the target may have given it all the same, and only this
/// run can let go of it.
fn not_held(folder: &RunFolder, journal: &mut Journal, fault: Fault) -> Fault {
    if let Fault::Target(error @ TargetError::Transport(_)) = &fault {
        drop(journal.append(Event::Stopped { reason: format!("the lock may not have been taken: {}", chain(error)) }));
        return Fault::MayHold { run: folder.id.clone(), reason: chain(error) };
    }
    // Its own folder is only in the way of the eye.
    drop(folder.forget());
    fault
}

fn listener(session: &Session) -> Arc<dyn Listener> {
    Arc::clone(&session.face) as Arc<dyn Listener>
}

fn header(session: &Session, id: &str, chosen: &Chosen, values: &Values, site: &Site) -> RunHeader {
    // What a check did not find, or only warned of, may be met by a step.
    let accepted: BTreeSet<String> = site.accept.iter().cloned().collect();
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let steps = session.playbook.steps.iter().map(|step| StepRef {
        name: step.name.clone(),
        action: step.kind.name.to_owned(),
        holds: step.when.as_ref().and_then(|when| when.at_the_beginning(values)),
    });
    RunHeader {
        format: FORMAT,
        run: id.to_owned(),
        drctl: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: session.inventory.cluster.name.clone(),
        host: session.inventory.target.host.clone(),
        inventory: absolute(&session.inventory_path).display().to_string(),
        playbook: session.playbook_path.clone(),
        inventory_sha256: hex(&Sha256::digest(&session.inventory_text)),
        playbook_sha256: hex(&Sha256::digest(&session.playbook.text)),
        snapshot_json_sha256: None,
        accepted: accepted.into_iter().collect(),
        snapshot: SnapshotRef {
            name: chosen.name.clone(),
            source: chosen.source.clone(),
            sha256: chosen.sha256.clone(),
            size: chosen.size,
            taken: chosen.taken,
            revision: chosen.claims.revision,
        },
        steps: steps.collect(),
    }
}
