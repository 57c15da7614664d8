//! What a load will move and how long it will take, as far as that can be said beforehand.

use super::{
    AccessPlan, BlockPlan, Bound, ContentPlan, FilePlan, FileSpan, JobPlan, LoadPlan, MixVerb,
    MosaicPlan, Pace, PhasePlan, Step, TargetPlan, Work, WorkloadPlan,
};
use crate::stream::Layout;

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
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            is_at_least: self.is_at_least || other.is_at_least,
        }
    }
}

/// Bytes that a job reads and writes.
pub(crate) fn job_bytes(load: &LoadPlan, phase: &PhasePlan, job: &JobPlan) -> Amount {
    if let Work::Trace(trace) | Work::Fill { trace, .. } = &job.work {
        if let Some(measure) = trace.measured {
            return Amount {
                bytes: measure.bytes,
                is_at_least: false,
            };
        }
        return Amount {
            bytes: trace.limit_bytes.unwrap_or(0),
            is_at_least: trace.limit_bytes.is_none(),
        };
    }
    let op_bytes = op_bytes(load, &job.work);
    if op_bytes == 0.0 {
        return Amount::default();
    }
    match job.bound {
        Bound::Bytes(bytes) => Amount {
            bytes,
            is_at_least: false,
        },
        Bound::Once => Amount {
            bytes: lap_bytes(load, &job.work),
            is_at_least: false,
        },
        _ => {
            let ops = job_ops(load, phase, job);
            Amount {
                bytes: ops.map_or(0, |ops| whole(ops * op_bytes)),
                is_at_least: ops.is_none(),
            }
        }
    }
}

/// The same of a whole load.
pub(crate) fn load_bytes(load: &LoadPlan) -> Amount {
    let of_phase = |phase| {
        let phase: &PhasePlan = phase;
        let jobs = phase.jobs.iter();
        jobs.map(move |job| job_bytes(load, phase, job))
    };
    load.phases
        .iter()
        .flat_map(of_phase)
        .fold(Amount::default(), Amount::plus)
}

/// Time of a load: phases with a duration take it, others what their bytes take at the guessed speed, or what their jobs take by
/// their rates, rests and delays.
pub(crate) fn load_ns(load: &LoadPlan) -> u64 {
    let phases = load.phases.iter();
    phases.fold(0, |sum: u64, phase| {
        sum.saturating_add(phase_ns(load, phase))
    })
}

/// Time of a phase.
pub(crate) fn phase_ns(load: &LoadPlan, phase: &PhasePlan) -> u64 {
    if let Some(ns) = phase.duration_ns {
        return ns;
    }
    let bytes = phase.jobs.iter().fold(0, |sum: u64, job| {
        sum.saturating_add(job_bytes(load, phase, job).bytes)
    });
    (0..phase.jobs.len())
        .map(|at| end_ns(load, phase, at))
        .fold(at_guess(bytes), u64::max)
}

/// When a job is through, counted from the start of its phase. Jobs do not wait in a circle.
fn end_ns(load: &LoadPlan, phase: &PhasePlan, at: usize) -> u64 {
    let job = &phase.jobs[at];
    let after = job
        .start_after
        .map_or(0, |after| end_ns(load, phase, after));
    let ops = job_ops(load, phase, job).unwrap_or(0.0);
    let rests_ns = match &job.pace {
        Pace::Closed { think_ns } => *think_ns as f64,
        Pace::Thinking(law) => law.mean(),
        Pace::Resting { rest, every } => rest.mean() / *every as f64,
        _ => 0.0,
    };
    let own = at_guess(job_bytes(load, phase, job).bytes)
        .max(whole(ops * rests_ns / f64::from(job.clients)))
        .max(
            job.pace
                .ops_per_s(None)
                .map_or(0, |rate| whole(ops / rate * 1e9)),
        )
        .max(recorded_ns(&job.work))
        .min(job.duration_ns.unwrap_or(u64::MAX))
        .max(match job.bound {
            Bound::Phase => job.duration_ns.unwrap_or(0),
            _ => 0,
        });
    after.saturating_add(job.delay_ns).saturating_add(own)
}

/// What a recording takes by its own times, where it was read.
fn recorded_ns(work: &Work) -> u64 {
    match work {
        Work::Trace(trace) => trace.measured.map_or(0, |measure| measure.duration_ns),
        _ => 0,
    }
}

