//! SSH against real servers: each test has throwaway hosts of its own (see `tests/lab`).

#![expect(clippy::unwrap_used, reason = "what helps tests fails by panicking, as they do")]

mod bulk;
mod logins;
mod loss;
mod rig;
mod root;
mod servers;
mod trust;

use drctl::transport::{Reply, Request, Transport, TransportError};

/// Runs a script and gives its standard output.
async fn say(host: &dyn Transport, script: &str) -> Result<String, TransportError> {
    let Reply { status, stdout, stderr } = host.run(Request::new(script)).await?;
    assert_eq!(status, 0, "{script}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout).unwrap())
}
