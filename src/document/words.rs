//! serde's and the TOML parser's messages, in the words of those who write the file.

use std::ops::Range;

use toml::de::Error;

use super::Fault;

/// A syntax error.
pub(super) fn of_syntax(error: &Error, text: &str) -> Fault {
    let (what, expected) = match error.message().split_once(", expected ") {
        Some((what, expected)) => (what, Some(format!("expected {expected}"))),
        None => (error.message(), None),
    };
    let help = match what {
        "string values must be quoted" => {
            Some("write a value behind `=`; text stands in quotes: `key = \"text\"`".to_owned())
        }
        "duplicate key" => Some("keep one of them; a key or table may be written once".to_owned()),
        _ => expected,
    };
    Fault::new(within(error.span(), text), format!("not TOML: {what}"), "here", help)
}

/// A span of the text: on character boundaries, and not behind its end.
fn within(span: Option<Range<usize>>, text: &str) -> Range<usize> {
    let span = span.unwrap_or(0..0);
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

/// An error of a value's type; `more` are keys that are known besides those that it tells.
pub(super) fn of_type(message: &str, span: Range<usize>, text: &str, more: &[&str]) -> Fault {
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, expected),
        None => (message, ""),
    };
    if let Some(key) = quoted(what, "unknown field ") {
        let known: Vec<&str> = ticked(expected).chain(more.iter().copied()).collect();
        return Fault::new(span, format!("unknown key `{key}`"), "not known here", choices(key, &known, "known here"));
    }
    if let Some(word) = quoted(what, "unknown variant ") {
        let known: Vec<&str> = ticked(expected).collect();
        return Fault::new(span, format!("unknown word `{word}`"), "not known here", choices(word, &known, "possible"));
    }
    if let Some(found) = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: ")) {
        let (found, expected) = (found_words(found), expected_words(expected));
        let help = type_help(&expected, text.get(span.clone()).unwrap_or_default());
        return Fault::new(span, format!("expected {expected}, found {found}"), "wrong here", help);
    }
    match what {
        _ if what.starts_with("invalid length ") => {
            let help = "it takes exactly one".to_owned();
            Fault::new(span, format!("expected {}", expected_words(expected)), "has more, or none", help)
        }
        "wanted exactly 1 element" => Fault::new(
            span,
            "expected exactly one key in this table",
            "has more, or none",
            "keep the one that is meant".to_owned(),
        ),
        "wanted string or table" => Fault::new(span, "expected text or a table", "is neither", None),
        _ => of_own(message, span),
    }
}

/// An error of our own types: `what is wrong; what would be right`.
fn of_own(message: &str, span: Range<usize>) -> Fault {
    match message.split_once("; ") {
        Some((what, help)) => Fault::new(span, what, "wrong here", help.to_owned()),
        None => Fault::new(span, message, "wrong here", None),
    }
}

/// The key that a value lacks.
pub(super) fn missing_key(message: &str) -> Option<&str> {
    quoted(message, "missing field ")
}

/// The known word that a mistaken one was probably meant to be.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean …?", and all that could be meant.
pub(crate) fn choices(word: &str, known: &[&str], kind: &str) -> String {
    let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let all = if all.is_empty() { "there are none".to_owned() } else { format!("{kind}: {all}") };
    match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?\n{all}"),
        None => all,
    }
}

fn quoted<'m>(message: &'m str, before: &str) -> Option<&'m str> {
    message.strip_prefix(before)?.strip_prefix('`')?.strip_suffix('`')
}

/// The words between backticks.
fn ticked(list: &str) -> impl Iterator<Item = &str> {
    list.split('`').skip(1).step_by(2)
}

fn expected_words(expected: &str) -> String {
    match expected {
        "a string" | "string" | "a borrowed string" => "text in quotes".to_owned(),
        "path string" => "a path in quotes".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => {
            let most = match expected {
                "u8" => u64::from(u8::MAX),
                "u16" => u64::from(u16::MAX),
                "u32" => u64::from(u32::MAX),
                _ => u64::MAX,
            };
            format!("a whole number from 0 to {most}")
        }
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list `[…]`".to_owned(),
        "a map" => "a table".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("enum ") => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}

fn found_words(found: &str) -> String {
    match found.split_once(' ') {
        Some(("integer", value)) => format!("the number {value}"),
        Some(("floating", value)) => format!("the number {}", value.trim_start_matches("point ")),
        Some(("string", value)) => format!("the text {value}"),
        Some(("boolean", value)) => value.to_owned(),
        _ => match found {
            "sequence" => "a list".to_owned(),
            "map" => "a table".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// What to write instead of what stands there, when only the quotes are wrong.
fn type_help(expected: &str, written: &str) -> Option<String> {
    let number = |text: &str| text.parse::<f64>().is_ok();
    match expected {
        "text in quotes" | "a path in quotes" if number(written) => Some(format!("write it as text: `\"{written}\"`")),
        _ if expected.starts_with("a whole number") => {
            let bare = written.trim_matches(['"', '\'']);
            (bare != written && number(bare)).then(|| format!("write it without quotes: `{bare}`"))
        }
        _ => None,
    }
}
