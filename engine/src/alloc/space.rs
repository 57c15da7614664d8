//! The accounting of the device's bytes.

use std::sync::Arc;

use super::reservation::Reservation;
use crate::error::Result;
use crate::units::{DiskExtent, DiskOffset, Generation};

/// The sums. `allocated + pinned + free == capacity` and `reserved <= free`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceNumbers {
    /// Bytes that can be allocated at all: the device without the system area.
    pub capacity_bytes: u64,
    /// Data and tree nodes.
    pub allocated_bytes: u64,
    /// Of those, tree nodes.
    pub node_bytes: u64,
    /// Freed, reusable after the commit of the generation that freed them.
    pub pinned_bytes: u64,
    /// Neither allocated nor pinned.
    pub free_bytes: u64,
    /// Promised, out of the free bytes: data and their metadata.
    pub reserved_bytes: u64,
    /// Kept out of reach of new reservations, so that removals and commits always go on.
    pub metadata_reserve_bytes: u64,
    /// What `reserve` could still promise, metadata share included.
    pub available_bytes: u64,
}

/// All bytes of an open volume's device.
#[derive(Debug)]
pub struct Space {}

impl Space {
    /// Promises `bytes` (rounded up to sectors) and their metadata; `NoSpace` if that cannot be kept.
    pub fn reserve(self: &Arc<Self>, _bytes: u64) -> Result<Reservation> {
        unimplemented!()
    }

    /// Would a commit make room for `bytes` that are refused now?
    pub fn commit_would_help(&self, _bytes: u64) -> bool {
        unimplemented!()
    }

    /// One contiguous extent, first fit after `hint`; `None` where no free piece is long enough.
    /// `bytes` is a multiple of the sector and at most what the reservation holds.
    pub fn allocate_contiguous(
        &self,
        _reservation: &mut Reservation,
        _bytes: u64,
        _hint: Option<DiskOffset>,
    ) -> Option<DiskExtent> {
        unimplemented!()
    }

    /// `bytes` in as few pieces as there are, none longer than `piece_bytes_max`. Fails only while
    /// freed space waits for a commit: after one it succeeds.
    pub fn allocate_pieces(
        &self,
        _reservation: &mut Reservation,
        _bytes: u64,
        _piece_bytes_max: u64,
        _hint: Option<DiskOffset>,
    ) -> Result<Vec<DiskExtent>> {
        unimplemented!()
    }

    /// Takes back an extent that no item ever pointed to: reusable at once.
    pub fn free_unpublished(&self, _extent: DiskExtent) {
        unimplemented!()
    }

    /// Frees an extent in `generation`: reusable once that generation is durable.
    pub fn pin(&self, _extent: DiskExtent, _generation: Generation) {
        unimplemented!()
    }

    /// `generation` is durable: what it and earlier ones freed is free.
    pub fn unpin_through(&self, _generation: Generation) {
        unimplemented!()
    }

    /// The sums.
    pub fn numbers(&self) -> SpaceNumbers {
        unimplemented!()
    }
}
