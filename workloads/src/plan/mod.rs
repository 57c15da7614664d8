//! The plan: a workload with every default filled in, every size a number and every sweep point spelt out.
//!
//! The file as written is `WorkloadSpec`; it knows what the user said and where. The plan knows what will
//! happen. They are two types so that nothing downstream ever asks "was this given?".
//!
//! ```text
//! WorkloadPlan -- targets, rounds, assertions
//!   points[]   -- one per sweep point: settings of the axes, knobs, and which load
//!   loads[]    -- files, content, phases; points that differ in knobs alone share one
//!     phases[] -> jobs[] -> clients  =>  one OpStream each
//! ```
//!
//! Everything here serialises: the record of a run holds the plan it ran.

mod access;
mod asserts;
mod content;
mod corpora;
mod deterministic;
mod dry_run;
mod estimate;
mod file_names;
mod forecast;
mod job;
mod job_text;
mod load;
mod objective;
mod pace;
mod recordings;
mod remembered;
mod resolve;
mod streams;
mod trace;
mod vocabulary;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use content::{
    ContentPlan, DedupePlan, Looks, MixPart, MosaicPlan, RatioCodec, Recipe, RecipePlan,
};
pub use corpora::Corpora;
pub use dry_run::dry_run_text;
pub use forecast::{EngineBytes, Estimate, MemoryEstimate};
pub use objective::ObjectivePlan;
pub use pace::{Arrivals, Distribution, Pace, RateShape, WeightedValue};
pub use remembered::{VERIFY_FILE_BYTES, VERIFY_FIRST_BYTES, VERIFY_SEGMENT_BYTES};
pub(crate) use resolve::resolve;
pub use trace::{
    FioWait, TraceDeal, TraceEvents, TraceFormat, TraceMeasure, TraceOnly, TracePlan, TraceReading,
    TraceTiming,
};
pub use vocabulary::{UnknownWord, Vocabulary};
pub use work::{
    AccessPlan, BlockPlan, BlockSize, Bound, FileSpan, HotspotPlan, JobPlan, MixShare, MixVerb,
    PatternPlan, RunLength, Step, SyncEveryPlan, Verb, Work, ZonePlan,
};

use crate::knob::Knobs;

/// A workload, resolved.
#[derive(Debug, Clone, Serialize)]
pub struct WorkloadPlan {
    /// Of the language it was written in.
    pub version: u32,
    /// `name:`, or the file's name without its ending.
    pub name: String,
    /// `about:`, one line; may be empty.
    pub about: String,
    /// Everything random comes from here.
    pub seed: u64,
    /// One thread in virtual time; every target can be had so.
    pub deterministic: bool,
    /// How often each point is run on each target.
    pub rounds: u32,
    /// Is what is read compared with what was written?
    pub verify: bool,
    /// The most memory that remembering what was written may take; none to leave it to the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_memory_bytes_max: Option<u64>,
    /// Replayed side by side.
    pub targets: Vec<TargetPlan>,
    /// The swept names and their values, in the order written.
    pub axes: Vec<AxisPlan>,
    /// The product of the axes; one point without settings where nothing is swept.
    pub points: Vec<PointPlan>,
    /// What the points replay; one, unless the workload itself is swept and not only knobs.
    #[serde(serialize_with = "behind_arcs")]
    pub loads: Vec<Arc<LoadPlan>>,
    /// Conditions on the results.
    pub asserts: Vec<String>,
    /// What a recommended point of the sweep serves, where the workload says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectivePlan>,
    /// `--set` that went in, as given.
    pub overrides: Vec<String>,
    /// The file it came from.
    pub source: PlanSource,
}

/// Where a plan came from.
#[derive(Debug, Clone, Serialize)]
pub struct PlanSource {
    /// Path or library name.
    pub origin: String,
    /// xxh3 of the text, in hexadecimal: equal texts, equal workloads.
    pub text_xxh3: String,
    /// The text itself.
    pub text: String,
    /// What it includes, in the order of reading.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included: Vec<Self>,
}

