//! Every way a run can end or be left, with its exit code, on a real host: failures, signals, reboots, a lost target.

#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use support::{ADDRESS, Host, Lab, Ran, with_variables_of};

/// A light host, its inventory, and a playbook of these steps.
fn run<'a>(lab: &'a Lab, steps: &str) -> (Host<'a>, Vec<String>) {
    let host = lab.host("target", "light", ADDRESS, &[]);
    let inventory = lab.inventory(&host, "root", &lab.backup());
    let playbook = lab.write("playbook.toml", format!("name = \"test\"\ndescription = \"A test.\"\n{steps}"));
    let args = ["restore", "--inventory", &inventory, "--playbook", &playbook, "--yes"].map(str::to_owned).to_vec();
    (host, args)
}

fn step(name: &str, run: &str, more: &str) -> String {
    format!("[[step]]\nname = \"{name}\"\naction = \"command\"\nrun = '''{run}'''\n{more}\n")
}

fn drctl(lab: &Lab, args: &[String]) -> Ran {
    lab.drctl(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Sends a signal to a drctl that runs as soon as the step has begun on the host; how it ended.
fn signalled(lab: &Lab, host: &Host<'_>, args: &[String], begun: &str, signal: &str) -> Ran {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = lab.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    while !host.try_sh(&format!("[ -e {begun} ]")).status.success() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().expect("kill can be run").success());
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn a_failed_step_stops_at_its_checkpoint_and_resume_tries_it_again() {
    let lab = Lab::new();
    let steps = step("one", "echo one >>/root/log", "verify = 'grep -q one /root/log'")
        + &step(
            "two",
            "echo two >>/root/log; [ -e /root/mended ] || { echo the reason >&2; exit 7; }",
            "undo = 'true'",
        );
    let (host, args) = run(&lab, &steps);
    let ran = drctl(&lab, &args).expect(4);
    assert!(ran.stderr.contains("exit status 7") && ran.stderr.contains("the reason"), "{}", ran.stderr);
    assert!(ran.stderr.contains("drctl resume"), "{}", ran.stderr);
    // Somebody else's run is not begun over it.
    let second = drctl(&lab, &args).expect(6);
    assert!(second.stderr.contains("target-held"), "{}", second.stderr);
    host.sh("touch /root/mended");
    lab.drctl(&["resume"]).expect(0);
    assert_eq!(host.sh("cat /root/log"), "one\ntwo\ntwo\n");
    drctl(&lab, &args).expect(0);
}

#[test]
fn a_file_that_is_missing_when_a_run_is_resumed_skips_no_step() {
    let lab = Lab::new();
    let steps = step("one", "[ -e /root/mended ]", "undo = 'true'")
        + &step("two", "echo two >/root/log", "when = 'pki.sa.key'");
    let (host, args) = run(&lab, &steps);
    let key = lab.write("sa.key", std::fs::read(lab.backup().join("pki/sa.key")).expect("the key"));
    let inventory = std::fs::read_to_string(&args[2]).expect("the inventory");
    lab.write("prod.toml", format!("{inventory}sa_key = \"{key}\"\n"));
    drctl(&lab, &args).expect(4);
    std::fs::remove_file(key).expect("it is gone");
    host.sh("touch /root/mended");
    lab.drctl(&["resume"]).expect(0);
    assert_eq!(host.sh("cat /root/log"), "two\n");
}

#[test]
fn on_failure_rollback_leaves_the_target_as_it_was() {
    let lab = Lab::new();
    let steps = step(
        "one",
        "echo new >/root/file; mkdir -p /root/a/b; echo c >/root/a/b/c",
        "touches = ['/root/file', '/root/a']",
    ) + &step("two", "exit 1", "on_failure = 'rollback'\nretries = 1");
    let (host, args) = run(&lab, &steps);
    host.sh("echo old >/root/file; chmod 640 /root/file; touch -d 2001-02-03 /root/file");
    let before = host.tree(&["/root"]);
    let ran = drctl(&lab, &args).expect(1);
    assert!(ran.stderr.contains("rolled back: the target is as it was"), "{}", ran.stderr);
    assert_eq!(before, host.tree(&["/root"]));
    drctl(&lab, &args).expect(1);
}

#[test]
fn an_undo_that_fails_needs_a_person_and_can_be_gone_on_with() {
    let lab = Lab::new();
    let steps = step("one", "true", "undo = '[ -e /root/mended ]'") + &step("two", "exit 1", "on_failure = 'rollback'");
    let (host, args) = run(&lab, &steps);
    let ran = drctl(&lab, &args).expect(5);
    assert!(ran.stderr.contains("UNDO FAILED one"), "{}", ran.stderr);
    assert!(lab.drctl(&["show", &lab.run_id()]).stdout.contains("undo failed"));
    host.sh("touch /root/mended");
    // Nothing but a restored control plane is 0 to `resume`: a rollback is what `rollback` is asked for.
    let id = lab.run_id();
    lab.drctl(&["resume"]).expect(1);
    lab.drctl(&["resume", &id]).expect(1);
    lab.drctl(&["rollback", "--yes", &id]).expect(0);
}

/// An older copy of the state folder was put back: its journal is whole, and does not know of what came after.
#[test]
fn a_journal_that_lacks_its_end_undoes_all_of_the_run_or_nothing() {
    let lab = Lab::new();
    let steps = step("one", "touch /root/one", "undo = 'rm -f /root/one'")
        + &step("two", "touch /root/two; exit 1", "undo = 'rm -f /root/two'");
    let (host, args) = run(&lab, &steps);
    for kept in 1.. {
        // What was refused stands as it stood, and is the next one's.
        if host.try_sh("[ ! -e /root/two ]").status.success() {
            drctl(&lab, &args).expect(4);
        }
        let id = lab.run_id();
        let path = lab.dir.path().join("state/runs").join(&id).join("journal.ndjson");
        let whole = std::fs::read_to_string(&path).expect("the journal");
        if kept > whole.lines().count() {
            break;
        }
        let cut: String = whole.split_inclusive('\n').take(kept).collect();
        std::fs::write(&path, &cut).expect("the journal");
        if cut.contains("\"step_started\",\"step\":\"two\"") {
            lab.drctl(&["rollback", &id, "--yes"]).expect(0);
            assert_eq!(
                host.sh("ls /root/one /root/two /var/lib/drctl 2>/dev/null || true"),
                "/var/lib/drctl:\nepoch\nmutex\n"
            );
            continue;
        }
        let first = if cut.contains("\"one\",\"attempt\"") { "two" } else { "one" };
        let command = if kept == 1 { vec!["resume", &id] } else { vec!["rollback", &id, "--yes"] };
        let ran = lab.drctl(&command).expect(4);
        let said = format!(
            "step `{first}` made `/var/lib/drctl/{id}/{first}` on {ADDRESS}, and the journal does not know of it"
        );
        assert!(ran.stderr.contains(&said), "{kept} records: {}", ran.stderr);
        assert_eq!(host.sh("ls /root/one /root/two"), "/root/one\n/root/two\n");
        assert_eq!(std::fs::read_to_string(&path).expect("the journal"), cut);
        std::fs::write(&path, whole).expect("the journal");
    }
}

#[test]
fn what_remains_by_hand_is_said_at_once_and_by_show() {
    let lab = Lab::new();
    let steps = step("first", "echo new >/srv/one", "touches = ['/srv/one']")
        + &step(
            "second",
            "echo new >/srv/data/file; mkdir /srv/data/sub; mount -t tmpfs none /srv/data/sub",
            "touches = ['/srv/data']",
        )
        + &step("third", "exit 1", "on_failure = 'rollback'");
    let (host, args) = run(&lab, &steps);
    host.sh("mkdir /srv/data; echo old >/srv/data/file; echo old >/srv/one");
    let before = host.tree(&["/srv"]);
    let ran = drctl(&lab, &args).expect(5);
    let id = lab.run_id();
    let shown = lab.drctl(&["show", &id]).expect(0).stdout;
    let by_hand = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with("BY HAND"));
        let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        lines.join("\n").replace(&id, "RUN")
    };
    insta::assert_snapshot!(by_hand(&shown), @"
    BY HAND  step `second` could not be undone: could not put back what was set aside on 10.77.0.10 (exit status 1)
               | rm: cannot remove '/srv/.drctl-RUN.second.undone/sub': Device or resource busy
               | could not remove all of /srv/.drctl-RUN.second.undone; is something mounted below it?
             to be undone after it: first
             not yet as they were on 10.77.0.10:
               second  /srv/data  is kept as /var/lib/drctl/RUN/second/aside/1/data/it
               first   /srv/one   is kept as /var/lib/drctl/RUN/first/aside/1/data/it
             1. on 10.77.0.10, mend what `second` said; leave what is kept where it is
             2. `drctl rollback RUN` undoes `second` again, then the others
             3. `drctl show RUN` tells this again
    ");
    assert_eq!(by_hand(&ran.stderr), by_hand(&shown));
    let json = lab.drctl(&["show", &id, "--output", "json"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("a line of JSON");
    let told = &json["data"]["report"]["by_hand"];
    assert_eq!(told["step"], "second");
    assert_eq!(told["then"], serde_json::json!(["first"]));
    // What it says is so.
    for kept in told["kept"].as_array().expect("paths") {
        let stored = kept["stored"].as_str().expect("both were there");
        assert_eq!(host.sh(&format!("cat {stored}/file 2>/dev/null || cat {stored}")), "old\n");
    }
    // And what it says to do helps.
    host.sh("umount /srv/.drctl-*/sub");
    lab.drctl(&["rollback", "--yes", &id]).expect(0);
    assert_eq!(host.tree(&["/srv"]), before);
    assert!(!lab.drctl(&["show", &id]).expect(0).stdout.contains("BY HAND"));
}

#[test]
fn signals_stop_at_the_checkpoint_and_the_command_goes_on() {
    for signal in ["-INT", "-TERM"] {
        let lab = Lab::new();
        let (host, args) =
            run(&lab, &step("long", "echo begun >>/root/log; sleep 4; echo ended >>/root/log", "undo = 'true'"));
        let ran = signalled(&lab, &host, &args, "/root/log", signal).expect(130);
        assert!(ran.stderr.contains("stopped: interrupted"), "{}", ran.stderr);
        lab.drctl(&["resume"]).expect(0);
        assert_eq!(host.sh("cat /root/log"), "begun\nended\n", "{signal}");
    }
}

/// Runs drctl at a terminal of its own, where something is typed at the very beginning, and something as soon as it asks;
/// how it ended, and what the terminal showed.
fn at_a_terminal(lab: &Lab, args: &[String], ahead: &str, typed: &str) -> Ran {
    let drctl = lab.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let words = std::iter::once(drctl.get_program()).chain(drctl.get_args());
    let line: String = words.map(|word| format!(" '{}'", word.to_string_lossy())).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &format!("exec{line}"), "/dev/null"]);
    with_variables_of(&drctl, &mut script);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script can be run");
    let mut keys = child.stdin.take().expect("its keys");
    keys.write_all(ahead.as_bytes()).expect("it reads");
    let mut shown = Vec::new();
    for byte in BufReader::new(child.stdout.take().expect("its screen")).bytes().map_while(Result::ok) {
        shown.push(byte);
        if shown.ends_with(b"[y/N] ") {
            keys.write_all(typed.as_bytes()).expect("it reads");
        }
    }
    let code = child.wait().expect("it ends").code();
    Ran { code, stdout: String::from_utf8_lossy(&shown).into_owned(), stderr: String::new() }
}

#[test]
fn a_question_is_left_with_ctrl_c_and_asked_again_by_resume() {
    let lab = Lab::new();
    let question = "[[step]]\nname = \"ask\"\naction = \"confirm\"\nquestion = \"Is the switch off?\"\n";
    let (host, args) = run(&lab, &(question.to_owned() + &step("after", "echo after >>/root/log", "undo = 'true'")));
    let left = at_a_terminal(&lab, &args, "", "\x03").expect(130);
    let below = left.stdout.split_once("Is the switch off? [y/N] ").expect("the question").1;
    assert!(below.contains("\n    stopped: interrupted"), "{}", left.stdout);
    // Whoever is impatient has not answered what was not asked yet.
    at_a_terminal(&lab, &["resume".to_owned()], "y\ny\n", "no\n").expect(4);
    assert!(!host.try_sh("[ -e /root/log ]").status.success());
    at_a_terminal(&lab, &["resume".to_owned()], "", "y\n").expect(0);
    assert_eq!(host.sh("cat /root/log"), "after\n");
}

#[test]
fn a_reboot_is_told_apart_from_an_exit() {
    let lab = Lab::new();
    let (host, args) =
        run(&lab, &step("long", "echo begun >>/root/log; sleep 5; echo ended >>/root/log", "undo = 'true'"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let child = lab.command(&args).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    while !host.try_sh("[ -e /root/log ]").status.success() {
        std::thread::sleep(Duration::from_millis(100));
    }
    lab.lab(&["reboot", "target"]);
    let ran: Ran = child.wait_with_output().expect("it ends").into();
    assert!(ran.expect(4).stderr.contains("started anew"));
    lab.drctl(&["resume"]).expect(0);
    assert_eq!(host.sh("cat /root/log"), "begun\nbegun\nended\n");
}

#[test]
fn a_target_that_stays_away_leaves_a_checkpoint() {
    let lab = Lab::new();
    let (host, args) =
        run(&lab, &step("long", "echo begun >>/root/log; sleep 3; echo ended >>/root/log", "undo = 'true'"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let child = lab.command(&args).stderr(Stdio::piped()).spawn().expect("drctl can be run");
    while !host.try_sh("[ -e /root/log ]").status.success() {
        std::thread::sleep(Duration::from_millis(100));
    }
    lab.lab(&["cut", "target"]);
    let ran: Ran = child.wait_with_output().expect("it ends").into();
    assert!(ran.expect(4).stderr.contains("out of reach"));
    lab.lab(&["mend", "target"]);
    lab.drctl(&["resume"]).expect(0);
    assert_eq!(host.sh("cat /root/log"), "begun\nended\n", "the command went on by itself and was not begun again");
}

#[test]
fn what_nobody_can_tell_is_left_to_a_person() {
    let lab = Lab::new();
    let (host, args) = run(&lab, &step("blind", "echo begun >>/root/log; sleep 60", ""));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert!(lab.killed_at(&args, "step_kept", "blind", Duration::from_secs(2)));
    lab.lab(&["reboot", "target"]);
    let ran = lab.drctl(&["resume"]).expect(4);
    assert!(ran.stderr.contains("outcome of step `blind` is unknown"), "{}", ran.stderr);
    assert!(ran.stderr.contains("at a terminal: it asks whether the step happened"), "{}", ran.stderr);
    assert_eq!(host.sh("cat /root/log"), "begun\n");
    lab.drctl(&["rollback", "--yes"]).expect(0);
}

#[test]
fn a_proof_that_fails_has_its_own_exit_code() {
    let lab = Lab::new();
    let steps = "[[step]]\nname = \"prove\"\naction = \"verify_etcd\"\ntls = false\nport = 2379\ntimeout = \"3s\"\n";
    let (_host, args) = run(&lab, steps);
    drctl(&lab, &args).expect(7);
}

#[test]
fn a_run_leaves_a_report_and_no_report_changes_how_it_ends() {
    let lab = Lab::new();
    let steps = step("one", "true", "") + &step("two", "[ -e /root/mended ]", "undo = 'true'");
    let (host, args) = run(&lab, &steps);
    let inventory = std::fs::read_to_string(&args[2]).expect("the inventory");
    let reporting = "[report]\nmetrics = \"textfiles\"\nsign.key = \"none\"\n";
    let inventory = lab.write("prod.toml", inventory + "\n" + reporting);
    let here = std::path::Path::new(&inventory).parent().expect("a folder").to_owned();

    let ran = drctl(&lab, &args).expect(4);
    let folder = here.join("state/runs").join(lab.run_id());
    for warning in ["the report is not signed: the signing key `", "the metrics are not written: could not write `"] {
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    }
    let html = folder.join("report.html");
    assert!(ran.stderr.contains(&format!("\nreport   {}\n", html.display())), "{}", ran.stderr);
    for name in ["report.json", "report.md", "report.html", "seen.json"] {
        let mode = std::fs::metadata(folder.join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777, 0o700);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let report: serde_json::Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(report["verdict"]["outcome"], "failed");
    assert!(report["findings"].as_array().is_some_and(|findings| findings.len() > 5), "{report:#}");
    assert!(report["versions"]["os"].as_str().is_some_and(|os| os.contains("Debian")), "{report:#}");
    for (form, name) in [("json", "report.json"), ("markdown", "report.md"), ("html", "report.html")] {
        assert_eq!(lab.drctl(&["show", &lab.run_id(), "--report", form]).expect(0).stdout, read(name));
    }

    // It cannot be written again, and the run goes on all the same.
    std::fs::remove_file(&html).expect("it is gone");
    std::fs::create_dir_all(html.join("in the way")).expect("a folder");
    let ran = lab.drctl(&["resume"]).expect(4);
    assert!(ran.stderr.contains("the report is not kept: could not write `"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("\nreport   "), "{}", ran.stderr);

    std::fs::remove_dir_all(&html).expect("it is gone");
    std::fs::create_dir(here.join("textfiles")).expect("a folder");
    host.sh("touch /root/mended");
    let ran = lab.drctl(&["resume", "--output", "json"]).expect(0);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let last = lines.last().expect("lines");
    assert_eq!((last["kind"].as_str(), last["data"]["written"]["html"].as_str()), (Some("report"), html.to_str()));
    assert!(lines.iter().any(|line| line["kind"] == "warning"), "the key is still not there");
    let metrics = std::fs::read_to_string(here.join("textfiles/drctl-restore-prod.prom")).expect("metrics");
    assert!(metrics.contains("drctl_verdict{cluster=\"prod\",kind=\"restore\",verdict=\"passed\"} 1"), "{metrics}");
}
