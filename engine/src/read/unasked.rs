//! What is being read that nobody has asked for.
//!
//! A reader who finds its own pages in the cache waits for nothing, however slow the device is, and each
//! stream that it begins has reads started ahead of it. A stream's window bounds that stream alone: so many
//! streams would be so many windows, each with its buffers, all of them queued in front of what others wait
//! for. So there is one bound over all streams, above which nothing more is started ahead. It is a part of the
//! cache, since more would push itself out before anybody came for it. Making a stream wait instead was
//! refused: its reader has what it came for.
//!
//! Invariants
//!   * Only a read that begins beyond a request is counted or refused. The pages of the request are read all the
//!     same, also where they are of an extent that was refused.
//!   * A read is counted until it ends, whatever becomes of it: what counts it travels with it.
//!   * Where nothing is being read ahead one read may be, however long it is.
//!
//! Lock: one leaf. Not here: how far one stream reads ahead (ahead), and that it tries again (front).

use std::sync::Arc;

use delalloc_backends::Clock;

use crate::budget::{Budget, BudgetGuard};
use crate::config::EngineConfig;

/// The bound is this part of the cache: at least the window of one stream, since no window may be more.
const CACHE_PART: u64 = 4;

/// Bytes that are being read ahead of all streams of a volume.
#[derive(Debug)]
pub(crate) struct Unasked {
    bytes: Budget,
    read_bytes_min: u64,
}

/// A read that nobody has asked for; it ends with this.
#[derive(Debug)]
pub(crate) struct UnaskedRead(BudgetGuard);

impl Unasked {
    /// None yet.
    pub(crate) fn new(config: &EngineConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            // Nobody waits here, so there is nobody to wake.
            bytes: Budget::new(config.cache.bytes / CACHE_PART, 100, clock),
            // However little it reads, its buffer is one of whole extents.
            read_bytes_min: config.compression.extent_bytes,
        }
    }

    /// One more read, if there is room for it. Never waits.
    pub(super) fn begin(&self) -> Option<UnaskedRead> {
        self.bytes.try_acquire(self.read_bytes_min).map(UnaskedRead)
    }
}

impl UnaskedRead {
    /// It turns out to be of `bytes`: more than usual where the volume was written with larger extents.
    pub(super) fn of(mut self, bytes: u64) -> Self {
        self.0.grow(bytes.saturating_sub(self.0.bytes()));
        self
    }
}

#[cfg(test)]
mod tests {
    use delalloc_backends::VirtualClock;

    use super::*;

    const EXTENT_BYTES: u64 = 128 << 10;

    fn unasked(cache_bytes: u64) -> Unasked {
        let mut config = EngineConfig::for_cpus(1);
        config.cache.bytes = cache_bytes;
        config.compression.extent_bytes = EXTENT_BYTES;
        Unasked::new(&config, Arc::new(VirtualClock::new()))
    }

    /// As many as there is room for.
    fn fill(unasked: &Unasked) -> Vec<UnaskedRead> {
        std::iter::from_fn(|| unasked.begin()).collect()
    }

    #[test]
    fn all_streams_together_have_a_part_of_the_cache() {
        let unasked = unasked(CACHE_PART * 8 * EXTENT_BYTES);
        let mut reads = fill(&unasked);
        assert_eq!(reads.len(), 8);
        assert!(unasked.begin().is_none());
        reads.truncate(5);
        assert_eq!(fill(&unasked).len(), 3, "those that ended");
        drop(reads);
        assert_eq!(fill(&unasked).len(), 8, "all have ended");
    }

    #[test]
    fn a_long_read_is_counted_whole_and_a_short_one_as_its_buffer() {
        let unasked = unasked(CACHE_PART * 8 * EXTENT_BYTES);
        let read = |bytes| unasked.begin().expect("there is room").of(bytes);
        let _short = read(4096);
        let _long = read(6 * EXTENT_BYTES);
        let _last = read(EXTENT_BYTES);
        assert!(unasked.begin().is_none());
    }

    #[test]
    fn a_cache_smaller_than_an_extent_has_one_read_ahead() {
        let unasked = unasked(EXTENT_BYTES);
        for _again in 0..2 {
            let reads = fill(&unasked);
            assert_eq!(reads.len(), 1);
        }
    }
}
