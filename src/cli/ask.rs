//! Questions to a person; none are asked without a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Asks on the terminal; `None` when there is nobody to ask.
pub(crate) fn yes_or_no(question: &str) -> Option<bool> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return None;
    }
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).ok()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
