//! Bytes promised to dirty data before they have an address, and the metadata they will cost.

use std::sync::Arc;

use super::space::Space;

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

impl Reservation {
    /// Bytes of data still promised.
    pub fn bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Takes `bytes` of the data and the share that belongs to them into a promise of their own.
    ///
    /// # Panics
    /// Above what is left.
    pub fn split(&mut self, _bytes: u64) -> Self {
        unimplemented!()
    }

    /// Takes another promise into this one.
    pub fn merge(&mut self, _other: Self) {
        unimplemented!()
    }

    /// Gives back what is above `bytes` of data, with its share; nothing where less is left.
    pub fn shrink_to(&mut self, _bytes: u64) {
        unimplemented!()
    }
}
