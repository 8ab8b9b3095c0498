//! Commands of a playbook as jobs on real hosts: silent for long, flooding, endless, and with children of every kind.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{ADDRESS, Host, Lab, Ran};

const MIB: u64 = 1 << 20;

/// An inventory, and a playbook of one step with this command; the arguments of `drctl restore`.
fn restore(lab: &Lab, host: &Host<'_>, target: &str, run: &str, more: &str) -> [String; 6] {
    let backup = lab.backup();
    let inventory = format!(
        "[cluster]\nname = \"jobs\"\nendpoint = \"{ADDRESS}:6443\"\n\n{}{target}\n\
         [[snapshots]]\nfolder.path = \"{1}/snapshots\"\n\n[pki]\ndir = \"{1}/pki\"\n",
        host.target("ops"),
        backup.display(),
    );
    let inventory = lab.write("jobs.toml", inventory);
    let run = run.replace('$', "$$");
    let playbook =
        format!("name = \"jobs\"\n\n[[step]]\nname = \"it\"\naction = \"command\"\nrun = '''\n{run}'''\n{more}\n");
    let playbook = lab.write("playbook.toml", playbook);
    ["restore", "--yes", "--inventory", &inventory, "--playbook", &playbook].map(str::to_owned)
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Waits for something on the host.
fn until(host: &Host<'_>, fact: &str) {
    host.sh(&format!(
        "n=0; until {fact}; do n=$((n + 1)); [ $n -lt 600 ] || {{ echo 'never: {fact}' >&2; exit 1; }}; sleep 0.1; done"
    ));
}

/// Which of the processes whose numbers are in these files still run. One that nobody asked after has no command line.
fn living(host: &Host<'_>, files: &str) -> String {
    let line = "cat /proc/$(cat /root/$f)/cmdline 2>/dev/null | tr -d '\\0'";
    host.sh(&format!("for f in {files}; do [ -z \"$({line})\" ] || echo $f; done"))
}

/// The most memory that a process ever had, in bytes; `None` when it is gone.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") << 10)
}

/// Waits for drctl's end; what it said, and the most memory that it had.
fn measured(mut drctl: Child) -> (Ran, u64) {
    let mut most = 0;
    while drctl.try_wait().expect("it can be waited for").is_none() {
        most = peak(drctl.id()).unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(20));
    }
    (drctl.wait_with_output().expect("its output").into(), most)
}

/// Every limit of the link is a second or two: were one of them a limit on silence, a command that says nothing for
/// twenty seconds would not be followed to its end.
#[test]
fn a_command_that_is_silent_for_many_times_every_limit_is_followed_to_its_end() {
    let lab = Lab::new();
    let sshd = lab.write("sshd", "RekeyLimit 1M 2s\nClientAliveInterval 1\nClientAliveCountMax 2\n");
    let host = lab.host("target", "light", ADDRESS, &["--sshd-config", &sshd]);
    let limits = "keepalive = \"1s\"\nconnect_timeout = \"2s\"\n".to_owned();
    let target = host.target("ops").replace("reconnect_for = \"30s\"", "reconnect_for = \"1s\"");
    let args = restore(&lab, &host, &limits, "sleep 20; echo woken; exit 9\n", "timeout = \"1m\"");
    let inventory = std::fs::read_to_string(&args[3]).expect("the inventory").replace(&host.target("ops"), &target);
    lab.write("jobs.toml", inventory);
    let start = Instant::now();
    let ran = lab.drctl(&[&words(&args)[..], &["-vv"]].concat()).expect(4);
    assert!(start.elapsed() >= Duration::from_secs(20));
    assert!(ran.stderr.contains("exit status 9\n") && ran.stderr.contains("| woken"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("logged in").count(), 1, "one connection lasts: {}", ran.stderr);
}

#[test]
fn a_flood_takes_little_on_both_sides_and_its_end_comes_through_a_cut_link() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let flood = "yes 'this line is one of very many' | head -c 536870912
: >/root/half; until [ -e /root/go ]; do sleep 0.05; done
yes 'this line is one of very many' | head -c 536870912
echo; echo 'the very end'; exit 7
";
    let args = restore(&lab, &host, "keepalive = \"1s\"\n", flood, "timeout = \"5m\"");
    let mut command = lab.command(&words(&args));
    let drctl = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run");

    until(&host, "[ -e /root/half ]");
    let keepers = host.sh("for p in /proc/[0-9]*; do case $(readlink $p/cwd) in /var/lib/drctl/*/it/1-apply) \
         sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p' $p/status ;; esac; done");
    let keepers: Vec<u64> = keepers.lines().map(|line| line.parse().expect("kilobytes")).collect();
    assert!(keepers.len() >= 3, "the wrapper, `tee` and `tail` are among {keepers:?}");
    assert!(keepers.iter().all(|kilobytes| *kilobytes < 8 << 10), "{keepers:?} KiB");
    lab.lab(&["cut", "target"]);
    host.sh(": >/root/go");
    until(&host, "[ -e /var/lib/drctl/*/it/1-apply/rc ]");
    lab.lab(&["mend", "target"]);

    let (ran, most) = measured(drctl);
    let ran = ran.expect(4);
    assert!(ran.stderr.contains("exit status 7") && ran.stderr.contains("| the very end"), "{}", ran.stderr);
    assert!(ran.stderr.len() < 16 << 10, "{} bytes are told", ran.stderr.len());
    assert!(most < 96 * MIB, "drctl took {} MiB", most / MIB);
    let kept: u64 = host.sh("du -s --block-size=1 /var/lib/drctl | cut -f1").trim().parse().expect("bytes");
    assert!(kept < 9 * MIB, "{} MiB are kept on the target", kept / MIB);
    let journal = lab.sizes("state");
    assert!(journal < MIB, "{journal} bytes are kept on the controller");
}

