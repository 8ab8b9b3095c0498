//! This machine as its own target: the same constant command and script, given to its own `sh`.

use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::{Reply, Request, Stream, Transport, TransportError};

/// What a reply keeps of standard output.
const STDOUT_KEPT: usize = 1 << 20;
/// What a reply keeps of the end of standard error.
const STDERR_KEPT: usize = 64 << 10;
/// What every script finds around it, wherever it runs.
const PRELUDE: &str = "umask 077; ulimit -c 0; LC_ALL=C PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH; cd /\n";

/// The machine that drctl itself runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

#[async_trait]
impl Transport for Local {
    fn host(&self) -> &'static str {
        "localhost"
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
        let text = format!("{PRELUDE}{}", request.script);
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("eval \"$(head -c {})\"", text.len()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| TransportError::Local { what: "start `sh`", source })?;
        let group = child.id();
        let limit = request.limit;
        if let Ok(reply) = tokio::time::timeout(limit, converse(&mut child, &text, request)).await {
            reply
        } else {
            end_group(group);
            Err(TransportError::TimeLimit { host: self.host().to_owned(), limit })
        }
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        match TcpStream::connect((host, port)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(TransportError::Forward {
                host: self.host().to_owned(),
                to: format!("{host}:{port}"),
                tried: true,
                reason: error.to_string(),
            }),
        }
    }

    fn reconnect_for(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn connections(&self) -> u64 {
        0
    }
}

/// A script and all that it started in its own group; an already ended group is as good.
fn end_group(leader: Option<u32>) {
    let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(leader) = leader
        && let Err(error) = kill_process_group(leader, Signal::KILL)
    {
        tracing::debug!(%error, "no process group left to end");
    }
}

async fn converse(child: &mut Child, text: &str, request: Request<'_>) -> Result<Reply, TransportError> {
    let local = |what| move |source| TransportError::Local { what, source };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        let Some(mut stdin) = stdin else { return Ok(()) };
        match give(&mut stdin, text.as_bytes(), request.stdin).await {
            // A script may end without reading all that it was given.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    };
    let listen = async {
        match (stdout, request.stdout) {
            (Some(mut from), Some(to)) => tokio::io::copy(&mut from, to).await.map(|_| Vec::new()),
            (Some(from), None) => first_bytes(from).await,
            (None, _) => Ok(Vec::new()),
        }
    };
    let complain = async {
        match stderr {
            Some(from) => last_bytes(from).await,
            None => Ok(Vec::new()),
        }
    };
    let (sent, stdout, stderr) = tokio::join!(feed, listen, complain);
    sent.map_err(local("read what was to be sent"))?;
    let stdout = stdout.map_err(local("keep what a command wrote"))?;
    let stderr = stderr.map_err(local("keep what a command wrote"))?;
    let status = child.wait().await.map_err(local("wait for `sh`"))?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    Ok(Reply { status: status.code().unwrap_or(128 + signal.unwrap_or(0)), stdout, stderr })
}

async fn give(
    to: &mut (impl AsyncWrite + Unpin),
    text: &[u8],
    payload: Option<&mut (dyn AsyncRead + Send + Unpin)>,
) -> std::io::Result<()> {
    to.write_all(text).await?;
    if let Some(payload) = payload {
        tokio::io::copy(payload, to).await?;
    }
    to.shutdown().await
}

async fn first_bytes(mut from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut from).take(STDOUT_KEPT as u64).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

async fn last_bytes(mut from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut block = vec![0; STDERR_KEPT];
    loop {
        let read = from.read(&mut block).await?;
        if read == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&block[..read]);
        kept.drain(..kept.len().saturating_sub(STDERR_KEPT));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_script_finds_its_payload_after_its_own_text() {
        let mut payload: &[u8] = b"pay\0load";
        let request = Request { stdin: Some(&mut payload), ..Request::new("umask; cat; echo oh >&2; exit 7") };
        let reply = Local.run(request).await.unwrap();
        assert_eq!(reply, Reply { status: 7, stdout: b"0077\npay\0load".to_vec(), stderr: b"oh\n".to_vec() });
    }

    #[tokio::test]
    async fn output_goes_to_the_sink_or_is_bounded() {
        let mut sink = Vec::new();
        let request = Request { stdout: Some(&mut sink), ..Request::new("head -c 3000000 /dev/zero") };
        assert_eq!(Local.run(request).await.unwrap().stdout, b"");
        assert_eq!(sink.len(), 3_000_000);
        let flood = Request::new("head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2");
        let reply = Local.run(flood).await.unwrap();
        assert_eq!((reply.stdout.len(), reply.stderr.len()), (STDOUT_KEPT, STDERR_KEPT));
    }

    #[tokio::test]
    async fn a_limit_ends_the_script_and_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 1; : >'{}') & sleep 60", mark.display());
        let request = Request { limit: Duration::from_millis(200), ..Request::new(&script) };
        assert!(matches!(Local.run(request).await, Err(TransportError::TimeLimit { .. })));
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn a_signal_is_a_status() {
        assert_eq!(Local.run(Request::new("kill -9 $$")).await.unwrap().status, 137);
    }
}
