//! `sync` of a few pages: into the log with them, and home later.
//!
//! ```text
//!   unsynced pages (DIRTY or WRITEBACK, not SYNCED)
//!     | push          handles of the pages, numbered; SYNCED
//!     | log_file      one write, one FLUSH, shared with whoever syncs at the time
//!     | settle        the size on disk moves over them, and to what the file had when `sync` was called
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
use crate::log::{DataNumber, LoggedBytes};
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

impl Pushed {
    /// The file was made this long.
    pub(crate) fn cap(&mut self, size_bytes: u64) {
        self.size_at = self.size_at.min(size_bytes);
    }
}

/// The size that a file had when somebody began to make it durable, until nobody answers for it any more.
#[derive(Debug)]
pub(crate) struct Asked<'i> {
    inode: &'i Inode,
    number: u64,
}

impl<'i> Asked<'i> {
    /// The size of now. Call and drop it without the file's state.
    pub(crate) fn of(inode: &'i Inode) -> Self {
        let number = inode.lock().size.ask();
        Self { inode, number }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.inode.lock().size.forget(self.number);
    }
}

/// What `start` leaves to `finish`.
#[derive(Debug)]
pub(crate) struct Begun<'i> {
    before: DataNumber,
    asked: Asked<'i>,
}

/// How long durable pages say that their file is, by the generation they belong to.
#[derive(Debug, Default)]
pub(crate) struct SizesSaid(Vec<(Generation, u64)>);

impl SizesSaid {
    fn note(&mut self, generation: Generation, size_bytes: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == generation) {
            Some((_, said_bytes)) => *said_bytes = size_bytes.max(*said_bytes),
            None => self.0.push((generation, size_bytes)),
        }
    }

    fn says(&self, generation: Generation, size_bytes: u64) -> bool {
        let of = |(known, said_bytes): &(Generation, u64)| {
            *known == generation && size_bytes <= *said_bytes
        };
        self.0.iter().any(of) || mutation::on(Mutation::LoggedSizeUnsaid)
    }
}

/// Starts to make a file durable: its unsynced pages are pushed to the log, or are at home when it
/// returns.
///
/// # Errors
/// A FLUSH that failed. Failed writes wait in the file's failures.
pub(crate) fn start<'i>(core: &Arc<Core>, inode: &'i Arc<Inode>) -> Result<Begun<'i>> {
    let asked = Asked::of(inode);
    {
        let mut state = inode.lock();
        let ranges = unsynced(&state);
        let few = ranges.len() <= RANGES_MAX;
        let bytes: u64 = ranges.iter().map(|range| range.bytes()).sum();
        let nothing = bytes == 0;
        let fits = few && bytes <= core.config.log.inline_bytes_max;
        if nothing || (fits && push(core, inode, &mut state, &ranges)) {
            let before = core.meta.data_next();
            return Ok(Begun { before, asked });
        }
    }
    express::sync(core, inode)?;
    let before = core.meta.data_next();
    Ok(Begun { before, asked })
}

/// Ends what `start` began: everything written before it is durable then, with the file's size and name.
pub(crate) fn finish(core: &Arc<Core>, inode: &Arc<Inode>, begun: &Begun<'_>) -> Result<()> {
    finish_before(core, inode, begun.before, &begun.asked)
}

/// The same for pages before `before` that are in the log or on their way there, with the size that was asked for when all that
/// is not among them was made durable.
pub(crate) fn finish_before(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    before: DataNumber,
    asked: &Asked<'_>,
) -> Result<()> {
    let commit = || {
        flush(core, inode);
        answer(core, inode, asked, before)?;
        core.meta.commit()
    };
    for _round in 0..ROUNDS_MAX {
        if core.meta.log_file(inode.id, before)? == LogAnswer::NeedsCommit {
            commit()?;
            // Pages whose own writes failed too are nowhere yet, and the commit has opened the log again.
            if core.meta.is_under_way(inode.id, before) {
                continue;
            }
        }
        if settle(core, inode, before, asked)? {
            return Ok(());
        }
    }
    // Others change the file faster than the log can tell of it. The tree has the size by now, and a commit has all
    // there is.
    commit()?;
    if core.meta.is_under_way(inode.id, before) {
        return Err(core
            .meta
            .give_up("neither the log nor the places of the data can be written"));
    }
    Ok(())
}

