//! The playbook: which steps a run takes, in order.
//!
//! A step's parameters are read by its action ([`KINDS`](crate::actions::KINDS)); the names that
//! they refer to are checked here, before anything runs.

mod load;
mod names;
mod prospect;
mod schema;
mod when;

use crate::actions::{Action, Kind};
use crate::inventory::{OnFailure, Span};

pub use load::{Known, load, parse, read};
pub use prospect::Prospect;
pub use schema::schema;
pub use when::When;

/// The classic procedure, used when no other playbook is named.
pub const DEFAULT: &str = include_str!("../../playbooks/restore.toml");

/// Steps in order.
#[derive(Debug)]
pub struct Playbook {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What the file said, which a run freezes.
    pub text: String,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step: an action with its parameters, and what holds for every step.
#[derive(Debug)]
pub struct Step {
    /// Its name: unique, and the name of its folder on the target.
    pub name: String,
    /// The action's entry in the table.
    pub kind: &'static Kind,
    /// The action with its parameters.
    pub action: Box<dyn Action>,
    /// What must hold for the step to run; it is skipped otherwise.
    pub when: Option<When>,
    /// How long an attempt may take; the inventory's `step_timeout` when unset.
    pub timeout: Option<Span>,
    /// How often a failed attempt is repeated.
    pub retries: u32,
    /// What a failure leads to; the inventory's policy when unset.
    pub on_failure: Option<OnFailure>,
}

impl Step {
    /// Whether its condition, its texts or its action ask about a file of the PKI.
    #[must_use]
    pub fn needs_pki(&self) -> bool {
        let texts = self.action.texts();
        let mut names = texts.iter().flat_map(|text| text.names()).chain(self.when.iter().map(When::name));
        self.action.takes_pki() || names.any(|name| name.starts_with("pki."))
    }
}
