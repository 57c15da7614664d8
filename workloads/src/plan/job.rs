//! From a job as written to what its clients do, when, and until when.

use super::access::{build_access, build_mix, plain_block, required_block, syncs};
use super::estimate::{mean_access, mean_block};
use super::load::Names;
use super::{
    Bound, Distribution, FilePlan, JobPlan, MixVerb, Pace, Step, TraceFormat, TraceOnly, TracePlan,
    TraceTiming, Verb, Work,
};
use crate::decode::{At, Report};
use crate::fault::{Fault, Span};
use crate::spec::{JobSpec, PhaseSpec, RateSpec, TimingWord, TraceSpec, VerbSpec};
use crate::stream::Layout;

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
    let pace = build_pace(job, work.as_ref(), &names.plans, report);
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
        delay_ns: job.delay_ns.as_ref().map_or(0, |at| at.value),
        duration_ns: job.duration_ns.as_ref().map(|at| at.value),
        // Known when all jobs of the phase are: `load` finds it.
        start_after: None,
    })
}

impl JobSpec {
    /// The file that the job puts something into.
    pub(crate) fn written_file(&self) -> Option<&At<String>> {
        self.verb.file().filter(|_| self.verb.writes())
    }

    fn default_name(&self) -> String {
        match self.verb.file() {
            Some(file) => format!("{}-{}", self.verb.word(), file.value),
            None => self.verb.word().to_owned(),
        }
    }

