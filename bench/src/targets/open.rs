//! From what a workload says of a target to the open target.

use std::sync::Arc;

use anyhow::{bail, ensure};
use delalloc_backends::{Backend, FileCaching, FileOptions, MemBackend, MoverKind, MoverOptions};
use delalloc_workloads::PointPlan;
use delalloc_workloads::plan::{BackendPlan, Mover, TargetKind, TargetPlan};

use super::{DirectoryTarget, EngineKnobs, EngineTarget, NullTarget, Target};

/// Opens a target, fresh, for one cell.
pub fn open(target: &TargetPlan, point: &PointPlan) -> anyhow::Result<Box<dyn Target>> {
    Ok(match &target.kind {
        TargetKind::Null => Box::new(NullTarget),
        TargetKind::Directory { path } => Box::new(DirectoryTarget::open(path)?),
        TargetKind::Engine(engine) => {
            let config = EngineKnobs::config(&point.knobs_for(target))?;
            ensure!(engine.throttle.is_none(), "this build does not throttle");
            Box::new(EngineTarget::open(backend(&engine.backend)?, config)?)
        }
    })
}

/// Opens the device below an engine.
fn backend(plan: &BackendPlan) -> anyhow::Result<Arc<dyn Backend>> {
    Ok(match plan {
        BackendPlan::Mem { size_bytes } => Arc::new(MemBackend::new(*size_bytes)),
        BackendPlan::File {
            path,
            size_bytes,
            mover,
            buffered,
        } => {
            let options = FileOptions {
                caching: if *buffered {
                    FileCaching::Buffered
                } else {
                    FileCaching::Direct
                },
                mover: mover_options(*mover),
                ..FileOptions::create_or_reuse(path, *size_bytes)
            };
            Arc::new(options.open()?)
        }
        BackendPlan::Block { .. } | BackendPlan::Sim { .. } => {
            bail!("this build has the backends file and mem")
        }
    })
}

fn mover_options(mover: Mover) -> MoverOptions {
    let kind = match mover {
        Mover::Auto => MoverKind::Auto,
        Mover::Uring => MoverKind::Uring,
        Mover::Threads => MoverKind::Threads,
    };
    MoverOptions {
        kind,
        ..MoverOptions::default()
    }
}
