//! What tests share: a lab of throwaway hosts of their own, inventories for them, and trees to compare.
#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each test binary uses its own part, and panics to say what went wrong"
)]

pub(crate) mod bed;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab");
/// The drctl that cargo built for this test.
pub(crate) const DRCTL: &str = env!("CARGO_BIN_EXE_drctl");
/// The lost master's address, which every lab may use: labs cannot see each other.
pub(crate) const ADDRESS: &str = "10.77.0.10";

/// A network of throwaway hosts, gone when dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    hub: String,
    /// Inventories, journals and what else a test writes.
    pub(crate) dir: tempfile::TempDir,
}

/// A throwaway host.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    lab: &'a Lab,
    name: String,
}

/// What drctl wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Lab {
    /// A lab of this process.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let random = dir.path().file_name().expect("a name").to_string_lossy().replace(['.', '_'], "");
        Self { hub: format!("t{}{random}", std::process::id()), dir }
    }

    /// The network namespace in which the hosts can be reached.
    pub(crate) fn netns(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.hub)
    }

    /// Runs one command of the lab; what it prints.
    pub(crate) fn lab(&self, args: &[&str]) -> String {
        let output = Command::new(LAB)
            .args(args)
            .env("DRCTL_LAB_HUB", &self.hub)
            .stdin(Stdio::null())
            .output()
            .expect("tests/lab/lab can be run");
        assert!(output.status.success(), "lab {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A host that answers to SSH. `kind` is `light` or `kube`, `options` those of `lab up`.
    pub(crate) fn host(&self, name: &str, kind: &str, address: &str, options: &[&str]) -> Host<'_> {
        self.lab(&[&["up", name, kind, address], options].concat());
        Host { lab: self, name: name.to_owned() }
    }

    /// The backup of a real control plane: its folder.
    pub(crate) fn backup(&self) -> PathBuf {
        self.lab(&["backup"]).into()
    }

    /// What kubectl says with the credential of before the disaster (`admin.conf` of that folder), from where users are.
    pub(crate) fn kubectl(&self, backup: &Path, args: &[&str]) -> String {
        let kubectl = format!("{}/kubectl", self.lab(&["path", "kube-programs"]));
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.netns().display()))
            .args(["--", &kubectl, "--kubeconfig"])
            .arg(backup.join("admin.conf"))
            .args(args)
            .output()
            .expect("kubectl can be run");
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// drctl, where it can reach the hosts; its journals lie in the lab's folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of("state", args)
    }

    /// The same of another controller: a folder of journals of its own.
    pub(crate) fn command_of(&self, controller: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.netns().display()))
            .args(["--", DRCTL, "--state"])
            .arg(self.dir.path().join(controller))
            .args(args)
            .env_remove("SSH_AUTH_SOCK")
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs drctl to its end.
    pub(crate) fn drctl(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("drctl can be run").into()
    }

    /// Writes a file into the lab's folder; its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the file");
        std::fs::write(&path, text).expect("a file of the test");
        path.display().to_string()
    }

    /// The inventory of the backup's cluster for a host with its address.
    pub(crate) fn inventory(&self, host: &Host<'_>, user: &str, backup: &Path) -> String {
        let backup = backup.display();
        let text = format!(
            "[cluster]\nname = \"prod\"\nendpoint = \"{ADDRESS}:6443\"\nkubernetes = \"1.20.2\"\nnode_name = \"master\"\n\
             admin_kubeconfig = \"{backup}/admin.conf\"\n\n{}\n[[snapshots]]\nfolder.path = \"{backup}/snapshots\"\n\n\
             [pki]\ndir = \"{backup}/pki\"\n",
            host.target(user)
        );
        self.write("prod.toml", text)
    }

    /// Runs drctl until it has written this to its journal, then kills it where it stands. Answers whether it got there.
    pub(crate) fn killed_at(&self, args: &[&str], event: &str, step: &str, after: Duration) -> bool {
        let mut command = self.command(&[args, &["--output", "json"]].concat());
        let mut drctl = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drctl can be run");
        let lines = BufReader::new(drctl.stdout.take().expect("its output")).lines();
        for line in lines.map_while(Result::ok) {
            if is_record(&line, event, step) {
                std::thread::sleep(after);
                drctl.kill().expect("it can be killed");
                drctl.wait().expect("it ends");
                return true;
            }
        }
        drctl.wait().expect("it ends");
        false
    }

    /// How many bytes are in the files below a folder of the lab's.
    pub(crate) fn sizes(&self, folder: &str) -> u64 {
        fn below(path: &Path) -> u64 {
            let about = path.symlink_metadata().expect("a file");
            if !about.is_dir() {
                return about.len();
            }
            path.read_dir().expect("a folder").map(|entry| below(&entry.expect("an entry").path())).sum()
        }
        below(&self.dir.path().join(folder))
    }

    /// The newest run's id.
    pub(crate) fn run_id(&self) -> String {
        let runs = self.drctl(&["runs"]).stdout;
        runs.lines().last().and_then(|line| line.split_whitespace().next()).expect("a run").to_owned()
    }
}

