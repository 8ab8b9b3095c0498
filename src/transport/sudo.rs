//! Becoming root, and the few words that the far side is asked to execute.
//!
//! sudo reads a password from standard input only when it wants one: sent blindly under a NOPASSWD
//! rule, it would end in the script. So it is sent when sudo's prompt, a random one, was seen.

use std::fmt::Write as _;

use super::TransportError;
use crate::inventory::{Become, BecomeMethod};

/// How commands get root's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escalation {
    /// The login user has them.
    None,
    /// sudo without a password.
    Sudo,
    /// sudo, which may ask.
    SudoWithPassword,
}

impl Escalation {
    pub(super) fn new(wanted: Option<&Become>, user: &str) -> Self {
        match wanted {
            _ if user == "root" => Self::None,
            Some(Become { method: BecomeMethod::None, .. }) => Self::None,
            None | Some(Become { method: BecomeMethod::Sudo, password: None }) => Self::Sudo,
            Some(Become { method: BecomeMethod::Sudo, password: Some(_) }) => Self::SudoWithPassword,
        }
    }
}

/// What precedes every script: the far side's locale and path are not ours to rely on, and what handles keys
/// leaves no core dump.
const PREAMBLE: &str = "LC_ALL=C PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
                        export LC_ALL PATH\numask 077\nulimit -c 0\ncd /\n";

/// One command and the signs by which its beginnings are told.
#[derive(Debug)]
pub(super) struct Words {
    /// What the far side executes: letters that any login shell reads alike, and digits.
    pub(super) command: String,
    /// The script, exactly as long as `command` says.
    pub(super) script: Vec<u8>,
    /// On standard error: the script may be sent.
    pub(super) ready: String,
    /// On standard output: the script arrived whole and runs.
    pub(super) begun: String,
    /// On standard error: sudo asks for the password.
    pub(super) prompt: Option<String>,
}

impl Words {
    /// The far side counts what it read before it runs it: a connection that broke amid a
    /// script must not make it run the first half.
    pub(super) fn new(script: &str, escalation: Escalation) -> Result<Self, TransportError> {
        let script = format!("{PREAMBLE}{script}");
        // The shell's `$(…)` drops line ends there, which would spoil the count.
        let script = script.trim_end_matches('\n').as_bytes().to_vec();
        let length = script.len();
        let (ready, begun) = (format!("drctl-ready-{}", random()?), format!("drctl-begun-{}", random()?));
        let prompt = (escalation == Escalation::SudoWithPassword)
            .then(random)
            .transpose()?
            .map(|number| format!("drctl-password-{number}"));
        let mut command = match (escalation, &prompt) {
            (Escalation::None, _) => String::new(),
            (_, None) => "sudo -n -H -- ".to_owned(),
            (_, Some(prompt)) => format!("sudo -S -H -p {prompt} -- "),
        };
        let written = write!(
            command,
            "sh -c 'LC_ALL=C; echo {ready} >&2; s=$(head -c {length}) && [ ${{#s}} = {length} ] || exit 125; echo {begun}; eval \"$s\"'"
        );
        debug_assert!(written.is_ok());
        Ok(Self { command, script, ready, begun, prompt })
    }
}

fn random() -> Result<u64, TransportError> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| TransportError::Local { what: "draw random numbers", source: error.into() })?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn become_with(text: &str) -> Become {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn root_needs_no_sudo_and_others_do() {
        let password = become_with("method = 'sudo'\npassword = '/pw'");
        assert_eq!(Escalation::new(Some(&password), "root"), Escalation::None);
        assert_eq!(Escalation::new(Some(&password), "ops"), Escalation::SudoWithPassword);
        assert_eq!(Escalation::new(None, "ops"), Escalation::Sudo);
        assert_eq!(Escalation::new(Some(&become_with("method = 'none'")), "ops"), Escalation::None);
    }

    #[test]
    fn only_digits_vary() {
        let letters = |script: &str| {
            let command = Words::new(script, Escalation::SudoWithPassword).unwrap().command;
            command.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>()
        };
        assert_eq!(letters("echo '$secret'"), letters("true\n\n"));
    }

    #[test]
    fn a_script_that_arrives_in_part_does_not_run() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let words = Words::new("echo run\n", Escalation::None).unwrap();
        for (length, runs) in [(words.script.len(), true), (words.script.len() - 1, false), (0, false)] {
            let mut child = Command::new("sh")
                .args(["-c", &words.command])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&words.script[..length]).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).ends_with("run\n"), runs, "{length}");
            assert_eq!(output.status.success(), runs, "{length}");
        }
    }
}
