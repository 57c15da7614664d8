//! The extent-state map of one file: which bytes are dirty, unplaced, in writeback.
//!
//! Ranges and not pages, because writeback thinks in runs: a run of 128 MiB is one interval, is
//! found in one step and handed off in one edit. Flags on pages were refused: every hand-off would
//! touch every page twice.
//!
//! ```text
//!            write_at             hand off              finish
//!   (clean) ----------> DIRTY   ------------> WRITEBACK --------> (clean)
//!                       DELALLOC
//! ```
//!
//! A write into a range in writeback sets DIRTY alone beside WRITEBACK: the next generation waits
//! there, in new frames, and becomes DELALLOC when the first has ended. SYNCED comes beside these when a
//! `sync` puts the pages into the log, and goes when they are written again or have come home.
//!
//! Every edit answers with the bytes whose bit really changed, and the totals are kept by the same
//! numbers: accounting above (dirty bytes, reservations) is exact by construction and is never a
//! recount.
//!
//! Beside the bits stands what a `sync` has to make durable: whatever is newer than the device and not in the log.
//! A `sync` asks for that alone, and would otherwise walk over all that waits to go home.
//!
//! Invariants
//!   * Every range is whole pages.
//!   * `bytes(bit)` is the sum over all intervals that have the bit.
//!   * Touching intervals differ; a range without bits is no interval.
//!
//! No lock: the map lives under its file's mutex, and who must wait for a bit waits on the file's
//! condvar. Not here: what the bits entail (writeback), page bytes (cache).

use std::ops::Range;

use bitflags::bitflags;

use super::IntervalMap;
use crate::units::{FileRange, PAGE_BYTES};

bitflags! {
    /// What is true of a range of a file.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct State: u8 {
        /// Newer in the cache than on the device, and not handed off yet.
        const DIRTY = 1 << 0;
        /// Owns no place on the device: space is reserved, not allocated.
        const DELALLOC = 1 << 1;
        /// Handed off: its bytes are on their way and do not change.
        const WRITEBACK = 1 << 2;
        /// Durable in the log as the cache has it, or on the way there.
        const SYNCED = 1 << 3;
    }
}

/// Number of bits of `State`.
const BITS: usize = 4;

/// A number of bytes for each bit: totals, or what an edit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateBytes {
    /// Of `State::DIRTY`.
    pub dirty: u64,
    /// Of `State::DELALLOC`.
    pub delalloc: u64,
    /// Of `State::WRITEBACK`.
    pub writeback: u64,
    /// Of `State::SYNCED`.
    pub synced: u64,
}

impl StateBytes {
    fn from_array([dirty, delalloc, writeback, synced]: [u64; BITS]) -> Self {
        Self {
            dirty,
            delalloc,
            writeback,
            synced,
        }
    }
}

/// Extent states of one file.
#[derive(Debug, Default)]
pub struct StateMap {
    intervals: IntervalMap<State>,
    totals: [u64; BITS],
    /// Where `is_unsynced`.
    unsynced: IntervalMap<()>,
    /// What an edit changes of it; empty between calls, kept for its memory.
    turned: Vec<(Range<u64>, bool)>,
}

fn is_unsynced(state: State) -> bool {
    state.intersects(State::DIRTY.union(State::WRITEBACK)) && !state.contains(State::SYNCED)
}

impl StateMap {
    /// Nothing set anywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `bits` on all of `range`; answers with the bytes where each was not set before.
    ///
    /// # Panics
    /// Where `range` is not whole pages; as every call with a range.
    pub fn set(&mut self, range: FileRange, bits: State) -> StateBytes {
        let mut changed = [0; BITS];
        self.edit(range, |state| state | bits, |added, _| added, &mut changed);
        for (total, bytes) in self.totals.iter_mut().zip(changed) {
            *total += bytes;
        }
        StateBytes::from_array(changed)
    }

    /// Clears `bits` on all of `range`; answers with the bytes where each was set before.
    pub fn clear(&mut self, range: FileRange, bits: State) -> StateBytes {
        let mut changed = [0; BITS];
        self.edit(range, |state| state - bits, |_, lost| lost, &mut changed);
        for (total, bytes) in self.totals.iter_mut().zip(changed) {
            *total = total
                .checked_sub(bytes)
                .expect("more bytes cleared than were set");
        }
        StateBytes::from_array(changed)
    }

