//! One live SSH connection, through jump hosts where there are any.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, DisconnectReason, Handle, Handler, Msg};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Preferred, cipher};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::auth::log_in;
use super::hop::Hop;
use super::host_key::{Refusal, Trust, same_type};
use super::{Stream, TransportError};

/// sshd's `MaxSessions` is 10.
const SESSIONS: u32 = 8;

/// sshd frees a session a moment after it closed the channel.
const REFUSALS_BORNE: u32 = 20;

/// A connection that is logged in.
pub(super) struct Connection {
    handle: Handle<Client>,
    end: End,
    slots: Arc<Semaphore>,
    /// The server opened no second session: from then on, one at a time.
    narrow: AtomicBool,
    /// The connections that this one runs through; the first one is the outermost.
    _through: Vec<Handle<Client>>,
}

/// Why no session was opened.
pub(super) enum NoSession {
    /// The connection is gone; nothing was started on it.
    Gone,
    /// The server doesn't want to.
    Refused(TransportError),
}

impl Connection {
    /// Connects to one jump host through the other, and through the last one to the host.
    pub(super) async fn open(jumps: &[Hop], host: &Hop) -> Result<Self, TransportError> {
        let mut through: Vec<Handle<Client>> = Vec::new();
        for jump in jumps {
            through.push(enter(jump, through.last()).await?.0);
        }
        let (handle, end) = enter(host, through.last()).await?;
        let slots = Arc::new(Semaphore::new(SESSIONS as usize));
        Ok(Self { handle, end, slots, narrow: AtomicBool::new(false), _through: through })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.handle.is_closed()
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Opens a session channel; the permit is to be kept until the channel is closed.
    pub(super) async fn open_session(&self, host: &str) -> Result<(Channel<Msg>, OwnedSemaphorePermit), NoSession> {
        let mut refusals = 0;
        loop {
            let alone = self.narrow.load(Ordering::Relaxed);
            let wanted = if alone { SESSIONS } else { 1 };
            let permit = Arc::clone(&self.slots).acquire_many_owned(wanted).await.map_err(|_| NoSession::Gone)?;
            match self.handle.channel_open_session().await {
                Ok(channel) => return Ok((channel, permit)),
                Err(russh::Error::ChannelOpenFailure(failure)) => {
                    debug!(host, ?failure, "no further session: one at a time from now on");
                    self.narrow.store(true, Ordering::Relaxed);
                    refusals += u32::from(alone);
                    if refusals > REFUSALS_BORNE {
                        let reason = format!("it opens no session: {}", describe(&failure));
                        return Err(NoSession::Refused(TransportError::Config {
                            what: format!("the SSH server of {host}"),
                            reason,
                        }));
                    }
                    drop(permit);
                    sleep(Duration::from_millis(u64::from(refusals) * 20)).await;
                }
                Err(_) => return Err(NoSession::Gone),
            }
        }
    }

    /// A TCP connection that the host makes; the error is its words.
    pub(super) async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, russh::Error> {
        forward(&self.handle, host, port).await
    }
}

async fn enter(hop: &Hop, through: Option<&Handle<Client>>) -> Result<(Handle<Client>, End), TransportError> {
    // What is wrong with our own files is told without bothering the host.
    hop.keyring().await?;
    let (mut handle, end) = shake_hands(hop, through).await?;
    log_in(&mut handle, &end, hop).await?;
    debug!(host = hop.settings.name, user = hop.settings.user, "logged in");
    Ok((handle, end))
}

async fn forward(handle: &Handle<Client>, host: &str, port: u16) -> Result<Box<dyn Stream>, russh::Error> {
    let channel = handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await?;
    Ok(Box::new(channel.into_stream()))
}

/// A refusal in words.
pub(super) fn describe(failure: &ChannelOpenFailure) -> String {
    match failure {
        ChannelOpenFailure::AdministrativelyProhibited => "the server forbids it".to_owned(),
        ChannelOpenFailure::ConnectFailed => "connecting failed".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "the server does not know how".to_owned(),
        ChannelOpenFailure::ResourceShortage => "the server is short of resources".to_owned(),
        ChannelOpenFailure::Other { reason, .. } => reason.clone(),
    }
}

/// Why a connection ended, once it has.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Ending>>>);

#[derive(Debug, Clone)]
struct Ending {
    reason: String,
    dismissed: bool,
}

impl End {
    /// In words.
    pub(super) fn reason(&self) -> String {
        self.read()
            .map_or_else(|| "the server closed the channel without saying how it ended".to_owned(), |end| end.reason)
    }

    /// What the server said when it was the server that ended the connection on purpose.
    pub(super) fn dismissal(&self) -> Option<String> {
        self.read().filter(|end| end.dismissed).map(|end| end.reason)
    }

    fn read(&self) -> Option<Ending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: String, dismissed: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ending { reason, dismissed });
    }
}

/// Our side of the protocol: judges the host key and notes how the connection ends.
#[derive(Debug)]
pub(super) struct Client {
    host: String,
    trust: Trust,
    end: End,
}

/// A handshake that failed.
#[derive(Debug)]
pub(super) enum Broken {
    Protocol(russh::Error),
    HostKey(Refusal),
}

