//! From a job as written to what its clients do.

use super::load::{FileRef, Names};
use super::{
    AccessPlan, BlockPlan, Bound, JobPlan, Pace, PatternPlan, TracePlan, TraceTiming, Verb, Work,
};
use crate::decode::{At, Report};
use crate::fault::{Fault, Span};
use crate::op::FileSlot;
use crate::spec::{
    BlockSpec, JobSpec, PatternSpec, PhaseSpec, RateSpec, TimingWord, TraceSpec, VerbSpec,
};
use crate::units::format_size;

/// The plan of `job`; none if a fault was reported.
pub(crate) fn build_job(
    job: &JobSpec,
    phase: &PhaseSpec,
    names: &mut Names<'_>,
    report: &mut Report,
) -> Option<JobPlan> {
    let before = report.faults.len();
    refuse_stray_keys(job, report);
    let work = build_work(job, names, report);
    let bound = build_bound(job, phase, report);
    let pace = build_pace(job, report);
    if report.faults.len() > before {
        return None;
    }
    Some(JobPlan {
        name: match &job.name {
            Some(name) => name.value.clone(),
            None => job.default_name(),
        },
        clients: job.clients,
        work: work?,
        pace,
        bound,
    })
}

impl JobSpec {
    /// The file that the job puts something into.
    pub(crate) fn written_file(&self) -> Option<&At<String>> {
        match &self.verb {
            VerbSpec::Write(file) | VerbSpec::Append(file) => Some(file),
            VerbSpec::Mix {
                write_weight, file, ..
            } if *write_weight > 0 => Some(file),
            _ => None,
        }
    }

    fn verb_word(&self) -> &'static str {
        match &self.verb {
            VerbSpec::Read(_) => "read",
            VerbSpec::Write(_) => "write",
            VerbSpec::Trim(_) => "trim",
            VerbSpec::Mix { .. } => "mix",
            VerbSpec::Append(_) => "append",
            VerbSpec::Truncate { .. } => "truncate",
            VerbSpec::Create(_) => "create",
            VerbSpec::Remove(_) => "remove",
            VerbSpec::Sync(_) => "sync",
            VerbSpec::Trace(_) => "trace",
        }
    }

    fn default_name(&self) -> String {
        match &self.verb {
            VerbSpec::Read(file)
            | VerbSpec::Write(file)
            | VerbSpec::Trim(file)
            | VerbSpec::Mix { file, .. }
            | VerbSpec::Append(file)
            | VerbSpec::Truncate { file, .. }
            | VerbSpec::Create(file)
            | VerbSpec::Remove(file)
            | VerbSpec::Sync(file) => format!("{}-{}", self.verb_word(), file.value),
            VerbSpec::Trace(_) => "trace".to_owned(),
        }
    }

    /// The keys that stand in the file, with their places.
    fn keys(&self) -> [(&'static str, Option<Span>); 10] {
        fn span<T>(at: &Option<At<T>>) -> Option<Span> {
            at.as_ref().map(|at| at.span)
        }
        [
            ("pattern", span(&self.pattern)),
            ("block", span(&self.block)),
            ("align", span(&self.align_bytes)),
            ("rate", span(&self.rate)),
            ("think", span(&self.think_ns)),
            ("fsync_every", span(&self.fsync_every)),
            ("offset", span(&self.offset_bytes)),
            ("length", span(&self.length_bytes)),
            ("bytes", span(&self.total_bytes)),
            ("ops", span(&self.total_ops)),
        ]
    }
}

