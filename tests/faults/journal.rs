//! What the journal says, read without drctl.

use std::fs;
use std::path::PathBuf;

use crate::site::Site;

/// The one run that there is. Until its first record is whole a run has not begun.
pub(crate) fn run_id(site: &Site<'_>) -> Option<String> {
    let runs = fs::read_dir(runs(site)).ok()?;
    let mut names = runs.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.find(|name| text_of(site, name).contains('\n'))
}

/// The step that it names last.
pub(crate) fn step_at_hand(site: &Site<'_>) -> String {
    let text = text(site);
    let mut data = text
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|mut line| line["data"].take())
        .peekable();
    if data.peek().is_some_and(|data| data["event"] == "finished") {
        return "the end".to_owned();
    }
    // What is said of a step holds until the next one is begun.
    let step = data.find_map(|data| data["step"].as_str().map(str::to_owned));
    step.unwrap_or_else(|| "before the first step".to_owned())
}

/// How often the run has begun a step.
pub(crate) fn attempts(site: &Site<'_>, step: &str) -> usize {
    let text = text(site);
    let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    records.filter(|line| line["data"]["event"] == "step_started" && line["data"]["step"] == step).count()
}

pub(crate) fn is_finished(site: &Site<'_>, run_id: &str) -> bool {
    text_of(site, run_id).contains("\"ending\":\"restored\"")
}

/// Whether it is being undone, or was.
pub(crate) fn is_turned(site: &Site<'_>, run_id: &str) -> bool {
    text_of(site, run_id).contains("\"event\":\"rollback_started\"")
}

/// All of it; nothing when no run has begun.
pub(crate) fn text(site: &Site<'_>) -> String {
    run_id(site).map(|id| text_of(site, &id)).unwrap_or_default()
}

fn runs(site: &Site<'_>) -> PathBuf {
    site.lab.dir.path().join("state/runs")
}

fn text_of(site: &Site<'_>, run_id: &str) -> String {
    fs::read_to_string(runs(site).join(run_id).join("journal.ndjson")).unwrap_or_default()
}
