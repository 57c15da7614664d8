//! From a phase of the plan to one stream per client.

use std::sync::Arc;

use super::{FileSpan, JobPlan, LoadPlan, PhasePlan, Step, Work};
use crate::random::{mix_all, name_hash};
use crate::stream::{
    AccessStream, AppendStream, Cursors, EachStream, FileStream, FileVerb, Layout, MixStream,
    OpStream, Pacer, Parts, Share, Source, Start, StreamError, Versions,
};
use crate::trace::{FillStream, TraceEar, TraceStream};

impl LoadPlan {
    /// The streams of a phase: one for each client of each job, in that order. `cursors` are those of the run (a round on
    /// a target), handed to each of its phases.
    ///
    /// # Errors
    /// Where a recording cannot be opened.
    pub fn streams(
        &self,
        phase: usize,
        cursors: &Arc<Cursors>,
    ) -> Result<Vec<OpStream>, StreamError> {
        let plan = &self.phases[phase];
        let mut ordinal = self.streams_before(phase);
        let mut streams = Vec::new();
        for (job_index, job) in plan.jobs.iter().enumerate() {
            // Names and not numbers, so that a phase or job put before this one leaves its operations alone.
            let mut seed = mix_all(&[self.seed, name_hash(&plan.name), name_hash(&job.name)]);
            if plan.repetition > 0 {
                seed = mix_all(&[seed, plan.repetition]);
            }
            let until_ns = until_ns(job, plan);
            let layout = match &job.work {
                Work::Access(access) if access.mix.is_empty() => {
                    Some(Layout::new(access, &self.files))
                }
                _ => None,
            };
            let ear = TraceEar::default();
            for client in 0..job.clients {
                let share = Share {
                    client,
                    clients: job.clients,
                };
                let parts = Parts {
                    share,
                    bound: job.bound,
                    pacer: pacer(job, until_ns, share, seed),
                    versions: Versions::new(ordinal),
                    seed,
                    until_ns: until_ns.unwrap_or(u64::MAX),
                };
                ordinal += 1;
                let start = Start {
                    delay_ns: job.delay_ns,
                    duration_ns: job.duration_ns,
                    after: job.start_after,
                };
                let source = self.source(job, layout.as_ref(), parts, cursors, &ear)?;
                streams.push(OpStream::new(job_index, client, start, source));
            }
        }
        Ok(streams)
    }

    fn source(
        &self,
        job: &JobPlan,
        layout: Option<&Layout>,
        parts: Parts,
        cursors: &Arc<Cursors>,
        ear: &TraceEar,
    ) -> Result<Source, StreamError> {
        let on_files = |verb, files: FileSpan, parts| {
            let stream = FileStream::new(verb, files, parts, Arc::clone(cursors));
            Source::made(stream)
        };
        Ok(match &job.work {
            Work::Access(access) => match layout {
                Some(layout) => {
                    let moves_ends = self.is_end_used(access.files).then(|| Arc::clone(cursors));
                    let layout = layout.clone();
                    Source::made(AccessStream::new(access, layout, parts, moves_ends))
                }
                None => {
                    let cursors = Arc::clone(cursors);
                    Source::made(MixStream::new(access, &self.files, parts, cursors))
                }
            },
            Work::Append {
                files,
                block,
                syncs,
            } => {
                let cursors = Arc::clone(cursors);
                Source::made(AppendStream::new(*files, block, *syncs, parts, cursors))
            }
            Work::Each {
                files,
                steps,
                block,
            } => {
                let (block, cursors) = (block.as_ref(), Arc::clone(cursors));
                let stream = EachStream::new(*files, steps, block, &self.files, parts, cursors);
                Source::made(stream)
            }
            Work::Truncate { files, to_bytes } => on_files(
                FileVerb::Truncate {
                    to_bytes: *to_bytes,
                },
                *files,
                parts,
            ),
            Work::Create { files } => on_files(FileVerb::Create, *files, parts),
            Work::Remove { files } => on_files(FileVerb::Remove, *files, parts),
            Work::Rename { files } => on_files(FileVerb::Rename, *files, parts),
            Work::Sync { files } => on_files(FileVerb::Sync, *files, parts),
            Work::Trace(trace) => {
                Source::Trace(Box::new(TraceStream::open(trace, parts, ear.clone())?))
            }
            Work::Fill { trace, until_ns } => {
                let until_ns = until_ns.unwrap_or(u64::MAX);
                let parts = Parts { until_ns, ..parts };
                Source::Made(Box::new(FillStream::open(trace, parts)?))
            }
        })
    }

    /// How many streams the phases before `phase` have.
    fn streams_before(&self, phase: usize) -> u64 {
        self.phases[..phase]
            .iter()
            .flat_map(|phase| &phase.jobs)
            .map(|job| u64::from(job.clients))
            .sum()
    }

    /// Does anything ask where `files` end or whether they are there, so that writes have to note it?
    fn is_end_used(&self, files: FileSpan) -> bool {
        let mut jobs = self.phases.iter().flat_map(|phase| &phase.jobs);
        jobs.any(|job| match &job.work {
            Work::Append { files: used, .. } => used.first == files.first,
            Work::Access(access) => !access.mix.is_empty() && access.files.first == files.first,
            Work::Each {
                files: used, steps, ..
            } => steps.contains(&Step::Append) && used.first == files.first,
            _ => false,
        })
    }
}

/// When nothing of `job` is due any more, counted from its start.
pub(super) fn until_ns(job: &JobPlan, phase: &PhasePlan) -> Option<u64> {
    let in_phase = phase.duration_ns.map(|ns| ns.saturating_sub(job.delay_ns));
    match (in_phase, job.duration_ns) {
        (Some(phase), Some(own)) => Some(phase.min(own)),
        (phase, own) => phase.or(own),
    }
}

fn pacer(job: &JobPlan, until_ns: Option<u64>, share: Share, seed: u64) -> Pacer {
    let who = (share.client, share.clients);
    Pacer::new(
        &job.pace,
        who,
        until_ns,
        &[seed, 5, u64::from(share.client)],
    )
}
