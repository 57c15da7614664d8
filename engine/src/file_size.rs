//! How much of a file may be called its size on disk.
//!
//! A file grows in memory the moment it is written; on disk it grows only over bytes that are
//! there. Otherwise a crash between two extents that finish out of order would show a file whose
//! tail is new and whose middle was never written. So the size on disk advances over a completed
//! prefix:
//!
//! ```text
//!   0            disk_bytes                                  memory_bytes
//!   |== on disk ==|## unwritten ##|== ahead ==|## unwritten ##|
//!                 ^ stays here until the first ## is finished
//! ```
//!
//! A `sync` answers for the file as long as it was when it was called, whatever is written below that end
//! meanwhile: it *asks* for that size, and once its bytes are durable the size on disk moves there. What is
//! unwritten below it was written later, and its older content, a hole, may be seen after a crash.
//!
//! Invariants
//!   * `unwritten` and `ahead` are disjoint and lie at or above `disk_bytes`.
//!   * `disk_bytes` only falls by `truncate`.
//!   * What is asked for is no longer than the file has been since.
//!   * A byte that is overwritten after it was completed stays `ahead`: its older content is on
//!     disk, and either content may be seen after a crash.
//!
//! Pure: the owner holds the file's state lock. Not here: the pages themselves (cache), what is in
//! flight (extent/ordered).

use std::collections::BTreeMap;

use crate::extent::IntervalMap;
use crate::mutation::{self, Mutation};
use crate::units::FileRange;

/// The two sizes of a file and what lies between them. Bytes, not pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileSize {
    memory_bytes: u64,
    disk_bytes: u64,
    unwritten: IntervalMap<()>,
    ahead: IntervalMap<()>,
    /// Sizes that are asked for, by the number of who asks.
    asked: BTreeMap<u64, u64>,
    asked_next: u64,
}

impl FileSize {
    /// A file whose `bytes` are all on disk.
    pub(crate) fn on_disk(bytes: u64) -> Self {
        Self {
            memory_bytes: bytes,
            disk_bytes: bytes,
            ..Self::default()
        }
    }

    /// The size that readers and writers see.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The size that is on disk, in the tree or in the log.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// `range` was written in memory.
    pub(crate) fn wrote(&mut self, range: FileRange) {
        self.memory_bytes = self.memory_bytes.max(range.end);
        let fresh = FileRange {
            start: range.start.max(self.disk_bytes),
            end: range.end,
        };
        if fresh.start >= fresh.end {
            return;
        }
        let mut at = fresh.start;
        for (done, ()) in self.ahead.overlapping(fresh.start..fresh.end) {
            if at < done.start {
                self.unwritten.insert(at..done.start, &());
            }
            at = done.end;
        }
        if at < fresh.end {
            self.unwritten.insert(at..fresh.end, &());
        }
    }

    /// `range` is about to be complete on disk, as it was when the file had `size_at` bytes.
    /// Returns the size on disk that goes into the same change of metadata.
    pub(crate) fn completed(&mut self, range: FileRange, size_at: u64) -> u64 {
        let done = FileRange {
            start: range.start.max(self.disk_bytes),
            end: range.end.min(size_at).min(self.memory_bytes),
        };
        if done.start < done.end {
            self.unwritten.remove(done.start..done.end);
            self.ahead.insert(done.start..done.end, &());
        }
        self.advance()
    }

    /// Asks for the size of now; the number is for `answered` and `forget`.
    pub(crate) fn ask(&mut self) -> u64 {
        let number = self.asked_next;
        self.asked_next += 1;
        self.asked.insert(number, self.memory_bytes);
        number
    }

    /// All that was written when `number` asked is durable or part of the same change. Returns the size on disk.
    pub(crate) fn answered(&mut self, number: u64) -> u64 {
        if let Some(&bytes) = self.asked.get(&number)
            && !mutation::on(Mutation::SizeHeldBack)
        {
            self.unwritten.remove(0..bytes);
        }
        self.advance()
    }

