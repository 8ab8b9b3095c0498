//! Values of a playbook that may hold `${names}`: read at load, filled when their step runs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// What names stand for at one moment of a run, such as `snapshot.path`.
pub type Values = BTreeMap<String, String>;

/// Text with `${name}` in it. `$$` is a dollar sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Name(String),
}

/// A name that has no value yet, or none at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`${{{name}}}` has no value")]
pub struct NoValue {
    /// The name.
    pub name: String,
}

impl Text {
    /// Text without names.
    pub fn plain(text: String) -> Self {
        Self { parts: vec![Part::Plain(text)] }
    }

    /// The names it refers to, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// The text with every name replaced by its value.
    pub fn fill(&self, values: &Values) -> Result<String, NoValue> {
        self.fill_with(values, &|value: &str| value.to_owned())
    }

    /// The same, with every value passed through `dress` first, such as a shell's quoting.
    pub fn fill_with(&self, values: &Values, dress: &dyn Fn(&str) -> String) -> Result<String, NoValue> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(plain) => filled.push_str(plain),
                Part::Name(name) => {
                    filled.push_str(&dress(values.get(name).ok_or_else(|| NoValue { name: name.clone() })?));
                }
            }
        }
        Ok(filled)
    }
}

/// Whether a name is made of what names are made of.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl std::str::FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                plain.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or("`${` without its `}`")?;
                if !is_name(name) {
                    return Err(format!("`{name}` is not a name; names are letters, digits, `.`, `_` and `-`"));
                }
                if !plain.is_empty() {
                    parts.push(Part::Plain(std::mem::take(&mut plain)));
                }
                parts.push(Part::Name(name.to_owned()));
                rest = after;
            } else {
                return Err("a lone `$`; write `${name}` for a value and `$$` for a dollar sign".to_owned());
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Plain(plain) => f.write_str(&plain.replace('$', "$$")),
            Part::Name(name) => write!(f, "${{{name}}}"),
        })
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Text; `${name}` stands for a value of the inventory, the target, the snapshot or an earlier step.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn fills_names_and_keeps_dollars() {
        let text: Text = "a ${x.y} costs $$5".parse().unwrap();
        assert_eq!(text.names().collect::<Vec<_>>(), ["x.y"]);
        assert_eq!(text.fill(&values(&[("x.y", "$(b)")])).unwrap(), "a $(b) costs $5");
        assert_eq!(text.fill(&Values::new()).unwrap_err().to_string(), "`${x.y}` has no value");
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for text in ["$", "$x", "${", "${a b}", "${}"] {
            assert!(text.parse::<Text>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn shows_what_it_read(text in "[a-z$ ]{0,8}(\\$\\{[a-z]{1,3}\\}[a-z ]{0,4}){0,3}") {
            if let Ok(read) = text.parse::<Text>() {
                prop_assert_eq!(read.to_string().parse::<Text>().unwrap(), read);
            }
        }
    }
}
