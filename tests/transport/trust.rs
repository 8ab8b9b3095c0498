//! Which host keys are accepted, and what is told of the others.

use drctl::inventory::SshHost;
use drctl::transport::{Ssh, TransportError};

use crate::rig::Rig;
use crate::say;

/// Connects, and gives reason, expected and found when the key is refused.
fn judge(rig: &Rig, host: &SshHost) -> Result<(), (String, String, String)> {
    let ssh = Ssh::new(host).unwrap();
    match rig.inside(async { say(&ssh, "true").await }) {
        Ok(_) => Ok(()),
        Err(TransportError::HostKey { reason, expected, found, .. }) => Err((reason, expected, found)),
        Err(other) => panic!("{other:?}"),
    }
}

fn lines(rig: &Rig) -> Vec<String> {
    rig.tell(&["known-hosts", "a"]).lines().map(str::to_owned).collect()
}

fn fingerprint(rig: &Rig, line: &str) -> String {
    let file = rig.known("one", line);
    let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn keys_by_known_hosts_and_by_pin() {
    let rig = Rig::new("trust");
    rig.up("a", "10.77.0.10", "", &["--host-keys", "ed25519,ecdsa,rsa"]);
    let ours = lines(&rig);
    let stranger = std::fs::read_to_string(rig.key("id_stranger.pub")).unwrap();
    let stranger = format!("10.77.0.10 {}", stranger.trim());
    let with = |known: &str| {
        let mut host = rig.host("a", "root", "");
        host.known_hosts = Some(rig.known("case", known));
        judge(&rig, &host)
    };
    let of_type = |name: &str| ours.iter().find(|line| line.contains(name)).unwrap().clone();

    for name in ["ssh-ed25519", "ecdsa", "ssh-rsa"] {
        assert_eq!(with(&of_type(name)), Ok(()), "{name} alone");
    }
    assert_eq!(with(&format!("{stranger}\n{}", of_type("ed25519"))), Ok(()), "the second of two");

    let (reason, expected, found) = with("").unwrap_err();
    assert_eq!(reason, "it is unknown");
    assert!(expected.contains("case") && found.contains(&fingerprint(&rig, &of_type("ed25519"))), "{expected} {found}");

    let (reason, expected, found) = with(&format!("# comment\n{stranger}\n")).unwrap_err();
    assert_eq!(reason, "it changed");
    assert!(expected.contains(&fingerprint(&rig, &stranger)) && expected.contains("case:2"), "{expected}");
    assert!(found.contains(&fingerprint(&rig, &of_type("ed25519"))), "{found}");

    let revoked = of_type("ed25519").replace("10.77.0.10", "@revoked *");
    assert_eq!(with(&format!("{revoked}\n{}", of_type("ed25519"))).unwrap_err().0, "it is revoked");

    for name in ["ssh-ed25519", "ecdsa", "ssh-rsa"] {
        let mut host = rig.host("a", "root", "");
        host.known_hosts = Some(rig.known("empty", ""));
        host.host_key = Some(fingerprint(&rig, &of_type(name)));
        assert_eq!(judge(&rig, &host), Ok(()), "pinned {name}");
        host.host_key = Some(fingerprint(&rig, &stranger));
        let (reason, expected, found) = judge(&rig, &host).unwrap_err();
        assert!(reason.contains("pins") && expected.contains(&fingerprint(&rig, &stranger)));
        assert!(ours.iter().all(|line| found.contains(&fingerprint(&rig, line))), "{found}");
    }
}

#[test]
fn a_refused_host_is_not_asked_again_at_once() {
    let rig = Rig::new("refused");
    rig.up("a", "10.77.0.10", "", &[]);
    let mut host = rig.host("a", "root", "");
    host.known_hosts = Some(rig.known("empty", ""));
    let ssh = Ssh::new(&host).unwrap();
    rig.inside(async {
        for _ in 0..3 {
            assert!(matches!(say(&ssh, "true").await, Err(TransportError::HostKey { .. })));
        }
    });
    let connections = rig.tell(&["enter", "a", "sh", "-c", "ss -Htan state time-wait sport = :22 | wc -l; true"]);
    assert!(connections.trim().parse::<u32>().unwrap() <= 3, "{connections}");
}

#[test]
fn certificates_of_a_known_authority() {
    let rig = Rig::new("authority");
    let sshd = "HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub\n";
    rig.up("a", "10.77.0.10", sshd, &[]);
    let authority = std::fs::read_to_string(rig.key("host_ca.pub")).unwrap();
    let other = std::fs::read_to_string(rig.key("user_ca.pub")).unwrap();
    let with = |known: &str, alias: Option<&str>| {
        let mut host = rig.host("a", "root", "");
        host.known_hosts = Some(rig.known("case", known));
        if let Some(alias) = alias {
            host.ssh_config = Some(rig.known("config", &format!("Host *\n  HostKeyAlias {alias}\n")));
        }
        judge(&rig, &host)
    };
    assert_eq!(with(&format!("@cert-authority 10.77.* {authority}"), None), Ok(()));
    assert_eq!(with(&lines(&rig).join("\n"), None), Ok(()), "the bare key counts as before");
    assert_eq!(with(&format!("@cert-authority * {other}"), None).unwrap_err().0, "it is unknown");
    let revoked = format!("@cert-authority * {authority}\n@revoked * {authority}");
    assert_eq!(with(&revoked, None).unwrap_err().0, "it is revoked");
    let (reason, expected, _) = with(&format!("@cert-authority * {authority}"), Some("elsewhere")).unwrap_err();
    assert!(reason.contains("not for elsewhere") && expected.contains("case:1"), "{reason} {expected}");
}
