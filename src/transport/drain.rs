//! What comes back from a command.

use russh::{ChannelMsg, ChannelReadHalf, Sig};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_util::bytes::Bytes;

use super::sudo::Words;

/// Kept of standard output when there is no sink.
const KEPT_STDOUT: usize = 1 << 20;

/// Kept of standard error, and of whatever precedes the script's own output.
const KEPT_STDERR: usize = 64 << 10;

/// RFC 4254's number for standard error.
const STDERR: u32 = 1;

/// How far the far side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was heard.
    Waiting,
    /// sudo asked for the password so many times.
    Asked(usize),
    /// The script may be sent.
    Ready,
}

/// All that a command said, when it said no more.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// `None` when the end of the channel came without it: then nobody knows how the command ended.
    pub(super) status: Option<i32>,
    /// Whether the server wouldn't execute anything.
    pub(super) refused: bool,
    /// Whether the script arrived whole and ran.
    pub(super) begun: bool,
    /// Whether the far side got as far as reading the script.
    pub(super) ready: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Standard error before the script was sent: sudo's words.
    pub(super) before: Vec<u8>,
}

impl Ended {
    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self::default()
    }
}

/// Reads a channel to its end.
pub(super) struct Drain {
    out: Gate,
    err: Gate,
    prompt: Option<Vec<u8>>,
    sink: Option<mpsc::Sender<Bytes>>,
    stage: watch::Sender<Stage>,
    ended: Ended,
}

impl Drain {
    /// Standard output goes to the sink, or is kept.
    pub(super) fn new(words: &Words, sink: Option<mpsc::Sender<Bytes>>) -> (Self, watch::Receiver<Stage>) {
        let (stage, watched) = watch::channel(Stage::Waiting);
        let prompt = words.prompt.as_ref().map(|prompt| prompt.as_bytes().to_vec());
        let ended = Ended::default();
        (Self { out: Gate::new(&words.begun), err: Gate::new(&words.ready), prompt, sink, stage, ended }, watched)
    }

    /// The permit is given back when the channel is closed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most messages are a server's or say nothing of the command")]
    pub(super) async fn run(mut self, mut read: ChannelReadHalf, _permit: OwnedSemaphorePermit) -> Ended {
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => self.stdout(data).await,
                ChannelMsg::ExtendedData { data, ext: STDERR } => self.stderr(data),
                ChannelMsg::ExitStatus { exit_status } => self.ended.status = i32::try_from(exit_status).ok(),
                ChannelMsg::ExitSignal { signal_name, .. } => self.ended.status = Some(128 + number(&signal_name)),
                // The server would leave the channel open.
                ChannelMsg::Failure => {
                    self.ended.refused = true;
                    break;
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        self.ended.begun = self.out.open;
        self.ended.ready = self.err.open;
        self.ended.before = self.err.before;
        keep_tail(&mut self.ended.stderr, KEPT_STDERR);
        self.ended
    }

    async fn stdout(&mut self, data: Bytes) {
        let data = self.out.pass(data);
        match &self.sink {
            // Who doesn't listen any more has given the request up, and ends this task next.
            Some(sink) if !data.is_empty() => sink.send(data).await.unwrap_or_default(),
            Some(_) => {}
            None => {
                let room = KEPT_STDOUT - self.ended.stdout.len();
                self.ended.stdout.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
    }

    fn stderr(&mut self, data: Bytes) {
        let data = self.err.pass(data);
        self.ended.stderr.extend_from_slice(&data);
        if self.ended.stderr.len() > 2 * KEPT_STDERR {
            keep_tail(&mut self.ended.stderr, KEPT_STDERR);
        }
        let stage = match &self.prompt {
            _ if self.err.open => Stage::Ready,
            Some(prompt) => match count(&self.err.before, prompt) {
                0 => Stage::Waiting,
                times => Stage::Asked(times),
            },
            None => Stage::Waiting,
        };
        self.stage.send_if_modified(|known| std::mem::replace(known, stage) != stage);
    }
}

/// Holds back what precedes a line with the marker: a login shell's start files may say anything.
struct Gate {
    marker: Vec<u8>,
    before: Vec<u8>,
    open: bool,
}

impl Gate {
    fn new(marker: &str) -> Self {
        Self { marker: format!("{marker}\n").into_bytes(), before: Vec::new(), open: false }
    }

    fn pass(&mut self, data: Bytes) -> Bytes {
        if self.open {
            return data;
        }
        self.before.extend_from_slice(&data);
        let Some(at) = find(&self.before, &self.marker) else {
            keep_tail(&mut self.before, KEPT_STDERR);
            return Bytes::new();
        };
        self.open = true;
        let after = self.before.split_off(at + self.marker.len());
        self.before.truncate(at);
        after.into()
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|window| *window == part).count()
}

fn keep_tail(bytes: &mut Vec<u8>, most: usize) {
    bytes.drain(..bytes.len().saturating_sub(most));
}

/// The number that shells add to 128.
fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) => match name.as_str() {
            "TRAP" => 5,
            "BUS" => 7,
            "USR2" => 12,
            "XCPU" => 24,
            "XFSZ" => 25,
            "SYS" => 31,
            _ => 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_opens_after_the_marker_however_it_is_cut() {
        let text = b"noise\nmore drctl-1\nthe script's own\n";
        for cut in 0..text.len() {
            let mut gate = Gate::new("drctl-1");
            let mut passed = gate.pass(Bytes::copy_from_slice(&text[..cut])).to_vec();
            passed.extend_from_slice(&gate.pass(Bytes::copy_from_slice(&text[cut..])));
            assert_eq!(passed, b"the script's own\n", "{cut}");
            assert_eq!(gate.before, b"noise\nmore ");
        }
    }

    #[test]
    fn a_closed_gate_keeps_only_a_tail() {
        let mut gate = Gate::new("drctl-1");
        for _ in 0..100 {
            assert!(gate.pass(Bytes::from(vec![b'x'; KEPT_STDERR / 10])).is_empty());
        }
        assert!(gate.before.len() <= KEPT_STDERR);
        assert_eq!(gate.pass(Bytes::from_static(b"drctl-1\nafter")), "after");
    }
}
