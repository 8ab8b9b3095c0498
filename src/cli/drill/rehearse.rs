//! One rehearsal: a target is made, restored onto, proved, reported on, and taken away, whatever happens between.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::check::PATHS;
use crate::cli::args::{Drill, Globals, Site};
use crate::cli::exit::{Exit, Fault};
use crate::cli::restore::{Asked, Restored, restore};
use crate::cli::session::{Session, base_of};
use crate::drill::derive;
use crate::drill::link::Link;
use crate::drill::providers::{Isolation, ProviderEntry, Throwaway};
use crate::drill::settings::Isolated;
use crate::drill::{DrillFolder, DrillRecord, Drills, Level, Order, TargetState};
use crate::engine::chain;
use crate::inventory::Inventory;
use crate::runs::Runs;
use crate::snapshot::Claims;
use crate::sources::{self, Unpack};
use crate::target::Target;
use crate::transport::Ssh;
use crate::{inventory, playbook};

pub(super) async fn run(globals: &Globals, args: &Drill) -> Result<Exit, Fault> {
    let production = Session::load(globals, &args.site)?;
    let entry = provider_of(&production.inventory)?;
    let isolation = isolation(&production.inventory, &entry)?;
    let began = Timestamp::now();
    let id = Runs::new_id(&production.inventory.cluster.name, began)?;
    let drills = Drills::new(&production.state);
    let (folder, _working) = drills.begin(&id)?;
    let order = match order(&production, &drills, &folder, &id).await {
        Ok(order) => order,
        Err(fault) => {
            // Nothing was made, and nothing is to be told of it later.
            drop(std::fs::remove_dir_all(&folder.dir));
            return Err(fault);
        }
    };
    let record = DrillRecord::planned(order, entry, began);
    folder.write(&record)?;
    let mut drill =
        Rehearsal { production: &production, args, isolation, folder, record, stop: CancellationToken::new() };
    let signals = tokio::spawn(super::super::session::stop_on_signal(drill.stop.clone()));
    let outcome = drill.rehearse().await;
    signals.abort();
    let gone = drill.take_away().await;
    drill.conclude(outcome, gone)
}

/// What makes the target.
fn provider_of(inventory: &Inventory) -> Result<ProviderEntry, Fault> {
    inventory.drill.provider.clone().ok_or_else(|| Fault::Usage {
        message: "the inventory does not say where a throwaway target comes from".to_owned(),
        help: "add `[drill.provider.namespace]` with `root = \"…\"`, or another provider; `docs/drills.md` has them"
            .to_owned(),
    })
}

/// A drill must not be able to touch the production cluster: the provider sees to it, or the owner says so.
fn isolation(inventory: &Inventory, entry: &ProviderEntry) -> Result<Isolation, Fault> {
    let isolation = entry.provider().isolation();
    if isolation == Isolation::Unknown && inventory.drill.isolated != Some(Isolated::ByMe) {
        return Err(Fault::Usage {
            message: format!(
                "nobody promises that a target of {} cannot reach the production cluster",
                entry.provider().label()
            ),
            help: "a second control plane with the same CA and address would tear the cluster apart: put the target into a \
                   network without a way to production, then say `isolated = \"by me\"` in `[drill]`"
                .to_owned(),
        });
    }
    Ok(isolation)
}

/// What the provider is asked for; the newest snapshot says what the inventory does not.
async fn order(production: &Session, drills: &Drills, folder: &DrillFolder, id: &str) -> Result<Order, Fault> {
    production.face.doing("finding the newest snapshot");
    let inventory = production.inventory.as_ref();
    let unpack = Unpack::from(inventory);
    let search = sources::newest(&inventory.sources, &folder.dir.join("snapshots"), &unpack, &|_, _| {}).await;
    let claims: Claims = search
        .map_err(|error| Fault::Snapshot {
            message: chain(&error),
            help: "`drctl snapshot list` shows what there is; no target was made".to_owned(),
        })?
        .chosen
        .claims;
    Order::new(id, &folder.dir, &drills.shared(), inventory, &claims)
        .map_err(|source| Fault::Io { what: format!("make keys in `{}`", folder.dir.display()), source })
}

/// A drill from its target's planning to its verdict.
struct Rehearsal<'a> {
    production: &'a Session,
    args: &'a Drill,
    isolation: Isolation,
    folder: DrillFolder,
    record: DrillRecord,
    stop: CancellationToken,
}

/// How far a rehearsal came.
struct Outcome {
    restored: Restored,
    level: Level,
    create: Duration,
}

