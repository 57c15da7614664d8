//! The records and the ring together: what a batch is made of, and what a commit does to both.
//!
//! Pure; the owner holds the lock. Not here: writing (write).

use super::format::{self, HEADER_BYTES};
use super::pending::{Lsn, Pending};
use super::record::{Prepared, Record};
use super::ring::{Mark, Ring, Slot};
use crate::meta::format::LogTail;
use crate::mutation::{self, Mutation};
use crate::units::{FileId, Generation};

/// Pending records may fill this part of the log; above it a commit is the better answer.
const PENDING_DIVISOR: u64 = 4;

/// How the log is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// `sync` may use the log; else it commits.
    pub enabled: bool,
    /// A commit in the background frees the log when more than this part of it is in use.
    pub commit_at_percent: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            commit_at_percent: 50,
        }
    }
}

/// A commit under way, as the log sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitMark {
    generation: Generation,
    end: Lsn,
    mark: Mark,
}

/// A batch that has its place and is not written.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) slot: Slot,
    /// Pending records, and how many.
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) end: Lsn,
    /// The generation that prepared records belong to in this batch.
    pub(crate) generation: Generation,
}

/// Why there is no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBatch {
    /// Everything is durable already.
    Needless,
    /// Only a commit can make it durable.
    NeedsCommit,
}

/// What the log knows.
#[derive(Debug)]
pub(crate) struct LogState {
    pending: Pending,
    ring: Ring,
}

impl LogState {
    /// A log of `bytes` that goes on at `tail`; changes go into `generation`.
    pub(crate) fn new(
        bytes: u64,
        tail: LogTail,
        generation: Generation,
        limits: LogLimits,
    ) -> Self {
        let pending_bytes_max = if limits.enabled {
            bytes / PENDING_DIVISOR
        } else {
            0
        };
        let pending_bytes_max = usize::try_from(pending_bytes_max).expect("a log fits memory");
        Self {
            pending: Pending::new(pending_bytes_max, generation),
            ring: Ring::new(bytes, tail),
        }
    }

    /// A change was made.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        self.pending.push(record);
    }

    /// Everything pending and `prepared`, as a batch with a place. `wanted` is what its callers need.
    pub(crate) fn cut<'p>(
        &mut self,
        wanted: Lsn,
        prepared: impl Iterator<Item = &'p Prepared>,
    ) -> Result<Batch, NoBatch> {
        let prepared_bytes: usize = prepared.map(|prepared| prepared.bytes.len()).sum();
        if prepared_bytes == 0 && self.pending.is_durable(wanted) {
            return Err(NoBatch::Needless);
        }
        if !self.pending.is_whole() {
            return Err(NoBatch::NeedsCommit);
        }
        let payload_bytes = (self.pending.bytes() + prepared_bytes) as u64;
        let Some(slot) = self.ring.place(format::stored_bytes(payload_bytes)) else {
            return Err(NoBatch::NeedsCommit);
        };
        let generation = self.pending.generation();
        let cut = self.pending.cut();
        Ok(Batch {
            slot,
            bytes: cut.bytes,
            records: cut.records,
            end: cut.end,
            generation,
        })
    }

    /// A batch is written and flushed.
    pub(crate) fn flushed(&mut self, batch: &Batch) {
        self.pending.made_durable(batch.end);
    }

    /// A batch could not be written: its place stays a gap, and so do its records.
    pub(crate) fn failed(&mut self) {
        self.pending.give_up();
    }

    /// The generation is closed: later changes go into the next one.
    pub(crate) fn begin_commit(&mut self) -> (CommitMark, LogTail) {
        let generation = self.pending.generation();
        let end = self.pending.begin_commit();
        let (mark, tail) = self.ring.mark();
        if mutation::on(Mutation::LogFreedEarly) {
            self.ring.free_to(mark);
        }
        (
            CommitMark {
                generation,
                end,
                mark,
            },
            tail,
        )
    }

    /// The superblock with the tail of `begin_commit` is durable.
    pub(crate) fn end_commit(&mut self, commit: CommitMark) {
        self.pending.end_commit(commit.generation, commit.end);
        self.ring.free_to(commit.mark);
    }

    /// What `file` still needs; `None` where it is durable.
    pub(crate) fn wanted(&self, file: FileId) -> Option<Lsn> {
        self.pending.wanted(file)
    }

    /// More than this part of the log is in use.
    pub(crate) fn is_used_above(&self, percent: u64) -> bool {
        self.ring.used_bytes() * 100 > self.ring.bytes() * percent
    }
}

impl Batch {
    /// Bytes of its records with those of `prepared`.
    pub(crate) fn payload_bytes<'p>(&self, prepared: impl Iterator<Item = &'p Prepared>) -> usize {
        self.bytes.len() + prepared.map(|prepared| prepared.bytes.len()).sum::<usize>()
    }

    /// Bytes on the device for so many bytes of records.
    pub(crate) fn image_bytes(payload_bytes: usize) -> usize {
        (HEADER_BYTES + payload_bytes).next_multiple_of(crate::meta::format::SECTOR_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: LogTail = LogTail {
        offset: 0,
        sequence: 1,
    };

    fn state(sectors: u64) -> LogState {
        LogState::new(sectors * 4096, TAIL, Generation(2), LogLimits::default())
    }

    fn touch(state: &mut LogState) -> Lsn {
        state.push(&Record::Orphan { file: FileId(1) });
        state.wanted(FileId(1)).expect("just pushed")
    }

    #[test]
    fn a_full_log_asks_for_a_commit_and_goes_on_after_it() {
        let mut state = state(2);
        for _ in 0..2 {
            let wanted = touch(&mut state);
            let batch = state.cut(wanted, std::iter::empty()).expect("room");
            state.flushed(&batch);
        }
        let wanted = touch(&mut state);
        let full = state.cut(wanted, std::iter::empty());
        assert_eq!(full.err(), Some(NoBatch::NeedsCommit));
        assert!(state.is_used_above(99));
        let (mark, tail) = state.begin_commit();
        assert_eq!(
            tail,
            LogTail {
                offset: 0,
                sequence: 3
            }
        );
        state.end_commit(mark);
        assert_eq!(
            state.cut(wanted, std::iter::empty()).err(),
            Some(NoBatch::Needless)
        );
        let wanted = touch(&mut state);
        assert!(state.cut(wanted, std::iter::empty()).is_ok());
    }

    #[test]
    fn nothing_is_freed_before_the_superblock_is_durable() {
        let mut state = state(2);
        for _ in 0..2 {
            let wanted = touch(&mut state);
            state.cut(wanted, std::iter::empty()).expect("room");
        }
        let (mark, _) = state.begin_commit();
        let wanted = touch(&mut state);
        assert!(state.cut(wanted, std::iter::empty()).is_err());
        state.end_commit(mark);
        assert!(state.cut(wanted, std::iter::empty()).is_ok());
    }
}
