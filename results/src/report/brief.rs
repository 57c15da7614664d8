//! The findings as Markdown: what the page says first, without its pictures.

use super::advice::advices;
use super::doubts::ranked;
use super::jobs::jobs;
use super::summary::Summary;
use super::tables::key_numbers;
use super::view::{describe, named, verdict_view};
use crate::markdown::cell;
use crate::recommend::Objective;
use crate::record::RunRecord;
use crate::verdict::RunVerdict;
use std::fmt::Write as _;

/// What the page says first, as Markdown.
pub(super) fn markdown(record: &RunRecord, objective: Option<Objective>) -> String {
    let summary = Summary::of(record, objective);
    let verdict = RunVerdict::of(record);
    let shown = verdict_view(&verdict);
    let mut text = format!(
        "## {}: {}\n\n{} (exit {})\n\n{}\n",
        cell(&named(&record.workload.name)),
        shown.word,
        cell(&shown.reason),
        shown.exit,
        cell(&describe(record))
    );
    for advice in advices(&summary, &verdict) {
        let _ = writeln!(text, "\n**{}**\n", cell(&advice.title));
        for line in &advice.lines {
            let _ = writeln!(text, "{}", cell(line));
        }
        for cost in &advice.costs {
            let _ = writeln!(text, "* {}", cell(cost));
        }
    }
    let numbers = key_numbers(&summary);
    if !numbers.is_empty() {
        let _ = write!(text, "\n{}", numbers.markdown());
    }
    let jobs = jobs(&summary);
    if !jobs.is_empty() {
        let _ = write!(text, "\nEach job by itself:\n\n{}", jobs.markdown());
    }
    let doubts = ranked(&summary);
    if !doubts.is_empty() {
        text.push('\n');
    }
    for doubt in doubts {
        let _ = writeln!(text, "* {}: {}", doubt.grade, cell(&doubt.seen));
    }
    text
}
