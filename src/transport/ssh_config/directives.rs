//! The lines that `ssh -G` prints, and what stands for something else in their values.

use std::path::PathBuf;
use std::str::FromStr;

/// Lower-case names with values; a name may come several times.
#[derive(Debug, Default)]
pub(super) struct Directives(Vec<(String, String)>);

impl Directives {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Self(pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect())
    }

    pub(super) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> + use<'_> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value, unless it is `none`.
    pub(super) fn first(&self, name: &'static str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty() && *value != "none")
    }

    pub(super) fn number<N: FromStr>(&self, name: &'static str) -> Option<N> {
        self.first(name)?.parse().ok()
    }
}

/// What `%h` and its like, `~` and `${…}` stand for; `ssh -G` leaves them in some paths.
pub(super) struct Tokens {
    home: String,
    pairs: [(char, String); 5],
}

impl Tokens {
    pub(super) fn new(name: &str, address: &str, port: u16, user: &str) -> Self {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
        let pairs = [
            ('n', name.to_owned()),
            ('h', address.to_owned()),
            ('p', port.to_string()),
            ('r', user.to_owned()),
            ('u', std::env::var("USER").unwrap_or_else(|_| "root".to_owned())),
        ];
        Self { home, pairs }
    }

    /// The path; a token that isn't known stays as it is.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        let text = text.trim_matches('"');
        let mut path = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => self.home.clone(),
            _ => String::new(),
        };
        let mut rest = if path.is_empty() { text } else { &text[1..] };
        while let Some(at) = rest.find(['%', '$']) {
            path.push_str(&rest[..at]);
            let (value, length) = self.token(&rest[at..]);
            path.push_str(&value);
            rest = &rest[at + length..];
        }
        path.push_str(rest);
        PathBuf::from(path)
    }

    /// What the token at the beginning stands for, and how long it is.
    fn token(&self, text: &str) -> (String, usize) {
        if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.split_once('}')).map(|(name, _)| name) {
            return (std::env::var(name).unwrap_or_default(), name.len() + 3);
        }
        let value = match text.strip_prefix('%').and_then(|rest| rest.chars().next()) {
            Some('%') => Some("%".to_owned()),
            Some('d') => Some(self.home.clone()),
            Some(letter) => self.pairs.iter().find(|(known, _)| *known == letter).map(|(_, value)| value.clone()),
            None => None,
        };
        value.map_or_else(|| (text[..1].to_owned(), 1), |value| (value, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_filled() {
        let tokens = Tokens::new("cp", "192.0.2.7", 2222, "me");
        let home = std::env::var("HOME").unwrap();
        for (text, path) in [
            ("/keys/%r@%h:%p-%n", "/keys/me@192.0.2.7:2222-cp".to_owned()),
            ("~/.ssh/id", format!("{home}/.ssh/id")),
            ("%d/id", format!("{home}/id")),
            ("${HOME}/id", format!("{home}/id")),
            ("~other/100%%/%x$", "~other/100%/%x$".to_owned()),
        ] {
            assert_eq!(tokens.path(text), PathBuf::from(path), "{text}");
        }
    }
}
