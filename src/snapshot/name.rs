//! Times hidden in the names of snapshot files, and the patterns that choose among names.
//!
//! A name such as `etcd-snapshot-2018-05-24_21:54:03_UTC.db` may reach us with its colons changed: SMB forbids them, so
//! clients show them as U+F022 or U+F03A, and tools write `-`, `_`, `.` or nothing instead. What is read here:
//!
//! - a date, year first, and a time of day to the minute or the second: `2018-05-24_21:54:03`, `20180524T215403`, …;
//! - then a zone: `Z`, `UTC`, `GMT`, a numeric offset, or one of the abbreviations in [`ZONES`]. A name that states no
//!   zone is UTC, the clock of a container;
//! - or the seconds since 1970 (ten digits, as k3s writes them) or milliseconds (thirteen).
//!
//! A date without a time of day, and a zone abbreviation that is unknown or means several zones (`CST`, `IST`), give
//! `None`: the file's own time is then nearer to the truth than a guess that is hours off.

use std::ffi::OsStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::packing::without_endings;

/// What SMB clients put where a colon was: the two private-use mappings of Linux's CIFS.
const MAPPED_COLONS: [char; 2] = ['\u{F022}', '\u{F03A}'];

/// Abbreviations that mean one zone only, with their offset from UTC in hours.
pub const ZONES: &[(&str, i8)] = &[
    ("Z", 0),
    ("UTC", 0),
    ("UT", 0),
    ("GMT", 0),
    ("WET", 0),
    ("WEST", 1),
    ("CET", 1),
    ("CEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("MSK", 3),
    ("HKT", 8),
    ("JST", 9),
    ("KST", 9),
    ("AEST", 10),
    ("AEDT", 11),
    ("NZST", 12),
    ("NZDT", 13),
    ("EST", -5),
    ("EDT", -4),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// The time that a file's name states: the last one, when it states several.
pub fn time_in_name(name: impl AsRef<OsStr>) -> Option<Timestamp> {
    let text: Vec<char> = name.as_ref().to_string_lossy().chars().map(unmapped).collect();
    let starts = || (0..text.len()).rev().filter(|&at| starts_number(&text, at));
    starts()
        .find_map(|at| civil_time(&text[at..]))
        .map_or_else(|| starts().find_map(|at| unix_time(&text[at..])), |(time, zone)| with_zone(time, zone))
}

/// Whether a name fits a pattern of literal characters, `*` (any run) and `?` (any one).
///
/// A leading dot needs a dot in the pattern, as in a shell; a mapped colon is a colon; a name that ends in `.part` is an
/// interrupted save and fits nothing. The endings of packed files may be there or not: `*.db` fits `a.db.zst.age`.
pub fn fits(pattern: &str, name: impl AsRef<OsStr>) -> bool {
    let name = name.as_ref().to_string_lossy();
    fits_exactly(pattern, &name) || fits_exactly(pattern, without_endings(&name))
}

fn fits_exactly(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().map(unmapped).collect();
    let pattern: Vec<char> = pattern.chars().map(unmapped).collect();
    let hidden = name.first() == Some(&'.') && pattern.first() != Some(&'.');
    !hidden && !name.ends_with(&['.', 'p', 'a', 'r', 't']) && fits_all(&pattern, &name)
}

/// Goes back to the last `*` only, which is enough: an earlier one can't do better with the same text.
fn fits_all(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&rest| rest == '*')
}

fn unmapped(c: char) -> char {
    if MAPPED_COLONS.contains(&c) { ':' } else { c }
}

fn starts_number(text: &[char], at: usize) -> bool {
    text[at].is_ascii_digit() && !(at > 0 && text[at - 1].is_ascii_digit())
}

/// A zone as the name states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Known(Offset),
    Unknown,
}

fn with_zone(time: DateTime, zone: Zone) -> Option<Timestamp> {
    match zone {
        Zone::Known(offset) => offset.to_timestamp(time).ok(),
        Zone::Unknown => None,
    }
}

/// Reads characters off the front, or leaves them be.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [char]);

impl Rest<'_> {
    fn number(&mut self, digits: usize) -> Option<i16> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let value = number.iter().try_fold(0_i16, |sum, c| {
            let digit = i16::try_from(c.to_digit(10)?).ok()?;
            sum.checked_mul(10)?.checked_add(digit)
        })?;
        self.0 = rest;
        Some(value)
    }

    /// A number of two digits.
    fn two(&mut self) -> Option<i8> {
        self.number(2).and_then(|number| i8::try_from(number).ok())
    }

    fn one_of(&mut self, wanted: &[char]) -> Option<char> {
        let (&first, rest) = self.0.split_first()?;
        wanted.contains(&first).then(|| self.0 = rest)?;
        Some(first)
    }

    fn next_is_digit(self) -> bool {
        self.0.first().is_some_and(char::is_ascii_digit)
    }

    /// Takes the digits of a fraction; the second is near enough.
    fn skip_fraction(&mut self) {
        let digits = self.0.iter().skip(1).take_while(|c| c.is_ascii_digit()).count();
        if digits > 0 && matches!(self.0.first(), Some('.' | ',')) {
            self.0 = &self.0[1 + digits..];
        }
    }
}

