//! Has every name in the steps' texts a value, unless an earlier step gives it one?

use std::collections::BTreeSet;

use super::Look;
use crate::actions::Finding;
use crate::playbook::Step;
use crate::text::NoValue;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    look.steps_to_run().flat_map(|step| without_value(look, step)).collect()
}

fn without_value(look: &Look, step: &Step) -> Vec<Finding> {
    let texts = step.action.texts();
    let names: BTreeSet<&str> = texts.iter().flat_map(|text| text.names()).collect();
    let missing = names.into_iter().filter(|name| !look.values.contains_key(*name) && is_known(look, name));
    let finding = |name: &str| {
        let none = NoValue { name: name.to_owned() };
        let help = format!("see to what it comes from, or let the step run only `when = \"{name}\"`");
        Finding::error("no-value", format!("step `{}`: {none}", step.name), help)
    };
    missing.map(finding).collect()
}

/// Whether what gives the name its value was seen; where it was not, that is a finding of its own.
fn is_known(look: &Look, name: &str) -> bool {
    match name.split('.').next() {
        Some("step") => false,
        Some("snapshot") => look.snapshot.is_ok(),
        Some("target") => look.target.is_ok(),
        // Whether it is needed is the snapshot's to say.
        Some("pki") if name == "pki.encryption-config" => look.snapshot.is_ok() && look.pki.failed().is_none(),
        Some("pki") => look.pki.failed().is_none(),
        _ => true,
    }
}
