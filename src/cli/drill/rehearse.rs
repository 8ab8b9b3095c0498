//! One rehearsal: a target is made, restored onto, proved, reported on, and taken away, whatever happens between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conclude::{Occasion, Progress};
use super::game_day::GameDay;
use crate::check::PATHS;
use crate::cli::args::{Drill, Globals, Site};
use crate::cli::exit::{Exit, Fault};
use crate::cli::restore::{Asked, begin};
use crate::cli::session::{Goal, Session, base_of, stop_on_signal, work};
use crate::cli::snapshot::unusable;
use crate::drill::link::Link;
use crate::drill::providers::{Isolation, ProviderEntry, Throwaway};
use crate::drill::settings::Isolated;
use crate::drill::{DrillRecord, Drills, Level, Order, TargetState, derive, fault};
use crate::engine::chain;
use crate::inventory::{self, Inventory};
use crate::playbook;
use crate::runs::Runs;
use crate::sources::{self, Unpack};
use crate::target::Target;
use crate::transport::Ssh;

pub(super) async fn run(globals: &Globals, args: &Drill) -> Result<Exit, Fault> {
    let production = Session::load(globals, &args.site)?;
    let provider = provider_of(&production.inventory)?;
    let isolation = isolation(&production.inventory, &provider)?;
    // What is fetched to make the order holds every Secret of the cluster: it is not left behind either.
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(stop.clone()));
    let began = Timestamp::now();
    let id = Runs::new_id(&production.inventory.cluster.name, began)?;
    let drills = Drills::new(&production.state);
    let (folder, _working) = drills.begin(&id)?;
    let occasion = Occasion { production: &production, args, drills, folder, id, began, provider, isolation };
    let ordered = tokio::select! {
        ordered = order(&occasion) => ordered,
        () = stop.cancelled() => Err(Fault::Interrupted),
    };
    let planned = ordered.and_then(|(order, found)| {
        let record = DrillRecord::planned(order, occasion.provider.clone(), began);
        occasion.folder.write(&record)?;
        Ok((record, found))
    });
    let (record, found) = match planned {
        Ok(planned) => planned,
        Err(fault) => {
            signals.abort();
            let gone = occasion.folder.clear().map(|()| None).map_err(Fault::from);
            return occasion.conclude(Progress::default(), Err(fault), gone).await;
        }
    };
    let progress = Progress { host: Some(record.order.hostname.clone()), ..Progress::default() };
    let mut drill = Rehearsal { occasion: &occasion, record, found, stop, progress };
    let outcome = drill.rehearse().await;
    signals.abort();
    let gone = drill.take_away().await;
    occasion.conclude(drill.progress, outcome, gone).await
}

/// What makes the target.
pub(super) fn provider_of(inventory: &Inventory) -> Result<ProviderEntry, Fault> {
    inventory.drill.provider.clone().ok_or_else(|| Fault::Usage {
        message: "the inventory does not say where a throwaway target comes from".to_owned(),
        help: "add `[drill.provider.namespace]` with `root = \"…\"`, or another provider; `docs/drills.md` has them"
            .to_owned(),
    })
}

/// A drill must not be able to touch the production cluster: the provider sees to it, or the owner says so.
pub(super) fn isolation(inventory: &Inventory, entry: &ProviderEntry) -> Result<Isolation, Fault> {
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

/// What a drill needs besides its target.
struct Found {
    /// Addresses of the living cluster that the target must not reach.
    production: Vec<String>,
    /// Where a damaged snapshot lies, on a game day.
    damaged: Option<PathBuf>,
}

/// What the provider is asked for; the newest snapshot says what the inventory does not.
async fn order(occasion: &Occasion<'_>) -> Result<(Order, Found), Fault> {
    let (production, folder) = (occasion.production, &occasion.folder);
    production.face.doing("finding the newest snapshot");
    let inventory = production.inventory.as_ref();
    let unpack = Unpack::from(inventory);
    let search = sources::newest(&inventory.sources, &folder.dir.join("snapshots"), &unpack, &|_, _| {}).await;
    let chosen = search.map_err(|error| unusable(&error))?.chosen;
    let io = |what: &str, source| Fault::Io { what: format!("{what} in `{}`", folder.dir.display()), source };
    let damaged = match occasion.args.fault {
        Some(fault::Fault::CorruptSnapshot) => {
            let copy = fault::corrupt_copy(&chosen.path, &folder.dir);
            Some(copy.map_err(|source| io("make a damaged snapshot", source))?)
        }
        _ => None,
    };
    let order = Order::new(&occasion.id, &folder.dir, &occasion.drills.shared(), inventory, &chosen.claims);
    let mut order = order.map_err(|source| io("make keys", source))?;
    if let Isolation::Promised(_) = occasion.isolation {
        order.lead_here(&inventory.fencing.must_not_answer);
    }
    let production = order.strangers(&chosen.claims);
    Ok((order, Found { production, damaged }))
}

/// A drill from its target's planning until that is taken away.
struct Rehearsal<'a> {
    occasion: &'a Occasion<'a>,
    record: DrillRecord,
    found: Found,
    stop: CancellationToken,
    progress: Progress,
}

