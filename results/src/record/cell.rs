//! One sweep point, one round, one target: the smallest thing that was measured.

use super::job::JobRecord;
use super::run::KnobValue;
use super::schedule::ScheduleRecord;
use super::span::SpanRecord;
use super::trace::TraceRecord;
use crate::hist::{Latency, LatencyHist};
use crate::stats::sum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One cell of the grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cell {
    /// The target's name.
    pub target: String,
    /// The swept knobs' values here; empty without a sweep.
    pub point: Vec<Setting>,
    /// Which round, from 0.
    pub round: u32,
    /// Why this cell has no whole result; none when it ran to its end.
    pub fault: Option<String>,
    /// Its phases in order.
    pub phases: Vec<PhaseRecord>,
    /// Named numbers; `RunRecord::metrics` says what they mean.
    pub counters: BTreeMap<String, f64>,
    /// What was read back and compared.
    pub verification: Verification,
    /// Where writes (and reads) spent their time, in the order they pass, over the whole cell; phases have their own.
    pub stages: Vec<StageRecord>,
    /// How long writes took until they were accepted, at home, synced: totals, beside the stages, over the whole cell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanRecord>,
    /// The worker pools.
    pub pools: Vec<PoolRecord>,
    /// What of its recordings was left out or guessed, one row for each job that replays one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceRecord>,
}

/// One swept knob's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Dotted name.
    pub knob: String,
    /// Its value.
    pub value: KnobValue,
}

/// What was read back and compared with what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verification {
    /// Bytes compared.
    pub bytes_verified: u64,
    /// Blocks that differed.
    pub mismatches: u64,
    /// Where the first one was; empty when there is none.
    pub first_mismatch: String,
    /// Most memory that remembering what was written took, counted without what is in flight.
    #[serde(skip_serializing_if = "is_zero")]
    pub tracking_bytes_max: u64,
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseRole {
    /// Makes the files; not measured.
    Prepare,
    /// Runs and is not counted.
    WarmUp,
    /// Waits until everything is on the device; measured apart.
    Drain,
    /// Measured. A role of a later version reads as this.
    #[default]
    #[serde(other)]
    Steady,
}

/// One phase of one cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PhaseRecord {
    /// Its name in the workload.
    pub name: String,
    /// What it is for.
    pub role: PhaseRole,
    /// When it began, from the beginning of the cell.
    pub start_ns: u64,
    /// How long it took, including what ends it.
    pub wall_ns: u64,
    /// One row per kind of operation, over all jobs.
    pub ops: Vec<OpRecord>,
    /// Each of its jobs by itself, where it has several. Their rows add up to those above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobRecord>,
    /// What its job is called, where it has no other: the rows above are that job's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub only_job: String,
    /// Intervals in order of time.
    pub series: Vec<Sample>,
    /// How its schedule was kept, where operations had a time to begin at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleRecord>,
    /// How long operations ran before any was counted: a warm-up, and waiting for a steady state. Not part of the times above.
    #[serde(skip_serializing_if = "is_zero")]
    pub warm_up_ns: u64,
    /// What became of the wait for a steady state, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady: Option<SteadyRecord>,
    /// What the target counted meanwhile, warm-up left out, where it grew or not. This, the stages and
    /// the spans go from one look of the sampler to another: at the beginning (where there is a warm-up, the look that ends
    /// it) and after the end. A look comes as late as the system wakes it, in virtual time by the call that it falls into. What
    /// began in an earlier phase, or in the warm-up, and ended here is counted here; what passed between phases is in none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
    /// Where writes and reads spent their time meanwhile; stages that nothing passed are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    /// How long writes took meanwhile until they were accepted, at home, synced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanRecord>,
}

/// The wait of a phase for a steady state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SteadyRecord {
    /// What was looked at: `iops`, `throughput`, `p50`, `p99`.
    pub metric: String,
    /// The share of its mean that it had to stay within.
    pub within: f64,
    /// It did.
    pub attained: bool,
    /// The run is inconclusive where it did not.
    pub required: bool,
    /// How long it took, or how long was waited in vain.
    pub waited_ns: u64,
    /// The largest deviation of a fifth of the last window, as a share of the mean; none where there was no whole window.
    pub deviation: Option<f64>,
    /// The drift over the last window, as a share of the mean.
    pub drift: Option<f64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One kind of operation in one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpRecord {
    /// `write`, `read`, `sync`, ...
    pub op: String,
    /// How many ended well.
    pub count: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// How many ended with an error.
    pub errors: u64,
    /// From when it was due to when it ended: what a user waits.
    pub response: Latency,
    /// From when it was issued to when it ended: what the target took.
    pub service: Latency,
}

/// One interval of a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sample {
    /// The interval's end, from the beginning of the phase.
    pub t_ns: u64,
    /// Operations that ended in it.
    pub ops: u64,
    /// Bytes they moved.
    pub bytes: u64,
    /// Median response in it.
    pub ns_p50: u64,
    /// 99th percentile of the response in it.
    pub ns_p99: u64,
    /// Longest response in it.
    pub ns_max: u64,
    /// Dirty bytes at its end, where the target knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirty_bytes: Option<u64>,
    /// Its responses by length: where a bucket of `hist::bucket_floor` begins, in ns, and how many are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spectrum: Vec<(u64, u64)>,
    /// Depth of each named queue at its end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<String, u64>,
    /// Workers of each named pool with an item in hand at its end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub workers: BTreeMap<String, u64>,
    /// Who was held up in it, and for how long.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stalls: Vec<Stall>,
}

