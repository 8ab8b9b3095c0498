//! A target that answers whatever it likes: every question ends, with an answer or an error.
#![no_main]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use drctl::target::{APPLY, Claim, Job, Owner, Payload, Place, Target};
use drctl::transport::{Reply, Request, Stream, Transport, TransportError};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

/// Gives the input out, an answer a question; then only refusals.
#[derive(Debug)]
struct Hostile {
    answers: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl Transport for Hostile {
    fn host(&self) -> &str {
        "hostile"
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
        let Some(answer) = self.answers.lock().expect("no panic").pop() else {
            return Ok(Reply { status: 1, stdout: Vec::new(), stderr: b"enough".to_vec() });
        };
        let (status, said) =
            answer.split_first().map_or((0, [].as_slice()), |(status, said)| (i32::from(*status % 80), said));
        let (stdout, stderr) = if status == 0 { (said, &[][..]) } else { (&[][..], said) };
        match request.stdout {
            Some(sink) => sink.write_all(stdout).await.expect("a sink"),
            None => return Ok(Reply { status, stdout: stdout.to_vec(), stderr: stderr.to_vec() }),
        }
        Ok(Reply { status, stdout: Vec::new(), stderr: stderr.to_vec() })
    }

    async fn open_tcp(&self, _: &str, _: u16) -> Result<Box<dyn Stream>, TransportError> {
        unreachable!("no question opens a connection")
    }

    fn reconnect_for(&self) -> Duration {
        Duration::ZERO
    }

    fn connections(&self) -> u64 {
        0
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(ask(input.0, input.1));
});

async fn ask(question: u8, bytes: &[u8]) {
    // 0xff never stands in UTF-8: it parts the answers.
    let mut answers: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0xff).map(<[u8]>::to_vec).collect();
    answers.reverse();
    let target = Target::new(Arc::new(Hostile { answers: Mutex::new(answers) }), "run-1");
    match question % 7 {
        0 => {
            if let Ok(facts) = target.facts(&["/var/lib/etcd", "/etc/kubernetes"]).await {
                drop(facts.values());
            }
        }
        1 => {
            let claim = Claim { controller: "me", user: "root", take_over: Some("run-0") };
            drop(target.acquire(claim).await);
            drop(target.heartbeat().await);
        }
        2 => drop(target.holder().await),
        3 => drop(target.job_state("step", 1, APPLY).await),
        4 => {
            let job = Job {
                step: "step",
                attempt: 1,
                part: APPLY,
                command: "true",
                limit: Duration::from_secs(1),
                again: false,
            };
            drop(target.job(job, &|_| {}, &CancellationToken::new()).await);
        }
        5 => {
            drop(target.asides().await);
            drop(target.still_kept("step").await);
            drop(target.digest("/etc/x").await);
        }
        _ => {
            let place = Place { to: "/etc/x".to_owned(), mode: 0o600, owner: Owner::root() };
            let large = vec![0; if question > 127 { 300 << 10 } else { 3 }];
            drop(target.place(Payload::Bytes(&large), &place, &|_, _| {}).await);
        }
    }
}
