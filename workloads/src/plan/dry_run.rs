//! The plan as text, before anything is run.

use super::WorkloadPlan;

/// What would be run, and what it would cost.
pub fn dry_run_text(plan: &WorkloadPlan) -> String {
    format!("{}: {} points", plan.name, plan.points.len())
}
