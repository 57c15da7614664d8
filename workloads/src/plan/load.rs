//! From files and phases as written to what is replayed.
//!
//! This is where names meet what they name: a job and its file, a region and the file's end, a block and the region.

use std::collections::HashMap;

use super::job::build_job;
use super::{
    Bound, ContentPlan, FilePlan, FileSpan, JobPlan, LoadPlan, Pace, PhaseEnd, PhasePlan,
    PhaseRole, TracePlan, Work,
};
use crate::decode::{At, Report, nearest};
use crate::fault::Fault;
use crate::op::FileSlot;
use crate::plan::{AccessPlan, BlockPlan, BlockSize, PatternPlan, Verb};
use crate::spec::{FileSpec, PhaseSpec, WorkloadSpec};

/// What a file is filled with at a time.
const FILL_BLOCK_BYTES: u64 = 1 << 20;
/// Unless the workload says otherwise: what databases and source trees come to.
const CONTENT_DEFAULT: ContentPlan = ContentPlan::Ratio(2.5);

/// A file as jobs see it.
pub(crate) struct FileRef<'s> {
    pub(crate) span: FileSpan,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) spec: &'s FileSpec,
    /// Something has been written to it by the time the current phase starts, or is in it.
    pub(crate) is_written: bool,
}

/// The files by name.
pub(crate) struct Names<'s> {
    files: HashMap<&'s str, FileRef<'s>>,
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
pub(crate) fn build_load(spec: &WorkloadSpec, report: &mut Report) -> Option<LoadPlan> {
    let before = report.faults.len();
    let mut names = Names {
        files: HashMap::new(),
    };
    let mut files = Vec::new();
    for (name, file) in &spec.files {
        let span = add_files(name, file, &mut files, report)?;
        let known = FileRef {
            span,
            size_bytes: file.size_bytes.as_ref().map(|at| at.value),
            spec: file,
            is_written: file.filled,
        };
        names.files.insert(&name.value, known);
    }
    let mut phases: Vec<PhasePlan> = fill_phase(spec, &names).into_iter().collect();
    for phase in &spec.phases {
        check_phase_name(phase, spec, report);
        phases.extend(build_phase(phase, &mut names, report));
    }
    deal_slots(&mut phases, files.len());
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
    files: &mut Vec<FilePlan>,
    report: &mut Report,
) -> Option<FileSpan> {
    let first = u32::try_from(files.len()).expect("slots are counted in u32");
    let count = spec.count.unwrap_or(1);
    if first + count > crate::spec::FILE_COUNT_MAX {
        report.add(Fault::new(
            name.span,
            format!("more than {} files in all", crate::spec::FILE_COUNT_MAX),
        ));
        return None;
    }
    for nth in 0..count {
        files.push(FilePlan {
            name: match spec.count {
                Some(_) => format!("{}.{nth}", name.value),
                None => name.value.clone(),
            },
            size_bytes: spec.size_bytes.as_ref().map(|at| at.value),
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
                        align_bytes: bytes,
                    },
                    region_start: 0,
                    region_bytes,
                    fsync_every: 0,
                }),
                pace: Pace::Closed { think_ns: 0 },
                bound: Bound::Once,
            })
        })
        .collect();
    (!jobs.is_empty()).then(|| PhasePlan {
        name: "prepare".to_owned(),
        role: PhaseRole::Prepare,
        duration_ns: None,
        drop_caches: false,
        end: PhaseEnd::Commit,
        jobs,
    })
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
    if phase.name.value == "prepare" && spec.files.iter().any(|(_, file)| file.filled) {
        report.add(Fault::new(
            phase.name.span,
            "`prepare` is the phase that fills files; call this one something else",
        ));
    }
}

fn build_phase(spec: &PhaseSpec, names: &mut Names<'_>, report: &mut Report) -> Option<PhasePlan> {
    let mut jobs: Vec<JobPlan> = Vec::new();
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
    }
    Some(PhasePlan {
        name: spec.name.value.clone(),
        role: if spec.warm_up {
            PhaseRole::WarmUp
        } else {
            PhaseRole::Measured
        },
        duration_ns: spec.duration_ns.as_ref().map(|at| at.value),
        drop_caches: spec.drop_caches,
        end: spec.end,
        jobs,
    })
}

/// `name-2`, `name-3` and so on: the first that no job has.
fn unused_name(name: &str, jobs: &[JobPlan]) -> String {
    (2..)
        .map(|nth| format!("{name}-{nth}"))
        .find(|name| jobs.iter().all(|job| job.name != *name))
        .expect("numbers do not run out")
}
