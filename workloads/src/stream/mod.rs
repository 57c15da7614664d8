//! Streams: what each client of each job does, one operation after the other.

mod cursors;

pub use cursors::Cursors;

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

/// What one client does.
pub struct OpStream {
    job: usize,
    client: u32,
    source: Box<dyn Iterator<Item = Result<TimedOp, StreamError>> + Send>,
}

impl OpStream {
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
