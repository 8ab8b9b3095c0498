//! Several controllers and one target: one works, the others are told who; whoever lost the lock changes nothing more.

#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{ADDRESS, Host, Lab, Ran, behind};

/// A target that several controllers know, each with journals of its own.
struct Site<'a> {
    lab: &'a Lab,
    host: Host<'a>,
    inventory: String,
}

/// A drctl that runs.
struct Running {
    child: Child,
}

const LOG: &str =
    "\n[[step]]\nname = \"log\"\naction = \"command\"\nrun = 'echo ${run.id} >>/root/log'\nundo = 'true'\n";

fn step(name: &str, body: &str) -> String {
    format!("\n[[step]]\nname = \"{name}\"\n{body}\n")
}

/// Waits without anything under way on the target.
fn wait() -> String {
    step("wait", "action = \"wait_for\"\ncommand = '[ -e /root/go ]'\nevery = \"100ms\"\ntimeout = \"10m\"")
}

impl<'a> Site<'a> {
    fn new(lab: &'a Lab) -> Self {
        let host = lab.host("target", "light", ADDRESS, &[]);
        let inventory = lab.inventory(&host, "root", &lab.backup());
        Self { lab, host, inventory }
    }

    fn restore(&self, controller: &str, steps: &str, more: &[&str]) -> Running {
        let playbook = format!("name = \"test\"\ndescription = \"A test.\"\n{steps}");
        let playbook = self.lab.write(&format!("{controller}.toml"), playbook);
        self.start(controller, &[&["restore", "-i", &self.inventory, "-p", &playbook, "--yes"], more].concat())
    }

