//! What the recordings of a phase came to: for the record, a row for each job that replays one.
//!
//! Not here: what counts as lost or guessed (`workloads::trace`), what is said of it (`results`).

use std::collections::BTreeMap;

use delalloc_results::record::{MalformedLine, TraceLoss, TraceRecord};
use delalloc_workloads::OpStream;
use delalloc_workloads::plan::PhasePlan;
use delalloc_workloads::trace::{Tally, TraceEar, TraceTold};

/// Where the jobs that replay a recording tell what they leave out of it, each once.
pub(super) struct Recordings(Vec<(usize, TraceEar)>);

impl Recordings {
    /// Those of a phase's streams.
    pub(super) fn of(streams: &[OpStream]) -> Self {
        let mut ears: Vec<(usize, TraceEar)> = Vec::new();
        for stream in streams {
            if ears.iter().all(|(job, _)| *job != stream.job()) {
                ears.extend(stream.trace_ear().map(|ear| (stream.job(), ear)));
            }
        }
        Self(ears)
    }

    /// What was told, once the phase is over.
    pub(super) fn rows(&self, plan: &PhasePlan) -> impl Iterator<Item = TraceRecord> {
        self.0.iter().filter_map(|(job, ear)| {
            let told = ear.told()?;
            Some(row(&plan.name, &plan.jobs[*job].name, told))
        })
    }
}

fn row(phase: &str, job: &str, told: TraceTold) -> TraceRecord {
    let losses = |tallies: BTreeMap<String, Tally>| {
        let rows = tallies.into_iter().map(|(reason, tally)| {
            let loss = TraceLoss {
                count: tally.count,
                first_line: tally.first_line,
            };
            (reason, loss)
        });
        rows.collect()
    };
    TraceRecord {
        phase: phase.to_owned(),
        job: job.to_owned(),
        path: told.path.display().to_string(),
        form: told.format.name().to_owned(),
        unit: told.unit().to_owned(),
        requests: told.requests,
        malformed: told.malformed,
        malformed_first: told
            .malformed_first
            .into_iter()
            .map(|bad| MalformedLine {
                line: bad.line,
                reason: bad.reason,
            })
            .collect(),
        lost: losses(told.lost),
        guessed: losses(told.guessed),
        not_replayed: losses(told.not_replayed),
        closes: told.closes,
    }
}
