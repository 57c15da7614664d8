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
}

/// How far the head had come; what is before may go once a superblock says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

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
        let slot = Slot {
            offset: (self.head + skipped) % self.bytes,
            sequence: self.sequence,
        };
        self.head = head;
        self.sequence += 1;
        Some(slot)
    }

    /// Where the next batch goes, for a superblock and for `free_to`.
    pub(crate) fn mark(&self) -> (Mark, LogTail) {
        let offset = self.head.checked_rem(self.bytes).unwrap_or(0);
        let sequence = self.sequence;
        (Mark(self.head), LogTail { offset, sequence })
    }

    /// What is before `mark` is not needed any more.
    pub(crate) fn free_to(&mut self, mark: Mark) {
        self.tail = self.tail.max(mark.0);
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

    #[test]
    fn batches_follow_each_other_and_never_wrap_inside() {
        let mut ring = Ring::new(100, START);
        assert_eq!(
            ring.place(60),
            Some(Slot {
                offset: 0,
                sequence: 1
            })
        );
        let (mark, tail) = ring.mark();
        assert_eq!((tail.offset, tail.sequence), (60, 2));
        assert_eq!(ring.place(50), None, "the first is still needed");
        ring.free_to(mark);
        assert_eq!(
            ring.place(50),
            Some(Slot {
                offset: 0,
                sequence: 2
            })
        );
        assert_eq!(
            ring.place(20),
            None,
            "10 bytes are left before the second tail"
        );
        assert_eq!(
            ring.place(10),
            Some(Slot {
                offset: 50,
                sequence: 3
            })
        );
        assert_eq!(ring.used_bytes(), 100);
    }

    #[test]
    fn a_log_of_no_bytes_takes_nothing() {
        let mut ring = Ring::new(0, START);
        assert_eq!(ring.place(10), None);
        assert_eq!(ring.mark().1, START);
    }
}
