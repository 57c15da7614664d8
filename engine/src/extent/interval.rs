//! A map from ranges of `u64` to values: splits where told, merges where it can.
//!
//! Kept minimal at all times: two intervals that touch differ in value, so the number of intervals
//! measures how mixed the ranges are and not how many calls made them. A merge pass now and then
//! was refused: the length of a walk would depend on when it last ran.
//!
//! One edit (`update`) does everything. It looks once for what the range touches, builds the
//! pieces that should be there, and changes the tree only where old and new differ; an interval
//! that merely grows keeps its node.
//!
//! Invariants
//!   * No interval is empty; none overlap; touching ones differ in value.
//!
//! No lock: the owner has one. Not here: values whose meaning depends on where they start.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges of `u64`, each with a value; the rest is gap.
#[derive(Debug, Clone)]
pub struct IntervalMap<V> {
    intervals: BTreeMap<u64, Interval<V>>,
    /// What an edit found and what it makes; empty between calls, kept for their memory.
    old: Vec<Piece<V>>,
    new: Vec<Piece<V>>,
}

#[derive(Debug, Clone)]
struct Interval<V> {
    end: u64,
    value: V,
}

#[derive(Debug, Clone)]
struct Piece<V> {
    start: u64,
    end: u64,
    value: V,
}

impl<V: Clone + Eq> IntervalMap<V> {
    /// All gap.
    pub fn new() -> Self {
        Self {
            intervals: BTreeMap::new(),
            old: Vec::new(),
            new: Vec::new(),
        }
    }

    /// Gives every byte of `range` this value.
    pub fn insert(&mut self, range: Range<u64>, value: &V) {
        self.update(range, |_, _| Some(value.clone()));
    }

    /// Makes `range` a gap.
    pub fn remove(&mut self, range: Range<u64>) {
        self.update(range, |_, _| None);
    }

    /// Asks `change` for the new value of every piece of `range`, in ascending order. A piece is
    /// the part of one interval, or of one gap (`None`), that lies in `range`.
    pub fn update(
        &mut self,
        range: Range<u64>,
        mut change: impl FnMut(Range<u64>, Option<&V>) -> Option<V>,
    ) {
        if range.is_empty() {
            return;
        }
        let mut old = std::mem::take(&mut self.old);
        let mut new = std::mem::take(&mut self.new);
        self.collect_touching(&range, &mut old);

        let mut at = range.start;
        for piece in &old {
            if piece.start < range.start {
                let end = piece.end.min(range.start);
                push(&mut new, piece.start, end, piece.value.clone());
            }
            let gap_end = piece.start.min(range.end);
            if at < gap_end {
                if let Some(value) = change(at..gap_end, None) {
                    push(&mut new, at, gap_end, value);
                }
                at = gap_end;
            }
            let inside_end = piece.end.min(range.end);
            if at < inside_end {
                if let Some(value) = change(at..inside_end, Some(&piece.value)) {
                    push(&mut new, at, inside_end, value);
                }
                at = inside_end;
            }
            if piece.end > range.end {
                let start = piece.start.max(range.end);
                push(&mut new, start, piece.end, piece.value.clone());
            }
        }
        if at < range.end
            && let Some(value) = change(at..range.end, None)
        {
            push(&mut new, at, range.end, value);
        }

        self.replace(&old, &new);
        old.clear();
        new.clear();
        self.old = old;
        self.new = new;
    }

    /// The value at `at`.
    pub fn get(&self, at: u64) -> Option<&V> {
        self.overlapping(at..at.saturating_add(1))
            .next()
            .map(|(_, value)| value)
    }