/// One thing to replay on.
#[derive(Debug, Clone, Serialize)]
pub struct TargetPlan {
    /// Its name in the file.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Knobs of this target alone; they win over the file's `engine:` and lose to the sweep.
    pub knobs: Knobs,
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// delalloc's engine on a backend.
    Engine(DevicePlan),
    /// The device itself, without a filesystem: the limit that others are compared with.
    Raw(DevicePlan),
    /// Plain files in a directory of a mounted filesystem.
    Directory {
        /// The directory; it exists.
        path: PathBuf,
    },
    /// Takes everything and does nothing: the cost of the harness itself.
    Null,
}

/// A device, and what it is slowed down to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DevicePlan {
    /// Where the bytes go.
    pub backend: BackendPlan,
    /// Slowed down to this, where given.
    pub throttle: Option<ThrottlePlan>,
}

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendPlan {
    /// A preallocated file.
    File {
        /// The file; made where it is missing.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// How requests reach the kernel.
        mover: Mover,
        /// Through the page cache, for filesystems that refuse direct I/O.
        buffered: bool,
    },
    /// A raw block device.
    Block {
        /// The device.
        path: PathBuf,
        /// The device named a second time, as consent to lose what is on it.
        i_know_this_destroys: Option<PathBuf>,
        /// How requests reach the kernel.
        mover: Mover,
    },
    /// Memory.
    Mem {
        /// Its size.
        size_bytes: u64,
    },
    /// A modelled device in memory.
    Sim {
        /// Its size.
        size_bytes: u64,
        /// Which device is modelled.
        device: SimDevice,
    },
}

/// How requests reach the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mover {
    /// io_uring where the kernel has it, threads otherwise.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// Positioned reads and writes on threads.
    Threads,
}

/// The devices that can be modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SimDevice {
    /// A rotating disk.
    Hdd,
    /// A flash disk behind SATA.
    SataSsd,
    /// A flash disk behind PCIe.
    Nvme,
    /// A network volume with a constant allowance.
    Cloud,
    /// A network volume that lives on credits.
    CloudBurst,
}

/// What a backend is slowed down to. A missing value is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ThrottlePlan {
    /// Bytes read in a second.
    pub read_bytes_per_s: Option<u64>,
    /// Bytes written in a second.
    pub write_bytes_per_s: Option<u64>,
    /// Added to each request.
    pub latency_ns: Option<u64>,
}

/// What a swept name turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AxisKind {
    /// A knob of the engine; no other target has any.
    Knob,
    /// A value of the workload itself, and so what every target is asked to do.
    Field,
}

/// A swept name and its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisPlan {
    /// A knob, or a path into the workload.
    pub name: String,
    /// Which of the two.
    pub kind: AxisKind,
    /// As written.
    pub values: Vec<String>,
}

/// One value of one axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The axis.
    pub name: String,
    /// As written.
    pub value: String,
}

/// One point of the sweep.
#[derive(Debug, Clone, Serialize)]
pub struct PointPlan {
    /// From 0, the last axis turning fastest.
    pub index: usize,
    /// One value per axis, in the order of the axes.
    pub settings: Vec<Setting>,
    /// Knobs of `engine:`, of every engine target.
    pub base_knobs: Knobs,
    /// Knobs that this point or `--set` sets; they win over everything.
    pub swept_knobs: Knobs,
    /// What is replayed: an index into the plan's `loads` ([`WorkloadPlan::load`]).
    pub load: usize,
}

impl WorkloadPlan {
    /// What is replayed at `point`.
    pub fn load(&self, point: &PointPlan) -> &Arc<LoadPlan> {
        &self.loads[point.load]
    }

    /// What of `point` means anything to `target`: all of it, or what changes the load where it has no knobs.
    pub fn settings_for<'a>(
        &'a self,
        point: &'a PointPlan,
        target: &TargetPlan,
    ) -> impl Iterator<Item = &'a Setting> {
        let has_knobs = target.has_knobs();
        let axes = self.axes.iter().zip(&point.settings);
        axes.filter(move |(axis, _)| has_knobs || axis.kind == AxisKind::Field)
            .map(|(_, setting)| setting)
    }
}

