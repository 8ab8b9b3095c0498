//! When each step was worked on, as a picture.

use maud::{Markup, html};

use super::tables::prose;
use crate::report::evidence::{End, Evidence, Span, Step};
use crate::report::{human_seconds, span};

const WIDTH: f64 = 920.0;
/// Where the bars begin and end; names stand before, times behind.
const FROM: f64 = 176.0;
const TO: f64 = 836.0;
const ROW: f64 = 24.0;
const TOP: f64 = 28.0;
/// No bar is thinner.
const THINNEST: f64 = 2.0;
/// Lengths of time that an axis may be divided by, in seconds.
const DIVISIONS: [f64; 19] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0,
    86400.0,
];
const MOST_DIVISIONS: f64 = 7.0;

/// One line of the picture.
struct Row<'a> {
    name: &'a str,
    spans: Vec<Span>,
    usual: Option<f64>,
    took: Option<f64>,
}

impl<'a> From<&'a Step> for Row<'a> {
    fn from(step: &'a Step) -> Self {
        Self { name: &step.name, spans: step.spans.clone(), usual: step.usual_seconds, took: step.seconds }
    }
}

/// The whole picture, with what it says in words.
pub(super) fn gantt(evidence: &Evidence) -> Markup {
    let whole = evidence.ended.duration_since(evidence.begun).as_secs_f64();
    let rows = rows(evidence, whole);
    let skipped = evidence.steps.iter().filter(|step| step.state == "skipped").count();
    let last = rows.iter().flat_map(|row| &row.spans).map(|span| span.after + span.seconds).fold(whole, f64::max);
    let scale = Scale { whole: last.max(0.001) };
    #[expect(clippy::cast_precision_loss, reason = "a picture of some dozen lines")]
    let bottom = TOP + ROW * rows.len() as f64;
    let usual = rows.iter().any(|row| row.usual.is_some());
    html! {
        figure.gantt {
            div.scroll {
                svg viewBox={ "0 0 " (WIDTH) " " (bottom + 6.0) } role="img" aria-labelledby="gantt-title gantt-text" {
                    title id="gantt-title" { "Timeline of the steps" }
                    desc id="gantt-text" { (in_words(&rows)) }
                    (axis(&scale, bottom))
                    @for (number, row) in (0..).zip(&rows) {
                        (line(row, &scale, TOP + ROW * f64::from(number)))
                    }
                    @for (number, moment) in (1..).zip(&evidence.moments) {
                        (mark(number, scale.at(moment.after), bottom))
                    }
                }
            }
            figcaption {
                @if usual { span.key { span.usual {} "mean of those before" } }
                @if skipped > 0 { span { (skipped) @if skipped == 1 { " step was" } @else { " steps were" } " skipped" } }
            }
        }
        @if !evidence.moments.is_empty() {
            ol.moments {
                @for moment in &evidence.moments {
                    li { span.number { (human_seconds(moment.after)) } " " (prose(&moment.what)) }
                }
            }
        }
    }
}

/// The steps that were begun, between the making of the target and its end.
fn rows(evidence: &Evidence, whole: f64) -> Vec<Row<'_>> {
    let figures = &evidence.figures;
    let part = |name, after: f64, took: f64| Row {
        name,
        spans: vec![Span { after, seconds: took, end: End::Done }],
        usual: None,
        took: Some(took),
    };
    let made = figures.create_seconds.map(|took| part("make the target", 0.0, took));
    let gone = figures.destroy_seconds.map(|took| part("destroy the target", (whole - took).max(0.0), took));
    let steps = evidence.steps.iter().filter(|step| !step.spans.is_empty()).map(Row::from);
    made.into_iter().chain(steps).chain(gone).collect()
}

struct Scale {
    whole: f64,
}

impl Scale {
    fn at(&self, seconds: f64) -> f64 {
        FROM + (TO - FROM) * (seconds / self.whole).clamp(0.0, 1.0)
    }

    /// The points that the axis names.
    fn ticks(&self) -> Vec<f64> {
        let fits = |division: &&f64| self.whole / **division <= MOST_DIVISIONS;
        let division = DIVISIONS.iter().find(fits).copied().unwrap_or(self.whole);
        let ticks = (0..).map(|number| division * f64::from(number));
        ticks.take_while(|tick| *tick <= self.whole).collect()
    }
}

fn axis(scale: &Scale, bottom: f64) -> Markup {
    html! {
        g.axis aria-hidden="true" {
            @for tick in scale.ticks() {
                @let x = px(scale.at(tick));
                line x1=(x) x2=(x) y1=(px(TOP - 6.0)) y2=(px(bottom)) {}
                text x=(x) y=(px(TOP - 12.0)) text-anchor="middle" { (tick_text(tick)) }
            }
        }
    }
}

/// Whole numbers where they are: `10s`, `2m`.
fn tick_text(seconds: f64) -> String {
    if seconds < 60.0 {
        let digits = usize::from(seconds.fract() > 0.001);
        format!("{seconds:.digits$}s")
    } else {
        span(seconds)
    }
}

fn line(row: &Row<'_>, scale: &Scale, top: f64) -> Markup {
    let middle = top + ROW / 2.0 + 4.0;
    let last = row.spans.last();
    html! {
        g {
            text.name x="0" y=(px(middle)) { (shortened(row.name)) }
            @if let (Some(usual), Some(span)) = (row.usual, last) {
                (bar("usual", scale, span.after, usual, top + 3.0, ROW - 6.0))
            }
            @for span in &row.spans {
                (bar(class(span.end), scale, span.after, span.seconds, top + 7.0, ROW - 14.0))
            }
            text.took x=(px(WIDTH)) y=(px(middle)) text-anchor="end" {
                (row.took.map(human_seconds).unwrap_or_default())
            }
        }
    }
}

fn bar(class: &str, scale: &Scale, after: f64, seconds: f64, y: f64, height: f64) -> Markup {
    let (from, to) = (scale.at(after), scale.at(after + seconds));
    let width = (to - from).max(THINNEST);
    html! {
        rect class=(class) x=(px(from.min(TO - THINNEST))) y=(px(y)) width=(px(width)) height=(px(height)) rx="1.5" {}
    }
}

const fn class(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Failed | End::UndoFailed => "failed",
        End::Open => "open",
        End::Undone => "undone",
    }
}

fn mark(number: usize, x: f64, bottom: f64) -> Markup {
    html! {
        g.moment {
            line x1=(px(x)) x2=(px(x)) y1=(px(TOP)) y2=(px(bottom)) {}
            circle cx=(px(x)) cy=(px(bottom - 1.0)) r="7" {}
            text x=(px(x)) y=(px(bottom + 2.5)) text-anchor="middle" { (number) }
        }
    }
}

/// What the picture shows, for whoever does not see it.
fn in_words(rows: &[Row<'_>]) -> String {
    let said = rows.iter().filter_map(|row| {
        let span = row.spans.last()?;
        let (after, took) = (human_seconds(span.after), human_seconds(span.seconds));
        Some(format!("{}: begun after {after}, {} after {took} more.", row.name, span.end.word()))
    });
    said.collect::<Vec<_>>().join(" ")
}

/// Names that are longer than their column are told in full by the table.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 24;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}
