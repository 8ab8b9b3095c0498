//! Keys, certificates and the agent.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drctl::inventory::{SecretRef, SshHost};
use drctl::transport::{Ssh, TransportError};

use crate::rig::Rig;
use crate::say;

fn log_in(rig: &Rig, host: &SshHost) -> Result<String, TransportError> {
    let ssh = Ssh::new(host)?;
    rig.inside(async { say(&ssh, "id -un").await })
}

/// A key that nothing authorizes but its certificate.
fn certified(rig: &Rig, kind: &str) -> PathBuf {
    let key = rig.dir.path().join(format!("certified-{kind}"));
    let keygen = |args: &[&str], path: &Path| {
        assert!(Command::new("ssh-keygen").arg("-q").args(args).arg(path).status().unwrap().success());
    };
    keygen(&["-t", kind, "-N", "", "-f"], &key);
    let authority = rig.key("user_ca");
    keygen(&["-I", "test", "-n", "root", "-s", authority.to_str().unwrap()], &key.with_extension("pub"));
    key
}

#[test]
fn keys_of_every_kind() {
    let rig = Rig::new("keys");
    rig.up("a", "10.77.0.10", "TrustedUserCAKeys /etc/ssh/lab_user_ca.pub\n", &[]);
    let with = |key: &str| {
        let mut host = rig.host("a", "root", "");
        host.identity = Some(rig.key(key));
        host
    };
    for key in ["id_ed25519", "id_rsa", "id_ecdsa", "id_certified"] {
        assert_eq!(log_in(&rig, &with(key)).unwrap(), "root\n", "{key}");
    }

    let mut host = with("id_stranger");
    host.identity = Some(certified(&rig, "rsa"));
    assert_eq!(log_in(&rig, &host).unwrap(), "root\n", "an RSA certificate");

    let mut host = with("id_ed25519_encrypted");
    let Err(TransportError::Config { reason, .. }) = log_in(&rig, &host) else { panic!("opened without a passphrase") };
    assert!(reason.contains("encrypted"), "{reason}");
    host.identity_passphrase = Some(SecretRef::File(rig.key("id_ed25519_encrypted.passphrase")));
    assert_eq!(log_in(&rig, &host).unwrap(), "root\n");
    host.identity_passphrase = Some(SecretRef::File(rig.known("wrong", "not it")));
    let Err(TransportError::Config { reason, .. }) = log_in(&rig, &host) else {
        panic!("opened with a wrong passphrase")
    };
    assert!(reason.contains("does not open it"), "{reason}");

    match log_in(&rig, &with("id_stranger")) {
        Err(TransportError::Auth { tried, user, .. }) => {
            assert!(user == "root" && tried.contains("id_stranger") && tried.contains("refused"), "{tried}");
        }
        other => panic!("{other:?}"),
    }
    let mut host = with("id_ed25519");
    host.identity = Some(rig.copy_key("id_ed25519", 0o640));
    let Err(TransportError::Config { reason, .. }) = log_in(&rig, &host) else { panic!("used an open key file") };
    assert!(reason.contains("0640"), "{reason}");
    host.identity = Some(rig.dir.path().join("absent"));
    assert!(matches!(log_in(&rig, &host), Err(TransportError::Config { .. })));
}

/// An agent of our own, ended with the test.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_signs() {
    let rig = Rig::new("agent");
    rig.up("a", "10.77.0.10", "TrustedUserCAKeys /etc/ssh/lab_user_ca.pub\n", &[]);
    let socket = rig.dir.path().join("agent");
    let _agent =
        Agent(Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap());
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let add = |key: PathBuf| {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
        assert!(added.unwrap().success());
    };
    let config = format!("Host *\n  IdentityAgent {}\n", socket.display());
    let with = |more: &str| {
        let mut host = rig.host("a", "root", "");
        (host.agent, host.identity) = (None, None);
        host.ssh_config = Some(rig.known("config", &format!("{config}{more}")));
        host
    };
    let none = format!("  IdentityFile {}\n", rig.dir.path().join("absent").display());

    add(rig.copy_key("id_stranger", 0o600));
    assert!(matches!(log_in(&rig, &with(&none)), Err(TransportError::Auth { .. })));
    add(rig.copy_key("id_rsa", 0o600));
    assert_eq!(log_in(&rig, &with(&none)).unwrap(), "root\n");
    let public = rig.copy_key("id_rsa.pub", 0o644);
    let mut host = with(&format!("  IdentitiesOnly yes\n{none}"));
    host.identity = Some(public);
    assert_eq!(log_in(&rig, &host).unwrap(), "root\n", "by its public half");
    let only = format!("  IdentitiesOnly yes\n  IdentityFile {}\n", rig.copy_key("id_stranger", 0o600).display());
    match log_in(&rig, &with(&only)) {
        Err(TransportError::Auth { tried, .. }) => assert_eq!(tried.matches("refused").count(), 1, "{tried}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_in_the_agent() {
    let rig = Rig::new("agentcert");
    rig.up("a", "10.77.0.10", "TrustedUserCAKeys /etc/ssh/lab_user_ca.pub\n", &[]);
    let socket = rig.dir.path().join("agent");
    let _agent =
        Agent(Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap());
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let added = Command::new("ssh-add").arg("-q").arg(rig.key("id_certified")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let mut host = rig.host("a", "root", "");
    (host.agent, host.identity) = (None, None);
    let absent = rig.dir.path().join("absent");
    let config = format!("Host *\n  IdentityAgent {}\n  IdentityFile {}\n", socket.display(), absent.display());
    host.ssh_config = Some(rig.known("config", &config));
    assert_eq!(log_in(&rig, &host).unwrap(), "root\n");
}
