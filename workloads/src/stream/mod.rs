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
mod files;
mod pace;
mod permute;
mod share;
mod versions;
mod walk;
mod zipf;

pub(crate) use access::{AccessStream, Parts};
pub(crate) use append::AppendStream;
pub use cursors::Cursors;
pub(crate) use files::{FileStream, FileVerb};
pub(crate) use pace::Pacer;
pub(crate) use share::Share;
pub(crate) use versions::Versions;

use crate::op::TimedOp;

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
pub(crate) type Source = Box<dyn Iterator<Item = Result<TimedOp, StreamError>> + Send>;

/// What one client does.
pub struct OpStream {
    job: usize,
    client: u32,
    source: Source,
}

impl OpStream {
    pub(crate) fn new(job: usize, client: u32, source: Source) -> Self {
        Self {
            job,
            client,
            source,
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

    fn next(&mut self) -> Option<Self::Item> {
        self.source.next()
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
