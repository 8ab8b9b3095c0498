//! The tables of the page.

use maud::{Markup, html};

use crate::actions::Severity;
use crate::report::evidence::{Evidence, Proof};
use crate::report::{human_seconds, words};

/// Names and what they stand for.
pub(super) fn pairs(rows: &[(&'static str, String)], class: &str) -> Markup {
    html! {
        dl class=(class) {
            @for (name, value) in rows {
                div {
                    dt { (name) }
                    dd { (value) }
                }
            }
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
                            @if let Some(detail) = &step.detail { p.detail { (detail) } }
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
            tbody {
                @for proof in &evidence.proofs {
                    (proof_row(proof))
                }
            }
        }
    }
}

fn proof_row(proof: &Proof) -> Markup {
    let word = words::proved(proof);
    html! {
        tr {
            th scope="row" {
                (proof.name)
                p.how { (proof.how) @if let Some(step) = &proof.step { " · step " (step) } }
            }
            td.data { (proof.expected.as_deref().unwrap_or("–")) }
            td.data { (proof.found) }
            td { (sign(word)) }
        }
    }
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
                            span.message { (finding.message) }
                            @if finding.severity != Severity::Ok {
                                " " span.action { (finding.name) }
                                p.how { (finding.help) }
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
