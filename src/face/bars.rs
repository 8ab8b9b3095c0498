//! A live line for each running step on a terminal; what is done scrolls up and stays.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Face, finding_lines, record_line};
use crate::actions::Finding;
use crate::engine::Listener;
use crate::event::{Event, Live};
use crate::journal::Record;
use crate::plan::Plan;
use crate::report::{Report, human_seconds};

/// How many lines of a command's output are shown under its step.
const TAIL: usize = 4;

/// Bars.
#[derive(Debug)]
pub struct Bars {
    bar: ProgressBar,
    shown: Mutex<Shown>,
    verbose: bool,
}

#[derive(Debug, Default)]
struct Shown {
    step: String,
    begun: Option<std::time::Instant>,
    note: String,
    bytes: Option<(u64, u64)>,
    tail: VecDeque<String>,
}

impl Bars {
    /// With all the output of commands when verbose, else its tail.
    pub fn new(verbose: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::default_spinner()
                .template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Self { bar, shown: Mutex::default(), verbose }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, step: &str) {
        *self.shown() = Shown { step: step.to_owned(), begun: Some(std::time::Instant::now()), ..Shown::default() };
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(120));
        self.draw();
    }

    fn draw(&self) {
        let message = self.shown().message();
        self.bar.set_message(message);
    }

    fn print(&self, text: &str) {
        self.bar.suspend(|| drop(std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes())));
    }
}

impl Shown {
    fn message(&self) -> String {
        let mut message = self.step.clone();
        if let Some((done, total)) = self.bytes {
            message.push_str(&format!("  {} of {}", mib(done), mib(total)));
            let seconds = self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
            if seconds > 0.5 {
                #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
                message.push_str(&format!("  {:.0} MiB/s", done as f64 / seconds / 1_048_576.0));
            }
        }
        if !self.note.is_empty() {
            message.push_str(&format!("  {}", self.note));
        }
        if let Some(begun) = self.begun {
            message.push_str(&format!("  {}", human_seconds(begun.elapsed().as_secs_f64())));
        }
        for line in &self.tail {
            message.push_str(&format!("\n    | {line}"));
        }
        message
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for the eye")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

impl Listener for Bars {
    fn record(&self, record: &Record) {
        match &record.data {
            Event::StepStarted { step, .. } => return self.begin(step),
            Event::UndoStarted { step } => return self.begin(&format!("undoing {step}")),
            Event::StepDone { .. } | Event::UndoDone { .. } => {
                let took = self.shown().begun.map(|begun| human_seconds(begun.elapsed().as_secs_f64()));
                if let Some(text) = record_line(&record.data) {
                    self.print(&format!("  {text}  ({})", took.unwrap_or_default()));
                }
            }
            _ => {
                if let Some(text) = record_line(&record.data) {
                    self.print(&format!("  {text}"));
                }
            }
        }
        self.bar.finish_and_clear();
    }

    fn live(&self, live: &Live) {
        match live {
            Live::Output { line, .. } => {
                if self.verbose {
                    self.print(&format!("    | {line}"));
                }
                let mut shown = self.shown();
                shown.tail.push_back(line.chars().filter(|c| !c.is_control()).take(200).collect());
                if shown.tail.len() > TAIL {
                    shown.tail.pop_front();
                }
            }
            Live::Bytes { done, total, .. } => self.shown().bytes = Some((*done, *total)),
            Live::Note { note, .. } => self.shown().note.clone_from(note),
            Live::Finding(_) => {}
        }
        self.draw();
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        self.bar.suspend(|| crate::cli::ask::yes_or_no(question))
    }
}

impl Face for Bars {
    fn doing(&self, what: &str) {
        self.begin(what);
    }

    fn findings(&self, findings: &[Finding]) {
        self.bar.finish_and_clear();
        for finding in findings {
            self.print(&finding_lines(finding));
        }
    }

    fn plan(&self, plan: &Plan) {
        self.print(&format!("\n{plan}"));
    }

    fn report(&self, report: &Report, next: &[String]) {
        self.bar.finish_and_clear();
        self.print(&format!("\n{report}"));
        for next in next {
            self.print(&format!("next     {next}"));
        }
    }
}
