//! What a waiting person sees: one line on stderr with an ETA, and nothing where stderr is no terminal.
//!
//! A run's length is known in part: phases with a duration say how long they take, others how many
//! bytes or operations they move, and a phase that says neither counts as one step. The ETA is the
//! time so far over the share done.

use std::time::Duration;

use delalloc_results::Unit;
use delalloc_results::record::Sample;
use delalloc_workloads::plan::{Bound, PhasePlan, Work};
use indicatif::{ProgressBar, ProgressStyle};

/// Steps a phase is divided into.
const PHASE_STEPS: u64 = 1000;

/// The line.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    cell: String,
    phases_done: u64,
    phase: Reached,
}

#[derive(Debug, Default)]
struct Reached {
    ops: u64,
    bytes: u64,
    last_ns: u64,
}

impl Progress {
    /// A run of so many cells of so many phases each.
    pub fn new(cells: usize, phases: usize) -> Self {
        let bar = ProgressBar::new((cells * phases) as u64 * PHASE_STEPS);
        let style = ProgressStyle::with_template("{bar:24} {percent:>3}% eta {eta} {msg}")
            .expect("the template is constant");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(500));
        Self {
            bar,
            cell: String::new(),
            phases_done: 0,
            phase: Reached::default(),
        }
    }

    /// A cell begins; `done` are over.
    pub fn cell(&mut self, name: String, done: usize, phases: usize) {
        self.cell = name;
        self.phases_done = (done * phases) as u64;
        self.bar.set_position(self.phases_done * PHASE_STEPS);
    }

    /// A phase begins.
    pub fn phase(&mut self, phase: &PhasePlan) {
        self.phase = Reached::default();
        self.bar
            .set_message(format!("{} {}", self.cell, phase.name));
    }

    /// An interval of it ended.
    pub fn sample(&mut self, phase: &PhasePlan, sample: &Sample) {
        let interval_s = sample.t_ns.saturating_sub(self.phase.last_ns) as f64 / 1e9;
        self.phase.last_ns = sample.t_ns;
        self.phase.ops += sample.ops;
        self.phase.bytes += sample.bytes;
        let share = share_done(phase, &self.phase).unwrap_or(0.0).min(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most PHASE_STEPS")]
        let steps = (share * PHASE_STEPS as f64) as u64;
        self.bar
            .set_position(self.phases_done * PHASE_STEPS + steps);
        if interval_s > 0.0 {
            let rate = Unit::BytesPerSecond.format(sample.bytes as f64 / interval_s);
            let ops = Unit::PerSecond.format(sample.ops as f64 / interval_s);
            let p99 = Unit::Nanoseconds.format(sample.ns_p99 as f64);
            let message = format!("{} {}: {rate}, {ops}, p99 {p99}", self.cell, phase.name);
            self.bar.set_message(message);
        }
    }

    /// A phase ended.
    pub fn phase_done(&mut self) {
        self.phases_done += 1;
        self.bar.set_position(self.phases_done * PHASE_STEPS);
    }

    /// What was written is being read back.
    pub fn verifying(&self, done_bytes: u64, total_bytes: u64) {
        let done = Unit::Bytes.format(done_bytes as f64);
        let total = Unit::Bytes.format(total_bytes as f64);
        self.bar
            .set_message(format!("{} reading back {done} of {total}", self.cell));
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How much of a phase is done, where that can be known.
fn share_done(phase: &PhasePlan, reached: &Reached) -> Option<f64> {
    if let Some(duration_ns) = phase.duration_ns {
        return Some(reached.last_ns as f64 / duration_ns as f64);
    }
    let (mut bytes, mut ops) = (0, 0);
    for job in &phase.jobs {
        match (job.bound, &job.work) {
            _ if job.duration_ns.is_some() => return None,
            (Bound::Bytes(job_bytes), _) => bytes += job_bytes,
            (Bound::Ops(job_ops), _) => ops += job_ops,
            (Bound::Once, Work::Access(access)) if access.mix.is_empty() && !access.whole_files => {
                bytes += access.region_bytes * u64::from(access.files.count);
            }
            _ => return None,
        }
    }
    let share = |done: u64, all: u64| {
        if all == 0 {
            1.0
        } else {
            done as f64 / all as f64
        }
    };
    Some(share(reached.bytes, bytes).min(share(reached.ops, ops)))
}
