//! `[drill]` of an inventory: where targets come from, what is proved, and what counts as good enough.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{Table, Value};

use super::level::Level;
use super::providers::ProviderEntry;
use crate::inventory::Span;

/// How this cluster's recovery is rehearsed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillSettings {
    /// What makes the throwaway target.
    pub provider: Option<ProviderEntry>,
    /// How much is proved (default: the most that the target offers).
    pub level: Option<Level>,
    /// The longest that a restore may take, from its start to the proof.
    pub rto: Option<Span>,
    /// The oldest that the data may be.
    pub rpo: Option<Span>,
    /// Who makes sure that the target cannot reach production, when its provider cannot.
    pub isolated: Option<Isolated>,
    /// Whether scheduler and controller-manager stay off, so that nothing acts on the restored world (default: only where the
    /// provider does not isolate the target).
    pub hold_back: Option<bool>,
    /// What must be so in the restored cluster, for the level `workload`.
    #[serde(default, rename = "check")]
    pub checks: Vec<WorkloadCheck>,
}

/// Who isolates the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Isolated {
    /// The owner of the inventory does.
    #[serde(rename = "by me")]
    ByMe,
}

/// Something that must be so in the restored cluster: a command that succeeds, or an object that is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadCheck {
    /// Its name, which becomes that of its step.
    pub name: String,
    /// A command on the target that must succeed; `KUBECONFIG` is the new administrator's.
    pub run: Option<String>,
    /// The path of an object of the API server that must be there, such as `/apis/apps/v1/namespaces/shop/deployments/web`.
    pub object: Option<String>,
    /// A place in that object, as a JSON pointer such as `/spec/replicas`.
    pub at: Option<String>,
    /// What must stand there; numbers and truths as JSON writes them.
    pub equals: Option<String>,
    /// How long it is tried (default: the inventory's limit of a step).
    pub timeout: Option<Span>,
}

impl WorkloadCheck {
    /// The step that proves it.
    pub(super) fn step(&self) -> Value {
        let mut step = Table::new();
        let mut say = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                step.insert(key.to_owned(), Value::String(value.to_owned()));
            }
        };
        say("name", Some(&self.name));
        say("timeout", self.timeout.map(|span| span.to_string()).as_deref());
        say("action", Some("expect"));
        // `$` is the command's own, and no name of drctl's.
        let own = |text: &Option<String>| text.as_ref().map(|text| text.replace('$', "$$"));
        say("command", own(&self.run).as_deref());
        say("object", own(&self.object).as_deref());
        say("at", self.at.as_deref());
        say("equals", own(&self.equals).as_deref());
        Value::Table(step)
    }
}
