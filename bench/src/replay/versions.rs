//! Which versions of its content a byte of a file may hold, at any moment of a replay.
//!
//! Content is a pure function of (seed, file, offset, version), so a number per range is enough to
//! know every byte. One client alone makes that number exact. Clients that write the same bytes at
//! the same time do not: either may win, so a range then holds a *set* of candidates, and a read
//! is right if each of its bytes is one of them. The alternative, forbidding overlap, would leave
//! the races of the target unverified, and those are where it is wrong if it is wrong.
//!
//! Zeros may reach past everything written so far (a file is cut to nothing, whatever its size). They
//! make no segments there, but a write that begins while they are in flight may come before them or
//! after them, so where it makes a segment it finds them among the candidates.
//!
//! Memory is that of the segments: a write makes one of its own, and up to two more of what it cuts in two. What no read in
//! flight may see any more is forgotten with its room: with the next change of the file where a read was in the way, so that a
//! reader beside a writer costs nothing for good. A file that holds nothing but zeros keeps no segment, only where they are.
//!
//! Invariants
//!   * Segments do not overlap; a byte in no segment has the single candidate 0.
//!   * A segment within the range of zeros in flight has them as a candidate.
//!   * Versions of writes are unique in a run, so stale content never looks fresh.
//!
//! Not here: how long a version is a candidate (segment), tickets and readers (verify), the bytes (`delalloc-workloads`).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use delalloc_workloads::plan::{VERIFY_FILE_BYTES, VERIFY_FIRST_BYTES, VERIFY_SEGMENT_BYTES};

use super::segment::{ROOM_FACTOR_MAX, Segment, Ticket, Version};

/// What a segment with more than one candidate takes besides: the others, and its place in the queue.
const CONTESTED_BYTES: u64 = 64;
/// So many of a file come and go with what is in flight; they are not counted, or each write would count twice.
const CONTESTED_FREE: usize = 64;

/// Bytes and the versions each of them may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptable {
    /// The bytes.
    pub range: Range<u64>,
    /// The versions, newest first, at least one.
    pub versions: Vec<Version>,
}

/// The candidates of one file.
#[derive(Debug, Default)]
pub struct VersionMap {
    segments: BTreeMap<u64, Segment>,
    /// Zeros in flight: their whole range, and when they began.
    zeros: Vec<(Range<u64>, Ticket)>,
    /// What would be the one segment there is, where that is settled zeros.
    emptied: Range<u64>,
    /// Segments with more than one candidate.
    contested: usize,
    /// Where segments begin that kept a candidate for a read in flight, the oldest first. Some may be gone by now.
    lingering: VecDeque<u64>,
}

impl VersionMap {
    /// A write of `version` to `range` begins.
    pub fn begin_write(&mut self, range: Range<u64>, version: Version, began: Ticket) {
        assert!(
            version != 0,
            "version 0 is for bytes that were never written"
        );
        self.unfold();
        self.fill_gaps(&range);
        self.add(range, version, began);
    }

    /// `range` is about to become zeros: punched out or cut off.
    pub fn begin_zeros(&mut self, range: Range<u64>, began: Ticket) {
        self.unfold();
        // Past the last segment there is nothing but zeros already.
        let held = range.start..range.end.min(self.end_offset()).max(range.start);
        self.fill_gaps(&held);
        self.add(held, 0, began);
        self.zeros.push((range, began));
    }

    /// What began at `began` over `range` has succeeded. Reads that began before `oldest_reader` are over.
    pub fn end(&mut self, range: Range<u64>, began: Ticket, ended: Ticket, oldest_reader: Ticket) {
        self.finish(range, began, ended, oldest_reader, true);
    }

    /// What began at `began` over `range` has failed: old and new are both possible from here.
    pub fn fail(&mut self, range: Range<u64>, began: Ticket, ended: Ticket) {
        self.finish(range, began, ended, 0, false);
    }

