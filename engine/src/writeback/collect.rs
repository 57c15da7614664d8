//! From dirty pages to work items: find a run, cut it, take it out of the dirty set.
//!
//! A run is a maximal stretch of DELALLOC bytes, at most `RUN_BYTES_MAX`; it is cut at multiples of
//! the item size *of the file*, not of the run, so that rewriting part of a file replaces the
//! extents it had instead of straddling them.
//!
//! Everything happens under one hold of the file's state lock: the run is found, its bits go from
//! DIRTY|DELALLOC to WRITEBACK over its whole length, its pages are snapshot by reference. No item
//! exists before that, so no item can hold or want a lock that another one needs; and the test
//! "still dirty?" needs no repetition, because the lock was never let go.
//!
//! The cost of a hand-off is charged here, when it is made, not when it completes: a flusher's pass
//! ends after the bytes it was given.
//!
//! Not here: who calls and when (flusher, file sync), compression (encode).

use std::sync::Arc;

use delalloc_backends::Instant;

use crate::alloc::Reservation;
use crate::budget::BudgetGuard;
use crate::cache::Frame;
use crate::core::Core;
use crate::extent::State;
use crate::inode::{Inode, InodeState};
use crate::log::DataNumber;
use crate::stats::Passage;
use crate::units::{FileRange, PageIndex};
use crate::writeback::encode::EncodeItem;

/// Longest run taken at once, in bytes. Larger runs make longer holds of the state lock (a frame
/// reference per page: 32,768 at this size) and save nothing, since items are far smaller.
const RUN_BYTES_MAX: u64 = 128 << 20;

/// Part of a file on its way out: its pages, as they were when it was handed off.
#[derive(Debug)]
pub(crate) struct Collected {
    /// Whole pages, within one item.
    pub(crate) range: FileRange,
    /// One frame per page, in order.
    pub(crate) frames: Vec<Frame>,
    /// Size of the file at the hand-off.
    pub(crate) size_at: u64,
    /// Space for these bytes stored raw.
    pub(crate) reservation: Reservation,
    /// Pages logged with numbers before this are not newer.
    pub(crate) data_before: DataNumber,
    /// When its oldest byte was accepted.
    pub(crate) since: Instant,
    /// Where it is, in the stages of the statistics: waits for the byte budget at first.
    pub(crate) passage: Passage,
}

/// Hands off dirty ranges of `inode` that start at `from` or later, until about `bytes_max` are on
/// their way. Returns how many bytes were, and where the next call goes on; `None` at the end of
/// what is dirty. Blocks while the byte budget is exhausted; holds no lock then.
pub(crate) fn write_back(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    from: u64,
    bytes_max: u64,
) -> (u64, Option<u64>) {
    let mut at = from;
    let mut handed_bytes = 0;
    while handed_bytes < bytes_max {
        let Some(batch) = collect(core, inode, at, bytes_max - handed_bytes) else {
            return (handed_bytes, None);
        };
        for piece in batch {
            at = piece.range.end;
            handed_bytes += piece.range.bytes();
            let budget = core.budget.acquire(piece.range.bytes());
            queue(core, inode, piece, budget);
        }
    }
    (handed_bytes, Some(at))
}

/// Sends a piece on its way, with its bytes of the budget.
pub(crate) fn queue(core: &Arc<Core>, inode: &Arc<Inode>, piece: Collected, budget: BudgetGuard) {
    let order = core.order_of(inode.id);
    let item = EncodeItem::new(Arc::clone(core), Arc::clone(inode), piece, budget);
    core.pools.delalloc.submit(Box::new(item), order);
}

/// Takes the next run at or after `from` out of the dirty set, cut into items.
pub(crate) fn collect(
    core: &Core,
    inode: &Inode,
    from: u64,
    run_bytes_max: u64,
) -> Option<Vec<Collected>> {
    collect_locked(core, inode, &mut inode.lock(), from, run_bytes_max)
}

/// The same, for who holds the state already.
pub(crate) fn collect_locked(
    core: &Core,
    inode: &Inode,
    state: &mut InodeState,
    from: u64,
    run_bytes_max: u64,
) -> Option<Vec<Collected>> {
    let started = core.clock.now();
    let item_bytes = core.config.compression.item_bytes;
    let run_bytes_max = RUN_BYTES_MAX.min(run_bytes_max);
    let rest = FileRange::new(from, FileRange::WHOLE.end);
    let run = state
        .states
        .find_first(rest, State::DELALLOC, State::WRITEBACK, run_bytes_max)?;
    state.states.set(run, State::WRITEBACK);
    let cleared = state.states.clear(run, State::DIRTY | State::DELALLOC);
    assert_eq!(cleared.dirty, run.bytes(), "delalloc bytes are dirty");
    core.dirty.begin_writeback(inode.id, run.bytes());

    let data_before = core.meta.data_next();
    let items: Vec<Collected> = cut(run, item_bytes)
        .map(|range| take(core, state, range, data_before))
        .collect();
    for item in &items {
        state.ordered.begin(item.range);
    }
    let took_ns = core.clock.now().ns_since(started);
    core.stats.collect.record(took_ns);
    Some(items)
}

fn take(
    core: &Core,
    state: &mut InodeState,
    range: FileRange,
    data_before: DataNumber,
) -> Collected {
    let pages = PageIndex::of(range.start)..PageIndex::of(range.end);
    let frames: Vec<Frame> = state
        .pages
        .range(pages)
        .map(|(_, page)| page.frame.clone())
        .collect();
    assert_eq!(
        frames.len(),
        range.pages().count(),
        "a dirty page is in the cache"
    );
    let now = core.clock.now();
    let since = state.ages.take(range).unwrap_or(now);
    core.stats.aged.record(now.ns_since(since));
    Collected {
        range,
        frames,
        size_at: state.size.memory_bytes(),
        reservation: state.reservation.split(range.bytes()),
        data_before,
        since,
        passage: core.stats.budget.begin(range.bytes(), now),
    }
}

/// `range` in pieces that end at multiples of `unit_bytes`.
pub(crate) fn cut(range: FileRange, unit_bytes: u64) -> impl Iterator<Item = FileRange> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let piece = FileRange::new(
            at,
            (at / unit_bytes + 1)
                .saturating_mul(unit_bytes)
                .min(range.end),
        );
        at = piece.end;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_cut_at_multiples_of_the_unit() {
        let pieces: Vec<FileRange> = cut(FileRange::new(100, 450), 200).collect();
        let expected = [(100, 200), (200, 400), (400, 450)];
        assert_eq!(
            pieces,
            expected.map(|(start, end)| FileRange::new(start, end))
        );
        assert_eq!(cut(FileRange::new(7, 7), 200).count(), 0);
    }
}
