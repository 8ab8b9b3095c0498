//! The report as Markdown, for tickets, mail and repositories; its tables are GitHub's.

use super::evidence::Evidence;
use super::text::bar;
use super::{human_seconds, words};

/// How many of those before are listed.
const LISTED: usize = 10;

/// The whole file.
pub fn markdown(evidence: &Evidence) -> String {
    let mut page = Page(String::new());
    let title = format!("{}: {} of {}", words::headline(evidence), evidence.kind.word(), evidence.cluster);
    page.line(&format!("# {}, {}", cell(&title), words::day(evidence.ended)));
    page.line(&cell(&words::lead(evidence)));
    page.line(&list(&evidence.verdict.reasons));
    figures(&mut page, evidence);
    page.pairs("Circumstances", &words::circumstances(evidence));
    timeline(&mut page, evidence);
    steps(&mut page, evidence);
    proofs(&mut page, evidence);
    findings(&mut page, evidence);
    page.pairs("Versions", &words::versions(evidence));
    page.pairs("SHA-256", &words::digests(evidence));
    trend(&mut page, evidence);
    page.0.trim_end().to_owned() + "\n"
}

/// Blocks with an empty line between them.
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push_str("\n\n");
    }

    fn heading(&mut self, text: &str) {
        self.line(&format!("## {text}"));
    }

    /// `right` has a mark for each column whose numbers end below one another.
    fn table(&mut self, head: &[&str], right: &[bool], rows: impl IntoIterator<Item = Vec<String>>) {
        let ends = head.iter().enumerate();
        let ends = ends.map(|(column, _)| if right.get(column) == Some(&true) { "---:" } else { "---" });
        let mut table = format!("| {} |\n| {} |", head.join(" | "), ends.collect::<Vec<_>>().join(" | "));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            table.push_str(&format!("\n| {} |", cells.join(" | ")));
        }
        self.line(&table);
    }

    fn pairs(&mut self, heading: &str, rows: &[(&'static str, String)]) {
        if rows.is_empty() {
            return;
        }
        self.heading(heading);
        let rows = rows.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
        self.table(&["", ""], &[], rows);
    }
}

fn figures(page: &mut Page, evidence: &Evidence) {
    let limited = words::limited(&evidence.figures);
    let mut rows: Vec<Vec<String>> = limited
        .iter()
        .map(|figure| vec![figure.name.to_owned(), figure.value(), figure.allowed(), figure.meaning.clone()])
        .collect();
    rows.push(vec![
        format!("Last successful {}", evidence.kind.word()),
        words::last_success(evidence),
        String::new(),
        words::last_success_note(evidence),
    ]);
    page.table(&["Figure", "", "Limit", ""], &[false, true], rows);
}

fn timeline(page: &mut Page, evidence: &Evidence) {
    let begun: Vec<_> = evidence.steps.iter().filter_map(|step| Some((step, step.spans.last()?))).collect();
    if begun.is_empty() {
        return;
    }
    page.heading("Timeline");
    let whole = evidence.ended.duration_since(evidence.begun).as_secs_f64().max(0.001);
    let width = begun.iter().map(|(step, _)| step.name.chars().count()).max().unwrap_or(0);
    let lines = begun.iter().map(|(step, span)| {
        let took = human_seconds(span.seconds);
        // Nothing ends the block before its end.
        let name = step.name.replace(['`', '\n'], " ");
        format!("{name:width$}  {}  {took:>8}", bar(Some(span.after), Some(span.seconds), whole))
    });
    page.line(&format!("```text\n{}\n```", lines.collect::<Vec<_>>().join("\n")));
    let moments: Vec<String> = evidence
        .moments
        .iter()
        .map(|moment| format!("after {}: {}", human_seconds(moment.after), moment.what))
        .collect();
    if !moments.is_empty() {
        page.line(&list(&moments));
    }
}

fn steps(page: &mut Page, evidence: &Evidence) {
    if evidence.steps.is_empty() {
        return;
    }
    let seconds = |seconds: Option<f64>| seconds.map(human_seconds).unwrap_or_default();
    let rows = evidence.steps.iter().map(|step| {
        let state = words::state(step);
        let state = step.detail.as_ref().map_or(state.clone(), |detail| format!("{state}: {detail}"));
        vec![
            step.name.clone(),
            step.action.clone(),
            state,
            seconds(step.seconds),
            seconds(step.usual_seconds),
            words::difference(step),
        ]
    });
    let right = [false, false, false, true, true, true];
    page.table(&["Step", "Action", "State", "Took", "Usually", "Difference"], &right, rows);
}

fn proofs(page: &mut Page, evidence: &Evidence) {
    page.heading("What was proved, and how");
    if evidence.proofs.is_empty() {
        page.line("Nothing was proved: no step that proves was reached.");
        return;
    }
    let rows = evidence.proofs.iter().map(|proof| {
        vec![
            proof.name.clone(),
            proof.how.clone(),
            proof.expected.clone().unwrap_or_else(|| "–".to_owned()),
            proof.found.clone(),
            words::proved(proof).to_owned(),
            proof.step.clone().unwrap_or_default(),
        ]
    });
    page.table(&["Proof", "How", "Expected", "Found", "Outcome", "Step"], &[], rows);
}

fn findings(page: &mut Page, evidence: &Evidence) {
    page.heading("What the checks found");
    let Some(findings) = &evidence.findings else {
        page.line("Not kept: the run began with an earlier drctl, or its findings could not be written.");
        return;
    };
    let rows = words::worst_first(findings).into_iter().map(|finding| {
        vec![
            words::severity(finding, evidence.run.is_some()).to_owned(),
            finding.name.clone(),
            [finding.message.as_str(), finding.help.as_str()].join("\n").trim_end().to_owned(),
        ]
    });
    page.table(&["Severity", "Name", "Finding"], &[], rows);
}

fn trend(page: &mut Page, evidence: &Evidence) {
    page.heading("Trend");
    let seconds = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), human_seconds);
    let rows = evidence.trend.iter().rev().take(LISTED).map(|past| {
        vec![
            words::time(past.at),
            past.outcome.word().to_owned(),
            seconds(past.rto_seconds),
            seconds(past.rpo_seconds),
            past.id.clone(),
        ]
    });
    page.table(&["Ended", "Verdict", "RTO", "RPO", "Id"], &[false, false, true, true], rows);
    let left_out = evidence.trend.len().saturating_sub(LISTED);
    if left_out > 0 {
        page.line(&format!("and {left_out} before"));
    }
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {}", cell(item))).collect::<Vec<_>>().join("\n")
}

/// Text that is only text; what stands between backticks stays code. It may come from a target, and say anything.
fn cell(text: &str) -> String {
    let parts: Vec<&str> = text.trim().split('`').collect();
    // Where backticks touch, a reader of Markdown would pair them in another way.
    let touching = parts.get(1..parts.len() - 1).is_some_and(|inner| inner.contains(&""));
    if parts.len().is_multiple_of(2) || touching {
        return escaped(text.trim());
    }
    let parts = parts.iter().enumerate().map(|(number, part)| {
        if number % 2 == 0 { escaped(part) } else { format!("`{}`", part.replace('|', "\\|").replace('\n', " ")) }
    });
    parts.collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&' => escaped.extend(['\\', letter]),
            '\n' => escaped.push_str("<br>"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn code_is_only_what_every_reader_takes_for_code() {
        assert_eq!(cell("step `a|b` <x>"), "step `a\\|b` \\<x\\>");
        for odd in ["one ` <x>", "```<x>`", "`a``<x>`"] {
            assert!(cell(odd).contains("\\<x\\>"), "{}", cell(odd));
        }
        assert_eq!(cell(" a\n  | b "), "a<br>  \\| b");
    }
}
