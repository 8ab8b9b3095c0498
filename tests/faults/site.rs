//! What is restored onto what: a host with a gate before sshd's commands, an inventory and a playbook.

use std::fs;
use std::path::PathBuf;

use crate::gate::{Gate, SSHD};
use crate::journal;
use crate::support::bed::{self, Origin, PLAIN, daemon};
use crate::support::{ADDRESS, Host, Lab};
use crate::trial::Fault;

/// Which host and playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// A light host: the shipped playbook up to the restored data, then etcd by itself. Every action but kubeadm's.
    Light,
    /// A kube host: the shipped playbook, with a real kubeadm.
    Kube,
}

/// How many operations and records undisturbed runs have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) operations: usize,
    pub(crate) records: usize,
    pub(crate) undo_operations: usize,
    pub(crate) undo_records: usize,
    /// The first operation of the step `kubeadm-init`, where there is one.
    pub(crate) kubeadm: usize,
}

/// What all trials of a scene share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) scene: Scene,
    pub(crate) origin: Option<Origin>,
    pub(crate) backup: PathBuf,
    /// The journal's preloaded library.
    pub(crate) journal: PathBuf,
    /// What undisturbed runs were found to have, and what such a restore leaves.
    pub(crate) counts: Counts,
    pub(crate) left: String,
}

/// What becomes of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disks {
    Lasting,
    /// The target's can be filled.
    SmallTarget,
    /// The target's loses with its power what was not synced.
    LossyTarget,
    /// The controller's does.
    LossyController,
}

/// A host that a trial restores onto.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) lab: &'a Lab,
    pub(crate) host: Host<'a>,
    pub(crate) gate: Gate,
    pub(crate) inventory: String,
    pub(crate) playbook: String,
    /// All that the playbook may touch, as it was.
    pub(crate) before: String,
    journals: Option<LossyFolder<'a>>,
}

/// A folder on a disk of its own that loses with its power what was not synced.
#[derive(Debug)]
struct LossyFolder<'a> {
    lab: &'a Lab,
    path: String,
}

/// Where the light playbook's commands count their starts.
const STARTS: &str = "/srv/lab/starts";
/// What keeps etcd up across reboots on a light host, as a unit would.
const ENABLED: &str = "/root/etcd.enabled";

/// What an owner may have left; and a login shell that starts quickly, for all the commands to come.
const LEFTOVERS: &str = "set -e
    sed -i 's,^\\(root:.*\\):[^:]*$,\\1:/bin/sh,' /etc/passwd
    mkdir -p /var/lib/etcd/member/wal /etc/kubernetes/pki /etc/kubernetes/manifests /var/lib/kubelet; cd /var/lib/etcd
    head -c 100000 /dev/urandom >member/wal/0.wal; echo keep >'a note.txt'; ln -s nowhere link
    chown -R 999:999 member; chmod 640 member/wal/0.wal; touch -d 2001-01-01 'a note.txt' member/wal; chmod 750 .
    echo old >/etc/kubernetes/pki/ca.crt; chown 12:34 /etc/kubernetes/pki/ca.crt; chmod 640 /etc/kubernetes/pki/ca.crt
    echo old >/etc/kubernetes/admin.conf; echo x >/var/lib/kubelet/state; touch -d 2001-01-01 /var/lib/kubelet/state
    mkdir -p /root/kept; echo old >/root/kept/file; touch -d 2002-02-02 /root/kept/file /root/kept";

/// kubeadm, counting how often `init` is begun.
const COUNTED_KUBEADM: &str = "mv /usr/bin/kubeadm /usr/bin/kubeadm.real
    printf '%s\\n' '#!/bin/sh' '[ \"$1\" != init ] || echo kubeadm-init >>/srv/lab/starts' 'exec /usr/bin/kubeadm.real \"$@\"' >/usr/bin/kubeadm
    chmod 755 /usr/bin/kubeadm";

impl Scene {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Kube => "kube",
        }
    }

    /// On a kube host the steps before kubeadm are those that the light one has been through.
    pub(crate) const fn first_operation(self, during: crate::trial::During, counts: Counts) -> usize {
        match (self, during) {
            (Self::Kube, crate::trial::During::Restore) => counts.kubeadm,
            _ => 1,
        }
    }

    /// The size of a lossy disk.
    const fn disk(self) -> &'static str {
        match self {
            Self::Light => "300M",
            Self::Kube => "2G",
        }
    }

    /// How many trials go on at once: on light hosts they wait most of the time.
    pub(crate) const fn workers(self) -> usize {
        match self {
            Self::Light => 10,
            Self::Kube => 1,
        }
    }

    /// Steps that speak through a tunnel, and the milliseconds after their beginning at which they are struck.
    pub(crate) const fn tunnels(self) -> &'static [(&'static str, &'static [u64])] {
        match self {
            Self::Light => &[("etcd-up", &[0, 5]), ("verify-etcd", &[0, 2, 5, 10, 15, 20, 30, 50])],
            Self::Kube => &[
                ("verify-etcd", &[0, 10, 30]),
                ("masterleases", &[0, 500, 5_000]),
                ("verify-cluster", &[0, 100, 1_000, 4_000]),
            ],
        }
    }

    /// All that the playbook may touch.
    pub(crate) const fn touched(self) -> &'static [&'static str] {
        match self {
            Self::Light => &["/etc/kubernetes", "/var/lib/etcd", "/root/kept", "/root/uploaded"],
            Self::Kube => &["/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"],
        }
    }
}

