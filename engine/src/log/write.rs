//! Writing batches: the leader's work.
//!
//! ```text
//!   cut  ->  write the batch and the data of its tickets  ->  all data is there?  ->  FLUSH  ->  durable
//!                                                              | no: the batch again, without theirs
//! ```
//!
//! A ticket with prepared records brings the writes of its data, and the leader sends them all together
//! with the batch. Data that failed takes its records out of the batch: the batch is written again, at
//! the same place under the same number and as long as before, since whoever reads the log finds the next batch
//! by the length of this one. All that before anything is flushed or answered.
//!
//! A failed write of the log is no failure of the volume: its callers commit instead, and the log goes
//! on behind that commit. A failed FLUSH is one: what is on the device is then not known, and no batch follows it.
//!
//! Locks: the state for a moment at a time; none while the device works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{Backend, BufPool, Durability, Request};
use parking_lot::Mutex;

use super::format::{self, BatchHeader, HEADER_BYTES};
use super::group::Group;
use super::held::{DataNumber, LoggedBytes};
use super::pending::Lsn;
use super::record::{Prepared, Record};
use super::state::{Batch, CommitMark, LogClaim, LogLimits, LogState, NoBatch};
use crate::barrier::Barrier;
use crate::error::EngineError;
use crate::meta::format::LogRegion;
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, FileId, FileRange, Generation, PageIndex};

/// Bytes of a batch whose memory is used again: a page costs more where it is touched for the first time than where it is
/// filled, and with these few dozen pages a batch is rarely larger.
const IMAGE_BYTES_KEPT: usize = 128 << 10;
/// Batches that are kept: one is written at a time, and rarely a second time without the data of somebody.
const IMAGES_KEPT: usize = 1;

/// What a caller of `sync` brings.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Records that must be durable.
    pub(crate) wanted: Lsn,
    /// Records of its own, and the writes of the data they need.
    pub(crate) express: Option<(Prepared, Vec<Request>)>,
}

/// What it leaves with.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// All it brought is durable; its own records as changes of this generation.
    Durable(Generation),
    /// Not all of its data is on the device, and its records are not in the log: how each of its writes
    /// ended.
    DataFailed(Vec<Option<EngineError>>),
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
    pub(crate) pages: AtomicU64,
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
    barrier: Arc<Barrier>,
    state: Mutex<LogState>,
    group: Group<Ticket, Outcome>,
    images: Arc<BufPool>,
    pub(crate) counts: LogCounts,
}

impl Log {
    /// The log in `region`, with nothing in it behind the region's tail. Changes go into `generation`.
    pub(crate) fn new(
        region: LogRegion,
        volume: u64,
        generation: Generation,
        limits: LogLimits,
        barrier: Arc<Barrier>,
    ) -> Self {
        let LogRegion { extent, tail } = region;
        Self {
            barrier,
            extent,
            volume,
            limits,
            state: Mutex::new(LogState::new(extent.bytes, tail, generation, limits)),
            group: Group::default(),
            images: BufPool::new(IMAGE_BYTES_KEPT, IMAGES_KEPT),
            counts: LogCounts::default(),
        }
    }

    /// A change was made; called under the tree's lock, in the order of the changes.
    pub(crate) fn push(&self, record: &Record<'_>) {
        self.state.lock().push(record);
    }

    /// The generation is closed; called under the tree's lock. The tail and what is held behind it go
    /// into its superblock.
    pub(crate) fn begin_commit(&self) -> (CommitMark, LogClaim) {
        self.state.lock().begin_commit()
    }

    /// See `LogState::replay`.
    pub(crate) fn replay(&self, claim: LogClaim) {
        self.state.lock().replay(claim);
    }

    /// See `LogState::replayed`.
    pub(crate) fn replayed(&self) {
        self.state.lock().replayed();
    }

    /// The superblock of that commit is durable.
    pub(crate) fn end_commit(&self, mark: CommitMark) {
        self.state.lock().end_commit(mark);
    }

