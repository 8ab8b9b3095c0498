//! Where the keys and the password are during and after runs of every ending: in the files that are meant to hold them,
//! with modes that are never too wide, and nowhere else. Every program that is started, everything that is said, and
//! every file that is left is searched.
#![allow(clippy::expect_used, reason = "tests panic to say what went wrong")]

mod marks;
mod recorder;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use marks::Marks;
use recorder::Recorder;
use support::{ADDRESS, Host, Lab, Ran};

const PLAYBOOK: &str = r#"
name = "secrets"

[[step]]
name = "ca-key"
action = "place_file"
pki = "ca.key"
to = "/etc/kubernetes/pki/ca.key"
mode = "0600"

[[step]]
name = "sa-key"
action = "place_file"
pki = "sa.key"
to = "/etc/kubernetes/pki/sa.key"
mode = "0600"

[[step]]
name = "fetch"
action = "fetch_snapshot"

[[step]]
name = "restore-etcd"
action = "restore_etcd"
snapshot = "${step.fetch.path}"
"#;

/// A host, what is searched for, and what is recorded.
struct Watched<'a> {
    lab: &'a Lab,
    host: &'a Host<'a>,
    marks: Marks,
    recorder: Recorder,
    inventory: String,
    runs: usize,
}

impl<'a> Watched<'a> {
    fn new(lab: &'a Lab, host: &'a Host<'a>) -> Self {
        let password = format!("{}.password", lab.lab(&["key"]).replace("id_ed25519", "oppw"));
        let backup = lab.backup();
        let inventory = format!(
            "[cluster]\nname = \"light\"\nendpoint = \"{ADDRESS}:6443\"\nnode_name = \"master\"\n\n{}\
             become = {{ method = \"sudo\", password = {{ command = [\"cat\", \"{password}\"] }} }}\n\n\
             [[snapshots]]\nfolder.path = \"{1}/snapshots\"\n\n[pki]\ndir = \"{1}/pki\"\n\
             ca_key = {{ command = [\"cat\", \"{1}/pki/ca.key\"] }}\n",
            host.target("oppw"),
            backup.display(),
        );
        let inventory = lab.write("secrets.toml", inventory);
        let keys = ["ca.key", "sa.key"].map(|name| backup.join("pki").join(name));
        let marks = Marks::new(&keys, fs::read_to_string(password).expect("the password").trim_end_matches('\n'));
        let recorder = Recorder::start(host, &lab.dir.path().join("records"));
        Self { lab, host, marks, recorder, inventory, runs: 0 }
    }

    /// Runs drctl, and keeps what it said among the files of the test.
    fn drctl(&mut self, args: &[&str], log: Option<&str>) -> Ran {
        let mut command = self.lab.command(args);
        if let Some(log) = log {
            command.env("DRCTL_LOG", log);
        }
        self.recorder.recorded(&mut command);
        let ran: Ran = command.output().expect("drctl can be run").into();
        self.runs += 1;
        self.lab.write(&format!("said/{}.out", self.runs), &ran.stdout);
        self.lab.write(&format!("said/{}.err", self.runs), &ran.stderr);
        ran
    }

    /// A restore with more steps, and with more words.
    fn restore(&mut self, steps: &str, more: &[&str], log: Option<&str>) -> Ran {
        let playbook = self.lab.write("playbook.toml", format!("{PLAYBOOK}\n{steps}"));
        let inventory = self.inventory.clone();
        let args = ["restore", "--yes", "--inventory", &inventory, "--playbook", &playbook];
        self.drctl(&[&args, more].concat(), log)
    }

    fn rollback(&mut self, run: &str) {
        self.drctl(&["rollback", run, "--after-success", "--yes", "-vvv"], None).expect(0);
    }

    /// All files that hold a mark: those of the target by their path there, those of the controller by the path below
    /// the test's folder.
    fn holders(&self) -> Vec<String> {
        let folder = self.lab.dir.path();
        let upper = self.host.field("upper");
        let console = PathBuf::from(self.host.field("dir")).join("console.log");
        let found = self.marks.holders(&[PathBuf::from(&upper), folder.to_owned(), console]);
        let short = |path: &PathBuf| {
            let below = path.strip_prefix(&upper).map(|path| PathBuf::from("/").join(path));
            below.unwrap_or_else(|_| path.strip_prefix(folder).unwrap_or(path).to_owned()).display().to_string()
        };
        found.iter().map(short).collect()
    }
}

const PLACED: [&str; 2] = ["/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/sa.key"];