impl From<russh::Error> for Broken {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Handler for Client {
    type Error = Broken;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Broken> {
        self.trust.judge(shown).map(|()| true).map_err(Broken::HostKey)
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut client::Session) -> Result<(), Broken> {
        debug!(host = self.host, banner, "the server greets");
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Broken>) -> Result<(), Broken> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => self.end.set(info.message, true),
            DisconnectReason::Error(Broken::Protocol(error)) => self.end.set(lower_first(&error.to_string()), false),
            DisconnectReason::Error(Broken::HostKey(refusal)) => self.end.set(refusal.reason, false),
        }
        Ok(())
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Connects and agrees on keys. A server shows one host key; when the pinned one is of another type, it is asked for.
async fn shake_hands(hop: &Hop, through: Option<&Handle<Client>>) -> Result<(Handle<Client>, End), TransportError> {
    let trust = hop.trust()?;
    let mut order = trust.key_order();
    let mut refused: Option<Refusal> = None;
    loop {
        match try_hands(hop, &trust, order.clone(), through).await? {
            Ok(done) => return Ok(done),
            Err(Broken::HostKey(refusal)) => {
                order.retain(|algorithm| !same_type(algorithm, &refusal.shown));
                let first = refused.get_or_insert(refusal.clone());
                if first.found != refusal.found {
                    first.found = format!("{}, {}", first.found, refusal.found);
                }
                if !matches!(trust, Trust::Pinned(_)) || order.is_empty() {
                    return Err(first.clone().of(&hop.settings.name));
                }
            }
            Err(Broken::Protocol(error)) => {
                return Err(match refused {
                    Some(refusal) if matches!(error, russh::Error::NoCommonAlgo { .. }) => {
                        refusal.of(&hop.settings.name)
                    }
                    _ => hop.unreachable(io::Error::other(format!(
                        "the SSH handshake failed: {}",
                        lower_first(&error.to_string())
                    ))),
                });
            }
        }
    }
}

async fn try_hands(
    hop: &Hop,
    trust: &Trust,
    order: Vec<Algorithm>,
    through: Option<&Handle<Client>>,
) -> Result<Result<(Handle<Client>, End), Broken>, TransportError> {
    let settings = &hop.settings;
    let stream: Box<dyn Stream> = match through {
        None => Box::new(dial(hop).await?),
        Some(last) => timeout(settings.connect_timeout, forward(last, &settings.address, settings.port))
            .await
            .map_err(|_| hop.timed_out())?
            .map_err(|error| hop.unreachable(io::Error::other(format!("the jump host could not reach it: {error}"))))?,
    };
    let end = End::default();
    let client = Client { host: settings.name.clone(), trust: trust.clone(), end: end.clone() };
    let config = Arc::new(config(hop, order, trust.certificate_order()));
    let shaken = timeout(settings.connect_timeout, client::connect_stream(config, stream, client)).await;
    Ok(shaken.map_err(|_| hop.timed_out())?.map(|handle| (handle, end)))
}

async fn dial(hop: &Hop) -> Result<TcpStream, TransportError> {
    let settings = &hop.settings;
    let lookup = timeout(settings.connect_timeout, lookup_host((settings.address.as_str(), settings.port)));
    let addresses = lookup.await.map_err(|_| hop.timed_out())?.map_err(|error| hop.unreachable(error))?;
    let tcp = first_of(hop, addresses).await?;
    tcp.set_nodelay(true).map_err(|error| hop.unreachable(error))?;
    let limit = u32::try_from(unanswered(hop).as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, limit).map_err(|error| hop.unreachable(error.into()))?;
    Ok(tcp)
}

/// Each address of a name has its own time: the first may be one whose packets vanish.
async fn first_of(hop: &Hop, addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, TransportError> {
    let mut last = hop.unreachable(io::Error::new(io::ErrorKind::NotFound, "its name has no address"));
    for address in addresses {
        match timeout(hop.settings.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = hop.unreachable(error),
            Err(_) => last = hop.timed_out(),
        }
    }
    Err(last)
}

/// After this a peer that doesn't answer is dead; longer than keepalives take to notice it.
fn unanswered(hop: &Hop) -> Duration {
    hop.settings.keepalive * (u32::try_from(hop.settings.keepalive_count).unwrap_or(3) + 1)
}

fn config(hop: &Hop, key: Vec<Algorithm>, host_key_certificates: Vec<Algorithm>) -> client::Config {
    client::Config {
        preferred: Preferred {
            key: Cow::Owned(key),
            host_key_certificates: Cow::Owned(host_key_certificates),
            // russh leaves the fastest one out, and prefers the slowest one.
            cipher: Cow::Borrowed(&[
                cipher::AES_128_GCM,
                cipher::AES_256_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
            ]),
            ..Preferred::DEFAULT
        },
        window_size: 8 << 20,
        maximum_packet_size: 65535,
        nodelay: true,
        keepalive_interval: Some(hop.settings.keepalive),
        keepalive_max: hop.settings.keepalive_count - 1,
        // Keepalives aren't sent while a write is stuck, so they alone would miss a peer that is gone.
        inactivity_timeout: Some(unanswered(hop) + hop.settings.keepalive / 2),
        ..client::Config::default()
    }
}
