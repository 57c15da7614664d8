//! `delalloc gate`: is it worse than before? Against committed numbers, or against another build.

mod ab;
mod baseline;
mod calibrate;
mod counted;
mod home;
mod outputs;
mod slices;
mod trend;

use delalloc_results::ExitCode;

use crate::ab::Task;
use crate::args::ReplayArgs;
use crate::failure::Failure;
use crate::gate_args::{BlessArgs, GateArgs, GateCommand, TaskArgs};

pub(super) fn gate(args: &GateArgs) -> Result<ExitCode, Failure> {
    match &args.how {
        None => baseline::gate(args),
        Some(GateCommand::Ab(args)) => ab::ab(args),
        Some(GateCommand::Bless(args)) => {
            let BlessArgs {
                result,
                reason,
                output,
                ratios,
                json,
            } = args;
            baseline::bless(result, reason, output, ratios, *json)
        }
        Some(GateCommand::Counted(args)) => counted::counted(args),
        Some(GateCommand::Calibrate(args)) => calibrate::calibrate(args),
        Some(GateCommand::Trend(args)) => trend::trend(args),
        Some(GateCommand::Slices(args)) => slices::slices(args),
    }
}

impl TaskArgs {
    fn task(&self) -> Task {
        Task {
            workload: self.workload.clone(),
            sets: self.sets.clone(),
            targets: self.targets.clone(),
        }
    }

    /// The same as `replay` would understand it.
    fn replay(&self) -> ReplayArgs {
        ReplayArgs {
            workload: self.workload.clone(),
            sets: self.sets.clone(),
            targets: self.targets.clone(),
            ..ReplayArgs::default()
        }
    }
}