    /// What `file` still needs to be durable; `None` where it is.
    pub(crate) fn wanted(&self, file: FileId) -> Option<Lsn> {
        self.state.lock().wanted(file)
    }

    /// Pages of a file that has `size_bytes` are wanted in the log; called under the file's lock. Returns
    /// a number above theirs, or nothing where the log does not take them.
    pub(crate) fn push_pages(
        &self,
        file: FileId,
        size_bytes: u64,
        pages: Vec<(PageIndex, LoggedBytes)>,
    ) -> Option<DataNumber> {
        self.state.lock().push_pages(file, size_bytes, pages)
    }

    /// Above the number of every page that was pushed.
    pub(crate) fn data_next(&self) -> DataNumber {
        self.state.lock().held().next()
    }

    /// A change of `range` was made that logged pages before `before` are older than; called as `push` is. `record`
    /// is what the log does not say of it yet.
    pub(crate) fn push_newer(
        &self,
        record: Option<&Record<'_>>,
        file: FileId,
        range: FileRange,
        before: DataNumber,
    ) {
        self.state.lock().push_newer(record, file, range, before);
    }

    /// `range` of `file` is in the tree as the log has it. The caller holds the file's state.
    pub(crate) fn came_home(&self, file: FileId, range: FileRange) {
        self.state.lock().came_home(file, range);
    }

    /// Would `push_newer` let go of any?
    pub(crate) fn holds(&self, file: FileId, range: FileRange, before: DataNumber) -> bool {
        self.state.lock().held().holds(file, range, before)
    }

    /// Is a page of `file` before `before` still on its way into the log?
    pub(crate) fn is_under_way(&self, file: FileId, before: DataNumber) -> bool {
        self.state.lock().held().is_under_way(file, before)
    }

    /// The generation in which this page was made durable, if it is still held.
    pub(crate) fn durable_in(&self, number: DataNumber) -> Option<Generation> {
        self.state.lock().held().durable_in(number)
    }

    /// Files with pages that only the log has.
    pub(crate) fn files_held(&self) -> Vec<FileId> {
        self.state.lock().held().files()
    }

    /// Some page is only in the log.
    pub(crate) fn holds_any(&self) -> bool {
        !self.state.lock().held().is_empty()
    }

    /// Is something lost to the log that only a commit makes up for?
    pub(crate) fn has_gap(&self) -> bool {
        self.limits.enabled && self.extent.bytes > 0 && self.state.lock().has_gap()
    }

    /// Is everything up to `wanted` durable?
    pub(crate) fn is_durable(&self, wanted: Lsn) -> bool {
        self.state.lock().is_durable(wanted)
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
            .join(ticket, |tickets| self.lead(backend, tickets))
    }

