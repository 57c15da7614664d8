//! From files and phases as written to what is replayed.
//!
//! This is where names meet what they name: a job and its file, a region and the file's end, a block and the region.

use std::collections::HashMap;

use super::file_names::{instance_name, refuse_recorded_names};
use super::job::build_job;
use super::recordings::Recordings;
use super::streams::until_ns;
use super::{
    AccessPlan, BlockPlan, BlockSize, Bound, ContentPlan, FilePlan, FileSpan, JobPlan, LoadPlan,
    Pace, PatternPlan, PhaseEnd, PhasePlan, PhaseRole, SyncEveryPlan, TracePlan, Verb, Work,
};
use crate::decode::{At, Report, nearest};
use crate::fault::Fault;
use crate::op::FileSlot;
use crate::random::{Dice, name_hash};
use crate::spec::{
    FILE_BYTES_MAX, FILE_COUNT_MAX, FileSpec, JobSpec, PhaseSpec, VerbSpec, WorkloadSpec,
};
use crate::stream::{STREAM_COUNT_MAX, Sampler};

/// What a file is filled with at a time.
const FILL_BLOCK_BYTES: u64 = 1 << 20;
/// Unless the workload says otherwise: what databases and source trees come to.
const CONTENT_DEFAULT: ContentPlan = ContentPlan::Ratio(2.5);

/// Jobs of all phases and repetitions together; more is a slip.
const JOB_COUNT_MAX: usize = 10_000;

/// A file as jobs see it.
#[derive(Clone, Copy)]
pub(crate) struct FileRef<'s> {
    pub(crate) span: FileSpan,
    /// Of the largest instance.
    pub(crate) size_bytes: Option<u64>,
    /// The instances differ in size.
    pub(crate) is_varied: bool,
    pub(crate) spec: &'s FileSpec,
    /// Something has been written to it by the time the current phase starts, or is in it.
    pub(crate) is_written: bool,
}

/// The files by name.
pub(crate) struct Names<'s> {
    files: HashMap<&'s str, FileRef<'s>>,
    pub(crate) recordings: &'s mut Recordings,
    /// By slot.
    pub(crate) plans: Vec<FilePlan>,
}

impl<'s> Names<'s> {
    /// The file that `name` names.
    pub(crate) fn file(
        &mut self,
        name: &At<String>,
        report: &mut Report,
    ) -> Option<&mut FileRef<'s>> {
        if !self.files.contains_key(&*name.value) {
            let known = self.files.keys().copied();
            let guess = nearest(&name.value, known);
            let fault = Fault::new(name.span, format!("no file is called `{}`", name.value));
            report.add(match guess {
                Some(_) => fault.did_you_mean(guess),
                None => fault.help("files are named under `files:`"),
            });
        }
        self.files.get_mut(&*name.value)
    }
}

/// The load of `spec`; none if a fault was reported.
pub(crate) fn build_load(
    spec: &WorkloadSpec,
    recordings: &mut Recordings,
    report: &mut Report,
) -> Option<LoadPlan> {
    let before = report.faults.len();
    let mut names = Names {
        files: HashMap::new(),
        recordings,
        plans: Vec::new(),
    };
    for (name, file) in &spec.files {
        let span = add_files(name, file, spec.seed, &mut names.plans, report)?;
        let mut sizes = names.plans[span.indices()].iter().map(|f| f.size_bytes);
        let first = sizes.next().expect("a file has at least one instance");
        let known = FileRef {
            span,
            is_varied: sizes.clone().any(|size_bytes| size_bytes != first),
            size_bytes: sizes.fold(first, Option::max),
            spec: file,
            is_written: file.filled,
        };
        names.files.insert(&name.value, known);
    }
    let mut phases: Vec<PhasePlan> = fill_phase(spec, &names).into_iter().collect();
    for phase in &spec.phases {
        check_phase_name(phase, spec, report);
        if let Some(plan) = build_phase(phase, &mut names, report) {
            add_repetitions(plan, phase, &mut phases, report);
        }
    }
    let mut jobs = phases.iter().flat_map(|phase| &phase.jobs);
    if jobs.any(|job| matches!(job.work, Work::Trace(_))) {
        refuse_recorded_names(&spec.files, report);
    }
    let files = names.plans;
    deal_slots(&mut phases, files.len());
    fill_recordings(&mut phases);
    (report.faults.len() == before).then(|| LoadPlan {
        seed: spec.seed,
        content: spec
            .content
            .as_ref()
            .map_or(CONTENT_DEFAULT, |content| content.0.clone()),
        files,
        phases,
    })
}