#[test]
fn a_command_without_end_gets_sigterm_at_its_limit_and_sigkill_ten_seconds_later_with_all_its_group() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let endless = "
trap 'cut -d\" \" -f1 /proc/uptime >/root/asked' TERM
cut -d' ' -f1 /proc/uptime >/root/begun
(trap '' TERM; sh -c 'echo $PPID' >/root/child; while :; do sleep 0.05; done) &
while :; do cut -d' ' -f1 /proc/uptime >/root/last.new; mv /root/last.new /root/last; sleep 0.05; done
";
    let args = restore(&lab, &host, "", endless, "timeout = \"2s\"");
    let ran = lab.drctl(&words(&args)).expect(4);
    assert!(ran.stderr.contains("did not end within 2s"), "{}", ran.stderr);
    let at = |name: &str| host.sh(&format!("cat /root/{name}")).trim().parse::<f64>().expect("seconds");
    let (term, kill) = (at("asked") - at("begun"), at("last") - at("asked"));
    assert!((1.5..5.0).contains(&term), "SIGTERM came after {term} s");
    assert!((9.0..13.0).contains(&kill), "SIGKILL came {kill} s after SIGTERM");
    assert_eq!(living(&host, "child"), "");
}

#[test]
fn children_of_every_kind_end_with_the_command_unless_they_let_go_of_the_jobs_lock() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let parent = "
sh -c 'echo $$ >/root/group; exec sleep 300' &
setsid sh -c 'echo $$ >/root/session; exec sleep 300' &
(setsid sh -c 'echo $$ >/root/forked; exec sleep 300' &) &
setsid sh -c 'trap \"\" TERM; echo $$ >/root/stubborn; while :; do sleep 1; done' &
setsid -f sh -c 'echo $$ >/root/daemon; exec sleep 300' </dev/null >/dev/null 2>&1 9>&-
for f in group session forked stubborn daemon; do until [ -s /root/$f ]; do sleep 0.05; done; done
";
    let undo = "undo = 'kill $$(cat /root/daemon)'";
    let args = restore(&lab, &host, "", parent, undo);
    let start = Instant::now();
    lab.drctl(&words(&args)).expect(0);
    assert!(start.elapsed() > Duration::from_secs(9), "the stubborn one was given ten seconds");
    assert_eq!(living(&host, "group session forked stubborn daemon"), "daemon\n");
    lab.drctl(&["rollback", &lab.run_id(), "--after-success", "--yes"]).expect(0);
    assert_eq!(living(&host, "daemon"), "");
}

#[test]
fn where_systemd_is_init_nothing_outlives_its_commands_unit() {
    let lab = Lab::new();
    let host = lab.host("target", "kube", ADDRESS, &[]);
    host.sh("systemctl stop kubelet");
    let parent = "
setsid -f sh -c 'echo $$ >/root/daemon; exec sleep 300' </dev/null >/dev/null 2>&1 9>&-
systemd-run --quiet --unit=wanted sleep 300
until [ -s /root/daemon ]; do sleep 0.05; done
";
    let args = restore(&lab, &host, "", parent, "");
    lab.drctl(&words(&args)).expect(0);
    // The unit ends a moment after its command.
    until(&host, "[ ! -e /proc/$(cat /root/daemon) ]");
    assert_eq!(host.sh("systemctl is-active wanted"), "active\n");
}
