//! What any gate found, as one view, and that view as text: a table, Markdown for a step summary or a comment, and the one
//! last line.
//!
//! Names come from workloads: every one is escaped for the form it goes into.
//!
//! Not here: verdicts, JUnit and annotations (`level`), and the tables for a terminal.

use super::{AbRow, GateReport, Tolerance, Verdict};
use crate::exit::{ExitCode, Outcome};
use crate::printable;
use crate::record::point_label;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A step summary beyond this is refused as a whole, so ours ends before.
pub const SUMMARY_BYTES_MAX: usize = 1 << 20;

/// One number's verdict, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `exact`, `sliced`, ...
    pub class: String,
    /// The number.
    pub name: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// Why, as a word.
    pub reason: &'static str,
    /// The numbers behind it.
    pub numbers: String,
    /// Why, for people.
    pub detail: String,
}

/// Everything a gate found.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The workload.
    pub workload: String,
    /// The numbers, the ones to act on first.
    pub rows: Vec<Finding>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// How the gate ends.
    pub exit: Outcome,
    /// Whether the process ends with 0 where nothing can be told.
    pub inconclusive_passes: bool,
}

impl Findings {
    /// Of a gate against a committed baseline.
    #[must_use]
    pub fn of_baseline(report: &GateReport) -> Self {
        let rows = report.rows.iter().map(|row| {
            let at = if row.point.is_empty() {
                String::new()
            } else {
                format!(" at {}", point_label(&row.point))
            };
            let measured = row
                .measured
                .map_or_else(|| "-".to_owned(), |value| value.to_string());
            let within = match row.tolerance {
                Tolerance::Exact => "exactly".to_owned(),
                Tolerance::Relative(part) => format!("within {:.1} %", part * 100.0),
            };
            Finding {
                class: "baseline".to_owned(),
                name: format!("{}{at}", row.expression.replace('"', "")),
                verdict: row.verdict,
                reason: row.code.word(),
                numbers: format!("{} to {measured}, {within}", row.baseline),
                detail: row.reason.clone(),
            }
        });
        Self {
            workload: report.workload.clone(),
            rows: rows.collect(),
            notes: report.notes.clone(),
            exit: report.exit.clone(),
            inconclusive_passes: false,
        }
    }

    /// Of two builds side by side.
    #[must_use]
    pub fn of_builds(workload: &str, rows: &[AbRow], notes: Vec<String>, exit: Outcome) -> Self {
        let mut rows: Vec<&AbRow> = rows.iter().collect();
        rows.sort_by_key(|row| row.verdict.urgency());
        let rows = rows.into_iter().map(|row| Finding {
            class: row.class.word().to_owned(),
            name: row.metric.clone(),
            verdict: row.verdict,
            reason: row.reason.word(),
            numbers: row.numbers(),
            detail: row.detail.clone(),
        });
        Self {
            workload: workload.to_owned(),
            rows: rows.collect(),
            notes,
            exit,
            inconclusive_passes: false,
        }
    }

    /// The process ends with 0 although nothing can be told.
    pub(super) fn is_allowed(&self) -> bool {
        self.inconclusive_passes && self.exit.code == ExitCode::Inconclusive
    }

    fn count(&self, wanted: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == wanted).count()
    }

    /// The table for a terminal, notes below it.
    #[must_use]
    pub fn table(&self) -> String {
        let cells: Vec<[Cow<'_, str>; 6]> =
            std::iter::once(["verdict", "class", "number", "change", "reason", ""])
                .chain(self.rows.iter().map(|row| {
                    [
                        row.verdict.word(),
                        &row.class,
                        &row.name,
                        &row.numbers,
                        row.reason,
                        &row.detail,
                    ]
                }))
                .map(|row| row.map(printable::one_line))
                .collect();
        let width = |column: usize| {
            cells
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..6).map(width).collect();
        let mut text = String::new();
        for row in &cells {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", printable::one_line(note));
        }
        text
    }

    /// The one line a script looks for: `key=value` pairs, the reason quoted and last. What abstained was not compared.
    #[must_use]
    pub fn last_line(&self) -> String {
        format!(
            "gate={} exit={}{} compared={} pass={} regressed={} improved={} unstable={} \
             abstained={} reason={:?}",
            self.exit.code.word(),
            self.exit.code.code(),
            if self.is_allowed() { " allowed=1" } else { "" },
            self.rows.len() - self.count(Verdict::Abstained),
            self.count(Verdict::Pass),
            self.count(Verdict::Regressed),
            self.count(Verdict::Improved),
            self.count(Verdict::Unstable),
            self.count(Verdict::Abstained),
            self.exit.reason
        )
    }

    /// Markdown, at most `bytes_max` long; what does not fit is counted in its last line.
    #[must_use]
    pub fn markdown(&self, bytes_max: usize) -> String {
        let mut text = format!(
            "### delalloc gate: {} ({})\n\n{}\n\n| verdict | class | number | change | reason |\n\
             |---|---|---|---|---|\n",
            self.exit.code.word(),
            markdown(&self.workload),
            markdown(&self.exit.reason)
        );
        let lines = self.rows.iter().map(|row| {
            let cells = [
                &row.name,
                &row.numbers,
                &format!("{} {}", row.reason, row.detail),
            ];
            let [name, numbers, why] = cells.map(|cell| markdown(cell));
            format!(
                "| {} | {} | {name} | {numbers} | {} |\n",
                row.verdict.word(),
                row.class,
                why.trim()
            )
        });
        let notes = self
            .notes
            .iter()
            .map(|note| format!("\n* {}", markdown(note)));
        let lines: Vec<String> = lines.chain(notes).collect();
        // Room for the line that says what was left out.
        let room = bytes_max.saturating_sub(64);
        for (written, line) in lines.iter().enumerate() {
            if text.len() + line.len() > room {
                let _ = writeln!(text, "\n{} more are not shown", lines.len() - written);
                return text;
            }
            text.push_str(line);
        }
        text.push('\n');
        text
    }
}

