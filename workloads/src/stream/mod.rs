//! Streams: what each client of each job does, one operation after the other.
//!
//! A stream is a deterministic function of (seed, phase, job, client), with one exception: where several clients append to
//! one file, the offsets depend on who comes first. It is never held whole, however long it is; a recording is read as it is replayed.
//!
//! A stream ends by itself where the job is bounded, and where an open loop has nothing due before the end of the phase. A closed
//! loop that lasts as long as its phase does not end: the replayer watches the clock.

mod access;
mod append;
mod cursors;
mod each;
mod files;
mod hotspot;
mod law;
mod layout;
mod mix;
mod order;
mod pace;
mod permute;
mod present;
mod runs;
mod sampler;
mod share;
mod sizes;
mod turns;
mod versions;
mod walk;
mod zipf;

pub(crate) use access::{AccessStream, Parts};
pub(crate) use append::AppendStream;
pub use cursors::Cursors;
pub(crate) use each::EachStream;
pub(crate) use files::{FileStream, FileVerb};
pub(crate) use law::has_empty_zone;
pub(crate) use layout::Layout;
pub(crate) use mix::MixStream;
pub(crate) use pace::Pacer;
pub(crate) use sampler::Sampler;
pub(crate) use share::Share;
pub(crate) use versions::{STREAM_COUNT_MAX, Versions};

use crate::op::TimedOp;
use crate::trace::{TraceEar, TraceStep, TraceStream};

/// Why a stream ends before its time.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A recording cannot be read on.
    #[error("{path}: {reason}", path = path.display())]
    Trace {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Where the operations come from.
pub(crate) enum Source {
    /// They are made up.
    Made(Box<dyn Iterator<Item = Result<TimedOp, StreamError>> + Send>),
    /// They are read.
    Trace(Box<TraceStream>),
}

impl Source {
    /// Operations that cannot fail to come.
    pub(crate) fn made(ops: impl Iterator<Item = TimedOp> + Send + 'static) -> Self {
        Self::Made(Box::new(ops.map(Ok)))
    }

    #[inline]
    fn next(&mut self) -> Option<Result<TimedOp, StreamError>> {
        match self {
            Self::Made(ops) => ops.next(),
            Self::Trace(ops) => ops.next(),
        }
    }
}

/// What one client does.
///
/// Due times count from the start of the phase, a delay of the job included; where the job waits for another
/// ([`Self::start_after`]), from when that one is through.
pub struct OpStream {
    job: usize,
    client: u32,
    start: Start,
    source: Source,
}

/// When a job starts and ends, as far as its operations do not say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Start {
    pub(crate) delay_ns: u64,
    pub(crate) duration_ns: Option<u64>,
    pub(crate) after: Option<usize>,
}

impl OpStream {
    pub(crate) fn new(job: usize, client: u32, start: Start, source: Source) -> Self {
        Self {
            job,
            client,
            start,
            source,
        }
    }

    /// The job of the phase that has to be through before this one starts.
    pub fn start_after(&self) -> Option<usize> {
        self.start.after
    }

    /// How long after that, or after the start of the phase, the first operation may start.
    pub fn delay_ns(&self) -> u64 {
        self.start.delay_ns
    }

    /// No operation starts later than this, counted as the delay is.
    pub fn end_ns(&self) -> Option<u64> {
        let duration_ns = self.start.duration_ns?;
        Some(self.start.delay_ns.saturating_add(duration_ns))
    }

    /// Where the clients of its job tell what of their recording is not replayed; none where the job has none.
    pub fn trace_ear(&self) -> Option<TraceEar> {
        match &self.source {
            Source::Made(_) => None,
            Source::Trace(stream) => Some(stream.ear().clone()),
        }
    }

    /// What a recording says of the request behind the operation that was taken last; none where there is no recording.
    #[inline]
    pub fn step(&self) -> Option<&TraceStep> {
        match &self.source {
            Source::Made(_) => None,
            Source::Trace(stream) => Some(stream.step()),
        }
    }

    /// Index of the job in its phase.
    pub fn job(&self) -> usize {
        self.job
    }

    /// Which client of the job, from 0.
    pub fn client(&self) -> u32 {
        self.client
    }
}

impl Iterator for OpStream {
    type Item = Result<TimedOp, StreamError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let delay_ns = self.start.delay_ns;
        if delay_ns == 0 {
            return self.source.next();
        }
        let mut next = self.source.next()?;
        if let Ok(timed) = &mut next {
            timed.due_ns = timed.due_ns.map(|due_ns| due_ns.saturating_add(delay_ns));
        }
        Some(next)
    }
}

impl std::fmt::Debug for OpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpStream")
            .field("job", &self.job)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
