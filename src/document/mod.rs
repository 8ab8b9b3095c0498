//! A TOML file that a person wrote, read so that everything wrong with it is told at once.
//!
//! serde stops at the first error. So a value is read again and again: what an error points at is
//! recorded and taken out, what is missing is recorded and filled in, until the rest can be read.
//! Errors that only follow from such a repair are not told. Inventory and playbook share this.

mod fault;
mod repair;
mod words;

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error, ValueDeserializer};

pub(crate) use fault::Fault;
pub use fault::{FaultPlace, LoadError};
pub(crate) use words::choices;

use repair::Repair;

/// Text in the middle of being read.
pub(crate) struct Document {
    what: &'static str,
    path: PathBuf,
    text: String,
    faults: Vec<Fault>,
    /// Where the first syntax error is: whatever is said of the text behind it may be wrong.
    trusted: usize,
    /// Tables and lists that are not what was written: what they lack may have been taken out.
    damaged: Vec<Range<usize>>,
}

/// A value and where all of its parts stand.
#[derive(Clone)]
pub(crate) struct Located<'t>(pub(crate) Spanned<DeValue<'t>>);

/// Reads a file's text.
pub(crate) fn read_file(what: &'static str, path: &Path) -> Result<String, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| LoadError::Read { what, path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(before).matches('\n').count() + 1;
        LoadError::NotText { what, path: path.to_owned(), line }
    })
}

impl Document {
    /// Parses the text as far as it goes; `what` is `inventory` or `playbook`.
    pub(crate) fn parse<'t>(what: &'static str, path: &Path, text: &'t str) -> (Self, Located<'t>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut faults: Vec<Fault> = errors.iter().map(|error| words::of_syntax(error, text)).collect();
        faults.sort_by_key(|fault| fault.span.start);
        // What follows in the same line is the parser finding its way back.
        faults.dedup_by_key(|fault| text[..fault.span.start].matches('\n').count());
        let first = faults.iter().map(|fault| fault.span.start).min();
        let trusted = first.map_or(usize::MAX, |at| text[..at].rfind('\n').map_or(0, |line| line + 1));
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        (
            Self { what, path: path.to_owned(), text: text.to_owned(), faults, trusted, damaged: Vec::new() },
            Located(root),
        )
    }

    /// Reads a value, repairing it until it can be read; `more` are keys that are known besides its type's own.
    ///
    /// Answers `None` when no repair helped, and the value as it was read in the end.
    pub(crate) fn read<'t, T>(
        &mut self,
        value: Located<'t>,
        more: &[&str],
        read: impl Fn(ValueDeserializer<'t>) -> Result<T, Error>,
    ) -> (Option<T>, Located<'t>) {
        let mut repair = Repair::new(value.0, &self.text, more);
        let found = repair.run(read);
        let Repair { root, faults, damaged, .. } = repair;
        let syntax = self.trusted != usize::MAX;
        for (fault, missing) in faults {
            if !(syntax && missing) {
                self.fault(fault);
            }
        }
        self.damaged.extend(damaged);
        (found, Located(root))
    }

    /// Records something wrong, unless it says the same twice or follows from a syntax error or a repair.
    pub(crate) fn fault(&mut self, fault: Fault) {
        let told = self.faults.iter().any(|known| known.span == fault.span && known.message == fault.message);
        let follows = self.damaged.contains(&fault.span);
        if !told && !follows && fault.span.end <= self.text.len() && fault.span.end <= self.trusted {
            self.faults.push(fault);
        }
    }

    /// The value, when nothing at all was wrong.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, LoadError> {
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            Some(_) | None => {
                self.faults.sort_by_key(|fault| fault.span.start);
                Err(LoadError::faults(self.what, &self.path, self.text, self.faults))
            }
        }
    }
}

impl<'t> Located<'t> {
    /// Where the value at a dotted path such as `target.jump.0.host` stands.
    pub(crate) fn span(&self, path: &str) -> Option<Range<usize>> {
        self.at(path).map(Spanned::span)
    }

    fn at(&self, path: &str) -> Option<&Spanned<DeValue<'t>>> {
        path.split('.').try_fold(&self.0, |value, part| {
            match (value.get_ref().as_table(), value.get_ref().as_array()) {
                (Some(table), _) => table.get(part),
                (None, Some(array)) => array.get(part.parse::<usize>().ok()?),
                (None, None) => None,
            }
        })
    }

    /// Takes a key of a table out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Located<'t>> {
        let DeValue::Table(table) = self.0.get_mut() else { return None };
        table.remove(key).map(Located)
    }

    /// The elements, when it is an array.
    pub(crate) fn array(&self) -> Option<&DeArray<'t>> {
        self.0.get_ref().as_array()
    }

    /// Where a word stands in one of its strings as it is written in the document's text.
    pub(crate) fn find(&self, text: &str, word: &str) -> Option<Range<usize>> {
        let value = self.0.get_ref();
        if value.as_str().is_some_and(|string| string.contains(word)) {
            let span = self.0.span();
            let at = text.get(span.clone())?.find(word).map(|at| span.start + at);
            return Some(at.map_or(span, |at| at..at + word.len()));
        }
        let of_table = value.as_table().into_iter().flat_map(DeTable::values);
        let of_array = value.as_array().into_iter().flat_map(|array| array.iter());
        of_table.chain(of_array).find_map(|part| Self(part.clone()).find(text, word))
    }
}
