//! One host on the way: its settings, and the keys and secrets that outlive a connection.

use std::io;

use tokio::sync::OnceCell;

use super::TransportError;
use super::host_key::Trust;
use super::identity::Keyring;
use super::known_hosts::KnownHost;
use super::ssh_config::Settings;

pub(super) struct Hop {
    pub(super) settings: Settings,
    /// Read once, so that a reconnection asks nobody for a passphrase.
    keyring: OnceCell<Keyring>,
}

impl Hop {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, keyring: OnceCell::new() }
    }

    pub(super) async fn keyring(&self) -> Result<&Keyring, TransportError> {
        self.keyring.get_or_try_init(|| Keyring::load(&self.settings)).await
    }

    /// Read again at every connection: people mend these files while drctl waits.
    pub(super) fn trust(&self) -> Result<Trust, TransportError> {
        let settings = &self.settings;
        if let Some(pin) = &settings.pinned {
            return Ok(Trust::Pinned(pin.clone()));
        }
        let files: Vec<_> = settings.known_hosts.iter().map(|path| path.display().to_string()).collect();
        Ok(Trust::Known {
            host: KnownHost::read(&settings.known_hosts, &settings.known_names())?,
            name: settings.host_key_alias.clone().unwrap_or_else(|| settings.address.clone()),
            files: files.join(", "),
        })
    }

    pub(super) fn unreachable(&self, source: io::Error) -> TransportError {
        let host = if self.settings.name == self.settings.address {
            self.settings.name.clone()
        } else {
            format!("{} ({})", self.settings.name, self.settings.address)
        };
        TransportError::Connect { host, port: self.settings.port, source }
    }

    pub(super) fn timed_out(&self) -> TransportError {
        let message = format!("no answer within {:?}", self.settings.connect_timeout);
        self.unreachable(io::Error::new(io::ErrorKind::TimedOut, message))
    }
}
