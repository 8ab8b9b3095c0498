//! A live line for each running step on a terminal; what is done scrolls up and stays.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Face, drill_lines, finding_lines, record_line, report_text, still};
use crate::actions::Finding;
use crate::engine::Listener;
use crate::event::{Event, Live};
use crate::journal::Record;
use crate::plan::Plan;
use crate::report::evidence::Evidence;
use crate::report::{Report, Written, human_seconds};

/// How many lines of a command's output are shown under its step.
const TAIL: usize = 4;

/// Bars.
#[derive(Debug)]
pub struct Bars {
    shown: Mutex<Shown>,
    verbose: bool,
}

/// What is on the live lines now.
#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    begun: Instant,
    note: String,
    bytes: Option<(u64, u64)>,
    tail: VecDeque<String>,
}

impl Bars {
    /// With all the output of commands when verbose, else its tail.
    pub fn new(verbose: bool) -> Self {
        Self { shown: Mutex::new(Shown::new("", true)), verbose }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, what: &str) {
        let mut shown = self.shown();
        shown.bar.finish_and_clear();
        *shown = Shown::new(what, false);
    }

    /// How long the live line has been there.
    fn end(&self) -> String {
        let shown = self.shown();
        shown.bar.finish_and_clear();
        human_seconds(shown.begun.elapsed().as_secs_f64())
    }

    fn print(&self, text: &str) {
        let bar = self.shown().bar.clone();
        // A closed standard error is no reason to stop a recovery.
        bar.suspend(|| drop(std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes())));
    }
}

impl Shown {
    fn new(what: &str, hidden: bool) -> Self {
        let bar = if hidden { ProgressBar::hidden() } else { live_line(what.to_owned()) };
        Self { bar, begun: Instant::now(), note: String::new(), bytes: None, tail: VecDeque::new() }
    }

    /// Takes the live line away; answers whether there was one.
    fn hide(&self) -> bool {
        let was_shown = !self.bar.is_hidden() && !self.bar.is_finished();
        self.bar.finish_and_clear();
        was_shown
    }

    /// The live line as it was, with the time that has passed since.
    fn show_again(&mut self) {
        self.bar = live_line(self.bar.prefix()).with_elapsed(self.begun.elapsed());
        self.draw();
    }

    fn draw(&self) {
        let mut message = String::new();
        if let Some((done, total)) = self.bytes {
            message.push_str(&format!("  {} of {}", mib(done), mib(total)));
            let seconds = self.begun.elapsed().as_secs_f64();
            if seconds > 0.5 {
                #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
                message.push_str(&format!("  {:.0} MiB/s", done as f64 / seconds / 1_048_576.0));
            }
        }
        if !self.note.is_empty() {
            message.push_str(&format!("  {}", self.note));
        }
        for line in &self.tail {
            message.push_str(&format!("\n      | {line}"));
        }
        self.bar.set_message(message);
    }
}

fn live_line(what: String) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, still::stderr());
    let style = ProgressStyle::with_template("  {spinner} {prefix}  {elapsed}{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A line as far as the terminal is wide: a longer one would be drawn over the lines above.
fn fitting(line: &str) -> String {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col));
    line.chars().filter(|c| !c.is_control()).take(columns.saturating_sub(10)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a size for the eye")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[async_trait]
impl Listener for Bars {
    fn record(&self, record: &Record) {
        match &record.data {
            Event::StepStarted { step, .. } => self.begin(step),
            Event::UndoStarted { step, .. } => self.begin(&format!("undoing {step}")),
            Event::StepKept { .. } => {}
            Event::StepDone { .. } | Event::UndoDone { .. } => {
                let took = self.end();
                if let Some(text) = record_line(&record.data) {
                    self.print(&format!(
                        "  {} {text}  {}",
                        style("✓").for_stderr().green(),
                        style(took).for_stderr().dim()
                    ));
                }
            }
            event => {
                self.end();
                if let Some(text) = record_line(event) {
                    let bad = matches!(event, Event::StepFailed { .. } | Event::UndoFailed { .. });
                    let text = if bad { style(text).for_stderr().red().bold() } else { style(text).for_stderr() };
                    self.print(&format!("    {text}"));
                }
            }
        }
    }

    fn live(&self, live: &Live) {
        if let (Live::Output { line, .. }, true) = (live, self.verbose) {
            self.print(&format!("    | {line}"));
            return;
        }
        let mut shown = self.shown();
        match live {
            Live::Output { line, .. } => {
                shown.tail.push_back(fitting(line));
                if shown.tail.len() > TAIL {
                    shown.tail.pop_front();
                }
            }
            Live::Bytes { done, total, .. } => shown.bytes = Some((*done, *total)),
            Live::Note { note, .. } => shown.note.clone_from(note),
        }
        shown.draw();
    }

    async fn confirm(&self, question: &str) -> Option<bool> {
        // It would be drawn over the question.
        let was_shown = self.shown().hide();
        let answer = crate::cli::ask::yes_or_no(question).await;
        if was_shown {
            self.shown().show_again();
        }
        answer
    }
}

impl Face for Bars {
    fn doing(&self, what: &str) {
        self.begin(what);
    }

    fn findings(&self, findings: &[Finding]) {
        self.end();
        for finding in findings {
            self.print(&finding_lines(finding));
        }
    }

    fn plan(&self, plan: &Plan) {
        self.print(&format!("\n{plan}"));
    }

    fn warn(&self, warning: &str) {
        self.end();
        self.print(&format!("  {} {warning}", style("warn ").for_stderr().yellow()));
    }

    fn report(&self, report: &Report, written: Option<&Written>, next: &[String]) {
        self.end();
        self.print(&report_text(report, written, next));
    }

    fn drill(&self, evidence: &Evidence, written: Option<&Written>) {
        self.end();
        for text in drill_lines(evidence, written) {
            self.print(&text);
        }
    }
}