fn at_guess(bytes: u64) -> u64 {
    whole(bytes as f64 / GUESSED_BYTES_PER_S as f64 * 1e9)
}

/// Operations of a job; none where only the target knows.
pub(super) fn job_ops(load: &LoadPlan, phase: &PhasePlan, job: &JobPlan) -> Option<f64> {
    match job.bound {
        Bound::Ops(ops) => Some(ops as f64),
        Bound::Bytes(bytes) => Some(bytes as f64 / op_bytes(load, &job.work).max(1.0)),
        Bound::Once => match &job.work {
            Work::Access(access) if access.region_bytes == 0 => Some(f64::from(access.files.count)),
            Work::Access(access) => {
                Some(lap_bytes(load, &job.work) as f64 / mean_access(access, &load.files).max(1.0))
            }
            Work::Truncate { files, .. }
            | Work::Create { files }
            | Work::Remove { files }
            | Work::Rename { files }
            | Work::Sync { files } => Some(f64::from(files.count)),
            Work::Each { .. } | Work::Append { .. } | Work::Trace(_) | Work::Fill { .. } => None,
        },
        Bound::Phase => {
            let in_phase = phase.duration_ns.map(|ns| ns.saturating_sub(job.delay_ns));
            let ns = match (in_phase, job.duration_ns) {
                (Some(phase), Some(own)) => Some(phase.min(own)),
                (phase, own) => phase.or(own),
            }?;
            Some(job.pace.ops_per_s(Some(ns))? * ns as f64 / 1e9)
        }
    }
}

/// Bytes of an operation, on average over all that the job does.
fn op_bytes(load: &LoadPlan, work: &Work) -> f64 {
    match work {
        Work::Access(access) => mean_access(access, &load.files),
        Work::Append { block, .. } => mean_block(block),
        Work::Each {
            files,
            steps,
            block: Some(block),
        } => {
            let block = mean_block(block);
            let ops_of_whole = (mean_size(load, *files) / block).ceil();
            let of = |step: &Step| match step {
                Step::Read | Step::Write => (mean_size(load, *files), ops_of_whole),
                Step::Append => (block, 1.0),
                _ => (0.0, 1.0),
            };
            let (bytes, ops) = steps
                .iter()
                .map(of)
                .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            bytes / ops
        }
        _ => 0.0,
    }
}

/// Bytes of each place (or file) once.
fn lap_bytes(load: &LoadPlan, work: &Work) -> u64 {
    match work {
        // Places drawn with repetition: as many operations as there are places.
        Work::Access(access) if access.pattern.is_drawn() && !access.whole_files => {
            let places = access.region_bytes.div_ceil(access.block.align_bytes);
            whole(places as f64 * f64::from(access.files.count) * mean_access(access, &load.files))
        }
        Work::Access(access) if access.whole_files => sizes(load, access.files),
        Work::Access(access) => {
            let of_all = access
                .region_bytes
                .saturating_mul(u64::from(access.files.count));
            whole(of_all as f64 * share(access, |verb| verb.is_placed()))
        }
        Work::Each {
            files,
            steps,
            block,
        } => {
            let is_whole = |step: &&Step| matches!(step, Step::Read | Step::Write);
            let wholes = steps.iter().filter(is_whole).count() as u64;
            let appends = steps.iter().filter(|step| **step == Step::Append).count() as u64;
            let block = block.as_ref().map_or(0, BlockPlan::largest);
            sizes(load, *files)
                .saturating_mul(wholes)
                .saturating_add(block * appends * u64::from(files.count))
        }
        _ => 0,
    }
}

/// Bytes of all files of a span that have a size.
pub(super) fn sizes(load: &LoadPlan, files: FileSpan) -> u64 {
    let sizes = load.files[files.indices()].iter();
    sizes.fold(0, |sum: u64, file| {
        sum.saturating_add(file.size_bytes.unwrap_or(0))
    })
}

fn mean_size(load: &LoadPlan, files: FileSpan) -> f64 {
    sizes(load, files) as f64 / f64::from(files.count)
}

/// The share of a mix that `is_wanted`; all of what is no mix.
pub(super) fn share(access: &AccessPlan, is_wanted: impl Fn(MixVerb) -> bool) -> f64 {
    if access.mix.is_empty() {
        return 1.0;
    }
    let all: f64 = access.mix.iter().map(|share| f64::from(share.weight)).sum();
    let wanted = access.mix.iter().filter(|share| is_wanted(share.verb));
    wanted.map(|share| f64::from(share.weight)).sum::<f64>() / all
}

