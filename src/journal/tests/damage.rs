//! Cut anywhere, changed anywhere.

use super::*;
use crate::journal::Record;

#[test]
fn cut_anywhere_the_whole_records_are_read_and_the_next_one_follows() {
    let (_dir, path) = written(one_step());
    let whole = std::fs::read(&path).unwrap();
    let ends = lines(&path);
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let records = ends[1..].iter().filter(|end| **end <= cut).count();
        if records == 0 {
            assert!(matches!(read(&path), Err(JournalError::Empty { .. })), "cut at {cut}");
            continue;
        }
        assert_eq!(read(&path).unwrap().1.len(), records, "cut at {cut}");
        let (mut journal, kept) = Journal::open(&path).unwrap();
        assert_eq!(kept.len(), records, "cut at {cut}");
        journal.append(Event::Stopped { reason: "x".to_owned() }).unwrap();
        drop(journal);
        assert_eq!(read(&path).unwrap().1.len(), records + 1, "cut at {cut}");
    }
}

#[test]
fn a_changed_bit_in_any_byte_is_noticed_and_its_line_named() {
    let (_dir, path) = written(one_step());
    let whole = std::fs::read(&path).unwrap();
    let ends = lines(&path);
    for at in 0..whole.len() {
        let of = ends.iter().filter(|end| **end <= at).count();
        let bit = at % 8;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        let read = read(&path);
        assert!(
            matches!(read, Err(JournalError::Damaged { line, .. }) if line == of),
            "bit {bit} of byte {at}, in line {of}: {:?}",
            read.map(|(_, records)| records.len()),
        );
        // A process that another test has just forked may have the lock for a moment.
        assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. } | JournalError::Busy { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "a damaged journal is left as it is");
    }
}

#[test]
fn records_that_are_missing_repeated_or_swapped_are_noticed() {
    let (_dir, path) = written(one_step());
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for order in [[0, 2, 3].as_slice(), &[0, 1, 1, 2], &[0, 2, 1, 3], &[1, 2, 3], &[0, 0]] {
        let text: String = order.iter().map(|line| lines[*line]).collect();
        std::fs::write(&path, text).unwrap();
        assert!(matches!(read(&path), Err(JournalError::Damaged { .. })), "{order:?}");
    }
}

/// A journal whose sums are right, whatever its records say.
fn with_sums(path: &Path, bodies: &[&str]) {
    let mut sum = crate::journal::record::FIRST.to_owned();
    let mut text = String::new();
    for body in bodies {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::new().chain_update(&sum).chain_update(body).finalize();
        sum = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("{body},\"sum\":\"{sum}\"}}\n"));
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_later_format_is_named_whatever_else_it_holds() {
    let (_dir, path) = written([]);
    with_sums(&path, &[r#"{"seq":1,"data":{"event":"begun_anew","format":9,"x":[1]}"#, r#"{"whatever":1"#]);
    let error = read(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("the journal `{}` has format 9; this drctl reads up to 1", path.display()));
}

#[test]
fn keys_that_a_later_drctl_added_are_passed_over() {
    let (_dir, path) = written([]);
    let record = Record { seq: 1, at: Timestamp::UNIX_EPOCH, data: started(1) };
    let first =
        serde_json::to_string(&record).unwrap().replacen("\"format\":1", "\"later\":{\"a\":[]},\"format\":1", 1);
    let stopped = r#"{"seq":2,"at":"1970-01-01T00:00:00Z","why":"x","data":{"event":"stopped","reason":"r","more":1}"#;
    with_sums(&path, &[first.strip_suffix('}').unwrap(), stopped]);
    assert_eq!(read(&path).unwrap().0.stopped.as_deref(), Some("r"));
}

#[test]
fn an_event_that_it_does_not_know_is_refused() {
    let (_dir, path) = written([]);
    let record = Record { seq: 1, at: Timestamp::UNIX_EPOCH, data: started(1) };
    let first = serde_json::to_string(&record).unwrap();
    let odd = r#"{"seq":2,"at":"1970-01-01T00:00:00Z","data":{"event":"paused"}"#;
    with_sums(&path, &[first.strip_suffix('}').unwrap(), odd]);
    assert!(read(&path).unwrap_err().to_string().contains("is damaged at line 2: unknown variant `paused`"));
}

#[test]
fn a_journal_that_does_not_begin_with_its_run_is_no_journal() {
    let (_dir, path) = written([]);
    with_sums(&path, &[r#"{"seq":1,"at":"1970-01-01T00:00:00Z","data":{"event":"stopped","reason":"r"}"#]);
    assert!(matches!(read(&path), Err(JournalError::Illegal { line: 1, .. })));
}