/// Whether a line of drctl's tells that its journal has this of the step.
pub(crate) fn is_record(line: &str, event: &str, step: &str) -> bool {
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    line["kind"] == "record" && line["data"]["event"] == event && line["data"]["step"] == step
}

/// The same command, run by another one.
pub(crate) fn behind(front: &[&str], command: &Command) -> Command {
    let mut behind = Command::new(front[0]);
    behind.args(&front[1..]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    with_variables_of(command, &mut behind);
    behind
}

/// Gives another command what a command has in its environment.
pub(crate) fn with_variables_of(command: &Command, other: &mut Command) {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.netns().exists() {
            self.lab(&["down-all"]);
        }
    }
}

impl Host<'_> {
    /// Runs a script on the host as root, without drctl and without sshd; what it prints.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        assert!(output.status.success(), "on {}: {script}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same when it may fail.
    pub(crate) fn try_sh(&self, script: &str) -> Output {
        Command::new(LAB)
            .args(["enter", &self.name, "sh", "-c", script])
            .env("DRCTL_LAB_HUB", &self.lab.hub)
            .stdin(Stdio::null())
            .output()
            .expect("tests/lab/lab can be run")
    }

    /// The same with something to read.
    pub(crate) fn sh_with(&self, script: &str, input: &str) -> String {
        let quoted = input.replace('\'', "'\\''");
        self.sh(&format!("printf '%s' '{quoted}' | {{ {script}; }}"))
    }

    /// Ends what sshd has for those who are connected.
    pub(crate) fn close_connections(&self) {
        self.sh("for p in $(pidof sshd); do
                 [ \"$(cat /proc/$p/comm)\" != sshd ] || [ \"$(ps -o ppid= -p $p | tr -d ' ')\" = 1 ] || kill $p
             done");
    }

    /// A fact that the lab knows of it.
    pub(crate) fn field(&self, field: &str) -> String {
        self.lab.lab(&["field", &self.name, field])
    }

    /// A known hosts file that trusts it.
    pub(crate) fn known_hosts(&self) -> String {
        self.lab.write(&format!("known_hosts.{}", self.name), self.lab.lab(&["known-hosts", &self.name]) + "\n")
    }

    /// The `[target]` table of an inventory.
    pub(crate) fn target(&self, user: &str) -> String {
        format!(
            "[target]\nhost = \"{}\"\nuser = \"{user}\"\nidentity = \"{}\"\nknown_hosts = \"{}\"\nssh_config = \"none\"\nreconnect_for = \"30s\"\n",
            self.field("ip"),
            self.lab.lab(&["key"]),
            self.known_hosts()
        )
    }

    /// Takes the host away before the lab goes.
    pub(crate) fn down(self) {
        self.lab.lab(&["down", &self.name]);
    }

    /// Every path under these, with type, mode, owner, size, modification time of files, link target and digest: equal
    /// texts mean equal trees.
    pub(crate) fn tree(&self, paths: &[&str]) -> String {
        let mut script = String::from("cd /; for root in");
        for path in paths {
            write!(script, " '{path}'").expect("a string grows");
        }
        script.push_str(
            "; do [ -e \"$root\" ] || [ -L \"$root\" ] || { echo \"absent $root\"; continue; }; \
             find \"$root\" -type f -printf '%p f %m %U:%G %s %T@\\n' -o -printf '%p %y %m %U:%G %l\\n'; \
             find \"$root\" -type f -exec sha256sum {} +; \
             done | sort",
        );
        self.sh(&script)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Expects an exit code, and shows everything when it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