    fn lead(&self, backend: &dyn Backend, mut tickets: Vec<Ticket>) -> Vec<Outcome> {
        // Whoever waited while a FLUSH failed leads next, and nothing may follow that batch.
        if !mutation::on(Mutation::FlushFailureForgotten)
            && let Err(error) = self.barrier.check()
        {
            return vec![Outcome::Failed(error); tickets.len()];
        }
        let mut data: Vec<Vec<Request>> = tickets.iter_mut().map(take_data).collect();
        let wanted = tickets.iter().map(|ticket| ticket.wanted).max();
        let cut = self.state.lock().cut(
            wanted.expect("a batch has a ticket"),
            tickets.iter().filter_map(prepared),
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
                let ends = write_data(backend, &mut data, None).1;
                return answers(ends, &Outcome::NeedsCommit);
            }
        };
        let image = self.image(&batch, &tickets, |_| true);
        let (written, ends) = write_data(backend, &mut data, Some(image));
        let whole = |ticket: usize| ends[ticket].iter().all(Option::is_none);
        let all_whole = (0..tickets.len()).all(whole) || mutation::on(Mutation::LogRewriteSkipped);
        let rewritten = if all_whole {
            Ok(())
        } else {
            let image = self.image(&batch, &tickets, whole);
            let result = backend.execute(image).result.map_err(EngineError::from);
            result.or_else(
                |error| match mutation::on(Mutation::LogRewriteFailureDropped) {
                    true => Ok(()),
                    false => Err(error),
                },
            )
        };
        let failed = written.and(rewritten).is_err();
        if failed && !mutation::on(Mutation::LogFailureDropped) {
            self.state.lock().failed(&batch);
            add(&self.counts.fallbacks, tickets.len() as u64);
            return answers(ends, &Outcome::NeedsCommit);
        }
        if !mutation::on(Mutation::LogFlushSkipped)
            && let Err(error) = self.barrier.flush()
        {
            return vec![Outcome::Failed(error); tickets.len()];
        }
        self.state.lock().flushed(&batch);
        answers(ends, &Outcome::Durable(batch.generation))
    }

    /// The write of `batch` with what its tickets prepared; where a ticket is not `whole`, that counts for nothing.
    fn image(&self, batch: &Batch, tickets: &[Ticket], whole: impl Fn(usize) -> bool) -> Request {
        let stays = |number| whole(number) || !mutation::on(Mutation::LogRewriteShort);
        let staying = tickets.iter().enumerate();
        let staying = staying.filter(|(number, _)| stays(*number));
        let payload_bytes = batch.payload_bytes(staying.filter_map(|(_, ticket)| prepared(ticket)));
        let mut image = self.images.take(Batch::image_bytes(payload_bytes));
        let mut at = HEADER_BYTES;
        image[at..at + batch.bytes.len()].copy_from_slice(&batch.bytes);
        at += batch.bytes.len();
        let mut records = batch.records;
        for (number, ticket) in tickets.iter().enumerate() {
            let Some(prepared) = prepared(ticket).filter(|_| stays(number)) else {
                continue;
            };
            let own = &mut image[at..at + prepared.bytes.len()];
            own.copy_from_slice(&prepared.bytes);
            at += prepared.bytes.len();
            if whole(number) {
                format::stamp(own, batch.generation);
                records += prepared.records;
            } else {
                format::void(own);
            }
        }
        let end = HEADER_BYTES + payload_bytes;
        batch.put_pages(&mut image[at..end]);
        image[end..].fill(0);
        records += u32::try_from(batch.pages.len()).expect("a batch is small");
        let address = DiskOffset(self.extent.start.0 + batch.slot.offset);
        let header = BatchHeader {
            volume: self.volume,
            sequence: batch.slot.sequence,
            address,
            payload_bytes: u32::try_from(payload_bytes).expect("a log is far below 4 GiB"),
            records,
            generation: batch.generation,
            mask: 0,
        };
        format::seal_batch(&mut image, &header);
        add(&self.counts.batches, 1);
        add(&self.counts.bytes, image.len() as u64);
        add(&self.counts.records, u64::from(records));
        add(&self.counts.pages, batch.pages.len() as u64);
        Request::Write {
            offset: address.0,
            buf: image,
            durability: Durability::Cached,
        }
    }
}

fn take_data(ticket: &mut Ticket) -> Vec<Request> {
    let express = ticket.express.as_mut();
    express.map_or_else(Vec::new, |(_, data)| std::mem::take(data))
}

fn prepared(ticket: &Ticket) -> Option<&Prepared> {
    ticket.express.as_ref().map(|(prepared, _)| prepared)
}

/// Sends the data of all tickets and the batch together. Returns how the batch ended, and for each
/// ticket how each of its writes did.
fn write_data(
    backend: &dyn Backend,
    data: &mut [Vec<Request>],
    batch: Option<Request>,
) -> (Result<(), EngineError>, Vec<Vec<Option<EngineError>>>) {
    let counts: Vec<usize> = data.iter().map(Vec::len).collect();
    let has_batch = batch.is_some();
    let requests: Vec<Request> = data
        .iter_mut()
        .flat_map(std::mem::take)
        .chain(batch)
        .collect();
    if requests.is_empty() {
        return (Ok(()), counts.iter().map(|_| Vec::new()).collect());
    }
    let completions = backend.execute_batch(requests).into_iter();
    let mut results = completions.map(|completion| match completion.result {
        Err(error) if !mutation::on(Mutation::WriteErrorDropped) => Err(EngineError::from(error)),
        _ => Ok(()),
    });
    let ends = counts
        .into_iter()
        .map(|count| results.by_ref().take(count).map(Result::err).collect())
        .collect();
    let written = if has_batch {
        results.next().expect("a batch is answered")
    } else {
        Ok(())
    };
    (written, ends)
}

