//! Writing batches: the leader's work.
//!
//! ```text
//!   cut  ->  write the batch  ->  all data of its tickets is there?  ->  FLUSH  ->  durable
//!            (beside the data)      | no: write it again without theirs
//! ```
//!
//! A ticket with prepared records brings the latch of its data, which is being written meanwhile. Data
//! that failed takes its records out of the batch: the batch is written again, at the same place under
//! the same number, before anything is flushed or answered.
//!
//! A failed write of the log is no failure of the volume: its callers commit instead, and the log goes
//! on behind that commit. A failed FLUSH is one: what is on the device is then not known.
//!
//! Locks: the state for a moment at a time; none while the device works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability};
use parking_lot::Mutex;

use super::format::{self, BatchHeader, HEADER_BYTES};
use super::group::Group;
use super::latch::Latch;
use super::pending::Lsn;
use super::record::{Prepared, Record};
use super::state::{Batch, CommitMark, LogLimits, LogState, NoBatch};
use crate::error::EngineError;
use crate::meta::format::{LogRegion, LogTail};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, FileId, Generation};

/// What a caller of `sync` brings.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Records that must be durable.
    pub(crate) wanted: Lsn,
    /// Records of its own, and the data they need.
    pub(crate) express: Option<(Prepared, Arc<Latch>)>,
}

/// What it leaves with.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// All it brought is durable; its own records as changes of this generation.
    Durable(Generation),
    /// Its data is not on the device, and its records are not in the log.
    DataFailed,
    /// Its data is on the device and neither flushed nor logged: a commit has to follow.
    NeedsCommit,
    /// A FLUSH failed.
    Failed(EngineError),
}

/// Counts of the log since the volume was opened.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) tickets: AtomicU64,
    pub(crate) needless: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
}

/// The log of an open volume.
#[derive(Debug)]
pub(crate) struct Log {
    extent: DiskExtent,
    volume: u64,
    limits: LogLimits,
    state: Mutex<LogState>,
    group: Group<Ticket, Outcome>,
    pub(crate) counts: LogCounts,
}

impl Log {
    /// The log in `region`, with nothing in it behind the region's tail. Changes go into `generation`.
    pub(crate) fn new(
        region: LogRegion,
        volume: u64,
        generation: Generation,
        limits: LogLimits,
    ) -> Self {
        let LogRegion { extent, tail } = region;
        Self {
            extent,
            volume,
            limits,
            state: Mutex::new(LogState::new(extent.bytes, tail, generation, limits)),
            group: Group::default(),
            counts: LogCounts::default(),
        }
    }

    /// A change was made; called under the tree's lock, in the order of the changes.
    pub(crate) fn push(&self, record: &Record<'_>) {
        self.state.lock().push(record);
    }

    /// The generation is closed; called under the tree's lock. The tail goes into its superblock.
    pub(crate) fn begin_commit(&self) -> (CommitMark, LogRegion) {
        let (mark, tail) = self.state.lock().begin_commit();
        (mark, self.region(tail))
    }

    /// The superblock of that commit is durable.
    pub(crate) fn end_commit(&self, mark: CommitMark) {
        self.state.lock().end_commit(mark);
    }

    /// What `file` still needs to be durable; `None` where it is.
    pub(crate) fn wanted(&self, file: FileId) -> Option<Lsn> {
        self.state.lock().wanted(file)
    }

    /// So much of the log is in use that a commit should free it.
    pub(crate) fn wants_commit(&self) -> bool {
        let percent = self.limits.commit_at_percent;
        self.extent.bytes > 0 && self.state.lock().is_used_above(percent)
    }

    /// Makes a ticket durable, together with those of everybody else who waits.
    pub(crate) fn make_durable(&self, backend: &dyn Backend, ticket: Ticket) -> Outcome {
        add(&self.counts.tickets, 1);
        self.group
            .join(ticket, |tickets| self.lead(backend, &tickets))
    }

    fn region(&self, tail: LogTail) -> LogRegion {
        LogRegion {
            extent: self.extent,
            tail,
        }
    }

