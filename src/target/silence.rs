//! Whether something answers at an address: two control planes of one cluster destroy its data.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::inventory::split_endpoint;
use crate::transport::Transport;

/// An address that keeps its caller waiting this long is silent.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether `host:port` accepts a connection: of the controller, or of the host behind `through`.
pub async fn answers(address: &str, through: Option<&dyn Transport>) -> bool {
    let accepted = async {
        match through {
            None => TcpStream::connect(address).await.is_ok(),
            Some(transport) => match split_endpoint(address) {
                Some((host, port)) => transport.open_tcp(host, port).await.is_ok(),
                None => false,
            },
        }
    };
    tokio::time::timeout(SILENCE, accepted).await.unwrap_or(false)
}