    fn start(&self, controller: &str, args: &[&str]) -> Running {
        let mut command = self.lab.command_of(controller, args);
        Running { child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drctl can be run") }
    }

    /// The only run of a controller.
    fn run_of(&self, controller: &str) -> Option<String> {
        let runs = self.lab.command_of(controller, &["runs"]).output().expect("drctl can be run");
        let runs = String::from_utf8(runs.stdout).expect("text");
        assert!(runs.lines().count() == 1, "{runs}");
        (runs != "no runs yet\n").then(|| runs.split(' ').next().expect("a run").to_owned())
    }

    fn until(&self, condition: &str) {
        for _ in 0..600 {
            if self.host.try_sh(condition).status.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("not within a minute: {condition}");
    }

    /// Until a step of a run is under way.
    fn until_begun(&self, controller: &str, step: &str) -> String {
        let runs = self.lab.dir.path().join(controller).join("runs");
        for _ in 0..600 {
            let journal = std::fs::read_dir(&runs).into_iter().flatten().flatten().find_map(|run| {
                let text = std::fs::read_to_string(run.path().join("journal.ndjson")).ok()?;
                text.contains(&format!("\"step_kept\",\"step\":\"{step}\"")).then(|| run.file_name())
            });
            if let Some(run) = journal {
                return run.into_string().expect("text");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{controller} does not come to `{step}`");
    }

    /// As if the holder had not shown itself for longer than a live one may.
    fn age_the_lock(&self) {
        self.host.sh("cd /var/lib/drctl
             { IFS= read -r who; read -r since beat boot state up; } <holder
             printf '%s\\n%-95s\\n' \"$who\" \"$((since - 61)) $((beat - 61)) $boot $state $((up - 61))\" >holder");
    }

    fn log(&self) -> Vec<String> {
        self.host.sh("cat /root/log 2>/dev/null || true").lines().map(str::to_owned).collect()
    }
}

impl Running {
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().expect("kill can be run").success());
    }

    fn ended(self) -> Ran {
        self.child.wait_with_output().expect("it ends").into()
    }
}

/// `--take-over` by a second controller, which must be told that the first one lives.
fn live(site: &Site<'_>, run: &str) {
    let ran = site.restore("b", LOG, &["--take-over", run]).ended().expect(6);
    assert!(ran.stderr.contains(run) && ran.stderr.contains("target-held"), "{}", ran.stderr);
    assert_eq!(site.run_of("b"), None);
}

#[test]
fn of_several_that_start_at_once_one_works_and_the_others_are_told_which() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let steps = LOG.to_owned() + &wait();
    let mut winners = Vec::new();
    for (round, many) in [2, 4, 2, 4, 4].into_iter().enumerate() {
        site.host.sh("rm -f /root/go");
        let names: Vec<String> = (0..many).map(|number| format!("round-{round}-{number}")).collect();
        let mut running: Vec<(&String, Running)> =
            names.iter().map(|name| (name, site.restore(name, &steps, &[]))).collect();
        let mut losers = Vec::new();
        while running.len() > 1 {
            std::thread::sleep(Duration::from_millis(50));
            let ended =
                running.iter_mut().position(|(_, drctl)| drctl.child.try_wait().expect("it can be asked").is_some());
            if let Some(ended) = ended {
                let (name, drctl) = running.swap_remove(ended);
                losers.push((name, drctl.ended().expect(6)));
            }
        }
        let (winner, drctl) = running.pop().expect("one");
        site.until_begun(winner, "wait");
        let run = site.run_of(winner).expect("a run");
        for (name, ran) in losers {
            assert!(ran.stderr.contains(&run), "{name} does not name {run}: {}", ran.stderr);
            assert_eq!(site.run_of(name), None, "{name} has a run");
        }
        site.host.sh("touch /root/go");
        drctl.ended().expect(0);
        winners.push(run);
    }
    assert_eq!(site.log(), winners, "each round, one controller wrote");
    winners.sort();
    let kept = site.host.sh("cd /var/lib/drctl && ls -d */ | tr -d /");
    assert_eq!(kept.lines().collect::<Vec<_>>(), winners, "nothing of the others is on the target");
}

#[test]
fn a_dead_holder_is_taken_over_when_it_is_named_and_its_run_is_over_then() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let mut first = site.restore("a", &(wait() + LOG), &[]);
    let run = site.until_begun("a", "wait");
    first.child.kill().expect("it can be killed");
    first.child.wait().expect("it ends");
    // Nobody can tell yet that it is dead.
    live(&site, &run);
    site.age_the_lock();
    let ran = site.restore("b", LOG, &[]).ended().expect(6);
    assert!(ran.stderr.contains(&format!("--take-over {run}")), "{}", ran.stderr);
    site.restore("b", LOG, &["--take-over", &run]).ended().expect(0);
    let second = site.run_of("b").expect("a run");
    // It is neither gone on with nor undone beneath the run that came after it.
    for args in [["resume"].as_slice(), &["rollback", "--yes"]] {
        let ran = site.start("a", args).ended().expect(6);
        assert!(ran.stderr.contains(&format!("run {second} has worked on the target since")), "{}", ran.stderr);
    }
    assert_eq!(site.log(), [second.as_str()]);
    site.start("b", &["rollback", "--after-success", "--yes", &second]).ended().expect(0);
    site.host.sh("touch /root/go");
    site.start("a", &["resume"]).ended().expect(0);
    assert_eq!(site.log(), [second, run]);
}

#[test]
fn a_slow_holder_is_no_dead_one() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let first = site.restore("a", &(wait() + LOG), &[]);
    let run = site.until_begun("a", "wait");
    first.signal("STOP");
    live(&site, &run);
    // Whatever becomes of the target's clock: it is silent for a few seconds only.
    site.host.sh("cd /var/lib/drctl
         { IFS= read -r who; read -r since beat boot state up; } <holder
         printf '%s\\n%-95s\\n' \"$who\" \"$since $((beat - 40000)) $boot $state $up\" >holder");
    live(&site, &run);
    first.signal("CONT");
    site.host.sh("touch /root/go");
    first.ended().expect(0);
    assert_eq!(site.log(), [run]);
}