/// Adds a file, or its instances, and says which slots they have.
fn add_files(
    name: &At<String>,
    spec: &FileSpec,
    seed: u64,
    files: &mut Vec<FilePlan>,
    report: &mut Report,
) -> Option<FileSpan> {
    let first = u32::try_from(files.len()).expect("slots are counted in u32");
    let count = spec.count.unwrap_or(1);
    if first + count > FILE_COUNT_MAX {
        report.add(Fault::new(
            name.span,
            format!("more than {} files in all", FILE_COUNT_MAX),
        ));
        return None;
    }
    let mut dice = Dice::new(&[seed, name_hash(&name.value), 6]);
    let sizes = spec.size_bytes.as_ref().map(|at| Sampler::new(&at.value));
    for nth in 0..count {
        files.push(FilePlan {
            name: match spec.count {
                Some(_) => instance_name(&name.value, nth as usize),
                None => name.value.clone(),
            },
            size_bytes: sizes
                .as_ref()
                .map(|sizes| sizes.draw(&mut dice).clamp(1, FILE_BYTES_MAX)),
            content: spec.content.as_ref().map(|content| content.0.clone()),
        });
    }
    Some(FileSpan {
        first: FileSlot(first),
        count,
    })
}

/// The phase that fills the files which say so.
fn fill_phase(spec: &WorkloadSpec, names: &Names<'_>) -> Option<PhasePlan> {
    let filled = spec.files.iter().filter(|(_, file)| file.filled);
    let jobs: Vec<JobPlan> = filled
        .filter_map(|(name, _)| {
            let file = &names.files[&*name.value];
            let region_bytes = file.size_bytes?;
            let bytes = FILL_BLOCK_BYTES.min(region_bytes);
            Some(JobPlan {
                name: format!("fill-{}", name.value),
                clients: 1,
                work: Work::Access(AccessPlan {
                    files: file.span,
                    verb: Verb::Write,
                    pattern: PatternPlan::Sequential,
                    block: BlockPlan {
                        sizes: vec![BlockSize { bytes, weight: 1.0 }],
                        step_bytes: None,
                        align_bytes: bytes,
                    },
                    region_start: 0,
                    region_bytes,
                    syncs: SyncEveryPlan::default(),
                    write_block: None,
                    whole_files: file.is_varied,
                    mix: Vec::new(),
                }),
                pace: Pace::Closed { think_ns: 0 },
                bound: Bound::Once,
                delay_ns: 0,
                duration_ns: None,
                start_after: None,
            })
        })
        .collect();
    (!jobs.is_empty()).then(|| prepare_phase(jobs))
}

fn prepare_phase(jobs: Vec<JobPlan>) -> PhasePlan {
    PhasePlan {
        name: "prepare".to_owned(),
        role: PhaseRole::Prepare,
        duration_ns: None,
        warm_up_ns: 0,
        steady: None,
        repetition: 0,
        drop_caches: false,
        end: PhaseEnd::Commit,
        jobs,
    }
}

/// Adds what fills the files of recordings that say so, once their slots are known.
fn fill_recordings(phases: &mut Vec<PhasePlan>) {
    let mut fills = match phases.first() {
        Some(first) if first.role == PhaseRole::Prepare => phases.remove(0).jobs,
        _ => Vec::new(),
    };
    for phase in &*phases {
        for job in &phase.jobs {
            let Work::Trace(trace) = &job.work else {
                continue;
            };
            if trace.filled {
                let name = format!("fill-{}", job.name);
                fills.push(JobPlan {
                    name: unused_name(&name, &fills),
                    clients: 1,
                    work: Work::Fill {
                        trace: trace.clone(),
                        until_ns: until_ns(job, phase),
                    },
                    pace: Pace::Closed { think_ns: 0 },
                    bound: Bound::Once,
                    delay_ns: 0,
                    duration_ns: None,
                    start_after: None,
                });
            }
        }
    }
    if !fills.is_empty() {
        phases.insert(0, prepare_phase(fills));
    }
}

/// Gives traces the slots behind those of the `own` files, in turns.
fn deal_slots(phases: &mut [PhasePlan], own: usize) {
    let jobs = phases.iter_mut().flat_map(|phase| &mut phase.jobs);
    let mut traces: Vec<&mut TracePlan> = jobs
        .filter_map(|job| match &mut job.work {
            Work::Trace(trace) => Some(trace),
            _ => None,
        })
        .collect();
    let slot = |number: usize| u32::try_from(number).expect("slots are counted in u32");
    let step = slot(traces.len());
    for (nth, trace) in traces.iter_mut().enumerate() {
        trace.first_slot = FileSlot(slot(own + nth));
        trace.slot_step = step;
    }
}

fn check_phase_name(phase: &PhaseSpec, spec: &WorkloadSpec, report: &mut Report) {
    let first = spec
        .phases
        .iter()
        .find(|other| other.name.value == phase.name.value)
        .expect("a phase is among its own");
    if first.name.span != phase.name.span {
        report.add(
            Fault::new(
                phase.name.span,
                format!("two phases are called `{}`", phase.name.value),
            )
            .other(first.name.span, "the first"),
        );
    }
    let fills_trace = |job: &JobSpec| match &job.verb {
        VerbSpec::Trace(trace) => trace.filled.as_ref().is_some_and(|at| at.value),
        _ => false,
    };
    let fills = spec.files.iter().any(|(_, file)| file.filled)
        || spec
            .phases
            .iter()
            .flat_map(|phase| &phase.jobs)
            .any(fills_trace);
    if phase.name.value == "prepare" && fills {
        report.add(Fault::new(
            phase.name.span,
            "`prepare` is the phase that fills files; call this one something else",
        ));
    }
}

