//! Which names a step may refer to, and what is wrong with the others.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Known, When};
use crate::actions::Kind;
use crate::document::{Fault, choices};
use crate::inventory::{self, PkiFiles};
use crate::sources::Chosen;

/// What is known while steps are read in order.
pub(super) struct Names<'a> {
    known: &'a Known<'a>,
    /// Every name but those of outputs.
    fixed: Vec<&'a str>,
    /// Where the steps' names stand.
    places: BTreeMap<String, Range<usize>>,
    /// All steps, in order.
    announced: Vec<String>,
    /// Those that come before the one that is read now.
    done: BTreeMap<String, Done>,
    /// Whether a step's name could not be read: what seems to refer to no step may refer to that one.
    nameless: bool,
}

struct Done {
    /// `None` when its action is not known, so that nothing can be said of its outputs.
    outputs: Option<&'static [&'static str]>,
    when: Option<When>,
}

/// What a reference is for.
#[derive(Clone, Copy)]
pub(super) enum Use<'a> {
    /// A condition asks about it; it need not have a value.
    Condition,
    /// A parameter needs its value; the step runs under this condition.
    Value(Option<&'a When>),
}

/// What is wrong with a reference, wherever it stands.
pub(super) struct Wrong {
    message: String,
    help: String,
}

impl Wrong {
    pub(super) fn at(self, span: Range<usize>) -> Fault {
        Fault::new(span, self.message, "referred to here", self.help)
    }
}

impl<'a> Names<'a> {
    pub(super) fn new(known: &'a Known<'a>) -> Self {
        let all = [inventory::NAMES, known.facts, Chosen::NAMES, PkiFiles::VALUE_NAMES, &["run.id"]];
        Self {
            known,
            fixed: all.into_iter().flatten().copied().collect(),
            places: BTreeMap::new(),
            announced: Vec::new(),
            done: BTreeMap::new(),
            nameless: false,
        }
    }

    /// Says where a step's name stands; answers where the same name stood before.
    pub(super) fn place(&mut self, step: &str, span: Range<usize>) -> Option<Range<usize>> {
        let first = self.places.get(step).cloned();
        self.places.entry(step.to_owned()).or_insert(span);
        first
    }

    /// Says that there is a step whose name is wrong or missing.
    pub(super) fn announce_nameless(&mut self) {
        self.nameless = true;
    }

    /// Says that there is such a step somewhere.
    pub(super) fn announce(&mut self, step: &str) {
        self.announced.push(step.to_owned());
    }

    /// Says that the steps read from now on come after this one.
    pub(super) fn done(&mut self, step: &str, kind: Option<&'static Kind>, when: Option<When>) {
        self.done.insert(step.to_owned(), Done { outputs: kind.map(|kind| kind.outputs), when });
    }

    /// Checks a reference of a step.
    pub(super) fn check(&self, step: &str, name: &str, usage: Use<'_>) -> Result<(), Wrong> {
        if let Some((of, output)) = name.strip_prefix("step.").and_then(|rest| rest.split_once('.')) {
            return self.check_output(step, of, output, usage);
        }
        if !self.fixed.contains(&name) {
            return Err(self.unknown(name));
        }
        let unset = inventory::NAMES.contains(&name) && !self.known.inventory.contains_key(name);
        let never_runs = |when: &When| inventory::NAMES.contains(&when.name()) && !when.holds(&self.known.inventory);
        match usage {
            Use::Value(when) if unset && !when.is_some_and(never_runs) => {
                let key = name.trim_start_matches("inventory.");
                let help = format!("set `{key}` there, or let the step run only `when = \"{name}\"`");
                Err(Wrong { message: format!("`{name}` is not set in the inventory"), help })
            }
            Use::Value(_) | Use::Condition => Ok(()),
        }
    }

    fn check_output(&self, step: &str, of: &str, output: &str, usage: Use<'_>) -> Result<(), Wrong> {
        let Some(done) = self.done.get(of) else {
            let earlier: Vec<&str> = self.done.keys().map(String::as_str).collect();
            let (message, help) = if of == step {
                (format!("step `{of}` refers to its own output"), "refer to a step before it".to_owned())
            } else if self.announced.iter().any(|known| known == of) {
                (format!("step `{of}` comes later"), format!("move it before step `{step}`"))
            } else if self.nameless {
                return Ok(());
            } else {
                (format!("there is no step `{of}`"), choices(of, &earlier, "steps before this one"))
            };
            return Err(Wrong { message, help });
        };
        if let Some(outputs) = done.outputs.filter(|outputs| !outputs.contains(&output)) {
            let help = choices(output, outputs, "its outputs");
            return Err(Wrong { message: format!("step `{of}` has no output `{output}`"), help });
        }
        match (&done.when, usage) {
            (Some(condition), Use::Value(when)) => {
                let name = format!("step.{of}.{output}");
                let safe = when.is_some_and(|when| when == condition || when.proves(&name));
                let message = format!("step `{of}` may be skipped and then has no output");
                let help = format!("let this step run only `when = '{condition}'` too, or `when = \"{name}\"`");
                if safe { Ok(()) } else { Err(Wrong { message, help }) }
            }
            (None, _) | (_, Use::Condition) => Ok(()),
        }
    }

    fn unknown(&self, name: &str) -> Wrong {
        let family = name.split('.').next().unwrap_or_default();
        let relatives: Vec<&str> =
            self.fixed.iter().copied().filter(|known| known.split('.').next() == Some(family)).collect();
        let help = if relatives.is_empty() {
            "names begin with `inventory.`, `target.`, `snapshot.`, `pki.`, `run.` or `step.`".to_owned()
        } else {
            choices(name, &relatives, "known")
        };
        Wrong { message: format!("unknown name `{name}`"), help }
    }
}