fn civil_time(text: &[char]) -> Option<(DateTime, Zone)> {
    let mut rest = Rest(text);
    let year = rest.number(4).filter(|year| (2000..2100).contains(year))?;
    let separator = rest.one_of(&['-', '_', '.']);
    let month = rest.two()?;
    if let Some(separator) = separator {
        rest.one_of(&[separator])?;
    }
    let day = rest.two()?;
    rest.one_of(&['T', 't', '_', '-', ' ', '.', '@', '+', ':']);
    let hour = rest.two()?;
    let separator = rest.one_of(&[':', '-', '_', '.']);
    let minute = rest.two()?;
    let second = seconds(&mut rest, separator).unwrap_or(0).min(59);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let zone = zone(rest, separator == Some(':'))?;
    Some((time, zone))
}

fn seconds(rest: &mut Rest<'_>, separator: Option<char>) -> Option<i8> {
    let mut ahead = *rest;
    if let Some(separator) = separator {
        ahead.one_of(&[separator])?;
    }
    let second = ahead.two().filter(|&second| second <= 60)?;
    // `21-54-0300` is an offset after minutes, `21-54-2018` a number of something else.
    if ahead.next_is_digit() {
        return None;
    }
    ahead.skip_fraction();
    *rest = ahead;
    Some(second)
}

/// The zone after a time of day; `None` when the time is not over, but a part of a longer number.
fn zone(rest: Rest<'_>, colons: bool) -> Option<Zone> {
    if rest.next_is_digit() {
        return None;
    }
    if let Some(offset) = offset(rest, colons) {
        return Some(Zone::Known(offset));
    }
    let mut ahead = rest;
    ahead.one_of(&['_', '-', ' ']);
    if let Some(offset) = offset(ahead, colons) {
        return Some(Zone::Known(offset));
    }
    let word: String = ahead.0.iter().take_while(|c| c.is_alphanumeric()).collect();
    let known = ZONES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name) && (word.len() > 1 || word == "Z"));
    Some(match known {
        Some((_, hours)) => Zone::Known(Offset::constant(*hours)),
        None if looks_like_zone(&word) => Zone::Unknown,
        None => Zone::Known(Offset::UTC),
    })
}

/// Abbreviations are three to five capitals; `node1` or `PRODUCTION` after a time is no zone.
fn looks_like_zone(word: &str) -> bool {
    (3..=5).contains(&word.len()) && word.chars().all(|c| c.is_ascii_uppercase())
}

/// `+0200`, `+02:00`, `+02`, `-0500`; `-05` only after a time with colons, for elsewhere it may as well be a counter.
fn offset(mut rest: Rest<'_>, colons: bool) -> Option<Offset> {
    let sign = rest.one_of(&['+', '-'])?;
    let hours = rest.two().filter(|&hours| hours <= 14)?;
    let mut ahead = rest;
    let separated = ahead.one_of(&[':']).is_some();
    let minutes = ahead.two().filter(|minutes| [0, 15, 30, 45].contains(minutes));
    let minutes = match minutes {
        Some(minutes) => {
            rest = ahead;
            minutes
        }
        None if separated || rest.next_is_digit() || (sign == '-' && !colons) => return None,
        None => 0,
    };
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    let whole = !rest.next_is_digit();
    whole.then(|| Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok()).flatten()
}

/// Ten digits are seconds, thirteen are milliseconds, unless they are the date and hour `YYYYMMDDHH`.
fn unix_time(text: &[char]) -> Option<Timestamp> {
    let digits: String = text.iter().take_while(|c| c.is_ascii_digit()).collect();
    let number: i64 = digits.parse().ok()?;
    let seconds = match digits.len() {
        10 if date_and_hour(text).is_none() => number,
        13 => number / 1000,
        _ => return None,
    };
    (1_000_000_000..4_102_444_800).contains(&seconds).then(|| Timestamp::from_second(seconds).ok()).flatten()
}

