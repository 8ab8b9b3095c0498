//! Reads a playbook: its head, each step's common keys, each step's action, then the names; all errors at once.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::{Names, Use};
use super::{DEFAULT, Playbook, Step, When};
use crate::actions::{KINDS, Kind};
use crate::document::{self, Document, Fault, LoadError, Located, choices};
use crate::inventory::{Inventory, OnFailure, Span};
use crate::target::OWN_NAMES;
use crate::text::Values;

/// What a playbook may use.
#[derive(Debug)]
pub struct Known<'a> {
    /// The actions.
    pub kinds: &'static [Kind],
    /// The names of the target's facts.
    pub facts: &'a [&'a str],
    /// What the inventory's names stand for.
    pub inventory: Values,
}

/// A step, but for its action's parameters.
#[derive(Deserialize)]
pub(super) struct Common {
    name: String,
    action: String,
    when: Option<When>,
    timeout: Option<Span>,
    #[serde(default)]
    retries: u32,
    on_failure: Option<OnFailure>,
}

/// The keys of every step, whatever its action.
pub(super) const COMMON: &[&str] = &["name", "action", "when", "timeout", "retries", "on_failure"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    #[serde(default)]
    description: String,
}

/// Reads a playbook file, or the one in this binary.
pub fn load(path: Option<&Path>, inventory: &Inventory) -> Result<Playbook, LoadError> {
    match path {
        None => parse("embedded", DEFAULT, inventory),
        Some(path) => parse(&path.display().to_string(), &document::read_file("playbook", path)?, inventory),
    }
}

/// Reads a playbook's text; `name` is what messages call it.
pub fn parse(name: &str, text: &str, inventory: &Inventory) -> Result<Playbook, LoadError> {
    read(name, text, &Known { kinds: KINDS, facts: crate::target::VALUE_NAMES, inventory: inventory.values() })
}

/// Reads a playbook's text that may use just what is given.
pub fn read(name: &str, text: &str, known: &Known<'_>) -> Result<Playbook, LoadError> {
    let (document, mut root) = Document::parse("playbook", Path::new(name), text);
    let mut reader = Reader { document, text, known, names: Names::new(known) };
    let root_span = root.0.span();
    let steps = root.take("step");
    let (head, _) = reader.document.read(root, &["step"], Head::deserialize);
    let steps = if let Some(steps) = steps {
        reader.steps(&steps)
    } else {
        let help = "add a `[[step]]` with its `name` and `action`".to_owned();
        reader.document.fault(Fault::new(root_span, "the playbook has no steps", "no `[[step]]` in here", help));
        Vec::new()
    };
    let playbook =
        head.map(|head| Playbook { name: head.name, description: head.description, text: text.to_owned(), steps });
    reader.document.finish(playbook)
}

struct Reader<'r> {
    document: Document,
    text: &'r str,
    known: &'r Known<'r>,
    names: Names<'r>,
}

/// What was read of a step before its names are checked: checking needs the names of all steps.
struct Draft<'t> {
    common: Common,
    /// Where its keys stand.
    keys: Located<'t>,
    written: Located<'t>,
    kind: Option<&'static Kind>,
}

impl<'r> Reader<'r> {
    fn steps(&mut self, steps: &Located<'r>) -> Vec<Step> {
        let Some(all) = steps.array().filter(|steps| !steps.is_empty()) else {
            let help = "write `[[step]]` before each step".to_owned();
            self.document.fault(Fault::new(steps.0.span(), "`step` is not a list of steps", "wrong here", help));
            return Vec::new();
        };
        let drafts: Vec<Draft<'r>> = all.iter().filter_map(|step| self.draft(step)).collect();
        for draft in &drafts {
            self.names.announce(&draft.common.name);
        }
        let mut read = Vec::new();
        for draft in drafts {
            read.extend(self.step(draft));
        }
        read
    }

    fn draft(&mut self, step: &Spanned<DeValue<'r>>) -> Option<Draft<'r>> {
        let Some(table) = step.get_ref().as_table() else {
            let help = "write `[[step]]` before each step".to_owned();
            self.document.fault(Fault::new(step.span(), "a step must be a table", "wrong here", help));
            return None;
        };
        let (mut keys, mut parameters) = (DeTable::new(), DeTable::new());
        for (key, value) in table {
            let of = if COMMON.contains(&key.get_ref().as_ref()) { &mut keys } else { &mut parameters };
            of.insert(key.clone(), value.clone());
        }
        let located = |table| Located(Spanned::new(step.span(), DeValue::Table(table)));
        let (common, keys) = self.document.read(located(keys), &[], Common::deserialize);
        let Some(common) = common else {
            self.names.announce_nameless();
            return None;
        };
        self.check_name(&common.name, &keys);
        if common.timeout == Some(Span::from_secs(0)) {
            self.wrong(&keys, "timeout", "a step cannot end in no time", "write for example `30s` or `10m`");
        }
        let kind = self.known.kinds.iter().find(|kind| kind.name == common.action);
        if kind.is_none() {
            let all: Vec<&str> = self.known.kinds.iter().map(|kind| kind.name).collect();
            let help = choices(&common.action, &all, "actions");
            self.wrong(&keys, "action", &format!("unknown action `{}`", common.action), &help);
        }
        Some(Draft { common, keys, written: located(parameters), kind })
    }

    fn check_name(&mut self, name: &str, keys: &Located<'r>) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(plain) || name.starts_with('-') {
            self.names.announce_nameless();
            let help = "use lower-case letters, digits and `-`, at most 40, not `-` first: it becomes a folder's name";
            self.wrong(keys, "name", &format!("`{name}` cannot be a step's name"), help);
        } else if OWN_NAMES.contains(&name) {
            let own = OWN_NAMES.map(|own| format!("`{own}`")).join(", ");
            let help = format!("use another: {own} are drctl's own, where each step has a folder of its name");
            self.wrong(keys, "name", &format!("`{name}` cannot be a step's name"), &help);
        } else if let Some(span) = keys.span("name")
            && let Some(first) = self.names.place(name, span.clone())
        {
            let help = "give each step a name of its own".to_owned();
            let mut fault = Fault::new(span, format!("two steps are called `{name}`"), "again here", help);
            fault.also = Some((first, "first here"));
            self.document.fault(fault);
        }
    }

    fn wrong(&mut self, keys: &Located<'r>, key: &str, message: &str, help: &str) {
        if let Some(span) = keys.span(key) {
            self.document.fault(Fault::new(span, message, "wrong here", help.to_owned()));
        }
    }

    fn step(&mut self, draft: Draft<'r>) -> Option<Step> {
        let Draft { common, keys, written, kind } = draft;
        if let Some(when) = &common.when
            && let Err(fault) = self.names.check(&common.name, when.name(), Use::Condition)
            && let Some(span) = keys.find(self.text, when.name())
        {
            self.document.fault(fault.at(span));
        }
        let parameters = written.clone();
        let action = kind.and_then(|kind| self.document.read(written, COMMON, kind.read).0);
        for text in action.iter().flat_map(|action| action.texts()) {
            for name in text.names() {
                if let Err(fault) = self.names.check(&common.name, name, Use::Value(common.when.as_ref())) {
                    let found = parameters.find(self.text, &format!("${{{name}}}"));
                    self.document.fault(fault.at(found.unwrap_or_else(|| parameters.0.span())));
                }
            }
        }
        self.names.done(&common.name, kind, common.when.clone());
        Some(Step {
            name: common.name,
            kind: kind?,
            action: action?,
            when: common.when,
            timeout: common.timeout,
            retries: common.retries,
            on_failure: common.on_failure,
        })
    }
}
