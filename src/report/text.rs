//! The report for people.

use std::fmt;

use super::evidence::is_proof;
use super::{Report, human_seconds};
use crate::event::Ending;

const BAR: usize = 24;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        writeln!(f, "run      {}", header.run)?;
        writeln!(f, "cluster  {} on {}", header.cluster, header.host)?;
        writeln!(
            f,
            "snapshot {} ({} bytes, revision {}, from {})",
            header.snapshot.name, header.snapshot.size, header.snapshot.revision, header.snapshot.source
        )?;
        writeln!(f, "began    {}", self.started.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
        writeln!(f, "state    {}", self.verdict())?;
        writeln!(f)?;
        let whole = self.last.duration_since(self.started).as_secs_f64().max(0.001);
        let name_width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for step in &self.steps {
            let took = step.seconds.map(human_seconds).unwrap_or_default();
            let bar = bar(step.begun_after, step.seconds, whole);
            writeln!(f, "  {:name_width$}  {:<11}  {took:>8}  {bar}", step.name, step.state)?;
            for (name, value) in step.outputs.iter().filter(|_| is_proof(&step.action)) {
                writeln!(f, "  {:name_width$}  | {name}: {value}", "")?;
            }
            for line in step.detail.iter().flat_map(|detail| detail.lines()) {
                writeln!(f, "  {:name_width$}  | {line}", "")?;
            }
        }
        writeln!(f)?;
        if let Some(by_hand) = &self.by_hand {
            writeln!(f, "{by_hand}")?;
        }
        if let Some(rto) = self.rto_seconds {
            writeln!(f, "RTO      {} from the start to the proven control plane", human_seconds(rto))?;
        }
        write!(f, "RPO      {} of changes are not in the snapshot", human_seconds(self.rpo_seconds))
    }
}

impl Report {
    /// How it ended or stands, in a few words.
    pub fn verdict(&self) -> String {
        match (self.ending, &self.stopped) {
            (Some(Ending::Restored), _) => "restored".to_owned(),
            (Some(Ending::RolledBack), _) => "rolled back: the target is as it was".to_owned(),
            (None, Some(reason)) => format!("stopped: {reason}"),
            (None, None) => "not ended: a drctl works on it, or was killed".to_owned(),
        }
    }
}

/// Where in the run's time a step lay.
pub(super) fn bar(begun: Option<f64>, took: Option<f64>, whole: f64) -> String {
    let (Some(begun), Some(took)) = (begun, took) else {
        return String::new();
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of a picture that is a few characters wide"
    )]
    let column = |seconds: f64| ((seconds / whole).clamp(0.0, 1.0) * BAR as f64) as usize;
    let from = column(begun).min(BAR - 1);
    let to = column(begun + took).clamp(from + 1, BAR);
    format!("{}{}{}", "·".repeat(from), "█".repeat(to - from), "·".repeat(BAR - to))
}
