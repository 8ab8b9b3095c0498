use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Host;
use crate::target::{Job, JobEnd, JobState, Target};

fn job(command: &str) -> Job<'_> {
    Job { step: "s", attempt: 1, part: "apply", command, limit: Duration::from_mins(1), again: false }
}

async fn run(target: &Target, job: Job<'_>) -> JobEnd {
    target.job(job, &|_| {}, &CancellationToken::new()).await.unwrap()
}

/// Whether the process whose number is in a file still runs. One that ended and was not asked after has no command line.
fn lives(host: &Host, name: &str) -> bool {
    fs::read(format!("/proc/{}/cmdline", host.read(name).trim())).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn a_job_tells_its_lines_and_its_status() {
    let host = Host::new();
    let target = host.held().await;
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::NeverStarted);
    let lines = Mutex::new(Vec::new());
    let keep = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let command = "echo one; sleep 0.5; echo two >&2; printf three; umask; exit 3";
    let end = target.job(job(command), &keep, &CancellationToken::new()).await.unwrap();
    assert_eq!(end, JobEnd::Exited { status: 3, tail: "one\ntwo\nthree0022\n".to_owned() });
    assert_eq!(*lines.lock().unwrap(), ["one", "two", "three0022"]);
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::Exited { status: 3 });
}

#[tokio::test]
async fn twenty_starts_are_one_run() {
    let host = Host::new();
    let target = Arc::new(host.held().await);
    let command = format!("echo x >>'{}'; sleep 1", host.path("count"));
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (target, command) = (target.clone(), command.clone());
            tokio::spawn(async move { run(&target, job(&command)).await })
        })
        .collect();
    for one in all {
        assert!(matches!(one.await.unwrap(), JobEnd::Exited { status: 0, .. }));
    }
    assert_eq!(host.read("count"), "x\n");
}

#[tokio::test]
async fn another_attempt_and_a_repeatable_job_begin_anew() {
    let host = Host::new();
    let target = host.held().await;
    let command = format!("echo x >>'{}'", host.path("count"));
    for (attempt, again, count) in [(1, false, 1), (1, false, 1), (2, false, 2), (2, true, 3)] {
        run(&target, Job { attempt, again, ..job(&command) }).await;
        assert_eq!(host.read("count").lines().count(), count);
    }
}

#[tokio::test]
async fn a_job_past_its_limit_ends_with_all_of_its_group() {
    let host = Host::new();
    let target = host.held().await;
    let command = format!("echo begun; (sleep 5; : >'{}') & sleep 60", host.path("mark"));
    let limited = Job { limit: Duration::from_secs(1), ..job(&command) };
    let start = Instant::now();
    assert_eq!(run(&target, limited).await, JobEnd::TimedOut { tail: "begun\n".to_owned() });
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::TimedOut);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!fs::exists(host.path("mark")).unwrap());
}

#[tokio::test]
async fn a_job_that_ignores_sigterm_is_killed() {
    let host = Host::new();
    let target = host.held().await;
    let stubborn = Job { limit: Duration::from_secs(1), ..job("trap '' TERM; while :; do sleep 1; done") };
    assert!(matches!(run(&target, stubborn).await, JobEnd::TimedOut { .. }));
}

#[tokio::test]
async fn children_left_behind_end_with_the_job() {
    let host = Host::new();
    let target = host.held().await;
    let command = format!("(sleep 3; : >'{}') & exit 0", host.path("mark"));
    assert!(matches!(run(&target, job(&command)).await, JobEnd::Exited { status: 0, .. }));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!fs::exists(host.path("mark")).unwrap());
}

#[tokio::test]
async fn a_flood_is_bounded_on_both_sides() {
    let host = Host::new();
    let target = host.held().await;
    let longest = Mutex::new(0);
    let measure = |line: &str| {
        let mut longest = longest.lock().unwrap();
        *longest = line.len().max(*longest);
    };
    let flood = job("echo first; head -c 52428800 /dev/zero | tr '\\0' x; echo; echo last");
    let end = target.job(flood, &measure, &CancellationToken::new()).await.unwrap();
    let JobEnd::Exited { status: 0, tail } = end else { panic!("{end:?}") };
    assert!(tail.ends_with("x\nlast\n"));
    assert_eq!(tail.len(), 64 << 10);
    assert_eq!(*longest.lock().unwrap(), 16 << 10);
    let kept = fs::metadata(host.path("state/drctl/run-1/s/1-apply/out")).unwrap().len();
    assert!(kept <= 17 << 20, "{kept}");
}

#[tokio::test]
async fn a_stopped_follower_leaves_the_job_running() {
    let host = Host::new();
    let target = host.held().await;
    let stop = CancellationToken::new();
    let cancel = |_: &str| stop.cancel();
    let end = target.job(job("echo begun; sleep 2; echo done"), &cancel, &stop).await.unwrap();
    assert_eq!(end, JobEnd::Interrupted);
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::Running);
    let end = run(&target, job("not this one")).await;
    assert_eq!(end, JobEnd::Exited { status: 0, tail: "begun\ndone\n".to_owned() });
}

#[tokio::test]
async fn a_killed_wrapper_counts_while_the_command_runs_and_is_lost_after() {
    let host = Host::new();
    let target = host.held().await;
    let folder = host.path("state/drctl/run-1/s/1-apply");
    let stop = CancellationToken::new();
    let cancel = |_: &str| stop.cancel();
    target.job(job("echo begun; sleep 2"), &cancel, &stop).await.unwrap();
    target.ask("end the wrapper", &format!("kill -9 $(cat '{folder}/pid')")).await.unwrap();
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::Running);
    assert_eq!(run(&target, job("not this one")).await, JobEnd::Lost);
    fs::write(format!("{folder}/started"), "another boot\n").unwrap();
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::Rebooted);
}

