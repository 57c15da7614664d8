//! From a phase of the plan to one stream per client.

use std::sync::Arc;

use super::{FileSpan, JobPlan, LoadPlan, PhasePlan, Work};
use crate::random::mix_all;
use crate::stream::{
    AccessStream, AppendStream, Cursors, FileStream, FileVerb, OpStream, Pacer, Parts, Share,
    Source, StreamError, Versions,
};

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
            let seed = mix_all(&[self.seed, name_hash(&plan.name), name_hash(&job.name)]);
            for client in 0..job.clients {
                let share = Share {
                    client,
                    clients: job.clients,
                };
                let parts = Parts {
                    share,
                    bound: job.bound,
                    pacer: pacer(job, plan, share, seed),
                    versions: Versions::new(ordinal),
                    seed,
                    until_ns: plan.duration_ns.unwrap_or(u64::MAX),
                };
                ordinal += 1;
                let source = self.source(job, parts, cursors)?;
                streams.push(OpStream::new(job_index, client, source));
            }
        }
        Ok(streams)
    }

    fn source(
        &self,
        job: &JobPlan,
        parts: Parts,
        cursors: &Arc<Cursors>,
    ) -> Result<Source, StreamError> {
        let on_files = |verb, files: FileSpan, parts| {
            let stream = FileStream::new(verb, files, parts, Arc::clone(cursors));
            Box::new(stream.map(Ok)) as Source
        };
        Ok(match &job.work {
            Work::Access(access) => {
                let moves_ends = self.is_end_used(access.files).then(|| Arc::clone(cursors));
                Box::new(AccessStream::new(access, parts, moves_ends).map(Ok))
            }
            Work::Append {
                files,
                block,
                fsync_every,
            } => {
                let cursors = Arc::clone(cursors);
                Box::new(AppendStream::new(*files, block, *fsync_every, parts, cursors).map(Ok))
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
            Work::Sync { files } => on_files(FileVerb::Sync, *files, parts),
            Work::Trace(trace) => Box::new(crate::trace::TraceStream::open(trace, parts)?),
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

    /// Is any of `files` appended to somewhere, so that writes have to note how far they reach?
    fn is_end_used(&self, files: FileSpan) -> bool {
        let mut jobs = self.phases.iter().flat_map(|phase| &phase.jobs);
        jobs.any(|job| match &job.work {
            Work::Append {
                files: appended, ..
            } => appended.first == files.first,
            _ => false,
        })
    }
}

fn pacer(job: &JobPlan, phase: &PhasePlan, share: Share, seed: u64) -> Pacer {
    let who = (share.client, share.clients);
    Pacer::new(
        job.pace,
        who,
        phase.duration_ns,
        &[seed, 5, u64::from(share.client)],
    )
}

fn name_hash(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes())
}
