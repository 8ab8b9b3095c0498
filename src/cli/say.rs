//! What a command answers, on standard output.

use std::io::{ErrorKind, Write as _};

use super::exit::Fault;

/// Who stops reading, as `head` does, has what was wanted.
pub(super) fn say(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|source| Fault::Io { what: "write to standard output".to_owned(), source }),
    }
}