    /// Whole intervals (not cut to `range`) that share a byte with `range`, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &V)> {
        let before = self
            .intervals
            .range(..range.start)
            .next_back()
            .filter(|(_, interval)| interval.end > range.start);
        let rest = if range.is_empty() {
            self.intervals.range(range.start..range.start)
        } else {
            self.intervals.range(range.clone())
        };
        before
            .filter(|_| !range.is_empty())
            .into_iter()
            .chain(rest)
            .map(|(&start, interval)| (start..interval.end, &interval.value))
    }

    /// All intervals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Range<u64>, &V)> {
        self.intervals
            .iter()
            .map(|(&start, interval)| (start..interval.end, &interval.value))
    }

    /// Number of intervals.
    pub fn len(&self) -> usize {
        self.intervals.len()
    }

    /// All gap.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Intervals that share a byte with `range` or touch it, ascending.
    fn collect_touching(&self, range: &Range<u64>, into: &mut Vec<Piece<V>>) {
        debug_assert!(into.is_empty());
        for (&start, interval) in self.intervals.range(..=range.end).rev() {
            if interval.end < range.start {
                break;
            }
            into.push(Piece {
                start,
                end: interval.end,
                value: interval.value.clone(),
            });
        }
        into.reverse();
    }

    /// Puts `new` where `old` was; both ascending.
    fn replace(&mut self, old: &[Piece<V>], new: &[Piece<V>]) {
        let mut kept = new.iter().peekable();
        for was in old {
            while kept.peek().is_some_and(|piece| piece.start < was.start) {
                self.put(kept.next().expect("peeked"));
            }
            let Some(is) = kept.next_if(|piece| piece.start == was.start) else {
                self.intervals.remove(&was.start);
                continue;
            };
            if is.end != was.end || is.value != was.value {
                let interval = self
                    .intervals
                    .get_mut(&was.start)
                    .expect("found by this edit");
                interval.end = is.end;
                interval.value = is.value.clone();
            }
        }
        for piece in kept {
            self.put(piece);
        }
    }

    fn put(&mut self, piece: &Piece<V>) {
        self.intervals.insert(
            piece.start,
            Interval {
                end: piece.end,
                value: piece.value.clone(),
            },
        );
    }
}

impl<V: Clone + Eq> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends a piece, or lengthens the last one where they touch with the same value.
fn push<V: Eq>(pieces: &mut Vec<Piece<V>>, start: u64, end: u64, value: V) {
    debug_assert!(start < end);
    match pieces.last_mut() {
        Some(last) if last.end == start && last.value == value => last.end = end,
        _ => pieces.push(Piece { start, end, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(map: &IntervalMap<char>) -> Vec<(Range<u64>, char)> {
        map.iter().map(|(range, value)| (range, *value)).collect()
    }

    #[test]
    fn inserting_into_the_middle_splits() {
        let mut map = IntervalMap::new();
        map.insert(0..10, &'a');
        map.insert(4..6, &'b');
        assert_eq!(listed(&map), [(0..4, 'a'), (4..6, 'b'), (6..10, 'a')]);
    }

    #[test]
    fn equal_neighbours_merge_from_both_sides() {
        let mut map = IntervalMap::new();
        map.insert(0..4, &'a');
        map.insert(6..10, &'a');
        map.insert(4..6, &'a');
        assert_eq!(listed(&map), [(0..10, 'a')]);
    }

    #[test]
    fn removing_cuts_both_ends_of_an_interval() {
        let mut map = IntervalMap::new();
        map.insert(0..10, &'a');
        map.remove(3..7);
        assert_eq!(listed(&map), [(0..3, 'a'), (7..10, 'a')]);
        map.remove(0..100);
        assert!(map.is_empty());
    }

    #[test]
    fn update_sees_gaps_and_intervals_cut_to_the_range() {
        let mut map = IntervalMap::new();
        map.insert(0..4, &'a');
        map.insert(8..12, &'b');
        let mut seen = Vec::new();
        map.update(2..10, |piece, value| {
            seen.push((piece, value.copied()));
            value.copied()
        });
        assert_eq!(seen, [(2..4, Some('a')), (4..8, None), (8..10, Some('b'))]);
        assert_eq!(listed(&map), [(0..4, 'a'), (8..12, 'b')]);
    }

    #[test]
    fn overlapping_gives_whole_intervals_and_no_touching_ones() {
        let mut map = IntervalMap::new();
        map.insert(0..4, &'a');
        map.insert(4..8, &'b');
        map.insert(8..12, &'c');
        let found: Vec<_> = map.overlapping(5..8).collect();
        assert_eq!(found, [(4..8, &'b')]);
        assert_eq!(map.overlapping(6..6).count(), 0);
        assert_eq!(map.get(8), Some(&'c'));
        assert_eq!(map.get(12), None);
    }
}