    /// Every byte of `range` has every one of `bits`; true of an empty range.
    pub fn all(&self, range: FileRange, bits: State) -> bool {
        assert_pages(range);
        assert!(!bits.is_empty(), "a question about no bit has no answer");
        let mut at = range.start;
        for (interval, state) in self.intervals.overlapping(range.start..range.end) {
            if interval.start > at || !state.contains(bits) {
                return false;
            }
            at = interval.end;
        }
        at >= range.end
    }

    /// Some byte of `range` has at least one of `bits`.
    pub fn any(&self, range: FileRange, bits: State) -> bool {
        assert_pages(range);
        self.may_have_any(bits)
            && self
                .intervals
                .overlapping(range.start..range.end)
                .any(|(_, state)| state.intersects(bits))
    }

    /// The first range within `range` where every byte has all of `with` and none of `without`:
    /// from its first byte to the first that does not qualify, at most `bytes_max` of it. Nothing beyond `range` is
    /// looked at.
    pub fn find_first(
        &self,
        range: FileRange,
        with: State,
        without: State,
        bytes_max: u64,
    ) -> Option<FileRange> {
        assert!(
            !with.is_empty(),
            "a search for no bit finds gaps, which are not listed"
        );
        assert_pages(range);
        assert!(
            bytes_max.is_multiple_of(PAGE_BYTES) && bytes_max > 0,
            "a search by pages: at most {bytes_max} bytes"
        );
        if with.iter().any(|bit| self.bytes(bit) == 0) {
            return None;
        }
        let mut found: Option<FileRange> = None;
        for (interval, state) in self.iter(range) {
            let qualifies = state.contains(with) && !state.intersects(without);
            match &mut found {
                None if qualifies => found = Some(interval),
                None => {}
                Some(run) if qualifies && run.end == interval.start => run.end = interval.end,
                Some(_) => break,
            }
            if let Some(run) = &mut found
                && run.bytes() >= bytes_max
            {
                run.end = run.start + bytes_max;
                break;
            }
        }
        found
    }

    /// The parts of `range` that have bits, ascending, each with its bits.
    pub fn iter(&self, range: FileRange) -> impl Iterator<Item = (FileRange, State)> {
        assert_pages(range);
        self.intervals
            .overlapping(range.start..range.end)
            .map(move |(interval, state)| {
                let whole = FileRange::new(interval.start, interval.end);
                (whole.intersect(range), *state)
            })
    }

    /// What is DIRTY or in WRITEBACK and not SYNCED, ascending; touching ranges are one.
    pub fn unsynced(&self) -> impl Iterator<Item = FileRange> {
        let ranges = self.unsynced.iter();
        ranges.map(|(range, ())| FileRange::new(range.start, range.end))
    }

    /// How many bytes have this one bit.
    ///
    /// # Panics
    /// Where `bit` is not exactly one bit.
    pub fn bytes(&self, bit: State) -> u64 {
        assert_eq!(bit.bits().count_ones(), 1, "totals are per bit: {bit:?}");
        self.totals[index_of(bit)]
    }

    /// How many bytes have each bit.
    pub fn totals(&self) -> StateBytes {
        StateBytes::from_array(self.totals)
    }

    /// Number of intervals: what a walk costs.
    pub fn interval_count(&self) -> usize {
        self.intervals.len()
    }

    /// No bit anywhere.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    fn may_have_any(&self, bits: State) -> bool {
        bits.iter().any(|bit| self.bytes(bit) > 0)
    }

    /// Maps every state of `range`, and counts per bit the bytes that `counted` picks out of the
    /// bits added and lost.
    fn edit(
        &mut self,
        range: FileRange,
        change: impl Fn(State) -> State,
        counted: impl Fn(State, State) -> State,
        bytes: &mut [u64; BITS],
    ) {
        assert_pages(range);
        let turned = &mut self.turned;
        self.intervals.update(range.start..range.end, |piece, was| {
            let was = was.copied().unwrap_or(State::empty());
            let is = change(was);
            for bit in counted(is - was, was - is) {
                bytes[index_of(bit)] += piece.end - piece.start;
            }
            if is_unsynced(is) != is_unsynced(was) {
                turned.push((piece, is_unsynced(is)));
            }
            (!is.is_empty()).then_some(is)
        });
        for (piece, on) in self.turned.drain(..) {
            if on {
                self.unsynced.insert(piece, &());
            } else {
                self.unsynced.remove(piece);
            }
        }
    }
}

