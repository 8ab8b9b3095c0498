//! Permission bits as playbooks write them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Permission bits, written in octal: `"0600"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(u32);

impl Mode {
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether nobody but the owner gets at it.
    pub(super) const fn is_private(self) -> bool {
        self.0.trailing_zeros() >= 6
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            // A sign is a digit to nobody, but from_str_radix takes it.
            Ok(bits) if bits <= 0o7777 && text.len() >= 3 && !text.starts_with('+') => Ok(Self(bits)),
            _ => Err(de::Error::custom(format!("`{text}` is no mode; write it in octal, for example `\"0600\"`"))),
        }
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-7]{3,4}$", "description": "Permission bits in octal: `\"0600\"`."})
    }
}
