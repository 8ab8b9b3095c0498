//! A restore onto a light host, into which a test puts one hostile thing.

use std::path::PathBuf;

use crate::support::{ADDRESS, Host, Lab, Ran};

/// What would run, wherever a shell took a part of it for its own words.
pub(crate) const COMMANDS: &str = "a b'\"$(touch canary)`touch canary`;touch canary;&touch canary|*?~\\é\u{f022}:{x,y}";

/// Everything that a playbook of these tests, or an attack, could change.
const ROOTS: &[&str] = &["/etc", "/var/lib", "/var/tmp", "/root", "/srv", "/data", "/secure"];

/// The place for values in a step: TOML's literal text, whatever is in it.
pub(crate) fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// In a playbook, a dollar sign is written twice.
pub(crate) fn escaped(value: &str) -> String {
    value.replace('$', "$$")
}

/// An inventory and a playbook.
pub(crate) struct Bed<'a> {
    lab: &'a Lab,
    pub(crate) host: &'a Host<'a>,
    backup: PathBuf,
    pub(crate) target: String,
    pub(crate) snapshots: String,
    pub(crate) steps: String,
}

impl<'a> Bed<'a> {
    pub(crate) fn new(lab: &'a Lab, host: &'a Host<'a>) -> Self {
        let backup = lab.backup();
        let snapshots = format!("[[snapshots]]\nfolder.path = \"{}/snapshots\"", backup.display());
        Self { lab, host, backup, target: host.target("root"), snapshots, steps: String::new() }
    }

    /// The backup's snapshot.
    pub(crate) fn snapshot(&self) -> PathBuf {
        let mut files = std::fs::read_dir(self.backup.join("snapshots")).expect("the backup's snapshots");
        files.next().expect("a snapshot").expect("its name").path()
    }

    /// Adds a step: its name, its action, its other lines.
    pub(crate) fn step(&mut self, name: &str, action: &str, lines: &str) {
        self.steps += &format!("[[step]]\nname = \"{name}\"\naction = \"{action}\"\n{lines}\n\n");
    }

    /// Adds a step that places the CA's key.
    pub(crate) fn place(&mut self, name: &str, to: &str) {
        self.step(name, "place_file", &format!("pki = \"ca.key\"\nto = {}\nmode = \"0600\"", text(&escaped(to))));
    }

    /// Adds the steps that restore the snapshot into a folder.
    pub(crate) fn restore_etcd(&mut self, data: &str) {
        self.step("fetch", "fetch_snapshot", "");
        let lines = format!("snapshot = \"${{step.fetch.path}}\"\ndata_dir = {}", text(data));
        self.step("restore-etcd", "restore_etcd", &lines);
    }

    pub(crate) fn drctl(&self, command: &[&str]) -> Ran {
        let Self { target, snapshots, steps, .. } = self;
        let inventory = format!(
            "[cluster]\nname = \"light\"\nendpoint = \"{ADDRESS}:6443\"\nnode_name = \"master\"\n\n{target}\n{snapshots}\n\n\
             [pki]\ndir = \"{}/pki\"\n",
            self.backup.display()
        );
        let inventory = self.lab.write("hostile.toml", inventory);
        let playbook = self.lab.write("playbook.toml", format!("name = \"hostile\"\n\n{steps}"));
        let ran = self.lab.drctl(&[command, &["--inventory", &inventory, "--playbook", &playbook]].concat());
        assert!(!std::path::Path::new("canary").exists(), "something was executed on the controller");
        assert_eq!(self.host.sh("find / -xdev -name 'canary*'"), "", "something was executed on the target");
        ran
    }

    pub(crate) fn restore(&self) -> Ran {
        self.drctl(&["restore", "--yes"])
    }

    pub(crate) fn rollback(&self) -> Ran {
        self.lab.drctl(&["rollback", &self.lab.run_id(), "--after-success", "--yes"])
    }

    /// Everything that might be changed on the target, but for drctl's own folder.
    pub(crate) fn tree(&self) -> String {
        // `/var/lib` itself got `drctl`.
        let own = |line: &&str| !line.contains("/var/lib/drctl") && !line.starts_with("/var/lib d ");
        let whole = self.host.tree(ROOTS);
        let lines = whole.lines().filter(own);
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Expects that nothing is begun, for a reason in which these words are, and that the target is as before.
    #[track_caller]
    pub(crate) fn refused(&self, said: &str) -> Ran {
        let before = self.host.tree(ROOTS);
        let ran = self.restore().expect(3);
        assert!(ran.stderr.contains(said), "expected `{said}`:\n{}", ran.stderr);
        assert!(before == self.host.tree(ROOTS), "the target was touched");
        ran
    }
}
