//! One entry of the table of actions: everything that is known of an action before it is read.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::Action;

/// What an action's type says of itself.
pub trait Declared: Action + DeserializeOwned + JsonSchema + 'static {
    /// The word that a playbook uses.
    const NAME: &'static str;
    /// What later steps may refer to as `${step.<name>.<output>}`.
    const OUTPUTS: &'static [&'static str];
}

/// An entry of [`super::KINDS`].
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word that a playbook uses.
    pub name: &'static str,
    /// What later steps may refer to.
    pub outputs: &'static [&'static str],
    /// Reads its parameters; errors carry spans of the playbook.
    pub read: fn(toml::de::ValueDeserializer<'_>) -> Result<Box<dyn Action>, toml::de::Error>,
    /// The JSON schema of its parameters; its description is the action's documentation.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Kind {
    /// The entry of an action's type.
    pub const fn of<A: Declared>() -> Self {
        Self {
            name: A::NAME,
            outputs: A::OUTPUTS,
            read: |value| Ok(Box::new(A::deserialize(value)?)),
            schema: |generator| A::json_schema(generator),
        }
    }
}
