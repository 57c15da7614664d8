//! Free bytes as maximal runs, found by address and by size.
//!
//! Three views of one set are kept in step: runs by address (neighbours merge), runs by size (best
//! fit), and the runs that hold at least one *slot*. A slot is an aligned, wholly free place for a
//! tree node. Data of any length would in time leave no such place although much is free, so the
//! number of slots is counted exactly and the strategy keeps data away from the last ones.
//!
//! Invariants
//!   * Runs do not touch or overlap; each is a whole number of sectors.
//!   * `slots` is the sum over all runs of the slots inside them.
//!
//! Not here: which run to take (strategy), who may (space).

use std::collections::{BTreeMap, BTreeSet};

use crate::units::{DiskExtent, DiskOffset, SECTOR_BYTES};

/// The free runs of a device.
#[derive(Debug)]
pub(crate) struct FreeMap {
    by_start: BTreeMap<u64, u64>,
    by_bytes: BTreeSet<(u64, u64)>,
    with_slots: BTreeSet<u64>,
    slots: u64,
    slot_bytes: u64,
    free_bytes: u64,
}

impl FreeMap {
    /// Nothing free yet.
    pub(crate) fn new(slot_bytes: u64) -> Self {
        assert!(slot_bytes.is_power_of_two() && slot_bytes >= SECTOR_BYTES);
        Self {
            by_start: BTreeMap::new(),
            by_bytes: BTreeSet::new(),
            with_slots: BTreeSet::new(),
            slots: 0,
            slot_bytes,
            free_bytes: 0,
        }
    }

    /// Adds bytes that are not free yet and merges them with their neighbours.
    ///
    /// # Panics
    /// Where any of them is free already: somebody freed twice.
    pub(crate) fn insert(&mut self, extent: DiskExtent) {
        let (mut start, mut bytes) = (extent.start.0, extent.bytes);
        assert!(
            bytes > 0 && bytes % SECTOR_BYTES == 0 && start % SECTOR_BYTES == 0,
            "free space is whole sectors: {extent:?}"
        );
        let end = start + bytes;
        if let Some((&left, &left_bytes)) = self.by_start.range(..start).next_back() {
            assert!(left + left_bytes <= start, "freed twice: {extent:?}");
            if left + left_bytes == start {
                self.take_run(left, left_bytes);
                start = left;
                bytes += left_bytes;
            }
        }
        if let Some((&right, &right_bytes)) = self.by_start.range(extent.start.0..).next() {
            assert!(end <= right, "freed twice: {extent:?}");
            if right == end {
                self.take_run(right, right_bytes);
                bytes += right_bytes;
            }
        }
        self.put_run(start, bytes);
    }

    /// Takes bytes that lie in one run.
    ///
    /// # Panics
    /// Where some are not free.
    pub(crate) fn remove(&mut self, extent: DiskExtent) {
        let (start, end) = (extent.start.0, extent.end().0);
        let run = self.run_at(start).expect("allocated bytes were free");
        assert!(
            end <= run.end().0 && start < end,
            "allocated past a free run: {extent:?}"
        );
        self.take_run(run.start.0, run.bytes);
        if run.start.0 < start {
            self.put_run(run.start.0, start - run.start.0);
        }
        if end < run.end().0 {
            self.put_run(end, run.end().0 - end);
        }
    }

    /// The run that holds byte `at`.
    pub(crate) fn run_at(&self, at: u64) -> Option<DiskExtent> {
        let (&start, &bytes) = self.by_start.range(..=at).next_back()?;
        (at < start + bytes).then_some(extent(start, bytes))
    }

    /// Runs that start at or after `at`, by address.
    pub(crate) fn runs_from(&self, at: u64) -> impl Iterator<Item = DiskExtent> {
        self.by_start.range(at..).map(|(&s, &b)| extent(s, b))
    }

    /// Runs of at least `bytes`, smallest first.
    pub(crate) fn runs_of_at_least(&self, bytes: u64) -> impl Iterator<Item = DiskExtent> {
        self.by_bytes
            .range((bytes, 0)..)
            .map(|&(b, s)| extent(s, b))
    }

    /// The longest run.
    pub(crate) fn longest(&self) -> Option<DiskExtent> {
        self.by_bytes.last().map(|&(b, s)| extent(s, b))
    }

    /// The slot with the highest address.
    pub(crate) fn last_slot(&self) -> Option<DiskExtent> {
        let &start = self.with_slots.last()?;
        let end = start + self.by_start[&start];
        let slot = end / self.slot_bytes * self.slot_bytes - self.slot_bytes;
        Some(extent(slot, self.slot_bytes))
    }

    /// Slots inside these bytes.
    pub(crate) fn slots_in(&self, start: u64, bytes: u64) -> u64 {
        let first = start.next_multiple_of(self.slot_bytes);
        ((start + bytes).saturating_sub(first)) / self.slot_bytes
    }

    /// All slots.
    pub(crate) fn slots(&self) -> u64 {
        self.slots
    }

    /// Bytes of a slot.
    pub(crate) fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// All free bytes.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    fn put_run(&mut self, start: u64, bytes: u64) {
        let slots = self.slots_in(start, bytes);
        self.by_start.insert(start, bytes);
        self.by_bytes.insert((bytes, start));
        if slots > 0 {
            self.with_slots.insert(start);
        }
        self.slots += slots;
        self.free_bytes += bytes;
    }

    fn take_run(&mut self, start: u64, bytes: u64) {
        let slots = self.slots_in(start, bytes);
        self.by_start.remove(&start);
        self.by_bytes.remove(&(bytes, start));
        if slots > 0 {
            self.with_slots.remove(&start);
        }
        self.slots -= slots;
        self.free_bytes -= bytes;
    }
}

fn extent(start: u64, bytes: u64) -> DiskExtent {
    DiskExtent {
        start: DiskOffset(start),
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn kib(start: u64, bytes: u64) -> DiskExtent {
        extent(start * KIB, bytes * KIB)
    }

    #[test]
    fn neighbours_merge_and_slots_are_counted_where_they_are_whole() {
        let mut map = FreeMap::new(16 * KIB);
        map.insert(kib(4, 12));
        assert_eq!(map.slots(), 0);
        map.insert(kib(20, 12));
        assert_eq!(map.slots(), 0);
        map.insert(kib(16, 4));
        assert_eq!((map.slots(), map.free_bytes()), (1, 28 * KIB));
        assert_eq!(map.longest(), Some(kib(4, 28)));
        assert_eq!(map.last_slot(), Some(kib(16, 16)));
        map.remove(kib(28, 4));
        assert_eq!((map.slots(), map.last_slot()), (0, None));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_twice_is_noticed() {
        let mut map = FreeMap::new(4 * KIB);
        map.insert(kib(0, 16));
        map.insert(kib(8, 4));
    }
}
