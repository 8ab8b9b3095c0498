//! Why the target cannot be used, and what to do about it.

use super::Look;
use crate::actions::Finding;
use crate::engine::chain;
use crate::target::TargetError;
use crate::transport::TransportError;

/// A target that could not be looked at.
pub(super) fn unusable(look: &Look, error: &TargetError) -> Finding {
    let (host, said) = (&look.inventory.target.host, chain(error));
    match error {
        TargetError::Transport(error) => refused(host, error, said),
        TargetError::Refused { .. } => Finding::error(
            "target-unsafe",
            said,
            "drctl keeps keys and what it sets aside there: see who made it, then make it root's alone or move it away",
        ),
        _ => odd(said),
    }
}

fn refused(host: &str, error: &TransportError, said: String) -> Finding {
    match error {
        TransportError::Connect { .. } | TransportError::Lost { .. } | TransportError::Forward { .. } => {
            Finding::error(
                "target-unreachable",
                said,
                format!(
                    "see that {host} is up, that its sshd runs, and that `host`, `port` and `jump` of `[target]` are right"
                ),
            )
        }
        TransportError::HostKey { .. } => Finding::error(
            "host-key",
            said,
            format!(
                "on the console of {host}: `for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done`\n\
                 if it shows the found fingerprint, write that as `host_key` in `[target]`; if not, this is another machine: stop"
            ),
        ),
        TransportError::Auth { .. } => Finding::error(
            "login-refused",
            said,
            "`[target]` names `user`, `identity` and `certificate`: add the key's public half to that user's \
             `~/.ssh/authorized_keys` on the target, or name one that is there",
        ),
        TransportError::Config { .. } => Finding::error(
            "login-settings",
            said,
            "correct it in `[target]` of the inventory: `identity`, `identity_passphrase`, `certificate`, `known_hosts`, \
             `ssh_config`, `become`",
        ),
        TransportError::Become { .. } => Finding::error(
            "no-root",
            said,
            "give sudo's password as `become = { method = \"sudo\", password = … }` in `[target]`, allow that user \
             `NOPASSWD: ALL` on the target, or log in as another",
        ),
        TransportError::TimeLimit { .. } | TransportError::Local { .. } => odd(said),
    }
}

fn odd(said: String) -> Finding {
    Finding::error(
        "target-unusable",
        said,
        "see `[target]` of the inventory; `ssh -v` to the same host with the same user and key shows more",
    )
}
