//! The JSON schema of playbooks, put together from the table of actions.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Value, json};

use super::When;
use crate::actions::KINDS;
use crate::inventory::{OnFailure, Span};

/// The keys of every step.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct StepKeys {
    /// The step's name: lower-case letters, digits and `-`, at most 40; unique.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,39}$"))]
    name: String,
    /// What must hold for the step to run; it is skipped otherwise.
    when: Option<When>,
    /// How long an attempt may take (default: the inventory's `policy.step_timeout`).
    timeout: Option<Span>,
    /// How often a failed attempt is repeated (default 0).
    retries: Option<u32>,
    /// What a failure leads to (default: the inventory's `policy.on_failure`).
    on_failure: Option<OnFailure>,
}

/// The schema of a playbook.
#[must_use]
pub fn schema() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let common = StepKeys::json_schema(&mut generator).to_value();
    let steps: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            let mut step = (kind.schema)(&mut generator).to_value();
            let own = step["properties"].take();
            step["properties"] = json!({ "action": { "const": kind.name } });
            for properties in [&common["properties"], &own] {
                for (key, value) in properties.as_object().into_iter().flatten() {
                    step["properties"][key] = value.clone();
                }
            }
            let required = step["required"].as_array().cloned().unwrap_or_default();
            step["required"] = ["name", "action"].into_iter().map(Value::from).chain(required).collect();
            step["title"] = kind.name.into();
            step
        })
        .collect();
    let definitions = generator.take_definitions(true);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Playbook",
        "description": "The steps of a run, in order.",
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "Its name." },
            "description": { "type": "string", "description": "What it is for." },
            "step": { "type": "array", "minItems": 1, "description": "The steps, in order.", "items": { "oneOf": steps } },
        },
        "required": ["name", "step"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}
