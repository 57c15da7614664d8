//! What is expected of the results: assertions, and the objective that a recommended point serves.
//!
//! This crate carries their text and knows where it stands; what it means is asked through `AssertCheck`.

use serde::Serialize;

use crate::decode::{At, Report};
use crate::fault::{Fault, Span};
use crate::knob::{AssertFault, Checks};
use crate::spec::{ObjectiveSpec, WorkloadSpec};

/// An objective: one of maximise and minimise, and what is kept meanwhile. All in the language of assertions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectivePlan {
    /// A measure of which more is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximise: Option<String>,
    /// A measure of which less is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimise: Option<String>,
    /// Conditions.
    pub subject_to: Vec<String>,
}

impl ObjectivePlan {
    pub(super) fn of(spec: &ObjectiveSpec) -> Self {
        let text = |at: &At<String>| at.value.clone();
        Self {
            maximise: spec.maximise.as_ref().map(text),
            minimise: spec.minimise.as_ref().map(text),
            subject_to: spec.subject_to.iter().map(text).collect(),
        }
    }
}

/// Asks those who know the grammar, and draws what they refuse under its place.
pub(super) fn check(spec: &WorkloadSpec, checks: Checks<'_>, report: &mut Report) {
    let mut refuse = |at: &At<String>, why: AssertFault| {
        let fault = Fault::new(within(at, &why.range), why.message);
        report.add(why.suggestion.into_iter().fold(fault, Fault::help));
    };
    for assert in &spec.asserts {
        let _ = checks
            .asserts
            .check(&assert.value)
            .map_err(|why| refuse(assert, why));
    }
    let Some(objective) = &spec.objective else {
        return;
    };
    for measure in objective.maximise.iter().chain(&objective.minimise) {
        let checked = checks.asserts.check_measure(&measure.value);
        let _ = checked.map_err(|why| refuse(measure, why));
    }
    for condition in &objective.subject_to {
        let checked = checks.asserts.check_condition(&condition.value);
        let _ = checked.map_err(|why| refuse(condition, why));
    }
}

/// The bytes `range` of a scalar. Only where the scalar stands in the file as it is read (no escapes, no folding) is that a shift.
fn within(scalar: &At<String>, range: &std::ops::Range<usize>) -> Span {
    let written = scalar.span.end - scalar.span.start;
    let quote = written.saturating_sub(scalar.value.len()) / 2;
    let is_verbatim = written == scalar.value.len() || written == scalar.value.len() + 2;
    if !is_verbatim || range.start >= range.end || range.end > scalar.value.len() {
        return scalar.span;
    }
    Span {
        text: scalar.span.text,
        start: scalar.span.start + quote + range.start,
        end: scalar.span.start + quote + range.end,
    }
}
