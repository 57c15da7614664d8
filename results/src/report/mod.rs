//! One offline page that says what a run found.
//!
//! Looked at more than read, so the verdict and the best point come first and every chart shows
//! units. Nothing is fetched: style, script, charts and data are inside the file. A chart with
//! nothing to show is left out and its section says why.
//!
//! ```text
//!   RunRecord -> summary (which point, which operation) -> charts -> view (words) -> page.html
//!                  recommend                               canvas, axis, plot
//! ```
//!
//! Every name comes from a workload or a machine and is foreign: the template escapes by default,
//! charts escape their texts, and embedded data has its `<` written as an escape, so that no
//! `</script>` can end it early. The only strings marked safe are those this folder makes.

mod advice;
mod axis;
mod brief;
mod canvas;
mod data;
mod doubts;
mod environment;
mod front;
mod heat;
mod jobs;
mod percentiles;
mod pipeline;
mod plot;
mod points;
mod promises;
mod sheet;
mod side_by_side;
mod sides;
mod spans;
mod summary;
mod sweep;
mod table;
mod tables;
mod timeline;
mod view;

use crate::recommend::Objective;
use crate::record::RunRecord;
use crate::verdict::RunVerdict;
use minijinja::value::Serde;
use minijinja::{Environment, Value};

/// The page as text, recommending what serves the workload's objective, or the default one.
#[must_use]
pub fn render(record: &RunRecord) -> String {
    render_for(record, None)
}

/// The page as text, recommending what serves an objective; without one, like [`render`].
#[must_use]
pub fn render_for(record: &RunRecord, objective: Option<Objective>) -> String {
    fill("page.html", view::Page::of(record, objective))
}

/// Two runs on one page, each with the name it is called by.
#[must_use]
pub fn render_comparison(before: (&str, &RunRecord), after: (&str, &RunRecord)) -> String {
    fill(
        "side_by_side.html",
        side_by_side::SideBySide::of(before, after),
    )
}

/// The findings as Markdown, for a comment or the summary page of a CI system: verdict, recommendation,
/// key numbers, doubts.
#[must_use]
pub fn render_markdown(record: &RunRecord, objective: Option<Objective>) -> String {
    brief::markdown(record, objective)
}

/// What is recommended of a sweep, a line for each target that has more than one point.
#[must_use]
pub fn recommendations(record: &RunRecord) -> Vec<String> {
    let summary = summary::Summary::of(record, None);
    advice::recommendations(&summary, &RunVerdict::of(record))
}

/// A template with its variables filled in.
fn fill(name: &str, page: impl serde::Serialize) -> String {
    let mut shell = Environment::new();
    for (name, text) in [
        ("macros.html", include_str!("macros.html")),
        ("page.html", include_str!("page.html")),
        ("side_by_side.html", include_str!("side_by_side.html")),
    ] {
        shell
            .add_template(name, text)
            .expect("the template is part of this build");
    }
    shell
        .get_template(name)
        .and_then(|template| template.render(Value::from(Serde(page))))
        .expect("the template uses only fields of the page")
}
