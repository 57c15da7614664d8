//! A stretch of a file whose bytes have the same candidates: the versions that each of them may have.
//!
//! ```text
//!   began ------ ended ............ superseded        (tickets of one logical clock)
//!     |  in flight |  settled            |  a write that began after this one ended has ended too
//!     '------------ may be read ---------'            ... and by reads that began before that
//! ```
//!
//! Version 0 is zeros: never written, punched out, or cut off. A write that failed leaves both the
//! old bytes and the new possible, for ever or until it is overwritten.
//!
//! Most segments have one candidate most of the time: it lies in the segment itself, and the others apart, in room that is
//! given back with them.
//!
//! Invariants
//!   * At least one candidate is not superseded.
//!
//! Not here: where a segment begins and what lies beside it (versions), who is reading (verify).

/// A moment of the replay's logical clock.
pub(super) type Ticket = u64;
/// Which content; 0 is zeros.
pub(super) type Version = u64;

const OPEN: Ticket = Ticket::MAX;
/// More room than so many times what is in it is given back.
pub(super) const ROOM_FACTOR_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    version: Version,
    began: Ticket,
    /// `OPEN` while in flight.
    ended: Ticket,
    /// `OPEN` while it is the truth.
    superseded: Ticket,
}

impl Candidate {
    const ZEROS: Self = Self {
        version: 0,
        began: 0,
        ended: 0,
        superseded: OPEN,
    };

    fn settled(self) -> bool {
        self.ended != OPEN && self.superseded == OPEN
    }
}

/// Where it ends, and its candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    end: u64,
    first: Candidate,
    rest: Vec<Candidate>,
}

impl Segment {
    /// Zeros up to `end`.
    pub(super) fn zeros(end: u64) -> Self {
        Self {
            end,
            first: Candidate::ZEROS,
            rest: Vec::new(),
        }
    }

    /// A write of `version` begins.
    pub(super) fn begin(&mut self, version: Version, began: Ticket) {
        if self.rest.is_empty() {
            // Most never have more than one besides.
            self.rest.reserve_exact(1);
        }
        self.rest.push(Candidate {
            version,
            began,
            ended: OPEN,
            superseded: OPEN,
        });
    }

    /// Ends the write that began at `began` and marks what it replaces.
    pub(super) fn end(&mut self, began: Ticket, ended: Ticket, replaces: bool) {
        for candidate in std::iter::once(&mut self.first).chain(&mut self.rest) {
            if candidate.began == began && candidate.ended == OPEN {
                candidate.ended = ended;
            } else if replaces && candidate.ended < began && candidate.superseded == OPEN {
                candidate.superseded = ended;
            }
        }
    }

    /// Forgets candidates that no read in flight may still see, and their room.
    pub(super) fn forget(&mut self, oldest_reader: Ticket) {
        let kept = |candidate: &Candidate| candidate.superseded >= oldest_reader;
        self.rest.retain(kept);
        if !kept(&self.first) {
            self.first = self.rest.swap_remove(0);
        }
        if self.rest.capacity() > ROOM_FACTOR_MAX * self.rest.len() {
            self.rest.shrink_to_fit();
        }
    }

    /// Ends it at `at`, which is inside, and returns the segment that begins there.
    pub(super) fn split_off(&mut self, at: u64) -> Self {
        let right = self.clone();
        self.end = at;
        right
    }

    /// Whether both are settled and of one version, so that they may be joined.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.settled().is_some() && self.settled() == other.settled()
    }

    /// Takes in the segment that begins where it ends, and is alike.
    pub(super) fn join(&mut self, right: &Self) {
        self.end = right.end;
        self.first.began = self.first.began.min(right.first.began);
        self.first.ended = self.first.ended.max(right.first.ended);
    }

    /// The byte after its last.
    pub(super) fn end_offset(&self) -> u64 {
        self.end
    }

    /// What a read that began at `read_began` may see, newest first.
    pub(super) fn versions(&self, read_began: Ticket) -> Vec<Version> {
        let mut versions: Vec<Version> = self
            .candidates()
            .filter(|candidate| candidate.superseded >= read_began)
            .map(|candidate| candidate.version)
            .collect();
        versions.sort_unstable_by(|left, right| right.cmp(left));
        versions.dedup();
        assert!(
            !versions.is_empty(),
            "a byte has at least one possible version"
        );
        versions
    }

    /// Its version, where it has a single candidate.
    pub(super) fn single(&self) -> Option<Version> {
        self.rest.is_empty().then_some(self.first.version)
    }

    /// The same, where that is settled.
    pub(super) fn settled(&self) -> Option<Version> {
        self.single().filter(|_| self.first.settled())
    }

    /// It has no candidate but zeros.
    pub(super) fn is_zeros(&self) -> bool {
        self.candidates().all(|candidate| candidate.version == 0)
    }

    /// It has more than one candidate.
    pub(super) fn is_contested(&self) -> bool {
        !self.rest.is_empty()
    }

    /// It has a candidate that only a read in flight may still see.
    pub(super) fn lingers(&self) -> bool {
        !self.rest.is_empty() && self.candidates().any(|one| one.superseded != OPEN)
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_stays_for_a_read_in_flight_and_then_goes_with_its_room() {
        let mut segment = Segment::zeros(10);
        segment.begin(7, 1);
        assert_eq!(segment.versions(1), [7, 0]);
        assert_eq!(segment.single(), None);
        segment.end(1, 2, true);
        segment.forget(2);
        assert!(segment.lingers());
        assert_eq!(segment.versions(2), [7, 0]);
        assert_eq!(segment.versions(3), [7]);
        segment.forget(3);
        assert!(!segment.lingers() && !segment.is_contested());
        assert_eq!((segment.settled(), segment.rest.capacity()), (Some(7), 0));
    }
}
