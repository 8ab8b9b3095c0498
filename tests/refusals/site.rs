//! A fit host, the inventory of a restore onto it, and what drctl says to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ADDRESS, Host, Lab, Ran, behind};

/// Everything that drctl, or a playbook of the tests, might change.
const ROOTS: &[&str] = &["/etc", "/var/lib", "/root", "/usr/local", "/home"];

/// A restore that would go well, until a test changes one thing.
pub(crate) struct Site<'a> {
    lab: &'a Lab,
    host: &'a Host<'a>,
    /// A copy of a real backup that may be damaged.
    backup: PathBuf,
    pub(crate) cluster: String,
    pub(crate) target: String,
    pub(crate) snapshots: String,
    pub(crate) pki: String,
    pub(crate) policy: String,
    pub(crate) fencing: String,
    pub(crate) playbook: String,
    pub(crate) args: Vec<String>,
    /// Whether drctl runs without root's right to read everything.
    pub(crate) as_mortal: bool,
    _filters: insta::internals::SettingsBindDropGuard,
}

/// All that can be done on a host without Kubernetes.
const PLAYBOOK: &str = r#"
name = "data-only"

[[step]]
name = "fence"
action = "fence"

[[step]]
name = "fetch-snapshot"
action = "fetch_snapshot"

[[step]]
name = "ca-crt"
action = "place_file"
pki = "ca.crt"
to = "/etc/kubernetes/pki/ca.crt"
mode = "0644"

[[step]]
name = "ca-key"
action = "place_file"
pki = "ca.key"
to = "/etc/kubernetes/pki/ca.key"
mode = "0600"

[[step]]
name = "restore-etcd"
action = "restore_etcd"
snapshot = "${step.fetch-snapshot.path}"
data_dir = "/var/lib/etcd"
"#;

impl<'a> Site<'a> {
    pub(crate) fn new(lab: &'a Lab, host: &'a Host<'a>) -> Self {
        let backup = lab.dir.path().join("backup");
        copy(&lab.backup(), &backup);
        let at = backup.display();
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&lab.dir.path().display().to_string().replace('.', "\\."), "[dir]");
        for (varies, shown) in FILTERS {
            settings.add_filter(varies, *shown);
        }
        Self {
            _filters: settings.bind_to_scope(),
            lab,
            host,
            cluster: format!("name = \"prod\"\nendpoint = \"{ADDRESS}:6443\"\nnode_name = \"master\""),
            target: host.target("root"),
            snapshots: format!("[[snapshots]]\nfolder.path = \"{at}/snapshots\""),
            pki: format!("dir = \"{at}/pki\""),
            policy: String::new(),
            fencing: String::new(),
            playbook: PLAYBOOK.to_owned(),
            args: vec!["restore".to_owned(), "--yes".to_owned()],
            as_mortal: false,
            backup,
        }
    }

    /// A file of the backup's copy.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.backup.join(name)
    }

    /// The backup's only snapshot.
    pub(crate) fn snapshot(&self) -> PathBuf {
        let mut files = std::fs::read_dir(self.file("snapshots")).expect("the backup's snapshots");
        files.next().expect("a snapshot").expect("its name").path()
    }

    pub(crate) fn arg(&mut self, arg: &str) {
        self.args.push(arg.to_owned());
    }

    fn inventory(&self) -> String {
        let Self { cluster, target, snapshots, pki, policy, fencing, .. } = self;
        format!("[cluster]\n{cluster}\n\n{target}\n{snapshots}\n\n[pki]\n{pki}\n\n[policy]\n{policy}\n{fencing}")
    }

    /// Writes the inventory; its path.
    pub(crate) fn written(&self) -> String {
        self.lab.write("prod.toml", self.inventory())
    }

    pub(crate) fn command(&self) -> Command {
        let (inventory, playbook) = (self.written(), self.lab.write("playbook.toml", &self.playbook));
        let named = ["--inventory", &inventory, "--playbook", &playbook];
        let drctl = self.lab.command(&self.args.iter().map(String::as_str).chain(named).collect::<Vec<_>>());
        if self.as_mortal { without_power(&drctl) } else { drctl }
    }

    pub(crate) fn run(&self) -> Ran {
        self.command().output().expect("drctl can be run").into()
    }

    /// Expects a refusal that leaves neither a trace on the target nor a run on the controller.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> Ran {
        let before = self.host.tree(ROOTS);
        let runs = self.runs();
        let ran = self.run().expect(code);
        assert!(before == self.host.tree(ROOTS), "the target was touched");
        assert_eq!(runs, self.runs(), "a run was left on the controller");
        ran
    }

    fn runs(&self) -> usize {
        let runs = std::fs::read_dir(self.lab.dir.path().join("state/runs"));
        runs.map_or(0, |runs| runs.filter_map(Result::ok).filter(|run| run.path().is_dir()).count())
    }

    /// What a person reads then: standard error, without what is well and without what differs from run to run.
    #[track_caller]
    pub(crate) fn refusal(&self, code: i32) -> String {
        Self::worded(&self.refused(code).stderr)
    }

    /// What is said, but for what is well.
    pub(crate) fn worded(text: &str) -> String {
        let told = text.lines().filter(|line| !line.starts_with("  ok "));
        told.map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// What differs from run to run, and what snapshots of texts show instead.
const FILTERS: &[(&str, &str)] = &[
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[fingerprint]"),
    (r"\b[0-9a-f]{64}\b", "[sha256]"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[time]"),
    (r"etcd-snapshot-[0-9-]{10}_[0-9:]{8}_UTC", "etcd-snapshot-[time]"),
    (r"(?m)^\d\d:\d\d:\d\d ", "[time] "),
    (r"prod-\d{8}T\d{6}Z-[0-9a-f]{4}", "[run]"),
    (r"/\S+/(id_\w+)", "[keys]/$1"),
    (r"\d{3,} bytes", "[n] bytes"),
    (r"(bytes) of \d+", "$1 of [n]"),
    (r"run \[run\] of \S+", "run [run] of [controller]"),
    (r"is [0-9.]+s (behind|ahead of) this one", "is [seconds] off this one"),
    (r"(is|life) [0-9dhms. ]+ (ago|old|behind)", "$1 [a while] $2"),
    (r"changed for [0-9dhms. ]+ when", "changed for [a while] when"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[uid]"),
    (r", \d+ MiB are free", ", [n] MiB are free"),
    (r"revision \d+, \d+ keys", "revision [n], [n] keys"),
];

/// The same command as root who may not read what the mode forbids, as any other user.
fn without_power(command: &Command) -> Command {
    behind(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"], command)
}

/// The same command where this file says which names there are.
pub(crate) fn with_hosts(command: &Command, hosts: &str) -> Command {
    behind(&["unshare", "-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"", hosts], command)
}

/// Copies a folder with the modes of its files.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-aL").arg(from).arg(to).status().expect("cp can be run");
    assert!(copied.success());
}
