//! Standard error as bars are drawn on it: nothing moves while a person is asked for a secret there.

use std::io::Result;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

use crate::inventory::unless_asking;

/// How many times a second a bar may be drawn.
const RATE: u8 = 20;

/// Where bars are drawn.
pub(super) fn stderr() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Still(Term::buffered_stderr())), RATE)
}

#[derive(Debug)]
struct Still(Term);

impl TermLike for Still {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> Result<()> {
        // What is drawn meanwhile waits, and is drawn over itself when the answer is there.
        unless_asking(|| self.0.flush()).unwrap_or(Ok(()))
    }
}
