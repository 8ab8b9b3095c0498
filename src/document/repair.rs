//! The repair of a value: wrong parts out, missing parts filled in, until it can be read.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue, Error, ValueDeserializer};

use super::{Fault, words};

/// More errors than anyone reads, and an end for texts made to have no end.
const MOST: usize = 200;

/// What stands in for missing values: one of these is of the right type for most.
const FILLERS: usize = 6;

pub(super) struct Repair<'t, 'm> {
    pub(super) root: Spanned<DeValue<'t>>,
    /// What was wrong, and whether it is a missing key.
    pub(super) faults: Vec<(Fault, bool)>,
    /// Tables and lists that something was taken out of.
    pub(super) damaged: Vec<Range<usize>>,
    text: &'m str,
    /// The text's length: spans behind it are those of fillers.
    end: usize,
    more: &'m [&'m str],
    /// How many fillers were tried at each place; the place is `end + 1 +` its index here.
    tried: Vec<usize>,
    /// Keys that were taken out of a table, which is known by where it starts and ends.
    gone: BTreeSet<(usize, usize, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

/// A part of the value, and where it is.
struct Place {
    path: Vec<Part>,
    key: Option<Range<usize>>,
    value: Range<usize>,
    table: bool,
    /// Whether a value of this table is a filler.
    filled: bool,
}

enum Next {
    Again,
    GiveUp,
}

impl<'t, 'm> Repair<'t, 'm> {
    pub(super) fn new(root: Spanned<DeValue<'t>>, text: &'m str, more: &'m [&'m str]) -> Self {
        let (faults, damaged, tried) = (Vec::new(), Vec::new(), Vec::new());
        Self { root, faults, damaged, text, end: text.len(), more, tried, gone: BTreeSet::new() }
    }

    pub(super) fn run<T>(&mut self, read: impl Fn(ValueDeserializer<'t>) -> Result<T, Error>) -> Option<T> {
        for _ in 0..MOST {
            let error = match read(ValueDeserializer::from(self.root.clone())) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let next = match words::missing_key(error.message()) {
                Some(key) => self.missing(key, error.span()),
                None => self.wrong(&error),
            };
            if matches!(next, Next::GiveUp) {
                return None;
            }
        }
        None
    }

    fn missing(&mut self, key: &str, span: Option<Range<usize>>) -> Next {
        let span = span.unwrap_or_else(|| self.root.span());
        let places = self.places();
        let table =
            places.iter().filter(|place| place.table && place.value == span).max_by_key(|place| place.path.len());
        let path = table.map(|place| place.path.clone()).unwrap_or_default();
        let span = table.map_or_else(|| self.root.span(), |place| place.value.clone());
        if !self.gone.contains(&(span.start, span.end, key.to_owned())) && span.start <= self.end {
            let help = format!("add `{key}`");
            self.faults.push((Fault::new(span, format!("the key `{key}` is missing"), "not in here", help), true));
        }
        let at = self.end + 1 + self.tried.len();
        let Some(DeValue::Table(table)) = descend(&mut self.root, &path).map(Spanned::get_mut) else {
            return Next::GiveUp;
        };
        if table.contains_key(key) {
            return Next::GiveUp;
        }
        table.insert(Spanned::new(at..at, key.to_owned().into()), Spanned::new(at..at, filler(0)));
        self.tried.push(0);
        Next::Again
    }

    fn wrong(&mut self, error: &Error) -> Next {
        let span = error.span().unwrap_or_else(|| self.root.span());
        let places = self.places();
        // The root is a place too, and the last resort.
        let Some(place) = places.iter().max_by_key(|place| (closeness(place, &span), place.path.len())) else {
            return Next::GiveUp;
        };
        if place.value.start > self.end {
            return self.refill(&place.path, place.value.start - self.end - 1);
        }
        let follows = place.table && place.value == span && self.repaired(place);
        if !follows {
            self.faults.push((words::of_type(error.message(), span, self.text, self.more), false));
        }
        self.remove(&place.path)
    }

    /// Tries the next stand-in for a missing value; without one, the table around it goes.
    fn refill(&mut self, path: &[Part], index: usize) -> Next {
        let Some(tried) = self.tried.get_mut(index) else {
            return Next::GiveUp;
        };
        *tried += 1;
        let next = *tried;
        if next < FILLERS {
            if let Some(value) = descend(&mut self.root, path) {
                *value.get_mut() = filler(next);
            }
            return Next::Again;
        }
        match path.split_last() {
            Some((_, around)) if !around.is_empty() => self.remove(around),
            Some(_) | None => Next::GiveUp,
        }
    }

    fn remove(&mut self, path: &[Part]) -> Next {
        let Some((last, around)) = path.split_last() else {
            return Next::GiveUp;
        };
        let Some(parent) = descend(&mut self.root, around) else {
            return Next::GiveUp;
        };
        let span = parent.span();
        self.damaged.push(span.clone());
        match (parent.get_mut(), last) {
            (DeValue::Table(table), Part::Key(key)) => {
                table.remove(key.as_str());
                self.gone.insert((span.start, span.end, key.clone()));
            }
            (DeValue::Array(array), Part::Index(index)) => {
                let mut rest = DeArray::new();
                for (_, value) in array.iter().enumerate().filter(|(at, _)| at != index) {
                    rest.push(value.clone());
                }
                *array = rest;
            }
            _ => return Next::GiveUp,
        }
        Next::Again
    }

    /// Whether something was taken out of this table, or filled in.
    fn repaired(&self, place: &Place) -> bool {
        let Range { start, end } = place.value;
        place.filled
            || self
                .gone
                .range((start, end, String::new())..)
                .next()
                .is_some_and(|gone| (gone.0, gone.1) == (start, end))
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        collect(&self.root, None, &mut Vec::new(), self.end, &mut places);
        places
    }
}

/// How well a place fits a span: it is this very place, or around it, or neither.
fn closeness(place: &Place, span: &Range<usize>) -> u8 {
    if place.key.as_ref() == Some(span) || place.value == *span {
        2
    } else {
        u8::from(place.value.start <= span.start && span.end <= place.value.end)
    }
}

fn collect(
    value: &Spanned<DeValue<'_>>,
    key: Option<Range<usize>>,
    path: &mut Vec<Part>,
    end: usize,
    places: &mut Vec<Place>,
) {
    let table = value.get_ref().as_table();
    let filled = table.is_some_and(|table| table.values().any(|value| value.span().start > end));
    places.push(Place { path: path.clone(), key, value: value.span(), table: table.is_some(), filled });
    for (key, value) in table.into_iter().flatten() {
        path.push(Part::Key(key.get_ref().to_string()));
        collect(value, Some(key.span()), path, end, places);
        path.pop();
    }
    for (index, value) in value.get_ref().as_array().into_iter().flatten().enumerate() {
        path.push(Part::Index(index));
        collect(value, None, path, end, places);
        path.pop();
    }
}

fn descend<'v, 't>(root: &'v mut Spanned<DeValue<'t>>, path: &[Part]) -> Option<&'v mut Spanned<DeValue<'t>>> {
    path.iter().try_fold(root, |value, part| match (value.get_mut(), part) {
        (DeValue::Table(table), Part::Key(key)) => table.get_mut(key.as_str()),
        (DeValue::Array(array), Part::Index(index)) => array.get_mut(*index),
        _ => None,
    })
}

fn filler<'t>(tried: usize) -> DeValue<'t> {
    match tried {
        0 => DeValue::String("".into()),
        1 => DeValue::String("1s".into()),
        2 => DeValue::Table(DeTable::new()),
        3 => DeValue::Array(DeArray::new()),
        4 => DeValue::Boolean(false),
        _ => DeValue::Integer(DeInteger::default()),
    }
}
