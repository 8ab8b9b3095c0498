//! Which names a line of a known hosts file speaks of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The first field of a line: hashed, or a comma list of patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    /// `|1|salt|hash`
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// `a,*.b,!c`, in lower case.
    Patterns(Vec<String>),
}

impl Names {
    /// `None` when a hash is malformed.
    pub(super) fn parse(field: &str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix("|1|") else {
            return Some(Self::Patterns(field.split(',').map(str::to_ascii_lowercase).collect()));
        };
        let (salt, hash) = hashed.split_once('|')?;
        Some(Self::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? })
    }

    /// Whether `name` (lower case) is meant. One negated pattern that matches outweighs all others.
    pub(super) fn match_name(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
            Self::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(negated) if matches(negated, name) => return false,
                        Some(_) => {}
                        None => found |= matches(pattern, name),
                    }
                }
                found
            }
        }
    }
}

/// Shell-like match of a whole text: `*` is any run, `?` any one character.
///
/// Remembers only the last `*`: going back further can't help, so the time is bounded by the product of the lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, too slow for use.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| by_definition(rest, &text[n..])),
            Some((byte, rest)) => text
                .split_first()
                .is_some_and(|(first, after)| (*byte == b'?' || byte == first) && by_definition(rest, after)),
        }
    }

    proptest! {
        #[test]
        fn matches_as_defined(pattern in "[ab.*?]{0,8}", text in "[ab.]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_name_matches_its_hash_and_no_other(name in "[a-z0-9.]{1,20}", other in "[a-z0-9.]{1,20}", salt: [u8; 20]) {
            let hash = Hmac::<Sha1>::new_from_slice(&salt).unwrap().chain_update(&name).finalize().into_bytes();
            let field = format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash));
            let names = Names::parse(&field).unwrap();
            prop_assert!(names.match_name(&name));
            prop_assert_eq!(names.match_name(&other), name == other);
        }
    }

    #[test]
    fn a_negated_pattern_outweighs_the_others() {
        let names = Names::parse("*.example.org,!bad.example.org").unwrap();
        assert!(names.match_name("good.example.org"));
        assert!(!names.match_name("bad.example.org"));
        assert!(!Names::parse("!bad.example.org").unwrap().match_name("good.example.org"));
    }

    #[test]
    fn names_are_compared_without_case() {
        assert!(Names::parse("CP-1.Example.ORG").unwrap().match_name("cp-1.example.org"));
    }

    #[test]
    fn a_malformed_hash_is_no_name() {
        for field in ["|1|abc", "|1|***|***", "|1||"] {
            assert!(Names::parse(field).is_none_or(|names| !names.match_name("host")), "{field}");
        }
    }
}
