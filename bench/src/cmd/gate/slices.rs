//! `delalloc gate slices`: the child of a sliced comparison; see `ab/serve`.

use anyhow::Context;
use delalloc_results::ExitCode;
use delalloc_workloads::plan::{BackendPlan, TargetKind};

use crate::ab::serve::{serve, sliced_phase};
use crate::failure::{Failure, OrExit};
use crate::gate_args::SlicesArgs;
use crate::plan;
use crate::signals::Signals;
use crate::targets::{self, Opening, Plant};

/// Serves the first target at the first point of the sweep.
pub(super) fn slices(args: &SlicesArgs) -> Result<ExitCode, Failure> {
    let mut workload = plan::load(&args.task.replay())?;
    plan::keep_targets(&mut workload, &args.task.targets).or_usage()?;
    plan::check_points(&workload)?;
    let target = workload
        .targets
        .first()
        .context("the workload has no target")
        .or_usage()?;
    let point = workload
        .points
        .first()
        .context("the workload has no point")
        .or_usage()?;
    shares_nothing(&target.kind).or_usage()?;
    let load = workload.load(point);
    let index = sliced_phase(load, args.phase.as_deref()).or_usage()?;
    let plant = Plant::from_environment().or_usage()?;
    let opened = targets::open(&Opening {
        target,
        point,
        load,
        seed: None,
        plant,
    })
    .or_failed()?;
    let signals = Signals::default();
    let served = serve(
        load,
        index,
        &*opened,
        &signals,
        std::io::stdin().lock(),
        std::io::stdout().lock(),
    );
    let closed = opened.close();
    served.and(closed).or_failed()?;
    Ok(ExitCode::Good)
}

/// Three of these processes are there at once: they must not write to one place.
fn shares_nothing(target: &TargetKind) -> anyhow::Result<()> {
    let place = match target {
        TargetKind::Null => return Ok(()),
        TargetKind::Directory { path } => path,
        TargetKind::Engine(device) | TargetKind::Raw(device) => match &device.backend {
            BackendPlan::Mem { .. } | BackendPlan::Sim { .. } => return Ok(()),
            BackendPlan::File { path, .. } | BackendPlan::Block { path, .. } => path,
        },
    };
    let place = place.display();
    anyhow::bail!(
        "both builds would write to {place} at once; slice a target in memory, or compare rounds"
    )
}
