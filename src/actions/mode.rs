//! Permission bits as playbooks write them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Permission bits: `"0600"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
        bits.map(Self).ok_or_else(|| format!("`{text}` is no mode; write octal digits in quotes, such as `\"0600\"`"))
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-7]{3,4}$",
            "description": "Permission bits in octal digits: `0600`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_digits_only() {
        assert_eq!("0600".parse(), Ok(Mode(0o600)));
        assert_eq!("755".parse::<Mode>().unwrap().to_string(), "0755");
        for text in ["", "0x600", "888", "00600", "-600", "+600"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }
}
