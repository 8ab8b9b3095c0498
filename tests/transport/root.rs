//! Scripts run as root, whoever logs in, and arrive as they are.

use drctl::transport::{Request, Transport, TransportError};

use crate::rig::Rig;
use crate::say;

#[test]
fn a_script_runs_as_written() {
    let rig = Rig::new("script");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "");
    rig.inside(async {
        let hostile = "'\"\\`$(id)\u{1}\u{7f}é\u{202e}☃ !! %s ;&|<>*?~{}\t";
        let quoted = hostile.replace('\'', "'\\''");
        assert_eq!(say(&ssh, &format!("printf %s '{quoted}'\n\n")).await.unwrap(), hostile);
        assert_eq!(say(&ssh, "id -u; umask; pwd; echo $LC_ALL").await.unwrap(), "0\n0077\n/\nC\n");
        assert_eq!(say(&ssh, "command -v sysctl ip >/dev/null && echo sbin").await.unwrap(), "sbin\n");

        let reply = ssh.run(Request::new("echo out; echo err >&2; exit 7")).await.unwrap();
        assert_eq!((reply.status, &*reply.stdout, &*reply.stderr), (7, &b"out\n"[..], &b"err\n"[..]));
        assert_eq!(ssh.run(Request::new("kill -TERM $$")).await.unwrap().status, 128 + 15);
        assert_eq!(ssh.run(Request::new("if")).await.unwrap().status, 2);
        assert_eq!(ssh.run(Request::new("set -e; false; echo not reached")).await.unwrap().stdout, b"");

        let mut payload = &b"\0payload\n\n"[..];
        let request = Request { stdin: Some(&mut payload), ..Request::new("cat") };
        assert_eq!(ssh.run(request).await.unwrap().stdout, b"\0payload\n\n");

        let long = format!("{}echo end", ": 0123456789\n".repeat(100_000));
        assert_eq!(say(&ssh, &long).await.unwrap(), "end\n");
    });
}

#[test]
fn sudo_with_and_without_a_password() {
    let rig = Rig::new("sudo");
    rig.up("a", "10.77.0.10", "", &[]);
    let password = rig.key("oppw.password");
    let with = |path: &std::path::Path| format!("become = {{ method = 'sudo', password = '{}' }}", path.display());
    let right = with(&password);
    let wrong = with(&rig.known("wrong", "a wrong guess\n"));
    rig.inside(async {
        assert_eq!(say(&rig.ssh("a", "ops", ""), "id -u; echo $HOME").await.unwrap(), "0\n/root\n");
        assert_eq!(say(&rig.ssh("a", "ops", &right), "id -u; cat").await.unwrap(), "0\n");
        assert_eq!(say(&rig.ssh("a", "ops", "become = { method = 'none' }"), "id -un").await.unwrap(), "ops\n");

        let oppw = rig.ssh("a", "oppw", &right);
        let secret = std::fs::read_to_string(&password).unwrap();
        let mut payload = &b"payload"[..];
        let request =
            Request { stdin: Some(&mut payload), ..Request::new("id -u; cat; ps axww -o args; cat /proc/*/environ") };
        let reply = oppw.run(request).await.unwrap();
        let text = String::from_utf8_lossy(&reply.stdout);
        assert!(text.starts_with("0\npayload"), "{text}");
        assert!(!text.contains(&secret) && !String::from_utf8_lossy(&reply.stderr).contains("drctl-"), "{text}");

        for (user, how, words) in [
            ("oppw", "", "password is required"),
            ("oppw", &*wrong, "sudo does not accept the password"),
            ("nosudo", "", "password is required"),
            ("nosudo", &*wrong, "sudo does not accept the password"),
        ] {
            match say(&rig.ssh("a", user, how), "echo must not run").await {
                Err(TransportError::Become { reason, .. }) => {
                    assert!(reason.contains(words) && !reason.contains("drctl-"), "{user}: {reason}");
                }
                other => panic!("{user}: {other:?}"),
            }
        }
    });
}
