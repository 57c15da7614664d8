//! What any gate found, in the forms other programs read: one view, four renderers.
//!
//! JUnit for test dashboards, Markdown for a step summary or a comment, workflow annotations, and the one last line.
//! Names come from workloads: every one is escaped for the form it goes into.
//!
//! Not here: verdicts, and the tables for a terminal.

use super::{AbRow, GateReport, Verdict};
use crate::exit::{ExitCode, Outcome};
use crate::printable;
use crate::record::point_label;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A step summary beyond this is refused as a whole, so ours ends before.
pub const SUMMARY_BYTES_MAX: usize = 1 << 20;
/// As many annotations as one step may have.
pub const ANNOTATIONS_MAX: usize = 10;

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
            Finding {
                class: "baseline".to_owned(),
                name: format!("{}{at}", row.expression.replace('"', "")),
                verdict: row.verdict,
                reason: row.code.word(),
                numbers: format!("{} to {measured}", row.baseline),
                detail: row.reason.clone(),
            }
        });
        Self {
            workload: report.workload.clone(),
            rows: rows.collect(),
            notes: report.notes.clone(),
            exit: report.exit.clone(),
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
        }
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

    /// The one line a script looks for: `key=value` pairs, the reason quoted and last.
    #[must_use]
    pub fn last_line(&self) -> String {
        format!(
            "gate={} exit={} compared={} pass={} regressed={} improved={} unstable={} \
             abstained={} reason={:?}",
            self.exit.code.word(),
            self.exit.code.code(),
            self.rows.len(),
            self.count(Verdict::Pass),
            self.count(Verdict::Regressed),
            self.count(Verdict::Improved),
            self.count(Verdict::Unstable),
            self.count(Verdict::Abstained),
            self.exit.reason
        )
    }

    /// JUnit: a test case for every number. What cannot be told is skipped with its reason, a failed or wrong
    /// run is an error.
    #[must_use]
    pub fn junit(&self) -> String {
        let failures = self.count(Verdict::Regressed);
        let skipped = self.count(Verdict::Unstable) + self.count(Verdict::Abstained);
        let failed_run = self.exit.code == ExitCode::Failed;
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let suite = xml(&self.workload);
        let _ = writeln!(
            text,
            "<testsuite name=\"delalloc gate {suite}\" tests=\"{}\" failures=\"{failures}\" \
             errors=\"{}\" skipped=\"{skipped}\">",
            self.rows.len() + usize::from(failed_run),
            usize::from(failed_run)
        );
        if failed_run {
            let _ = writeln!(
                text,
                "  <testcase classname=\"{suite}\" name=\"run\"><error message=\"{}\"/></testcase>",
                xml(&self.exit.reason)
            );
        }
        for row in &self.rows {
            let said = xml(&format!("{} {} {}", row.reason, row.numbers, row.detail));
            let inside = match row.verdict {
                Verdict::Regressed => {
                    format!("<failure type=\"PerformanceRegression\" message=\"{said}\"/>")
                }
                Verdict::Unstable | Verdict::Abstained => format!("<skipped message=\"{said}\"/>"),
                Verdict::Pass | Verdict::Improved => format!("<system-out>{said}</system-out>"),
            };
            let _ = writeln!(
                text,
                "  <testcase classname=\"{suite}.{}\" name=\"{}\">{inside}</testcase>",
                xml(&row.class),
                xml(&row.name)
            );
        }
        text.push_str("</testsuite>\n");
        text
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

    /// Workflow annotations for what is to be acted on, the worst first.
    #[must_use]
    pub fn annotations(&self) -> String {
        let mut text = String::new();
        let told = self.rows.iter().filter_map(|row| {
            let level = match row.verdict {
                Verdict::Regressed => "error",
                Verdict::Unstable | Verdict::Abstained => "warning",
                Verdict::Pass | Verdict::Improved => return None,
            };
            Some((level, row))
        });
        for (level, row) in told.take(ANNOTATIONS_MAX) {
            let title = command(&format!("{} {}", row.verdict.word(), row.name), true);
            let said = command(
                &format!("{} {} {}", row.reason, row.numbers, row.detail),
                false,
            );
            let _ = writeln!(text, "::{level} title={title}::{}", said.trim_end());
        }
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

fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write the others.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
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

/// For a workflow command; a property ends at a comma or colon as well.
fn command(text: &str, property: bool) -> String {
    let mut escaped = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    if property {
        escaped = escaped.replace(':', "%3A").replace(',', "%2C");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &str, verdict: Verdict) -> Finding {
        Finding {
            class: "sliced".to_owned(),
            name: name.to_owned(),
            verdict,
            reason: "worse",
            numbers: "+5.0 % [4.0, 6.0]".to_owned(),
            detail: String::new(),
        }
    }

    fn findings(rows: Vec<Finding>) -> Findings {
        Findings {
            workload: "a<b".to_owned(),
            rows,
            notes: Vec::new(),
            exit: Outcome::new(ExitCode::Regression, "1 of 3 numbers regressed"),
        }
    }

    #[test]
    fn junit_counts_what_failed_and_what_cannot_be_told() {
        let found = findings(vec![
            finding("x&\"y\"\u{1}", Verdict::Regressed),
            finding("u", Verdict::Unstable),
            finding("p", Verdict::Pass),
        ]);
        let text = found.junit();
        assert!(
            text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""),
            "{text}"
        );
        assert!(
            text.contains("name=\"x&amp;&quot;y&quot; \"><failure"),
            "{text}"
        );
        assert!(text.contains("a&lt;b") && !text.contains("a<b"), "{text}");
    }

    #[test]
    fn wrong_bytes_are_an_error_and_not_a_failure() {
        let mut found = findings(Vec::new());
        found.exit = Outcome::new(ExitCode::Failed, "3 blocks read back wrong");
        assert!(found.junit().contains("errors=\"1\""));
        assert!(
            found
                .junit()
                .contains("<error message=\"3 blocks read back wrong\"/>")
        );
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
    fn at_most_ten_annotations_and_none_for_what_is_good() {
        let mut rows = vec![finding("good", Verdict::Pass)];
        rows.extend((0..30).map(|_| finding("a,b: c%", Verdict::Regressed)));
        let text = findings(rows).annotations();
        assert_eq!(text.lines().count(), ANNOTATIONS_MAX);
        assert!(
            text.starts_with("::error title=regressed a%2Cb%3A c%25::worse +5.0 %25"),
            "{text}"
        );
        assert!(!text.contains("good"));
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
}
