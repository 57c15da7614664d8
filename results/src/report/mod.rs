//! One offline page that says what a run found.
//!
//! Looked at more than read, so the verdict and the best point come first and every chart shows
//! units. Nothing is fetched: style, script, charts and data are inside the file. A chart with
//! nothing to show is left out and its section says why.
//!
//! ```text
//!   RunRecord -> summary (which point, which operation) -> charts -> view (words) -> page.html
//!                                                          canvas, axis, plot
//! ```
//!
//! Every name comes from a workload or a machine and is foreign: the template escapes by default,
//! charts escape their texts, and embedded data has its `<` written as an escape, so that no
//! `</script>` can end it early. The only strings marked safe are those this folder makes.

mod axis;
mod canvas;
mod data;
mod percentiles;
mod pipeline;
mod plot;
mod sides;
mod summary;
mod sweep;
mod table;
mod tables;
mod timeline;
mod view;

use crate::record::RunRecord;
use minijinja::value::Serde;
use minijinja::{Environment, Value};

/// The page as text.
#[must_use]
pub fn render(record: &RunRecord) -> String {
    let mut shell = Environment::new();
    shell
        .add_template("page.html", include_str!("page.html"))
        .expect("the template is part of this build");
    let page = Value::from(Serde(view::Page::of(record)));
    shell
        .get_template("page.html")
        .and_then(|template| template.render(page))
        .expect("the template uses only fields of the page")
}
