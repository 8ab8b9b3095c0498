//! What is wrong with a file, as miette shows it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource};
use thiserror::Error;

/// One thing wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub(crate) struct Fault {
    /// What is wrong.
    pub(crate) message: String,
    /// Where.
    pub(crate) span: Range<usize>,
    /// What stands there.
    pub(crate) label: String,
    /// What would be right.
    pub(crate) help: Option<String>,
    /// Another place that matters.
    pub(crate) also: Option<(Range<usize>, &'static str)>,
}

impl Fault {
    /// Something wrong at a place.
    pub(crate) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Self {
        Self { message: message.into(), span, label: label.into(), help: help.into(), also: None }
    }
}

impl Diagnostic for Fault {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let main = LabeledSpan::new_primary_with_span(Some(self.label.clone()), self.span.clone());
        let also =
            self.also.iter().map(|(span, label)| LabeledSpan::new_with_span(Some((*label).to_owned()), span.clone()));
        Some(Box::new(std::iter::once(main).chain(also)))
    }
}

/// An inventory or playbook that cannot be used.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("could not read the {what} `{}`", path.display())]
    #[diagnostic(help("{}", read_help(what, source)))]
    Read {
        /// `inventory` or `playbook`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("the {what} `{}` is not UTF-8 text", path.display())]
    #[diagnostic(help("line {line} holds bytes that are no characters: save the file as UTF-8"))]
    NotText {
        /// `inventory` or `playbook`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The first line that is no text.
        line: usize,
    },
    /// What is written there is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Faults(Box<Faults>),
}

/// All that is wrong with a file.
#[derive(Debug, Error, Diagnostic)]
#[error("the {what} `{}` has {}", path.display(), count(all.len()))]
pub struct Faults {
    what: &'static str,
    path: PathBuf,
    #[source_code]
    text: NamedSource<String>,
    #[related]
    all: Vec<Fault>,
}

impl LoadError {
    pub(super) fn faults(what: &'static str, path: &Path, text: String, all: Vec<Fault>) -> Self {
        let text = NamedSource::new(path.display().to_string(), text);
        Self::Faults(Box::new(Faults { what, path: path.to_owned(), text, all }))
    }
}

/// One fault, for programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FaultPlace {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What would be right.
    pub help: Option<String>,
}

impl LoadError {
    /// All that is wrong in the text, and where.
    pub fn places(&self) -> Vec<FaultPlace> {
        let Self::Faults(faults) = self else { return Vec::new() };
        let place = |fault: &Fault| {
            let before = faults.text.inner().get(..fault.span.start).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            FaultPlace {
                message: fault.message.clone(),
                line: before.matches('\n').count() + 1,
                column: line.chars().count() + 1,
                help: fault.help.clone(),
            }
        };
        faults.all.iter().map(place).collect()
    }
}

fn count(faults: usize) -> String {
    if faults == 1 { "an error".to_owned() } else { format!("{faults} errors") }
}

fn read_help(what: &str, source: &std::io::Error) -> String {
    if source.kind() == std::io::ErrorKind::NotFound {
        let example = if what == "inventory" {
            "inventory.example.toml shows every key"
        } else {
            "without `--playbook` the shipped one is used"
        };
        format!("check the path after `--{what}`; {example}")
    } else {
        format!("the {what} must be a file that this user may read")
    }
}