    /// What a read of `range` that began at `read_began` and ends now may return, without gaps, in order.
    pub fn acceptable(&self, range: Range<u64>, read_began: Ticket) -> Vec<Acceptable> {
        let mut out = Vec::new();
        let mut at = range.start;
        for (start, segment) in self.overlapping(&range) {
            let (from, to) = (start.max(range.start), segment.end_offset().min(range.end));
            if at < from {
                out.push(Acceptable {
                    range: at..from,
                    versions: vec![0],
                });
            }
            out.push(Acceptable {
                range: from..to,
                versions: segment.versions(read_began),
            });
            at = to;
        }
        if at < range.end {
            out.push(Acceptable {
                range: at..range.end,
                versions: vec![0],
            });
        }
        out
    }

    /// The one version of all of `range`, where that is so: the common case, without an allocation.
    pub fn single(&self, range: &Range<u64>) -> Option<Version> {
        match self.segments.range(..=range.start).next_back() {
            Some((_, segment)) if segment.end_offset() > range.start => segment
                .single()
                .filter(|_| segment.end_offset() >= range.end),
            _ => self.overlapping(range).next().is_none().then_some(0),
        }
    }

    /// What is worth reading back, in ranges of at most `range_bytes_max`: every byte that was
    /// written, and both ends of every stretch of zeros. A trace addressed by device offsets leaves
    /// stretches of many gigabytes, which would say nothing and take for ever.
    pub fn read_back(&self, range_bytes_max: u64) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut add = |range: Range<u64>| match ranges.last_mut() {
            Some(last) if last.end >= range.start && range.end - last.start <= range_bytes_max => {
                last.end = last.end.max(range.end);
            }
            _ => ranges.push(range),
        };
        let emptied = (!self.emptied.is_empty()).then_some((self.emptied.clone(), true));
        let held = self
            .segments
            .iter()
            .map(|(&start, segment)| (start..segment.end_offset(), segment.is_zeros()));
        for (Range { start, end }, zeros) in emptied.into_iter().chain(held) {
            if zeros && end - start > 2 * range_bytes_max {
                add(start..start + range_bytes_max);
                add(end - range_bytes_max..end);
                continue;
            }
            let mut at = start;
            while at < end {
                let piece_end = end.min((at / range_bytes_max + 1) * range_bytes_max);
                add(at..piece_end);
                at = piece_end;
            }
        }
        ranges
    }

    /// The byte after the last that was ever written.
    fn end_offset(&self) -> u64 {
        self.segments
            .last_key_value()
            .map_or(0, |(_, segment)| segment.end_offset())
    }

    /// Memory that it takes.
    pub fn held_bytes(&self) -> u64 {
        let first = if self.segments.is_empty() {
            0
        } else {
            VERIFY_FIRST_BYTES
        };
        let contested = self.contested.saturating_sub(CONTESTED_FREE) as u64;
        VERIFY_FILE_BYTES
            + first
            + self.segments.len() as u64 * VERIFY_SEGMENT_BYTES
            + contested * CONTESTED_BYTES
    }

    /// Something is still kept for a read in flight.
    pub fn lingers(&self) -> bool {
        !self.lingering.is_empty()
    }

    /// Forgets all that reads which began before `oldest_reader` kept.
    pub fn forget(&mut self, oldest_reader: Ticket) {
        self.forget_lingering(self.lingering.len(), oldest_reader);
        self.fold();
    }

    fn finish(
        &mut self,
        range: Range<u64>,
        began: Ticket,
        ended: Ticket,
        oldest_reader: Ticket,
        replaces: bool,
    ) {
        self.zeros.retain(|(_, of)| *of != began);
        if self.zeros.is_empty() {
            self.zeros = Vec::new();
        }
        let mut touched = 0;
        // The range was split at its edges when the write began, and segments only split after that.
        for (&start, segment) in self.segments.range_mut(range.start..range.end) {
            let was_contested = segment.is_contested();
            segment.end(began, ended, replaces);
            segment.forget(oldest_reader);
            self.contested -= usize::from(was_contested && !segment.is_contested());
            if segment.lingers() {
                self.lingering.push_back(start);
            }
            touched += 1;
        }
        // More than were added, so that they come to an end.
        self.forget_lingering(2 * touched, oldest_reader);
        self.join(range);
        self.fold();
    }

    /// Forgets what the first `count` of the segments in the queue kept, up to one that still has to keep it.
    fn forget_lingering(&mut self, count: usize, oldest_reader: Ticket) {
        for _ in 0..count {
            let Some(&start) = self.lingering.front() else {
                return;
            };
            if let Some(segment) = self.segments.get_mut(&start) {
                let was_contested = segment.is_contested();
                segment.forget(oldest_reader);
                self.contested -= usize::from(was_contested && !segment.is_contested());
                if segment.lingers() {
                    return;
                }
                self.join(start..start + 1);
            }
            self.lingering.pop_front();
            let len = self.lingering.len();
            if self.lingering.capacity() > ROOM_FACTOR_MAX * len {
                self.lingering.shrink_to(2 * len);
            }
        }
    }

    /// Settled zeros and nothing else need no segment. Nothing is in flight then: what is has a segment or is among the zeros.
    fn fold(&mut self) {
        if self.segments.len() != 1 || !self.zeros.is_empty() {
            return;
        }
        let (&start, segment) = self.segments.first_key_value().expect("there is one");
        if segment.settled() == Some(0) {
            self.emptied = start..segment.end_offset();
            // A map that only loses its last entry keeps a node.
            self.segments = BTreeMap::new();
        }
    }

    /// The segment of zeros again, before something changes.
    fn unfold(&mut self) {
        if !self.emptied.is_empty() {
            let zeros = Segment::zeros(self.emptied.end);
            self.segments.insert(self.emptied.start, zeros);
            self.emptied = 0..0;
        }
    }

    /// Adds a candidate to all of `range`, which has no gaps.
    fn add(&mut self, range: Range<u64>, version: Version, began: Ticket) {
        if range.is_empty() {
            return;
        }
        self.split(range.start);
        self.split(range.end);
        for (_, segment) in self.segments.range_mut(range) {
            self.contested += usize::from(!segment.is_contested());
            segment.begin(version, began);
        }
    }

    /// Makes segments where `range` has none: zeros, and whatever zeros are in flight.
    fn fill_gaps(&mut self, range: &Range<u64>) {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (start, segment) in self.overlapping(range) {
            if at < start {
                gaps.push(at..start);
            }
            at = segment.end_offset();
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        for gap in gaps {
            self.segments.insert(gap.start, Segment::zeros(gap.end));
            for nth in 0..self.zeros.len() {
                let (zeros, began) = &self.zeros[nth];
                let both = gap.start.max(zeros.start)..gap.end.min(zeros.end);
                self.add(both, 0, *began);
            }
        }
    }

    fn split(&mut self, at: u64) {
        let Some((_, segment)) = self.segments.range_mut(..at).next_back() else {
            return;
        };
        if segment.end_offset() > at {
            let right = segment.split_off(at);
            self.contested += usize::from(right.is_contested());
            if right.lingers() {
                self.lingering.push_back(at);
            }
            self.segments.insert(at, right);
        }
    }

    /// Joins settled neighbours of one version: zeros, and what a change split that left nothing of itself.
    fn join(&mut self, range: Range<u64>) {
        let from = self
            .segments
            .range(..range.start)
            .next_back()
            .map_or(range.start, |(&start, _)| start);
        let mut at = from;
        while let Some(left) = self.segments.get(&at) {
            let end = left.end_offset();
            if at >= range.end {
                return;
            }
            let Some(right) = self.segments.get(&end) else {
                let Some((&next, _)) = self.segments.range(end..).next() else {
                    return;
                };
                at = next;
                continue;
            };
            if !left.is_alike(right) {
                at = end;
                continue;
            }
            let right = self.segments.remove(&end).expect("looked up just now");
            let joined = self.segments.get_mut(&at).expect("looked up just now");
            joined.join(&right);
        }
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, &Segment)> {
        let before = self
            .segments
            .range(..range.start)
            .next_back()
            .filter(|(_, segment)| segment.end_offset() > range.start);
        before
            .into_iter()
            .chain(self.segments.range(range.start..range.end.max(range.start)))
            .map(|(&start, segment)| (start, segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(range: &Range<u64>) -> Range<usize> {
        let index = |at| usize::try_from(at).unwrap();
        index(range.start)..index(range.end)
    }

    fn versions(map: &VersionMap, at: u64, read_began: Ticket) -> Vec<Version> {
        map.acceptable(at..at + 1, read_began).remove(0).versions
    }

    #[test]
    fn reading_back_takes_every_written_byte_and_the_ends_of_long_zeros() {
        let mut map = VersionMap::default();
        map.begin_write(10..25, 1, 1);
        map.end(10..25, 1, 2, Ticket::MAX);
        map.begin_write(1000..1001, 2, 3);
        map.end(1000..1001, 3, 4, Ticket::MAX);
        assert_eq!(map.read_back(10), [10..20, 20..25, 1000..1001]);
        map.begin_zeros(100..900, 5);
        map.end(100..900, 5, 6, Ticket::MAX);
        assert_eq!(
            map.read_back(10),
            [10..20, 20..25, 100..110, 890..900, 1000..1001]
        );
    }

    fn whole_write(map: &mut VersionMap, range: Range<u64>, version: Version, oldest: Ticket) {
        let began = version * 2;
        map.begin_write(range.clone(), version, began);
        map.end(range, began, began + 1, oldest);
    }

    #[test]
    fn a_file_that_was_emptied_gives_its_memory_back_and_is_still_read_back() {
        let mut map = VersionMap::default();
        let empty_bytes = map.held_bytes();
        for nth in 0..1000 {
            whole_write(&mut map, nth * 10..nth * 10 + 10, nth + 1, Ticket::MAX);
        }
        assert_eq!((map.segments.len(), map.contested), (1000, 0));
        assert!(map.held_bytes() > empty_bytes + 1000 * VERIFY_SEGMENT_BYTES);
        map.begin_zeros(0..u64::MAX, 5000);
        let in_flight = map.held_bytes();
        map.end(0..u64::MAX, 5000, 5001, Ticket::MAX);
        assert!(in_flight > map.held_bytes());
        assert_eq!((map.held_bytes(), map.contested), (empty_bytes, 0));
        let whole = 0..10_000;
        assert_eq!(map.read_back(10_000), std::slice::from_ref(&whole));
        assert_eq!(map.single(&(0..10_000)), Some(0));
        // And it can be used again.
        whole_write(&mut map, 5..15, 6000, Ticket::MAX);
        assert_eq!(map.single(&(5..15)), Some(6000));
        assert_eq!(map.read_back(10_000), std::slice::from_ref(&whole));
    }

    #[test]
    fn a_reader_beside_a_writer_costs_nothing_for_good() {
        let mut map = VersionMap::default();
        for nth in 0..1000 {
            // A read is always in flight, and none for longer than a write.
            let range = nth % 100 * 10..nth % 100 * 10 + 10;
            whole_write(&mut map, range, nth + 1, (nth + 1) * 2);
            assert!(map.contested <= 2, "{nth}: {}", map.contested);
        }
        assert!(map.lingers());
        map.forget(Ticket::MAX);
        assert!(!map.lingers() && map.contested == 0);
        assert_eq!((map.segments.len(), map.lingering.capacity()), (100, 0));
    }

    #[test]
    fn one_writer_leaves_one_version() {
        let mut map = VersionMap::default();
        map.begin_write(0..100, 7, 1);
        map.end(0..100, 1, 2, Ticket::MAX);
        map.begin_write(50..150, 8, 3);
        map.end(50..150, 3, 4, Ticket::MAX);
        assert_eq!(map.single(&(0..50)), Some(7));
        assert_eq!(map.single(&(50..150)), Some(8));
        assert_eq!(map.single(&(40..60)), None);
        assert_eq!(map.single(&(150..900)), Some(0));
        let parts: Vec<_> = map
            .acceptable(0..200, 5)
            .into_iter()
            .map(|a| a.versions)
            .collect();
        assert_eq!(parts, [vec![7], vec![8], vec![0]]);
    }

    #[test]
    fn writes_that_overlap_in_time_leave_both() {
        let mut map = VersionMap::default();
        map.begin_write(0..10, 1, 1);
        map.begin_write(0..10, 2, 2);
        map.end(0..10, 2, 3, Ticket::MAX);
        map.end(0..10, 1, 4, Ticket::MAX);
        assert_eq!(versions(&map, 5, 5), [2, 1]);
        map.begin_write(0..10, 3, 6);
        map.end(0..10, 6, 7, Ticket::MAX);
        assert_eq!(versions(&map, 5, 8), [3]);
    }

    #[test]
    fn a_read_that_began_before_an_overwrite_ended_may_see_the_old() {
        let mut map = VersionMap::default();
        map.begin_write(0..10, 1, 1);
        map.end(0..10, 1, 2, Ticket::MAX);
        let read_began = 3;
        map.begin_write(0..10, 2, 4);
        map.end(0..10, 4, 5, read_began);
        assert_eq!(versions(&map, 0, read_began), [2, 1]);
        assert_eq!(versions(&map, 0, 6), [2]);
    }

    #[test]
    fn a_failed_write_leaves_old_and_new_until_overwritten() {
        let mut map = VersionMap::default();
        map.begin_write(0..10, 1, 1);
        map.fail(0..10, 1, 2);
        assert_eq!(versions(&map, 0, 3), [1, 0]);
        map.begin_write(0..10, 2, 4);
        map.end(0..10, 4, 5, Ticket::MAX);
        assert_eq!(versions(&map, 0, 6), [2]);
    }

    #[test]
    fn a_cut_tail_reads_as_zeros() {
        let mut map = VersionMap::default();
        map.begin_write(0..100, 1, 1);
        map.end(0..100, 1, 2, Ticket::MAX);
        map.begin_zeros(40..u64::MAX, 3);
        map.end(40..u64::MAX, 3, 4, Ticket::MAX);
        assert_eq!(map.single(&(40..100)), Some(0));
        assert_eq!(map.single(&(0..40)), Some(1));
        let back = map.read_back(1000);
        assert_eq!((back.len(), back[0].clone()), (1, 0..100));
    }

    #[test]
    fn a_write_past_the_end_beside_a_cut_may_be_cut_off() {
        let mut map = VersionMap::default();
        map.begin_write(0..100, 1, 1);
        map.end(0..100, 1, 2, Ticket::MAX);
        map.begin_zeros(0..u64::MAX, 3);
        map.begin_write(200..300, 2, 4);
        map.end(200..300, 4, 5, Ticket::MAX);
        map.end(0..u64::MAX, 3, 6, Ticket::MAX);
        assert_eq!(versions(&map, 250, 7), [2, 0]);
        assert_eq!(map.single(&(0..100)), Some(0));
        // Whoever begins after the cut is over is not cut off.
        map.begin_write(200..400, 3, 8);
        map.end(200..400, 8, 9, Ticket::MAX);
        assert_eq!(map.single(&(200..400)), Some(3));
    }

    #[test]
    fn zeros_in_flight_are_possible_in_their_own_range_alone() {
        let mut map = VersionMap::default();
        map.begin_zeros(100..200, 1);
        map.begin_write(50..250, 1, 2);
        map.end(50..250, 2, 3, Ticket::MAX);
        map.fail(100..200, 1, 4);
        assert_eq!(versions(&map, 99, 5), [1]);
        assert_eq!(versions(&map, 100, 5), [1, 0]);
        assert_eq!(versions(&map, 199, 5), [1, 0]);
        assert_eq!(versions(&map, 200, 5), [1]);
    }

    proptest! {
        /// Sequential random writes and cuts against a version per byte.
        #[test]
        fn sequential_use_equals_a_version_per_byte(
            steps in prop::collection::vec((0_u64..300, 1_u64..120, prop::bool::weighted(0.2)), 1..60)
        ) {
            let mut map = VersionMap::default();
            let mut oracle = vec![0; 500];
            for (step, (offset, bytes, zeros)) in steps.into_iter().enumerate() {
                let range = offset..offset + bytes;
                let (version, ticket) = (step as u64 + 1, step as u64 * 2 + 1);
                if zeros {
                    map.begin_zeros(range.clone(), ticket);
                } else {
                    map.begin_write(range.clone(), version, ticket);
                }
                map.end(range.clone(), ticket, ticket + 1, Ticket::MAX);
                let end = usize::try_from(range.end).unwrap();
                oracle[usize::try_from(offset).unwrap()..end].fill(if zeros { 0 } else { version });
            }
            let mut at = 0;
            for part in map.acceptable(0..500, Ticket::MAX) {
                prop_assert_eq!(part.range.start, at);
                prop_assert_eq!(part.versions.len(), 1);
                for byte in part.range.clone() {
                    prop_assert_eq!(oracle[usize::try_from(byte).unwrap()], part.versions[0]);
                }
                prop_assert_eq!(map.single(&part.range), Some(part.versions[0]));
                at = part.range.end;
            }
            prop_assert_eq!(at, 500);
        }

        /// Changes side by side, which end in any order or fail, against the candidates of each byte.
        #[test]
        fn use_side_by_side_equals_candidates_per_byte(
            steps in prop::collection::vec((0_u64..60, 1_u64..60, 0_u8..3, any::<prop::sample::Index>()), 1..60)
        ) {
            let mut map = VersionMap::default();
            let mut oracle = vec![vec![(0, 0, 0)]; 120];
            let mut in_flight = Vec::new();
            for (step, (offset, bytes, what, which)) in steps.into_iter().enumerate() {
                let ticket = step as u64 + 1;
                if what < 2 {
                    let (range, version) = (offset..offset + bytes, if what == 0 { 0 } else { ticket });
                    match version {
                        0 => map.begin_zeros(range.clone(), ticket),
                        _ => map.begin_write(range.clone(), version, ticket),
                    }
                    for byte in &mut oracle[index(&range)] {
                        byte.push((version, ticket, Ticket::MAX));
                    }
                    in_flight.push((range, ticket));
                } else if !in_flight.is_empty() {
                    let (range, began) = in_flight.swap_remove(which.index(in_flight.len()));
                    let fails = bytes % 4 == 0;
                    if fails {
                        map.fail(range.clone(), began, ticket);
                    } else {
                        map.end(range.clone(), began, ticket, Ticket::MAX);
                    }
                    for byte in &mut oracle[index(&range)] {
                        byte.retain(|(_, _, ended)| fails || *ended >= began);
                        let own = byte.iter_mut().find(|(_, of, _)| *of == began);
                        own.expect("it began").2 = ticket;
                    }
                }
                for part in map.acceptable(0..120, Ticket::MAX) {
                    for byte in &oracle[index(&part.range)] {
                        let mut possible: Vec<Version> = byte.iter().map(|one| one.0).collect();
                        possible.sort_unstable_by(|left, right| right.cmp(left));
                        possible.dedup();
                        prop_assert_eq!(&part.versions, &possible);
                    }
                }
                let contested = map.segments.values().filter(|one| one.is_contested());
                prop_assert_eq!(map.contested, contested.count());
            }
        }
    }
}
