//! Which targets can be had in virtual time: those whose every delay follows from a model.
//!
//! Corpora and traces are files from outside as well, but bytes and no clock: like the workload's own
//! text they are part of what is asked for, and the same bytes give the same run.

use super::{BackendPlan, DevicePlan};
use crate::decode::{At, Report};
use crate::fault::Fault;
use crate::spec::{TargetKindSpec, TargetSpec};

/// Reports each target that takes its time from the machine.
pub(super) fn check(targets: &[(At<String>, TargetSpec)], report: &mut Report) {
    for (name, target) in targets {
        if let Some(reason) = refusal(&target.kind) {
            let text = format!("`{}` cannot be deterministic: {reason}", name.value);
            report.add(Fault::new(name.span, text).help(
                "engine and raw targets on a sim or mem backend can; `deterministic: false` replays on all, in real time",
            ));
        }
    }
}

fn refusal(kind: &TargetKindSpec) -> Option<&'static str> {
    let (TargetKindSpec::Engine(device) | TargetKindSpec::Raw(device)) = kind else {
        return Some(match kind {
            TargetKindSpec::Directory(_) => "a mounted filesystem takes its own time",
            _ => "on a target without a device nothing takes any time",
        });
    };
    let DevicePlan { backend, throttle } = device;
    match backend {
        BackendPlan::File { .. } | BackendPlan::Block { .. } => {
            Some("a real device takes its own time")
        }
        BackendPlan::Mem { .. } | BackendPlan::Sim { .. } if throttle.is_some() => {
            Some("a throttle sleeps; the limits of a modelled device are its own")
        }
        BackendPlan::Mem { .. } | BackendPlan::Sim { .. } => None,
    }
}
