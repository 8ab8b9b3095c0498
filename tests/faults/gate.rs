//! The gate on the host, from the test's side.

use std::fs;
use std::path::PathBuf;

use crate::trial::{Fault, When};

/// sshd's own configuration for it.
pub(crate) const SSHD: &str = "ForceCommand exec /srv/lab/gate\n";

/// The gate's folder, seen from the machine.
#[derive(Debug)]
pub(crate) struct Gate {
    folder: PathBuf,
    /// Counts the strikes: what an earlier one left on the host is not taken for this one's.
    strike: u32,
}

impl Gate {
    /// Puts the gate onto a host that the lab keeps in this folder.
    pub(crate) fn install(host: &str) -> Self {
        let gate = Self { folder: PathBuf::from(host).join("shared"), strike: 0 };
        for (name, text, mode) in [("gate", include_str!("gate.sh"), 0o755), ("count", "0\n", 0o666)] {
            let path = gate.folder.join(name);
            fs::write(&path, text).expect("a file of the gate");
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its mode");
        }
        gate
    }

    /// How many commands came through.
    pub(crate) fn count(&self) -> usize {
        let text = fs::read_to_string(self.folder.join("count")).expect("the gate's count");
        text.trim().parse().expect("a number")
    }

    /// Counts from 1 again, and strikes at that command.
    pub(crate) fn arm(&mut self, operation: usize, when: When, fault: Fault) {
        let when = match when {
            When::Before => "before",
            When::Torn => "torn",
            When::Late => "late",
            When::After => "after",
        };
        let how = match fault {
            Fault::Cut => "cut",
            Fault::FullTarget => "fill",
            Fault::Kill
            | Fault::KillTwice
            | Fault::Hole
            | Fault::TargetOff
            | Fault::ControllerOff
            | Fault::FullController => "hold",
        };
        fs::write(self.folder.join("count"), "0\n").expect("the gate's count");
        self.strike += 1;
        fs::write(self.folder.join("at"), format!("{operation} {when} {how} {}\n", self.strike))
            .expect("the gate's order");
    }

    /// Counts from 1 again, and lets all pass.
    pub(crate) fn disarm(&self) {
        // It is there only where something was to be struck.
        drop(fs::remove_file(self.folder.join("at")));
        fs::write(self.folder.join("count"), "0\n").expect("the gate's count");
    }

    /// Whether the chosen command was reached.
    pub(crate) fn is_reached(&self) -> bool {
        self.folder.join(format!("reached.{}", self.strike)).exists()
    }

    /// What holds still goes on.
    pub(crate) fn go(&self) {
        fs::write(self.folder.join(format!("go.{}", self.strike)), "").expect("the gate's folder");
    }
}