/// Stops the first controller where it stands, lets a second one take over and end, and wakes the first one up.
fn overtaken(site: &Site<'_>, first: Running, run: &str) {
    first.signal("STOP");
    site.age_the_lock();
    site.restore("b", LOG, &["--take-over", run]).ended().expect(0);
    let before = site.host.tree(&["/root", "/srv", "/etc", &format!("/var/lib/drctl/{run}")]);
    site.host.sh("touch /tmp/go");
    first.signal("CONT");
    let ran = first.ended().expect(6);
    assert!(ran.stderr.contains("nothing more is changed from here"), "{}", ran.stderr);
    assert_eq!(site.host.tree(&["/root", "/srv", "/etc", &format!("/var/lib/drctl/{run}")]), before);
    assert_eq!(site.log(), [site.run_of("b").expect("a run")]);
}

#[test]
fn whoever_lost_the_lock_while_it_stood_still_writes_nothing_more() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let steps = wait().replace("/root/go", "/tmp/go") + LOG;
    let first = site.restore("a", &steps, &[]);
    let run = site.until_begun("a", "wait");
    overtaken(&site, first, &run);
}

#[test]
fn an_upload_that_lost_the_lock_writes_nothing_more() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let large = lab.write("large", vec![7; 300 << 20]);
    let upload = format!("action = \"upload\"\nsource = \"{large}\"\nto = \"/srv/large\"\nmode = \"0644\"");
    let first = site.restore("a", &(step("upload", &upload) + LOG), &[]);
    let run = site.until_begun("a", "upload");
    site.until(&format!("[ -s /var/lib/drctl/{run}/uploads/* ]"));
    overtaken(&site, first, &run);
    assert!(!site.host.try_sh("[ -e /srv/large ]").status.success());
}

#[test]
fn a_job_that_runs_keeps_the_lock_and_its_controller_writes_nothing_after_it_was_taken_over() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let job =
        "action = \"command\"\nrun = 'until [ -e /root/job ]; do sleep 0.1; done; touch /root/ended'\nundo = 'true'";
    let first = site.restore("a", &(step("job", job) + LOG), &[]);
    let run = site.until_begun("a", "job");
    site.until(&format!("[ -s /var/lib/drctl/{run}/job/1-apply/started ]"));
    first.signal("STOP");
    site.age_the_lock();
    live(&site, &run);
    site.host.sh("touch /root/job");
    site.until(&format!("[ -e /var/lib/drctl/{run}/job/1-apply/rc ]"));
    overtaken(&site, first, &run);
}

/// drctl on a machine with another id and name.
fn on_another_machine(site: &Site<'_>, command: &Command) -> Command {
    let id = site.lab.write("machine-id", "0123456789abcdef0123456789abcdef\n");
    let moved = "echo elsewhere >/proc/sys/kernel/hostname
         [ ! -e /etc/machine-id ] || mount --bind \"$0\" /etc/machine-id || exit 99
         exec \"$@\"";
    behind(&["unshare", "--mount", "--uts", "--", "sh", "-c", moved, &id], command)
}

#[test]
fn a_copy_of_the_state_folder_on_another_machine_is_another_controller() {
    let lab = Lab::new();
    let site = Site::new(&lab);
    let first = site.restore("a", &(wait() + LOG), &[]);
    let run = site.until_begun("a", "wait");
    let folder = |name: &str| lab.dir.path().join(name);
    let copied = Command::new("cp").arg("-a").args([folder("a"), folder("b")]).status().expect("cp can be run");
    assert!(copied.success());

    let resume = lab.command_of("b", &["resume", &run]);
    let elsewhere = || -> Ran { on_another_machine(&site, &resume).output().expect("drctl can be run").into() };
    let ran = elsewhere().expect(6);
    assert!(ran.stderr.contains(&run) && ran.stderr.contains("(alive)"), "{}", ran.stderr);

    // Its machine is lost.
    first.signal("KILL");
    drop(first.ended());
    site.age_the_lock();
    site.host.sh("touch /root/go");
    elsewhere().expect(0);
    assert_eq!(site.log(), [run]);
}
