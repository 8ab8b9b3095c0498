//! Whether something answers at an address: two control planes of one cluster destroy its data.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::inventory::split_endpoint;
use crate::transport::{Transport, TransportError};

/// An address that keeps its caller waiting this long is silent.
const SILENCE: Duration = Duration::from_secs(2);
/// For a name's addresses: several name servers may have to be asked.
const LOOKUP: Duration = Duration::from_secs(20);

/// What came of asking an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A connection was accepted.
    Answer,
    /// Nothing accepts connections there.
    Silence,
    /// It could not be asked, and why: that is no silence.
    Unasked(String),
}

/// Asks `host:port`, from the controller, or from the host behind `through`. Of a name every address is asked.
pub async fn listen(address: &str, through: Option<&dyn Transport>) -> Heard {
    match through {
        None => from_here(address).await,
        Some(transport) => from_there(address, transport).await,
    }
}

async fn from_here(address: &str) -> Heard {
    let addresses: Vec<SocketAddr> = match timeout(LOOKUP, lookup_host(address)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Heard::Unasked(format!("its name cannot be resolved: {error}")),
        Err(_) => return Heard::Unasked(format!("its name is not resolved within {}s", LOOKUP.as_secs())),
    };
    let asked = addresses.into_iter().map(|address| timeout(SILENCE, TcpStream::connect(address)));
    let accepted = join_all(asked).await.into_iter().any(|answer| matches!(answer, Ok(Ok(_))));
    if accepted { Heard::Answer } else { Heard::Silence }
}

async fn from_there(address: &str, transport: &dyn Transport) -> Heard {
    let Some((host, port)) = split_endpoint(address) else {
        return Heard::Unasked("it is no address with a port".to_owned());
    };
    match timeout(SILENCE, transport.open_tcp(host, port)).await {
        Ok(Ok(_)) => Heard::Answer,
        Err(_) | Ok(Err(TransportError::Forward { tried: true, .. })) => Heard::Silence,
        Ok(Err(error)) => Heard::Unasked(error.to_string()),
    }
}
