//! The report as one HTML file: no network, no script; for a screen, light or dark, and for paper.

mod gantt;
mod tables;
mod trend;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::evidence::{Evidence, Outcome};
use super::words::{self, Limited};

const STYLE: &str = include_str!("style.css");

/// The whole file.
pub fn html(evidence: &Evidence) -> String {
    let title = format!(
        "{}: {} of {}, {}",
        words::headline(evidence),
        evidence.kind.word(),
        evidence.cluster,
        words::day(evidence.ended)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "drctl " (evidence.versions.drctl) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body class=(evidence.verdict.outcome.word()) {
                main {
                    (verdict(evidence))
                    (figures(evidence))
                    (section("Circumstances", &tables::pairs(&words::circumstances(evidence), "facts")))
                    (timeline(evidence))
                    (section("What was proved, and how", &tables::proofs(evidence)))
                    (section("What the checks found", &tables::findings(evidence)))
                    (section("Versions", &tables::pairs(&words::versions(evidence), "facts")))
                    (digests(evidence))
                    (section("Trend", &trend::trend(evidence)))
                }
                (foot(evidence))
            }
        }
    };
    page.into_string()
}

fn section(heading: &str, content: &Markup) -> Markup {
    html! {
        section {
            h2 { (heading) }
            (content)
        }
    }
}

fn verdict(evidence: &Evidence) -> Markup {
    html! {
        header {
            p.over {
                span { @if evidence.drill.is_some() { "Drill" } @else { "Restore" } }
                span { (evidence.cluster) }
                span { (words::day(evidence.ended)) }
            }
            h1 { (mark(evidence.verdict.outcome)) (words::headline(evidence)) }
            p.lead { (words::lead(evidence)) }
            ul.reasons {
                @for reason in &evidence.verdict.reasons {
                    li { (tables::prose(reason)) }
                }
            }
        }
    }
}

/// The verdict as a sign; the word beside it says the same.
fn mark(outcome: Outcome) -> Markup {
    let line = match outcome {
        Outcome::Passed => "M13 25 l8 8 l15 -17",
        Outcome::Failed => "M16 16 l16 16 M32 16 l-16 16",
        Outcome::Unfinished => "M24 13 v13 l8 5",
    };
    html! {
        svg.mark viewBox="0 0 48 48" aria-hidden="true" {
            circle cx="24" cy="24" r="24" {}
            path d=(line) {}
        }
    }
}

fn figures(evidence: &Evidence) -> Markup {
    html! {
        section.figures aria-label="Figures" {
            @for figure in words::limited(&evidence.figures) {
                (tile(&figure))
            }
            div.tile {
                h2 { "Last successful " (evidence.kind.word()) }
                p.value { (words::last_success(evidence)) }
                p.note { (words::last_success_note(evidence)) }
            }
        }
    }
}

fn tile(figure: &Limited) -> Markup {
    let kept = figure.kept();
    html! {
        div.tile.over[kept == Some(false)] {
            h2 { (figure.name) }
            p.value { (figure.value()) }
            p.limit { (figure.allowed()) }
            (meter(figure))
            p.note { (figure.meaning) }
        }
    }
}

/// How much of the limit is used up.
fn meter(figure: &Limited) -> Markup {
    let (Some(found), Some(limit)) = (figure.found, figure.limit) else { return html! {} };
    let whole = found.max(limit).max(f64::MIN_POSITIVE);
    let at = |seconds: f64| format!("{:.1}", 200.0 * (seconds.max(0.0) / whole));
    html! {
        svg.meter viewBox="0 0 200 8" preserveAspectRatio="none" role="img" {
            title { (figure.name) " " (figure.value()) " " (figure.allowed()) }
            rect.limit x="0" y="1" width=(at(limit)) height="6" {}
            rect.found x="0" y="1" width=(at(found)) height="6" {}
            rect.end x=(at(limit * 0.992)) y="0" width="1.6" height="8" {}
        }
    }
}

fn timeline(evidence: &Evidence) -> Markup {
    if evidence.steps.is_empty() {
        return html! {};
    }
    section("Timeline", &html! { (gantt::gantt(evidence)) (tables::steps(evidence)) })
}

fn digests(evidence: &Evidence) -> Markup {
    let digests = words::digests(evidence);
    if digests.is_empty() {
        return html! {};
    }
    section("SHA-256", &tables::pairs(&digests, "facts digests"))
}

fn foot(evidence: &Evidence) -> Markup {
    html! {
        footer {
            p {
                "Written by drctl " (env!("CARGO_PKG_VERSION"))
                @if let Some(run) = &evidence.run { " from the journal of run " (run) }
                ". All times are UTC, by the controller’s clock. " code { "report.json" } " beside this file says the same to programs."
            }
        }
    }
}
