//! The end of an extent's flight: its metadata, or its error.
//!
//! Runs on the `endio_write` pool. Under the file's state lock, in one critical section: the size on
//! disk moves over the completed prefix, the extent and its checksums enter the tree (the extents it
//! replaces are pinned there), the entry leaves the in-flight table, the pages leave writeback. A
//! reader therefore finds a page in the cache or its extent in the tree, never neither.
//!
//! A failed write makes no metadata. Its pages leave the cache unless they were written again
//! meanwhile, so that reads show what the device holds and not bytes that a restart would lose; the
//! error waits for `sync`, once per opener.
//!
//! Pages that were written again during the flight are DIRTY without DELALLOC: the `fixup` pool
//! makes them collectable.

use std::sync::Arc;

use crate::alloc::Reserve;
use crate::compress::Codec;
use crate::error::{EngineError, Result};
use crate::extent::State;
use crate::inode::InodeState;
use crate::log::SizeChange;
use crate::meta::NewExtent;
use crate::mutation::{self, Mutation};
use crate::pool::{Order, WorkItem};
use crate::units::{DiskExtent, FileRange, PAGE_BYTES};
use crate::writeback::fixup;
use crate::writeback::place::Flight;

/// An extent that is on the device.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) disk: DiskExtent,
    pub(crate) codec: Codec,
    pub(crate) checksums: Vec<u32>,
}

impl Written {
    /// The extent, as metadata takes it.
    pub(crate) fn into_extent(self, range: FileRange) -> NewExtent {
        NewExtent {
            range,
            disk: self.disk,
            ram_bytes: range.bytes(),
            codec: self.codec.number(),
            checksums: self.checksums,
        }
    }
}

/// How a flight ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing had to be written.
    Hole,
    /// The device has it.
    Written(Written),
    /// The device does not have it; the address is free again.
    Failed(DiskExtent, EngineError),
    /// It never had an address.
    Unplaced(EngineError),
}

/// Hands the end of a flight to the `endio_write` pool.
pub(crate) fn queue(mut flight: Flight, outcome: Outcome) {
    let core = Arc::clone(&flight.core);
    let bytes = flight.range.bytes();
    flight.passage = flight
        .passage
        .pass_to(&core.stats.finish, bytes, core.clock.now());
    core.pools.endio_write.submit(
        Box::new(FinishItem(Some((flight, outcome)))),
        Order::Unordered,
    );
}

/// Ends a flight on the caller's thread.
pub(crate) fn now(mut flight: Flight, outcome: Outcome) {
    let core = Arc::clone(&flight.core);
    flight.passage =
        flight
            .passage
            .pass_to(&core.stats.finish, flight.range.bytes(), core.clock.now());
    finish(flight, outcome).passage.end(core.clock.now());
}

struct FinishItem(Option<(Flight, Outcome)>);

impl WorkItem for FinishItem {
    fn run(&mut self) {
        let (flight, outcome) = self.0.take().expect("an item runs once");
        let flight = finish(flight, outcome);
        flight.passage.end(flight.core.clock.now());
    }

    fn complete(self: Box<Self>) {}
}

fn finish(mut flight: Flight, outcome: Outcome) -> Flight {
    let holdings = flight.holdings.take();
    let (core, inode, range) = (&flight.core, &flight.inode, flight.range);
    let mut state = inode.lock();
    if let Err(error) = publish(&flight, &mut state, outcome) {
        core.failures.lock().log.record(error.clone());
        state.failures.record(error);
        if let Some(disk_bytes) = lose_clean_pages(&mut state, range, flight.size_at) {
            // The file keeps the size that readers see, with a hole where it grew. Where metadata
            // refuses that too, the volume only reads, or the next extent brings the size along.
            let size_bytes = state.size.memory_bytes();
            let _refused = core.meta.truncate(inode.id, size_bytes, disk_bytes);
        }
    }
    state.tickets.invalidate(range);
    state.ordered.finish(range);
    state.states.clear(range, State::WRITEBACK);
    if mutation::on(Mutation::RedirtyLost) {
        state.states.clear(range, State::DIRTY);
    }
    core.dirty.end_writeback(range.bytes());
    // Before the lock goes: who waited for this writeback because there was no space asks again then.
    drop(holdings);
    let redirtied = state.states.any(range, State::DIRTY);
    core.announce(inode, state, range);
    inode.notify();
    if redirtied {
        fixup::queue(core, inode, range);
    }
    flight
}

/// Makes the outcome true in the metadata, or gives back what it held and says why not.
fn publish(flight: &Flight, state: &mut InodeState, outcome: Outcome) -> Result<()> {
    let Flight {
        core,
        inode,
        range,
        size_at,
        logged,
        ..
    } = flight;
    match outcome {
        Outcome::Hole => {
            let disk_bytes = state.size.completed(*range, *size_at);
            let size = SizeChange::Grow(disk_bytes);
            core.meta
                .cut_logged(inode.id, *range, size, Reserve::All, *logged)?;
            core.stats.note_hole(range.bytes());
            Ok(())
        }
        Outcome::Written(written) => {
            let disk_bytes = state.size.completed(*range, *size_at);
            let (plain_bytes, stored_bytes) = (range.bytes(), written.disk.bytes);
            core.stats
                .note_stored(written.codec, plain_bytes, stored_bytes);
            let extent = written.into_extent(*range);
            let size = SizeChange::Grow(disk_bytes);
            core.meta.finish_logged(inode.id, &extent, size, *logged)
        }
        Outcome::Failed(disk, error) => {
            core.meta.space().free_unpublished(disk);
            Err(error)
        }
        Outcome::Unplaced(error) => Err(error),
    }
}

/// Lets go of the pages of a failed write, unless they were written again. Returns the size on disk
/// that the file has without them.
fn lose_clean_pages(state: &mut InodeState, range: FileRange, size_at: u64) -> Option<u64> {
    let mut disk_bytes = None;
    for page in range.pages() {
        let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
        if !state.states.any(own, State::DIRTY) {
            state.pages.remove(page);
            let lost = own.intersect(FileRange::new(0, size_at));
            disk_bytes = Some(state.size.abandoned(lost));
        }
    }
    disk_bytes
}