impl Shared {
    pub(crate) fn new(scene: Scene, lab: &Lab) -> Self {
        // Larger than what fits into one script, so that the upload has its parts.
        let more = "for k in 1 2 3 4 5 6 7 8 9; do head -c 60000 /dev/urandom | etcdctl put /registry/large/$k; done";
        let origin = (scene == Scene::Light).then(|| Origin::new(lab, "3.5", more));
        let journal = lab.dir.path().join("journal.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/journal.c");
        let built = std::process::Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&journal)
            .args([source, "-ldl"])
            .status()
            .expect("cc can be run");
        assert!(built.success(), "journal.c is compiled");
        Self { scene, origin, backup: lab.backup(), journal, counts: Counts::default(), left: String::new() }
    }
}

impl<'a> Site<'a> {
    /// A fresh host, and a controller without journals.
    pub(crate) fn new(shared: &'a Shared, lab: &'a Lab, disks: Disks) -> Self {
        let state = lab.dir.path().join("state");
        // Nothing of the trial before.
        drop(fs::remove_dir_all(&state));
        let journals = (disks == Disks::LossyController).then(|| LossyFolder::new(lab, state.display().to_string()));
        let sshd = lab.write("sshd.conf", SSHD);
        let mut options = vec!["--sshd-config", sshd.as_str()];
        match disks {
            Disks::Lasting | Disks::LossyController => {}
            Disks::SmallTarget => options.extend(["--disk", "300M"]),
            Disks::LossyTarget => options.extend(["--lossy-disk", shared.scene.disk()]),
        }
        let host = match shared.scene {
            Scene::Light => lab.host("target", "light", ADDRESS, &[&options[..], &["--etcd", "3.5"]].concat()),
            Scene::Kube => lab.host("target", "kube", ADDRESS, &[&options[..], &["--hostname", "master"]].concat()),
        };
        let gate = Gate::install(&host.field("dir"));
        if shared.scene == Scene::Kube {
            host.sh("systemctl stop kubelet");
            host.sh(COUNTED_KUBEADM);
        }
        host.sh(LEFTOVERS);
        let (inventory, playbook) = documents(shared, lab, &host);
        let mut site = Self { shared, lab, host, gate, inventory, playbook, before: String::new(), journals };
        site.before = site.tree();
        site.host.sh("sync -f /");
        site
    }

    /// Paths, types, modes, owners, times and bytes of all that may be touched.
    pub(crate) fn tree(&self) -> String {
        let roots = self.shared.scene.touched().join(" ");
        self.host.sh(&format!(
            "cd /; for root in {roots}; do
                 [ -e $root ] || [ -L $root ] || {{ echo \"absent $root\"; continue; }}
                 find $root -printf '%p %y %m %U:%G %T@ %l\\n'
                 find $root -type f -exec sha256sum {{}} +
             done | sort"
        ))
    }

    /// What a restore leaves: paths, types, modes and owners, and the bytes of what has the same ones each time.
    pub(crate) fn left(&self) -> String {
        let (roots, same) = match self.shared.scene {
            Scene::Light => ("/etc/kubernetes /root/kept /root/uploaded", ""),
            Scene::Kube => {
                ("/etc/kubernetes", r"-path '*/pki/*' \( -name 'ca.*' -o -name 'sa.*' -o -name 'front-proxy-ca.*' \)")
            }
        };
        // etcd makes its next log ahead of time, under a name of its own.
        self.host.sh(&format!(
            "cd /; {{
                 find {roots} /var/lib/etcd ! -name '*.tmp' -printf '%p %y %m %U:%G %l\n'
                 find {roots} -type f {same} -exec sha256sum {{}} +
             }} | sort"
        ))
    }

    /// How often each command that must not be repeated was begun.
    pub(crate) fn starts(&self) -> Vec<String> {
        let starts = self.host.sh(&format!("cat {STARTS} 2>/dev/null || true"));
        starts.lines().map(str::to_owned).collect()
    }

    pub(crate) fn restore(&self) -> Vec<String> {
        let args = ["restore", "--yes", "--inventory", &self.inventory, "--playbook", &self.playbook];
        args.map(str::to_owned).to_vec()
    }