/// Time in which somebody was held up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stall {
    /// `dirty limit`, `metadata gate`, `async submit`, ...
    pub cause: String,
    /// Summed over those held up, so it can exceed the interval.
    pub ns: u64,
}

/// On whose way a stage lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// A write's: its time is that of threads, or of waiting for them.
    Write,
    /// A write's, and the time is the device's: no thread is busy with it.
    Device,
    /// A read's.
    Read,
    /// A caller's whole wait, which holds other stages and is no part beside them. A kind of a later version reads as
    /// this.
    #[serde(other)]
    Caller,
}

/// Where work spent its time in one stage. All times are sums over the items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StageRecord {
    /// `collect`, `compress`, `allocate`, `submit`, ...
    pub name: String,
    /// On whose way it lies; records of before this was written have none, and `kind()` goes by the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<StageKind>,
    /// Items that passed.
    pub items: u64,
    /// Bytes they held.
    pub bytes: u64,
    /// Waiting for a worker, or for room where the stage is nothing else (`budget`).
    pub queued_ns: u64,
    /// Being worked on, from entering the stage to leaving it.
    pub running_ns: u64,
    /// Done, and waiting for an earlier item: the price of order.
    pub head_wait_ns: u64,
    /// Largest number of items in the stage at once.
    pub depth_max: u64,
    /// Largest number of bytes in the stage at once.
    pub bytes_held_max: u64,
    /// How long single items took: `queued`, `running`, `head_wait`, those of them that the stage has. Records of before this
    /// was written have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<SpanRecord>,
}

/// One worker pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PoolRecord {
    /// `delalloc`, `submit`, `endio`, ...
    pub name: String,
    /// Which implementation.
    pub kind: String,
    /// Threads it may have.
    pub workers_max: u32,
    /// Most threads it had.
    pub workers_peak: u32,
    /// Items done.
    pub items: u64,
    /// Times a worker was woken.
    pub wakeups: u64,
    /// Times a worker went from idle to busy.
    pub to_busy: u64,
    /// Times a worker went from busy to idle.
    pub to_idle: u64,
    /// Deepest its queue was.
    pub depth_max: u64,
    /// Time its workers spent running items, summed.
    pub running_ns: u64,
}

impl Cell {
    /// The phases of this name, warm-up left out.
    pub fn phases_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PhaseRecord> {
        self.phases
            .iter()
            .filter(move |phase| phase.name == name && phase.role != PhaseRole::WarmUp)
    }

    /// The phases that count: neither preparation nor warm-up.
    pub fn measured(&self) -> impl Iterator<Item = &PhaseRecord> {
        self.phases
            .iter()
            .filter(|phase| matches!(phase.role, PhaseRole::Steady | PhaseRole::Drain))
    }

    /// Sets a counter. A number that is not finite has no place in JSON and is refused here.
    pub fn count(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        assert!(value.is_finite(), "counter {name} is {value}");
        self.counters.insert(name, value);
    }
}

impl StageKind {
    /// Whether it is a part of the way of a write.
    #[must_use]
    pub const fn is_of_write(self) -> bool {
        matches!(self, Self::Write | Self::Device)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Device => "write, the device's time",
            Self::Read => "read",
            Self::Caller => "a caller's wait",
        }
    }
}

impl StageRecord {
    /// On whose way it lies.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        self.kind.unwrap_or(match self.name.as_str() {
            "device" => StageKind::Device,
            "read device" | "decode" | "fill" => StageKind::Read,
            "sync" => StageKind::Caller,
            _ => StageKind::Write,
        })
    }
}

impl OpRecord {
    /// A row from its histograms: `response` from when each was due, `service` from when it was
    /// issued. In a closed loop they are the same.
    #[must_use]
    pub fn new(
        op: &str,
        bytes: u64,
        errors: u64,
        response: &LatencyHist,
        service: &LatencyHist,
    ) -> Self {
        Self {
            op: op.to_owned(),
            count: response.count(),
            bytes,
            errors,
            response: Latency::from(response),
            service: Latency::from(service),
        }
    }
}

impl Sample {
    /// Time somebody was held up in this interval, summed over causes.
    #[must_use]
    pub fn stalled_ns(&self) -> u64 {
        sum(self.stalls.iter().map(|stall| stall.ns))
    }
}

/// A point in one line: `thread_pool_size=2, delalloc.idle_thresh=8`; `base` without a sweep.
#[must_use]
pub fn point_label(point: &[Setting]) -> String {
    if point.is_empty() {
        return "base".to_owned();
    }
    let settings: Vec<String> = point
        .iter()
        .map(|setting| format!("{}={}", setting.knob, setting.value))
        .collect();
    settings.join(", ")
}
