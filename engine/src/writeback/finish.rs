//! The end of an extent's flight: its metadata, or its error.
//!
//! Runs on the `endio_write` pool. Under the file's state lock, in one critical section: the size on
//! disk moves over the completed prefix, the extent and its checksums enter the tree (the extents it
//! replaces are pinned there), the entry leaves the in-flight table, the pages leave writeback. A
//! reader therefore finds a page in the cache or its extent in the tree, never neither.
//!
//! A failed write makes no metadata. Its pages leave the cache unless they were written again
//! meanwhile, so that reads show what the device holds and not bytes that a restart would lose; the
//! error waits for `sync`, once per opener. Pages that the log has were promised, and without them not even their older
//! bytes could be shown: they stay, dirty again, and are tried elsewhere; a volume where that fails again and again only
//! reads. So does one whose tree refuses what the log has already: the next open would make that change.
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
use crate::meta::{Ending, NewExtent};
use crate::mutation::{self, Mutation};
use crate::pool::{Order, WorkItem};
use crate::units::{DiskExtent, FileRange, PAGE_BYTES, PageIndex};
use crate::writeback::fixup;
use crate::writeback::place::Flight;

/// Failed writes of logged pages, one after the other in one file, after which the volume only reads.
const HOME_FAILURES_MAX: u32 = 8;

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

/// Hands the end of a flight to the `endio_write` pool. One that an earlier item poisoned refuses it: the flight never
/// ends then, and whoever waits for it is told by the alarm. This is a thread of the device, which does not panic.
pub(crate) fn queue(mut flight: Flight, outcome: Outcome) {
    let core = Arc::clone(&flight.core);
    let bytes = flight.range.bytes();
    flight
        .passage
        .pass_to(&core.stats.finish, bytes, core.clock.now());
    let item = Box::new(FinishItem(Some((flight, outcome))));
    let _refused = core.pools.endio_write.try_submit(item, Order::Unordered);
}

/// Ends a flight on the caller's thread.
pub(crate) fn now(mut flight: Flight, outcome: Outcome) {
    let core = Arc::clone(&flight.core);
    let bytes = flight.range.bytes();
    flight
        .passage
        .pass_to(&core.stats.finish, bytes, core.clock.now());
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
    let kept_bytes = match publish(&flight, &mut state, outcome) {
        Ok(()) => {
            come_home(&flight, &mut state);
            0
        }
        Err(error) => failed(&flight, &mut state, error),
    };
    state.tickets.invalidate(range);
    state.ordered.finish(range);
    state.states.clear(range, State::WRITEBACK);
    if mutation::on(Mutation::RedirtyLost) {
        state.states.clear(range, State::DIRTY);
    }
    core.dirty.end_writeback(range.bytes());
    core.dirty
        .mark_dirty(inode.id, kept_bytes, core.clock.now());
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
        data_before,
        logged,
        ..
    } = flight;
    let logged = logged.map(|in_log| in_log.now(state.sizes_set));
    let ending = |disk_bytes: u64| Ending {
        size: SizeChange::Grow(disk_bytes),
        data_before: Some(*data_before),
        logged,
    };
    let agreed = |published: Result<()>| {
        published.inspect_err(|error| {
            if logged.is_some() && !mutation::on(Mutation::LoggedRefusalKept) {
                core.meta.fail(error);
            }
        })
    };
    match outcome {
        Outcome::Hole => {
            let disk_bytes = state.size.completed(*range, *size_at);
            let cut = core
                .meta
                .cut_logged(inode.id, *range, Reserve::All, ending(disk_bytes));
            agreed(cut)?;
            core.stats.note_hole(range.bytes());
            Ok(())
        }
        Outcome::Written(written) => {
            let disk_bytes = state.size.completed(*range, *size_at);
            let (codec, disk) = (written.codec, written.disk);
            let extent = written.into_extent(*range);
            let finished = core
                .meta
                .finish_logged(inode.id, &extent, ending(disk_bytes));
            match &finished {
                Ok(()) => core.stats.note_stored(codec, range.bytes(), disk.bytes),
                // Nothing points there: not the tree, unless it broke half-way, and not the log.
                Err(_) if logged.is_none() && core.meta.read_only().is_none() => {
                    core.meta.space().free_unpublished(disk);
                }
                Err(_) => {}
            }
            agreed(finished)
        }
        Outcome::Failed(disk, error) => {
            core.meta.space().free_unpublished(disk);
            Err(error)
        }
        Outcome::Unplaced(error) => Err(error),
    }
}

