//! The only door from values to shell text.

use std::fmt::Write;

/// A value as one word of `sh`, whatever its bytes are. A NUL, which no argument can hold, is left out.
///
/// A word may still begin with a dash: commands get `--` before paths.
pub fn quote(value: impl AsRef<[u8]>) -> String {
    match str::from_utf8(value.as_ref()) {
        Ok(text) => format!("'{}'", text.replace('\0', "").replace('\'', "'\\''")),
        Err(_) => quote_bytes(value.as_ref()),
    }
}

/// Bytes that are not text cannot stand in a script: `printf` makes them. One substitution holds them
/// all, since `dash` dies of thousands; the line ends that substitution eats follow it.
fn quote_bytes(value: &[u8]) -> String {
    let value: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
    let end = value.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    let mut word = String::from("\"$(printf '");
    for byte in &value[..end] {
        let _infallible = write!(word, "\\{byte:03o}");
    }
    word.push_str("')\"'");
    word.push_str(&"\n".repeat(value.len() - end));
    word.push('\'');
    word
}

/// A script that finds its values in variables: assignments, quoted, before a constant body.
pub(crate) fn script(values: &[(&str, &str)], body: &str) -> String {
    let mut text = String::new();
    for (name, value) in values {
        let _infallible = writeln!(text, "{name}={}", quote(value));
    }
    text.push_str(body);
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What `printf` of a real `sh` makes of a quoted value.
    fn through_sh(value: &[u8]) -> Vec<u8> {
        let script = format!("printf '%s.' {}", quote(value));
        let mut output = Command::new("sh").arg("-c").arg(script).env("LC_ALL", "C").output().unwrap().stdout;
        assert_eq!(output.pop(), Some(b'.'));
        output
    }

    #[test]
    fn hostile_words_stay_words() {
        for word in
            ["", "'", "a b", "$(id)", "`id`", "-rf", "--", "\n", "a\n", "\\", "\\'", "!", "*", "~", "é'\u{f022}"]
        {
            assert_eq!(through_sh(word.as_bytes()), word.as_bytes(), "{word:?}");
        }
        assert_eq!(through_sh(b"a\0b"), b"ab");
        // A line end that only a NUL follows is at the end all the same.
        assert_eq!(through_sh(b"\xffa\n\0\n\0"), b"\xffa\n\n");
    }

    #[test]
    fn every_byte_comes_through() {
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(through_sh(&all), all);
        assert_eq!(through_sh(&all.repeat(16)), all.repeat(16));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_real_sh_reads_back_what_was_quoted(value in proptest::collection::vec(1_u8.., 0..64)) {
            prop_assert_eq!(through_sh(&value), value);
        }

        #[test]
        fn texts_of_shell_letters_too(value in "[-'\"$`\\\\(){};&|<>*?~#! \n\ta]{0,40}") {
            prop_assert_eq!(through_sh(value.as_bytes()), value.as_bytes());
        }
    }
}
