//! A pool of bytes that content is copied from, and the stamps that tell its copies apart.
//!
//! Made-up pools are stamped: 8 bytes of each 4 KiB cell of the file are a hash of (file, cell, version), so that a block read from the wrong
//! place, or in an older version, is wrong for certain and not only where the pool happens to differ. They stand at byte 2040 of the cell, where a
//! heuristic that looks at the start of every 256 bytes does not see them. Real files are not stamped: they are what they are.

use super::Key;
use crate::random::{Dice, mix};

/// The smallest unit of places in a pool, and that of stamps in a file.
pub(super) const CELL_BYTES: usize = 4096;
/// Where in its cell a stamp stands.
const STAMP_AT: usize = 2040;
const STAMP_BYTES: usize = 8;
/// Large enough that the pages of an extent, overwritten one by one, hardly ever repeat each other.
pub(super) const POOL_BYTES: usize = 8 << 20;

/// The bytes.
#[derive(Debug)]
pub(super) struct Pool {
    bytes: Vec<u8>,
    is_stamped: bool,
    /// Byte 0 of a file lies at a multiple of this.
    unit_bytes: usize,
}

impl Pool {
    pub(super) fn new(bytes: Vec<u8>, is_stamped: bool) -> Self {
        assert!(
            !bytes.is_empty() && bytes.len().is_multiple_of(CELL_BYTES),
            "a pool is whole cells: {}",
            bytes.len()
        );
        Self {
            bytes,
            is_stamped,
            unit_bytes: CELL_BYTES,
        }
    }

    /// Keeps what has a grain as large as `unit_bytes` in its place within it.
    pub(super) fn in_units_of(self, unit_bytes: usize) -> Self {
        assert!(
            self.bytes.len().is_multiple_of(unit_bytes) && unit_bytes.is_multiple_of(CELL_BYTES),
            "a pool is whole units: {unit_bytes}"
        );
        Self { unit_bytes, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn random(seed: u64) -> Self {
        let mut dice = Dice::new(&[seed, 0x72_616e_646f]);
        let mut bytes = vec![0; POOL_BYTES];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&dice.bits().to_le_bytes());
        }
        Self::new(bytes, true)
    }

    /// Puts the bytes of a file from `offset` into `out`.
    pub(super) fn fill(&self, key: &Key, offset: u64, out: &mut [u8]) {
        let mut at = self.place(key, offset);
        let mut rest = &mut *out;
        while !rest.is_empty() {
            let bytes = rest.len().min(self.bytes.len() - at);
            let (head, tail) = rest.split_at_mut(bytes);
            head.copy_from_slice(&self.bytes[at..at + bytes]);
            rest = tail;
            at = 0;
        }
        if self.is_stamped {
            for_stamps(offset, out.len(), |cell, range, part| {
                out[range].copy_from_slice(&stamp(key, cell)[part]);
            });
        }
    }

    /// Are `bytes` what `fill` gives?
    pub(super) fn verify(&self, key: &Key, offset: u64, bytes: &[u8]) -> bool {
        if !self.is_stamped {
            return self.is_copied(self.place(key, offset), bytes);
        }
        // Between one stamp and the next the bytes are the pool's.
        let start = self.place(key, offset);
        let mut from = 0;
        let mut is_right = true;
        for_stamps(offset, bytes.len(), |cell, range, part| {
            let at = (start + from) % self.bytes.len();
            is_right &= self.is_copied(at, &bytes[from..range.start])
                && bytes[range.clone()] == stamp(key, cell)[part];
            from = range.end;
        });
        is_right && self.is_copied((start + from) % self.bytes.len(), &bytes[from..])
    }

    fn is_copied(&self, mut at: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let length = bytes.len().min(self.bytes.len() - at);
            if bytes[..length] != self.bytes[at..at + length] {
                return false;
            }
            bytes = &bytes[length..];
            at = 0;
        }
        true
    }

    /// Where in the pool a byte of the file lies.
    fn place(&self, key: &Key, offset: u64) -> usize {
        let len = self.bytes.len() as u64;
        let unit_bytes = self.unit_bytes as u64;
        let units = u128::from(len / unit_bytes);
        let turn = u64::try_from((u128::from(key.turn) * units) >> 64).expect("a unit of the pool")
            * unit_bytes;
        usize::try_from((offset % len + turn) % len).expect("a place in memory")
    }
}

fn stamp(key: &Key, cell: u64) -> [u8; STAMP_BYTES] {
    mix(key.stamp ^ cell.wrapping_mul(0xd6e8_feb8_6659_fd93)).to_le_bytes()
}

/// Calls `each` with every cell whose stamp lies at least partly in the `bytes` bytes from `offset`: the cell, where of the
/// bytes the stamp lies, which part of the stamp it is.
fn for_stamps(
    offset: u64,
    bytes: usize,
    mut each: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let cell_bytes = CELL_BYTES as u64;
    let mut cell = offset / cell_bytes;
    // How far the cell's start lies before the first byte; later cells start after it.
    let mut before = usize::try_from(offset % cell_bytes).expect("less than a cell");
    let mut start = 0;
    while start < bytes {
        let stamp_start = (start + STAMP_AT).saturating_sub(before).max(start);
        let skipped = before.saturating_sub(STAMP_AT).min(STAMP_BYTES);
        let stamp_end = (stamp_start + STAMP_BYTES - skipped).min(bytes);
        if stamp_start < stamp_end {
            each(
                cell,
                stamp_start..stamp_end,
                skipped..skipped + (stamp_end - stamp_start),
            );
        }
        start += CELL_BYTES - before;
        before = 0;
        cell += 1;
    }
}
