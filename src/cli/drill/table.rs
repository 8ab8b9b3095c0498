//! What several drills came to: a row for each, one exit code, and how both are shown.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::report::{Evidence, human_seconds, span};

/// What a drill came to; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Came {
    /// It passed.
    Passed,
    /// Its inventory cannot be read, or cannot be drilled.
    Unusable,
    /// A check failed before a byte changed.
    Refused,
    /// It failed, and nothing is left.
    Failed,
    /// It was interrupted, or not begun for that; nothing is left.
    Interrupted,
    /// Its target is left, or may be.
    Left,
}

impl Came {
    /// Told by how a process of drctl ended; `None` when a signal other than Ctrl-C's ended it.
    pub(super) fn of(code: Option<i32>) -> Self {
        let is = |exit: Exit| code == Some(u8::from(exit).into());
        match code {
            _ if is(Exit::Done) => Self::Passed,
            _ if is(Exit::Usage) => Self::Unusable,
            _ if is(Exit::Checks) => Self::Refused,
            _ if is(Exit::Interrupted) => Self::Interrupted,
            _ if is(Exit::NeedsPerson) => Self::Left,
            None => Self::Left,
            Some(_) => Self::Failed,
        }
    }

    /// The exit code of a command that came to this.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Passed => Exit::Done,
            Self::Unusable => Exit::Usage,
            Self::Refused => Exit::Checks,
            Self::Failed => Exit::RolledBack,
            Self::Interrupted => Exit::Interrupted,
            Self::Left => Exit::NeedsPerson,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unusable => "UNUSABLE",
            Self::Refused => "REFUSED",
            Self::Failed => "FAILED",
            Self::Interrupted => "INTERRUPTED",
            Self::Left => "TARGET LEFT",
        }
    }
}

/// One drill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) inventory: PathBuf,
    /// Absent when the inventory cannot be read.
    pub(super) cluster: Option<String>,
    pub(super) verdict: Came,
    pub(super) level: Option<String>,
    pub(super) rto_seconds: Option<f64>,
    pub(super) rto_limit_seconds: Option<f64>,
    pub(super) rpo_seconds: Option<f64>,
    pub(super) rpo_limit_seconds: Option<f64>,
    /// Absent when the drill came to no report.
    pub(super) report: Option<PathBuf>,
    /// Why it did not pass, as sentences.
    pub(super) reasons: Vec<String>,
}

impl Row {
    /// A drill of which nothing but its end is known.
    pub(super) fn bare(inventory: PathBuf, cluster: Option<String>, verdict: Came, reason: Option<String>) -> Self {
        Self {
            inventory,
            cluster,
            verdict,
            level: None,
            rto_seconds: None,
            rto_limit_seconds: None,
            rpo_seconds: None,
            rpo_limit_seconds: None,
            report: None,
            reasons: reason.into_iter().collect(),
        }
    }

    /// The same with what its report says.
    pub(super) fn with(mut self, evidence: &Evidence) -> Self {
        let figures = &evidence.figures;
        self.level = evidence.drill.as_ref().map(|drill| drill.level.clone()).filter(|level| !level.is_empty());
        (self.rto_seconds, self.rto_limit_seconds) = (figures.rto_seconds, figures.rto_limit_seconds);
        (self.rpo_seconds, self.rpo_limit_seconds) = (figures.rpo_seconds, figures.rpo_limit_seconds);
        if self.verdict != Came::Passed {
            self.reasons.clone_from(&evidence.verdict.reasons);
        }
        self
    }

    /// What it is called: by its cluster, else by its file.
    pub(super) fn name(&self) -> String {
        self.cluster.clone().unwrap_or_else(|| self.inventory.display().to_string())
    }

    fn cells(&self) -> [String; 6] {
        let figure = |found: Option<f64>, limit: Option<f64>| match (found, limit) {
            (Some(found), Some(limit)) => format!("{} of {}", human_seconds(found), span(limit)),
            (Some(found), None) => human_seconds(found),
            (None, _) => "-".to_owned(),
        };
        [
            self.name(),
            self.verdict.word().to_owned(),
            self.level.clone().unwrap_or_else(|| "-".to_owned()),
            figure(self.rto_seconds, self.rto_limit_seconds),
            figure(self.rpo_seconds, self.rpo_limit_seconds),
            self.report.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string()),
        ]
    }
}

/// The worst of them.
pub(super) fn worst(rows: &[Row]) -> Came {
    rows.iter().map(|row| row.verdict).max().unwrap_or(Came::Passed)
}

/// For people: a line for each, below it why it did not pass, and how many did.
pub(super) fn table(rows: &[Row]) -> String {
    let head = ["cluster", "verdict", "level", "RTO", "RPO", "report"].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(&format!("{}\n", cells.join("  ").trim_end()));
        let reasons = number.checked_sub(1).map(|number| rows[number].reasons.as_slice()).unwrap_or_default();
        for reason in reasons {
            text.push_str(&format!("  {}\n", reason.replace('\n', "\n  ")));
        }
    }
    let passed = rows.iter().filter(|row| row.verdict == Came::Passed).count();
    text.push_str(&format!("{passed} of {} passed\n", rows.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::Came::{Failed, Interrupted, Left, Passed, Refused, Unusable};
    use super::*;

    fn row(name: &str, verdict: Came) -> Row {
        Row::bare(format!("{name}.toml").into(), Some(name.to_owned()), verdict, None)
    }

    #[test]
    fn the_worst_decides() {
        let exit = |rows: &[Came]| {
            let rows: Vec<Row> = rows.iter().map(|came| row("x", *came)).collect();
            u8::from(worst(&rows).exit())
        };
        assert_eq!(exit(&[Passed, Passed]), 0);
        assert_eq!(exit(&[Passed, Unusable]), 2);
        assert_eq!(exit(&[Refused, Unusable]), 3);
        assert_eq!(exit(&[Refused, Failed, Unusable]), 1);
        assert_eq!(exit(&[Interrupted, Failed]), 130);
        assert_eq!(exit(&[Interrupted, Left, Failed]), 5);
    }

    #[test]
    fn how_a_process_ended_tells_what_came_of_it() {
        let codes = [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(7), Some(101), Some(130), None];
        assert_eq!(
            codes.map(Came::of),
            [Passed, Failed, Unusable, Refused, Failed, Left, Failed, Failed, Interrupted, Left]
        );
    }

    #[test]
    fn reads_as_a_table() {
        let passed = Row {
            level: Some("control-plane".to_owned()),
            rto_seconds: Some(41.0),
            rto_limit_seconds: Some(900.0),
            rpo_seconds: Some(7.0),
            report: Some("/s/drills/a/report.html".into()),
            ..row("prod", Passed)
        };
        let failed = Row { reasons: vec!["It did not\nrise.".to_owned()], ..row("staging-eu", Failed) };
        insta::assert_snapshot!(table(&[passed, failed]), @"
        cluster     verdict  level          RTO         RPO   report
        prod        passed   control-plane  41s of 15m  7.0s  /s/drills/a/report.html
        staging-eu  FAILED   -              -           -     -
          It did not
          rise.
        1 of 2 passed
        ");
    }
}
