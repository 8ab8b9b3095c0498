//! A question to the person at the controlling terminal, whatever standard input is: one at a time, and the answer is not shown.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rustix::process::{Signal, kill_process_group};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use zeroize::Zeroizing;

use super::secret::{Secret, SecretError};

/// Held by whoever asks on the terminal, and by whoever draws on it.
static TERMINAL: Mutex<()> = Mutex::new(());

/// A terminal hands over one line at a time, and none is longer.
const LONGEST: usize = 4096;

/// A question. Clones share its answer: for one key of an inventory a person is asked once.
#[derive(Debug, Clone)]
pub struct Question {
    text: String,
    answer: Arc<Mutex<Option<Secret>>>,
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Question {}

impl Question {
    /// One that nobody has answered yet.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, answer: Arc::default() }
    }

    /// Its words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its answer, line end and all.
    pub(super) fn ask(&self) -> Result<Secret, SecretError> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answer.as_ref() {
            return Ok(known.clone());
        }
        let given = on_terminal(&self.text)?;
        *answer = Some(given.clone());
        Ok(given)
    }
}

/// Draws, unless somebody is being asked: a question stays as it is until it is answered.
pub(crate) fn unless_asking<T>(draw: impl FnOnce() -> T) -> Option<T> {
    match TERMINAL.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        Ok(_) | Err(TryLockError::Poisoned(_)) => Some(draw()),
    }
}

fn on_terminal(question: &str) -> Result<Secret, SecretError> {
    let nobody = |_| SecretError::NoTerminal { question: question.to_owned() };
    let unanswered = |reason: String| SecretError::Unanswered { question: question.to_owned(), reason };
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(nobody)?;
    let _turn = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner);
    let silence = Silence::on(&tty).map_err(nobody)?;
    let line = asked(&tty, question).map_err(|error| unanswered(error.to_string()))?;
    let interrupt = silence.interrupt();
    drop(silence);
    match line.last() {
        None => Err(unanswered("the input ended".to_owned())),
        Some(last) if Some(*last) == interrupt => {
            // All that the key would have reached is told, as if it had been pressed now.
            tcgetpgrp(&tty)
                .and_then(|group| kill_process_group(group, Signal::INT))
                .map_err(|error| unanswered(error.to_string()))?;
            Err(unanswered("interrupted".to_owned()))
        }
        Some(_) => Ok(Secret::new(line.to_vec())),
    }
}

fn asked(mut tty: &File, question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    // A live line that is there gives way.
    let fresh = if io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    write!(tty, "{fresh}{question}: ")?;
    let mut line = Zeroizing::new(vec![0; LONGEST]);
    let count = loop {
        match tty.read(&mut line) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    line.truncate(count);
    writeln!(tty)?;
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silence<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn on(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut quiet = before.clone();
        // The key that interrupts ends the line instead: who dies of it would leave the terminal silent.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VEOL] = before.special_codes[SpecialCodeIndex::VINTR];
        tcsetattr(tty, OptionalActions::Now, &quiet)?;
        Ok(Self { tty, before })
    }

    /// The byte of the key that interrupts; `None` when no key does.
    fn interrupt(&self) -> Option<u8> {
        let signals = self.before.local_modes.contains(LocalModes::ISIG);
        Some(self.before.special_codes[SpecialCodeIndex::VINTR]).filter(|byte| signals && *byte != 0)
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        tcsetattr(self.tty, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}
