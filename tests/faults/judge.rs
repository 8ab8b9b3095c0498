//! One trial from a fresh host to the verdict.

use crate::journal::{attempts, is_finished, is_turned, run_id};
use crate::site::{Disks, Scene, Shared, Site, served};
use crate::strike::{Struck, run, strike};
use crate::support::{Lab, Ran};
use crate::trial::{At, During, Fault, Then, Trial, When};

/// How a trial went.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) trial: Trial,
    /// The step that was struck, or what came before and after the steps.
    pub(crate) step: String,
    pub(crate) way: Way,
    /// What was not as it must be.
    pub(crate) failure: Option<String>,
}

/// How the run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The struck process went on by itself.
    WentOn,
    Resumed,
    RolledBack,
    /// Nothing had been touched: a new restore.
    BegunAnew,
    /// Nothing had been touched, and nothing was to be undone.
    Untouched,
    /// The run has fewer points this time.
    NotReached,
}

/// What must hold did not.
type Judged<T> = Result<T, String>;

/// Runs one trial on a host of its own.
pub(crate) fn judge(shared: &Shared, lab: &Lab, trial: Trial) -> Outcome {
    let mut site = Site::new(shared, lab, Disks::of(trial.fault));
    let mut step = String::from("-");
    let judged = conduct(&mut site, &trial, &mut step);
    site.host.down();
    let (way, failure) = match judged {
        Ok(way) => (way, None),
        Err(failure) => (Way::NotReached, Some(failure)),
    };
    Outcome { trial, step, way, failure }
}

fn conduct(site: &mut Site<'_>, trial: &Trial, step: &mut String) -> Judged<Way> {
    let mut args = site.restore();
    if trial.during == During::Rollback {
        expect(&drctl(site, &args), &[0], "an undisturbed restore")?;
        args = ["rollback", &site.lab.run_id(), "--after-success", "--yes"].map(str::to_owned).to_vec();
    }
    let struck = strike(site, trial, &args);
    let Some(at) = &struck.step else {
        return match struck.code {
            Some(0) => Ok(Way::NotReached),
            code => Err(format!("before the point was reached drctl ended with {code:?}: {}", struck.stderr)),
        };
    };
    step.clone_from(at);
    left_well(site, trial, &struck)?;
    site.gate.disarm();
    if trial.fault == Fault::FullTarget {
        site.free();
    }
    site.revive();
    readable(site)?;
    let ended = trial.fault == Fault::KillTwice && kill_again(site, trial)?;
    let way = if ended { trial.then.way() } else { bring_to_end(site, trial, &struck)? };
    match trial.then {
        Then::Forward => restored(site, trial)?,
        Then::Back => as_before(site, trial)?,
    }
    Ok(way)
}

/// The struck process itself: what survives must, what cannot goes with the right code and words.
fn left_well(site: &Site<'_>, trial: &Trial, struck: &Struck) -> Judged<()> {
    let allowed: &[Option<i32>] = match trial.fault {
        Fault::Kill | Fault::KillTwice | Fault::ControllerOff => &[None],
        fault if fault.is_survived() => &[Some(0)],
        Fault::TargetOff => &[Some(0), Some(3), Some(4), Some(5), Some(7)],
        Fault::FullTarget => &[Some(0), Some(3), Some(4), Some(5), Some(7)],
        // A run whose first record finds no space is not begun.
        Fault::FullController => &[Some(3), Some(4)],
        _ => &[Some(4)],
    };
    // Only a rollback leaves something to a person, what never began was not touched, and only a proof fails as one.
    let out_of_place = match struck.code {
        Some(5) => trial.during == During::Restore,
        Some(3) => run_id(site).is_some(),
        Some(7) => struck.step.as_deref().is_none_or(|step| !step.starts_with("verify-")),
        _ => false,
    };
    if !allowed.contains(&struck.code) || out_of_place {
        return Err(format!("struck, drctl ended with {:?} instead of {allowed:?}: {}", struck.code, struck.stderr));
    }
    // (7: etcd died of it under the proof, and can only be seen to be gone.)
    let full = matches!(trial.fault, Fault::FullController | Fault::FullTarget) && !matches!(struck.code, Some(0 | 7));
    let stderr = struck.stderr.to_lowercase();
    // What is found before the run is a finding, later it is the system's own word.
    if full && !stderr.contains("no space left on device") && !stderr.contains("disk-too-small") {
        return Err(format!("a full disk is not told: {}", struck.stderr));
    }
    Ok(())
}

