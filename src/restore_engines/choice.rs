//! Which restore engine is taken on a host, and why the others are not.

use super::{ENGINES, RestoreEngine, Usable, minor};
use crate::inventory::Inventory;
use crate::target::Facts;

/// The engine that is taken, and why not the others.
#[derive(Debug)]
pub struct Choice {
    /// The engine and what of it is used; `None` when there is none that works.
    pub taken: Option<(&'static dyn RestoreEngine, Usable)>,
    /// Every other engine, with the reason against it.
    pub others: Vec<(&'static str, String)>,
    /// Whether the taken one has the minor version of the snapshot's etcd, as far as both are known.
    pub same_minor: Option<bool>,
}

/// Takes the engine that is asked for; else the first with the minor version of the snapshot's etcd; else the first.
pub fn choose(wanted: Option<&str>, facts: &Facts, inventory: &Inventory, etcd: Option<&str>) -> Choice {
    let is_same = |usable: &Usable| Some(minor(usable.version.as_deref()?)? == minor(etcd?)?);
    let mut usable = Vec::new();
    let mut others = Vec::new();
    for engine in ENGINES.iter().copied() {
        match engine.probe(facts, inventory, etcd) {
            Err(reason) => others.push((engine.name(), reason)),
            Ok(_) if wanted.is_some_and(|name| name != engine.name()) => {
                others.push((engine.name(), "the playbook asks for another".to_owned()));
            }
            Ok(found) => usable.push((engine, found)),
        }
    }
    let best = usable.iter().position(|(_, found)| is_same(found) == Some(true)).unwrap_or(0);
    let taken = (best < usable.len()).then(|| usable.remove(best));
    let same_minor = taken.as_ref().and_then(|(_, found)| is_same(found));
    for (engine, found) in usable {
        let version = found.version.as_deref().unwrap_or("of an unknown version");
        let reason = match (same_minor, is_same(&found)) {
            (Some(true), Some(false)) => format!("{version} is not the minor version of the snapshot's etcd"),
            _ => "another is preferred".to_owned(),
        };
        others.push((engine.name(), reason));
    }
    Choice { taken, others, same_minor }
}

impl Choice {
    /// The engine in words.
    pub fn in_words(&self) -> String {
        match &self.taken {
            Some((engine, found)) => match &found.version {
                Some(version) => format!("{} {version} ({})", engine.name(), found.program),
                None => format!("{} ({})", engine.name(), found.program),
            },
            None => "no restore engine".to_owned(),
        }
    }

    /// Why the others are not taken, each a line.
    pub fn against(&self) -> Vec<String> {
        self.others.iter().map(|(name, reason)| format!("not {name}: {reason}")).collect()
    }
}
