//! What a row or an ending is to other programs, and the two forms that are made of it: JUnit for test dashboards, and
//! workflow annotations.
//!
//! Both are red exactly where the process ends with another code than 0. What no row explains (nothing to compare, a failed
//! run, an interruption) is a case of its own, `gate`, with the reason of the ending.
//!
//! Not here: verdicts, and the view of them (`findings`).

use super::{Finding, Findings, Reason, Verdict};
use crate::exit::ExitCode;
use std::fmt::Write as _;

/// As many annotations as one step may have.
pub const ANNOTATIONS_MAX: usize = 10;

/// What a row or an ending is to other programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// The gate did not get as far as a verdict.
    Error,
    /// Worse than before, or another number where any change is news.
    Failure,
    /// Cannot be told.
    Skipped,
    /// Not worse.
    Good,
}

impl Finding {
    /// As `conclude` sees it: an exact number that changed fails, whichever way.
    fn level(&self) -> Level {
        match self.verdict {
            Verdict::Regressed => Level::Failure,
            _ if self.reason == Reason::Changed.word() => Level::Failure,
            Verdict::Unstable | Verdict::Abstained => Level::Skipped,
            Verdict::Pass | Verdict::Improved => Level::Good,
        }
    }

    fn said(&self) -> String {
        let said = format!("{} {} {}", self.reason, self.numbers, self.detail);
        said.trim_end().to_owned()
    }
}

impl Findings {
    /// What the ending itself is, where no row says it.
    fn ending(&self) -> Level {
        match self.exit.code {
            ExitCode::Good => Level::Good,
            ExitCode::Regression if self.rows.iter().any(|row| row.level() == Level::Failure) => {
                Level::Good
            }
            ExitCode::Regression => Level::Failure,
            ExitCode::Inconclusive if self.is_allowed() => Level::Skipped,
            ExitCode::Inconclusive | ExitCode::Usage | ExitCode::Failed | ExitCode::Interrupted => {
                Level::Error
            }
        }
    }

    /// JUnit: a test case for every number, and one for an ending that none of them explains.
    #[must_use]
    pub fn junit(&self) -> String {
        let suite = xml(&self.workload);
        let ending = (self.ending() != Level::Good).then(|| {
            let (class, name) = (self.workload.clone(), "gate".to_owned());
            (class, name, self.ending(), self.exit.reason.clone())
        });
        let rows = self.rows.iter().map(|row| {
            let class = format!("{}.{}", self.workload, row.class);
            (class, row.name.clone(), row.level(), row.said())
        });
        let cases: Vec<(String, String, Level, String)> = ending.into_iter().chain(rows).collect();
        let count = |wanted: Level| cases.iter().filter(|case| case.2 == wanted).count();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            text,
            "<testsuite name=\"delalloc gate {suite}\" tests=\"{}\" failures=\"{}\" \
             errors=\"{}\" skipped=\"{}\">",
            cases.len(),
            count(Level::Failure),
            count(Level::Error),
            count(Level::Skipped)
        );
        for (class, name, level, said) in &cases {
            let said = xml(said);
            let inside = match level {
                Level::Failure => {
                    format!("<failure type=\"PerformanceRegression\" message=\"{said}\"/>")
                }
                Level::Error => format!("<error message=\"{said}\"/>"),
                Level::Skipped => format!("<skipped message=\"{said}\"/>"),
                Level::Good => format!("<system-out>{said}</system-out>"),
            };
            let _ = writeln!(
                text,
                "  <testcase classname=\"{}\" name=\"{}\">{inside}</testcase>",
                xml(class),
                xml(name)
            );
        }
        text.push_str("</testsuite>\n");
        text
    }

    /// Workflow annotations for what is to be acted on, the worst first.
    #[must_use]
    pub fn annotations(&self) -> String {
        let ending = (
            self.ending(),
            format!("gate {}", self.exit.code.word()),
            self.exit.reason.clone(),
        );
        let rows = self.rows.iter().map(|row| {
            let title = format!("{} {}", row.verdict.word(), row.name);
            (row.level(), title, row.said())
        });
        let told = std::iter::once(ending).chain(rows);
        let mut told: Vec<(Level, String, String)> =
            told.filter(|(level, ..)| *level != Level::Good).collect();
        told.sort_by_key(|(level, ..)| *level);
        let mut text = String::new();
        for (level, title, said) in told.into_iter().take(ANNOTATIONS_MAX) {
            let word = match level {
                Level::Failure | Level::Error => "error",
                Level::Skipped | Level::Good => "warning",
            };
            let (title, said) = (command(&title, true), command(&said, false));
            let _ = writeln!(text, "::{word} title={title}::{said}");
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
    use crate::exit::Outcome;
    use crate::gate::findings::tests::{finding, findings};

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
    fn a_changed_number_is_a_failure_also_where_it_is_a_better_one() {
        let mut found = findings(vec![finding("n", Verdict::Improved)]);
        found.rows[0].reason = Reason::Changed.word();
        let text = found.junit();
        assert!(
            text.contains("tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\""),
            "{text}"
        );
        let doubts = (0..30).map(|_| finding("u", Verdict::Unstable));
        found.rows.splice(0..0, doubts);
        let text = found.annotations();
        assert!(text.starts_with("::error title=improved n"), "{text}");
        found.rows.drain(..30);
        found.rows[0].reason = Reason::Better.word();
        found.exit = Outcome::new(ExitCode::Good, "1 number");
        assert!(found.junit().contains("failures=\"0\" errors=\"0\""));
        assert_eq!(found.annotations(), "");
    }

    #[test]
    fn nothing_compared_and_a_run_cut_short_are_red_and_say_why() {
        for (code, level, word) in [
            (ExitCode::Inconclusive, "<error", "::error"),
            (ExitCode::Interrupted, "<error", "::error"),
            (ExitCode::Failed, "<error", "::error"),
            (ExitCode::Regression, "<failure", "::error"),
        ] {
            let mut found = findings(Vec::new());
            found.exit = Outcome::new(code, "base does not build");
            let text = found.junit();
            assert!(text.contains("tests=\"1\""), "{text}");
            assert!(
                text.contains("failures=\"1\"") != text.contains("errors=\"1\""),
                "{text}"
            );
            let case = format!("name=\"gate\">{level}");
            assert!(text.contains(&case), "{text}");
            assert!(text.contains("base does not build"), "{text}");
            let text = found.annotations();
            assert!(text.starts_with(word), "{text}");
            assert!(text.contains("base does not build"), "{text}");
        }
        let mut found = findings(Vec::new());
        found.exit = Outcome::new(ExitCode::Inconclusive, "base does not build");
        found.inconclusive_passes = true;
        let text = found.junit();
        assert!(
            text.contains("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""),
            "{text}"
        );
        assert!(text.contains("base does not build"), "{text}");
        assert!(
            found
                .annotations()
                .starts_with("::warning title=gate inconclusive::")
        );
    }
}