impl Rehearsal<'_> {
    async fn rehearse(&mut self) -> Result<Outcome, Fault> {
        let face = Arc::clone(&self.production.face);
        let provider = self.record.provider.provider();
        face.doing(&format!("making a throwaway target: {}", provider.label()));
        let begun = Instant::now();
        let stop = self.stop.clone();
        let made = tokio::select! {
            made = provider.create(&self.record.order) => made,
            () = stop.cancelled() => return Err(Fault::Interrupted),
        };
        let throwaway = made.map_err(|error| self.not_made(&error.to_string()))?;
        let link = Link::open(throwaway.way.clone())
            .await
            .map_err(|source| Fault::Io { what: "listen on a loopback port".to_owned(), source })?;
        let patience = self.record.provider.provider().patience();
        tokio::select! {
            answered = link.answers(patience) => answered.map_err(|seen| {
                self.not_made(&format!("its SSH server does not answer within {}s: {seen}", patience.as_secs()))
            })?,
            () = stop.cancelled() => return Err(Fault::Interrupted),
        }
        let create = begun.elapsed();
        self.record.target = TargetState::Created;
        self.folder.write(&self.record)?;
        let (session, level) = self.derived(&throwaway, &link).await?;
        let site = Site { playbook: None, accept: self.args.site.accept.clone(), take_over: None };
        let asked = Asked { site: &site, question: "", yes: true, stop: self.stop.clone() };
        let restored = restore(&session, &asked).await?;
        Ok(Outcome { restored, level, create })
    }

    /// What production's files become on this target.
    async fn derived(&self, throwaway: &Throwaway, link: &Link) -> Result<(Session, Level), Fault> {
        let production = self.production;
        let settings = &production.inventory.drill;
        let derived = |error: derive::DeriveError| Fault::Drill { message: chain(&error), help: DEFECT.to_owned() };
        let site =
            derive::Site { order: &self.record.order, throwaway, entrance: link.address(), more_snapshots: None };
        let inventory_text = derive::inventory(&production.inventory_text, &site).map_err(derived)?;
        let path = production.inventory_path.display().to_string();
        let absolute = std::path::absolute(&production.inventory_path).unwrap_or_default();
        let inventory = inventory::parse(&path, &inventory_text, base_of(&absolute.display().to_string()))?;
        let level = match self.args.level.or(settings.level) {
            Some(level) => level,
            None => self.offered(&inventory).await?,
        };
        let hold_back = settings.hold_back.unwrap_or(self.isolation == Isolation::Unknown);
        let text = derive::playbook(&production.playbook.text, level, hold_back, &settings.checks).map_err(derived)?;
        let playbook = playbook::parse(&production.playbook_path, &text, &inventory)?;
        let session = Session {
            face: Arc::clone(&production.face),
            state: self.folder.dir.clone(),
            inventory: Arc::new(inventory),
            inventory_path: production.inventory_path.clone(),
            inventory_text,
            playbook: Arc::new(playbook),
            playbook_path: production.playbook_path.clone(),
        };
        Ok((session, level))
    }

    async fn offered(&self, inventory: &Inventory) -> Result<Level, Fault> {
        let ssh = Ssh::new(&inventory.target).map_err(|error| Fault::Target(error.into()))?;
        let facts = Target::new(Arc::new(ssh), &self.record.order.id).facts(PATHS).await?;
        Ok(Level::offered(&facts, !self.production.inventory.drill.checks.is_empty()))
    }

    fn not_made(&self, reason: &str) -> Fault {
        let console = self.record.provider.provider().console(&self.record.order);
        let console = console.map(|lines| format!("\nits console ends with:\n{lines}")).unwrap_or_default();
        Fault::Drill {
            message: format!("no throwaway target: {reason}{console}"),
            help: "production was not touched, and what was made is taken away".to_owned(),
        }
    }

    /// Nothing is left running, whatever happened before. How long that took.
    async fn take_away(&mut self) -> Result<Option<Duration>, Fault> {
        if self.args.keep {
            self.production
                .face
                .doing(&format!("the target stays: {} (`drctl drill sweep` takes it away)", self.folder.dir.display()));
            return Ok(None);
        }
        self.production.face.doing("taking the throwaway target away");
        let begun = Instant::now();
        let order = &self.record.order;
        if let Err(error) = self.record.provider.provider().destroy(order).await {
            tracing::error!(%error, "a throwaway target is left");
            return Err(Fault::Leftover { drills: vec![format!("{}: {error}", order.id)] });
        }
        self.record.target = TargetState::Destroyed;
        self.folder.write(&self.record)?;
        // The copies were for this drill alone; a failure leaves a file that is in nobody's way.
        drop(std::fs::remove_dir_all(self.folder.dir.join("snapshots")));
        Ok(Some(begun.elapsed()))
    }

    fn conclude(&self, outcome: Result<Outcome, Fault>, gone: Result<Option<Duration>, Fault>) -> Result<Exit, Fault> {
        let exit = match &outcome {
            Ok(outcome) if outcome.restored.exit == Exit::Done => Exit::Done,
            Ok(outcome) if outcome.restored.exit == Exit::Interrupted => Exit::Interrupted,
            Ok(_) => Exit::RolledBack,
            Err(_) => Exit::RolledBack,
        };
        let gone = gone?;
        let outcome = outcome?;
        eprintln!("{:?} {:?} {:?} {}", outcome.level, outcome.create, gone, outcome.restored.folder.id);
        Ok(exit)
    }
}

const DEFECT: &str = "this is a defect of drctl: both files were read without a fault before";
