//! A run that is taken up again, by resume or rollback.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::Globals;
use super::exit::Fault;
use super::session::{base_of, hold, leave, state_dir};
use crate::engine::{Engine, Listener, Run, unjournalled};
use crate::event::Direction;
use crate::face::{Face, face};
use crate::inventory::{self, Inventory};
use crate::journal::{Journal, RunState};
use crate::pki_set::{self, encryption};
use crate::playbook::{self, Playbook};
use crate::report::Report;
use crate::runs::{Opened, RunFolder, Runs};
use crate::sources::{self, Chosen, Unpack};
use crate::target::Target;
use crate::transport::Ssh;

/// A run with its journal open.
#[derive(Debug)]
pub(super) struct TakenUp {
    pub(super) face: Arc<dyn Face>,
    pub(super) folder: RunFolder,
    pub(super) state: RunState,
    journal: Journal,
    inventory: Inventory,
    playbook: Playbook,
    snapshot: Chosen,
    state_dir: std::path::PathBuf,
}

impl TakenUp {
    /// Opens a run's journal and reads what it froze.
    pub(super) async fn find(globals: &Globals, id: Option<&str>, what: &'static str) -> Result<Self, Fault> {
        let state_dir = state_dir(globals)?;
        let runs = Runs::new(&state_dir);
        let folder = match id {
            Some(id) => runs.find(id)?,
            None => runs.newest_open(what)?,
        };
        let Opened { journal, state, inventory, playbook, snapshot } = folder.open()?;
        let header = &state.header;
        let inventory = inventory::parse(&header.inventory, &inventory, base_of(&header.inventory))?;
        let playbook = playbook::parse(&header.playbook, &playbook, &inventory)?;
        let (cache, unpack) = (state_dir.join("snapshots"), Unpack::from(&inventory));
        let snapshot = sources::still_there(snapshot, &inventory.sources, &cache, &unpack).await;
        let face = face(globals.json(), globals.verbose > 0);
        Ok(Self { face, folder, state, journal, inventory, playbook, snapshot, state_dir })
    }

    /// Shows what became of it; nothing is left to do.
    pub(super) fn tell(&self) -> Result<(), Fault> {
        let (state, records) = self.folder.read()?;
        let next = format!("nothing: the run has ended; `drctl show {}` tells it whole", self.folder.id);
        self.face.report(&Report::of(&state, &records, Some(&self.snapshot)), None, &[next]);
        Ok(())
    }

    /// All runs of this controller, this one among them.
    pub(super) fn runs(&self) -> Runs {
        Runs::new(&self.state_dir)
    }

    /// Connects, takes the lock, and is ready to work in this direction.
    pub(super) async fn engine(self, direction: Direction) -> Result<(Engine, Run, RunFolder, Arc<dyn Face>), Fault> {
        self.face.doing(&format!("connecting to {}", self.state.header.host));
        let ssh = Ssh::new(&self.inventory.target).map_err(|error| Fault::OutOfReach(error.into()))?;
        let target = Target::new(Arc::new(ssh.known()), &self.folder.id);
        let facts = target.facts(crate::check::PATHS).await.map_err(Fault::OutOfReach)?;
        let pki = pki_set::gather(&self.inventory).await;
        if let (Direction::Forward, Some(reason)) = (direction, pki.failed())
            && self.needs_pki()
        {
            return Err(Fault::NoPki { reason: reason.to_owned() });
        }
        hold(&target, &self.runs(), None).await.map_err(|fault| match fault {
            Fault::Target(error) => Fault::OutOfReach(error),
            fault => fault,
        })?;
        if let Err(fault) = self.knows_all_of(&target).await {
            leave(&target).await;
            return Err(fault);
        }
        let mut values = self.inventory.values();
        values.extend(pki.values());
        values.extend(self.snapshot.values());
        values.extend(encryption::value(&pki, &self.inventory.cluster, &self.snapshot.claims));
        values.extend(facts.values());
        values.insert("run.id".to_owned(), self.folder.id.clone());
        let run = Run {
            inventory: Arc::new(self.inventory),
            playbook: Arc::new(self.playbook),
            target: Arc::new(target),
            facts: Arc::new(facts),
            snapshot: Arc::new(self.snapshot),
            pki: Arc::new(pki),
            values,
            cache: self.state_dir.join("snapshots"),
            listener: Arc::clone(&self.face) as Arc<dyn Listener>,
            stop: CancellationToken::new(),
        };
        Ok((Engine::new(run.clone(), self.journal, self.state), run, self.folder, self.face))
    }

    /// Nothing is undone, or done, on top of what the journal does not know of.
    async fn knows_all_of(&self, target: &Target) -> Result<(), Fault> {
        let entries = target.entries().await.map_err(Fault::OutOfReach)?;
        let Some(found) = unjournalled(&self.state, &entries) else { return Ok(()) };
        let folder = target.step_folder(&found.step);
        let place = found.entry.map_or(folder.clone(), |entry| format!("{folder}/{entry}"));
        Err(Fault::NotInJournal { host: target.host().to_owned(), step: found.step, place })
    }

    /// Whether a step that is not behind the run asks about a file of the PKI. One that finds none where there was one would
    /// be skipped, or fail.
    fn needs_pki(&self) -> bool {
        let mut steps = self.playbook.steps.iter().zip(&self.state.steps);
        steps.any(|(step, state)| !state.is_settled() && step.needs_pki())
    }
}
