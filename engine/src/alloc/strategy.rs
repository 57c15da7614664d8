//! Which free bytes to take: pure, a view in, an extent out.
//!
//! Data goes upward from a hint, so that what is written together lies together; nodes come down
//! from the top, so that the two meet only when the device is nearly full. Behind the hint a bounded
//! number of runs is tried first-fit; then the smallest run that is long enough (best fit), which
//! leaves long runs long. The alternative, first fit alone, walks all small runs of an aged device.
//!
//! `floor_slots` is the number of node slots data must leave whole.
//!
//! Not here: sums and promises (space).

use super::free_map::FreeMap;
use crate::units::{DiskExtent, DiskOffset};

/// Runs looked at in each of the two passes before giving up on one contiguous piece.
const RUNS_TRIED_MAX: usize = 64;

/// One piece of exactly `bytes`.
pub(crate) fn contiguous(
    map: &FreeMap,
    bytes: u64,
    hint: Option<DiskOffset>,
    floor_slots: u64,
) -> Option<DiskExtent> {
    let spare_slots = map.slots().saturating_sub(floor_slots);
    let fits = |run: DiskExtent, start: u64| -> Option<DiskExtent> {
        let end = start.checked_add(bytes)?;
        (end <= run.end().0 && slots_lost(map, run, start, bytes) <= spare_slots).then_some(
            DiskExtent {
                start: DiskOffset(start),
                bytes,
            },
        )
    };
    let hint = hint.map_or(0, |hint| hint.0);
    if let Some(run) = map.run_at(hint)
        && let Some(found) = fits(run, hint)
    {
        return Some(found);
    }
    map.runs_from(hint)
        .take(RUNS_TRIED_MAX)
        .find_map(|run| fits(run, run.start.0))
        .or_else(|| {
            map.runs_of_at_least(bytes)
                .take(RUNS_TRIED_MAX)
                .find_map(|run| fits(run, run.start.0))
        })
}

/// The next piece of at most `bytes`: all of it if that is to be had in one, else as much as one run
/// may give. `None` only when nothing may be taken at all.
pub(crate) fn piece(
    map: &FreeMap,
    bytes: u64,
    hint: Option<DiskOffset>,
    floor_slots: u64,
) -> Option<DiskExtent> {
    if let Some(whole) = contiguous(map, bytes, hint, floor_slots) {
        return Some(whole);
    }
    let spare_slots = map.slots().saturating_sub(floor_slots);
    let longest = map.longest()?;
    part_of(map, longest, bytes, spare_slots).or_else(|| {
        map.runs_from(0)
            .find_map(|run| part_of(map, run, bytes, spare_slots))
    })
}

/// A place for a tree node.
pub(crate) fn node(map: &FreeMap) -> Option<DiskExtent> {
    map.last_slot()
}

/// What may be taken of `run` when `spare_slots` may be lost: from its head, or else the odd bytes
/// after its last slot.
fn part_of(map: &FreeMap, run: DiskExtent, bytes: u64, spare_slots: u64) -> Option<DiskExtent> {
    let slots = map.slots_in(run.start.0, run.bytes);
    let (start, bytes_max) = if slots <= spare_slots {
        (run.start.0, run.bytes)
    } else {
        let first_slot = run.start.0.next_multiple_of(map.slot_bytes());
        let head = first_slot - run.start.0 + spare_slots * map.slot_bytes();
        let after_slots = first_slot + slots * map.slot_bytes();
        if head > 0 {
            (run.start.0, head)
        } else {
            (after_slots, run.end().0 - after_slots)
        }
    };
    (bytes_max > 0).then(|| DiskExtent {
        start: DiskOffset(start),
        bytes: bytes.min(bytes_max),
    })
}

fn slots_lost(map: &FreeMap, run: DiskExtent, start: u64, bytes: u64) -> u64 {
    let end = start + bytes;
    map.slots_in(run.start.0, run.bytes)
        - map.slots_in(run.start.0, start - run.start.0)
        - map.slots_in(end, run.end().0 - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn map_of(runs_kib: &[(u64, u64)]) -> FreeMap {
        let mut map = FreeMap::new(16 * KIB);
        for &(start, bytes) in runs_kib {
            map.insert(kib(start, bytes));
        }
        map
    }

    fn kib(start: u64, bytes: u64) -> DiskExtent {
        DiskExtent {
            start: DiskOffset(start * KIB),
            bytes: bytes * KIB,
        }
    }

    #[test]
    fn first_fit_starts_at_the_hint_and_best_fit_comes_after() {
        let map = map_of(&[(0, 64), (128, 32), (256, 128)]);
        let at =
            |hint: u64, bytes: u64| contiguous(&map, bytes * KIB, Some(DiskOffset(hint * KIB)), 0);
        assert_eq!(at(8, 16), Some(kib(8, 16)));
        assert_eq!(at(60, 16), Some(kib(128, 16)));
        assert_eq!(at(300, 120), Some(kib(256, 120)));
        assert_eq!(at(500, 20), Some(kib(128, 20)));
        assert_eq!(at(0, 132), None);
    }

    #[test]
    fn data_leaves_the_last_slots_whole() {
        let map = map_of(&[(4, 40)]);
        assert_eq!(map.slots(), 1);
        assert_eq!(contiguous(&map, 16 * KIB, None, 1), None);
        assert_eq!(piece(&map, 16 * KIB, None, 1), Some(kib(4, 12)));
        let rest = map_of(&[(16, 28)]);
        assert_eq!(piece(&rest, 16 * KIB, None, 1), Some(kib(32, 12)));
        let slot = map_of(&[(16, 16)]);
        assert_eq!(piece(&slot, 4 * KIB, None, 1), None);
        assert_eq!(piece(&slot, 4 * KIB, None, 0), Some(kib(16, 4)));
    }

    #[test]
    fn nodes_come_from_the_top() {
        assert_eq!(node(&map_of(&[(0, 64), (100, 36)])), Some(kib(112, 16)));
        assert_eq!(node(&map_of(&[(4, 8)])), None);
    }
}