#[tokio::test]
async fn a_start_cut_short_is_made_good() {
    let host = Host::new();
    let target = host.held().await;
    run(&target, job("echo x")).await;
    let folder = host.path("state/drctl/run-1/s/1-apply");
    for file in ["started", "rc"] {
        fs::remove_file(format!("{folder}/{file}")).unwrap();
    }
    fs::write(format!("{folder}/result"), " ".repeat(63) + "\n").unwrap();
    fs::create_dir(host.path("state/drctl/run-1/s/1-apply.new")).unwrap();
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::NeverStarted);
    assert!(matches!(run(&target, job("echo x")).await, JobEnd::Exited { status: 0, .. }));
}

#[tokio::test]
async fn a_running_job_keeps_the_run_from_being_taken_over() {
    let host = Host::new();
    let target = host.held().await;
    let stop = CancellationToken::new();
    let cancel = |_: &str| stop.cancel();
    target.job(job("echo begun; sleep 2"), &cancel, &stop).await.unwrap();
    target.stop().await.unwrap();
    let other = host.target("run-2");
    let over = crate::target::Claim { take_over: Some("run-1"), ..super::claim("other") };
    let outcome = other.acquire(over).await.unwrap();
    assert!(matches!(outcome, crate::target::LockOutcome::Held { live: true, .. }), "{outcome:?}");
    run(&target, job("not this one")).await;
    let outcome = other.acquire(over).await.unwrap();
    assert!(matches!(outcome, crate::target::LockOutcome::Acquired { .. }), "{outcome:?}");
}

#[tokio::test]
async fn children_in_sessions_of_their_own_end_with_the_job_and_those_that_let_go_of_its_lock_do_not() {
    let host = Host::new();
    let target = host.held().await;
    let child = |name: &str| format!("echo $$ >'{}'; exec sleep 60", host.path(name));
    let command = format!(
        "setsid sh -c \"{}\" & (setsid sh -c \"{}\" &) & setsid sh -c \"{}\" 9>&- >/dev/null 2>&1 &
         until [ -s '{}' ] && [ -s '{}' ] && [ -s '{}' ]; do sleep 0.05; done",
        child("session").replace('$', "\\$"),
        child("forked").replace('$', "\\$"),
        child("let-go").replace('$', "\\$"),
        host.path("session"),
        host.path("forked"),
        host.path("let-go"),
    );
    assert!(matches!(run(&target, job(&command)).await, JobEnd::Exited { status: 0, .. }));
    assert!(!lives(&host, "session") && !lives(&host, "forked"));
    assert!(lives(&host, "let-go"));
    target.ask("end it", &format!("kill {}", host.read("let-go"))).await.unwrap();
}

#[tokio::test]
async fn a_job_without_its_wrapper_is_ended_with_all_that_holds_its_lock() {
    let host = Host::new();
    let target = host.held().await;
    let folder = host.path("state/drctl/run-1/s/1-apply");
    let stop = CancellationToken::new();
    let cancel = |_: &str| stop.cancel();
    let command = format!("setsid sleep 60 & echo $! >'{}'; echo begun; sleep 60", host.path("child"));
    target.job(job(&command), &cancel, &stop).await.unwrap();
    target.ask("end the wrapper", &format!("kill -9 $(cat '{folder}/pid')")).await.unwrap();
    target.end_job("s", 1, "apply").await.unwrap();
    assert_eq!(target.job_state("s", 1, "apply").await.unwrap(), JobState::Lost);
    assert!(!lives(&host, "child"));
}

#[tokio::test]
async fn a_job_that_ended_is_over_whoever_holds_its_lock() {
    let host = Host::new();
    let target = host.held().await;
    let command = format!("echo x >>'{}'", host.path("count"));
    run(&target, job(&command)).await;
    let folder = host.path("state/drctl/run-1/s/1-apply");
    // Its number belongs to another by now, and that other one has the file open.
    let mut other = std::process::Command::new("sh")
        .args(["-c", &format!("exec 9>>'{folder}/alive'; flock 9; exec sleep 60")])
        .spawn()
        .unwrap();
    fs::write(format!("{folder}/main"), other.id().to_string()).unwrap();
    let start = Instant::now();
    target.end_job("s", 1, "apply").await.unwrap();
    run(&target, Job { again: true, ..job(&command) }).await;
    assert_eq!(host.read("count"), "x\nx\n");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(other.try_wait().unwrap().is_none(), "it lives on");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn the_last_lines_are_kept_just_past_the_limit_too() {
    let host = Host::new();
    let target = host.held().await;
    let command = format!("head -c {} /dev/zero | tr '\\0' x; echo; echo last", (8 << 20) + 5000);
    let JobEnd::Exited { status: 0, tail } = run(&target, job(&command)).await else { panic!() };
    assert!(tail.ends_with("x\nlast\n"), "{}", &tail[tail.len() - 100..]);
}

#[tokio::test]
async fn neither_scripts_nor_commands_dump_core() {
    let host = Host::new();
    let target = host.held().await;
    assert_eq!(target.ask("ask", "ulimit -c; ulimit -H -c").await.unwrap(), "0\n0\n");
    let JobEnd::Exited { tail, .. } = run(&target, job("ulimit -c; ulimit -H -c")).await else { panic!() };
    assert_eq!(tail, "0\n0\n");
}