    /// A power cut, and a start on what the disk has kept.
    pub(crate) fn reboot(&self) {
        self.lab.lab(&["reboot", "target"]);
        self.revive();
    }

    /// A power cut of the controller, whose processes are gone. drctl goes on from a record only when it lasts.
    pub(crate) fn controller_off(&self) {
        let told = journal::text(self);
        self.journals.as_ref().expect("the journals are on a lossy disk").power_cut();
        assert_eq!(journal::text(self), told, "the journal lost what was acted upon");
    }

    /// What filled the target's disk goes away.
    pub(crate) fn free(&self) {
        self.host.sh("rm -f /fill");
    }

    /// What a unit would do for an etcd that is gone, once it can run; not amid its being switched off.
    pub(crate) fn revive(&self) {
        if self.shared.scene == Scene::Light {
            self.host.sh(&format!("exec 8</root; flock 8; [ ! -e {ENABLED} ] || pidof etcd || {} 8<&-", start_etcd()));
        }
    }
}

impl Disks {
    pub(crate) const fn of(fault: Fault) -> Self {
        match fault {
            Fault::FullTarget => Self::SmallTarget,
            Fault::TargetOff => Self::LossyTarget,
            Fault::ControllerOff => Self::LossyController,
            Fault::Kill | Fault::KillTwice | Fault::Cut | Fault::Hole | Fault::FullController => Self::Lasting,
        }
    }
}

impl<'a> LossyFolder<'a> {
    fn new(lab: &'a Lab, path: String) -> Self {
        lab.lab(&["disk", "make", &path, "64M"]);
        Self { lab, path }
    }

    fn power_cut(&self) {
        self.lab.lab(&["disk", "off", &self.path]);
        self.lab.lab(&["disk", "on", &self.path]);
    }
}

impl Drop for LossyFolder<'_> {
    fn drop(&mut self) {
        self.lab.lab(&["disk", "drop", &self.path]);
    }
}

fn start_etcd() -> String {
    format!("{{ {}; }}", daemon("3.5", &format!("--name master {PLAIN}")))
}

fn documents(shared: &Shared, lab: &Lab, host: &Host<'_>) -> (String, String) {
    let shipped = lab.drctl(&["playbook", "show"]).expect(0).stdout;
    let (inventory, playbook) = match &shared.origin {
        None => (lab.inventory(host, "root", &shared.backup), shipped),
        Some(origin) => {
            let backup = shared.backup.display();
            let inventory = format!(
                "[cluster]\nname = \"light\"\nendpoint = \"{ADDRESS}:6443\"\nnode_name = \"master\"\n{}keepalive = \"1s\"\n{}\n\
                 [pki]\ndir = \"{backup}/pki\"\n",
                host.target("root"),
                origin.source(),
            );
            (lab.write("light.toml", inventory), light_playbook(&shipped))
        }
    };
    if shared.scene == Scene::Kube {
        let text = fs::read_to_string(&inventory).expect("the inventory");
        lab.write("prod.toml", text.replace("ssh_config = \"none\"\n", "ssh_config = \"none\"\nkeepalive = \"1s\"\n"));
    }
    (inventory, lab.write("playbook.toml", playbook))
}

/// The shipped playbook's steps up to the restored data as they are, but for the time that fencing listens; then every
/// other action that needs no kubeadm.
fn light_playbook(shipped: &str) -> String {
    let (steps, _) = shipped.split_once("[[step]]\nname = \"kubeadm-init\"").expect("the step is in the playbook");
    let steps = steps.replace("action = \"fence\"", "action = \"fence\"\nquiet_for = \"0s\"");
    let start = start_etcd().replace('$', "$$");
    format!(
        r#"{steps}
[[step]]
name = "upload"
action = "upload"
source = "{source}"
to = "/root/uploaded/a file"

[[step]]
name = "change"
action = "command"
run = "echo change >>{STARTS}; echo new >/root/kept/file; echo more >/root/kept/more"
touches = ["/root/kept"]

[[step]]
name = "start-etcd"
action = "command"
run = '''echo start-etcd >>{STARTS}; touch {ENABLED}; {start}'''
verify = "pidof etcd"
undo = '''exec 8</root; flock 8; rm -f {ENABLED}; for p in $$(pidof etcd); do kill $$p; while [ -e /proc/$$p/fd/1 ]; do sleep 0.05; done; done'''

[[step]]
name = "etcd-up"
action = "wait_for"
tcp = "127.0.0.1:2379"
every = "100ms"
timeout = "60s"

[[step]]
name = "verify-etcd"
action = "verify_etcd"
tls = false
"#,
        source = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"),
    )
}

/// What etcd serves.
pub(crate) fn served(host: &Host<'_>) -> String {
    bed::contents(host, "ETCDCTL_API=3 /opt/etcd-3.5/etcdctl")
}
