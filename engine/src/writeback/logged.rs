//! `sync` of a few pages: into the log with them, and home later.
//!
//! ```text
//!   unsynced pages (DIRTY or WRITEBACK, not SYNCED)
//!     | push          copies of the pages, numbered; SYNCED
//!     | log_file      one write, one FLUSH, shared with whoever syncs at the time
//!     | settle        the size on disk moves over them
//!   SYNCED, still dirty: they go home with what lies beside them, by age, by pressure, or because the log
//!   fills up
//! ```
//!
//! A page in writeback is logged like any other, so nobody waits for the queues of the pools; what
//! it finds in the log when it comes home is let go then (finish).
//!
//! Where the log does not take the pages (too many, no room, a failed batch, switched off) they go home
//! at once: through the express lane, or through the pools.
//!
//! Invariants
//!   * A page that is SYNCED is held by the log as the cache has it, until both change under the state lock.
//!   * The size on disk moves over a logged page only once its batch is durable; the tree has that size
//!     before `sync` returns.
//!
//! Locks: the state lock to push and to settle; none in between. Not here: the log itself.

use std::sync::Arc;

use crate::core::Core;
use crate::error::Result;
use crate::extent::State;
use crate::inode::{Inode, InodeState};
use crate::log::DataNumber;
use crate::meta::LogAnswer;
use crate::mutation::{self, Mutation};
use crate::units::{FileRange, Generation, PAGE_BYTES, PageIndex};
use crate::writeback::{express, flush};

/// Ranges that a file may have to be logged; more are better written where they belong.
const RANGES_MAX: usize = 16;
/// How often the log is asked; every round after the first takes a failed batch or a commit in between.
const ROUNDS_MAX: usize = 8;

/// Pages on their way into the log, for `settle`.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Number of the first page.
    first: DataNumber,
    range: FileRange,
    size_at: u64,
}

/// Starts to make a file durable: its unsynced pages are pushed to the log, or are at home when it
/// returns. Returns the number before which its pages have to be durable.
///
/// # Errors
/// A FLUSH that failed. Failed writes wait in the file's failures.
pub(crate) fn start(core: &Arc<Core>, inode: &Arc<Inode>) -> Result<DataNumber> {
    {
        let mut state = inode.lock();
        let ranges = unsynced(&state);
        let few = ranges.len() <= RANGES_MAX;
        let bytes: u64 = ranges.iter().map(|range| range.bytes()).sum();
        let nothing = bytes == 0;
        let fits = few && bytes <= core.config.log.inline_bytes_max;
        if nothing || (fits && push(core, inode, &mut state, &ranges)) {
            return Ok(core.meta.data_next());
        }
    }
    express::sync(core, inode)?;
    Ok(core.meta.data_next())
}

/// Ends what `start` began: everything written before it is durable then, with the file's size and name.
pub(crate) fn finish(core: &Arc<Core>, inode: &Arc<Inode>, before: DataNumber) -> Result<()> {
    for _round in 0..ROUNDS_MAX {
        if core.meta.log_file(inode.id, before)? == LogAnswer::NeedsCommit {
            flush(core, inode);
            core.meta.commit()?;
            // Pages whose own writes failed too are nowhere yet, and the commit has opened the log again.
            if core.meta.is_under_way(inode.id, before) {
                continue;
            }
        }
        if settle(core, inode, before)? {
            return Ok(());
        }
    }
    Err(core
        .meta
        .give_up("neither the log nor the places of the data can be written"))
}

/// What of a file is newer in the cache than in the log and on the device; one range too many at most.
fn unsynced(state: &InodeState) -> Vec<FileRange> {
    let mut ranges: Vec<FileRange> = Vec::new();
    for (range, bits) in state.states.iter(FileRange::WHOLE) {
        if !bits.intersects(State::DIRTY | State::WRITEBACK) || bits.contains(State::SYNCED) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
        if ranges.len() > RANGES_MAX {
            break;
        }
    }
    ranges
}

fn push(core: &Core, inode: &Inode, state: &mut InodeState, ranges: &[FileRange]) -> bool {
    let size_at = state.size.memory_bytes();
    let mut pages: Vec<(PageIndex, Arc<[u8]>)> = Vec::new();
    for range in ranges {
        let indices = PageIndex::of(range.start)..PageIndex::of(range.end);
        let found = state.pages.range(indices);
        pages.extend(found.map(|(index, page)| (index, Arc::from(&page.frame.bytes()[..]))));
    }
    let count = pages.len() as u64;
    let wanted: u64 = ranges
        .iter()
        .map(|range| range.pages().count() as u64)
        .sum();
    assert_eq!(count, wanted, "a page that is not clean is in the cache");
    let Some(next) = core.meta.log_pages(inode.id, size_at, pages) else {
        return false;
    };
    let mut first = next.0 - count;
    for &range in ranges {
        state.states.set(range, State::SYNCED);
        state.pushed.push(Pushed {
            first: DataNumber(first),
            range,
            size_at,
        });
        first += range.pages().count() as u64;
    }
    true
}

/// Moves the size on disk over logged pages that are durable, in memory and in the tree. False where the
/// log has yet to be told of that size.
fn settle(core: &Arc<Core>, inode: &Inode, before: DataNumber) -> Result<bool> {
    let mut state = inode.lock();
    let state = &mut *state;
    let (due, later): (Vec<Pushed>, Vec<Pushed>) = std::mem::take(&mut state.pushed)
        .into_iter()
        .partition(|pushed| pushed.first < before);
    state.pushed = later;
    for pushed in &due {
        for (number, page) in (pushed.first.0..).zip(pushed.range.pages()) {
            let Some(generation) = core.meta.logged_in(DataNumber(number)) else {
                continue;
            };
            let owed: Option<Generation> = state.size_owed;
            state.size_owed = Some(owed.map_or(generation, |owed| owed.min(generation)));
            let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
            state.size.completed(own, pushed.size_at);
        }
    }
    if let Some(generation) = state.size_owed
        && !mutation::on(Mutation::LoggedSizeKept)
    {
        let size_bytes = state.size.disk_bytes();
        // Owed still where the tree refuses it, to whoever syncs next.
        let overtaken = core.meta.grow_logged(inode.id, size_bytes, generation)?;
        state.size_owed = None;
        if overtaken {
            state.size_wanted = core.meta.log_wanted(inode.id);
        }
    }
    // Kept for everybody who syncs until then, and not for this caller alone.
    state.size_wanted = state
        .size_wanted
        .filter(|&wanted| !core.meta.is_logged(wanted));
    Ok(state.size_wanted.is_none())
}
