//! One rehearsal: a target is made, restored onto, proved, reported on, and taken away, whatever happens between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::game_day::{Disturbed, GameDay};
use crate::actions::Finding;
use crate::check::PATHS;
use crate::cli::args::{Drill, Globals, Site};
use crate::cli::exit::{Exit, Fault};
use crate::cli::restore::{Asked, begin};
use crate::cli::session::{Goal, Session, base_of, stop_on_signal, work};
use crate::drill::link::Link;
use crate::drill::providers::{Isolation, ProviderEntry, Throwaway};
use crate::drill::settings::Isolated;
use crate::drill::{DrillFolder, DrillRecord, Drills, Level, Order, TargetState, derive, fault};
use crate::engine::chain;
use crate::inventory::{Inventory, Span};
use crate::report::evidence::{self, Circumstances, Evidence, Kind, Outcome as Verdict, Past, Proof, of_reports};
use crate::report::{Report, keep, means};
use crate::runs::{RunFolder, Runs};
use crate::sources::{self, Unpack};
use crate::target::Target;
use crate::text::Values;
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
    let (order, found) = match order(&production, &drills, &folder, &id, args.fault).await {
        Ok(order) => order,
        Err(fault) => {
            // Nothing was made, and nothing is to be told of it later.
            drop(std::fs::remove_dir_all(&folder.dir));
            return Err(fault);
        }
    };
    let record = DrillRecord::planned(order, entry, began);
    folder.write(&record)?;
    let (stop, progress) = (CancellationToken::new(), Progress::default());
    let mut drill =
        Rehearsal { production: &production, args, drills, isolation, folder, record, found, stop, progress };
    let signals = tokio::spawn(stop_on_signal(drill.stop.clone()));
    let outcome = drill.rehearse().await;
    signals.abort();
    let gone = drill.take_away().await;
    drill.conclude(outcome, gone).await
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
async fn order(
    production: &Session,
    drills: &Drills,
    folder: &DrillFolder,
    id: &str,
    fault: Option<fault::Fault>,
) -> Result<(Order, Found), Fault> {
    production.face.doing("finding the newest snapshot");
    let inventory = production.inventory.as_ref();
    let unpack = Unpack::from(inventory);
    let search = sources::newest(&inventory.sources, &folder.dir.join("snapshots"), &unpack, &|_, _| {}).await;
    let chosen = search
        .map_err(|error| Fault::Snapshot {
            message: chain(&error),
            help: "`drctl snapshot list` shows what there is; no target was made".to_owned(),
        })?
        .chosen;
    let io = |what: &str, source| Fault::Io { what: format!("{what} in `{}`", folder.dir.display()), source };
    let damaged = match fault {
        Some(fault::Fault::CorruptSnapshot) => {
            let copy = fault::corrupt_copy(&chosen.path, &folder.dir);
            Some(copy.map_err(|source| io("make a damaged snapshot", source))?)
        }
        _ => None,
    };
    let order = Order::new(id, &folder.dir, &drills.shared(), inventory, &chosen.claims);
    let order = order.map_err(|source| io("make keys", source))?;
    let production = order.strangers(&chosen.claims);
    Ok((order, Found { production, damaged }))
}

/// A drill from its target's planning to its verdict.
struct Rehearsal<'a> {
    production: &'a Session,
    args: &'a Drill,
    drills: Drills,
    isolation: Isolation,
    folder: DrillFolder,
    record: DrillRecord,
    found: Found,
    stop: CancellationToken,
    progress: Progress,
}

/// What a rehearsal has come to so far.
#[derive(Debug, Default)]
struct Progress {
    create: Option<Duration>,
    level: Option<Level>,
    run: Option<RunFolder>,
    findings: Option<Vec<Finding>>,
    facts: Values,
    disturbed: Option<Disturbed>,
}

