//! What the `ssh` client makes of its configuration: the only reader that knows all of it.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::Directives;
use crate::inventory::SshHost;
use crate::transport::TransportError;

/// `ssh -G` for the host; `None` where there is no client.
pub(super) fn ask(host: &SshHost) -> Result<Option<Directives>, TransportError> {
    let mut command = Command::new("ssh");
    command.arg("-G").stdin(Stdio::null());
    if let Some(file) = &host.ssh_config {
        command.arg("-F").arg(file);
    }
    // `Match` blocks may look at the user and the port.
    if let Some(port) = host.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &host.user {
        command.args(["-l", user]);
    }
    let fault =
        |reason: String| TransportError::Config { what: format!("the SSH configuration of {}", host.host), reason };
    match command.args(["--", &host.host]).output() {
        Ok(output) if output.status.success() => Ok(Some(Directives::parse(&String::from_utf8_lossy(&output.stdout)))),
        Ok(output) => Err(fault(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error.to_string())),
    }
}
