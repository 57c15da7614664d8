//! From what a workload says of a target to the open target.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use delalloc_backends::{
    Backend, BackendError, BlockOptions, FileCaching, FileOptions, HeldBackend, MemBackend,
    MoverKind, MoverOptions, OsClock, SimBackend, SimModel, ThrottleBackend, ThrottleLimits,
    VirtualClock,
};
use delalloc_engine::meta::signatures;
use delalloc_workloads::plan::{
    BackendPlan, DevicePlan, Mover, SimDevice, TargetKind, TargetPlan, ThrottlePlan,
};
use delalloc_workloads::{LoadPlan, PointPlan};

use super::{
    DirectoryTarget, EngineKnobs, EngineTarget, NullTarget, Plant, RawTarget, Stand, Target,
};

/// A modelled device stalls where this says; equal seeds, equal stalls.
const SIM_SEED: u64 = 1;

/// What a cell is replayed on.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The target.
    pub target: &'a TargetPlan,
    /// The sweep point.
    pub point: &'a PointPlan,
    /// What will be replayed.
    pub load: &'a LoadPlan,
    /// In virtual time, where everything the target draws comes from this seed; none for real time.
    pub seed: Option<u64>,
    /// What is wrong with it on purpose.
    pub plant: Option<Plant>,
}

/// Opens a target, fresh, for one cell.
pub fn open(opening: &Opening<'_>) -> anyhow::Result<Box<dyn Target>> {
    let opened = sound(opening)?;
    Ok(match opening.plant {
        Some(plant) => {
            let on_a_device = matches!(opening.target.kind, TargetKind::Engine(_));
            plant.into_target(opened, on_a_device && opening.seed.is_none())
        }
        None => opened,
    })
}

/// But for what a plant does to its device.
fn sound(opening: &Opening<'_>) -> anyhow::Result<Box<dyn Target>> {
    let Opening {
        target,
        point,
        load,
        seed,
        plant,
    } = *opening;
    Ok(match &target.kind {
        TargetKind::Null => Box::new(NullTarget),
        TargetKind::Directory { path } => Box::new(DirectoryTarget::open(path)?),
        TargetKind::Raw(plan) => Box::new(match seed {
            None => RawTarget::open(device(plan)?, None, load)?,
            Some(seed) => {
                let stand = steps(plan, seed)?;
                RawTarget::open(stand.device(), stand.clock(), load)?
            }
        }),
        TargetKind::Engine(plan) => {
            let config = EngineKnobs::config(&point.knobs_for(target))?;
            let stand = match seed {
                None => {
                    let device = device(plan)?;
                    Stand::threads(match plant {
                        Some(plant) => plant.into_device(device),
                        None => device,
                    })
                }
                Some(seed) => steps(plan, seed)?,
            };
            Box::new(EngineTarget::open(stand, config)?)
        }
    })
}

/// A device in virtual time.
fn steps(plan: &DevicePlan, seed: u64) -> anyhow::Result<Stand> {
    let clock = Arc::new(VirtualClock::new());
    let device = match &plan.backend {
        BackendPlan::Mem { size_bytes } => {
            HeldBackend::new(Arc::new(MemBackend::new(*size_bytes)), clock)
        }
        BackendPlan::Sim { size_bytes, device } => {
            let bytes = Arc::new(MemBackend::new(*size_bytes));
            HeldBackend::modelled(bytes, clock, model(*device), seed)
        }
        BackendPlan::File { .. } | BackendPlan::Block { .. } => {
            bail!("a real device takes its own time, and virtual time was asked for")
        }
    };
    Ok(Stand::Steps {
        device: Arc::new(device),
        seed,
    })
}

fn model(device: SimDevice) -> SimModel {
    match device {
        SimDevice::Hdd => SimModel::HDD,
        SimDevice::SataSsd => SimModel::SATA_SSD,
        SimDevice::Nvme => SimModel::NVME,
        SimDevice::Cloud => SimModel::CLOUD,
        SimDevice::CloudBurst => SimModel::CLOUD_BURST,
    }
}

fn device(plan: &DevicePlan) -> Result<Arc<dyn Backend>, BackendError> {
    let base = backend(&plan.backend)?;
    Ok(match &plan.throttle {
        Some(throttle) => throttled(base, throttle),
        None => base,
    })
}

fn backend(plan: &BackendPlan) -> Result<Arc<dyn Backend>, BackendError> {
    Ok(match plan {
        BackendPlan::Mem { size_bytes } => Arc::new(MemBackend::new(*size_bytes)),
        BackendPlan::Sim { size_bytes, device } => {
            let bytes = MemBackend::new(*size_bytes);
            Arc::new(SimBackend::new(
                bytes,
                model(*device),
                Arc::new(OsClock::new()),
                SIM_SEED,
            ))
        }
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
        BackendPlan::Block {
            path,
            i_know_this_destroys,
            mover,
        } => {
            let options = BlockOptions {
                i_know_this_destroys: i_know_this_destroys.clone(),
                ours: signatures().to_vec(),
                mover: mover_options(*mover),
                ..BlockOptions::new(path)
            };
            Arc::new(options.open()?)
        }
    })
}

fn throttled(base: Arc<dyn Backend>, throttle: &ThrottlePlan) -> Arc<dyn Backend> {
    let limits = ThrottleLimits {
        requests_per_second: None,
        bytes_per_second: None,
        read_bytes_per_second: throttle.read_bytes_per_s,
        write_bytes_per_second: throttle.write_bytes_per_s,
        latency: Duration::from_nanos(throttle.latency_ns.unwrap_or(0)),
        burst: Duration::ZERO,
    };
    Arc::new(ThrottleBackend::new(base, limits, Arc::new(OsClock::new())))
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