/// A key that means nothing beside its verb is a misunderstanding, not a detail to pass over.
fn refuse_stray_keys(job: &JobSpec, report: &mut Report) {
    let verb = job.verb_word();
    let taken: &[&str] = match &job.verb {
        VerbSpec::Read(_) | VerbSpec::Trim(_) => &[
            "pattern", "block", "align", "rate", "think", "offset", "length", "bytes", "ops",
        ],
        VerbSpec::Write(_) | VerbSpec::Mix { .. } => &[
            "pattern",
            "block",
            "align",
            "rate",
            "think",
            "fsync_every",
            "offset",
            "length",
            "bytes",
            "ops",
        ],
        VerbSpec::Append(_) => &["block", "rate", "think", "fsync_every", "bytes", "ops"],
        VerbSpec::Truncate { .. }
        | VerbSpec::Create(_)
        | VerbSpec::Remove(_)
        | VerbSpec::Sync(_) => &["rate", "think", "ops"],
        VerbSpec::Trace(_) => &[],
    };
    for (key, span) in job.keys() {
        if let Some(span) = span
            && !taken.contains(&key)
        {
            report.add(Fault::new(
                span,
                format!("`{key}` means nothing to `{verb}`"),
            ));
        }
    }
}

fn build_work(job: &JobSpec, names: &mut Names<'_>, report: &mut Report) -> Option<Work> {
    let fsync_every = job.fsync_every.as_ref().map_or(0, |at| at.value);
    let access = |verb, file: &At<String>, names: &mut Names<'_>, report: &mut Report| {
        build_access(job, verb, file, names, report).map(Work::Access)
    };
    Some(match &job.verb {
        VerbSpec::Read(file) => {
            check_written(file, names, report);
            access(Verb::Read, file, names, report)?
        }
        VerbSpec::Write(file) => access(Verb::Write, file, names, report)?,
        VerbSpec::Trim(file) => access(Verb::Trim, file, names, report)?,
        VerbSpec::Mix {
            read_weight,
            write_weight,
            file,
        } => {
            if *write_weight == 0 {
                check_written(file, names, report);
            }
            let verb = Verb::Mix {
                read_weight: *read_weight,
                write_weight: *write_weight,
            };
            access(verb, file, names, report)?
        }
        VerbSpec::Append(file) => Work::Append {
            files: names.file(file, report)?.span,
            block: required_block(job, report).map(|at| block_plan(&at.value, None))?,
            fsync_every,
        },
        VerbSpec::Truncate { file, to_bytes } => Work::Truncate {
            files: names.file(file, report)?.span,
            to_bytes: *to_bytes,
        },
        VerbSpec::Create(file) => Work::Create {
            files: names.file(file, report)?.span,
        },
        VerbSpec::Remove(file) => Work::Remove {
            files: names.file(file, report)?.span,
        },
        VerbSpec::Sync(file) => Work::Sync {
            files: names.file(file, report)?.span,
        },
        VerbSpec::Trace(trace) => Work::Trace(trace_plan(trace, report)),
    })
}

/// Reading what nobody wrote measures holes.
fn check_written(name: &At<String>, names: &mut Names<'_>, report: &mut Report) {
    // Other faults may be why: a writer with its file misspelt, a phase that could not be read.
    let is_first_fault = report.faults.is_empty();
    let Some(file) = names.file(name, report) else {
        return;
    };
    if !file.is_written && is_first_fault {
        report.add(
            Fault::new(
                name.span,
                format!(
                    "nothing has written `{}` before it is read here",
                    name.value
                ),
            )
            .help(format!(
                "write it in an earlier phase, or say `{}: {{ size: ..., filled: true }}`",
                name.value
            )),
        );
    }
}

fn required_block<'j>(job: &'j JobSpec, report: &mut Report) -> Option<&'j At<BlockSpec>> {
    if !job.has_block {
        report.add(
            Fault::new(
                job.verb_span,
                format!("`{}` needs `block:`", job.verb_word()),
            )
            .help("the size of one operation, such as block: 4KiB"),
        );
    }
    job.block.as_ref()
}

fn block_plan(spec: &BlockSpec, align_bytes: Option<u64>) -> BlockPlan {
    let smallest = spec.0.iter().map(|size| size.bytes).min();
    BlockPlan {
        sizes: spec.0.clone(),
        align_bytes: align_bytes
            .or(smallest)
            .expect("a block has at least one size"),
    }
}