impl Rehearsal<'_> {
    async fn rehearse(&mut self) -> Result<Exit, Fault> {
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
        self.progress.create = Some(begun.elapsed());
        self.record.target = TargetState::Created;
        self.folder.write(&self.record)?;
        let session = self.derived(&throwaway, &link).await?;
        let site = Site { playbook: None, accept: self.args.site.accept.clone(), take_over: None };
        let asked = Asked { site: &site, question: "", yes: true, stop: self.stop.clone() };
        let begun = begin(&session, &asked).await?;
        self.progress.run = Some(begun.folder.clone());
        self.progress.findings = Some(begun.findings.clone());
        self.progress.facts = begun.run.facts.values();
        let disturbing = self.args.fault.filter(|fault| *fault != fault::Fault::CorruptSnapshot);
        let Some(fault) = disturbing else {
            let folder = begun.folder.clone();
            return work(begun.engine, &begun.run, (&session.runs(), &folder), face.as_ref(), Goal::Rehearsal).await;
        };
        let provider = self.record.provider.provider();
        let game_day = GameDay { fault, provider, order: &self.record.order, folder: &self.folder, link: &link };
        let disturbed = game_day.work(begun).await?;
        let exit = disturbed.exit;
        self.progress.disturbed = Some(disturbed);
        Ok(exit)
    }

    /// What production's files become on this target.
    async fn derived(&mut self, throwaway: &Throwaway, link: &Link) -> Result<Session, Fault> {
        let production = self.production;
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
        self.progress.level = Some(level);
        Ok(session)
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
        self.folder.clear()?;
        self.record.target = TargetState::Destroyed;
        self.folder.write(&self.record)?;
        Ok(Some(begun.elapsed()))
    }

    /// The report is written whatever came of it; its verdict is the exit code.
    async fn conclude(
        &mut self,
        outcome: Result<Exit, Fault>,
        gone: Result<Option<Duration>, Fault>,
    ) -> Result<Exit, Fault> {
        let (mut against, mut interrupted) = (Vec::new(), false);
        let unbegun = match outcome {
            Ok(exit) => {
                interrupted = exit == Exit::Interrupted;
                None
            }
            Err(fault) => {
                interrupted |= matches!(fault, Fault::Interrupted);
                against.push(format!("{}.", fault.message()));
                Some(fault)
            }
        };
        let (destroy, left) = match gone {
            Ok(destroy) => (destroy, None),
            Err(fault) => {
                against.push(format!("{}.", fault.message()));
                (None, Some(fault))
            }
        };
        let evidence = self.evidence(destroy, against);
        let face = &self.production.face;
        let evidence = match evidence {
            Ok(evidence) => evidence,
            Err(fault) => {
                face.warn(&format!("there is no report: {}", fault.message()));
                // A target that is left, or why nothing came of it, matters more.
                return Err(left.or(unbegun).unwrap_or(fault));
            }
        };
        let (written, warnings) = keep(&self.folder.dir, &evidence, &self.production.inventory.report).await;
        for warning in &warnings {
            face.warn(warning);
        }
        face.drill(&evidence, written.as_ref());
        match (left, unbegun) {
            (Some(fault), _) | (None, Some(fault)) => Err(fault),
            (None, None) if interrupted => Ok(Exit::Interrupted),
            (None, None) if evidence.verdict.outcome == Verdict::Passed => Ok(Exit::Done),
            (None, None) => Ok(Exit::RolledBack),
        }
    }

    fn evidence(&mut self, destroy: Option<Duration>, against: Vec<String>) -> Result<Evidence, Fault> {
        let order = &self.record.order;
        let settings = &self.production.inventory.drill;
        let progress = std::mem::take(&mut self.progress);
        let (past, unreadable) = of_reports(self.drills.dir(), Kind::Drill, &order.cluster);
        for (path, reason) in unreadable {
            tracing::warn!("the report {} cannot be read: {reason}", path.display());
        }
        let passed = past.iter().filter(|evidence| evidence.verdict.outcome == Verdict::Passed);
        let taken = passed.flat_map(|evidence| &evidence.steps);
        let usual = means(taken.filter_map(|step| Some((step.name.as_str(), step.seconds?))));
        let circumstances = Circumstances {
            drill: Some(evidence::Rehearsal {
                id: order.id.clone(),
                provider: self.record.provider.provider().label(),
                level: progress.level.map(|level| level.to_string()).unwrap_or_default(),
                isolation: Some(match &self.isolation {
                    Isolation::Promised(how) => how.clone(),
                    Isolation::Unknown => "the owner of the inventory says so (`isolated = \"by me\"`)".to_owned(),
                }),
                fault: self.args.fault.map(|fault| fault.to_string()),
            }),
            begun: Some(self.record.began),
            ended: Some(Timestamp::now()),
            rto_limit: settings.rto.map(Span::duration),
            rpo_limit: settings.rpo.map(Span::duration),
            create: progress.create,
            destroy,
            against,
            proofs: isolation_proof(&progress).into_iter().chain(self.fault_proof(&progress)).collect(),
            findings: progress.findings,
            facts: progress.facts,
            usual,
            past: past.iter().map(Past::of).collect(),
        };
        let Some(run) = &progress.run else {
            return Ok(Evidence::without_run(&order.cluster, &order.hostname, self.record.began, circumstances));
        };
        let (state, records) = run.read()?;
        let chosen = run.snapshot(&state.header).ok();
        let report = Report::of(&state, &records, chosen.as_ref());
        Ok(Evidence::of_run(&report, &records, run.journal_sha256().ok(), chosen.as_ref(), circumstances))
    }

    /// Whether the restore coped with what was broken.
    fn fault_proof(&self, progress: &Progress) -> Option<Proof> {
        let fault = self.args.fault?;
        let (found, passed) = match (&progress.disturbed, fault) {
            (Some(disturbed), _) => (disturbed.told.clone(), disturbed.as_expected),
            (None, fault::Fault::CorruptSnapshot) => {
                let told = progress.findings.iter().flatten().find(|finding| finding.name == "snapshot-passed-over");
                let found = told.map_or_else(|| "it was not noticed".to_owned(), |finding| finding.message.clone());
                (found, told.is_some())
            }
            (None, _) => ("the run did not come so far".to_owned(), false),
        };
        Some(Proof {
            step: None,
            name: format!("Game day: {fault}"),
            how: "It was broken on purpose during the restore".to_owned(),
            expected: Some(fault.expected().to_owned()),
            found,
            passed: Some(passed),
        })
    }
}

/// That production was out of reach, seen from the target.
fn isolation_proof(progress: &Progress) -> Option<Proof> {
    let named = |name: &str| progress.findings.iter().flatten().filter(|finding| finding.name == name).count();
    let (silent, answering) = (named("old-control-plane"), named("old-control-plane-answers"));
    let unheard = named("old-control-plane-unheard");
    (silent + answering + unheard > 0).then(|| Proof {
        step: None,
        name: "Production is out of reach".to_owned(),
        how: "The target tried to connect to the addresses of the living cluster".to_owned(),
        expected: Some("silence".to_owned()),
        found: format!("{silent} silent, {answering} that answer, {unheard} that could not be asked"),
        passed: Some(answering + unheard == 0),
    })
}

const DEFECT: &str = "this is a defect of drctl: both files were read without a fault before";
