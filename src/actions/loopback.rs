//! What steps reach through SSH: ports that the target opens to itself alone.

use std::fmt;

use crate::tunnel::is_loopback;

/// A port of the target's loopback, under the name that its SSH server is asked for: `PermitOpen` goes by that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loopback {
    /// Such as `127.0.0.1`.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Loopback {
    /// A port at the usual address.
    pub fn port(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// A port of a host, if that is the loopback.
    pub fn at(host: &str, port: u16) -> Option<Self> {
        is_loopback(host).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
