//! The records and the ring together: what a batch is made of, and what a commit does to both.
//!
//! Pure; the owner holds the lock. Not here: writing (write).

use super::format::{self, DATA_RECORD_BYTES, HEADER_BYTES};
use super::held::{DataNumber, Held, HeldSet, LoggedBytes, LoggedPage};
use super::pending::{Lsn, Pending};
use super::record::{Prepared, Record, SizeChange};
use super::ring::{Mark, Ring, Slot};
use crate::meta::format::LogTail;
use crate::mutation::{self, Mutation};
use crate::units::{FileId, FileRange, Generation, PageIndex};

/// Pending records may fill this part of the log; above it a commit is the better answer.
const PENDING_DIVISOR: u64 = 4;
/// Pages are taken while less than this part of the log is in use; what is above it is for records, which
/// are smaller and cannot go elsewhere.
const DATA_PERCENT_MAX: u64 = 75;

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
    /// The generation that pages and prepared records belong to in this batch.
    pub(crate) generation: Generation,
    /// Pages that were pending.
    pub(crate) pages: Vec<LoggedPage>,
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
    held: Held,
    ring: Ring,
    /// What superblocks say of the log instead, while an open brings its pages home.
    replaying: Option<LogClaim>,
}

/// What a superblock says of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogClaim {
    pub(crate) tail: LogTail,
    pub(crate) held: HeldSet,
    /// The last batch with a page that is held and durable; 0 without one. Less than that is not the whole log.
    pub(crate) held_through: u64,
    /// Nothing behind the tail counts but what is held.
    pub(crate) replayed: bool,
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
            held: Held::default(),
            ring: Ring::new(bytes, tail),
            replaying: None,
        }
    }

    /// From now on the tree has what the log says that an open has found, but for the pages that `claim` names; nothing
    /// new is logged until `replayed`.
    pub(crate) fn replay(&mut self, claim: LogClaim) {
        self.replaying = Some(claim);
    }

    /// Those are home too: the next commit lets go of that log.
    pub(crate) fn replayed(&mut self) {
        self.replaying = None;
    }

    /// A change was made.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        match record {
            Record::Remove { file } => {
                let next = self.held.next();
                self.held.supersede(*file, FileRange::WHOLE, next);
            }
            Record::Cut {
                file,
                size: SizeChange::Set(size_bytes),
                ..
            } => self.held.cap(*file, *size_bytes),
            _ => {}
        }
        self.pending.push(record);
    }

    /// A change was made, with what it says to whoever reads the log where that does not say it yet, and the logged
    /// pages of its range before `before` are older than it. Both at once: a batch between the two would have
    /// neither.
    pub(crate) fn push_newer(
        &mut self,
        record: Option<&Record<'_>>,
        file: FileId,
        range: FileRange,
        before: DataNumber,
    ) {
        if let Some(record) = record {
            self.push(record);
        }
        self.held.supersede(file, range, before);
    }

    /// `range` of `file` is in the tree as the log has it.
    pub(crate) fn came_home(&mut self, file: FileId, range: FileRange) {
        let before = self.held.next();
        if self.held.holds(file, range, before) {
            let record = Record::Home {
                file,
                range,
                data_before: before,
            };
            self.push_newer(Some(&record), file, range, before);
        }
    }

    /// Pages of a file that has `size_bytes` are wanted in the log. Returns a number above theirs, or
    /// nothing where there is no room for them.
    pub(crate) fn push_pages(
        &mut self,
        file: FileId,
        size_bytes: u64,
        pages: Vec<(PageIndex, LoggedBytes)>,
    ) -> Option<DataNumber> {
        let bytes = (self.held.pending() + pages.len()) * DATA_RECORD_BYTES;
        let payload_bytes = (self.pending.bytes() + bytes) as u64;
        let used_then = self.ring.used_bytes() + format::stored_bytes(payload_bytes);
        let has_room = self.pending.has_room(bytes)
            && self.held.has_room(pages.len())
            && used_then * 100 <= self.ring.bytes() * DATA_PERCENT_MAX;
        if !has_room {
            return None;
        }
        for (page, bytes) in pages {
            self.held.push(file, page, size_bytes, bytes);
        }
        self.pending.touch(file);
        Some(self.held.next())
    }

    /// The pages of the log that no tree has.
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Everything pending, as a batch with a place.
    #[cfg(test)]
    fn cut_pages(&mut self) -> Result<Batch, NoBatch> {
        self.cut(Lsn::default(), std::iter::empty())
    }

    /// Everything pending and `prepared`, as a batch with a place. `wanted` is what its callers need.
    pub(crate) fn cut<'p>(
        &mut self,
        wanted: Lsn,
        prepared: impl Iterator<Item = &'p Prepared>,
    ) -> Result<Batch, NoBatch> {
        let prepared_bytes: usize = prepared.map(|prepared| prepared.bytes.len()).sum();
        let is_needless = prepared_bytes == 0 && self.held.pending() == 0;
        if is_needless && self.pending.is_durable(wanted) {
            return Err(NoBatch::Needless);
        }
        if !self.pending.is_whole() {
            return Err(NoBatch::NeedsCommit);
        }
        let page_bytes = self.held.pending() * DATA_RECORD_BYTES;
        let payload_bytes = (self.pending.bytes() + prepared_bytes + page_bytes) as u64;
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
            pages: self.held.take(slot.place),
        })
    }

    /// A batch is written and flushed.
    pub(crate) fn flushed(&mut self, batch: &Batch) {
        self.pending.made_durable(batch.end);
        self.held.flushed(&batch.pages, batch.generation);
    }

    /// A batch could not be written: its records are given up, its pages wait for the next one, which takes its
    /// place and number. That one is cut only behind a commit that closes the gap, so its superblock knows where
    /// it goes; and whatever the failed one left on the device is in that superblock's tree.
    pub(crate) fn failed(&mut self, batch: &Batch) {
        self.pending.give_up();
        self.held.returned(&batch.pages);
        if !mutation::on(Mutation::LogHoleLeft) {
            self.ring.give_back(batch.slot);
        }
    }

    /// The generation is closed: later changes go into the next one. Its superblock says where the log
    /// begins from then on, and which pages in it count.
    pub(crate) fn begin_commit(&mut self) -> (CommitMark, LogClaim) {
        let generation = self.pending.generation();
        let end = self.pending.begin_commit();
        let mut held = self.held.set();
        let mut from = self.held.oldest().unwrap_or_else(|| self.ring.head());
        if mutation::on(Mutation::LogHeldForgotten) {
            (held, from) = (HeldSet::empty(), self.ring.head());
        }
        if mutation::on(Mutation::LogFreedEarly) {
            self.ring.free_to(from.mark);
        }
        let mark = CommitMark {
            generation,
            end,
            mark: from.mark,
        };
        let own = || LogClaim {
            tail: from.tail,
            held_through: match mutation::on(Mutation::LogEndUnsaid) {
                true => 0,
                false => self.held.durable_through(),
            },
            held,
            replayed: false,
        };
        let claim = self.replaying.clone().unwrap_or_else(own);
        (mark, claim)
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

    /// Is something lost to the log that only a commit makes up for?
    pub(crate) fn has_gap(&self) -> bool {
        !self.pending.is_whole()
    }

    /// Is everything up to `wanted` durable?
    pub(crate) fn is_durable(&self, wanted: Lsn) -> bool {
        self.pending.is_durable(wanted)
    }

    /// More than this part of the log is in use.
    pub(crate) fn is_used_above(&self, percent: u64) -> bool {
        self.ring.used_bytes() * 100 > self.ring.bytes() * percent
    }
}

