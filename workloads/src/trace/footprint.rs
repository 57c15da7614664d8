//! How much of the address space a recording touches: a bit per 4 KiB.
//!
//! Bits are kept in leaves of 2 MiB of one file, 64 bytes each, made when first touched. A set of intervals would be
//! exact to the byte and was refused: scattered small requests, which is what most recordings are, cost it a tree node each.

use std::collections::HashMap;

use crate::op::FileSlot;

const PAGE_BYTES: u64 = 4096;
const LEAF_PAGES: u64 = 512;

/// The pages touched.
#[derive(Debug, Default)]
pub(crate) struct Footprint {
    leaves: HashMap<(FileSlot, u64), [u64; 8]>,
    pages: u64,
}

impl Footprint {
    /// Notes `bytes` at `offset`.
    pub(crate) fn touch(&mut self, file: FileSlot, offset: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let (mut page, last) = (offset / PAGE_BYTES, (offset + bytes - 1) / PAGE_BYTES);
        while page <= last {
            let leaf_index = page / LEAF_PAGES;
            let leaf_last = last.min(leaf_index * LEAF_PAGES + LEAF_PAGES - 1);
            let leaf = self.leaves.entry((file, leaf_index)).or_default();
            for page in page..=leaf_last {
                let bit = page % LEAF_PAGES;
                let word = &mut leaf[usize::try_from(bit / 64).expect("below 8")];
                let mask = 1 << (bit % 64);
                self.pages += u64::from(*word & mask == 0);
                *word |= mask;
            }
            page = leaf_last + 1;
        }
    }

    /// Bytes of the pages touched.
    pub(crate) fn bytes(&self) -> u64 {
        self.pages * PAGE_BYTES
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
}