impl Rehearsal<'_> {
    async fn rehearse(&mut self) -> Result<Exit, Fault> {
        let face = Arc::clone(&self.occasion.production.face);
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
        self.progress.create = Some(begun.elapsed());
        self.record.target = TargetState::Created;
        self.occasion.folder.write(&self.record)?;
        let session = self.derived(&throwaway, &link).await?;
        let site = Site { playbook: None, accept: self.occasion.args.site.accept.clone(), take_over: None };
        let asked = Asked { site: &site, question: "", yes: true, stop: self.stop.clone() };
        let begun = begin(&session, &asked).await?;
        self.progress.run = Some(begun.folder.clone());
        self.progress.findings = Some(begun.findings.clone());
        self.progress.facts = begun.run.facts.values();
        let disturbing = self.occasion.args.fault.filter(|fault| *fault != fault::Fault::CorruptSnapshot);
        let Some(fault) = disturbing else {
            let folder = begun.folder.clone();
            return work(begun.engine, &begun.run, (&session.runs(), &folder), face.as_ref(), Goal::Rehearsal).await;
        };
        let provider = self.record.provider.provider();
        let game_day =
            GameDay { fault, provider, order: &self.record.order, folder: &self.occasion.folder, link: &link };
        let disturbed = game_day.work(begun).await?;
        let exit = disturbed.exit;
        self.progress.disturbed = Some(disturbed);
        Ok(exit)
    }

    /// What production's files become on this target.
    async fn derived(&mut self, throwaway: &Throwaway, link: &Link) -> Result<Session, Fault> {
        let production = self.occasion.production;
        let settings = &production.inventory.drill;
        let derived = |error: derive::DeriveError| Fault::Drill { message: chain(&error), help: DEFECT.to_owned() };
        let site = derive::Site {
            order: &self.record.order,
            throwaway,
            entrance: link.address(),
            production: &self.found.production,
            more_snapshots: self.found.damaged.as_deref(),
        };
        let inventory_text = derive::inventory(&production.inventory_text, &site).map_err(derived)?;
        let path = production.inventory_path.display().to_string();
        let absolute = std::path::absolute(&production.inventory_path).unwrap_or_default();
        let inventory = inventory::parse(&path, &inventory_text, base_of(&absolute.display().to_string()))?;
        let level = match self.occasion.args.level.or(settings.level) {
            Some(level) => level,
            None => self.offered(&inventory).await?,
        };
        let hold_back = settings.hold_back.unwrap_or(self.occasion.isolation == Isolation::Unknown);
        let text = derive::playbook(&production.playbook.text, level, hold_back, &settings.checks).map_err(derived)?;
        let playbook = playbook::parse(&production.playbook_path, &text, &inventory)?;
        let session = Session {
            face: Arc::clone(&production.face),
            state: self.occasion.folder.dir.clone(),
            inventory: Arc::new(inventory),
            inventory_path: production.inventory_path.clone(),
            inventory_text,
            playbook: Arc::new(playbook),
            playbook_path: production.playbook_path.clone(),
        };
        self.progress.level = Some(level);
        Ok(session)
    }

    async fn offered(&self, inventory: &Inventory) -> Result<Level, Fault> {
        let ssh = Ssh::new(&inventory.target).map_err(|error| Fault::Target(error.into()))?;
        let facts = Target::new(Arc::new(ssh), &self.record.order.id).facts(PATHS).await?;
        Ok(Level::offered(&facts, !self.occasion.production.inventory.drill.checks.is_empty()))
    }

    fn not_made(&self, reason: &str) -> Fault {
        let console = self.record.provider.provider().console(&self.record.order);
        let console = console.map(|lines| format!("\nits console ends with:\n{lines}")).unwrap_or_default();
        Fault::Drill {
            message: format!("no throwaway target: {reason}{console}"),
            help: "production was not touched, and what was made is taken away".to_owned(),
        }
    }

    /// Nothing is left running, whatever happened before. How long that took. What never became a target is nothing to look
    /// at, and not kept either.
    async fn take_away(&mut self) -> Result<Option<Duration>, Fault> {
        let face = &self.occasion.production.face;
        if self.occasion.args.keep && self.record.target == TargetState::Created {
            let dir = self.occasion.folder.dir.display();
            face.doing(&format!("the target stays: {dir} (`drctl drill sweep` takes it away)"));
            return Ok(None);
        }
        face.doing("taking the throwaway target away");
        let begun = Instant::now();
        let order = &self.record.order;
        if let Err(error) = self.record.provider.provider().destroy(order).await {
            tracing::error!(%error, "a throwaway target is left");
            return Err(Fault::Leftover { drills: vec![format!("{}: {error}", order.id)] });
        }
        self.occasion.folder.clear()?;
        self.record.target = TargetState::Destroyed;
        self.occasion.folder.write(&self.record)?;
        Ok(Some(begun.elapsed()))
    }
}

const DEFECT: &str = "this is a defect of drctl: both files were read without a fault before";
