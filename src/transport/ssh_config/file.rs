//! The SSH configuration read without an `ssh` client: `Host` blocks and `Include`, but no `Match`.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use ssh2_config::{HostParams, ParseRule, SshConfig};

use super::Directives;
use crate::inventory::SshHost;
use crate::transport::TransportError;

/// What the files say of the host, in the words of `ssh -G`.
pub(super) fn read(host: &SshHost) -> Result<Directives, TransportError> {
    let mut said = Directives::default();
    for path in files(host) {
        let fault = |reason: String| {
            let what = format!("the SSH configuration `{}`", path.display());
            TransportError::Config { what, reason }
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && host.ssh_config.is_none() => continue,
            Err(error) => return Err(fault(error.to_string())),
        };
        let rules = ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS;
        let config =
            SshConfig::default().parse(&mut BufReader::new(file), rules).map_err(|error| fault(error.to_string()))?;
        add(&mut said, &config.query(&host.host));
    }
    add_defaults(&mut said);
    Ok(said)
}

fn files(host: &SshHost) -> Vec<PathBuf> {
    match &host.ssh_config {
        Some(path) if path == Path::new("none") => Vec::new(),
        Some(path) => vec![path.clone()],
        None => vec![home().join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")],
    }
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
}

/// The fields that the parser knows, and those that it only keeps.
fn add(said: &mut Directives, params: &HostParams) {
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            said.push(name, value);
        }
    };
    put("hostname", params.host_name.clone());
    put("port", params.port.map(|port| port.to_string()));
    put("user", params.user.clone());
    put("proxyjump", params.proxy_jump.as_ref().map(|hops| hops.join(",")));
    put("connecttimeout", params.connect_timeout.map(|limit| limit.as_secs().to_string()));
    put("serveraliveinterval", params.server_alive_interval.map(|interval| interval.as_secs().to_string()));
    put("certificatefile", params.certificate_file.as_ref().map(|path| path.display().to_string()));
    for path in params.identity_file.iter().flatten() {
        put("identityfile", Some(path.display().to_string()));
    }
    for (name, words) in params.ignored_fields.iter().chain(&params.unsupported_fields) {
        put(&name.to_ascii_lowercase(), Some(words.join(" ")));
    }
}

fn add_defaults(said: &mut Directives) {
    let defaults = [
        ("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"),
        ("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"),
    ];
    for (name, value) in defaults {
        if said.all(name).next().is_none() {
            said.push(name, value);
        }
    }
    if said.all("identityfile").next().is_none() {
        for name in ["id_rsa", "id_ecdsa", "id_ed25519"] {
            said.push("identityfile", format!("~/.ssh/{name}"));
        }
    }
}
