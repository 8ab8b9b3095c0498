//! Markdown and JSON, word for word where that is short.

use drctl::report::evidence::Kind;
use drctl::report::evidence::{Circumstances, Outcome, of_reports};
use drctl::report::{Evidence, markdown};
use serde_json::Value;

use crate::made::{HOSTILE, at, circumstances, failed, hostile, passed};

#[test]
fn a_failed_drill_in_markdown() {
    insta::assert_snapshot!(markdown(&failed(3)), @"");
}

#[test]
fn a_drill_without_a_run_in_markdown() {
    let mut circumstances = circumstances(0);
    circumstances.against = vec!["The target could not be made: the root `/srv/base` has no `/sbin/init`.".to_owned()];
    circumstances.ended = Some(at(0.2));
    (circumstances.create, circumstances.destroy, circumstances.findings) = (None, None, None);
    circumstances.facts.clear();
    let evidence = Evidence::without_run("prod", "10.0.0.10", at(0.0), circumstances);
    insta::assert_snapshot!(markdown(&evidence), @"");
}

#[test]
fn hostile_text_stays_text_in_markdown() {
    let text = markdown(&hostile());
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!([3, 5, 6, 7].contains(&cells), "{cells} bars: {line}");
    }
    for markup in ["<script", " **b**", "[l]("] {
        assert!(!text.contains(markup), "{markup} in {text}");
    }
    assert!(text.contains("\\<script src="), "{text}");
}

#[test]
fn json_is_read_back_as_it_was() {
    for evidence in [passed(26), failed(3), hostile()] {
        let text = evidence.json().expect("JSON");
        let read: Evidence = serde_json::from_str(&text).expect("a report");
        // Floats are written so that they are read the same.
        assert_eq!(read, evidence);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["format"], 1);
    }
    assert!(hostile().json().expect("JSON").contains("alert('1')"), "{HOSTILE}");
}

#[test]
fn keys_of_later_versions_are_ignored() {
    let mut value = serde_json::to_value(passed(0)).expect("JSON");
    value["later"] = Value::from("x");
    value["figures"]["later"] = Value::from(1);
    let read: Evidence = serde_json::from_value(value).expect("a report");
    assert_eq!(read, passed(0));
}

/// The fields of the schema are those that are written.
#[test]
fn every_report_is_as_the_schema_says() {
    let schema = schemars::schema_for!(Evidence).to_value();
    for evidence in [passed(26), failed(3), hostile()] {
        let value = serde_json::to_value(evidence).expect("JSON");
        for (key, _) in value.as_object().expect("an object") {
            assert!(schema["properties"].get(key).is_some(), "{key} is not in the schema");
        }
        let required = schema["required"].as_array().expect("a list");
        for key in required {
            assert!(value.get(key.as_str().expect("a name")).is_some(), "{key} is missing");
        }
    }
}

#[test]
fn those_before_are_found_in_their_folders() {
    let state = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| {
        let path = state.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        path.join("report.json")
    };
    let mut earlier = failed(0);
    earlier.ended = at(-1000.0);
    std::fs::write(folder("b"), passed(0).json().expect("JSON")).expect("a file");
    std::fs::write(folder("a"), earlier.json().expect("JSON")).expect("a file");
    let mut other = passed(0);
    other.cluster = "staging".to_owned();
    std::fs::write(folder("c"), other.json().expect("JSON")).expect("a file");
    std::fs::write(folder("d"), "{\"format\": 1,").expect("a file");
    // One that is under way has none yet.
    drop(folder("e"));
    let (found, unreadable) = of_reports(state.path(), Kind::Drill, "prod");
    assert_eq!(
        found.iter().map(|report| report.verdict.outcome).collect::<Vec<_>>(),
        [Outcome::Failed, Outcome::Passed]
    );
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].0.ends_with("d/report.json"), "{unreadable:?}");
    assert_eq!(of_reports(state.path(), Kind::Restore, "prod"), (Vec::new(), unreadable));
    assert_eq!(of_reports(&state.path().join("none"), Kind::Drill, "prod"), (Vec::new(), Vec::new()));
}

#[test]
fn the_last_success_is_the_newest_that_passed() {
    assert_eq!(passed(3).last_success, Some(at(46.2)));
    let failed = failed(3);
    assert_eq!(failed.last_success, Some(at(-7.0 * 86_400.0)));
    assert_eq!(failed.trend.len(), 4);
    let lonely = Evidence::without_run("prod", "h", at(0.0), Circumstances::default());
    assert_eq!(lonely.last_success, None);
}

#[test]
fn a_step_is_compared_with_its_mean() {
    let evidence = passed(3);
    let init = evidence.steps.iter().find(|step| step.name == "kubeadm-init").expect("a step");
    assert!((init.difference_seconds.expect("a difference") - (21.7 - 21.7 * 1.22)).abs() < 1e-6);
    let skipped = evidence.steps.iter().find(|step| step.state == "skipped").expect("a step");
    assert_eq!((skipped.seconds, skipped.difference_seconds, skipped.spans.len()), (None, None, 0));
}
