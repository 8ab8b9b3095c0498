//! An inventory with `[drill]`, and what became of a drill.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::support::{ADDRESS, Lab};

/// Which root the target is laid over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// sshd and etcd.
    Light,
    /// All that a control plane needs.
    Kube,
}

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) inventory: String,
}

impl Site {
    /// An inventory of the backup's cluster, whose drills are made of namespaces.
    pub(crate) fn new(root: Root, drill: &str) -> Self {
        let lab = Lab::new();
        // Nothing is reached from the machine's own network.
        lab.lab(&["hub", "true"]);
        let (part, copies) = match root {
            Root::Light => ("root-light", None),
            Root::Kube => {
                ("root-kube", Some(("/var/lib/containerd", format!("{}/store", lab.lab(&["path", "image-store"])))))
            }
        };
        let base = format!("{}/root", lab.lab(&["path", part]));
        let (to, from) = copies.unwrap_or(("/usr/local/bin", format!("{base}/opt/etcd-3.5")));
        let provider = format!("[drill.provider.namespace]\nroot = \"{base}\"\ncopies = {{ \"{to}\" = \"{from}\" }}\n");
        let inventory = write_inventory(&lab, &format!("{drill}{provider}"));
        Self { lab, inventory }
    }

    /// Runs a drill that ends with this exit code; its report.
    #[track_caller]
    pub(crate) fn drill(&self, more: &[&str], code: i32) -> Value {
        let args = [&["drill", "--inventory", &self.inventory], more].concat();
        let ran = self.lab.drctl(&args);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(code), "{told}");
        self.report()
    }

    /// The newest drill's.
    pub(crate) fn report(&self) -> Value {
        let report = std::fs::read(self.folder().join("report.json")).expect("the report");
        serde_json::from_slice(&report).expect("JSON")
    }

    /// The folder of the newest drill.
    pub(crate) fn folder(&self) -> PathBuf {
        let drills = self.lab.dir.path().join("state/drills");
        let folders = drills.read_dir().expect("drills").map(|entry| entry.expect("an entry").path());
        let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("drill.json").exists()).collect();
        folders.sort_by_key(|folder| {
            folder.join("drill.json").metadata().and_then(|meta| meta.modified()).expect("a time")
        });
        folders.pop().expect("a drill")
    }

    /// The folder of the only drill, which ended before its target was planned.
    #[track_caller]
    pub(crate) fn unplanned(&self) -> PathBuf {
        let drills = self.lab.dir.path().join("state/drills");
        let folders = drills.read_dir().expect("drills").map(|entry| entry.expect("an entry").path());
        let folders: Vec<PathBuf> = folders.filter(|folder| !folder.ends_with("shared")).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    /// What a step of the newest drill's run put out.
    pub(crate) fn outputs(&self, step: &str) -> Value {
        let runs = self.folder().join("runs");
        let run =
            runs.read_dir().expect("runs").map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir());
        let journal = std::fs::read_to_string(run.expect("a run").join("journal.ndjson")).expect("the journal");
        let records = journal.lines().filter_map(|line| {
            let from = line.find('{')?;
            serde_json::from_str::<Value>(&line[from..]).ok()
        });
        let done = records
            .map(|record| record["data"].clone())
            .find(|data| data["event"] == "step_done" && data["step"] == step);
        done.expect("the step is done")["outputs"].clone()
    }

    /// No mount, no file, no cgroup of the target, and so no process: a cgroup cannot be removed while one is in it.
    #[track_caller]
    pub(crate) fn leaves_nothing(&self) {
        let folder = self.folder();
        let id = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let left = sh(&format!(
            "find /sys/fs/cgroup -maxdepth 3 -name 'drctl-drill-{id}*';
             grep -F '{}' /proc/self/mounts; ls -d {folder}/disk {folder}/root {folder}/copies {folder}/snapshots {folder}/damaged {folder}/*ed25519 2>/dev/null; true",
            folder.display(),
            folder = folder.display(),
        ));
        assert_eq!(left, "", "left of {id}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that failed leaves nothing either.
        drop(self.lab.command(&["drill", "sweep"]).output());
    }
}

pub(crate) fn write_inventory(lab: &Lab, drill: &str) -> String {
    let backup = lab.backup().display().to_string();
    lab.write(
        "drill.toml",
        format!(
            "[cluster]\nname = \"prod\"\nendpoint = \"{ADDRESS}:6443\"\nkubernetes = \"1.20.2\"\nnode_name = \"master\"\n\
             admin_kubeconfig = \"{backup}/admin.conf\"\n\n[target]\nhost = \"{ADDRESS}\"\n\n\
             [[snapshots]]\nfolder.path = \"{backup}/snapshots\"\n\n[pki]\ndir = \"{backup}/pki\"\n\n\
             [fencing]\ncommand = [\"/bin/sh\", \"-c\", \"touch {}/fenced\"]\n\n[drill]\n{drill}",
            lab.dir.path().display()
        ),
    )
}

/// A script on the controller; what it prints.
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().expect("sh");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