/// Whatever happened, the run can be shown.
fn readable(site: &Site<'_>) -> Judged<()> {
    let Some(run_id) = run_id(site) else { return Ok(()) };
    expect(&run(site, &["show", &run_id]), &[0], "show").map(drop)
}

fn bring_to_end(site: &Site<'_>, trial: &Trial, struck: &Struck) -> Judged<Way> {
    let Some(run_id) = run_id(site) else {
        let touched = site.tree() != site.before;
        if touched || struck.code == Some(0) {
            return Err(format!("no run is known, touched: {touched}: {}", struck.stderr));
        }
        if trial.then == Then::Back {
            return Ok(Way::Untouched);
        }
        expect(&drctl(site, &site.restore()), &[0], "a restore after one that never began")?;
        return Ok(Way::BegunAnew);
    };
    let ended = struck.code == Some(0);
    match (trial.then, trial.during) {
        (Then::Forward, _) if ended => Ok(Way::WentOn),
        (Then::Back, During::Rollback) if ended => Ok(Way::WentOn),
        (then, _) => {
            let (command, code) = taking_up(site, trial, &run_id);
            expect(&drctl(site, &command), &[code], "taking the run up")?;
            Ok(then.way())
        }
    }
}

impl Then {
    fn way(self) -> Way {
        match self {
            Self::Forward => Way::Resumed,
            Self::Back => Way::RolledBack,
        }
    }
}

/// The command that goes on with a run, and how it ends: a rollback is gone on with by `resume` as well, to which nothing but a
/// restored control plane is 0.
fn taking_up(site: &Site<'_>, trial: &Trial, run_id: &str) -> (Vec<String>, i32) {
    let (args, code): (&[&str], i32) = match trial.then {
        Then::Forward => (&["resume", run_id], 0),
        Then::Back if is_turned(site, run_id) && trial.at.is_odd() => (&["resume", run_id], 1),
        Then::Back if is_finished(site, run_id) => (&["rollback", run_id, "--yes", "--after-success"], 0),
        Then::Back => (&["rollback", run_id, "--yes"], 0),
    };
    (args.iter().map(|arg| (*arg).to_owned()).collect(), code)
}

/// Kills the command that takes the run up as well, unless it comes to its end before that point: then it answers yes.
fn kill_again(site: &mut Site<'_>, trial: &Trial) -> Judged<bool> {
    let (Some(run_id), At::Operation(number)) = (run_id(site), trial.at) else { return Ok(false) };
    let counts = site.shared.counts;
    let (operations, records) = match trial.then {
        Then::Forward => (counts.operations, counts.records),
        Then::Back => (counts.undo_operations, counts.undo_records),
    };
    // Each number of the first strike has another one here, through all that there are.
    let at = match number % 3 {
        0 => At::Record(1 + number * 5 % records),
        _ => At::Operation(1 + number * 5 % operations),
    };
    let again = Trial { at, when: [When::Before, When::After][number % 2], ..*trial };
    let (command, code) = taking_up(site, trial, &run_id);
    let struck = strike(site, &again, &command);
    site.gate.disarm();
    if struck.step.is_some() || struck.code == Some(code) {
        return Ok(struck.code == Some(code));
    }
    Err(format!("{command:?} ended with {:?}: {}", struck.code, struck.stderr))
}

/// The state that an undisturbed run ends in.
fn restored(site: &Site<'_>, trial: &Trial) -> Judged<()> {
    begun_once(site, trial, 1)?;
    if let Some(origin) = &site.shared.origin {
        let found = served(&site.host);
        if found != origin.contents {
            return Err(format!("etcd serves {found:?}, expected {:?}", origin.contents));
        }
    }
    let odd = difference(&site.shared.left, &site.left());
    if !odd.is_empty() {
        return Err(format!("what is left is not what an undisturbed run leaves:{odd}"));
    }
    let wrong = site.host.sh(&expected_files(site.shared.scene));
    if !wrong.is_empty() {
        return Err(format!("after the restore: {wrong}"));
    }
    Ok(())
}

