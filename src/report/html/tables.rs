//! The tables of the page.

use maud::{Markup, html};

use crate::actions::Severity;
use crate::report::evidence::Evidence;
use crate::report::{human_seconds, words};

/// What is longer has a line for itself.
const WIDE: usize = 56;

/// Names and what they stand for.
pub(super) fn pairs(rows: &[(&'static str, String)], class: &str) -> Markup {
    html! {
        dl class=(class) {
            @for (name, value) in rows {
                div.wide[value.chars().count() > WIDE] {
                    dt { (name) }
                    dd { (prose(value)) }
                }
            }
        }
    }
}

/// Text in which what stands between backticks is code.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // Without its other half a backtick is only one.
    let paired = parts.len() % 2 == 1;
    html! {
        @if paired {
            @for (number, part) in parts.iter().enumerate() {
                @if number % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else {
            (text)
        }
    }
}

/// The steps with their figures.
pub(super) fn steps(evidence: &Evidence) -> Markup {
    let usual = evidence.steps.iter().any(|step| step.usual_seconds.is_some());
    html! {
        table.steps {
            thead {
                tr {
                    th scope="col" { "Step" }
                    th scope="col" { "State" }
                    th.number scope="col" { "Took" }
                    @if usual {
                        th.number scope="col" { "Usually" }
                        th.number scope="col" { "Difference" }
                    }
                }
            }
            tbody {
                @for step in &evidence.steps {
                    tr class=(step.state.replace(' ', "-")) {
                        th scope="row" {
                            (step.name)
                            @if step.name.replace('-', "_") != step.action { " " span.action { (step.action) } }
                        }
                        td {
                            (words::state(step))
                            @match &step.detail {
                                Some(why) if step.state == "skipped" => span.detail { ": " (prose(why)) },
                                Some(said) => p.detail { (prose(said)) },
                                None => {},
                            }
                        }
                        td.number { (step.seconds.map(human_seconds).unwrap_or_default()) }
                        @if usual {
                            td.number { (step.usual_seconds.map(human_seconds).unwrap_or_default()) }
                            td.number { (words::difference(step)) }
                        }
                    }
                }
            }
        }
    }
}

/// What was compared, how, and with what outcome.
pub(super) fn proofs(evidence: &Evidence) -> Markup {
    if evidence.proofs.is_empty() {
        return html! { p.none { "Nothing was proved: no step that proves was reached." } };
    }
    html! {
        table.proofs {
            thead {
                tr {
                    th scope="col" { "Proof" }
                    th scope="col" { "Expected" }
                    th scope="col" { "Found" }
                    th scope="col" { "Outcome" }
                }
            }
            @for of_step in evidence.proofs.chunk_by(|one, next| one.step == next.step) {
                tbody {
                    tr.group {
                        th scope="rowgroup" colspan="4" {
                            @match of_step.first().and_then(|proof| proof.step.as_ref()) {
                                Some(step) => { "Step " (step) },
                                None => "Besides the steps",
                            }
                        }
                    }
                    @for proof in of_step {
                        tr {
                            th scope="row" {
                                (proof.name)
                                p.how { (prose(&proof.how)) }
                            }
                            td { (value(proof.expected.as_deref().unwrap_or("–"))) }
                            td { (value(&proof.found)) }
                            td { (sign(words::proved(proof))) }
                        }
                    }
                }
            }
        }
    }
}

/// A value; one that is no words is set as such.
fn value(text: &str) -> Markup {
    let is_words = text.contains(' ') || text.len() < 20;
    html! { @if is_words { (prose(text)) } @else { code { (text) } } }
}

/// What the checks found, the worst first.
pub(super) fn findings(evidence: &Evidence) -> Markup {
    let Some(findings) = &evidence.findings else {
        return html! { p.none { "Not kept: the run began with an earlier drctl, or its findings could not be written." } };
    };
    let begun = evidence.run.is_some();
    html! {
        table.findings {
            thead {
                tr {
                    th scope="col" { "Severity" }
                    th scope="col" { "Finding" }
                }
            }
            tbody {
                @for finding in words::worst_first(findings) {
                    tr {
                        td { (sign(words::severity(finding, begun))) }
                        td {
                            span.message { (prose(&finding.message)) }
                            @if finding.severity != Severity::Ok {
                                " " span.action { (finding.name) }
                                p.how { (prose(&finding.help)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A word whose colour says the same.
pub(super) fn sign(word: &str) -> Markup {
    let class = match word {
        "held" | "ok" | "passed" => "good",
        "failed" | "error" | "accepted error" => "bad",
        "warning" | "not tried" | "unfinished" => "odd",
        _ => "plain",
    };
    html! { span class={ "sign " (class) } { (word) } }
}