fn build_phase(spec: &PhaseSpec, names: &mut Names<'_>, report: &mut Report) -> Option<PhasePlan> {
    let mut jobs: Vec<JobPlan> = Vec::new();
    let mut specs: Vec<&JobSpec> = Vec::new();
    // A job may read what a neighbour in the same phase writes: writers are noted before readers are judged.
    for job in &spec.jobs {
        if let Some(file) = job.written_file()
            && let Some(known) = names.file(file, report)
        {
            known.is_written = true;
        }
    }
    for job in &spec.jobs {
        let Some(mut plan) = build_job(job, spec, names, report) else {
            continue;
        };
        let again = jobs.iter().filter(|other| other.name == plan.name).count();
        if again > 0 {
            match &job.name {
                Some(name) => report.add(Fault::new(
                    name.span,
                    format!("two jobs of this phase are called `{}`", name.value),
                )),
                None => plan.name = unused_name(&plan.name, &jobs),
            }
        }
        jobs.push(plan);
        specs.push(job);
    }
    find_forerunners(&mut jobs, &specs, report);
    let warm_up_ns = spec.warm_up_ns.as_ref().map_or(0, |at| at.value);
    let steady = spec.steady.as_ref().map(|at| at.value);
    let wait_ns = warm_up_ns.saturating_add(steady.map_or(0, |steady| steady.limit_ns));
    Some(PhasePlan {
        name: spec.name.value.clone(),
        role: if spec.warm_up {
            PhaseRole::WarmUp
        } else {
            PhaseRole::Measured
        },
        duration_ns: spec
            .duration_ns
            .as_ref()
            .map(|at| at.value.saturating_add(wait_ns)),
        warm_up_ns,
        steady,
        repetition: 0,
        drop_caches: spec.drop_caches,
        end: spec.end,
        jobs,
    })
}

/// The job that each `start_after` names. Waiting in a circle would last for ever.
fn find_forerunners(jobs: &mut [JobPlan], specs: &[&JobSpec], report: &mut Report) {
    for at in 0..jobs.len() {
        let Some(wanted) = &specs[at].start_after else {
            continue;
        };
        let found = jobs.iter().position(|job| job.name == wanted.value);
        let Some(found) = found else {
            let names = jobs.iter().map(|job| job.name.as_str());
            report.add(
                Fault::new(
                    wanted.span,
                    format!("no job of this phase is called `{}`", wanted.value),
                )
                .did_you_mean(nearest(&wanted.value, names)),
            );
            continue;
        };
        if jobs[found].bound == Bound::Phase && jobs[found].duration_ns.is_none() {
            report.add(
                Fault::new(
                    wanted.span,
                    format!(
                        "`{}` lasts as long as the phase, and this job would never start",
                        wanted.value
                    ),
                )
                .help("give the job that is waited for `ops:`, `bytes:` or a `duration:`"),
            );
        }
        jobs[at].start_after = Some(found);
        let mut next = Some(found);
        while let Some(job) = next {
            if job == at {
                report.add(Fault::new(
                    wanted.span,
                    format!("`{}` waits for this job in turn", wanted.value),
                ));
                jobs[at].start_after = None;
                return;
            }
            next = jobs[job].start_after;
        }
    }
}

/// Adds a phase as often as it says.
fn add_repetitions(
    plan: PhasePlan,
    spec: &PhaseSpec,
    phases: &mut Vec<PhasePlan>,
    report: &mut Report,
) {
    let repeat = spec.repeat as usize;
    let all = || phases.iter().flat_map(|phase| &phase.jobs);
    let clients = |job: &JobPlan| u64::from(job.clients);
    let jobs_count = all().count() + repeat * plan.jobs.len();
    let streams = all().map(clients).sum::<u64>()
        + u64::from(spec.repeat) * plan.jobs.iter().map(clients).sum::<u64>();
    if jobs_count > JOB_COUNT_MAX || streams >= STREAM_COUNT_MAX {
        report.add(Fault::new(
            spec.name.span,
            format!(
                "with this phase and its repetitions there are {jobs_count} jobs and {streams} clients; {JOB_COUNT_MAX} and {STREAM_COUNT_MAX} are too many"
            ),
        ));
        return;
    }
    for repetition in 0..u64::from(spec.repeat) {
        phases.push(PhasePlan {
            repetition,
            ..plan.clone()
        });
    }
}

/// `name`, `name-2`, `name-3` and so on: the first that no job has.
fn unused_name(name: &str, jobs: &[JobPlan]) -> String {
    let numbered = (2..).map(|nth| format!("{name}-{nth}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| jobs.iter().all(|job| job.name != *name))
        .expect("numbers do not run out")
}