/// Commands that must not be repeated were begun so often at least, and no more than once; where the target's power was cut,
/// no more than once in each attempt: what a power cut broke off is undone and begun again, a checkpoint is not.
fn begun_once(site: &Site<'_>, trial: &Trial, least: usize) -> Judged<()> {
    let starts = site.starts();
    let commands: &[&str] = match site.shared.scene {
        Scene::Light => &["change", "start-etcd"],
        Scene::Kube => &["kubeadm-init"],
    };
    for command in commands {
        let count = starts.iter().filter(|start| start == command).count();
        let most = if trial.fault == Fault::TargetOff { attempts(site, command) } else { 1 };
        if count < least || count > most {
            return Err(format!("`{command}` was begun {count} times, expected {least} to {most}"));
        }
    }
    Ok(())
}

/// A script that says what is not as a finished run leaves it.
fn expected_files(scene: Scene) -> String {
    let common = "is() { [ \"$2\" = \"$3\" ] || echo \"$1: $2 instead of $3\"; }
        at() { stat -c '%a %U:%G' -- \"$1\"; }
        is ca.key \"$(at /etc/kubernetes/pki/ca.key)\" '600 root:root'
        is etcd \"$(at /var/lib/etcd/member)\" '700 root:root'
        is left \"$(find / -xdev -name '.drctl-*.new*' -o -xdev -name '.drctl-*.undone')\" ''
        is holder \"$(ls /var/lib/drctl/holder 2>/dev/null)\" ''
        is passing \"$(ls -d /var/lib/drctl/*/passing /var/lib/drctl/*/uploads 2>/dev/null)\" ''
        is kept \"$(find /var/lib -path '*.drctl-*' -name 'a note.txt' | wc -l)\" 1\n";
    let own = match scene {
        Scene::Light => {
            "is change \"$(cat /root/kept/file /root/kept/more)\" \"$(printf 'new\\nmore')\"
             is upload \"$(at '/root/uploaded/a file')\" '600 root:root'\n"
        }
        Scene::Kube => {
            "is shop \"$(kubectl --kubeconfig /etc/kubernetes/admin.conf get ns shop billing --no-headers | wc -l)\" 2\n"
        }
    };
    format!("{common}{own}")
}

/// The tree as it was; nothing of drctl's is left but the lock's number. Undoing again changes nothing.
fn as_before(site: &Site<'_>, trial: &Trial) -> Judged<()> {
    begun_once(site, trial, 0)?;
    same_tree(site)?;
    if let Some(run_id) = run_id(site) {
        let again = run(site, &["rollback", &run_id, "--yes"]);
        expect(&again, &[0], "a second rollback")?;
        same_tree(site)?;
    }
    Ok(())
}

fn same_tree(site: &Site<'_>) -> Judged<()> {
    let odd = difference(&site.before, &site.tree());
    if !odd.is_empty() {
        return Err(format!("the tree is not as before:{odd}"));
    }
    let left = site.host.sh("find / -xdev -name '.drctl-*'; ls /var/lib/drctl 2>/dev/null | grep -vx -e epoch -e mutex
         pidof etcd; ls /root/etcd.enabled 2>/dev/null; true");
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left}")) }
}

/// The lines that only one of them has.
fn difference(expected: &str, found: &str) -> String {
    let lines = |from: &str, other: &str, sign: char| {
        let odd = from.lines().filter(|line| !other.lines().any(|same| same == *line));
        odd.map(|line| format!("\n{sign} {line}")).collect::<String>()
    };
    lines(expected, found, '-') + &lines(found, expected, '+')
}

fn drctl(site: &Site<'_>, args: &[String]) -> Ran {
    run(site, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn expect<'r>(ran: &'r Ran, codes: &[i32], what: &str) -> Judged<&'r Ran> {
    if ran.code.is_some_and(|code| codes.contains(&code)) {
        return Ok(ran);
    }
    Err(format!("{what} ended with {:?}: {}{}", ran.code, ran.stdout, ran.stderr))
}