    fn lead(&self, backend: &dyn Backend, tickets: &[Ticket]) -> Vec<Outcome> {
        let prepared = || tickets.iter().filter_map(|ticket| ticket.express.as_ref());
        let wanted = tickets.iter().map(|ticket| ticket.wanted).max();
        let cut = self.state.lock().cut(
            wanted.expect("a batch has a ticket"),
            prepared().map(|(prepared, _)| prepared),
        );
        let batch = match cut {
            Ok(batch) => batch,
            Err(NoBatch::Needless) => {
                add(&self.counts.needless, tickets.len() as u64);
                let generation = Generation(0);
                return vec![Outcome::Durable(generation); tickets.len()];
            }
            Err(NoBatch::NeedsCommit) => {
                add(&self.counts.fallbacks, tickets.len() as u64);
                return tickets.iter().map(without_log).collect();
            }
        };
        let written = self.write(backend, &batch, prepared().map(|(prepared, _)| prepared));
        let whole: Vec<bool> = tickets.iter().map(data_is_whole).collect();
        let rewritten = if whole.contains(&false) && !mutation::on(Mutation::LogRewriteSkipped) {
            let kept = tickets.iter().zip(&whole).filter(|(_, whole)| **whole);
            let kept = kept.filter_map(|(ticket, _)| ticket.express.as_ref());
            self.write(backend, &batch, kept.map(|(prepared, _)| prepared))
        } else {
            Ok(())
        };
        let answer = |well: &Outcome| -> Vec<Outcome> {
            let each = whole.iter().map(|whole| {
                if *whole {
                    well.clone()
                } else {
                    Outcome::DataFailed
                }
            });
            each.collect()
        };
        let failed = written.and(rewritten).is_err();
        if failed && !mutation::on(Mutation::LogFailureDropped) {
            self.state.lock().failed();
            add(&self.counts.fallbacks, tickets.len() as u64);
            return answer(&Outcome::NeedsCommit);
        }
        if !mutation::on(Mutation::LogFlushSkipped)
            && let Err(error) = backend.flush_blocking()
        {
            return vec![Outcome::Failed(error.into()); tickets.len()];
        }
        self.state.lock().flushed(&batch);
        answer(&Outcome::Durable(batch.generation))
    }

    /// Writes `batch` with the records of `prepared`, not flushed.
    fn write<'p>(
        &self,
        backend: &dyn Backend,
        batch: &Batch,
        prepared: impl Iterator<Item = &'p Prepared> + Clone,
    ) -> Result<(), EngineError> {
        let payload_bytes = batch.payload_bytes(prepared.clone());
        let mut image = AlignedBuf::zeroed(Batch::image_bytes(payload_bytes));
        let mut at = HEADER_BYTES;
        image[at..at + batch.bytes.len()].copy_from_slice(&batch.bytes);
        at += batch.bytes.len();
        let mut records = batch.records;
        for prepared in prepared {
            let own = &mut image[at..at + prepared.bytes.len()];
            own.copy_from_slice(&prepared.bytes);
            format::stamp(own, batch.generation);
            at += prepared.bytes.len();
            records += prepared.records;
        }
        let address = DiskOffset(self.extent.start.0 + batch.slot.offset);
        let header = BatchHeader {
            volume: self.volume,
            sequence: batch.slot.sequence,
            address,
            payload_bytes: u32::try_from(payload_bytes).expect("a log is far below 4 GiB"),
            records,
        };
        format::seal_batch(&mut image, &header);
        let image_bytes = image.len() as u64;
        backend.write_blocking(address.0, image, Durability::Cached)?;
        add(&self.counts.batches, 1);
        add(&self.counts.bytes, image_bytes);
        add(&self.counts.records, u64::from(records));
        Ok(())
    }
}

fn data_is_whole(ticket: &Ticket) -> bool {
    ticket.express.as_ref().is_none_or(|(_, data)| data.wait())
}

fn without_log(ticket: &Ticket) -> Outcome {
    if data_is_whole(ticket) {
        Outcome::NeedsCommit
    } else {
        Outcome::DataFailed
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
