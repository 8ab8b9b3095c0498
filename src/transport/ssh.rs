//! A host over SSH: connects when first used, and again after a loss.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use russh::client::Msg;
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{Mutex, OnceCell, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::channel::{Outcome, converse};
use super::connection::{Connection, NoSession, describe};
use super::drain::Ended;
use super::hop::Hop;
use super::jump::way_to;
use super::ssh_config::Settings;
use super::sudo::{Escalation, Words};
use super::{Reply, Request, Stream, Transport, TransportError};
use crate::inventory::{Secret, SecretRef, Span, SshHost};

/// sshd remembers failed logins for 15 seconds and more; a host key doesn't mend itself faster.
const REFUSAL_HOLDS: Duration = Duration::from_secs(15);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A host reached over SSH. Cheap to share in an [`Arc`].
pub struct Ssh {
    name: String,
    jumps: Vec<Hop>,
    hop: Hop,
    escalation: Escalation,
    password: Option<SecretRef>,
    /// Read once, when first needed.
    known_password: OnceCell<Secret>,
    reconnect_for: Duration,
    link: Mutex<Link>,
    /// How many connections were made.
    made: AtomicU64,
}

#[derive(Default)]
struct Link {
    live: Option<Arc<Connection>>,
    /// When the last connection was found lost: a host that worked before is worth trying again.
    lost: Option<Instant>,
    refused: Option<(Instant, TransportError)>,
}

impl Ssh {
    /// Finds out where the host is and how to log in; connects to nothing yet.
    pub fn new(host: &SshHost) -> Result<Self, TransportError> {
        let settings = Settings::resolve(host)?;
        Ok(Self {
            name: host.host.clone(),
            jumps: way_to(host, &settings)?.into_iter().map(Hop::new).collect(),
            escalation: Escalation::new(host.become_root.as_ref(), &settings.user),
            hop: Hop::new(settings),
            password: host.become_root.as_ref().and_then(|how| how.password.clone()),
            known_password: OnceCell::new(),
            reconnect_for: host.reconnect_for.map_or(Duration::from_mins(5), Span::duration),
            link: Mutex::default(),
            made: AtomicU64::new(0),
        })
    }

    /// The same host, when it was reached before: its first connection is tried for as long as one that was lost.
    #[must_use]
    pub fn known(mut self) -> Self {
        self.link.get_mut().lost = Some(Instant::now());
        self
    }

    /// The live connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, TransportError> {
        let mut link = self.link.lock().await;
        if let Some(gone) = link.live.take_if(|live| live.is_lost()) {
            debug!(host = self.name, reason = gone.end().reason(), "the connection is lost");
            link.lost = Some(Instant::now());
        }
        if let Some(live) = &link.live {
            return Ok(Arc::clone(live));
        }
        if let Some((when, refusal)) = &link.refused
            && when.elapsed() < REFUSAL_HOLDS
            && let Some(refusal) = refusal.refusal()
        {
            return Err(refusal);
        }
        match self.connect(link.lost.map(|lost| lost + self.reconnect_for)).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                self.made.fetch_add(1, Ordering::Relaxed);
                *link = Link { live: Some(Arc::clone(&connection)), ..Link::default() };
                Ok(connection)
            }
            Err(error) => {
                link.refused = error.refusal().map(|refusal| (Instant::now(), refusal));
                Err(error)
            }
        }
    }

    /// Tries once, and again until the given time. Refusals are final.
    async fn connect(&self, until: Option<Instant>) -> Result<Connection, TransportError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match Connection::open(&self.jumps, &self.hop).await {
                Err(error) if error.is_transient() && until.is_some_and(|until| Instant::now() + pause < until) => {
                    debug!(host = self.name, %error, ?pause, "trying again");
                    // Several controllers, or several hosts, must not knock in step.
                    sleep(pause.mul_f64(jitter())).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                done => return done,
            }
        }
    }

    /// A session channel. A connection that turns out to be dead is replaced once: nothing was asked of it yet.
    async fn session(&self) -> Result<(Arc<Connection>, Channel<Msg>, OwnedSemaphorePermit), TransportError> {
        let mut connection = self.connection().await?;
        for last in [false, true] {
            match connection.open_session(&self.name).await {
                Ok((channel, permit)) => return Ok((connection, channel, permit)),
                Err(NoSession::Refused(error)) => return Err(error),
                Err(NoSession::Gone) if last => break,
                Err(NoSession::Gone) => connection = self.connection().await?,
            }
        }
        Err(self.lost(&connection))
    }

    async fn password(&self) -> Result<Option<&Secret>, TransportError> {
        let Some(place) = self.password.as_ref().filter(|_| self.escalation == Escalation::SudoWithPassword) else {
            return Ok(None);
        };
        let fault = |error: crate::inventory::SecretError| TransportError::Config {
            what: format!("the sudo password for {}", self.name),
            reason: error.to_string(),
        };
        self.known_password.get_or_try_init(|| async { place.read_line().await.map_err(fault) }).await.map(Some)
    }

    fn lost(&self, connection: &Connection) -> TransportError {
        TransportError::Lost { host: self.name.clone(), reason: connection.end().reason() }
    }

    /// Tells an end of the script from an end before it.
    fn reply(&self, ended: Ended, connection: &Connection) -> Result<Reply, TransportError> {
        let user = &self.hop.settings.user;
        let what = || format!("the shell of {user} on {}", self.name);
        match ended {
            Ended { refused: true, .. } => Err(TransportError::Config {
                what: what(),
                reason: "the server executes no commands for it".to_owned(),
            }),
            Ended { status: None, .. } => Err(self.lost(connection)),
            Ended { status: Some(status), begun: true, stdout, stderr, .. } => Ok(Reply { status, stdout, stderr }),
            Ended { ready: false, before, .. } if self.escalation != Escalation::None => {
                Err(TransportError::Become { host: self.name.clone(), user: user.clone(), reason: sudo_said(&before) })
            }
            Ended { status: Some(status), before, stderr, .. } => Err(TransportError::Config {
                what: what(),
                reason: format!("it ran no script (status {status}): {}", last_words(&[before, stderr].concat())),
            }),
        }
    }
}

