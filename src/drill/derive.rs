//! The inventory and the playbook of a drill: production's own texts, with as little changed as isolation needs.

use std::net::SocketAddr;
use std::path::Path;

use thiserror::Error;
use toml::{Table, Value};

use super::level::Level;
use super::order::Order;
use super::providers::Throwaway;
use super::settings::WorkloadCheck;

/// Text that is no TOML any more.
#[derive(Debug, Error)]
#[error("could not derive the drill's {what} from production's")]
pub struct DeriveError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What the drill's inventory is made from.
#[derive(Debug)]
pub struct Site<'a> {
    /// What was asked for.
    pub order: &'a Order,
    /// What was made.
    pub throwaway: &'a Throwaway,
    /// Where the link to it is entered.
    pub entrance: SocketAddr,
    /// Addresses of the living cluster that must be silent, besides those that the inventory names.
    pub production: &'a [String],
    /// A folder of snapshots that is looked into besides production's.
    pub more_snapshots: Option<&'a Path>,
}

/// Production's inventory with the throwaway target in place of the real one.
///
/// The fencing command stays out: it would switch the living control plane off. Silence is listened for from within the
/// drill's network, where the production addresses lead to the target itself.
pub fn inventory(text: &str, site: &Site<'_>) -> Result<String, DeriveError> {
    let mut root = parse("inventory", text)?;
    let mut target = Table::new();
    let mut say = |key: &str, value: Value| drop(target.insert(key.to_owned(), value));
    say("host", text_value(site.entrance.ip()));
    say("port", Value::Integer(site.entrance.port().into()));
    say("user", text_value(&site.throwaway.user));
    say("identity", text_value(site.order.identity_file().display()));
    say("agent", Value::Boolean(false));
    say("host_key", text_value(&site.throwaway.host_key));
    say("ssh_config", text_value("none"));
    root.insert("target".to_owned(), Value::Table(target));

    let fencing = table(&mut root, "fencing");
    fencing.remove("command");
    fencing.insert("listen_from".to_owned(), text_value("target"));
    let silent = fencing.entry("must_not_answer").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(silent) = silent {
        silent.extend(site.production.iter().map(text_value));
    }
    // A failed drill is looked at where it stands; its target is thrown away in any case.
    table(&mut root, "policy").insert("on_failure".to_owned(), text_value("stop"));
    // What is kept, told and signed is the drill's, not its run's.
    for key in ["state", "report", "drill"] {
        root.remove(key);
    }
    if let (Some(folder), Some(Value::Array(sources))) = (site.more_snapshots, root.get_mut("snapshots")) {
        let path = Table::from_iter([("path".to_owned(), text_value(folder.display()))]);
        sources.push(Value::Table(Table::from_iter([("folder".to_owned(), Value::Table(path))])));
    }
    write("inventory", &root)
}

const DATA: &str = include_str!("../../playbooks/drill-data.toml");
const CONTROL_PLANE: &str = include_str!("../../playbooks/drill-control-plane.toml");

/// Production's playbook, up to the restored data for the level `data`, followed by the proofs of the level.
pub fn playbook(text: &str, level: Level, hold_back: bool, checks: &[WorkloadCheck]) -> Result<String, DeriveError> {
    let mut root = parse("playbook", text)?;
    let mut steps = match root.remove("step") {
        Some(Value::Array(steps)) => steps,
        _ => Vec::new(),
    };
    if level == Level::Data {
        let restored = steps.iter().rposition(|step| action(step) == "restore_etcd");
        steps.truncate(restored.map_or(0, |at| at + 1));
    }
    if hold_back {
        steps.iter_mut().filter_map(Value::as_table_mut).for_each(without_controllers);
    }
    let data_dir = steps.iter().rev().find(|step| action(step) == "restore_etcd");
    let data_dir = data_dir.and_then(|step| step.get("data_dir")?.as_str()).unwrap_or("/var/lib/etcd").to_owned();
    let more = match level {
        Level::Data => DATA.replace("@data_dir@", &crate::target::quote(&data_dir)),
        Level::ControlPlane | Level::Workload => CONTROL_PLANE.to_owned(),
    };
    if let Some(Value::Array(more)) = parse("playbook", &more)?.remove("step") {
        steps.extend(more);
    }
    if level == Level::Workload {
        steps.extend(checks.iter().map(WorkloadCheck::step));
    }
    root.insert("step".to_owned(), Value::Array(steps));
    write("playbook", &root)
}

/// The scheduler and the controller-manager are not started, and nothing is expected of them.
fn without_controllers(step: &mut Table) {
    if let Some("kubeadm_init" | "verify_cluster") = step.get("action").and_then(Value::as_str) {
        step.insert("controllers".to_owned(), Value::Boolean(false));
    }
}

fn action(step: &Value) -> &str {
    step.get("action").and_then(Value::as_str).unwrap_or_default()
}

fn table<'t>(root: &'t mut Table, key: &str) -> &'t mut Table {
    let entry = root.entry(key).or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    match entry {
        Value::Table(table) => table,
        _ => unreachable!("it was made a table"),
    }
}

fn text_value(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

fn parse(what: &'static str, text: &str) -> Result<Table, DeriveError> {
    text.parse().map_err(|error: toml::de::Error| DeriveError { what, source: error.into() })
}

fn write(what: &'static str, root: &Table) -> Result<String, DeriveError> {
    toml::to_string(root).map_err(|error| DeriveError { what, source: error.into() })
}