fn index_of(bit: State) -> usize {
    bit.bits().trailing_zeros() as usize
}

fn assert_pages(range: FileRange) {
    assert!(
        range.start.is_multiple_of(PAGE_BYTES) && range.end.is_multiple_of(PAGE_BYTES),
        "extent states are kept for whole pages, not for {range:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNPLACED: State = State::DIRTY.union(State::DELALLOC);

    fn pages(start: u64, end: u64) -> FileRange {
        FileRange::new(start * PAGE_BYTES, end * PAGE_BYTES)
    }

    #[test]
    fn an_edit_answers_with_what_really_changed() {
        let mut map = StateMap::new();
        assert_eq!(map.set(pages(0, 4), UNPLACED).dirty, 4 * PAGE_BYTES);
        let again = map.set(pages(2, 6), UNPLACED);
        assert_eq!(again.dirty, 2 * PAGE_BYTES);
        assert_eq!(again.delalloc, 2 * PAGE_BYTES);
        assert_eq!(again.writeback, 0);
        let cleared = map.clear(pages(5, 9), UNPLACED);
        assert_eq!(cleared.dirty, PAGE_BYTES);
        assert_eq!(map.bytes(State::DIRTY), 5 * PAGE_BYTES);
    }

    #[test]
    fn a_write_into_writeback_waits_beside_it() {
        let mut map = StateMap::new();
        map.set(pages(0, 8), State::WRITEBACK);
        map.set(pages(2, 4), UNPLACED);
        assert!(map.all(pages(2, 4), State::WRITEBACK | UNPLACED));
        assert_eq!(
            map.find_first(FileRange::WHOLE, UNPLACED, State::WRITEBACK, 1 << 20),
            None
        );
        map.clear(pages(0, 8), State::WRITEBACK);
        assert_eq!(
            map.find_first(FileRange::WHOLE, UNPLACED, State::WRITEBACK, 1 << 20),
            Some(pages(2, 4))
        );
    }

    #[test]
    fn touching_ranges_that_qualify_are_one_run_up_to_the_limit() {
        let mut map = StateMap::new();
        map.set(pages(1, 10), UNPLACED);
        map.set(pages(3, 4), State::WRITEBACK);
        let find = |without, pages_max: u64| {
            map.find_first(FileRange::WHOLE, UNPLACED, without, pages_max * PAGE_BYTES)
        };
        assert_eq!(find(State::empty(), 100), Some(pages(1, 10)));
        assert_eq!(find(State::empty(), 5), Some(pages(1, 6)));
        assert_eq!(find(State::WRITEBACK, 100), Some(pages(1, 3)));
    }

    #[test]
    fn a_search_starts_in_the_middle_of_a_range() {
        let mut map = StateMap::new();
        map.set(pages(0, 10), UNPLACED);
        assert_eq!(
            map.find_first(
                pages(4, 20),
                State::DELALLOC,
                State::empty(),
                2 * PAGE_BYTES
            ),
            Some(pages(4, 6))
        );
    }

    #[test]
    fn a_search_ends_where_it_is_told_to() {
        let mut map = StateMap::new();
        map.set(pages(0, 10), UNPLACED);
        let find = |range| map.find_first(range, State::DIRTY, State::empty(), 1 << 20);
        assert_eq!(find(pages(8, 9)), Some(pages(8, 9)));
        assert_eq!(find(pages(10, 12)), None);
        map.set(pages(20, 21), UNPLACED);
        let find = |range| map.find_first(range, State::DIRTY, State::empty(), 1 << 20);
        assert_eq!(find(pages(10, 20)), None);
    }

    #[test]
    fn a_gap_is_not_all_of_anything() {
        let mut map = StateMap::new();
        map.set(pages(0, 2), State::DIRTY);
        map.set(pages(3, 4), State::DIRTY);
        assert!(map.all(pages(0, 2), State::DIRTY));
        assert!(!map.all(pages(0, 4), State::DIRTY));
        assert!(!map.all(pages(3, 5), State::DIRTY));
        assert!(map.any(pages(2, 4), State::DIRTY));
        assert!(!map.any(pages(2, 3), State::DIRTY));
    }

    #[test]
    #[should_panic(expected = "whole pages")]
    fn half_pages_have_no_state() {
        StateMap::new().set(FileRange::new(0, 100), State::DIRTY);
    }
}