impl Batch {
    /// Bytes of its records and pages with those of `prepared`.
    pub(crate) fn payload_bytes<'p>(&self, prepared: impl Iterator<Item = &'p Prepared>) -> usize {
        let prepared_bytes: usize = prepared.map(|prepared| prepared.bytes.len()).sum();
        self.bytes.len() + prepared_bytes + self.pages.len() * DATA_RECORD_BYTES
    }

    /// Puts the records of its pages there, which is as long as they are.
    pub(crate) fn put_pages(&self, out: &mut [u8]) {
        for (page, record) in self
            .pages
            .iter()
            .zip(out.chunks_exact_mut(DATA_RECORD_BYTES))
        {
            format::put_page(page, self.generation, record);
        }
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
        let (mark, claim) = state.begin_commit();
        assert_eq!(
            claim.tail,
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

    fn push_page(state: &mut LogState) -> Option<DataNumber> {
        let bytes = LoggedBytes::Read(vec![0; 4096].into());
        state.push_pages(FileId(1), 4096, vec![(PageIndex(0), bytes)])
    }

    #[test]
    fn the_tail_stays_at_the_oldest_page_that_is_held() {
        let mut state = state(16);
        let before = push_page(&mut state).expect("room");
        let wanted = state.wanted(FileId(1)).expect("a page is wanted");
        let batch = state.cut(wanted, std::iter::empty()).expect("room");
        assert_eq!(batch.pages.len(), 1);
        state.flushed(&batch);
        assert_eq!(state.wanted(FileId(1)), None);
        let (mark, claim) = state.begin_commit();
        assert_eq!(claim.tail, TAIL);
        assert!(claim.held.contains(DataNumber(0)));
        state.end_commit(mark);
        state.push_newer(None, FileId(1), FileRange::new(0, 4096), before);
        let (_, claim) = state.begin_commit();
        assert_eq!((claim.tail.offset, claim.tail.sequence), (2 * 4096, 2));
        assert_eq!(claim.held, HeldSet::empty());
    }

    #[test]
    fn pages_of_a_failed_batch_are_wanted_after_the_commit_that_closes_its_gap() {
        let mut state = state(16);
        let before = push_page(&mut state).expect("room");
        let wanted = state.wanted(FileId(1)).expect("a page is wanted");
        let batch = state.cut(wanted, std::iter::empty()).expect("room");
        state.failed(&batch);
        assert_eq!(push_page(&mut state), None, "there is a gap");
        let (mark, _) = state.begin_commit();
        state.end_commit(mark);
        assert!(state.held().is_under_way(FileId(1), before));
        let again = state.cut_pages().expect("room");
        state.flushed(&again);
        assert!(!state.held().is_under_way(FileId(1), before));
    }

    #[test]
    fn a_batch_that_failed_leaves_no_hole_behind_a_page_that_is_held() {
        let mut state = state(64);
        push_page(&mut state).expect("room");
        let held = state.cut_pages().expect("room");
        state.flushed(&held);
        let wanted = touch(&mut state);
        let failed = state.cut(wanted, std::iter::empty()).expect("room");
        // Begun before it failed, so it does not close the gap.
        let (early, _) = state.begin_commit();
        state.failed(&failed);
        state.end_commit(early);
        let wanted = touch(&mut state);
        let behind = state.cut(wanted, std::iter::empty());
        assert_eq!(behind.err(), Some(NoBatch::NeedsCommit));
        let (mark, claim) = state.begin_commit();
        assert_eq!(claim.tail, TAIL, "the page is held");
        state.end_commit(mark);
        let wanted = touch(&mut state);
        let next = state.cut(wanted, std::iter::empty()).expect("room");
        assert_eq!((next.slot.offset, next.slot.sequence), (2 * 4096, 2));
    }

    #[test]
    fn a_file_that_is_cut_while_its_page_waits_is_not_grown_by_it() {
        let mut state = state(16);
        push_page(&mut state).expect("room");
        state.push(&Record::Cut {
            file: FileId(1),
            range: FileRange::new(4096, 8192),
            size: SizeChange::Set(100),
            data_before: DataNumber(1),
        });
        let batch = state.cut_pages().expect("room");
        assert_eq!(batch.pages[0].size_bytes, 100);
    }

    #[test]
    fn a_batch_has_a_page_or_what_is_newer() {
        let mut state = state(16);
        let before = push_page(&mut state).expect("room");
        let range = FileRange::new(0, 4096);
        let record = Record::Cut {
            file: FileId(1),
            range,
            size: SizeChange::Keep,
            data_before: before,
        };
        state.push_newer(Some(&record), FileId(1), range, before);
        let wanted = state.wanted(FileId(1)).expect("just pushed");
        let batch = state.cut(wanted, std::iter::empty()).expect("room");
        assert_eq!((batch.pages.len(), batch.records), (0, 1));
        assert!(push_page(&mut state).is_some());
        state.came_home(FileId(1), range);
        state.came_home(FileId(1), range);
        let wanted = state.wanted(FileId(1)).expect("just pushed");
        let batch = state.cut(wanted, std::iter::empty()).expect("room");
        assert_eq!((batch.pages.len(), batch.records), (0, 1), "told once");
    }

    #[test]
    fn pages_leave_room_for_records() {
        let mut state = state(8);
        let mut pushed = 0;
        while push_page(&mut state).is_some() {
            let batch = state.cut_pages().expect("room");
            state.flushed(&batch);
            pushed += 1;
        }
        assert_eq!(pushed, 3, "of two sectors each, in six of eight");
        let wanted = touch(&mut state);
        assert!(state.cut(wanted, std::iter::empty()).is_ok());
    }
}
