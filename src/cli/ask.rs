//! Questions to a person; none are asked without a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, oneshot};

/// Asks on the terminal; `None` when there is nobody to ask. It may be given up before there is an answer.
pub(crate) async fn yes_or_no(question: &str) -> Option<bool> {
    let mut stderr = std::io::stderr();
    if !std::io::stdin().is_terminal() || !stderr.is_terminal() {
        return None;
    }
    let mut line = LINE.lock().await;
    forget_typed(&mut line);
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).ok()?;
    let open = OpenLine;
    let typed = line.get_or_insert_with(read_line).await;
    *line = None;
    let answer = typed.ok()?;
    if answer.ends_with('\n') {
        std::mem::forget(open);
    }
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The question's line, which no Enter has ended: what is said next begins below it.
struct OpenLine;

impl Drop for OpenLine {
    fn drop(&mut self) {
        // A closed standard error is no reason to stop a recovery.
        drop(writeln!(std::io::stderr()));
    }
}

/// The line that is being read. A question that was given up leaves it to the next one: two readers would share what is
/// typed between them.
static LINE: Mutex<Option<oneshot::Receiver<String>>> = Mutex::const_new(None);

/// What was typed before a question is asked is no answer to it: neither the line that a reader has, nor those that wait in
/// the terminal for one.
fn forget_typed(line: &mut Option<oneshot::Receiver<String>>) {
    drop(line.take_if(|line| !matches!(line.try_recv(), Err(TryRecvError::Empty))));
    // A terminal that cannot forget is asked all the same.
    tcflush(std::io::stdin(), QueueSelector::IFlush).unwrap_or_default();
}

/// Reads on a thread of its own. Who waits for it goes on meanwhile with the lock's heartbeat, signals and limits; and the
/// process ends without it, as it would not with one of the runtime's own threads.
fn read_line() -> oneshot::Receiver<String> {
    let (typed, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        if std::io::stdin().lock().read_line(&mut answer).is_ok() {
            // Nobody may wait for it any more.
            drop(typed.send(answer));
        }
    });
    line
}
