//! `drctl snapshot list`: every snapshot of every source, newest first; whether it is whole, and whether one is missing.

use std::path::Path;

use console::style;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Finder, Sources, warn, why};
use super::table::{Table, count, plain, size};
use super::{answer, verified};
use crate::causes::chain;
use crate::cli::args::{Globals, List};
use crate::cli::exit::{Exit, Fault};
use crate::report::human_seconds;
use crate::sources::{Catalog, Folder, Gap, Listed, TimeFrom, any_db};

/// What its line of JSON is called.
pub(super) const KIND: &str = "snapshots_listed";

/// What `drctl snapshot list` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SnapshotsListed")]
pub(super) struct Answer {
    /// The newest first.
    snapshots: Vec<Row>,
    /// How many older ones are not listed.
    left_out: usize,
    /// The time since the newest.
    since_newest: Option<ShownGap>,
    /// Sources that could not be listed, and why.
    unlisted: Vec<String>,
}

/// A file that looks like a snapshot.
#[derive(Debug, Serialize, JsonSchema)]
struct Row {
    /// Its name in its source.
    name: String,
    /// Its source.
    source: String,
    /// When it was taken.
    #[schemars(with = "String")]
    taken: Timestamp,
    /// What that time was read from.
    time_from: TimeFrom,
    /// How old it is.
    age_seconds: f64,
    /// Bytes.
    size: u64,
    /// Whether it is whole.
    state: State,
    /// Why it is not, or why it was not read.
    reason: Option<String>,
    /// The cluster's name, in kubeadm's configuration.
    cluster: Option<String>,
    /// The UID of its namespace `kube-system`.
    kube_system_uid: Option<String>,
    /// Its newest revision.
    revision: Option<i64>,
    /// The newest time in its data.
    #[schemars(with = "Option<String>")]
    newest_change: Option<Timestamp>,
    /// The time to the one before, in the same source.
    gap: Option<ShownGap>,
}

/// Whether a file is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Whole,
    NotWhole,
    /// It is on another host, and `--fetch` was not asked for.
    Unread,
}

/// A time in which snapshots should have come.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct ShownGap {
    /// How long it is.
    seconds: f64,
    /// How long it usually is there; null when there are too few to say.
    usual_seconds: Option<f64>,
    /// How many snapshots are missing in it.
    missed_runs: u64,
}

pub(super) async fn run(globals: &Globals, args: &List) -> Result<Exit, Fault> {
    let finder = Finder::new(globals);
    let sources = match &args.folder {
        Some(folder) => finder.folder(a_folder(folder)?)?,
        None => finder.sources()?,
    };
    let catalog = Catalog::of(&sources.entries).await;
    if catalog.listed.is_empty()
        && let Some(failed) = catalog.failed.first()
    {
        return Err(Fault::Snapshot { message: why(failed), help: "see the source, and the way to it".to_owned() });
    }
    let now = Timestamp::now();
    let limit = if args.all { usize::MAX } else { args.limit };
    let mut snapshots = Vec::new();
    for listed in catalog.listed.iter().take(limit) {
        let mut row = Row::new(listed, now);
        if listed.here || args.fetch {
            row.read(&finder, listed, &sources).await;
        }
        snapshots.push(row);
    }
    finder.done();
    let found = Answer {
        left_out: catalog.listed.len() - snapshots.len(),
        snapshots,
        since_newest: catalog.since_newest(now).map(ShownGap::from),
        unlisted: catalog.failed.iter().map(why).collect(),
    };
    answer(globals, KIND, &found, || text(&found))?;
    if !globals.json() {
        found.unlisted.iter().for_each(|reason| warn(reason));
    }
    Ok(Exit::Done)
}

fn a_folder(path: &Path) -> Result<Folder, Fault> {
    if !path.is_dir() {
        return Err(Fault::Usage {
            message: format!("`{}` is no folder", path.display()),
            help: "name a folder, or pass `--inventory FILE` for the sources in it".to_owned(),
        });
    }
    Ok(Folder { path: path.to_owned(), pattern: any_db() })
}

