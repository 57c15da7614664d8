//! Bytes promised to dirty data before they have an address, and the metadata they will cost.
//!
//! A dirty page can become an extent of its own: a mapping, a stored extent with its checksum, a
//! split of the extent it lands in; some 220 bytes of items, in leaves that are at least a quarter
//! and on average two thirds full. `SHARE_DIVISOR` promises 512 bytes of nodes for each 4 KiB.
//!
//! Not here: the sums (space).

use std::sync::Arc;

use super::headroom::SHARE_DIVISOR;
use super::space::Space;
use crate::units::SECTOR_BYTES;

/// A promise of space; what is left of it goes back on drop.
///
/// It holds two sums: bytes for data, which allocations draw from, and a worst-case share for the
/// items that will describe them, which stays until the drop. Drop it after `finish_extent`.
#[derive(Debug)]
#[must_use = "dropping a reservation gives the space back"]
pub struct Reservation {
    space: Arc<Space>,
    data_bytes: u64,
    metadata_bytes: u64,
}

/// Bytes of nodes promised with `data_bytes`.
pub(crate) fn metadata_share(data_bytes: u64) -> u64 {
    data_bytes / SHARE_DIVISOR
}

impl Reservation {
    /// Wraps bytes the space has promised already.
    pub(crate) fn new(space: Arc<Space>, data_bytes: u64) -> Self {
        Self {
            space,
            data_bytes,
            metadata_bytes: metadata_share(data_bytes),
        }
    }

    /// Bytes of data still promised.
    pub fn bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Takes `bytes` of the data and the share that belongs to them into a promise of their own.
    /// `bytes` is a multiple of the sector.
    ///
    /// # Panics
    /// Above what is left.
    pub fn split(&mut self, bytes: u64) -> Self {
        assert!(
            bytes <= self.data_bytes && bytes.is_multiple_of(SECTOR_BYTES),
            "split {bytes} bytes off a promise of {}",
            self.data_bytes
        );
        let share = metadata_share(bytes).min(self.metadata_bytes);
        self.data_bytes -= bytes;
        self.metadata_bytes -= share;
        Self {
            space: Arc::clone(&self.space),
            data_bytes: bytes,
            metadata_bytes: share,
        }
    }

    /// Takes another promise into this one.
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.space, &other.space),
            "promises of two volumes"
        );
        self.data_bytes += std::mem::take(&mut other.data_bytes);
        self.metadata_bytes += std::mem::take(&mut other.metadata_bytes);
    }

    /// `bytes` of the data have an address now.
    pub(crate) fn spend(&mut self, bytes: u64) {
        assert!(bytes <= self.data_bytes, "allocated more than was promised");
        self.data_bytes -= bytes;
    }

    /// Is this a promise of `space`?
    pub(crate) fn is_of(&self, space: &Space) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.space), space)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.data_bytes > 0 || self.metadata_bytes > 0 {
            self.space.release(self.data_bytes, self.metadata_bytes);
        }
    }
}
