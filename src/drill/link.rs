//! The only way to a throwaway target: a loopback port on the controller that leads to its SSH server.
//!
//! The target itself has no network that leads anywhere. Since all that is said to it passes here, this is also where a
//! game day cuts the cable.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// How a throwaway target's SSH server is reached from the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// At an address.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// On the loopback of a network namespace of this machine.
    Namespace {
        /// The namespace's file.
        network: PathBuf,
        /// Port.
        port: u16,
    },
}

/// Longer than any of it takes while all is well.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two looks for an SSH server that is still starting.
const PAUSE: Duration = Duration::from_millis(100);

/// An open link; closed when dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Link {
    /// Opens a port that leads there. Nothing is connected yet.
    pub async fn open(way: Way) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, way, is_cut));
        Ok(Self { address, cut, serving })
    }

    /// Where it is entered.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pulls the cable: everything that is open ends, and nothing new begins until it is mended.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Plugs it in again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// Waits until an SSH server answers; otherwise what was seen last.
    pub async fn answers(&self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        loop {
            let seen = match tokio::time::timeout(CONNECT, banner(self.address)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it accepts a connection and says nothing".to_owned(),
            };
            if Instant::now() >= until {
                return Err(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn banner(address: SocketAddr) -> std::io::Result<()> {
    let mut begun = [0; 4];
    TcpStream::connect(address).await?.read_exact(&mut begun).await?;
    if &begun == b"SSH-" { Ok(()) } else { Err(std::io::Error::other("what answers is no SSH server")) }
}

async fn serve(listener: TcpListener, way: Way, is_cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        if !*is_cut.borrow() {
            connections.spawn(join(near, way.clone(), is_cut.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A failure closes the near side: the client on it says what it was doing.
async fn join(mut near: TcpStream, way: Way, mut is_cut: watch::Receiver<bool>) {
    let passing = async {
        let mut far = tokio::time::timeout(CONNECT, way.connect()).await??;
        copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        passed = passing => if let Err(error) = passed { tracing::debug!(%error, ?way, "a connection to the target ended") },
        // An error means that the link itself is gone.
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
}

impl Way {
    async fn connect(&self) -> std::io::Result<TcpStream> {
        match self {
            Self::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await,
            Self::Namespace { network, port } => {
                let (network, port) = (network.clone(), *port);
                let (give, given) = tokio::sync::oneshot::channel();
                // The namespace is the thread's, and a socket stays in that of its birth: the thread ends with it.
                std::thread::spawn(move || give.send(connect_within(&network, port)));
                TcpStream::from_std(given.await.map_err(std::io::Error::other)??)
            }
        }
    }
}

fn connect_within(network: &Path, port: u16) -> std::io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd as _;
    let network = std::fs::File::open(network)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let stream = std::net::TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECT)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
