use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{Host, claim};
use crate::target::{Claim, LockOutcome, TargetError};

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
        "localhost is now held by run `run-1` of root on other; nothing more is changed from here"
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
