//! Where a host is and how to log in: the inventory's words, then the SSH configuration's, then SSH's defaults.

mod client;
mod directives;
mod file;

use std::path::PathBuf;
use std::time::Duration;

use self::directives::Directives;
use super::TransportError;
use crate::inventory::{SecretRef, Span, SshHost};

/// All that a connection to one host needs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The host as the inventory names it.
    pub(super) name: String,
    /// Where it is.
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The name that known hosts files and certificates have it under, when not its address.
    pub(super) host_key_alias: Option<String>,
    /// The fingerprint of the only host key to be accepted.
    pub(super) pinned: Option<String>,
    pub(super) known_hosts: Vec<PathBuf>,
    /// The key that the inventory names.
    pub(super) identity: Option<PathBuf>,
    pub(super) passphrase: Option<SecretRef>,
    /// The keys that the SSH configuration names, or SSH's default ones.
    pub(super) identities: Vec<PathBuf>,
    pub(super) certificates: Vec<PathBuf>,
    /// Whether the agent may sign only for those keys.
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    /// `[user@]host[:port]`, in order.
    pub(super) proxy_jump: Vec<String>,
    pub(super) connect_timeout: Duration,
    pub(super) keepalive: Duration,
    /// So many unanswered keepalives end the connection.
    pub(super) keepalive_count: usize,
}

impl Settings {
    /// Asks the `ssh` client what its configuration says, or reads it where there is no client.
    pub(super) fn resolve(host: &SshHost) -> Result<Self, TransportError> {
        // Neither ssh nor a jump host's ssh may take a name for an option.
        if host.host.is_empty() || host.host.starts_with('-') || host.host.contains(char::is_whitespace) {
            let what = format!("the host `{}`", host.host);
            return Err(TransportError::Config { what, reason: "it is not a host name".to_owned() });
        }
        let directives = match client::ask(host)? {
            Some(said) => said,
            None => file::read(host)?,
        };
        Self::merge(host, &directives)
    }