    /// The keys that stand in the file, with their places.
    fn keys(&self) -> [(&'static str, Option<Span>); 12] {
        fn span<T>(at: &Option<At<T>>) -> Option<Span> {
            at.as_ref().map(|at| at.span)
        }
        [
            ("pattern", span(&self.pattern)),
            ("block", span(&self.block)),
            ("align", span(&self.align_bytes)),
            ("rate", span(&self.rate)),
            ("think", span(&self.think_ns)),
            ("think_every", span(&self.think_every)),
            ("fsync_every", span(&self.fsync_every)),
            ("fdatasync_every", span(&self.fdatasync_every)),
            ("offset", span(&self.offset_bytes)),
            ("length", span(&self.length_bytes)),
            ("bytes", span(&self.total_bytes)),
            ("ops", span(&self.total_ops)),
        ]
    }
}

/// A key that means nothing beside its verb is a misunderstanding, not a detail to pass over.
fn refuse_stray_keys(job: &JobSpec, report: &mut Report) {
    let verb = job.verb.word();
    let is_taken = |key: &str| match &job.verb {
        VerbSpec::Write(_) | VerbSpec::Mix { .. } => true,
        VerbSpec::Read(_) | VerbSpec::Trim(_) => !key.ends_with("sync_every"),
        VerbSpec::Append(_) => !matches!(key, "pattern" | "align" | "offset" | "length"),
        VerbSpec::Each { .. } => {
            matches!(key, "block" | "rate" | "think" | "think_every" | "ops")
        }
        VerbSpec::Truncate { .. }
        | VerbSpec::Create(_)
        | VerbSpec::Remove(_)
        | VerbSpec::Rename(_)
        | VerbSpec::Sync(_) => matches!(key, "rate" | "think" | "think_every" | "ops"),
        VerbSpec::Trace(_) => false,
    };
    for (key, span) in job.keys() {
        if let Some(span) = span
            && !is_taken(key)
        {
            report.add(Fault::new(
                span,
                format!("`{key}` means nothing to `{verb}`"),
            ));
        }
    }
}

fn build_work(job: &JobSpec, names: &mut Names<'_>, report: &mut Report) -> Option<Work> {
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
        VerbSpec::Mix { shares, file } => {
            let reads = shares.iter().any(|(verb, _)| *verb == MixVerb::Read);
            if reads && !job.verb.writes() {
                check_written(file, names, report);
            }
            build_mix(job, shares, file, names, report).map(Work::Access)?
        }
        VerbSpec::Append(file) => {
            let files = names.file(file, report)?.span;
            let block = required_block(job, report)?;
            if block.value.write_sizes.is_some() {
                report.add(Fault::new(block.span, "only a mix has blocks by direction"));
            }
            Work::Append {
                files,
                block: plain_block(&block.value),
                syncs: syncs(job, report),
            }
        }
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
        VerbSpec::Rename(file) => Work::Rename {
            files: names.file(file, report)?.span,
        },
        VerbSpec::Sync(file) => Work::Sync {
            files: names.file(file, report)?.span,
        },
        VerbSpec::Each { file, steps } => build_each(job, file, steps, names, report)?,
        VerbSpec::Trace(trace) => Work::Trace(trace_plan(trace, names, report)),
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

fn build_each(
    job: &JobSpec,
    name: &At<String>,
    steps: &[Step],
    names: &mut Names<'_>,
    report: &mut Report,
) -> Option<Work> {
    let has = |wanted| steps.contains(&wanted);
    if has(Step::Read) && !job.verb.writes() {
        check_written(name, names, report);
    }
    let file = *names.file(name, report)?;
    if (has(Step::Read) || has(Step::Write)) && file.size_bytes.is_none() {
        report.add(
            Fault::new(
                name.span,
                format!("`{}` has no size to work within", name.value),
            )
            .help("give the file a `size:`"),
        );
    }
    let needs_block = has(Step::Read) || has(Step::Write) || has(Step::Append);
    let block = if needs_block {
        let block = required_block(job, report)?;
        if block.value.is_varied() || block.value.write_sizes.is_some() {
            report.add(Fault::new(block.span, "`each` goes in blocks of one size"));
        }
        Some(plain_block(&block.value))
    } else {
        if let Some(stray) = &job.block {
            report.add(Fault::new(
                stray.span,
                "`block` means nothing to steps that neither read nor write",
            ));
        }
        None
    };
    Some(Work::Each {
        files: file.span,
        steps: steps.to_vec(),
        block,
    })
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
    let is_timed = phase.has_duration || job.has_duration;
    match &job.verb {
        // What is removed is gone, and a recording has its own end.
        VerbSpec::Trace(_) | VerbSpec::Remove(_) => Bound::Once,
        _ if is_timed => Bound::Phase,
        VerbSpec::Append(_) => {
            report.add(
                Fault::new(job.verb_span, "this `append` would never end")
                    .help("give it `bytes:`, `ops:` or `duration:`, or the phase a `duration:`"),
            );
            Bound::Once
        }
        _ => Bound::Once,
    }
}

fn build_pace(job: &JobSpec, work: Option<&Work>, files: &[FilePlan], report: &mut Report) -> Pace {
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
    if let Some(rate) = &job.rate {
        return match work {
            Some(work) if rate.value.is_bytes => byte_pace(job, rate, work, files, report),
            _ => rate.value.pace.clone(),
        };
    }
    let think = job.think_ns.as_ref().map(|at| &at.value);
    if let Some(every) = &job.think_every {
        let Some(rest) = think else {
            report.add(
                Fault::new(
                    every.span,
                    "`think_every` says how often, and nothing says how long",
                )
                .help("add `think:`, the rest, such as think: 5ms"),
            );
            return Pace::Closed { think_ns: 0 };
        };
        return Pace::Resting {
            rest: rest.clone(),
            every: every.value,
        };
    }
    match think {
        None => Pace::Closed { think_ns: 0 },
        Some(Distribution::Fixed(think_ns)) => Pace::Closed {
            think_ns: *think_ns,
        },
        Some(law) => Pace::Thinking(law.clone()),
    }
}

/// A rate in bytes. Where all operations move as many, that is a rate of operations; elsewhere an operation is due when the bytes
/// before it are.
fn byte_pace(
    job: &JobSpec,
    rate: &At<RateSpec>,
    work: &Work,
    files: &[FilePlan],
    report: &mut Report,
) -> Pace {
    let pace = &rate.value.pace;
    let (only, mean_bytes) = match work {
        Work::Access(access) => {
            let is_alike = access.mix.is_empty() && access.write_block.is_none();
            let only = access.block.only().filter(|_| is_alike);
            let whole = only.and_then(|_| Layout::new(access, files).only_piece(access));
            let mean_bytes = mean_access(access, files);
            // Nothing but the last piece of each file is cut off: any law of arrivals is kept, at the mean of a lap.
            let is_even = matches!(pace, Pace::Fixed { .. });
            let is_near = only.is_some() && !access.whole_files && !is_even;
            let near = is_near.then_some(mean_bytes);
            let each = whole.map(|bytes| bytes as f64).or(near);
            (each, mean_bytes)
        }
        Work::Append { block, .. } => (block.only().map(|bytes| bytes as f64), mean_block(block)),
        Work::Each {
            block: Some(block), ..
        } => (None, mean_block(block)),
        _ => (None, 0.0),
    };
    if let Some(bytes) = only {
        return pace.in_blocks(bytes);
    }
    if mean_bytes <= 0.0 {
        let message = format!(
            "this `{}` moves no bytes that a rate could count",
            job.verb.word()
        );
        report.add(Fault::new(rate.span, message).help("a rate of operations, such as 5000/s"));
        return pace.clone();
    }
    let Pace::Fixed { ops_per_s } = pace else {
        report.add(
            Fault::new(
                rate.span,
                "operations that differ in size follow an even rate of bytes and no other",
            )
            .help("an even rate, such as rate: 10MiB/s; or blocks of one size; or a rate of operations"),
        );
        return pace.clone();
    };
    Pace::Bytes {
        bytes_per_s: *ops_per_s,
        mean_bytes,
    }
}

/// What is written about a recording is read in its form.
fn check_read(spec: &TraceSpec, format: TraceFormat, report: &mut Report) {
    for (key, span, is_read, forms) in [
        (
            "events",
            spec.events,
            format.has_events(),
            "blkparse or blktrace",
        ),
        ("fio_wait", spec.fio_wait, format.has_waits(), "fio-iolog"),
    ] {
        if let Some(span) = span.filter(|_| !is_read) {
            let name = format.name();
            report.add(
                Fault::new(
                    span,
                    format!("`{key}` means nothing to a trace of the form `{name}`"),
                )
                .help(format!("leave it out; it is for {forms}")),
            );
        }
    }
}

fn trace_plan(spec: &TraceSpec, names: &mut Names<'_>, report: &mut Report) -> TracePlan {
    let time_scale = spec.time_scale.as_ref().map_or(1.0, |at| at.value);
    if let (TimingWord::AsFastAsPossible, Some(scale)) = (spec.timing, &spec.time_scale) {
        report.add(Fault::new(
            scale.span,
            "`time_scale` means nothing to a trace that runs as fast as possible",
        ));
    }
    if let (TimingWord::AsFastAsPossible, Some(gap)) = (spec.timing, &spec.gap_max_ns) {
        report.add(Fault::new(
            gap.span,
            "`gap_max` means nothing to a trace that runs as fast as possible",
        ));
    }
    if let (TraceOnly::Writes, Some(filled)) = (spec.only, &spec.filled) {
        report.add(Fault::new(
            filled.span,
            "`filled` means nothing to a trace of which no reads are replayed",
        ));
    }
    let holds = names.recordings.digest(spec, report);
    if let Some(format) = names.recordings.format(spec) {
        check_read(spec, format, report);
    }
    // Slots are known when all traces are counted: `load` deals them out.
    TracePlan {
        holds,
        measured: None,
        deal: spec.deal,
        only: spec.only,
        gap_max_ns: spec.gap_max_ns.as_ref().map(|at| at.value),
        fold_bytes: spec.fold_bytes,
        filled: spec.filled.as_ref().is_some_and(|at| at.value),
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
        ..TracePlan::whole(spec.path.value.clone(), spec.reading.clone())
    }
}
