//! What a replay met in its recording and did not carry out as it stands there.
//!
//! Every client of a job reads the whole recording, so each could tell the same; what counts is what the client that read
//! furthest says. It is told when the client's stream ends or is given up, and read when the phase is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::notes::Tally;
use super::summary::Malformed;
use crate::plan::TraceFormat;

/// What of a recording was read, and what of that was not replayed as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceTold {
    /// The file.
    pub path: PathBuf,
    /// Its form.
    pub format: TraceFormat,
    /// Requests read, those that the job leaves out included.
    pub requests: u64,
    /// Lines that were not understood.
    pub malformed: u64,
    /// The first few of them.
    pub malformed_first: Vec<Malformed>,
    /// What was understood and cannot be kept.
    pub lost: BTreeMap<String, Tally>,
    /// What was kept by a guess.
    pub guessed: BTreeMap<String, Tally>,
    /// What was kept and could not be carried out.
    pub not_replayed: BTreeMap<String, Tally>,
    /// Closes, which a replay has no use for: files stay open until they are removed.
    pub closes: u64,
}

impl TraceTold {
    /// What a number in `malformed_first` and in the tallies counts.
    pub fn unit(&self) -> &'static str {
        self.format.unit()
    }
}

/// Where the clients of one job tell it.
#[derive(Debug, Clone, Default)]
pub struct TraceEar(Arc<Mutex<Option<TraceTold>>>);

impl TraceEar {
    /// What was told; none where no client read anything.
    pub fn told(&self) -> Option<TraceTold> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps `told` if its client read further than those before it.
    pub(crate) fn tell(&self, told: TraceTold) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let furthest = known.as_ref().map(|known| known.requests + known.malformed);
        if furthest.is_none_or(|furthest| told.requests + told.malformed > furthest) {
            *known = Some(told);
        }
    }
}
