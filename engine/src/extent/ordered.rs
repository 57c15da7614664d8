//! Ordered extents: what is on its way to the device and not yet in the metadata.
//!
//! This table is the heart of crash consistency. A range enters it when it is handed to writeback
//! and leaves it in the same critical section that makes its metadata, so there is no moment at
//! which a range handed off is invisible to `sync`:
//!
//! ```text
//!   begin --> Compressing --place--> Writing --finish--> (gone: in the tree, or failed)
//!              one entry               one entry per extent of the item
//! ```
//!
//! Invariants
//!   * Entries of one file do not overlap: a range is never in two write generations at once.
//!   * A hand-off has one `Sequence`; all entries made from it carry it. `sync` waits until no entry
//!     with a sequence it saw is left, and so is not kept waiting by later writers.
//!
//! Pure: the owner holds the file's state lock and wakes the waiters. Not here: what happens to the
//! pages (writeback), the device addresses (they travel with the work item).

use std::collections::BTreeMap;

use crate::units::FileRange;

/// Order of hand-offs within a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Sequence(u64);

/// Where an entry is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Handed off: being compressed, or waiting for its turn.
    Compressing,
    /// It has an address and is being written.
    Writing,
}

#[derive(Debug)]
struct Entry {
    range: FileRange,
    sequence: Sequence,
    stage: Stage,
}

/// The in-flight table of one file.
#[derive(Debug, Default)]
pub(crate) struct OrderedExtents {
    by_start: BTreeMap<u64, Entry>,
    live: BTreeMap<Sequence, usize>,
    last: Sequence,
}

impl OrderedExtents {
    /// `range` is handed off.
    ///
    /// # Panics
    /// Where part of it is in flight already.
    pub(crate) fn begin(&mut self, range: FileRange) -> Sequence {
        assert!(
            !self.any_in(range),
            "{range:?} would be in two write generations at once"
        );
        self.last = Sequence(self.last.0 + 1);
        self.insert(Entry {
            range,
            sequence: self.last,
            stage: Stage::Compressing,
        });
        self.last
    }

    /// The item of `range` was cut into `extents`, which cover it and now have addresses.
    pub(crate) fn place(&mut self, range: FileRange, extents: &[FileRange]) {
        let sequence = self.take(range, Stage::Compressing);
        let mut covered_to = range.start;
        for &extent in extents {
            assert_eq!(extent.start, covered_to, "the extents of an item touch");
            covered_to = extent.end;
            self.insert(Entry {
                range: extent,
                sequence,
                stage: Stage::Writing,
            });
        }
        assert_eq!(covered_to, range.end, "the extents of an item cover it");
    }

    /// The extent at `range` is done, well or badly.
    pub(crate) fn finish(&mut self, range: FileRange) {
        self.take(range, Stage::Writing);
    }

    /// The latest hand-off so far.
    pub(crate) fn latest(&self) -> Sequence {
        self.last
    }

    /// Nothing of the hand-offs up to `sequence` is in flight.
    pub(crate) fn done_through(&self, sequence: Sequence) -> bool {
        self.live
            .first_key_value()
            .is_none_or(|(&oldest, _)| oldest > sequence)
    }

    /// Something in `range` is in flight.
    pub(crate) fn any_in(&self, range: FileRange) -> bool {
        !range.is_empty()
            && self
                .by_start
                .range(..range.end)
                .next_back()
                .is_some_and(|(_, entry)| entry.range.overlaps(range))
    }

    fn insert(&mut self, entry: Entry) {
        *self.live.entry(entry.sequence).or_insert(0) += 1;
        let before = self.by_start.insert(entry.range.start, entry);
        assert!(
            before.is_none(),
            "an ordered extent starts where another one does"
        );
    }

    fn take(&mut self, range: FileRange, stage: Stage) -> Sequence {
        let entry = self
            .by_start
            .remove(&range.start)
            .expect("an ordered extent finishes once");
        assert_eq!(
            (entry.range, entry.stage),
            (range, stage),
            "an ordered extent keeps its shape"
        );
        let count = self
            .live
            .get_mut(&entry.sequence)
            .expect("a live entry is counted");
        *count -= 1;
        if *count == 0 {
            self.live.remove(&entry.sequence);
        }
        entry.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_is_not_kept_by_later_hand_offs() {
        let mut table = OrderedExtents::default();
        let item = FileRange::new(0, 8192);
        let first = table.begin(item);
        let halves = [FileRange::new(0, 4096), FileRange::new(4096, 8192)];
        table.place(item, &halves);
        table.begin(FileRange::new(8192, 12_288));
        table.finish(halves[1]);
        assert!(!table.done_through(first));
        table.finish(halves[0]);
        assert!(table.done_through(first));
        assert!(!table.done_through(table.latest()));
        assert!(table.any_in(FileRange::new(0, 8193)));
        assert!(!table.any_in(item));
    }

    #[test]
    #[should_panic(expected = "two write generations")]
    fn a_range_is_not_handed_off_twice() {
        let mut table = OrderedExtents::default();
        table.begin(FileRange::new(0, 8192));
        table.begin(FileRange::new(4096, 12_288));
    }
}
