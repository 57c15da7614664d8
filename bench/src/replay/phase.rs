//! One phase: its clients side by side, looks at them meanwhile, and what ends it.
//!
//! Not here: clients on threads (threads), clients in virtual time (turns), the looks (sampler).

use std::any::Any;

use anyhow::anyhow;
use delalloc_results::record::{JobRecord, PhaseRecord, PhaseRole, Sample};
use delalloc_workloads::plan::{self, PhaseEnd, PhasePlan};
use delalloc_workloads::{Op, OpStream};

use super::client::Shared;
use super::pacer::{Pacer, SleepSlack};
use super::sampler::{Looked, Sampler};
use super::window::{Waiting, Window};
use super::{threads, turns};
use crate::recorder::Totals;

/// A phase that is over.
pub struct Finished {
    /// For the record.
    pub record: PhaseRecord,
    /// What the clients recorded.
    pub totals: Totals,
    /// How long the sync at its end took; part of the record's time, and no operation of a client.
    pub end_ns: u64,
}

/// What the clients came to.
pub(super) struct Ran {
    /// What they recorded, of all clients of a job together, by the number of the job.
    pub(super) jobs: Vec<Totals>,
    /// What they did before anything counted.
    pub(super) warm_up: Totals,
    pub(super) end_ns: u64,
}

/// Runs `streams` as the clients of `phase`; `seen` gets each sample as it is taken.
pub fn run(
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    slack: SleepSlack,
    seen: &mut dyn FnMut(&Sample),
) -> Finished {
    let window = Window::of(phase);
    let clients = clients(phase, &streams);
    let mut sampler = Sampler::new(shared, &window, Waiting::of(phase), streams.len(), seen);
    let Ran {
        jobs,
        warm_up,
        end_ns,
    } = match shared.files.target().clock() {
        None => threads::run(phase, streams, shared, slack, &mut sampler),
        Some(clock) => turns::run(phase, streams, shared, (clock, slack), &mut sampler),
    };
    let Looked {
        series,
        counted_from_ns,
        last_ns,
        steady,
        counted,
    } = sampler.finish();
    let mut totals = Totals::default();
    for job in &jobs {
        totals.merge(job);
    }
    let record = PhaseRecord {
        name: phase.name.clone(),
        role: role(phase.role),
        start_ns: counted_from_ns,
        wall_ns: last_ns - counted_from_ns,
        ops: totals.rows(),
        jobs: job_rows(phase, &jobs, &clients),
        only_job: match &phase.jobs[..] {
            [only] => only.name.clone(),
            _ => String::new(),
        },
        warm_up_ns: counted_from_ns,
        steady,
        series,
        schedule: totals.schedule(),
        counters: counted
            .counters
            .into_iter()
            .map(|reading| (reading.metric.name, reading.number))
            .collect(),
        stages: counted.stages,
        spans: totals.accepted().into_iter().chain(counted.spans).collect(),
    };
    totals.merge(&warm_up);
    Finished {
        record,
        totals,
        end_ns,
    }
}

/// How many clients each job has.
fn clients(phase: &PhasePlan, streams: &[OpStream]) -> Vec<u32> {
    let mut clients = vec![0; phase.jobs.len()];
    for stream in streams {
        clients[stream.job()] += 1;
    }
    clients
}

/// Several jobs one by one; of one job alone the phase's rows say it all.
fn job_rows(phase: &PhasePlan, jobs: &[Totals], clients: &[u32]) -> Vec<JobRecord> {
    if phase.jobs.len() < 2 {
        return Vec::new();
    }
    let all = phase.jobs.iter().zip(jobs).zip(clients);
    all.map(|((plan, totals), clients)| JobRecord {
        name: plan.name.clone(),
        clients: *clients,
        ops: totals.rows(),
        schedule: totals.schedule(),
    })
    .collect()
}

/// Nothing recorded yet, for each job of the phase.
pub(super) fn no_totals(phase: &PhasePlan) -> Vec<Totals> {
    phase.jobs.iter().map(|_| Totals::default()).collect()
}

/// What a phase is for, as its record says it.
pub fn role(planned: plan::PhaseRole) -> PhaseRole {
    match planned {
        plan::PhaseRole::Prepare => PhaseRole::Prepare,
        plan::PhaseRole::WarmUp => PhaseRole::WarmUp,
        plan::PhaseRole::Measured => PhaseRole::Steady,
    }
}

/// Carries out what the phase ends with, and says how long that took.
pub(super) fn end(phase: &PhasePlan, shared: &Shared<'_>, pacer: &Pacer) -> anyhow::Result<u64> {
    let begin_ns = pacer.now_ns();
    let target = shared.files.target();
    // Either end is a flush of everything, to whoever replays the recording.
    let tape = shared.tape.filter(|_| phase.end != PhaseEnd::None);
    let begun = tape.map(|tape| (tape, tape.begin(0, Op::VolumeSync, target)));
    match phase.end {
        PhaseEnd::None => {}
        PhaseEnd::Sync => {
            for file in shared.files.all_open() {
                file.sync()?;
            }
        }
        PhaseEnd::Commit => target.sync_all()?,
    }
    if let Some((tape, begun)) = begun {
        tape.end(begun, target);
    }
    Ok(pacer.now_ns() - begin_ns)
}

/// A panic below a client is the target's, and ends the cell like any other failure of it.
pub(super) fn panicked(who: &str, panic: &(dyn Any + Send)) -> anyhow::Error {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("{who} panicked: {}", said.unwrap_or("it did not say why"))
}
