//! Snapshots and PKI sets in real stores: what is found, what is fetched, and what becomes of it when something breaks.
//!
//! The servers are real, installed by `tests/stores/setup`; everything stays on this machine's loopback.

#![expect(clippy::unwrap_used, reason = "what cannot be prepared is a failure")]

mod faults;
mod finds;
mod names;
mod pki;
mod servers;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

const DRCTL: &str = env!("CARGO_BIN_EXE_drctl");
const WHOLE: &[u8] = include_bytes!("../fixtures/snapshots/etcd-3.4.db");
const OTHER: &[u8] = include_bytes!("../fixtures/snapshots/etcd-3.5.db");

/// A folder with an inventory, whose target is away.
struct Bed {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What a command found.
struct Found {
    code: i32,
    lines: Vec<Value>,
    stderr: String,
}

impl Bed {
    fn new() -> Self {
        let keys = [("AWS_ACCESS_KEY_ID", "reader".to_owned()), ("AWS_SECRET_ACCESS_KEY", "reader".to_owned())];
        let bed = Self { dir: tempfile::tempdir().unwrap(), variables: keys.into() };
        std::fs::create_dir(bed.path("pki")).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The rest of the inventory; nothing listens at the target.
    fn inventory(&self, rest: &str) {
        let pki = if rest.contains("[pki]") { "" } else { "[pki]\ndir = 'pki'\n" };
        let text = format!(
            "[cluster]\nname = 'prod'\nendpoint = '127.0.0.1:1'\n[target]\nhost = '127.0.0.1'\nport = 1\n\
             ssh_config = 'none'\nreconnect_for = '1s'\n[policy]\nmax_snapshot_age = '999999h'\n{pki}{rest}\n"
        );
        self.write("prod.toml", text.as_bytes());
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(DRCTL);
        command
            .args(args)
            .args(["--output", "json", "--state"])
            .arg(self.path("state"))
            .args(["--inventory"])
            .arg(self.path("prod.toml"))
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Found {
        Found::of(self.command(args).spawn().unwrap())
    }

    fn check(&self) -> Found {
        self.run(&["check"])
    }

    /// Bytes of the download that is not whole yet.
    fn part(&self) -> Option<u64> {
        let entries = std::fs::read_dir(self.path("state/snapshots")).ok()?;
        let mut parts =
            entries.map(Result::unwrap).filter(|entry| entry.path().extension().is_some_and(|e| e == "part"));
        Some(parts.next()?.metadata().unwrap().len())
    }
}

impl Found {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            lines: stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The messages of a finding, one after the other.
    fn said(&self, name: &str) -> String {
        let findings = self.lines.iter().filter(|line| line["kind"] == "finding" && line["data"]["name"] == name);
        let messages: Vec<&str> = findings.map(|finding| finding["data"]["message"].as_str().unwrap()).collect();
        messages.join("\n")
    }

    /// That the newest whole snapshot is this one.
    fn chose(&self, name: &str) {
        let said = self.said("snapshot");
        let rest = || self.said("no-snapshot") + &self.said("snapshot-passed-over") + &self.stderr;
        assert!(said.starts_with(&format!("snapshot `{name}` ")), "{said:?}\n{}", rest());
    }
}

/// A whole snapshot of about so many MiB: a data file may be longer than its pages.
fn large(of: &[u8], mib: usize) -> Vec<u8> {
    let mut bytes = of[..of.len() - 32].to_vec();
    bytes.resize(mib << 20, 0);
    bytes.extend(Sha256::digest(&bytes));
    bytes
}

/// A key that opens age files, in a file that only its owner may read; and who to encrypt for.
fn identity(bed: &Bed) -> (PathBuf, age::x25519::Recipient) {
    use age::secrecy::ExposeSecret as _;
    let key = age::x25519::Identity::generate();
    let path = bed.write("age.key", format!("# a comment\n{}\n", key.to_string().expose_secret()).as_bytes());
    chmod(&path, 0o600);
    (path, key.to_public())
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
