//! What known hosts files say of a host.
//!
//! russh's own reader accepts revoked keys, knows no wildcards and no authorities, and calls the
//! second of two keys a changed one; so the files are read here, as `sshd(8)` describes them.

mod pattern;

use std::path::{Path, PathBuf};

use russh::keys::{Algorithm, HashAlg, PublicKey};

use self::pattern::{Names, matches};
use super::TransportError;

/// What a line is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// The host has this key.
    Key,
    /// This key signs certificates of the host.
    Authority,
    /// This key must never be accepted.
    Revoked,
}

/// One usable line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    marker: Marker,
    names: Names,
    pub(super) key: PublicKey,
    file: PathBuf,
    number: usize,
}

impl Line {
    /// `None` for comments and for what can't be understood: OpenSSH skips such lines too.
    fn parse(text: &str, file: &Path, number: usize) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut first = words.next().filter(|word| !word.starts_with('#'))?;
        let marker = match first {
            "@cert-authority" => Marker::Authority,
            "@revoked" => Marker::Revoked,
            word if word.starts_with('@') => return None,
            _ => Marker::Key,
        };
        if marker != Marker::Key {
            first = words.next()?;
        }
        let key = PublicKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()?;
        Some(Self { marker, names: Names::parse(first)?, key, file: file.to_owned(), number })
    }

    /// Fingerprint, type and place, as messages show them.
    pub(super) fn describe(&self) -> String {
        format!("{} ({}:{})", describe_key(&self.key), self.file.display(), self.number)
    }
}

/// Fingerprint and type.
pub(super) fn describe_key(key: &PublicKey) -> String {
    format!("{} {}", key.fingerprint(HashAlg::Sha256), key.algorithm())
}

/// Whether a certificate's principal, which may hold wildcards, means the host.
pub(super) fn principal_matches(principal: &str, host: &str) -> bool {
    matches(&principal.to_ascii_lowercase(), host)
}

/// The lines of all files that speak of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHost {
    lines: Vec<Line>,
}

impl KnownHost {
    /// Reads the files; those that aren't there say nothing. `names` are the host's, in order of preference: the
    /// first one that any key is written under is the one that counts.
    pub(super) fn read(files: &[PathBuf], names: &[String]) -> Result<Self, TransportError> {
        let mut lines = Vec::new();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => lines.extend(parse(&String::from_utf8_lossy(&bytes), file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let what = format!("the known hosts file `{}`", file.display());
                    return Err(TransportError::Config { what, reason: error.to_string() });
                }
            }
        }
        Ok(Self::of(&lines, names))
    }

    fn of(lines: &[Line], names: &[String]) -> Self {
        let speaking_of = |name: &String| {
            let name = name.to_ascii_lowercase();
            lines.iter().filter(|line| line.names.match_name(&name)).cloned().collect::<Vec<_>>()
        };
        let mut revoked: Vec<Line> =
            names.iter().flat_map(speaking_of).filter(|line| line.marker == Marker::Revoked).collect();
        let trusted = names
            .iter()
            .map(|name| speaking_of(name).into_iter().filter(|line| line.marker != Marker::Revoked).collect::<Vec<_>>())
            .find(|lines| !lines.is_empty());
        revoked.extend(trusted.unwrap_or_default());
        Self { lines: revoked }
    }

    /// The lines with this marker.
    pub(super) fn marked(&self, marker: Marker) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.marker == marker)
    }

    /// The line with this marker and this key.
    pub(super) fn find(&self, marker: Marker, key: &PublicKey) -> Option<&Line> {
        self.marked(marker).find(|line| line.key.key_data() == key.key_data())
    }

    /// The types of the keys that would be accepted.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.marked(Marker::Key).map(|line| line.key.algorithm()).collect()
    }
}

fn parse<'a>(text: &'a str, file: &'a Path) -> impl Iterator<Item = Line> + 'a {
    text.lines().enumerate().filter_map(|(index, line)| Line::parse(line, file, index + 1))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBSl6iLCYzV9WpMRnTTFLSuUgpJ7sVr0TTTaUYDK7SGb";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmlMOpaoq7HuiVVSEdTrPcKmZVLMYT3jUuh4+GOmTKR";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn known(text: &str, name: &str) -> KnownHost {
        let lines: Vec<Line> = parse(text, Path::new("known_hosts")).collect();
        KnownHost::of(&lines, &[name.to_owned()])
    }

    #[test]
    fn every_key_of_a_host_counts() {
        let known = known(&format!("host {ONE}\nhost {TWO}\n"), "host");
        assert!(known.find(Marker::Key, &key(ONE)).is_some());
        assert!(known.find(Marker::Key, &key(TWO)).is_some());
    }

    #[test]
    fn a_revocation_counts_under_any_name() {
        let known = known(&format!("host {ONE}\n@revoked * {ONE}\n"), "HOST");
        assert!(known.find(Marker::Revoked, &key(ONE)).is_some());
    }

    #[test]
    fn tabs_comments_and_broken_lines_do_not_shift_numbers() {
        let text = format!(
            "# comment\n\nhost ssh-ed25519 rubbish\n@strange host {ONE}\nhost,other\t{}\n",
            ONE.replace(' ', "\t")
        );
        let known = known(&text, "other");
        assert_eq!(known.lines.len(), 1);
        assert!(known.lines[0].describe().ends_with("(known_hosts:5)"));
    }

    #[test]
    fn a_port_is_part_of_the_name_but_the_plain_name_may_stand_in() {
        let text = format!("[host]:2222 {ONE}\nhost {TWO}\n");
        let lines: Vec<Line> = parse(&text, Path::new("f")).collect();
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert!(KnownHost::of(&lines, &names(&["[host]:2222", "host"])).find(Marker::Key, &key(TWO)).is_none());
        assert!(KnownHost::of(&lines, &names(&["[host]:2223", "host"])).find(Marker::Key, &key(TWO)).is_some());
    }

    #[test]
    fn authorities_are_told_from_keys() {
        let known = known(&format!("@cert-authority *.example.org {ONE}\n"), "cp-1.example.org");
        assert!(known.find(Marker::Authority, &key(ONE)).is_some());
        assert!(known.find(Marker::Key, &key(ONE)).is_none());
    }

    #[test]
    fn finds_what_ssh_keygen_finds() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        let text = format!(
            "plain {ONE}\na,b,c {ONE}\n*.example.org,!bad.example.org {ONE}\n[port]:2222 {ONE}\n10.0.0.? {ONE}\nUPPER {ONE}\n"
        );
        std::fs::write(&file, &text).unwrap();
        let hashed = dir.path().join("hashed");
        std::fs::write(&hashed, format!("secret {ONE}\n[secret]:2222 {ONE}\n")).unwrap();
        if !Command::new("ssh-keygen").args(["-H", "-f"]).arg(&hashed).output().is_ok_and(|made| made.status.success())
        {
            return;
        }
        let names = [
            "plain",
            "PLAIN",
            "b",
            "d",
            "x.example.org",
            "bad.example.org",
            "example.org",
            "[port]:2222",
            "port",
            "[port]:22",
            "10.0.0.7",
            "10.0.0.77",
            "upper",
            "secret",
            "[secret]:2222",
            "[secret]:2223",
        ];
        for (path, name) in [&file, &hashed].into_iter().flat_map(|path| names.map(|name| (path, name))) {
            let found = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(path).output().unwrap();
            let ours = KnownHost::read(std::slice::from_ref(path), &[name.to_owned()]).unwrap();
            assert_eq!(!ours.lines.is_empty(), found.status.success(), "{name} in {}", path.display());
        }
    }
}
