use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{Host, claim};
use crate::target::{Claim, LockOutcome, Target, TargetError};
use crate::transport::{Local, Reply, Request, Stream, Transport, TransportError};

#[tokio::test]
async fn each_taking_has_its_own_epoch_and_shuts_the_former_holder_out() {
    let host = Host::new();
    let first = host.held().await;
    let second = host.target("run-1");
    first.stop().await.unwrap();
    assert_eq!(second.acquire(claim("other")).await.unwrap(), LockOutcome::Acquired { epoch: 2 });
    let error = first.change("do it", ":").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "localhost is now held by another process of the same run, of root on other; nothing more is changed from here"
    );
    assert!(matches!(first.heartbeat().await, Err(TargetError::LostLock { .. })));
    second.heartbeat().await.unwrap();
    second.release().await.unwrap();
    assert_eq!(second.holder().await.unwrap(), None);
    assert_eq!(host.target("run-2").acquire(claim("me")).await.unwrap(), LockOutcome::Acquired { epoch: 3 });
}

#[tokio::test]
async fn another_run_waits_until_it_is_told_to_take_over() {
    let host = Host::new();
    let first = host.held().await;
    let second = host.target("run-2");
    let over = Claim { take_over: Some("run-1"), ..claim("other") };
    assert!(matches!(second.acquire(over).await.unwrap(), LockOutcome::Held { live: true, .. }));
    first.stop().await.unwrap();
    let LockOutcome::Held { holder, live } = second.acquire(claim("other")).await.unwrap() else { panic!() };
    assert_eq!((holder.run.as_str(), holder.controller.as_str(), live), ("run-1", "me", false));
    assert_eq!(second.acquire(over).await.unwrap(), LockOutcome::Acquired { epoch: 2 });
}

