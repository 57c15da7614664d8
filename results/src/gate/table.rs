//! A gate's report for people and for scripts: a table, and one last line.

use super::{Findings, GateReport, GateRow, Tolerance};
use crate::metric::Unit;
use crate::printable;
use crate::record::point_label;
use std::fmt::Write as _;

impl GateReport {
    /// The table for a terminal, the rows to act on first, ending in a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let head = [
            "verdict",
            "number",
            "baseline",
            "measured",
            "change",
            "tolerance",
            "why",
        ];
        let mut rows: Vec<[String; 7]> = vec![head.map(str::to_owned)];
        rows.extend(self.rows.iter().map(row));
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                rows.iter()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, field) in row.iter().enumerate() {
                let width = widths[column];
                // Numbers to the right, words to the left.
                let _ = if (2..=5).contains(&column) {
                    write!(line, "{field:>width$}  ")
                } else {
                    write!(line, "{field:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", printable::one_line(note));
        }
        text
    }

    /// The one line a script looks for.
    #[must_use]
    pub fn last_line(&self) -> String {
        Findings::of_baseline(self).last_line()
    }
}

fn row(row: &GateRow) -> [String; 7] {
    // A gate keeps times in seconds, as assertions compute them; units print nanoseconds.
    let scale = if row.unit == Unit::Nanoseconds {
        1e9
    } else {
        1.0
    };
    let format = |value: f64| match (row.unit, row.tolerance) {
        (Unit::Ratio | Unit::Plain, _) => format!("{value:.4}"),
        (Unit::Bytes, Tolerance::Exact) => Unit::Count.format(value),
        (unit, _) => unit.format(value * scale),
    };
    let name = if row.point.is_empty() {
        row.expression.clone()
    } else {
        format!("{} at {}", row.expression, point_label(&row.point))
    };
    [
        row.verdict.word().to_owned(),
        printable::one_line(&name).replace('"', ""),
        format(row.baseline),
        row.measured.map_or_else(|| "-".to_owned(), format),
        row.ratio.map_or_else(
            || "-".to_owned(),
            |ratio| format!("{:+.2} %", (ratio - 1.0) * 100.0),
        ),
        match row.tolerance {
            Tolerance::Exact => "exact".to_owned(),
            Tolerance::Relative(part) => format!("{:.1} %", part * 100.0),
        },
        printable::one_line(&row.reason).into_owned(),
    ]
}
