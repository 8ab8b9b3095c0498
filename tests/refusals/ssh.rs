//! The way to the target: who it is, who we are, and becoming root.

use insta::assert_snapshot;

use crate::site::Site;
use crate::support::{ADDRESS, Lab};

#[test]
fn a_host_key_that_changed_is_unknown_or_is_not_the_pinned_one() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let other = lab.host("other", "light", "10.77.0.11", &[]);
    let lines = std::fs::read_to_string(other.known_hosts()).expect("its keys").replace("10.77.0.11", ADDRESS);
    let trusted = format!("known_hosts = \"{}\"", host.known_hosts());
    let fit = site.target.clone();
    for (name, text) in [("changed", lines.as_str()), ("unknown", "")] {
        let file = lab.write(name, text);
        site.target = fit.replace(&trusted, &format!("known_hosts = \"{file}\""));
        match name {
            "changed" => assert_snapshot!(site.refusal(3), @r#"
            [time] reading the snapshots, the certificate authorities and the target
              ERROR the host key of 10.77.0.10 is not to be trusted: it changed [host-key]
                      expected: SHA256:[fingerprint] ssh-ed25519 ([dir]/changed:1)
                      found:    SHA256:[fingerprint] ssh-ed25519
                    -> on the console of 10.77.0.10: `for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done`
                       if it shows the found fingerprint, write that as `host_key` in `[target]`; if not, this is another machine: stop
            error: 1 error; the target was not touched: host-key
              help: what to do is said with each of them
            "#),
            _ => assert_snapshot!(site.refusal(3), @r#"
            [time] reading the snapshots, the certificate authorities and the target
              ERROR the host key of 10.77.0.10 is not to be trusted: it is unknown [host-key]
                      expected: nothing is known of this host in [dir]/unknown
                      found:    SHA256:[fingerprint] ssh-ed25519
                    -> on the console of 10.77.0.10: `for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done`
                       if it shows the found fingerprint, write that as `host_key` in `[target]`; if not, this is another machine: stop
            error: 1 error; the target was not touched: host-key
              help: what to do is said with each of them
            "#),
        }
    }
    site.target = format!("{fit}host_key = \"{}\"\n", other.field("fingerprint"));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR the host key of 10.77.0.10 is not to be trusted: it is not the one that the inventory pins [host-key]
              expected: SHA256:[fingerprint] (host_key in the inventory)
              found:    SHA256:[fingerprint] ssh-ed25519
            -> on the console of 10.77.0.10: `for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done`
               if it shows the found fingerprint, write that as `host_key` in `[target]`; if not, this is another machine: stop
    error: 1 error; the target was not touched: host-key
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_user_without_sudo() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.target = host.target("nosudo");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR nosudo cannot become root on 10.77.0.10: sudo: a password is required [no-root]
            -> give sudo's password as `become = { method = "sudo", password = … }` in `[target]`, allow that user `NOPASSWD: ALL` on the target, or log in as another
    error: 1 error; the target was not touched: no-root
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_password_of_sudo_that_is_wrong_or_not_given() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    site.target = host.target("oppw");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR oppw cannot become root on 10.77.0.10: sudo: a password is required [no-root]
            -> give sudo's password as `become = { method = "sudo", password = … }` in `[target]`, allow that user `NOPASSWD: ALL` on the target, or log in as another
    error: 1 error; the target was not touched: no-root
      help: what to do is said with each of them
    "#);
    let password = lab.write("password", "wrong\n");
    site.target = format!("{}become = {{ method = \"sudo\", password = \"{password}\" }}\n", host.target("oppw"));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR oppw cannot become root on 10.77.0.10: sudo does not accept the password [no-root]
            -> give sudo's password as `become = { method = "sudo", password = … }` in `[target]`, allow that user `NOPASSWD: ALL` on the target, or log in as another
    error: 1 error; the target was not touched: no-root
      help: what to do is said with each of them
    "#);
    site.target = site.target.replace("/password\"", "/no-such-file\"");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not use the sudo password for 10.77.0.10: could not read `[dir]/no-such-file`: No such file or directory (os error 2) [login-settings]
            -> correct it in `[target]` of the inventory: `identity`, `identity_passphrase`, `certificate`, `known_hosts`, `ssh_config`, `become`
    error: 1 error; the target was not touched: login-settings
      help: what to do is said with each of them
    "#);
}

#[test]
fn a_key_that_is_not_accepted_not_there_or_locked() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let fit = site.target.clone();
    let key = lab.lab(&["key"]);
    site.target = fit.replace(&key, &lab.lab(&["key", "stranger"]));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR 10.77.0.10 accepted none of the credentials for root: [keys]/id_stranger (SHA256:[fingerprint]): refused [login-refused]
            -> `[target]` names `user`, `identity` and `certificate`: add the key's public half to that user's `~/.ssh/authorized_keys` on the target, or name one that is there
    error: 1 error; the target was not touched: login-refused
      help: what to do is said with each of them
    "#);
    site.target = fit.replace(&key, "no/such/key");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not use the identity `[dir]/no/such/key`: No such file or directory (os error 2) [login-settings]
            -> correct it in `[target]` of the inventory: `identity`, `identity_passphrase`, `certificate`, `known_hosts`, `ssh_config`, `become`
    error: 1 error; the target was not touched: login-settings
      help: what to do is said with each of them
    "#);
    site.target = fit.replace(&key, &lab.lab(&["key", "encrypted"]));
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not use the identity `[keys]/id_ed25519_encrypted`: it is encrypted and no passphrase is given [login-settings]
            -> correct it in `[target]` of the inventory: `identity`, `identity_passphrase`, `certificate`, `known_hosts`, `ssh_config`, `become`
    error: 1 error; the target was not touched: login-settings
      help: what to do is said with each of them
    "#);
}

#[test]
fn nobody_at_the_address() {
    let lab = Lab::new();
    let host = lab.host("target", "light", ADDRESS, &[]);
    let mut site = Site::new(&lab, &host);
    let fit = site.target.clone();
    site.target = fit.replace(ADDRESS, "10.77.0.99");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not connect to 10.77.0.99 (port 22): No route to host (os error 113) [target-unreachable]
            -> see that 10.77.0.99 is up, that its sshd runs, and that `host`, `port` and `jump` of `[target]` are right
    error: 1 error; the target was not touched: target-unreachable
      help: what to do is said with each of them
    "#);
    site.target = format!("{fit}port = 2222\n");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not connect to 10.77.0.10 (port 2222): Connection refused (os error 111) [target-unreachable]
            -> see that 10.77.0.10 is up, that its sshd runs, and that `host`, `port` and `jump` of `[target]` are right
    error: 1 error; the target was not touched: target-unreachable
      help: what to do is said with each of them
    "#);
    site.target = fit.replace(ADDRESS, "no-such-host.invalid");
    assert_snapshot!(site.refusal(3), @r#"
    [time] reading the snapshots, the certificate authorities and the target
      ERROR could not connect to no-such-host.invalid (port 22): failed to lookup address information: Temporary failure in name resolution [target-unreachable]
            -> see that no-such-host.invalid is up, that its sshd runs, and that `host`, `port` and `jump` of `[target]` are right
    error: 1 error; the target was not touched: target-unreachable
      help: what to do is said with each of them
    "#);
}
