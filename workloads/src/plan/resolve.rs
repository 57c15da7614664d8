//! From the workload as written to the plan.

use super::WorkloadPlan;
use crate::fault::{Fault, Faults, SourceText, Span};
use crate::knob::Checks;

pub(crate) fn resolve(
    text: &str,
    origin: &str,
    _sets: &[String],
    _checks: Checks<'_>,
) -> Result<WorkloadPlan, Faults> {
    let span = Span {
        text: 0,
        start: 0,
        end: 0,
    };
    Err(Faults {
        sources: vec![SourceText {
            origin: origin.to_owned(),
            text: text.to_owned(),
        }],
        faults: vec![Fault::new(span, "cannot be read yet")],
    })
}