fn build_access(
    job: &JobSpec,
    verb: Verb,
    name: &At<String>,
    names: &mut Names<'_>,
    report: &mut Report,
) -> Option<AccessPlan> {
    let block = required_block(job, report);
    let file = names.file(name, report)?;
    let region = region(job, file, name, report);
    let (region_start, region_bytes) = region?;
    let block = block?;
    let largest = block.value.0.iter().map(|size| size.bytes).max()?;
    if largest > region_bytes {
        report.add(Fault::new(
            block.span,
            format!(
                "a block of {} does not fit into {} of `{}`",
                format_size(largest),
                format_size(region_bytes),
                name.value
            ),
        ));
        return None;
    }
    let pattern = job
        .pattern
        .as_ref()
        .map_or(PatternSpec::Sequential, |at| at.value);
    check_pattern(job, pattern, &block.value, file, report);
    Some(AccessPlan {
        files: file.span,
        verb,
        pattern: match pattern {
            PatternSpec::Sequential => PatternPlan::Sequential,
            PatternSpec::Random => PatternPlan::Random,
            PatternSpec::Shuffle => PatternPlan::Shuffle,
            PatternSpec::Zipf { theta, scatter } => PatternPlan::Zipf { theta, scatter },
            PatternSpec::Stride(stride_bytes) => PatternPlan::Stride { stride_bytes },
        },
        block: block_plan(&block.value, job.align_bytes.as_ref().map(|at| at.value)),
        region_start,
        region_bytes,
        fsync_every: job.fsync_every.as_ref().map_or(0, |at| at.value),
    })
}

/// Start and length of the region that a job works in.
fn region(
    job: &JobSpec,
    file: &FileRef<'_>,
    name: &At<String>,
    report: &mut Report,
) -> Option<(u64, u64)> {
    let start = job.offset_bytes.as_ref().map_or(0, |at| at.value);
    let Some(size_bytes) = file.size_bytes else {
        let Some(length) = &job.length_bytes else {
            report.add(
                Fault::new(
                    name.span,
                    format!("`{}` has no size to work within", name.value),
                )
                .help("give the file a `size:`, or the job a `length:`"),
            );
            return None;
        };
        return Some((start, length.value));
    };
    if start >= size_bytes {
        let span = job.offset_bytes.as_ref().map_or(name.span, |at| at.span);
        report.add(Fault::new(
            span,
            format!(
                "the region starts at or after the end of `{}`, {}",
                name.value,
                format_size(size_bytes)
            ),
        ));
        return None;
    }
    match &job.length_bytes {
        Some(length) if length.value > size_bytes - start => {
            let fault = Fault::new(
                length.span,
                format!(
                    "the region ends {} after the end of `{}`",
                    format_size(length.value - (size_bytes - start)),
                    name.value
                ),
            );
            report.add(match &file.spec.size_bytes {
                Some(size) => fault.other(size.span, "the size of the file"),
                None => fault,
            });
            None
        }
        Some(length) => Some((start, length.value)),
        None => Some((start, size_bytes - start)),
    }
}

/// Can this pattern be walked with these blocks?
fn check_pattern(
    job: &JobSpec,
    pattern: PatternSpec,
    block: &BlockSpec,
    file: &FileRef<'_>,
    report: &mut Report,
) {
    let span = job.pattern.as_ref().map_or(job.verb_span, |at| at.span);
    let is_weighted = block.0.len() > 1;
    match pattern {
        PatternSpec::Shuffle if is_weighted => report.add(
            Fault::new(
                span,
                "`shuffle` visits each place once and needs blocks of one size",
            )
            .help("use random, or one size"),
        ),
        PatternSpec::Stride(_) if is_weighted || file.span.count > 1 => report.add(Fault::new(
            span,
            "`stride` walks a single file in blocks of one size",
        )),
        PatternSpec::Stride(bytes) if bytes % block.0[0].bytes != 0 => report.add(Fault::new(
            span,
            format!(
                "a stride of {} is no multiple of the block, {}",
                format_size(bytes),
                format_size(block.0[0].bytes)
            ),
        )),
        PatternSpec::Sequential | PatternSpec::Shuffle | PatternSpec::Stride(_) => {
            if let Some(align) = &job.align_bytes {
                report.add(Fault::new(
                    align.span,
                    "`align` is for random and zipf; this pattern goes block by block",
                ));
            }
        }
        PatternSpec::Random | PatternSpec::Zipf { .. } => {}
    }
    let align = block.0.iter().map(|size| size.bytes).min().unwrap_or(1);
    if pattern == PatternSpec::Sequential
        && let Some(odd) = block.0.iter().find(|size| size.bytes % align != 0)
    {
        let span = job.block.as_ref().map_or(span, |at| at.span);
        report.add(Fault::new(
            span,
            format!(
                "walked sequentially, each size is a multiple of the smallest; {} is none of {}",
                format_size(odd.bytes),
                format_size(align)
            ),
        ));
    }
}