impl Row {
    fn new(listed: &Listed, now: Timestamp) -> Self {
        let candidate = &listed.candidate;
        Self {
            name: candidate.shown(),
            source: listed.source(),
            taken: candidate.taken,
            time_from: candidate.time_from,
            age_seconds: now.duration_since(candidate.taken).as_secs_f64(),
            size: candidate.size,
            state: State::Unread,
            reason: Some("on another host: `--fetch` copies it here".to_owned()),
            cluster: None,
            kube_system_uid: None,
            revision: None,
            newest_change: None,
            gap: listed.gap.map(ShownGap::from),
        }
    }

    /// Fills in what only the file itself says.
    async fn read(&mut self, finder: &Finder<'_>, listed: &Listed, sources: &Sources) {
        let opened = finder.open(listed, sources).await;
        finder.doing(&format!("reading {}", self.name));
        let read = match opened {
            Ok(opened) => verified(&opened).await.map_err(|error| chain(&error)),
            Err(error) => Err(chain(&error)),
        };
        self.state = State::NotWhole;
        match read {
            Err(reason) => self.reason = Some(reason),
            Ok(verified) => {
                self.reason = verified.fault().map(str::to_owned);
                if verified.whole {
                    self.state = State::Whole;
                }
                if let Some(known) = verified.knowledge {
                    self.cluster = known.cluster_name().map(str::to_owned);
                    self.newest_change = known.newest_change().map(|change| change.time);
                    self.revision = Some(known.totals.revision);
                    self.kube_system_uid = known.kube_system_uid;
                }
            }
        }
    }
}

impl From<Gap> for ShownGap {
    fn from(gap: Gap) -> Self {
        Self {
            seconds: gap.time.as_secs_f64(),
            usual_seconds: gap.usual.map(|usual| usual.as_secs_f64()),
            missed_runs: gap.missed_runs(),
        }
    }
}

fn text(answer: &Answer) -> String {
    if answer.snapshots.is_empty() {
        return "no snapshots\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "TAKEN (UTC)", "AGE", "SIZE", "STATE", "CLUSTER", "GAP"], &[2, 3, 6]);
    for row in &answer.snapshots {
        let taken = row.taken.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let cluster = row.cluster.as_deref().map_or_else(|| "-".to_owned(), plain);
        let (age, bytes) = (human_seconds(row.age_seconds), size(row.size));
        table.row([plain(&row.name), taken, age, bytes, state(row.state), cluster, gap(row.gap)]);
    }
    let mut text = table.to_string();
    for row in answer.snapshots.iter().filter(|row| row.state == State::NotWhole) {
        let reason = plain(row.reason.as_deref().unwrap_or_default());
        text.push_str(&format!("  {} {}: {reason}\n", style("NOT WHOLE").red().bold(), plain(&row.name)));
    }
    if answer.left_out > 0 {
        text.push_str(&format!("  and {} more (`--all`, `--limit`)\n", answer.left_out));
    }
    text + &sources(answer) + &overdue(answer)
}

fn state(state: State) -> String {
    match state {
        State::Whole => style("whole").green().to_string(),
        State::NotWhole => style("NOT WHOLE").red().bold().to_string(),
        State::Unread => style("unread").dim().to_string(),
    }
}

/// A gap, and how many snapshots are missing in it.
fn gap(gap: Option<ShownGap>) -> String {
    let Some(gap) = gap else { return "-".to_owned() };
    let time = human_seconds(gap.seconds);
    match gap.missed_runs {
        0 => time,
        runs => style(format!("{} missed  {time}", count(runs))).yellow().to_string(),
    }
}

/// Where they are, when that is more than one place.
fn sources(answer: &Answer) -> String {
    let mut all: Vec<&str> = answer.snapshots.iter().map(|row| row.source.as_str()).collect();
    all.sort_unstable();
    let mut counted: Vec<(&str, u64)> = Vec::new();
    for source in all {
        match counted.last_mut() {
            Some((last, number)) if *last == source => *number += 1,
            Some(_) | None => counted.push((source, 1)),
        }
    }
    counted.iter().map(|(source, number)| format!("  {} of {source}\n", count(*number))).collect()
}

/// Whether the job that saves snapshots is behind.
fn overdue(answer: &Answer) -> String {
    let Some(ShownGap { seconds, usual_seconds: Some(usual), missed_runs: 1.. }) = answer.since_newest else {
        return String::new();
    };
    let told = format!(
        "the newest is {} old, and one usually comes every {}: does the job that saves them still run?",
        human_seconds(seconds),
        human_seconds(usual)
    );
    format!("  {}\n", style(told).yellow())
}