/// The last few lines on one line, without our own prompt.
/// Why sudo gave up. After a wrong password it asks again, is given nothing, and complains of that too.
fn sudo_said(stderr: &[u8]) -> String {
    if String::from_utf8_lossy(stderr).contains("incorrect password") {
        return "sudo does not accept the password".to_owned();
    }
    last_words(stderr)
}

fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(|line| {
        line.split_once("drctl-password-")
            .map_or(line, |(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    });
    let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines[lines.len().saturating_sub(4)..].join("; ") }
}

/// Between a half and one and a half.
fn jitter() -> f64 {
    let mut byte = [128];
    // Without randomness the pause is merely regular.
    if rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK).is_err() {
        return 1.0;
    }
    0.5 + f64::from(byte[0]) / 255.0
}

#[async_trait]
impl Transport for Ssh {
    fn host(&self) -> &str {
        &self.name
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, TransportError> {
        let words = Words::new(request.script, self.escalation)?;
        let password = self.password().await?;
        let limit = request.limit;
        let (connection, channel, permit) = self.session().await?;
        match converse(channel, permit, &words, password, request).await? {
            Outcome::Ended(ended) => self.reply(ended, &connection),
            Outcome::TimeLimit => Err(TransportError::TimeLimit { host: self.name.clone(), limit }),
        }
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        let connection = self.connection().await?;
        connection.open_tcp(host, port).await.map_err(|error| {
            let russh::Error::ChannelOpenFailure(failure) = error else { return self.lost(&connection) };
            let (to, reason) = (format!("{host}:{port}"), describe(&failure));
            let tried = matches!(failure, ChannelOpenFailure::ConnectFailed);
            TransportError::Forward { host: self.name.clone(), to, tried, reason }
        })
    }

    fn reconnect_for(&self) -> Duration {
        self.reconnect_for
    }

    fn connections(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh").field("host", &self.name).field("user", &self.hop.settings.user).finish_non_exhaustive()
    }
}
