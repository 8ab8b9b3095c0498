//! Text that lines up: columns, sizes and bars.

use std::fmt;

use console::{measure_text_width, style};

/// How wide a full bar is.
const BAR: usize = 24;

/// Rows under a heading, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers, which end at the same place.
    right: &'static [usize],
}

impl Table {
    pub(super) fn new(head: &[&str], right: &'static [usize]) -> Self {
        Self { rows: vec![head.iter().map(|word| style(word).dim().to_string()).collect()], right }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| measure_text_width(cell));
        let widths: Vec<usize> =
            (0..columns).map(|column| self.rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let space = " ".repeat(widths[column].saturating_sub(measure_text_width(cell)));
                let cell = if self.right.contains(&column) { space + cell } else { cell.clone() + &space };
                line.push_str(&format!("  {cell}"));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A heading, with a line of its own.
pub(super) fn heading(text: &str) -> String {
    format!("\n{}\n", style(text).bold())
}

/// A name and what is said of it; further lines begin where the first did.
pub(super) fn field(name: &str, said: impl fmt::Display) -> String {
    const NAME: usize = 12;
    let said = said.to_string().replace('\n', &format!("\n  {:NAME$}  ", ""));
    format!("  {}  {said}\n", style(format!("{name:NAME$}")).dim())
}

/// How large a part is beside the largest.
pub(super) fn bar(part: u64, largest: u64) -> String {
    let width = u128::from(part) * BAR as u128 / u128::from(largest.max(1));
    let width = usize::try_from(width).unwrap_or(BAR).clamp(usize::from(part > 0), BAR);
    style("█".repeat(width)).cyan().to_string()
}

/// Bytes as people read them: `512 B`, `1.13 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// Numbers with their thousands set apart.
pub(super) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Text from a snapshot, which may hold anything: what would move the cursor is shown as an escape.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
