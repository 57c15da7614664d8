//! Where in the log the next batch goes, and what of it is still needed.
//!
//! ```text
//!   0        tail                       head              bytes
//!   |  free  |== needed by the newest ==|      free       |
//!            |   superblock             |  next batch here, or at 0 where it would not fit
//! ```
//!
//! Head and tail only grow; the offset in the log is what is left of them modulo its size. A batch is
//! one piece: where the end of the log is too near, it goes to the start, and a reader who finds
//! nothing at the head looks there.
//!
//! Pure. Not here: what is in a batch (pending), reading (recover/log_scan).

use crate::meta::format::LogTail;

/// A place for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Bytes from the start of the log.
    pub(crate) offset: u64,
    /// The number of the batch.
    pub(crate) sequence: u64,
    /// The same place, as a tail.
    pub(crate) place: Place,
}

/// How far the head had come; what is before may go once a superblock says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Where a batch is or would be: what is before it, for `free_to` and for a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) mark: Mark,
    pub(crate) tail: LogTail,
}

/// The ring.
#[derive(Debug)]
pub(crate) struct Ring {
    bytes: u64,
    head: u64,
    tail: u64,
    sequence: u64,
}

impl Ring {
    /// A log of `bytes` with nothing in it; the next batch goes to `tail`.
    pub(crate) fn new(bytes: u64, tail: LogTail) -> Self {
        Self {
            bytes,
            head: tail.offset,
            tail: tail.offset,
            sequence: tail.sequence,
        }
    }

    /// Takes a place for `len` bytes; `None` where they would run into the tail.
    pub(crate) fn place(&mut self, len: u64) -> Option<Slot> {
        if self.bytes == 0 {
            return None;
        }
        let at = self.head % self.bytes;
        let skipped = if at + len > self.bytes {
            self.bytes - at
        } else {
            0
        };
        let head = self.head + skipped + len;
        if head - self.tail > self.bytes {
            return None;
        }
        let at = self.head + skipped;
        let tail = LogTail {
            offset: at % self.bytes,
            sequence: self.sequence,
        };
        let slot = Slot {
            offset: tail.offset,
            sequence: tail.sequence,
            place: Place {
                mark: Mark(at),
                tail,
            },
        };
        self.head = head;
        self.sequence += 1;
        Some(slot)
    }

    /// The batch that was placed last is not there: the next one takes its place and its number.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        assert_eq!(slot.sequence + 1, self.sequence, "one batch is under way");
        self.head = slot.place.mark.0;
        self.sequence = slot.sequence;
    }

    /// Where the next batch goes.
    pub(crate) fn head(&self) -> Place {
        Place {
            mark: Mark(self.head),
            tail: LogTail {
                offset: self.head.checked_rem(self.bytes).unwrap_or(0),
                sequence: self.sequence,
            },
        }
    }

    /// What is before `mark` is not needed any more. A batch before it may have been given back meanwhile.
    pub(crate) fn free_to(&mut self, mark: Mark) {
        self.tail = self.tail.max(mark.0.min(self.head));
    }

    /// Bytes between tail and head.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.head - self.tail
    }

    /// Size of the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: LogTail = LogTail {
        offset: 0,
        sequence: 1,
    };

    fn placed(ring: &mut Ring, len: u64) -> Option<(u64, u64)> {
        let slot = ring.place(len)?;
        assert_eq!(
            (slot.place.tail.offset, slot.place.tail.sequence),
            (slot.offset, slot.sequence)
        );
        Some((slot.offset, slot.sequence))
    }

    #[test]
    fn batches_follow_each_other_and_never_wrap_inside() {
        let mut ring = Ring::new(100, START);
        assert_eq!(placed(&mut ring, 60), Some((0, 1)));
        let head = ring.head();
        assert_eq!((head.tail.offset, head.tail.sequence), (60, 2));
        assert_eq!(ring.place(50), None, "the first is still needed");
        ring.free_to(head.mark);
        assert_eq!(placed(&mut ring, 50), Some((0, 2)));
        assert_eq!(
            ring.place(20),
            None,
            "10 bytes are left before the second tail"
        );
        assert_eq!(placed(&mut ring, 10), Some((50, 3)));
        assert_eq!(ring.used_bytes(), 100);
    }

    #[test]
    fn a_batch_that_is_needed_longer_keeps_its_place() {
        let mut ring = Ring::new(100, START);
        let first = ring.place(40).expect("room").place;
        let second = ring.place(40).expect("room").place;
        ring.free_to(first.mark);
        assert_eq!(ring.place(40), None, "the first is still there");
        ring.free_to(second.mark);
        assert_eq!(placed(&mut ring, 40), Some((0, 3)));
    }

    #[test]
    fn a_batch_that_is_given_back_leaves_no_hole() {
        let mut ring = Ring::new(100, START);
        ring.place(40).expect("room");
        let failed = ring.place(40).expect("room");
        // A commit that began meanwhile would free up to here.
        let mark = ring.head().mark;
        ring.give_back(failed);
        ring.free_to(mark);
        assert_eq!(ring.used_bytes(), 0);
        assert_eq!(placed(&mut ring, 30), Some((40, 2)));
        let wrapped = ring.place(40).expect("room");
        assert_eq!((wrapped.offset, wrapped.sequence), (0, 3));
        ring.give_back(wrapped);
        assert_eq!(placed(&mut ring, 30), Some((0, 3)));
    }

    #[test]
    fn a_log_of_no_bytes_takes_nothing() {
        let mut ring = Ring::new(0, START);
        assert_eq!(ring.place(10), None);
        assert_eq!(ring.head().tail, START);
    }
}
