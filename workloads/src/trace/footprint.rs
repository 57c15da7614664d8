//! How much of the address space a recording touches: a bit per 4 KiB, or a range where a request is long.
//!
//! Bits are kept in leaves of 2 MiB of one file, 64 bytes each, made when first touched. A set of intervals would be
//! exact to the byte and was refused: scattered small requests, which is what most recordings are, cost it a tree node each.
//! Leaves that a single request touches whole are kept as ranges of leaves, so that a request costs the same
//! whatever its length: one line may discard a whole device, or say so.

use std::collections::{BTreeMap, HashMap};

use crate::op::FileSlot;

pub(super) const PAGE_BYTES: u64 = 4096;
pub(super) const LEAF_PAGES: u64 = 512;

/// The pages touched.
#[derive(Debug, Default)]
pub(crate) struct Footprint {
    /// Bits of leaves; what is in `whole` as well does not count here.
    leaves: HashMap<(FileSlot, u64), [u64; 8]>,
    /// From the first leaf of a range to the leaf after its last. Ranges neither overlap nor touch.
    whole: BTreeMap<(FileSlot, u64), u64>,
}

impl Footprint {
    /// Notes `bytes` at `offset`.
    pub(crate) fn touch(&mut self, file: FileSlot, offset: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let (first, end) = (offset / PAGE_BYTES, (offset + bytes).div_ceil(PAGE_BYTES));
        let (whole_first, whole_end) = (first.div_ceil(LEAF_PAGES), end / LEAF_PAGES);
        if whole_first < whole_end {
            self.touch_whole(file, whole_first, whole_end);
            self.touch_pages(file, first, whole_first * LEAF_PAGES);
            self.touch_pages(file, whole_end * LEAF_PAGES, end);
        } else {
            self.touch_pages(file, first, end);
        }
    }

    /// Pages of two leaves at most.
    fn touch_pages(&mut self, file: FileSlot, first: u64, end: u64) {
        for page in first..end {
            let bit = page % LEAF_PAGES;
            let leaf = self.leaves.entry((file, page / LEAF_PAGES)).or_default();
            leaf[usize::try_from(bit / 64).expect("below 8")] |= 1 << (bit % 64);
        }
    }

    fn touch_whole(&mut self, file: FileSlot, mut first: u64, mut end: u64) {
        let known = |whole: &BTreeMap<(FileSlot, u64), u64>, end| {
            let before = whole.range((file, 0)..=(file, end)).next_back();
            before.map(|(&(_, start), &stop)| (start, stop))
        };
        while let Some((start, stop)) = known(&self.whole, end)
            && stop >= first
        {
            self.whole.remove(&(file, start));
            (first, end) = (first.min(start), end.max(stop));
        }
        self.whole.insert((file, first), end);
    }

    /// How many leaves there are with bits of their own.
    pub(super) fn leaf_count(&self) -> usize {
        self.leaves.len()
    }

    /// Which pages of a leaf were touched, a bit each.
    pub(super) fn of_leaf(&self, file: FileSlot, leaf: u64) -> [u64; 8] {
        if self.is_whole(file, leaf) {
            return [u64::MAX; 8];
        }
        self.leaves.get(&(file, leaf)).copied().unwrap_or_default()
    }

    fn is_whole(&self, file: FileSlot, leaf: u64) -> bool {
        let before = self.whole.range((file, 0)..=(file, leaf)).next_back();
        before.is_some_and(|(_, &end)| leaf < end)
    }

    /// Bytes of the pages touched.
    pub(crate) fn bytes(&self) -> u64 {
        let ranges = self
            .whole
            .iter()
            .map(|(&(_, first), &end)| (end - first) * LEAF_PAGES);
        let bits = self
            .leaves
            .iter()
            .filter(|&(&(file, leaf), _)| !self.is_whole(file, leaf))
            .map(|(_, words)| words.iter().map(|word| u64::from(word.count_ones())).sum());
        ranges
            .chain(bits)
            .fold(0, |sum: u64, pages| sum.saturating_add(pages * PAGE_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_count_once() {
        let mut footprint = Footprint::default();
        footprint.touch(FileSlot(0), 0, 1);
        footprint.touch(FileSlot(0), 4095, 2);
        footprint.touch(FileSlot(0), 0, 8192);
        footprint.touch(FileSlot(1), 0, 8192);
        footprint.touch(FileSlot(1), 5, 0);
        assert_eq!(footprint.bytes(), 4 * 4096);
        footprint.touch(FileSlot(2), (2 << 20) - 1, (4 << 20) + 2);
        assert_eq!(footprint.bytes(), (4 + 1026) * 4096);
    }

    #[test]
    fn ranges_and_bits_count_alike() {
        const LEAF_BYTES: u64 = LEAF_PAGES * PAGE_BYTES;
        let mut footprint = Footprint::default();
        footprint.touch(FileSlot(0), LEAF_BYTES + 4096, 4096);
        footprint.touch(FileSlot(0), 0, 3 * LEAF_BYTES);
        footprint.touch(FileSlot(0), 2 * LEAF_BYTES, 4096);
        assert_eq!(footprint.bytes(), 3 * LEAF_BYTES);
        footprint.touch(FileSlot(0), 5 * LEAF_BYTES, LEAF_BYTES);
        footprint.touch(FileSlot(1), 3 * LEAF_BYTES, LEAF_BYTES);
        assert_eq!(footprint.bytes(), 5 * LEAF_BYTES);
        footprint.touch(FileSlot(0), 2 * LEAF_BYTES, 9 * LEAF_BYTES + 1);
        assert_eq!(footprint.bytes(), 12 * LEAF_BYTES + 4096);
        assert_eq!(footprint.whole.len(), 2);
        footprint.touch(FileSlot(2), 0, i64::MAX as u64);
        footprint.touch(FileSlot(3), 0, i64::MAX as u64);
        assert_eq!(footprint.bytes(), u64::MAX, "as many as there can be");
    }
}
