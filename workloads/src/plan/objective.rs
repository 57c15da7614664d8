//! The objective that a recommended point serves, in the language of assertions.
//!
//! This crate carries its text and knows where it stands; what it means is asked through `AssertCheck`.

use serde::Serialize;

use super::asserts::refuse;
use crate::decode::{At, Report};
use crate::knob::Checks;
use crate::spec::ObjectiveSpec;

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

/// Its measure is one, and its conditions are.
pub(super) fn check(objective: Option<&ObjectiveSpec>, checks: Checks<'_>, report: &mut Report) {
    let Some(objective) = objective else {
        return;
    };
    for measure in objective.maximise.iter().chain(&objective.minimise) {
        if let Err(why) = checks.asserts.check_measure(&measure.value) {
            refuse(measure, why, report);
        }
    }
    for condition in &objective.subject_to {
        if let Err(why) = checks.asserts.check_condition(&condition.value) {
            refuse(condition, why, report);
        }
    }
}
