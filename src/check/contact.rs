//! Why the target cannot be used, and what to do about it.

use super::Look;
use crate::actions::Finding;
use crate::engine::chain;
use crate::target::{HOME, TargetError};
use crate::transport::TransportError;

/// A target that could not be looked at.
pub(super) fn unusable(look: &Look, error: &TargetError) -> Finding {
    let name = match error {
        TargetError::Transport(error) => of_transport(error),
        TargetError::Refused { .. } => "target-unsafe",
        _ => "target-unusable",
    };
    Finding::error(name, chain(error), help(look, name))
}

fn of_transport(error: &TransportError) -> &'static str {
    match error {
        TransportError::Connect { .. } | TransportError::Lost { .. } | TransportError::Forward { .. } => {
            "target-unreachable"
        }
        TransportError::HostKey { .. } => "host-key",
        TransportError::Auth { .. } => "login-refused",
        TransportError::Config { .. } => "login-settings",
        TransportError::Become { .. } => "no-root",
        TransportError::TimeLimit { .. } | TransportError::Local { .. } => "target-unusable",
    }
}

fn help(look: &Look, name: &str) -> String {
    let host = &look.inventory.target.host;
    match name {
        "target-unreachable" => format!(
            "see that {host} is up, that its sshd runs, and that `host`, `port` and `jump` of `[target]` are right"
        ),
        "host-key" => format!(
            "on the console of {host}: `for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done`\n\
             if it shows the found fingerprint, write that as `host_key` in `[target]`; if not, this is another machine: stop"
        ),
        "login-refused" => {
            "`[target]` names `user`, `identity` and `certificate`: add the key's public half to that user's \
                            `~/.ssh/authorized_keys` on the target, or name one that is there"
                .to_owned()
        }
        "login-settings" => {
            "correct it in `[target]` of the inventory: `identity`, `identity_passphrase`, `certificate`, \
                             `known_hosts`, `ssh_config`, `become`"
                .to_owned()
        }
        "no-root" => {
            "give sudo's password as `become = { method = \"sudo\", password = … }` in `[target]`, allow that user \
                      `NOPASSWD: ALL` on the target, or log in as another"
                .to_owned()
        }
        "target-unsafe" => format!(
            "{HOME} holds keys and what is set aside: look at who made it, then make it root's alone or move it away"
        ),
        _ => "see `[target]` of the inventory; `ssh -v` to the same host with the same user and key shows more"
            .to_owned(),
    }
}