/// With the most that can be logged: to a success, to a failure as JSON, undone, with a wrong password, all undone.
#[test]
fn keys_and_passwords_are_nowhere_but_in_their_files() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut watched = Watched::new(&lab, &host);

    watched.restore("", &["-vvv"], None).expect(0);
    let first = lab.run_id();
    assert_eq!(watched.holders(), PLACED);

    // Once more over the keys of before, which are kept and put back.
    let fails = "[[step]]\nname = \"fail\"\naction = \"command\"\nrun = \"ls -l /etc/kubernetes/pki; exit 3\"\n";
    let ran = watched.restore(fails, &["--output", "json", "-vvv"], Some("trace")).expect(4);
    assert!(ran.stderr.contains("TRACE"), "the most that can be logged: {}", ran.stderr);
    let kept = watched.holders();
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(
        kept.iter().all(|path| PLACED.contains(&path.as_str()) || path.ends_with("-key/aside/1/data/it")),
        "{kept:?}"
    );
    watched.rollback(&lab.run_id());
    assert_eq!(watched.holders(), PLACED);

    let wrong = tempfile::NamedTempFile::new().expect("a file");
    fs::write(wrong.path(), "correct horse battery wrong").expect("a password");
    let inventory = fs::read_to_string(&watched.inventory).expect("the inventory");
    let right = inventory.lines().find(|line| line.starts_with("become")).expect("a password");
    let other = format!("become = {{ method = \"sudo\", password = {{ file = \"{}\" }} }}", wrong.path().display());
    fs::write(&watched.inventory, inventory.replace(right, &other)).expect("the inventory");
    let ran = watched.restore("", &["-vvv"], Some("trace")).expect(3);
    assert!(ran.stderr.contains("no-root"), "{}", ran.stderr);
    watched.rollback(&first);

    let records = watched.recorder.stop();
    assert!(records.iter().all(|record| record.metadata().is_ok_and(|about| about.len() > 10_000)), "{records:?}");
    assert_eq!(watched.holders(), [""; 0]);
    let modes = watched.recorder.modes("ca.key");
    assert!(modes.iter().any(|(_, name)| name == "ca.key"), "{modes:?}");
    assert!(modes.iter().any(|(_, name)| name.ends_with(".ca.key.new")), "{modes:?}");
    assert!(modes.iter().all(|(mode, _)| mode == "600"), "{modes:?}");
}

/// What the search would not find would not be a proof: a playbook that gives everything away.
#[test]
fn a_playbook_that_gives_a_key_away_is_caught_everywhere() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut watched = Watched::new(&lab, &host);
    let leaks = r#"
[[step]]
name = "leak"
action = "command"
run = '''
cd /etc/kubernetes/pki
/bin/true "$$(sed -n 12p ca.key)"
LEAK="$$(sed -n 13p sa.key)" /bin/true
sed -n 14p ca.key
openssl rsa -in sa.key -outform der -out /var/tmp/der 2>/dev/null || sed -n 15p sa.key >/var/tmp/der
cp ca.key wide.ca.key; chmod 644 wide.ca.key; /bin/true
'''
"#;
    watched.restore(leaks, &["-v"], None).expect(0);
    let records = watched.recorder.stop();
    let run = lab.run_id();
    let mut expected = vec!["/etc/kubernetes/pki/ca.key".to_owned(), "/etc/kubernetes/pki/sa.key".to_owned()];
    expected.extend(["/etc/kubernetes/pki/wide.ca.key".to_owned(), "/var/tmp/der".to_owned()]);
    expected.push(format!("/var/lib/drctl/{run}/leak/1-apply/out"));
    expected.extend(["records/target", "said/1.err"].map(str::to_owned));
    let holders = watched.holders();
    for holder in expected {
        assert!(holders.contains(&holder), "{holder} is not among {holders:?}");
    }
    let modes = watched.recorder.modes("ca.key");
    assert!(modes.contains(&("644".to_owned(), "wide.ca.key".to_owned())), "{modes:?}");
    // Both ways of a program to show it.
    let recorded = fs::read(&records[2]).expect("the records");
    let key = |name: &str, line: usize| {
        let pem = fs::read_to_string(lab.backup().join("pki").join(name)).expect("a key");
        pem.lines().nth(line - 1).expect("a line").to_owned()
    };
    let recorded = String::from_utf8_lossy(&recorded);
    assert!(recorded.contains(&key("ca.key", 12)) && recorded.contains(&format!("LEAK={}", key("sa.key", 13))));
}

/// No core dump, and no way for the user's other programs into drctl's memory.
#[test]
fn the_memory_of_drctl_is_its_own() {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    // While drctl waits for a secret, it is looked at.
    let waits = format!("cat /proc/self/limits >{0}.new; mv {0}.new {0}; exec sleep 5", at("limits").display());
    let inventory = format!(
        "[cluster]\nname = \"x\"\nendpoint = \"127.0.0.1:1\"\n[target]\nhost = \"127.0.0.1\"\nport = 1\n\
         [[snapshots]]\nfolder.path = \"/nowhere\"\n[pki]\ndir = \"/nowhere\"\nca_key = {{ command = [\"sh\", \"-c\", \"{waits}\"] }}\n"
    );
    fs::write(at("waits.toml"), inventory).expect("an inventory");
    fs::copy(support::DRCTL, at("drctl")).expect("where nobody may run it");
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("its owner");
    let mut drctl = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(at("drctl"))
        .args(["check", "--inventory"])
        .arg(at("waits.toml"))
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("drctl can be run");
    while !at("limits").exists() {
        assert!(drctl.try_wait().expect("it can be waited for").is_none(), "it does not wait");
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = PathBuf::from(format!("/proc/{}", drctl.id()));
    let own = fs::read_to_string(process.join("limits")).expect("it runs");
    let owner = process.join("environ").metadata().expect("it runs").uid();
    let user = fs::read_to_string(process.join("status")).expect("it runs");
    let ended = drctl.try_wait().expect("it can be waited for");
    drctl.kill().expect("it can be killed");
    drctl.wait().expect("it ends");
    assert!(ended.is_none() && user.contains("Uid:\t65534"), "it ran, and as nobody: {user}");
    assert_eq!(owner, 0, "only root reads the memory of a process that may not be dumped");
    for limits in [own, fs::read_to_string(at("limits")).expect("what it started had limits")] {
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    }
}
