//! Columns of text, for terminals and logs.

use std::fmt;

use delalloc_results::printable::one_line;

/// A table; the first column is flush left, the others right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    left: usize,
}

impl Table {
    /// A table with this head. The first `left` columns are flush left.
    pub fn new(left: usize, head: &[&str]) -> Self {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Self {
            rows: vec![head],
            left,
        }
    }

    /// Adds a row of as many cells as the head has. What a terminal would obey in them is made visible.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.rows[0].len(),
            "a row has a cell for each column"
        );
        let shown = cells.iter().map(|cell| one_line(cell).into_owned());
        self.rows.push(shown.collect());
    }

    /// Has no row but the head.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .map(|row| row[column].chars().count())
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if column < self.left {
                    line.push_str(&format!("{cell:<width$}"));
                } else {
                    line.push_str(&format!("{cell:>width$}"));
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(1, &["name", "n"]);
        table.row(vec!["a".into(), "12".into()]);
        table.row(vec!["longer".into(), "3".into()]);
        assert_eq!(table.to_string(), "name     n\na       12\nlonger   3\n");
        table.row(vec!["\u{1b}[2J\n::x".into(), "4".into()]);
        assert!(table.to_string().ends_with("\\u{1b}[2J\\n::x   4\n"));
    }
}
