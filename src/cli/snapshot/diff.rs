//! `drctl snapshot diff`: what came, went and changed between two snapshots.

use std::path::PathBuf;

use console::style;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Finder, Place, warn};
use super::table::{Table, count, field, heading, plain};
use super::{answer, verified};
use crate::causes::chain;
use crate::cli::args::{Diff, Globals};
use crate::cli::exit::{Exit, Fault};
use crate::snapshot::Keyspace;
use crate::snapshot::diff::{Change, Changes, Difference, ObjectChange, diff};

/// What its line of JSON is called.
pub(super) const KIND: &str = "snapshot_diff";

/// What `drctl snapshot diff` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SnapshotDiff")]
pub(super) struct Answer {
    /// The earlier one.
    first: Side,
    /// The later one.
    second: Side,
    /// Whether both are of one cluster, by the UID of `kube-system`; null when one does not say it.
    same_cluster: Option<bool>,
    #[serde(flatten)]
    difference: Difference,
}

/// One of the two.
#[derive(Debug, Serialize, JsonSchema)]
struct Side {
    /// The file or name that was asked for.
    name: String,
    /// The file on this controller; null when it is not known any more.
    path: Option<String>,
    /// Whether it is whole.
    whole: bool,
    /// Its newest revision.
    revision: i64,
    /// How many keys live in it.
    live_keys: u64,
    /// The newest time in its data.
    #[schemars(with = "Option<String>")]
    newest_change: Option<Timestamp>,
    /// The UID of its namespace `kube-system`.
    kube_system_uid: Option<String>,
}

pub(super) async fn run(globals: &Globals, args: &Diff) -> Result<Exit, Fault> {
    let finder = Finder::new(globals);
    let places = (finder.find(&args.first).await?, finder.find(&args.second).await?);
    let (first, second) = (look(&places.0).await?, look(&places.1).await?);
    let limit = if args.all { usize::MAX } else { args.limit };
    let difference = compare(places.0.opened.path.clone(), places.1.opened.path.clone(), limit).await;
    let difference = difference.map_err(|reason| Fault::Snapshot {
        message: format!("could not compare: {reason}"),
        help: "`drctl snapshot verify` tells all that is wrong with each".to_owned(),
    })?;
    let uids = first.kube_system_uid.as_ref().zip(second.kube_system_uid.as_ref());
    let same_cluster = uids.map(|(first, second)| first == second);
    let found = Answer { first, second, same_cluster, difference };
    answer(globals, KIND, &found, || text(&found))?;
    Ok(Exit::Done)
}

async fn look(place: &Place) -> Result<Side, Fault> {
    let unread = |reason: &str| Fault::Snapshot {
        message: format!("`{}` cannot be read: {reason}", place.name),
        help: format!("`drctl snapshot verify {}` tells all that is wrong with it", place.name),
    };
    let verified = verified(&place.opened).await.map_err(|error| unread(&chain(&error)))?;
    let fault = verified.fault();
    let Some(known) = &verified.knowledge else { return Err(unread(fault.unwrap_or_default())) };
    if let Some(fault) = fault {
        warn(&format!("`{}` is not whole: {fault}", place.name));
    }
    Ok(Side {
        path: place.path(),
        whole: verified.whole,
        revision: known.totals.revision,
        live_keys: known.totals.live_keys,
        newest_change: known.newest_change().map(|change| change.time),
        kube_system_uid: known.kube_system_uid.clone(),
        name: place.name.clone(),
    })
}

async fn compare(first: PathBuf, second: PathBuf, limit: usize) -> Result<Difference, String> {
    let open = |path: PathBuf| Keyspace::open(&path).map_err(|error| chain(&error));
    let compared =
        tokio::task::spawn_blocking(move || diff(&open(first)?, &open(second)?, limit).map_err(|error| chain(&error)));
    compared.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn text(answer: &Answer) -> String {
    let Answer { first, second, same_cluster, difference } = answer;
    let mut text = side("first", first) + &side("second", second);
    if *same_cluster == Some(false) {
        let told = "the two are of different clusters: their `kube-system` namespaces have different UIDs";
        text.push_str(&field("", style(told).red().bold()));
    }
    text.push_str(&field("all", sums(difference.all)));
    if difference.all.differ() == 0 {
        return text + "\n  nothing differs\n";
    }
    text.push_str(&heading("By resource"));
    let mut table = Table::new(&["RESOURCE", "CAME", "WENT", "CHANGED", "SAME"], &[1, 2, 3, 4]);
    for (resource, changes) in &difference.resources {
        let numbers = [changes.came, changes.went, changes.changed, changes.same].map(|number| match number {
            0 => style("-".to_owned()).dim().to_string(),
            number => count(number),
        });
        table.row(std::iter::once(of_resource(resource)).chain(numbers));
    }
    text.push_str(&table.to_string());
    text.push_str(&heading("By object"));
    difference.objects.iter().for_each(|object| text.push_str(&line(object)));
    if difference.left_out > 0 {
        text.push_str(&format!("  … and {} more (`--all`, `--limit`)\n", count(difference.left_out)));
    }
    text
}

fn side(name: &str, side: &Side) -> String {
    let newest = side.newest_change.map(|time| format!(", data of {}", time.strftime("%Y-%m-%d %H:%M:%S UTC")));
    let said = format!(
        "{}\nrevision {}, {} keys{}",
        style(&side.name).bold(),
        side.revision,
        count(side.live_keys),
        newest.unwrap_or_default()
    );
    field(name, said)
}

fn sums(Changes { came, went, changed, same }: Changes) -> String {
    format!("{} came, {} went, {} changed, {} the same", count(came), count(went), count(changed), count(same))
}

fn of_resource(resource: &str) -> String {
    if resource.is_empty() { "(not below /registry/)".to_owned() } else { plain(resource) }
}

fn line(ObjectChange { object, change }: &ObjectChange) -> String {
    let mark = match change {
        Change::Came => style("+").green(),
        Change::Went => style("-").red(),
        Change::Changed => style("~").yellow(),
    };
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let resource = of_resource(&object.resource);
    format!("  {mark} {resource} {}\n", plain(&format!("{namespace}{}", object.name)))
}
