//! A loopback port on the controller that leads to an address as the target sees it.
//!
//! For clients that want an address to connect to (etcd's, the API server's). Whoever else is on
//! the controller can connect too, but what lies behind asks for a client certificate.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::transport::{Transport, TransportError};

/// Whether it is the host itself that is meant, whatever its addresses are.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An open tunnel; closed when dropped.
#[derive(Debug)]
pub struct Tunnel {
    local: SocketAddr,
    serving: JoinHandle<()>,
}

impl Tunnel {
    /// Opens a tunnel; that the far end answers is tried once, so that a refusal has its reason.
    pub async fn open(transport: Arc<dyn Transport>, host: &str, port: u16) -> Result<Self, TransportError> {
        drop(transport.open_tcp(host, port).await?);
        let local = |source| TransportError::Local { what: "listen on a loopback port", source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(local)?;
        let address = listener.local_addr().map_err(local)?;
        let serving = tokio::spawn(serve(listener, transport, host.to_owned(), port));
        Ok(Self { local: address, serving })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, transport: Arc<dyn Transport>, host: String, port: u16) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(join(near, Arc::clone(&transport), host.clone(), port));
        while connections.try_join_next().is_some() {}
    }
}

/// A failure closes the near side: the client on it says what it was doing.
async fn join(mut near: TcpStream, transport: Arc<dyn Transport>, host: String, port: u16) {
    match transport.open_tcp(&host, port).await {
        Ok(mut far) => {
            if let Err(error) = copy_bidirectional(&mut near, &mut far).await {
                tracing::debug!(%error, host, port, "a tunnelled connection ended");
            }
        }
        Err(error) => tracing::debug!(%error, host, port, "a tunnelled connection was refused"),
    }
}