/// `well` for every ticket whose data is whole.
fn answers(ends: Vec<Vec<Option<EngineError>>>, well: &Outcome) -> Vec<Outcome> {
    let answer = |ends: Vec<Option<EngineError>>| {
        if ends.iter().all(Option::is_none) {
            well.clone()
        } else {
            Outcome::DataFailed(ends)
        }
    };
    ends.into_iter().map(answer).collect()
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use delalloc_backends::{BackendExt, MemBackend};

    use super::*;
    use crate::meta::format::{LogTail, SECTOR_LEN};

    const REGION: LogRegion = LogRegion {
        extent: DiskExtent {
            start: DiskOffset(1 << 16),
            bytes: 1 << 20,
        },
        tail: LogTail {
            offset: 0,
            sequence: 1,
        },
    };

    fn log() -> (Arc<MemBackend>, Log) {
        let device = Arc::new(MemBackend::new(4 << 20));
        let barrier = Arc::new(Barrier::new(Arc::clone(&device) as Arc<dyn Backend>));
        let log = Log::new(REGION, 7, Generation(2), LogLimits::default(), barrier);
        (device, log)
    }

    /// Writes one batch of what was pushed.
    fn write(log: &Log, device: &MemBackend) {
        let wanted = log.wanted(FileId(1)).expect("something was pushed");
        let outcome = log.make_durable(device, ticket(wanted));
        assert!(matches!(outcome, Outcome::Durable(_)), "{outcome:?}");
    }

    fn ticket(wanted: Lsn) -> Ticket {
        Ticket {
            wanted,
            express: None,
        }
    }

    #[test]
    fn a_batch_has_what_the_last_of_its_tickets_wants() {
        for (first, second) in [(0, 1), (1, 0)] {
            let (device, log) = log();
            let orphan = |file| {
                log.push(&Record::Orphan { file: FileId(file) });
                log.wanted(FileId(file)).expect("just pushed")
            };
            // Durable while it waited for its batch.
            let mut wanted = [orphan(1), Lsn::default()];
            write(&log, &device);
            wanted[1] = orphan(2);
            let tickets = vec![ticket(wanted[first]), ticket(wanted[second])];
            for outcome in log.lead(device.as_ref(), tickets) {
                assert!(matches!(outcome, Outcome::Durable(_)), "{outcome:?}");
            }
            assert_eq!(log.wanted(FileId(2)), None, "it was told so");
            assert_eq!(log.counts.batches.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn a_batch_ends_in_zeros_whatever_the_one_before_it_left_in_memory() {
        let (device, log) = log();
        let page = LoggedBytes::Read(vec![0xAA; SECTOR_LEN].into());
        let pages = (0..3).map(|page_at| (PageIndex(page_at), page.clone()));
        log.push_pages(FileId(1), 3 * 4096, pages.collect())
            .expect("room");
        write(&log, &device);
        log.push(&Record::Orphan { file: FileId(1) });
        write(&log, &device);
        let mut at = REGION.extent.start.0;
        for _ in 0..2 {
            let sector = device.read_blocking(at, SECTOR_LEN).expect("memory reads");
            let header = format::peek_batch(&sector).expect("a batch");
            let stored_bytes = header.stored_bytes();
            let len = usize::try_from(stored_bytes).expect("a batch is short");
            let bytes = device.read_blocking(at, len).expect("memory reads");
            assert!(format::open_batch(&bytes, &header).is_some());
            let end = header.sealed().expect("a batch is short").end;
            assert!(bytes[end..].iter().all(|&byte| byte == 0), "at {at}");
            at += stored_bytes;
        }
    }
}
