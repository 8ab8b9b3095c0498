//! Signatures, as `ssh-keygen` checks them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use drctl::inventory::{Reporting, SecretRef, SigningKey};
use drctl::report::{NAMESPACE, Written, keep};
use tempfile::TempDir;

use crate::made::passed;

/// A folder with a key, and who may sign.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new(kind: &[&str], passphrase: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a folder") };
        let made = Command::new("ssh-keygen")
            .args(["-q", "-C", "reports", "-N", passphrase, "-f"])
            .arg(desk.key())
            .arg("-t")
            .args(kind)
            .status()
            .expect("ssh-keygen is installed");
        assert!(made.success());
        let public = std::fs::read_to_string(desk.public()).expect("a key");
        let allowed = format!("dr@example.org namespaces=\"{NAMESPACE}\" {public}");
        std::fs::write(desk.path("allowed_signers"), allowed).expect("a file");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self) -> PathBuf {
        self.path("key")
    }

    fn public(&self) -> PathBuf {
        self.path("key.pub")
    }

    async fn keep(&self, key: PathBuf, passphrase: Option<SecretRef>) -> (Option<Written>, Vec<String>) {
        let sign = Some(SigningKey { key, passphrase });
        keep(self.dir.path(), &passed(3), &Reporting { sign, metrics: None }).await
    }

    /// What `docs/reports.md` tells an auditor to type.
    fn verify(&self, file: &str, namespace: &str) -> Output {
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-I", "dr@example.org", "-n", namespace, "-f"])
            .arg(self.path("allowed_signers"))
            .arg("-s")
            .arg(self.path(&format!("{file}.sig")))
            .stdin(std::fs::File::open(self.path(file)).expect("a report"))
            .output()
            .expect("ssh-keygen is installed")
    }

    fn is_good(&self) {
        for file in ["report.json", "report.md", "report.html"] {
            let verified = self.verify(file, NAMESPACE);
            let said = String::from_utf8_lossy(&verified.stdout).into_owned();
            assert!(verified.status.success(), "{file}: {said}{}", String::from_utf8_lossy(&verified.stderr));
            assert!(said.contains(&format!("Good \"{NAMESPACE}\" signature for dr@example.org")), "{said}");
        }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn keys_of_every_kind_sign() {
    for kind in [&["ed25519"][..], &["rsa", "-b", "2048"], &["ecdsa"]] {
        let desk = Desk::new(kind, "");
        let (written, warnings) = desk.keep(desk.key(), None).await;
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        assert!(written.expect("files").signed);
        desk.is_good();
        for file in ["report.json", "report.md", "report.html", "report.json.sig"] {
            assert_eq!(mode(&desk.path(file)), 0o600, "{file}");
        }
    }
}

#[tokio::test]
async fn what_was_changed_is_told() {
    let desk = Desk::new(&["ed25519"], "");
    desk.keep(desk.key(), None).await;
    desk.is_good();
    assert!(!desk.verify("report.json", "file").status.success(), "it is good for nothing else");
    let report = std::fs::read_to_string(desk.path("report.json")).expect("a report");
    let better = report.replacen("\"rpo_seconds\": 2", "\"rpo_seconds\": 1", 1);
    assert_ne!(report, better);
    std::fs::write(desk.path("report.json"), better).expect("a file");
    let verified = desk.verify("report.json", NAMESPACE);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!verified.status.success() && said.contains("incorrect signature"), "{said}");
}

#[tokio::test]
async fn a_passphrase_comes_from_where_secrets_are() {
    let desk = Desk::new(&["ed25519"], "a secret of the key");
    std::fs::write(desk.path("passphrase"), "a secret of the key\n").expect("a file");
    let (_, warnings) = desk.keep(desk.key(), Some(SecretRef::File(desk.path("passphrase")))).await;
    assert_eq!(warnings, Vec::<String>::new());
    desk.is_good();
    std::fs::write(desk.path("passphrase"), "another one\n").expect("a file");
    let (written, warnings) = desk.keep(desk.key(), Some(SecretRef::File(desk.path("passphrase")))).await;
    assert!(!written.expect("files").signed);
    assert!(warnings[0].contains("the passphrase does not open it"), "{warnings:?}");
    assert!(!warnings[0].contains("another one"), "{warnings:?}");
    // The signature of the report before would call this one forged.
    assert!(!desk.path("report.json.sig").exists());
}

#[tokio::test]
async fn what_cannot_sign_is_told_and_the_report_is_there() {
    let desk = Desk::new(&["ed25519"], "");
    let (written, warnings) = desk.keep(desk.path("none"), None).await;
    assert!(!written.expect("files").signed);
    assert!(warnings[0].starts_with("the report is not signed: the signing key `"), "{warnings:?}");
    std::fs::set_permissions(desk.key(), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let (_, warnings) = desk.keep(desk.key(), None).await;
    assert!(warnings[0].contains("others may read it (mode 0644)"), "{warnings:?}");
    assert!(desk.path("report.html").exists());
}

/// An agent of its own, which ends with its test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_public_key_says_which_of_the_agents_keys_signs() {
    let desk = Desk::new(&["rsa", "-b", "2048"], "");
    let socket = desk.path("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let _agent = Agent(agent.expect("ssh-agent is installed"));
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let added = Command::new("ssh-add").arg("-q").arg(desk.key()).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.expect("ssh-add is installed").success());
    std::fs::remove_file(desk.key()).expect("the file is gone");
    // The agent is found by the environment, so a process of its own signs: this test's, once more.
    let again = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "signature::signs_with_the_agent_of_its_environment", "--ignored", "--nocapture"])
        .env("SSH_AUTH_SOCK", &socket)
        .env("DRCTL_TEST_DESK", desk.dir.path())
        .output()
        .expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    desk.is_good();
}

#[tokio::test]
#[ignore = "the second half of the test above"]
async fn signs_with_the_agent_of_its_environment() {
    let dir = PathBuf::from(std::env::var_os("DRCTL_TEST_DESK").expect("only the test above runs this"));
    let sign = Some(SigningKey { key: dir.join("key.pub"), passphrase: None });
    let (_, warnings) = keep(&dir, &passed(3), &Reporting { sign, metrics: None }).await;
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test]
async fn prometheus_may_read_what_it_is_told_and_nobody_the_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let textfiles = dir.path().join("textfiles");
    std::fs::create_dir(&textfiles).expect("a folder");
    let settings = Reporting { sign: None, metrics: Some(textfiles.clone()) };
    for _ in 0..2 {
        let (written, warnings) = keep(dir.path(), &passed(3), &settings).await;
        assert_eq!(warnings, Vec::<String>::new());
        assert!(!written.expect("files").signed);
    }
    let names: Vec<_> =
        std::fs::read_dir(&textfiles).expect("a folder").map(|entry| entry.expect("a file").file_name()).collect();
    assert_eq!(names, ["drctl-drill-prod.prom"], "nothing half written stays");
    assert_eq!(mode(&textfiles.join("drctl-drill-prod.prom")), 0o644);
    std::fs::remove_dir_all(&textfiles).expect("it is gone");
    let (written, warnings) = keep(dir.path(), &passed(3), &settings).await;
    assert!(written.is_some());
    assert!(warnings[0].starts_with("the metrics are not written: could not write `"), "{warnings:?}");
}
