//! Servers, login shells and ways that are not the usual ones.

use std::time::Duration;

use drctl::transport::{Request, Ssh, Transport, TransportError};
use tokio::io::AsyncReadExt as _;

use crate::rig::Rig;
use crate::say;

#[test]
fn one_session_a_banner_and_no_sftp() {
    let rig = Rig::new("narrow");
    let banner = "/etc/issue.net";
    rig.up("a", "10.77.0.10", &format!("MaxSessions 1\nBanner {banner}\n"), &[]);
    let ssh = rig.ssh("a", "ops", "");
    rig.inside(async {
        let (one, two, three, four) = tokio::join!(
            say(&ssh, "sleep 0.3; echo 1"),
            say(&ssh, "sleep 0.1; echo 2"),
            say(&ssh, "echo 3"),
            say(&ssh, "echo 4"),
        );
        let all = [one, two, three, four].map(Result::unwrap).concat();
        assert_eq!(all, "1\n2\n3\n4\n");
        for n in 0..20 {
            assert_eq!(say(&ssh, &format!("echo {n}")).await.unwrap(), format!("{n}\n"));
        }
    });
}

#[test]
fn a_server_without_sessions_says_so() {
    let rig = Rig::new("nosession");
    rig.up("a", "10.77.0.10", "Match User root\n  MaxSessions 0\n", &[]);
    let ssh = rig.ssh("a", "root", "");
    match rig.inside(async { say(&ssh, "true").await }) {
        Err(TransportError::Config { reason, .. }) => assert!(reason.contains("opens no session"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_login_shell_however_noisy() {
    for (shell, noise) in
        [("tcsh", ".cshrc"), ("fish", ".config/fish/config.fish"), ("bash", ".bashrc"), ("dash", ".profile")]
    {
        let rig = Rig::new(shell);
        rig.up("a", "10.77.0.10", "", &["--user-shell", shell]);
        let home = "/home/oppw";
        let make = format!(
            "mkdir -p $(dirname {home}/{noise}); echo 'echo noise; echo drctl-begun-' >{home}/{noise}; chown -R oppw {home}"
        );
        rig.tell(&["enter", "a", "sh", "-c", &make]);
        let password = rig.key("oppw.password");
        let ssh = rig.ssh("a", "oppw", &format!("become = {{ method = 'sudo', password = '{}' }}", password.display()));
        rig.inside(async {
            assert_eq!(
                say(&ssh, "printf '%s\\n' '$HOME' !! \"a\\b\"; id -u").await.unwrap(),
                "$HOME\n!!\na\\b\n0\n",
                "{shell}"
            );
            let mut payload = &b"payload"[..];
            let request = Request { stdin: Some(&mut payload), ..Request::new("cat; exit 3") };
            let reply = ssh.run(request).await.unwrap();
            assert_eq!((reply.status, &*reply.stdout), (3, &b"payload"[..]), "{shell}");
        });
    }
}

#[test]
fn an_account_without_a_shell_is_no_reply() {
    let rig = Rig::new("nologin");
    rig.up("a", "10.77.0.10", "", &[]);
    rig.tell(&["enter", "a", "usermod", "-s", "/usr/sbin/nologin", "ops"]);
    let plain = rig.ssh("a", "ops", "become = { method = 'none' }");
    match rig.inside(async { say(&plain, "true").await }) {
        Err(TransportError::Config { reason, .. }) => assert!(reason.contains("ran no script"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn through_jump_hosts() {
    let rig = Rig::new("jump");
    rig.up("bastion", "10.77.0.10", "", &[]);
    rig.up("inner", "10.77.0.11", "", &[]);
    // Only the bastion may talk to it.
    let fence = "nft add table inet t; nft 'add chain inet t in { type filter hook input priority 0; }'; \
                 nft add rule inet t in tcp dport 22 ip saddr != 10.77.0.10 drop";
    let pid = rig.tell(&["field", "inner", "pid"]);
    let fenced = std::process::Command::new("nsenter").args(["-t", pid.trim(), "-n", "sh", "-c", fence]).status();
    assert!(fenced.unwrap().success());

    let mut host = rig.host("inner", "ops", "connect_timeout = '2s'");
    let direct = Ssh::new(&host).unwrap();
    assert!(matches!(rig.inside(async { say(&direct, "true").await }), Err(TransportError::Connect { .. })));

    host.jump = vec![rig.host("bastion", "nosudo", "")];
    let jumping = Ssh::new(&host).unwrap();
    assert_eq!(rig.inside(async { say(&jumping, "hostname").await }).unwrap(), "inner\n");

    let both = rig.tell(&["known-hosts", "bastion"]) + &rig.tell(&["known-hosts", "inner"]);
    let config = format!(
        "Host inner\n  HostName 10.77.0.11\n  ProxyJump nosudo@10.77.0.10\nHost *\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
        rig.key("id_ed25519").display(),
        rig.known("both", &both).display()
    );
    let mut host = rig.host("inner", "ops", "");
    (host.host, host.known_hosts, host.identity) = ("inner".to_owned(), None, None);
    host.ssh_config = Some(rig.known("config", &config));
    let proxied = Ssh::new(&host).unwrap();
    assert_eq!(rig.inside(async { say(&proxied, "hostname").await }).unwrap(), "inner\n");

    host.jump = vec![rig.host("bastion", "nosudo", "")];
    host.jump[0].known_hosts = Some(rig.known("empty", ""));
    let distrusted = Ssh::new(&host).unwrap();
    match rig.inside(async { say(&distrusted, "true").await }) {
        Err(TransportError::HostKey { host, .. }) => assert_eq!(host, "10.77.0.10"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tcp_as_the_host_would() {
    let rig = Rig::new("tcp");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "nosudo", "");
    rig.inside(async {
        let mut stream = ssh.open_tcp("127.0.0.1", 22).await.unwrap();
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"SSH-");
        assert!(matches!(ssh.open_tcp("127.0.0.1", 1).await, Err(TransportError::Forward { .. })));
    });
}

#[test]
fn nobody_there() {
    let rig = Rig::new("nobody");
    rig.up("a", "10.77.0.10", "", &[]);
    let mut host = rig.host("a", "root", "connect_timeout = '1s'");
    host.port = Some(2);
    let closed = Ssh::new(&host).unwrap();
    host.host = "10.77.0.99".to_owned();
    let absent = Ssh::new(&host).unwrap();
    rig.inside(async {
        let start = std::time::Instant::now();
        assert!(matches!(say(&closed, "true").await, Err(TransportError::Connect { port: 2, .. })));
        assert!(matches!(say(&absent, "true").await, Err(TransportError::Connect { .. })));
        assert!(start.elapsed() < Duration::from_secs(3), "a host that never answered is tried once");
    });
}