fn date_and_hour(text: &[char]) -> Option<DateTime> {
    let mut rest = Rest(text);
    let year = rest.number(4).filter(|year| (2000..2100).contains(year))?;
    DateTime::new(year, rest.two()?, rest.two()?, rest.two()?, 0, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn at(name: &str) -> Option<String> {
        time_in_name(name).map(|time| time.to_string())
    }

    #[test]
    fn the_same_instant_in_many_hands() {
        for name in [
            "etcd-snapshot-2018-05-24_21:54:03_UTC.db",
            "etcd-snapshot-2018-05-24_21\u{F022}54\u{F022}03_UTC.db",
            "etcd-snapshot-2018-05-24_21\u{F03A}54\u{F03A}03_UTC.db",
            "etcd-snapshot-2018-05-24_21-54-03_UTC.db",
            "etcd-snapshot-2018-05-24_21_54_03_UTC.db",
            "etcd-snapshot-2018-05-24_21.54.03_UTC.db",
            "etcd-snapshot-2018-05-24_215403_UTC.db",
            "etcd-snapshot-2018-05-24_21:54:03.db",
            "2018-05-24T21:54:03Z",
            "2018-05-24T21:54:03.999999Z.db.zst",
            "2018-05-24T23:54:03+02:00.db",
            "2018-05-24T16:54:03-05.db",
            "backup-20180524T215403Z.db",
            "backup-20180524215403.db",
            "2018-05-24 21:54:03 UTC",
            "2018-05-24_23:54:03_CEST.db",
            "2018-05-24_23:54:03_+0200.db",
            "2018-05-24_17-24-03-0430.db",
            "2018.05.24-21.54.03-UTC.db",
            "master20180524_215403",
            "etcd-snapshot-node1-1527198843",
            "snapshot-1527198843123.db",
        ] {
            assert_eq!(at(name).as_deref(), Some("2018-05-24T21:54:03Z"), "{name}");
        }
    }

    #[test]
    fn what_follows_a_time_is_not_part_of_it() {
        for name in ["2018-05-24_21-54-03_node1.db", "2018-05-24_21-54-03-7.db", "2018-05-24_21-54-03-0001.db"] {
            assert_eq!(at(name).as_deref(), Some("2018-05-24T21:54:03Z"), "{name}");
        }
        assert_eq!(at("2018-05-24_21:54.db").as_deref(), Some("2018-05-24T21:54:00Z"));
        assert_eq!(at("2018-05-24T23:54+0200.db").as_deref(), Some("2018-05-24T21:54:00Z"));
        assert_eq!(at("v2016-01-01_00-00-00/of-2018-05-24_21-54-03.db").as_deref(), Some("2018-05-24T21:54:03Z"));
        assert_eq!(at("2016-12-31_23:59:60_UTC.db").as_deref(), Some("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn what_states_no_time() {
        for name in [
            "",
            "snapshot.db",
            "db",
            "2018-05-24.db",
            "24-05-2018_21:54:03.db",
            "2018-13-24_21:54:03.db",
            "2018-05-24_25:54:03.db",
            "2018-05-24_21:54:03_CST.db",
            "2018-05-24_21:54:03_IST.db",
            "12345678901234567890.db",
            "2055052421.db",
        ] {
            assert_eq!(at(name), None, "{name}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("etcd-snapshot-*.db", "etcd-snapshot-2018-05-24_21:54:03_UTC.db"),
            ("etcd-snapshot-*_21:54:??_*.db", "etcd-snapshot-2018-05-24_21\u{F022}54\u{F022}03_UTC.db"),
            ("*", "any"),
            ("**a*b*", "xxaxxabx"),
            ("snapshot.db", "snapshot.db"),
            (".*", ".hidden"),
            ("*.db", "a.db.zst.age"),
            ("*.zst", "a.db.zst"),
            ("", ""),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("etcd-snapshot-*.db", "etcd-snapshot-2018.db.part"),
            ("*", "etcd-snapshot-2018.db.part"),
            ("*.db", "a.db.zst.part"),
            ("*.db", "a.db.part.zst"),
            ("*.db", "a.zst"),
            ("*.db", ".etcd.db"),
            ("?", ""),
            ("a?", "a"),
            ("*a*b", "ba"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn every_written_time_is_read_back(
            second in 946_684_800_i64..4_070_908_800,
            date in prop::sample::select(vec!["%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y%m%d"]),
            between in prop::sample::select(vec!["T", "_", "-", " "]),
            time in prop::sample::select(vec!["%H:%M:%S", "%H\u{F022}%M\u{F022}%S", "%H-%M-%S", "%H%M%S"]),
            zone in prop::sample::select(vec![("", 0), ("Z", 0), ("_UTC", 0), ("%z", 2), ("_%:z", -5), ("_CET", 1)]),
            front in "[a-z-]{0,12}",
            back in "(\\.[a-z]{1,6})?",
        ) {
            let written = Timestamp::from_second(second).unwrap();
            let local = written.to_zoned_datetime(TimeZone::fixed(Offset::constant(zone.1)));
            let name = local.strftime(&format!("{front}{date}{between}{time}{}{back}", zone.0)).to_string();
            prop_assert_eq!(time_in_name(&name), Some(written), "{}", name);
        }

        #[test]
        fn any_name_is_read_to_its_end(name in "\\PC{0,60}", digits in "[0-9TZ:_+.-]{0,40}") {
            time_in_name(&name);
            time_in_name(&digits);
            fits(&digits, &name);
        }

        #[test]
        fn a_pattern_fits_what_it_was_made_of(parts in prop::collection::vec("[a-z]{0,4}", 1..6)) {
            prop_assert!(fits(&parts.join("*"), parts.concat()));
            prop_assert!(fits(&parts.join("*"), parts.join("filling")));
        }
    }
}