impl TargetPlan {
    /// Whether it has knobs to turn. One without is run once for each load, whatever else is swept.
    pub const fn has_knobs(&self) -> bool {
        matches!(self.kind, TargetKind::Engine(_))
    }
}

impl PointPlan {
    /// The knobs of `target` at this point: the sweep wins over the target, the target over the file.
    pub fn knobs_for(&self, target: &TargetPlan) -> Knobs {
        self.base_knobs
            .overlaid(&target.knobs)
            .overlaid(&self.swept_knobs)
    }

    /// `name=value` of each axis; empty where nothing is swept.
    pub fn label(&self) -> String {
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|s| format!("{}={}", s.name, s.value))
            .collect();
        settings.join(" ")
    }
}

/// What is replayed at a point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadPlan {
    /// Everything random comes from here.
    pub seed: u64,
    /// Content of files that say nothing themselves, and of files that a trace brings.
    pub content: ContentPlan,
    /// The files, by slot.
    pub files: Vec<FilePlan>,
    /// One after the other.
    pub phases: Vec<PhasePlan>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilePlan {
    /// Its name, no other's; instance `k` of `count: N` is `name.k`.
    pub name: String,
    /// Offsets of jobs without a region of their own end here; none for a file that only grows.
    pub size_bytes: Option<u64>,
    /// Its content, where it has its own.
    pub content: Option<ContentPlan>,
}

/// Does a phase count?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseRole {
    /// Fills files that say `filled: true`; made by the plan, not by the user.
    Prepare,
    /// Run like any other and left out of the results.
    WarmUp,
    /// It counts.
    Measured,
}

/// What happens when the jobs of a phase are through. It is part of the phase's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseEnd {
    /// Nothing: what is dirty stays dirty.
    None,
    /// Every file of the phase is synced.
    Sync,
    /// The whole target is.
    Commit,
}

/// A phase: jobs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhasePlan {
    /// Unique in the plan.
    pub name: String,
    /// Does it count?
    pub role: PhaseRole,
    /// Ends then even if jobs have more to do; jobs without a bound of their own start over until then. With warm-up, and with
    /// the longest wait for a steady state.
    pub duration_ns: Option<u64>,
    /// Operations that start before it are run and not counted. Part of the duration.
    #[serde(skip_serializing_if = "is_zero")]
    pub warm_up_ns: u64,
    /// Counting waits, after the warm-up, until this holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady: Option<SteadyPlan>,
    /// Which repetition of its phase it is, from 0; all have one name and count as one.
    #[serde(skip_serializing_if = "is_zero")]
    pub repetition: u64,
    /// Drop the target's and the kernel's caches before it starts.
    pub drop_caches: bool,
    /// What happens when the jobs are through.
    pub end: PhaseEnd,
    /// Side by side.
    pub jobs: Vec<JobPlan>,
}

/// When a phase is steady: the metric stays within a share of its mean, and does not drift, over a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SteadyPlan {
    /// What is looked at.
    pub metric: SteadyMetric,
    /// The largest deviation and the largest drift, as a share of the mean.
    pub within: f64,
    /// Over so much time.
    pub window_ns: u64,
    /// Waits no longer than this, counted from the end of the warm-up.
    pub limit_ns: u64,
    /// A phase that did not become steady makes the run inconclusive.
    pub require: bool,
}

/// What has to be steady.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SteadyMetric {
    /// Operations in a second.
    Iops,
    /// Bytes in a second.
    Throughput,
    /// The median of the response times.
    P50,
    /// The 99th percentile of the response times.
    P99,
}

impl SteadyMetric {
    /// The word that workloads use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Iops => "iops",
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn behind_arcs<S: serde::Serializer>(
    loads: &[Arc<LoadPlan>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(loads.iter().map(Arc::as_ref))
}
