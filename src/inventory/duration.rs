//! Time spans as people write them: `90s`, `15m`, `1h 30m`, `1d`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time; a day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library counts.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time; write for example `90s`, `15m`, `1h 30m` or `1d`");
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        Duration::try_from(exact).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SignedDuration::try_from(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{exact:#}")
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written)
    }
}

/// What stands in a file.
struct Written;

impl de::Visitor<'_> for Written {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time in quotes, such as `\"90s\"`, `\"1h 30m\"` or `\"1d\"`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: `90s`, `15m`, `1h 30m`, `1d`.",
            "examples": ["90s", "15m", "1d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h 30m", 5400), ("1d", 86400)] {
            assert_eq!(text.parse::<Span>(), Ok(Span::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_length() {
        for text in ["", "10", "-5m", "soon", "1 month"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
