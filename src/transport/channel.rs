//! One command on one channel: feeding it, draining it, telling how it ended.
//!
//! A channel that nobody drains stops the whole connection, and a writer that waits for the far
//! window is not woken when the connection dies. So a task of its own drains each channel, also while
//! nobody polls the request, and feeding stops when draining does.
//!
//! ```text
//! stdin ──► feed ──► channel ──► drain (task) ──► stdout ──► sink
//!            ▲                     │
//!            └──── stage ◄─────────┘  ready? asked for a password? begun?
//! ```

use std::sync::Arc;

use russh::client::Msg;
use russh::{Channel, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::bytes::Bytes;

use super::drain::{Drain, Ended, Stage};
use super::sudo::Words;
use super::{Request, TransportError};
use crate::inventory::Secret;

/// Read from the payload at once.
const CHUNK: usize = 256 << 10;

/// Messages between the connection and a sink; enough that a busy disk doesn't stop the connection.
const QUEUE: usize = 256;

/// How a command ended, or why nobody knows.
pub(super) enum Outcome {
    Ended(Ended),
    TimeLimit,
}

/// Runs the words on the channel.
pub(super) async fn converse(
    channel: Channel<Msg>,
    permit: OwnedSemaphorePermit,
    words: &Words,
    password: Option<&Secret>,
    request: Request<'_>,
) -> Result<Outcome, TransportError> {
    let (read, write) = channel.split();
    let Request { stdin, stdout, limit, .. } = request;
    let (sink, queue) = stdout.is_some().then(|| mpsc::channel(QUEUE)).unzip();
    let (drain, stage) = Drain::new(words, sink);
    let mut drained = tokio::spawn(drain.run(read, permit));
    let close = CloseWhenDropped { write: Arc::new(write), drain: drained.abort_handle() };
    let talk = async {
        let feeding = feed(&close.write, stage, words, password, stdin);
        let ended = tokio::select! {
            ended = &mut drained => ended,
            fed = feeding => {
                fed?;
                (&mut drained).await
            }
        };
        Ok::<_, TransportError>(ended.unwrap_or_else(|_| Ended::unknown()))
    };
    match timeout(limit, async { tokio::try_join!(talk, pour(queue, stdout)) }).await {
        Ok(talked) => talked.map(|(ended, ())| Outcome::Ended(ended)),
        Err(_) => Ok(Outcome::TimeLimit),
    }
}

/// Closes the channel when the request is given up. russh forgets a channel that it was told to
/// close, so the drain would wait for an end that never comes.
struct CloseWhenDropped {
    write: Arc<ChannelWriteHalf<Msg>>,
    drain: AbortHandle,
}

impl Drop for CloseWhenDropped {
    fn drop(&mut self) {
        self.drain.abort();
        let write = Arc::clone(&self.write);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { write.close().await });
        }
    }
}

/// Sends what the far side reads, in the order in which it is ready to read it. That sending fails
/// is no error here: the drain sees the end of the channel, and knows more.
async fn feed(
    write: &ChannelWriteHalf<Msg>,
    mut stage: watch::Receiver<Stage>,
    words: &Words,
    password: Option<&Secret>,
    payload: Option<&mut (dyn AsyncRead + Send + Unpin)>,
) -> Result<(), TransportError> {
    if write.exec(true, words.command.as_bytes()).await.is_err() {
        return Ok(());
    }
    if let Some(password) = password {
        let ready = answer(write, &mut stage, password).await;
        if !ready {
            // At the end of its input sudo gives up; a second guess could lock the account.
            write.eof().await.unwrap_or_default();
            return Ok(());
        }
    }
    if write.data_bytes(words.script.clone()).await.is_ok()
        && let Some(payload) = payload
    {
        upload(write, payload).await?;
    }
    write.eof().await.unwrap_or_default();
    Ok(())
}

/// Waits until sudo is content, with or without the password; `false` when it is not.
async fn answer(write: &ChannelWriteHalf<Msg>, stage: &mut watch::Receiver<Stage>, password: &Secret) -> bool {
    let Ok(first) = stage.wait_for(|stage| *stage != Stage::Waiting).await.map(|stage| *stage) else { return false };
    if first == Stage::Ready {
        return true;
    }
    let line = [password.expose(), b"\n"].concat();
    if write.data_bytes(line).await.is_err() {
        return false;
    }
    stage.wait_for(|stage| *stage != first).await.is_ok_and(|stage| *stage == Stage::Ready)
}

async fn upload(
    write: &ChannelWriteHalf<Msg>,
    payload: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<(), TransportError> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = payload
            .read_buf(&mut chunk)
            .await
            .map_err(|source| TransportError::Local { what: "read what was to be sent", source })?;
        if read == 0 || write.data_bytes(chunk).await.is_err() {
            return Ok(());
        }
    }
}

/// Writes what comes to the sink.
async fn pour(
    queue: Option<mpsc::Receiver<Bytes>>,
    sink: Option<&mut (dyn AsyncWrite + Send + Unpin)>,
) -> Result<(), TransportError> {
    let (Some(mut queue), Some(sink)) = (queue, sink) else { return Ok(()) };
    let fault = |source| TransportError::Local { what: "write what was received", source };
    while let Some(bytes) = queue.recv().await {
        sink.write_all(&bytes).await.map_err(fault)?;
    }
    sink.flush().await.map_err(fault)
}