fn build_bound(job: &JobSpec, phase: &PhaseSpec, report: &mut Report) -> Bound {
    match (&job.total_ops, &job.total_bytes) {
        (Some(ops), None) => return Bound::Ops(ops.value),
        (None, Some(bytes)) => return Bound::Bytes(bytes.value),
        (Some(ops), Some(bytes)) => {
            report.add(
                Fault::new(
                    bytes.span,
                    "a job ends after `ops` or after `bytes`, not both",
                )
                .other(ops.span, "the other"),
            );
            return Bound::Once;
        }
        (None, None) => {}
    }
    match &job.verb {
        VerbSpec::Trace(_)
        | VerbSpec::Create(_)
        | VerbSpec::Remove(_)
        | VerbSpec::Truncate { .. } => Bound::Once,
        _ if phase.has_duration => Bound::Phase,
        VerbSpec::Append(_) => {
            report.add(
                Fault::new(job.verb_span, "this `append` would never end")
                    .help("give it `bytes:` or `ops:`, or the phase a `duration:`"),
            );
            Bound::Once
        }
        _ => Bound::Once,
    }
}

fn build_pace(job: &JobSpec, report: &mut Report) -> Pace {
    if let (Some(rate), Some(think)) = (&job.rate, &job.think_ns) {
        report.add(
            Fault::new(
                think.span,
                "a job has a `rate` (open loop) or a `think` (closed loop)",
            )
            .other(rate.span, "the other"),
        );
    }
    if let VerbSpec::Trace(_) = job.verb {
        return Pace::Recorded;
    }
    match &job.rate {
        None => Pace::Closed {
            think_ns: job.think_ns.as_ref().map_or(0, |at| at.value),
        },
        Some(at) => match at.value {
            RateSpec::Fixed(ops_per_s) => Pace::Fixed { ops_per_s },
            RateSpec::Poisson(ops_per_s) => Pace::Poisson { ops_per_s },
        },
    }
}

fn trace_plan(spec: &TraceSpec, report: &mut Report) -> TracePlan {
    let time_scale = spec.time_scale.as_ref().map_or(1.0, |at| at.value);
    if let (TimingWord::AsFastAsPossible, Some(scale)) = (spec.timing, &spec.time_scale) {
        report.add(Fault::new(
            scale.span,
            "`time_scale` means nothing to a trace that runs as fast as possible",
        ));
    }
    TracePlan {
        path: spec.path.clone(),
        reading: spec.reading.clone(),
        deal: spec.deal,
        skip_ops: spec.skip_ops,
        skip_time_ns: spec.skip_time_ns,
        timing: match spec.timing {
            TimingWord::Recorded => TraceTiming::Recorded { time_scale },
            TimingWord::AsFastAsPossible => TraceTiming::AsFastAsPossible,
            TimingWord::ClosedLoop => TraceTiming::ClosedLoop { time_scale },
        },
        limit_ops: spec.limit_ops,
        limit_time_ns: spec.limit_time_ns,
        limit_bytes: spec.limit_bytes,
        // Known when all traces are counted: `load` deals the slots out.
        first_slot: FileSlot(0),
        slot_step: 1,
    }
}
