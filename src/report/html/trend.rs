//! RTO and RPO of those before, as two charts and a table.

use jiff::Timestamp;
use maud::{Markup, html};

use super::tables::sign;
use crate::report::evidence::{Evidence, Outcome, Past};
use crate::report::words::{day, time};
use crate::report::{human_seconds, span};

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 428.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 160.0;
/// How many are listed; all are drawn.
const LISTED: usize = 10;

/// Both charts and the list.
pub(super) fn trend(evidence: &Evidence) -> Markup {
    let kind = evidence.kind.word();
    if evidence.trend.len() < 2 {
        return html! { p.none { "This is the first " (kind) " of this cluster." } };
    }
    let figures = &evidence.figures;
    html! {
        div.charts {
            (chart("RTO", kind, &evidence.trend, |past| past.rto_seconds, figures.rto_limit_seconds))
            (chart("RPO", kind, &evidence.trend, |past| past.rpo_seconds, figures.rpo_limit_seconds))
        }
        (list(&evidence.trend))
    }
}

fn list(trend: &[Past]) -> Markup {
    let left_out = trend.len().saturating_sub(LISTED);
    html! {
        table.trend {
            thead {
                tr {
                    th scope="col" { "Ended" }
                    th scope="col" { "Verdict" }
                    th.number scope="col" { "RTO" }
                    th.number scope="col" { "RPO" }
                    th scope="col" { "Id" }
                }
            }
            tbody {
                @for past in trend.iter().rev().take(LISTED) {
                    tr {
                        th scope="row" { (time(past.at)) }
                        td { (sign(past.outcome.word())) }
                        td.number { (past.rto_seconds.map_or_else(|| "–".to_owned(), human_seconds)) }
                        td.number { (past.rpo_seconds.map_or_else(|| "–".to_owned(), human_seconds)) }
                        td.data { (past.id) }
                    }
                }
            }
        }
        @if left_out > 0 { p.none { "and " (left_out) " before" } }
    }
}

/// Where values and times lie in a chart.
struct Frame {
    first: Timestamp,
    last: Timestamp,
    top: f64,
}

impl Frame {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = self.last.duration_since(self.first).as_secs_f64();
        if whole <= 0.0 {
            return f64::midpoint(LEFT, RIGHT);
        }
        LEFT + 8.0 + (RIGHT - LEFT - 16.0) * at.duration_since(self.first).as_secs_f64() / whole
    }

    fn y(&self, seconds: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (seconds / self.top).clamp(0.0, 1.0)
    }
}

fn chart(name: &str, kind: &str, trend: &[Past], value: fn(&Past) -> Option<f64>, limit: Option<f64>) -> Markup {
    let highest = trend.iter().filter_map(value).chain(limit).fold(0.0, f64::max);
    let (Some(first), Some(last)) = (trend.first(), trend.last()) else { return html! {} };
    let frame = Frame { first: first.at, last: last.at, top: nice(highest * 1.08) };
    let (title, text) = (format!("trend-{name}-title"), format!("trend-{name}-text"));
    html! {
        figure.chart {
            figcaption { (name) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (title) " " (text) } {
                title id=(title) { (name) " of " (trend.len()) " " (kind) "s" }
                desc id=(text) { (in_words(trend, value, limit)) }
                g.axis aria-hidden="true" {
                    @for part in [0.0, 0.5, 1.0] {
                        @let y = px(frame.y(frame.top * part));
                        line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(y) y2=(y) {}
                        text x=(px(LEFT - 8.0)) y=(px(frame.y(frame.top * part) + 4.0)) text-anchor="end" {
                            (if part == 0.0 { "0".to_owned() } else { span(frame.top * part) })
                        }
                    }
                    text x=(px(LEFT)) y=(px(HEIGHT - 8.0)) { (day(first.at)) }
                    text x=(px(RIGHT)) y=(px(HEIGHT - 8.0)) text-anchor="end" { (day(last.at)) }
                }
                @if let Some(limit) = limit {
                    (limit_line(&frame, limit))
                }
                polyline.values points=(points(&frame, trend, value)) {}
                @for past in trend {
                    (point(&frame, past, value(past)))
                }
            }
        }
    }
}

fn limit_line(frame: &Frame, limit: f64) -> Markup {
    let y = frame.y(limit);
    html! {
        g.limit {
            line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y)) y2=(px(y)) {}
            text x=(px(RIGHT)) y=(px(y - 5.0)) text-anchor="end" { "limit " (span(limit)) }
        }
    }
}

fn points(frame: &Frame, trend: &[Past], value: fn(&Past) -> Option<f64>) -> String {
    let known = trend.iter().filter_map(|past| Some((past.at, value(past)?)));
    known.map(|(at, value)| format!("{},{}", px(frame.x(at)), px(frame.y(value)))).collect::<Vec<_>>().join(" ")
}

/// A dot where it passed, a cross where it failed, a ring where it was left; without a value on the ground.
fn point(frame: &Frame, past: &Past, value: Option<f64>) -> Markup {
    let (x, y) = (frame.x(past.at), frame.y(value.unwrap_or(0.0)));
    html! {
        g class={ "point " (past.outcome.word()) } {
            title { (day(past.at)) ": " (past.outcome.word()) @if let Some(value) = value { ", " (human_seconds(value)) } }
            @match past.outcome {
                Outcome::Failed => path d={ "M" (px(x - 4.0)) " " (px(y - 4.0)) " l8 8 M" (px(x + 4.0)) " " (px(y - 4.0)) " l-8 8" } {},
                Outcome::Passed | Outcome::Unfinished => circle cx=(px(x)) cy=(px(y)) r="3.2" {},
            }
        }
    }
}

fn in_words(trend: &[Past], value: fn(&Past) -> Option<f64>, limit: Option<f64>) -> String {
    let known = || trend.iter().filter_map(value);
    let failed = trend.iter().filter(|past| past.outcome == Outcome::Failed).count();
    let (lowest, highest) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
    let limit = limit.map(|limit| format!(" The limit is {}.", span(limit))).unwrap_or_default();
    if lowest.is_infinite() {
        return format!("None has a value.{limit}");
    }
    format!("Between {} and {}; {failed} failed.{limit}", human_seconds(lowest), human_seconds(highest))
}

/// A round number that is not below: the halves of an axis are round then, too.
fn nice(seconds: f64) -> f64 {
    const ROUND: [f64; 31] = [
        1.0, 2.0, 4.0, 6.0, 10.0, 20.0, 30.0, 40.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0, 480.0, 600.0, 720.0, 960.0,
        1200.0, 1800.0, 2400.0, 3600.0, 5400.0, 7200.0, 10800.0, 14400.0, 21600.0, 28800.0, 43200.0, 86400.0,
        172_800.0,
    ];
    ROUND.into_iter().find(|round| *round >= seconds).unwrap_or_else(|| (seconds / 172_800.0).ceil() * 172_800.0)
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}