    fn merge(host: &SshHost, said: &Directives) -> Result<Self, TransportError> {
        if said.first("proxycommand").is_some() {
            let what = format!("ProxyCommand of {}", host.host);
            let reason = "it is not supported; use ProxyJump, or `jump` in the inventory".to_owned();
            return Err(TransportError::Config { what, reason });
        }
        let address = said.first("hostname").unwrap_or(&host.host).replace("%h", &host.host);
        let port = host.port.or_else(|| said.number("port")).unwrap_or(22);
        let user =
            host.user.clone().or_else(|| said.first("user").map(str::to_owned)).or_else(|| std::env::var("USER").ok());
        let user = user.unwrap_or_else(|| "root".to_owned());
        let tokens = directives::Tokens::new(&host.host, &address, port, &user);
        let paths = |name: &'static str| said.all(name).map(|path| tokens.path(path)).collect::<Vec<_>>();
        let lists =
            |name: &'static str| said.all(name).flat_map(str::split_ascii_whitespace).filter(|word| *word != "none");
        let known_hosts = match &host.known_hosts {
            Some(file) => vec![file.clone()],
            None => {
                lists("userknownhostsfile").chain(lists("globalknownhostsfile")).map(|path| tokens.path(path)).collect()
            }
        };
        let mut certificates: Vec<PathBuf> = host.certificate.iter().cloned().collect();
        certificates.extend(paths("certificatefile"));
        let seconds = |name: &'static str| said.number(name).filter(|&seconds| seconds > 0).map(Duration::from_secs);
        let default = Duration::from_secs(10);
        Ok(Self {
            name: host.host.clone(),
            host_key_alias: said.first("hostkeyalias").map(str::to_owned),
            pinned: host.host_key.clone(),
            known_hosts,
            identity: host.identity.clone(),
            passphrase: host.identity_passphrase.clone(),
            identities: paths("identityfile").into_iter().filter(|path| path.as_os_str() != "none").collect(),
            certificates,
            identities_only: said.first("identitiesonly") == Some("yes"),
            agent: if host.agent == Some(false) { None } else { agent_socket(said, &tokens) },
            proxy_jump: said
                .first("proxyjump")
                .map(|list| list.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            connect_timeout: host
                .connect_timeout
                .map_or_else(|| seconds("connecttimeout").unwrap_or(default), Span::duration),
            keepalive: host.keepalive.map_or_else(|| seconds("serveraliveinterval").unwrap_or(default), Span::duration),
            keepalive_count: said.number("serveralivecountmax").filter(|&count| count > 0).unwrap_or(3),
            address,
            port,
            user,
        })
    }

    /// The names under which known hosts files may have the host, most telling first.
    pub(super) fn known_names(&self) -> Vec<String> {
        match &self.host_key_alias {
            Some(alias) => vec![alias.clone()],
            None if self.port == 22 => vec![self.address.clone()],
            None => vec![format!("[{}]:{}", self.address, self.port), self.address.clone()],
        }
    }
}

fn agent_socket(said: &Directives, tokens: &directives::Tokens) -> Option<PathBuf> {
    let from_env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match said.first("identityagent") {
        None | Some("SSH_AUTH_SOCK") => from_env("SSH_AUTH_SOCK"),
        Some(text) => match text.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => from_env(name),
            _ => Some(tokens.path(text)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> SshHost {
        toml::from_str(text).unwrap()
    }

    fn merge(host_text: &str, said: &str) -> Settings {
        Settings::merge(&host(host_text), &Directives::parse(said)).unwrap()
    }

    #[test]
    fn the_inventory_outweighs_the_configuration() {
        let said = "user config\nport 2200\nhostname 192.0.2.7\nidentityfile ~/.ssh/a\nserveraliveinterval 5\nconnecttimeout none\n";
        let plain = merge("host = 'cp'", said);
        assert_eq!((plain.user.as_str(), plain.port, plain.address.as_str()), ("config", 2200, "192.0.2.7"));
        assert_eq!(plain.keepalive, Duration::from_secs(5));
        assert_eq!(plain.connect_timeout, Duration::from_secs(10));
        let told = merge("host = 'cp'\nuser = 'me'\nport = 22\nkeepalive = '7s'\nknown_hosts = '/kh'", said);
        assert_eq!((told.user.as_str(), told.port, told.keepalive), ("me", 22, Duration::from_secs(7)));
        assert_eq!(told.known_hosts, [PathBuf::from("/kh")]);
    }

    #[test]
    fn known_hosts_files_are_lists() {
        let settings = merge("host = 'cp'", "userknownhostsfile /a /b\nglobalknownhostsfile none\n");
        assert_eq!(settings.known_hosts, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }

    #[test]
    fn a_port_or_an_alias_is_part_of_the_known_name() {
        assert_eq!(merge("host = 'cp'", "hostname h\nport 22\n").known_names(), ["h"]);
        assert_eq!(merge("host = 'cp'", "hostname h\nport 2222\n").known_names(), ["[h]:2222", "h"]);
        assert_eq!(merge("host = 'cp'", "hostname h\nport 2222\nhostkeyalias a\n").known_names(), ["a"]);
    }

    #[test]
    fn option_like_names_and_proxy_commands_are_refused() {
        for name in ["-oProxyCommand=id", "", "a b"] {
            assert!(
                matches!(Settings::resolve(&host(&format!("host = '{name}'"))), Err(TransportError::Config { .. })),
                "{name}"
            );
        }
        let said = Directives::parse("proxycommand nc %h %p\n");
        assert!(matches!(Settings::merge(&host("host = 'cp'"), &said), Err(TransportError::Config { .. })));
    }

    #[test]
    fn the_client_and_the_fallback_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let text = "Host cp\n  HostName 192.0.2.7\n  Port 2200\n  User deploy\n  IdentityFile ~/.ssh/deploy\n  \
                    IdentitiesOnly yes\n  ProxyJump me@bastion:2022,second\n  UserKnownHostsFile /a /b\n  \
                    GlobalKnownHostsFile /c\n  ServerAliveInterval 7\n  ServerAliveCountMax 4\n  HostKeyAlias alias\n  \
                    CertificateFile /cert\n  IdentityAgent none\n  ConnectTimeout 3\nHost *\n  Port 22\n";
        std::fs::write(&path, text).unwrap();
        let mut host = host("host = 'cp'");
        host.ssh_config = Some(path);
        let read = Settings::merge(&host, &file::read(&host).unwrap()).unwrap();
        assert_eq!((read.user.as_str(), read.port, read.address.as_str()), ("deploy", 2200, "192.0.2.7"));
        assert_eq!(read.proxy_jump, ["me@bastion:2022", "second"]);
        assert!(read.identities_only && read.identities.len() == 1 && read.agent.is_none());
        if let Some(said) = client::ask(&host).unwrap() {
            let asked = Settings::merge(&host, &said).unwrap();
            assert_eq!(format!("{asked:?}"), format!("{read:?}"));
        }
    }

    #[test]
    fn without_a_configuration_the_defaults_of_ssh_hold() {
        let host = host("host = 'cp'\nssh_config = 'none'");
        let read = Settings::merge(&host, &file::read(&host).unwrap()).unwrap();
        assert_eq!((read.port, read.address.as_str()), (22, "cp"));
        assert!(read.known_hosts.iter().any(|path| path.ends_with(".ssh/known_hosts")));
        assert!(read.identities.iter().any(|path| path.ends_with(".ssh/id_ed25519")));
    }
}
