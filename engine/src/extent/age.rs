//! Since when the dirty bytes of a file have been accepted.
//!
//! What a writer was told is done counts from the oldest byte of a range: from its acceptance to the hand-off
//! it is *aged*, to the end of its flight it comes *home*. Bytes that are written again before they are
//! handed off keep their time, because their older content was accepted then and is not anywhere yet.
//!
//! Pure; the owner holds the file's state lock. Not here: how old is too old (writeback/dirty).

use delalloc_backends::Instant;

use super::IntervalMap;
use crate::units::FileRange;

/// Times of acceptance.
#[derive(Debug, Default)]
pub(crate) struct Ages(IntervalMap<Instant>);

impl Ages {
    /// `range` was accepted now, where it was not before.
    pub(crate) fn accepted(&mut self, range: FileRange, now: Instant) {
        self.0.update(range.start..range.end, |_, since| {
            Some(since.copied().unwrap_or(now))
        });
    }

    /// Takes `range` out; returns since when its oldest byte has waited.
    pub(crate) fn take(&mut self, range: FileRange) -> Option<Instant> {
        let oldest = self
            .0
            .overlapping(range.start..range.end)
            .map(|(_, since)| *since)
            .min();
        self.0.remove(range.start..range.end);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_byte_counts_and_overwrites_keep_its_time() {
        let at = |ns| Instant { ns };
        let range = FileRange::new;
        let mut ages = Ages::default();
        ages.accepted(range(0, 8192), at(5));
        ages.accepted(range(4096, 12_288), at(9));
        assert_eq!(ages.take(range(8192, 12_288)), Some(at(9)));
        assert_eq!(ages.take(range(4096, 12_288)), Some(at(5)));
        assert_eq!(ages.take(range(4096, 12_288)), None);
        ages.accepted(range(4096, 8192), at(11));
        assert_eq!(ages.take(range(0, 1 << 20)), Some(at(5)));
    }
}
