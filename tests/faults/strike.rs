//! Runs a command of drctl and strikes it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::journal;
use crate::site::Site;
use crate::support::{Ran, is_record};
use crate::trial::{At, Fault, Trial, When};

/// How long packets vanish: longer than three keepalives of a second, which is when drctl gives a connection up.
const HOLE: Duration = Duration::from_secs(6);
/// No command may take longer.
const LIMIT: Duration = Duration::from_mins(5);

/// How a struck command ended.
#[derive(Debug)]
pub(crate) struct Struck {
    /// Nothing when it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    /// Where the run stood when it was struck; nothing when it did not come so far.
    pub(crate) step: Option<String>,
}

/// Runs the command to the chosen point, strikes, and waits until its process has left.
pub(crate) fn strike(site: &mut Site<'_>, trial: &Trial, args: &[String]) -> Struck {
    match trial.at {
        At::Operation(number) => at_operation(site, trial, number, args),
        At::Record(number) => at_record(site, trial, number, args),
        At::Tunnel { step, after } => through_tunnel(site, trial, (step, after), args),
    }
}

/// Waits until the journal has the step's beginning, and then that long.
fn through_tunnel(site: &Site<'_>, trial: &Trial, (step, after): (&str, Duration), args: &[String]) -> Struck {
    let mut command = site.lab.command(&[&words(args)[..], &["--output", "json"]].concat());
    let mut drctl = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    let mut lines = BufReader::new(drctl.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let has_begun = lines.any(|line| is_record(&line, "step_kept", step));
    // Somebody must read on, or drctl would wait for that.
    let rest = std::thread::spawn(move || lines.for_each(drop));
    std::thread::sleep(after);
    let reached = has_begun && drctl.try_wait().expect("drctl is a child").is_none();
    if reached {
        match trial.fault {
            Fault::Kill => drctl.kill().expect("drctl can be killed"),
            Fault::Cut => site.host.close_connections(),
            Fault::TargetOff => site.reboot(),
            fault => unreachable!("{fault} does not strike here"),
        }
    }
    let ran = finish(drctl);
    rest.join().expect("its output is read to the end");
    Struck { code: ran.code, stderr: ran.stderr, step: reached.then(|| step.to_owned()) }
}

fn at_record(site: &Site<'_>, trial: &Trial, number: usize, args: &[String]) -> Struck {
    let when = match (trial.fault, trial.when) {
        (Fault::FullController, _) => "full",
        (_, When::Before) => "before",
        (_, When::Torn) => "torn",
        (_, When::Late | When::After) => "after",
    };
    let mut command = site.lab.command(&words(args));
    command.env("LD_PRELOAD", &site.shared.journal).env("FAULT_RECORD", number.to_string()).env("FAULT_WHEN", when);
    let ran = finish(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("drctl can be run"));
    if trial.fault == Fault::ControllerOff {
        site.controller_off();
    }
    let reached = ran.code.is_none() || trial.fault == Fault::FullController;
    Struck { code: ran.code, step: reached.then(|| journal::step_at_hand(site)), stderr: ran.stderr }
}

fn at_operation(site: &mut Site<'_>, trial: &Trial, number: usize, args: &[String]) -> Struck {
    site.gate.arm(number, trial.when, trial.fault);
    let mut command = site.lab.command(&words(args));
    let mut drctl = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    let step = reached(site, &mut drctl).then(|| journal::step_at_hand(site));
    match trial.fault {
        _ if step.is_none() => {}
        Fault::Kill | Fault::KillTwice => {
            drctl.kill().expect("drctl can be killed");
            site.gate.go();
        }
        Fault::Hole => {
            site.lab.lab(&["cut", "target"]);
            site.gate.go();
            std::thread::sleep(HOLE);
            site.lab.lab(&["mend", "target"]);
        }
        Fault::ControllerOff => {
            drctl.kill().expect("drctl can be killed");
            drctl.wait().expect("it ends");
            site.controller_off();
            site.gate.go();
        }
        Fault::TargetOff => site.reboot(),
        Fault::Cut | Fault::FullTarget => {} // The gate strikes by itself.
        Fault::FullController => unreachable!("this strikes records"),
    }
    let ran = finish(drctl);
    Struck { code: ran.code, stderr: ran.stderr, step }
}

/// Waits until the gate holds the chosen command, or drctl has ended.
fn reached(site: &Site<'_>, drctl: &mut Child) -> bool {
    loop {
        if site.gate.is_reached() {
            return true;
        }
        if drctl.try_wait().expect("drctl is a child").is_some() {
            return site.gate.is_reached();
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Waits for the end, and makes one when none comes.
fn finish(mut drctl: Child) -> Ran {
    let begun = Instant::now();
    while drctl.try_wait().expect("drctl is a child").is_none() {
        if begun.elapsed() > LIMIT {
            drctl.kill().expect("drctl can be killed");
            let ran: Ran = drctl.wait_with_output().expect("it ends").into();
            panic!("drctl did not end within {LIMIT:?}: {}", ran.stderr);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    drctl.wait_with_output().expect("it ends").into()
}

/// Runs a command to its end, unless it takes too long.
pub(crate) fn run(site: &Site<'_>, args: &[&str]) -> Ran {
    let mut command = site.lab.command(args);
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run"))
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
