//! What a command answers, on standard output.

use std::io::Write as _;

use super::exit::Fault;

pub(super) fn say(text: &str) -> Result<(), Fault> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| Fault::Io { what: "write to standard output".to_owned(), source })
}