    /// Nobody answers `number` any more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.asked.remove(&number);
    }

    /// The size on disk if these ranges were complete, each as `completed` takes it.
    pub(crate) fn with_completed(&self, done: impl Iterator<Item = (FileRange, u64)>) -> u64 {
        let mut then = self.clone();
        for (range, size_at) in done {
            then.completed(range, size_at);
        }
        then.disk_bytes
    }

    /// The bytes of `range` are lost to a failed write: they are neither new nor awaited. Returns the
    /// size on disk, which does not wait for them either.
    pub(crate) fn abandoned(&mut self, range: FileRange) -> u64 {
        self.unwritten.remove(range.start..range.end);
        self.advance()
    }

    /// The file has exactly `bytes` now, in memory and in metadata. Growth is a hole, which needs
    /// no writing, but it does not jump over bytes that do.
    pub(crate) fn truncate(&mut self, bytes: u64) -> u64 {
        self.memory_bytes = bytes;
        self.unwritten.remove(bytes..u64::MAX);
        self.ahead.remove(bytes..u64::MAX);
        for asked_bytes in self.asked.values_mut() {
            *asked_bytes = bytes.min(*asked_bytes);
        }
        self.disk_bytes = self.disk_bytes.min(bytes);
        self.advance()
    }

    fn advance(&mut self) -> u64 {
        self.disk_bytes = self.disk_bytes.max(self.frontier());
        self.ahead.remove(0..self.disk_bytes);
        self.disk_bytes
    }

    /// The first byte that still has to be written, or the end of the file.
    fn frontier(&self) -> u64 {
        if mutation::on(Mutation::SizePastPrefix) {
            return self.memory_bytes;
        }
        let gap = self.unwritten.iter().next().map(|(gap, ())| gap.start);
        gap.unwrap_or(self.memory_bytes).min(self.memory_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> FileRange {
        FileRange::new(start, end)
    }

    #[test]
    fn the_size_advances_over_a_prefix_only() {
        let mut size = FileSize::default();
        size.wrote(range(0, 30_000));
        assert_eq!(size.completed(range(8192, 16_384), 30_000), 0);
        assert_eq!(size.completed(range(0, 8192), 30_000), 16_384);
        assert_eq!(size.completed(range(16_384, 32_768), 30_000), 30_000);
    }

    #[test]
    fn an_append_during_writeback_waits_for_its_own_writeback() {
        let mut size = FileSize::on_disk(100);
        size.wrote(range(100, 200));
        size.wrote(range(200, 300));
        assert_eq!(size.completed(range(0, 4096), 200), 200);
        assert_eq!(size.completed(range(0, 4096), 300), 300);
    }

    #[test]
    fn an_overwrite_of_completed_bytes_does_not_hold_the_size_back() {
        let mut size = FileSize::default();
        size.wrote(range(0, 12_288));
        assert_eq!(size.completed(range(4096, 12_288), 12_288), 0);
        size.wrote(range(8192, 9000));
        assert_eq!(size.completed(range(0, 4096), 12_288), 12_288);
    }

    #[test]
    fn a_hole_before_a_write_needs_no_writing() {
        let mut size = FileSize::default();
        size.wrote(range(1 << 20, (1 << 20) + 10));
        assert_eq!(
            size.completed(range(1 << 20, (1 << 20) + 4096), (1 << 20) + 10),
            (1 << 20) + 10
        );
    }

    #[test]
    fn bytes_that_are_lost_are_not_waited_for() {
        let mut size = FileSize::on_disk(4096);
        size.wrote(range(4096, 12_288));
        assert_eq!(size.completed(range(8192, 12_288), 12_288), 4096);
        assert_eq!(size.abandoned(range(4096, 8192)), 12_288);
    }

    #[test]
    fn what_is_written_later_does_not_hold_back_what_was_asked_for() {
        let mut size = FileSize::default();
        size.wrote(range(4096, 8192));
        let asked = size.ask();
        size.wrote(range(0, 4096));
        size.wrote(range(8192, 9000));
        assert_eq!(size.completed(range(4096, 8192), 8192), 0);
        assert_eq!(size.answered(asked), 8192);
        size.forget(asked);
        assert_eq!(size.answered(asked), 8192);
        assert_eq!(size.completed(range(8192, 12_288), 9000), 9000);
    }

    #[test]
    fn what_was_asked_for_is_cut_with_the_file() {
        let mut size = FileSize::default();
        size.wrote(range(0, 8192));
        let asked = size.ask();
        assert_eq!(size.truncate(100), 0);
        size.wrote(range(100, 8192));
        assert_eq!(size.answered(asked), 100);
    }

    #[test]
    fn truncation_forgets_what_it_cut_and_growth_does_not_jump() {
        let mut size = FileSize::default();
        size.wrote(range(0, 10_000));
        assert_eq!(size.truncate(20_000), 0);
        assert_eq!(size.completed(range(0, 12_288), 20_000), 20_000);
        assert_eq!(size.truncate(5), 5);
        assert_eq!(size.memory_bytes(), 5);
    }
}
