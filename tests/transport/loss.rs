//! Connections that break, commands that don't end, requests that are given up.

use std::time::{Duration, Instant};

use drctl::transport::{Request, Transport, TransportError};
use tokio::time::{sleep, timeout};

use crate::rig::Rig;
use crate::say;

/// Ends the server's half of the connection that runs it.
const HANG_UP: &str = "pkill -KILL -f '^sshd: (root|ops)'; sleep 5; echo survived";

#[test]
fn a_killed_connection_is_lost_and_then_made_again() {
    let rig = Rig::new("killed");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "");
    rig.inside(async {
        assert_eq!(say(&ssh, "echo before").await.unwrap(), "before\n");
        for _ in 0..3 {
            let lost = ssh.run(Request::new(HANG_UP)).await;
            assert!(matches!(lost, Err(TransportError::Lost { .. })), "{lost:?}");
            assert_eq!(say(&ssh, "echo again").await.unwrap(), "again\n");
        }
    });
}

#[test]
fn a_writer_does_not_outlive_the_connection() {
    let rig = Rig::new("writer");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "");
    rig.inside(async {
        let mut endless = tokio::io::repeat(b'x');
        let script = format!("sleep 0.5; {HANG_UP}");
        let request = Request { stdin: Some(&mut endless), ..Request::new(&script) };
        let lost = timeout(Duration::from_secs(10), ssh.run(request)).await.unwrap();
        assert!(matches!(lost, Err(TransportError::Lost { .. })), "{lost:?}");

        // A script that reads nothing ends all the same.
        let request = Request { stdin: Some(&mut endless), ..Request::new("echo enough") };
        assert_eq!(timeout(Duration::from_secs(10), ssh.run(request)).await.unwrap().unwrap().stdout, b"enough\n");
    });
}

#[test]
fn silence_is_noticed_and_the_host_comes_back() {
    let rig = Rig::new("silence");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "keepalive = '1s'\nconnect_timeout = '2s'\nreconnect_for = '30s'");
    rig.inside(async {
        say(&ssh, "true").await.unwrap();
        let start = Instant::now();
        let (lost, ()) = tokio::join!(ssh.run(Request::new("sleep 60")), async {
            sleep(Duration::from_millis(200)).await;
            rig.tell(&["cut", "a"]);
        });
        assert!(matches!(lost, Err(TransportError::Lost { .. })), "{lost:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let (back, ()) = tokio::join!(say(&ssh, "echo back"), async {
            sleep(Duration::from_secs(3)).await;
            rig.tell(&["mend", "a"]);
        });
        assert_eq!(back.unwrap(), "back\n");
    });
}

#[test]
fn only_a_host_that_was_reached_before_is_waited_for_at_first() {
    let rig = Rig::new("first");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = || rig.ssh("a", "root", "connect_timeout = '1s'\nreconnect_for = '30s'");
    let (new, known) = (ssh(), ssh().known());
    rig.tell(&["cut", "a"]);
    rig.inside(async {
        let (refused, back, ()) = tokio::join!(say(&new, "echo back"), say(&known, "echo back"), async {
            sleep(Duration::from_secs(2)).await;
            rig.tell(&["mend", "a"]);
        });
        assert!(matches!(refused, Err(TransportError::Connect { .. })), "{refused:?}");
        assert_eq!(back.unwrap(), "back\n");
    });
}

#[test]
fn a_blocked_upload_notices_silence_too() {
    let rig = Rig::new("blocked");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "keepalive = '1s'");
    rig.inside(async {
        say(&ssh, "true").await.unwrap();
        let mut endless = tokio::io::repeat(b'x');
        let request = Request { stdin: Some(&mut endless), ..Request::new("cat >/dev/null") };
        let cutting = async {
            sleep(Duration::from_millis(500)).await;
            rig.tell(&["cut", "a"]);
        };
        let (lost, ()) =
            timeout(Duration::from_secs(20), async { tokio::join!(ssh.run(request), cutting) }).await.unwrap();
        assert!(matches!(lost, Err(TransportError::Lost { .. })), "{lost:?}");
    });
}

#[test]
fn a_time_limit_ends_only_its_command() {
    let rig = Rig::new("limit");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "");
    rig.inside(async {
        let slow = Request { limit: Duration::from_millis(300), ..Request::new("yes; sleep 60") };
        let (limited, other) = tokio::join!(ssh.run(slow), say(&ssh, "sleep 0.6; echo other"));
        assert!(matches!(limited, Err(TransportError::TimeLimit { .. })), "{limited:?}");
        assert_eq!(other.unwrap(), "other\n");
    });
}

#[test]
fn requests_that_are_given_up_or_not_polled_stop_nobody() {
    let rig = Rig::new("givenup");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "root", "");
    rig.inside(async {
        for _ in 0..20 {
            let mut sink = tokio::io::sink();
            let request = Request { stdout: Some(&mut sink), ..Request::new("yes") };
            assert!(timeout(Duration::from_millis(50), ssh.run(request)).await.is_err());
        }
        assert_eq!(say(&ssh, "echo alive").await.unwrap(), "alive\n");

        let mut noisy = Box::pin(ssh.run(Request::new("head -c 500000000 /dev/zero; echo end >&2")));
        assert!(timeout(Duration::from_millis(50), &mut noisy).await.is_err());
        assert_eq!(say(&ssh, "echo beside").await.unwrap(), "beside\n");
        let reply = noisy.await.unwrap();
        assert_eq!((reply.stdout.len(), &*reply.stderr), (1 << 20, &b"end\n"[..]));
    });
}
