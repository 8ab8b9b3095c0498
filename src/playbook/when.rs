//! Conditions of steps: `name`, `not name`, `name == "text"`, `name != "text"`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::text::{Values, is_name};

/// What must hold for a step to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    name: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Set,
    NotSet,
    Is(String),
    IsNot(String),
}

impl When {
    /// The name it asks about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The step whose output it asks about.
    pub(super) fn step(&self) -> Option<&str> {
        self.name.strip_prefix("step.")?.split_once('.').map(|(step, _)| step)
    }

    /// Whether it is true of these values. A name without a value is not set, and is no text at all;
    /// so are the empty text and `false`.
    #[must_use]
    pub fn holds(&self, values: &Values) -> bool {
        let value = values.get(&self.name);
        let set = value.is_some_and(|value| !value.is_empty() && value != "false");
        match &self.test {
            Test::Set => set,
            Test::NotSet => !set,
            Test::Is(text) => value == Some(text),
            Test::IsNot(text) => value != Some(text),
        }
    }

    /// Whether it holds, once for the whole run: nothing when it asks about a step, which is yet to come.
    #[must_use]
    pub fn at_the_beginning(&self, values: &Values) -> Option<bool> {
        (!self.name.starts_with("step.")).then(|| self.holds(values))
    }

    /// Whether the name certainly has a value where this holds.
    pub(super) fn proves(&self, name: &str) -> bool {
        self.name == name && matches!(self.test, Test::Set | Test::Is(_))
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("{what}; write `name`, `not name`, `name == \"text\"` or `name != \"text\"`, without `${{}}`")
        };
        let compared = [("==", Test::Is as fn(String) -> Test), ("!=", Test::IsNot)]
            .into_iter()
            .find_map(|(sign, make)| text.split_once(sign).map(|(name, rest)| (name, rest, make)));
        let (name, asked) = match compared {
            Some((name, rest, make)) => {
                let quoted = rest.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let plain = quoted.filter(|plain| !plain.contains('"'));
                (
                    name,
                    make(
                        plain.ok_or_else(|| wrong("the text to compare with must stand in double quotes"))?.to_owned(),
                    ),
                )
            }
            None => match text.trim().strip_prefix("not ") {
                Some(name) => (name, Test::NotSet),
                None => (text, Test::Set),
            },
        };
        let name = name.trim();
        if !is_name(name) || name == "not" {
            return Err(wrong(&format!("`{name}` is not a name")));
        }
        Ok(Self { name: name.to_owned(), test: asked })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.test {
            Test::Set => f.write_str(name),
            Test::NotSet => write!(f, "not {name}"),
            Test::Is(text) => write!(f, "{name} == \"{text}\""),
            Test::IsNot(text) => write!(f, "{name} != \"{text}\""),
        }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for When {
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A condition: `name`, `not name`, `name == \"text\"` or `name != \"text\"`.",
            "examples": ["pki.sa.key", "not target.kubeadm", "target.arch == \"x86_64\""],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(when: &str, pairs: &[(&str, &str)]) -> bool {
        let values = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        when.parse::<When>().unwrap().holds(&values)
    }

    #[test]
    fn what_no_step_changes_is_decided_at_the_beginning() {
        let values = [("pki.sa.key".to_owned(), "found".to_owned())].into();
        let decided = |when: &str| when.parse::<When>().unwrap().at_the_beginning(&values);
        assert_eq!(decided("pki.sa.key"), Some(true));
        assert_eq!(decided("not pki.sa.key"), Some(false));
        assert_eq!(decided("step.fence.output"), None);
    }

    #[test]
    fn asks_about_values() {
        let values = [("a", "x"), ("empty", ""), ("no", "false")];
        for when in ["a", "not b", "not empty", "not no", "a == \"x\"", "a != \"y\"", "b != \"y\"", "empty == \"\""] {
            assert!(holds(when, &values), "{when}");
        }
        for when in ["not a", "b", "empty", "no", "a == \"y\"", "a != \"x\"", "b == \"\""] {
            assert!(!holds(when, &values), "{when}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for when in
            ["", "not", "not ", "a b", "a and b", "${a}", "a == x", "a == \"x", "== \"x\"", "a == \"x\" == \"y\""]
        {
            assert!(when.parse::<When>().is_err(), "{when}");
        }
    }

    proptest! {
        #[test]
        fn shows_what_it_read(text in "(not )?[a-z.]{1,6}( ?[!=]= ?\"[a-z =!]{0,4}\")?") {
            if let Ok(read) = text.parse::<When>() {
                prop_assert_eq!(read.to_string().parse::<When>().unwrap(), read);
            }
        }

        #[test]
        fn a_negation_is_the_opposite(name in "[ab]", value in "(|false|x|y)", text in "[xy]?") {
            let values = [("a", value.as_str())];
            prop_assert_ne!(holds(&name, &values), holds(&format!("not {name}"), &values));
            let compare = |sign: &str| holds(&format!("{name} {sign} \"{text}\""), &values);
            prop_assert_ne!(compare("=="), compare("!="));
        }

        #[test]
        fn never_panics(text in ".{0,20}") {
            drop(text.parse::<When>());
        }
    }
}
