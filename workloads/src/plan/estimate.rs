//! What a load will move and how long it will take, as far as that can be said beforehand.

use super::{
    AccessPlan, BlockPlan, Bound, ContentPlan, FileSpan, JobPlan, LoadPlan, MosaicPlan, Pace,
    PatternPlan, PhasePlan, Work, WorkloadPlan,
};

/// What unbounded work is taken to run at: a guess at a plain disk, said to be one wherever it is used.
pub(crate) const GUESSED_BYTES_PER_S: u64 = 200 << 20;
/// A made-up pool of content.
const POOL_BYTES: u64 = 8 << 20;

/// An amount, or a part of it where the rest depends on how fast the target is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) bytes: u64,
    /// There is more, and how much nobody knows before.
    pub(crate) is_at_least: bool,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            is_at_least: self.is_at_least || other.is_at_least,
        }
    }
}

/// Bytes that a job reads and writes.
pub(crate) fn job_bytes(job: &JobPlan, phase: &PhasePlan) -> Amount {
    let (lap_bytes, block_bytes) = match &job.work {
        Work::Access(access) => (lap_bytes(access), mean_block(&access.block)),
        Work::Append { block, .. } => (0, mean_block(block)),
        Work::Trace(trace) => {
            return Amount {
                bytes: trace.limit_bytes.unwrap_or(0),
                is_at_least: trace.limit_bytes.is_none(),
            };
        }
        Work::Truncate { .. } | Work::Create { .. } | Work::Remove { .. } | Work::Sync { .. } => {
            return Amount::default();
        }
    };
    let exact = |bytes| Amount {
        bytes,
        is_at_least: false,
    };
    let by_rate = phase
        .duration_ns
        .zip(rate(job.pace))
        .map(|(ns, ops_per_s)| whole(ns as f64 / 1e9 * ops_per_s * block_bytes));
    match job.bound {
        Bound::Bytes(bytes) => exact(bytes),
        Bound::Ops(ops) => exact(whole(ops as f64 * block_bytes)),
        Bound::Once => exact(lap_bytes),
        Bound::Phase => Amount {
            bytes: by_rate.unwrap_or(0),
            is_at_least: by_rate.is_none(),
        },
    }
}

/// The same of a whole load.
pub(crate) fn load_bytes(load: &LoadPlan) -> Amount {
    let jobs = load
        .phases
        .iter()
        .flat_map(|phase| phase.jobs.iter().map(move |job| job_bytes(job, phase)));
    jobs.fold(Amount::default(), Amount::plus)
}

/// Time of a load: phases with a duration take it, others what their bytes take at the guessed speed, or their rate.
pub(crate) fn load_ns(load: &LoadPlan) -> u64 {
    load.phases.iter().map(phase_ns).sum()
}

fn phase_ns(phase: &PhasePlan) -> u64 {
    if let Some(ns) = phase.duration_ns {
        return ns;
    }
    let bytes: u64 = phase
        .jobs
        .iter()
        .map(|job| job_bytes(job, phase).bytes)
        .sum();
    let at_guess = whole(bytes as f64 / GUESSED_BYTES_PER_S as f64 * 1e9);
    let paced = phase.jobs.iter().filter_map(|job| {
        let ops = match (job.bound, &job.work) {
            (Bound::Ops(ops), _) => ops as f64,
            (_, Work::Access(access)) => {
                job_bytes(job, phase).bytes as f64 / mean_block(&access.block)
            }
            _ => return None,
        };
        rate(job.pace).map(|ops_per_s| whole(ops / ops_per_s * 1e9))
    });
    paced.fold(at_guess, u64::max)
}

/// Memory that content takes, once for each distinct one; a corpus takes what it is.
pub(crate) fn content_bytes(load: &LoadPlan) -> Amount {
    let own = load.files.iter().filter_map(|file| file.content.as_ref());
    let mut seen: Vec<&ContentPlan> = Vec::new();
    let mut sum = Amount::default();
    let mut todo: Vec<&ContentPlan> = own.chain([&load.content]).collect();
    while let Some(content) = todo.pop() {
        if seen.contains(&content) {
            continue;
        }
        seen.push(content);
        let one = match content {
            ContentPlan::Zeros => Amount::default(),
            ContentPlan::Random | ContentPlan::Ratio(_) | ContentPlan::Recipe(_) => Amount {
                bytes: POOL_BYTES,
                is_at_least: false,
            },
            ContentPlan::Corpus(_) => Amount {
                bytes: 0,
                is_at_least: true,
            },
            ContentPlan::Dedupe(plan) => {
                todo.push(&plan.of);
                Amount::default()
            }
            ContentPlan::Mix(parts) | ContentPlan::Mosaic(MosaicPlan { parts, .. }) => {
                todo.extend(parts.iter().map(|part| &part.content));
                Amount::default()
            }
        };
        sum = sum.plus(one);
    }
    sum
}

/// How often a load is run in all: points, targets, rounds.
pub(crate) fn cells(plan: &WorkloadPlan) -> u64 {
    plan.points.len() as u64 * plan.targets.len() as u64 * u64::from(plan.rounds)
}

fn lap_bytes(access: &AccessPlan) -> u64 {
    let FileSpan { count, .. } = access.files;
    let files = u64::from(count);
    match access.pattern {
        // Places drawn with repetition: as many operations as there are places.
        PatternPlan::Random | PatternPlan::Zipf { .. } => {
            let places = access.region_bytes.div_ceil(access.block.align_bytes) * files;
            whole(places as f64 * mean_block(&access.block))
        }
        PatternPlan::Sequential | PatternPlan::Stride { .. } | PatternPlan::Shuffle => {
            access.region_bytes.saturating_mul(files)
        }
    }
}

fn mean_block(block: &BlockPlan) -> f64 {
    let weights: f64 = block.sizes.iter().map(|size| size.weight).sum();
    let bytes: f64 = block
        .sizes
        .iter()
        .map(|size| size.weight * size.bytes as f64)
        .sum();
    bytes / weights
}

fn rate(pace: Pace) -> Option<f64> {
    match pace {
        Pace::Fixed { ops_per_s } | Pace::Poisson { ops_per_s } => Some(ops_per_s),
        Pace::Closed { .. } | Pace::Recorded => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; the cast saturates"
)]
fn whole(amount: f64) -> u64 {
    amount as u64
}