/// Bytes of an operation of an access to some of `files`, on average.
pub(crate) fn mean_access(access: &AccessPlan, files: &[FilePlan]) -> f64 {
    let is_fitted = access.pattern.is_drawn() && !access.whole_files;
    let is_alike = access.mix.is_empty() && access.write_block.is_none() && access.region_bytes > 0;
    if is_alike && !is_fitted && access.block.only() == Some(access.block.align_bytes) {
        // Pieces are cut off at the ends of files.
        let layout = Layout::new(access, files);
        return layout.bytes() as f64 / layout.places() as f64;
    }
    let reads = mean_block(&access.block);
    let writes = access.write_block.as_ref().map_or(reads, mean_block);
    let moving = share(access, |verb| {
        matches!(verb, MixVerb::Read | MixVerb::Write | MixVerb::Append)
    });
    let write_share = match access.verb {
        super::Verb::Mix {
            read_weight,
            write_weight,
        } if access.mix.is_empty() => {
            f64::from(write_weight) / (f64::from(read_weight) + f64::from(write_weight))
        }
        _ if access.mix.is_empty() => 0.0,
        _ => {
            share(access, |verb| {
                matches!(verb, MixVerb::Write | MixVerb::Append)
            }) / moving.max(1e-9)
        }
    };
    moving * (reads * (1.0 - write_share) + writes * write_share)
}

/// Memory that keeping track of files takes: their ends, the sizes of those that differ, which of a mix are there.
pub(crate) fn tracking_bytes(load: &LoadPlan) -> u64 {
    let of_job = |job: &JobPlan| match &job.work {
        Work::Access(access) => {
            let sizes = if access.whole_files { 16 } else { 0 };
            let present = if access.mix.is_empty() { 0 } else { 8 };
            u64::from(access.files.count) * (sizes + present)
        }
        Work::Each { files, .. } => u64::from(files.count) * 8 * u64::from(job.clients),
        _ => 0,
    };
    let phases = load.phases.iter();
    let of_jobs = phases.map(|phase| phase.jobs.iter().map(of_job).sum::<u64>());
    load.files.len() as u64 * 16 + of_jobs.max().unwrap_or(0)
}

/// Memory of the clients of the phase that takes most: each has a buffer of its largest operation.
pub(crate) fn client_bytes(load: &LoadPlan) -> u64 {
    let largest = |job: &JobPlan| match &job.work {
        Work::Access(access) => {
            let writes = access.write_block.as_ref().map_or(0, BlockPlan::largest);
            access.block.largest().max(writes)
        }
        Work::Append { block, .. } => block.largest(),
        Work::Each { block, .. } => block.as_ref().map_or(0, BlockPlan::largest),
        Work::Trace(trace) | Work::Fill { trace, .. } => {
            trace.measured.map_or(0, |measure| measure.op_bytes_max)
        }
        _ => 0,
    };
    let of_job = |job: &JobPlan| largest(job).saturating_mul(u64::from(job.clients));
    let of_phase = |phase: &PhasePlan| phase.jobs.iter().map(of_job).fold(0, u64::saturating_add);
    load.phases.iter().map(of_phase).max().unwrap_or(0)
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
    plan.loads.len() as u64 * cells_per_load(plan)
}

/// How often each load is replayed: at each of its points where a target has knobs, once where it has none, every round.
pub(crate) fn cells_per_load(plan: &WorkloadPlan) -> u64 {
    // Every load has as many points, since they are the product of all axes.
    let points = (plan.points.len() / plan.loads.len().max(1)) as u64;
    let of_target = |target: &TargetPlan| if target.has_knobs() { points } else { 1 };
    plan.targets.iter().map(of_target).sum::<u64>() * u64::from(plan.rounds)
}

/// Bytes of a block, on average.
pub(crate) fn mean_block(block: &BlockPlan) -> f64 {
    let weights: f64 = block.sizes.iter().map(|size| size.weight).sum();
    let bytes: f64 = block
        .sizes
        .iter()
        .map(|size| size.weight * size.bytes as f64)
        .sum();
    bytes / weights
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; the cast saturates"
)]
fn whole(amount: f64) -> u64 {
    amount as u64
}
