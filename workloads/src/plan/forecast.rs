//! What a run would come to: bytes moved, time, and the memory it takes at most, in numbers.
//!
//! Not here: how a load's bytes and time are guessed (`estimate`), how it is shown (`dry_run`).

use serde::Serialize;

use super::estimate::{
    Amount, cells, cells_per_load, client_bytes, content_bytes, load_bytes, load_ns, tracking_bytes,
};
use super::remembered::verification_bytes;
use super::{BackendPlan, LoadPlan, PointPlan, TargetKind, TargetPlan, Work, WorkloadPlan};

/// What an engine keeps in memory at most on a target at a point; 0 for what is no engine.
pub type EngineBytes<'a> = &'a dyn Fn(&TargetPlan, &PointPlan) -> u64;

/// What a run would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Cells: points times targets times rounds, but that a target without knobs runs once for each load and round.
    pub runs: u64,
    /// Bytes that clients read and write in all of them.
    pub moved_bytes: u64,
    /// There is more, and how much only the target knows.
    pub moved_is_at_least: bool,
    /// Time of all of them, without formatting and verifying.
    pub time_ns: u64,
    /// A recording comes on top of bytes and time, since it was not read.
    pub is_without_recordings: bool,
    /// Memory of one of them, the largest; they run one after the other.
    pub memory: MemoryEstimate,
}

/// Memory, by what takes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Made-up content.
    pub content_bytes: u64,
    /// A corpus is loaded besides, and takes what it is.
    pub has_corpus: bool,
    /// Keeping track of files.
    pub tracking_bytes: u64,
    /// What verification has to remember: at most, where that can be said.
    pub verification_bytes: u64,
    /// Only the target knows how much is written where no size is an end, and that comes on top.
    pub verification_is_at_least: bool,
    /// One buffer for each client that runs beside others, of its largest operation.
    pub client_bytes: u64,
    /// The limits of the engine's caches and of what is on its way.
    pub engine_bytes: u64,
    /// A device in memory, modelled or not, once all of it is written.
    pub device_bytes: u64,
    /// The sum.
    pub total_bytes: u64,
}

impl Estimate {
    /// Of `plan`, whose engines keep `engine_bytes` in memory.
    pub fn of(plan: &WorkloadPlan, engine_bytes: EngineBytes<'_>) -> Self {
        let each = cells_per_load(plan);
        let mut estimate = Self {
            runs: cells(plan),
            moved_bytes: 0,
            moved_is_at_least: false,
            time_ns: 0,
            is_without_recordings: plan.loads.iter().any(|load| is_unread(load)),
            memory: MemoryEstimate::default(),
        };
        for load in &plan.loads {
            let moved = load_bytes(load);
            let sum = |so_far: u64, one: u64| so_far.saturating_add(one.saturating_mul(each));
            estimate.moved_bytes = sum(estimate.moved_bytes, moved.bytes);
            estimate.moved_is_at_least |= moved.is_at_least;
            estimate.time_ns = sum(estimate.time_ns, load_ns(load));
        }
        for point in &plan.points {
            let load = plan.load(point);
            for target in &plan.targets {
                let verifies = plan.verify && !matches!(target.kind, TargetKind::Null);
                let engine_bytes = engine_bytes(target, point);
                let memory = MemoryEstimate::of(load, target, engine_bytes, verifies);
                if memory.total_bytes > estimate.memory.total_bytes {
                    estimate.memory = memory;
                }
            }
        }
        estimate
    }
}

impl MemoryEstimate {
    fn of(load: &LoadPlan, target: &TargetPlan, engine_bytes: u64, verifies: bool) -> Self {
        let content = content_bytes(load);
        let verification = if verifies {
            verification_bytes(load)
        } else {
            Amount::default()
        };
        let mut memory = Self {
            content_bytes: content.bytes,
            has_corpus: content.is_at_least,
            tracking_bytes: tracking_bytes(load),
            verification_bytes: verification.bytes,
            verification_is_at_least: verification.is_at_least,
            client_bytes: client_bytes(load),
            engine_bytes,
            device_bytes: device_bytes(target),
            total_bytes: 0,
        };
        memory.total_bytes = [
            memory.content_bytes,
            memory.tracking_bytes,
            memory.verification_bytes,
            memory.client_bytes,
            memory.engine_bytes,
            memory.device_bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add);
        memory
    }
}

fn device_bytes(target: &TargetPlan) -> u64 {
    match &target.kind {
        TargetKind::Engine(device) | TargetKind::Raw(device) => match device.backend {
            BackendPlan::Mem { size_bytes } | BackendPlan::Sim { size_bytes, .. } => size_bytes,
            BackendPlan::File { .. } | BackendPlan::Block { .. } => 0,
        },
        TargetKind::Directory { .. } | TargetKind::Null => 0,
    }
}

/// Does it replay a recording of which nobody knows what it comes to?
fn is_unread(load: &LoadPlan) -> bool {
    let mut jobs = load.phases.iter().flat_map(|phase| &phase.jobs);
    jobs.any(|job| matches!(&job.work, Work::Trace(trace) if trace.measured.is_none()))
}