/// What of a file is newer in the cache than in the log and on the device; one range too many at most.
fn unsynced(state: &InodeState) -> Vec<FileRange> {
    state.states.unsynced().take(RANGES_MAX + 1).collect()
}

fn push(core: &Core, inode: &Inode, state: &mut InodeState, ranges: &[FileRange]) -> bool {
    let size_at = state.size.memory_bytes();
    let mut pages: Vec<(PageIndex, LoggedBytes)> = Vec::new();
    for range in ranges {
        let indices = PageIndex::of(range.start)..PageIndex::of(range.end);
        let found = state.pages.range(indices);
        pages.extend(found.map(|(index, page)| (index, LoggedBytes::Cached(page.frame.clone()))));
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

/// All that was written to a file when its size was asked for is at home, but for pages before `before` that are on their way
/// into the log: without any, the tree has that size when this returns, and else it says false.
///
/// # Errors
/// Of the tree.
pub(crate) fn answer(
    core: &Core,
    inode: &Inode,
    asked: &Asked<'_>,
    before: DataNumber,
) -> Result<bool> {
    let mut state = inode.lock();
    if core.meta.is_under_way(inode.id, before) {
        return Ok(false);
    }
    state.answer(asked);
    tell_size(core, inode, &mut state)?;
    Ok(true)
}

impl InodeState {
    fn answer(&mut self, asked: &Asked<'_>) {
        let known_bytes = self.size.disk_bytes();
        if self.size.answered(asked.number) > known_bytes {
            self.size_owed.get_or_insert_default();
        }
    }
}

/// Moves the size on disk over logged pages that are durable, and to what is `asked`, in memory and in the tree: over this caller's
/// pages and everybody else's, since a page of this caller may have been pushed again by another. False where the log has yet to be
/// told of that size.
fn settle(core: &Core, inode: &Inode, before: DataNumber, asked: &Asked<'_>) -> Result<bool> {
    let mut state = inode.lock();
    let state = &mut *state;
    let durable = |number: u64| core.meta.logged_in(DataNumber(number));
    let is_due = |pushed: &Pushed| {
        let mut numbers = pushed.first.0..pushed.first.0 + pushed.range.pages().count() as u64;
        pushed.first < before || numbers.any(|number| durable(number).is_some())
    };
    let (due, later): (Vec<Pushed>, Vec<Pushed>) = std::mem::take(&mut state.pushed)
        .into_iter()
        .partition(is_due);
    state.pushed = later;
    for pushed in &due {
        for (number, page) in (pushed.first.0..).zip(pushed.range.pages()) {
            if mutation::on(Mutation::LoggedHomeUnsaid) && durable(number).is_none() {
                continue;
            }
            let owed = state.size_owed.get_or_insert_default();
            // It went home, or something newer took its place, before its batch was through. Who did that has told the log of a size,
            // maybe of a generation that a crash goes back to; nothing of this page says it any more.
            let Some(generation) = durable(number) else {
                continue;
            };
            if DataNumber(number) >= state.resized_before {
                owed.note(generation, pushed.size_at);
            }
            let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
            state.size.completed(own, pushed.size_at);
        }
    }
    state.answer(asked);
    tell_size(core, inode, state)?;
    // Kept for everybody who syncs until then, and not for this caller alone.
    state.size_wanted = state
        .size_wanted
        .filter(|&wanted| !core.meta.is_logged(wanted));
    Ok(state.size_wanted.is_none())
}

/// The tree has the size on disk where that has moved, and so has the log, or will.
fn tell_size(core: &Core, inode: &Inode, state: &mut InodeState) -> Result<()> {
    if let Some(owed) = &state.size_owed
        && !mutation::on(Mutation::LoggedSizeKept)
    {
        let size_bytes = state.size.disk_bytes();
        let says = |generation| owed.says(generation, size_bytes);
        // Owed still where the tree refuses it, to whoever syncs next.
        let unsaid = core.meta.grow_logged(inode.id, size_bytes, says)?;
        state.size_owed = None;
        if unsaid {
            state.size_wanted = core.meta.log_wanted(inode.id);
        }
    }
    Ok(())
}