impl AbRow {
    /// `+5.1 % [4.8, 5.4], would see 4.1 %`.
    #[must_use]
    pub fn numbers(&self) -> String {
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        let Some(change) = self.change else {
            return "-".to_owned();
        };
        let mut text = format!(
            "{:+.2} % [{:+.2}, {:+.2}]",
            percent(change.ratio),
            percent(change.low),
            percent(change.high)
        );
        if let Some(detectable) = self.detectable {
            let _ = write!(text, ", could detect >= {:.1} %", detectable * 100.0);
        }
        if let Some(null) = self.null {
            let _ = write!(
                text,
                "; A/A {:+.2} % [{:+.2}, {:+.2}]",
                percent(null.ratio),
                percent(null.low),
                percent(null.high)
            );
        }
        text
    }
}

fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::exit::ExitCode;

    pub(in crate::gate) fn finding(name: &str, verdict: Verdict) -> Finding {
        Finding {
            class: "sliced".to_owned(),
            name: name.to_owned(),
            verdict,
            reason: "worse",
            numbers: "+5.0 % [4.0, 6.0]".to_owned(),
            detail: String::new(),
        }
    }

    pub(in crate::gate) fn findings(rows: Vec<Finding>) -> Findings {
        Findings {
            workload: "a<b".to_owned(),
            rows,
            notes: Vec::new(),
            exit: Outcome::new(ExitCode::Regression, "1 of 3 numbers regressed"),
            inconclusive_passes: false,
        }
    }

    #[test]
    fn a_summary_never_exceeds_its_limit_and_says_what_is_missing() {
        let found = findings(
            (0..20_000)
                .map(|i| finding(&format!("n|{i}"), Verdict::Pass))
                .collect(),
        );
        let text = found.markdown(SUMMARY_BYTES_MAX);
        assert!(text.len() < SUMMARY_BYTES_MAX, "{}", text.len());
        assert!(text.contains("more are not shown"));
        assert!(text.contains("n\\|7 "));
        let few = findings(vec![finding("n", Verdict::Pass)]).markdown(SUMMARY_BYTES_MAX);
        assert!(!few.contains("not shown"));
    }

    #[test]
    fn the_last_line_is_keys_and_values() {
        let line = findings(vec![finding("n", Verdict::Regressed)]).last_line();
        assert_eq!(
            line,
            "gate=regression exit=1 compared=1 pass=0 regressed=1 improved=0 unstable=0 \
             abstained=0 reason=\"1 of 3 numbers regressed\""
        );
    }

    #[test]
    fn what_is_not_comparable_is_not_counted_as_compared() {
        let mut found = findings(vec![
            finding("a", Verdict::Abstained),
            finding("b", Verdict::Abstained),
            finding("c", Verdict::Unstable),
        ]);
        found.exit = Outcome::new(ExitCode::Inconclusive, "1 unstable and 2 abstained");
        assert!(
            found
                .last_line()
                .starts_with("gate=inconclusive exit=3 compared=1 pass=0"),
            "{}",
            found.last_line()
        );
        found.inconclusive_passes = true;
        let allowed = found.last_line();
        assert!(
            allowed.starts_with("gate=inconclusive exit=3 allowed=1 compared=1"),
            "{allowed}"
        );
        found.exit = Outcome::new(ExitCode::Regression, "2 regressed");
        assert!(!found.last_line().contains("allowed"), "red stays red");
    }
}
