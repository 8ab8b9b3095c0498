//! What the trials came to: a table of steps and faults, and all that failed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::judge::{Outcome, Way};
use crate::site::Counts;
use crate::trial::{During, Fault};

/// All outcomes of a scene.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) scene: &'static str,
    pub(crate) counts: Counts,
    /// How many trials there are in all.
    pub(crate) all: usize,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
}

/// How many of the trials came through, and how many there were.
type Row = BTreeMap<Fault, (usize, usize)>;

const FAULTS: [Fault; 8] = [
    Fault::Kill,
    Fault::KillTwice,
    Fault::Cut,
    Fault::Hole,
    Fault::TargetOff,
    Fault::ControllerOff,
    Fault::FullTarget,
    Fault::FullController,
];

impl Report {
    pub(crate) fn failures(&self) -> Vec<&Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect()
    }

    /// How many trials came as far as their strike.
    pub(crate) fn struck(&self) -> usize {
        self.struck_ones().count()
    }

    fn struck_ones(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.way != Way::NotReached || outcome.failure.is_some())
    }

    /// Leaves the table as `target/matrix/NAME.txt`, and prints it.
    pub(crate) fn leave(&self, name: &str) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/matrix");
        std::fs::create_dir_all(&folder).expect("a folder for the table");
        std::fs::write(folder.join(format!("{name}.txt")), self.to_string()).expect("the table");
        eprintln!("{self}");
    }

    /// How many came through and how many there were, by step and fault.
    fn cells(&self) -> BTreeMap<(&'static str, &str), Row> {
        let mut rows: BTreeMap<_, Row> = BTreeMap::new();
        for outcome in self.struck_ones() {
            let during = match outcome.trial.during {
                During::Restore => "restore",
                During::Rollback => "rollback",
            };
            let cell = rows.entry((during, outcome.step.as_str())).or_default().entry(outcome.trial.fault).or_default();
            cell.0 += usize::from(outcome.failure.is_none());
            cell.1 += 1;
        }
        rows
    }

    fn ways(&self) -> String {
        let ways = [
            (Way::WentOn, "went on by themselves"),
            (Way::Resumed, "were resumed"),
            (Way::RolledBack, "were rolled back"),
            (Way::BegunAnew, "had touched nothing and were begun anew"),
            (Way::Untouched, "had touched nothing"),
        ];
        let well = self.outcomes.iter().filter(|outcome| outcome.failure.is_none());
        let count = |way: Way| well.clone().filter(|outcome| outcome.way == way).count();
        ways.map(|(way, words)| format!("{} {words}", count(way))).join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { operations, records, undo_operations, undo_records, .. } = self.counts;
        writeln!(
            f,
            "{}: a restore has {operations} remote operations and {records} journal records, its rollback {undo_operations} and {undo_records}",
            self.scene
        )?;
        write!(f, "\n{:32}", "struck in")?;
        for fault in FAULTS {
            write!(f, "{:>17}", fault.to_string())?;
        }
        writeln!(f)?;
        for ((during, step), cells) in self.cells() {
            write!(f, "{:32}", format!("{during}: {step}"))?;
            for fault in FAULTS {
                let cell = cells.get(&fault).map_or(String::new(), |(well, all)| format!("{well}/{all}"));
                write!(f, "{cell:>17}")?;
            }
            writeln!(f)?;
        }
        let struck = self.struck();
        let failures = self.failures();
        writeln!(
            f,
            "\n{struck} strikes (of {} trials there are {}) in {:.0?}: {} well, {} failed",
            self.all,
            self.outcomes.len(),
            self.took,
            struck - failures.len(),
            failures.len()
        )?;
        writeln!(f, "{}", self.ways())?;
        for outcome in failures {
            writeln!(
                f,
                "\nFAILED {} (at {})\n{}",
                outcome.trial,
                outcome.step,
                outcome.failure.as_deref().unwrap_or_default()
            )?;
        }
        Ok(())
    }
}
