//! How far to read ahead of a reader who goes forward.
//!
//! The window doubles while reads follow each other and is gone at the first that does not, wherever that
//! is: who begins again at the start of the file is a stream from the second read on, and a page there that
//! is asked for now and then starts nothing. New reads are started when the reader has come within half a
//! window of what was started before, so that one batch is being decoded while the one before is consumed.
//! The caller rounds the range to whole mappings: part of a compressed extent cannot be read. Where it could not
//! start everything it says so, and the stream asks for the rest again.
//!
//! Pure; one per open handle, since two readers of a file are two streams.

use crate::units::FileRange;

/// First window of a stream: one extent.
const WINDOW_BYTES_MIN: u64 = 128 << 10;

/// A reader's stream.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    next: u64,
    window_bytes: u64,
    started_to: u64,
}

impl ReadAhead {
    /// The reader asks for `range`; returns what to start beyond it.
    pub(crate) fn advance(&mut self, range: FileRange, ahead_bytes_max: u64) -> Option<FileRange> {
        let follows = range.start == self.next && range.start != range.end;
        self.next = range.end;
        if !follows {
            self.window_bytes = 0;
            self.started_to = range.end;
            return None;
        }
        self.started_to = self.started_to.max(range.end);
        if self.started_to - range.end > self.window_bytes / 2 {
            return None;
        }
        self.window_bytes = (self.window_bytes * 2)
            .max(WINDOW_BYTES_MIN)
            .min(ahead_bytes_max);
        let ahead = FileRange::new(
            self.started_to,
            (range.end + self.window_bytes).max(self.started_to),
        );
        self.started_to = ahead.end;
        (!ahead.is_empty()).then_some(ahead)
    }

    /// Nothing was started from `at` on: the window does not grow for that, and the next read that comes near
    /// asks for it again.
    pub(crate) fn refused_from(&mut self, at: u64) {
        self.started_to = self.started_to.min(at);
        // It was doubled to be asked for.
        self.window_bytes /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 1 << 20;

    #[test]
    fn a_stream_doubles_its_window_and_starts_nothing_twice() {
        let mut ahead = ReadAhead::default();
        let mut started_to = 0;
        let mut total = 0;
        for block in 0..2048_u64 {
            let range = FileRange::new(block * 4096, (block + 1) * 4096);
            if let Some(more) = ahead.advance(range, MAX) {
                assert!(more.start >= started_to && more.start >= range.end);
                assert!(more.end <= range.end + MAX);
                started_to = more.end;
                total += more.bytes();
            }
        }
        assert!(
            total >= 2048 * 4096 - MAX,
            "the stream stays ahead of its reader: {total}"
        );
    }

    #[test]
    fn a_jump_ends_the_stream() {
        let mut ahead = ReadAhead::default();
        assert!(ahead.advance(FileRange::new(0, 4096), MAX).is_some());
        assert!(
            ahead
                .advance(FileRange::new(1 << 30, (1 << 30) + 4096), MAX)
                .is_none()
        );
        assert!(ahead.advance(FileRange::new(5000, 9096), MAX).is_none());
    }

    /// Bytes started while 8 MiB are read in blocks.
    fn pass(ahead: &mut ReadAhead) -> u64 {
        let blocks = (0..2048_u64).map(|block| FileRange::new(block * 4096, (block + 1) * 4096));
        blocks
            .filter_map(|range| ahead.advance(range, MAX))
            .map(|more| more.bytes())
            .sum()
    }

    #[test]
    fn a_second_pass_starts_as_much_as_the_first() {
        let mut ahead = ReadAhead::default();
        let first_bytes = pass(&mut ahead);
        assert!(first_bytes >= 2048 * 4096 - MAX);
        let as_much = first_bytes - MAX..=first_bytes + MAX;
        for _again in 0..3 {
            assert!(as_much.contains(&pass(&mut ahead)));
        }
        ahead.advance(FileRange::new(1 << 30, (1 << 30) + 4096), MAX);
        assert!(as_much.contains(&pass(&mut ahead)), "after a jump");
    }

    #[test]
    fn a_head_that_is_read_now_and_then_starts_its_window_once() {
        let mut ahead = ReadAhead::default();
        let (head, far) = (FileRange::new(0, 4096), 1 << 30);
        assert!(ahead.advance(head, MAX).is_some());
        for again in 0..10 {
            if again % 2 == 0 {
                ahead.advance(FileRange::new(far, far + 4096), MAX);
            }
            assert_eq!(ahead.advance(head, MAX), None);
        }
    }

    fn page(number: u64) -> FileRange {
        FileRange::new(number * 4096, (number + 1) * 4096)
    }

    #[test]
    fn a_stream_that_is_refused_tries_again_with_the_same_window() {
        let mut ahead = ReadAhead::default();
        for number in 0..100 {
            let more = ahead.advance(page(number), MAX);
            let more = more.expect("nothing was started");
            assert_eq!(more.start, page(number).end);
            assert_eq!(more.bytes(), WINDOW_BYTES_MIN);
            ahead.refused_from(more.start);
        }
    }

    #[test]
    fn a_stream_that_is_refused_a_part_asks_for_that_part() {
        const STARTED_TO: u64 = 64 << 10;
        let mut ahead = ReadAhead::default();
        assert!(ahead.advance(page(0), MAX).is_some());
        ahead.refused_from(STARTED_TO);
        let mut reads = (1..STARTED_TO / 4096).map(page);
        let more = reads.find_map(|range| ahead.advance(range, MAX));
        assert_eq!(more.map(|more| more.start), Some(STARTED_TO));
    }

    #[test]
    fn no_read_ahead_when_it_is_off() {
        let mut ahead = ReadAhead::default();
        assert!(ahead.advance(FileRange::new(0, 4096), 0).is_none());
    }
}
