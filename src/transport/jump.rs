//! The hosts on the way to a host.

use super::TransportError;
use super::ssh_config::Settings;
use crate::inventory::SshHost;

/// Longer ways are circles.
const MOST: usize = 8;

/// The hosts to connect to before `host`, one through the other.
///
/// The inventory's `jump` outweighs `ProxyJump`. Only the first hop is reached from here, so only its own
/// `ProxyJump` leads anywhere; the others' would describe the way from here to them, which the list already is.
pub(super) fn way_to(host: &SshHost, settings: &Settings) -> Result<Vec<Settings>, TransportError> {
    let mut way: Vec<Settings> = Vec::new();
    let mut ahead = host.clone();
    loop {
        let nearest = way.first().unwrap_or(settings);
        let hops = hops_before(&ahead, nearest)?;
        let mut before = hops.iter().map(Settings::resolve).collect::<Result<Vec<_>, _>>()?;
        // A pattern such as `Host *` gives the jump host itself as its own way.
        let Some(first) =
            before.first().filter(|first| (&first.address, first.port) != (&nearest.address, nearest.port))
        else {
            return Ok(way);
        };
        ahead = hops[0].clone();
        tracing::debug!(host = nearest.name, through = first.name, "jumping");
        before.append(&mut way);
        way = before;
        if way.len() > MOST {
            let what = format!("the way to {}", host.host);
            return Err(TransportError::Config { what, reason: format!("it has more than {MOST} jump hosts") });
        }
    }
}

fn hops_before(host: &SshHost, settings: &Settings) -> Result<Vec<SshHost>, TransportError> {
    if !host.jump.is_empty() {
        return Ok(host.jump.clone());
    }
    settings.proxy_jump.iter().map(|hop| parse(hop, host)).collect()
}

/// `[ssh://][user@]host[:port]`, read with the same SSH configuration as `from`.
fn parse(text: &str, from: &SshHost) -> Result<SshHost, TransportError> {
    let wrong = || TransportError::Config {
        what: format!("ProxyJump `{text}`"),
        reason: "it is not [user@]host[:port]".to_owned(),
    };
    let hop = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, place) = hop.rsplit_once('@').map_or((None, hop), |(user, place)| (Some(user.to_owned()), place));
    let (name, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            // More than one colon is a bare IPv6 address.
            Some((name, port)) if !name.contains(':') => (name, Some(port)),
            _ => (place, None),
        },
    };
    let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
    Ok(SshHost {
        host: name.to_owned(),
        port,
        user,
        identity: None,
        identity_passphrase: None,
        certificate: None,
        agent: from.agent,
        host_key: None,
        known_hosts: from.known_hosts.clone(),
        ssh_config: from.ssh_config.clone(),
        jump: Vec::new(),
        become_root: None,
        connect_timeout: from.connect_timeout,
        keepalive: from.keepalive,
        reconnect_for: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> SshHost {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn reads_every_way_of_writing_a_hop() {
        let from = host("host = 'cp'");
        for (text, user, name, port) in [
            ("bastion", None, "bastion", None),
            ("me@bastion:2022", Some("me"), "bastion", Some(2022)),
            ("ssh://me@bastion:2022/", Some("me"), "bastion", Some(2022)),
            ("me@[fe80::1]:22", Some("me"), "fe80::1", Some(22)),
            ("fe80::1", None, "fe80::1", None),
        ] {
            let hop = parse(text, &from).unwrap();
            assert_eq!((hop.user.as_deref(), hop.host.as_str(), hop.port), (user, name, port), "{text}");
        }
        assert!(parse("bastion:many", &from).is_err());
    }

    #[test]
    fn the_way_is_in_order_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        std::fs::write(&config, "Host cp\n  ProxyJump second\nHost second\n  ProxyJump first\n").unwrap();
        let mut target = host("host = 'cp'");
        target.ssh_config = Some(config);
        let names = |target: &SshHost| {
            let way = way_to(target, &Settings::resolve(target).unwrap()).unwrap();
            way.into_iter().map(|hop| hop.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&target), ["first", "second"]);
        target.jump = vec![host("host = 'one'\nssh_config = 'none'"), host("host = 'two'\nssh_config = 'none'")];
        assert_eq!(names(&target), ["one", "two"]);
    }
}