#[tokio::test]
async fn of_many_at_once_one_gets_it() {
    let host = Host::new();
    let all = (0..12).map(|n| {
        let target = host.target(&format!("run-{n}"));
        tokio::spawn(async move { target.acquire(claim(&format!("c{n}"))).await.unwrap() })
    });
    let mut taken = 0;
    for one in all.collect::<Vec<_>>() {
        taken += usize::from(matches!(one.await.unwrap(), LockOutcome::Acquired { .. }));
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn an_unsafe_folder_is_not_worked_in() {
    let host = Host::new();
    fs::create_dir_all(host.path("state")).unwrap();
    fs::create_dir_all(host.path("elsewhere")).unwrap();
    let home = host.path("state/drctl");
    symlink(host.path("elsewhere"), &home).unwrap();
    let refused = async || match host.target("run-1").acquire(claim("me")).await {
        Err(TargetError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refused().await.contains("symbolic link"));
    fs::remove_file(&home).unwrap();
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(refused().await.contains("written to by others"));
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&home, Some(1000), None).unwrap();
    assert!(refused().await.contains("uid 1000"));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[tokio::test]
async fn an_epoch_that_is_lost_or_changed_lets_no_former_holder_write_again() {
    for damage in
        ["", "\n", "0\n", "1\n", "1 \n", "x", "08\n", "99999999999999999999 a\n", "\0\0\0\0", "\u{e9}\n", "gone"]
    {
        let host = Host::new();
        let first = host.held().await;
        first.change("do it", ":").await.unwrap();
        if damage == "gone" {
            fs::remove_file(host.path("state/drctl/epoch")).unwrap();
        } else {
            host.write("state/drctl/epoch", damage);
        }
        assert!(matches!(first.change("do it", ":").await, Err(TargetError::LostLock { .. })), "{damage:?}");
        // The numbers begin anew, and the first is that of the former holder.
        let second = host.target("run-1");
        assert!(matches!(second.acquire(claim("me")).await.unwrap(), LockOutcome::Acquired { .. }), "{damage:?}");
        let error = first.change("do it", ":").await.unwrap_err();
        assert!(error.to_string().contains("another process of the same run"), "{error}");
        second.change("do it", ":").await.unwrap();
    }
}

#[tokio::test]
async fn a_holder_that_cannot_be_read_is_nobody_to_pass_over() {
    for damage in ["", "\n", "{}\n1 2 3 running\n", "\0\0\0", "{\"run\":\"run-1\"", "{\"run\":\"a\"}\n"] {
        let host = Host::new();
        let first = host.held().await;
        host.write("state/drctl/holder", damage);
        for run in ["run-1", "run-2"] {
            let error = host.target(run).acquire(claim("other")).await.unwrap_err();
            assert!(error.to_string().contains("/holder is damaged"), "{damage:?}: {error}");
            assert!(host.target(run).holder().await.is_err());
        }
        // It is still the one that may write, and it makes no holder out of nothing.
        first.change("do it", ":").await.unwrap();
        drop(first.heartbeat().await);
        assert!(host.target("run-2").holder().await.is_err(), "{damage:?}");
        fs::remove_file(host.path("state/drctl/holder")).unwrap();
        assert!(first.heartbeat().await.is_err());
        assert_eq!(first.holder().await.unwrap(), None);
    }
}

/// A file system that goes with the test, however that ends.
struct Mounted(String);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[tokio::test]
async fn a_disk_that_is_full_neither_takes_the_lock_away_nor_gives_it() {
    let host = Host::new();
    let disk = host.path("state");
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64k,nr_inodes=20", "tmpfs", &disk]);
    assert!(mount.status().unwrap().success(), "a tmpfs can be mounted");
    let _mounted = Mounted(disk);
    fs::set_permissions(host.path("state"), fs::Permissions::from_mode(0o755)).unwrap();
    let first = host.held().await;
    let fill = || {
        while fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(host.path("state/filler"))
            .is_ok_and(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]).is_ok())
        {}
    };
    fill();
    for _ in 0..3 {
        first.heartbeat().await.unwrap();
        assert!(first.holder().await.unwrap().unwrap().1, "it is live");
    }
    first.stop().await.unwrap();
    let (holder, live) = first.holder().await.unwrap().unwrap();
    assert!(holder.stopped && !live);
    assert!(host.target("run-1").acquire(claim("other")).await.is_err());
    first.change("do it", ":").await.unwrap();
    assert_eq!(first.holder().await.unwrap().unwrap().0, holder, "a taking that found no room changed nothing");
    fs::remove_file(host.path("state/filler")).unwrap();
    let second = host.target("run-1");
    assert_eq!(second.acquire(claim("other")).await.unwrap(), LockOutcome::Acquired { epoch: 2 });
    fill();
    second.release().await.unwrap();
    assert_eq!(second.holder().await.unwrap(), None);
}

/// Runs scripts here, but the reply to one that holds a word is lost, once.
#[derive(Debug)]
struct Losing {
    word: &'static str,
    lost: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Transport for Losing {
    fn host(&self) -> &'static str {
        "localhost"
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
        let hit = request.script.contains(self.word);
        let reply = Local.run(request).await?;
        if hit && !self.lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return Err(TransportError::Lost { host: "localhost".to_owned(), reason: "cut".to_owned() });
        }
        Ok(reply)
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        Local.open_tcp(host, port).await
    }

    fn reconnect_for(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn connections(&self) -> u64 {
        u64::from(self.lost.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_taking_whose_reply_was_lost_is_taken_again() {
    let host = Host::new();
    let losing = Losing { word: "claim='{", lost: false.into() };
    let target = Target::new(Arc::new(losing), "run-1").at(&host.path("state/drctl"));
    assert_eq!(target.acquire(claim("me")).await.unwrap(), LockOutcome::Acquired { epoch: 2 });
    target.change("do it", ":").await.unwrap();
    assert!(matches!(host.target("run-2").acquire(claim("me")).await.unwrap(), LockOutcome::Held { live: true, .. }));
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_with_all_that_it_began_before_the_lock_is_taken() {
    let host = Host::new();
    let first = Arc::new(host.held().await);
    let (begun, written) = (host.path("begun"), host.path("written"));
    let text = format!(
        "(while :; do date >{written}; sleep 0.05; done) & sh -c 'trap \"\" TERM INT HUP; sleep 1000; date >{written}' & \
         : >{begun}; wait; date >{written}"
    );
    let hanging = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.change("hang", &text).await }
    });
    while !fs::exists(&begun).unwrap() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = host.target("run-1");
    assert_eq!(second.acquire(claim("me")).await.unwrap(), LockOutcome::Acquired { epoch: 2 });
    fs::remove_file(&written).unwrap();
    let error = hanging.await.unwrap().unwrap_err();
    assert!(matches!(error, TargetError::LostLock { .. }), "{error}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!fs::exists(&written).unwrap(), "something of it still writes");
    second.change("do it", ":").await.unwrap();
}

#[tokio::test]
async fn runs_are_undone_in_the_reverse_of_their_order() {
    let host = Host::new();
    let first = host.held().await;
    first.change("leave something", &format!("mkdir -p '{}/step/aside'", first.run_folder())).await.unwrap();
    first.stop().await.unwrap();
    // Taken over, and ended well.
    let second = host.target("run-2");
    let over = Claim { take_over: Some("run-1"), ..claim("other") };
    assert!(matches!(second.acquire(over).await.unwrap(), LockOutcome::Acquired { .. }));
    second.change("leave something", &format!("mkdir -p '{}/step'", second.run_folder())).await.unwrap();
    second.release().await.unwrap();
    let third = host.target("run-3");
    assert!(matches!(third.acquire(claim("third")).await.unwrap(), LockOutcome::Acquired { .. }));
    third.release().await.unwrap();
    let by = async |run| match host.target(run).acquire(claim("me")).await.unwrap() {
        LockOutcome::Superseded { by } => by,
        other => panic!("{other:?}"),
    };
    assert_eq!(by("run-1").await, "run-2");
    assert_eq!(by("run-2").await, "run-3");
    for run in [&third, &second] {
        assert!(matches!(run.acquire(claim("third")).await.unwrap(), LockOutcome::Acquired { .. }));
        run.discard().await.unwrap();
        run.release().await.unwrap();
    }
    assert!(matches!(first.acquire(claim("me")).await.unwrap(), LockOutcome::Acquired { .. }));
}

#[tokio::test]
async fn a_run_that_left_nothing_is_over_too_once_it_was_taken_over() {
    let host = Host::new();
    host.held().await.stop().await.unwrap();
    let over = Claim { take_over: Some("run-1"), ..claim("other") };
    let second = host.target("run-2");
    assert!(matches!(second.acquire(over).await.unwrap(), LockOutcome::Acquired { .. }));
    second.release().await.unwrap();
    let again = host.target("run-1").acquire(claim("me")).await.unwrap();
    assert_eq!(again, LockOutcome::Superseded { by: "run-2".to_owned() });
}

#[tokio::test]
async fn a_heartbeat_under_way_does_not_bring_back_what_is_let_go_of() {
    let host = Host::new();
    for _ in 0..10 {
        let target = Arc::new(host.held().await);
        let beats: Vec<_> = (0..8)
            .map(|_| {
                let target = Arc::clone(&target);
                tokio::spawn(async move { target.heartbeat().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(8)).await;
        target.release().await.unwrap();
        for beat in beats {
            // One that finds the file gone between two looks says so; nobody waits for it then.
            drop(beat.await.unwrap());
        }
        assert_eq!(target.holder().await.unwrap(), None);
    }
}