/// The tree has `range`: what is clean there is not needed in the log any more.
fn come_home(flight: &Flight, state: &mut InodeState) {
    let Flight {
        core,
        inode,
        range,
        since,
        ..
    } = flight;
    state.home_failures = 0;
    core.stats.home.record(core.clock.now().ns_since(*since));
    let clean: Vec<FileRange> = state
        .states
        .iter(*range)
        .filter(|(_, bits)| bits.contains(State::SYNCED) && !bits.contains(State::DIRTY))
        .map(|(clean, _)| clean)
        .collect();
    for clean in clean {
        state.states.clear(clean, State::SYNCED);
        core.meta.pages_came_home(inode.id, clean);
    }
}

/// What a failed write leaves: pages that the log has stay, and are written again; the others are lost, and
/// that is told. Returns the bytes that are dirty again.
fn failed(flight: &Flight, state: &mut InodeState, error: EngineError) -> u64 {
    let Flight {
        core,
        inode,
        size_at,
        since,
        ..
    } = flight;
    let left = Left::of(flight, state);
    if left.is_newer || left.is_rewritten || !left.lost.is_empty() {
        core.failures.lock().log.record(error.clone());
        state.failures.record(error.clone());
    }
    let mut disk_bytes = None;
    for page in left.lost {
        state.pages.remove(page);
        let lost = FileRange::new(page.start(), page.start() + PAGE_BYTES);
        let lost = lost.intersect(FileRange::new(0, *size_at));
        disk_bytes = Some(state.size.abandoned(lost));
    }
    if let Some(disk_bytes) = disk_bytes {
        // The file keeps the size that readers see, with a hole where it grew. Where metadata
        // refuses that too, the volume only reads, or the next extent brings the size along.
        let size_bytes = state.size.memory_bytes();
        let _refused = core.meta.truncate(inode.id, size_bytes, disk_bytes);
        state.resized_before = core.meta.data_next();
        state.sizes_set += u64::from(!mutation::on(Mutation::SizeLeftUncounted));
    }
    let mut kept_bytes = 0;
    if !left.kept.is_empty() {
        state.home_failures += 1;
    }
    let again = state.home_failures <= HOME_FAILURES_MAX && core.meta.read_only().is_none();
    for kept in left.kept {
        match core.meta.reserve_again(kept.bytes()) {
            Ok(promise) if again => {
                state.reservation.merge(promise);
                kept_bytes += state.states.set(kept, State::DIRTY).dirty;
                state.ages.accepted(kept, *since);
            }
            // The pages stay, for readers; the log has them for who opens the volume next.
            _ => core.meta.fail(&error),
        }
    }
    core.stats.note_kept(kept_bytes);
    kept_bytes
}

/// What became of the pages of a failed write.
#[derive(Debug, Default)]
struct Left {
    /// The log has them: as they are, or as a `sync` once made them durable. A lost page would show what preceded that.
    kept: Vec<FileRange>,
    /// Some of these are newer than in the log.
    is_newer: bool,
    /// Some were written again meanwhile, and will be on the device as they are now. A `sync` that waits answers for them as
    /// they were.
    is_rewritten: bool,
    lost: Vec<PageIndex>,
}

impl Left {
    fn of(flight: &Flight, state: &InodeState) -> Self {
        let mut left = Self::default();
        for page in flight.range.pages() {
            let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
            if state.states.any(own, State::DIRTY) {
                left.is_rewritten |= !mutation::on(Mutation::RewrittenFailureUnsaid);
                continue;
            }
            let as_it_is = state.states.any(own, State::SYNCED);
            let in_log = as_it_is
                || flight.core.meta.is_in_log(flight.inode.id, own)
                    && !mutation::on(Mutation::LoggedPageForgotten);
            if in_log && !mutation::on(Mutation::LoggedPageDropped) {
                left.keep(own);
                left.is_newer |= !as_it_is;
            } else {
                left.lost.push(page);
            }
        }
        left
    }

    fn keep(&mut self, own: FileRange) {
        match self.kept.last_mut() {
            Some(last) if last.end == own.start => last.end = own.end,
            _ => self.kept.push(own),
        }
    }
}
