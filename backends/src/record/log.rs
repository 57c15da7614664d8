//! What was asked, when it was submitted and completed, and what is durable at any point between.
//!
//! Submissions and completions share one count, the events: event `n` is the n-th thing that
//! happened, and "at `n`" means after the first `n`. Reads are not kept.
//!
//! The rule of durability is the contract of `Backend`: a flush covers the writes that had
//! completed when it was submitted, from the moment it completes; a forced write covers itself.

use std::sync::Arc;

use crate::{Durability, Request};

/// Something that changes what a device holds.
#[derive(Debug, Clone)]
pub enum Logged {
    /// A write.
    Write {
        /// First byte.
        offset: u64,
        /// What was written.
        bytes: Arc<[u8]>,
        /// Forced or not.
        durability: Durability,
    },
    /// A flush.
    Flush,
    /// A discard.
    Discard {
        /// First byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

impl Logged {
    /// A copy of what `request` changes; `None` for a read.
    pub(super) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Read { .. } => None,
            Request::Write {
                offset,
                buf,
                durability,
            } => Some(Self::Write {
                offset: *offset,
                bytes: Arc::from(&buf[..]),
                durability: *durability,
            }),
            Request::Flush => Some(Self::Flush),
            Request::Discard { offset, bytes } => Some(Self::Discard {
                offset: *offset,
                bytes: *bytes,
            }),
        }
    }
}

/// How and when a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The event number of the completion.
    pub at: u64,
    /// Without an error.
    pub succeeded: bool,
}

/// One request.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// What was asked.
    pub what: Logged,
    /// The event number of the submission.
    pub submitted_at: u64,
    /// How it ended; `None` while in flight.
    pub outcome: Option<Outcome>,
}

/// What a crash does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It survives.
    Durable,
    /// It may survive, in part or whole, or not.
    Loose,
    /// It was not submitted yet, or it changes nothing.
    Absent,
}

/// All requests, in the order of submission.
#[derive(Debug, Clone, Default)]
pub struct Log {
    entries: Vec<LogEntry>,
    events: u64,
}

impl Log {
    /// The requests in the order of submission. Their index is their name in `Survivors::Chosen`.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// Submissions and completions so far: a crash may be at 0 up to this.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Epochs: stretches between completed flushes. The first begins at the start of the log, the
    /// last is open.
    pub fn epochs(&self) -> usize {
        self.flush_completions().len() + 1
    }

    /// The last point of an epoch: just before the flush that ends it completes, or the end of
    /// the log. Everything submitted in the epoch is loose there, but for forced writes.
    ///
    /// # Panics
    /// If there are not that many epochs.
    pub fn end_of_epoch(&self, epoch: usize) -> u64 {
        let flushes = self.flush_completions();
        assert!(epoch <= flushes.len(), "there is no epoch {epoch}");
        flushes.get(epoch).map_or(self.events, |at| at - 1)
    }

    /// What a crash after the first `events` events does to each request.
    pub fn fates(&self, events: u64) -> Vec<Fate> {
        assert!(events <= self.events, "a crash lies inside the log");
        // The flush submitted last covers most, and all that the others cover.
        let covered_before = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.what, Logged::Flush) && entry.succeeded_by(events))
            .map(|entry| entry.submitted_at)
            .max()
            .unwrap_or(0);
        self.entries
            .iter()
            .map(|entry| entry.fate(events, covered_before))
            .collect()
    }

    fn flush_completions(&self) -> Vec<u64> {
        let mut flushes: Vec<u64> = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.what, Logged::Flush))
            .filter_map(|entry| entry.outcome)
            .filter(|outcome| outcome.succeeded)
            .map(|outcome| outcome.at)
            .collect();
        flushes.sort_unstable();
        flushes
    }

    pub(super) fn submitted(&mut self, what: Logged) -> usize {
        self.events += 1;
        self.entries.push(LogEntry {
            what,
            submitted_at: self.events,
            outcome: None,
        });
        self.entries.len() - 1
    }

    pub(super) fn completed(&mut self, entry: usize, succeeded: bool) {
        self.events += 1;
        let before = self.entries[entry].outcome.replace(Outcome {
            at: self.events,
            succeeded,
        });
        assert!(before.is_none(), "a request completes once");
    }
}

impl LogEntry {
    fn succeeded_by(&self, events: u64) -> bool {
        self.outcome
            .is_some_and(|outcome| outcome.succeeded && outcome.at <= events)
    }

    fn fate(&self, events: u64, covered_before: u64) -> Fate {
        if self.submitted_at > events || matches!(self.what, Logged::Flush) {
            return Fate::Absent;
        }
        let forced = matches!(
            self.what,
            Logged::Write {
                durability: Durability::Fua,
                ..
            }
        );
        if self.succeeded_by(covered_before) || (forced && self.succeeded_by(events)) {
            Fate::Durable
        } else {
            Fate::Loose
        }
    }
}
