//! Latencies counted while they happen: one addition each, a histogram for whoever looks.
//!
//! The buckets are those of [`LatencyHist`], so nothing moves when one becomes the other: each nanosecond
//! below 2048 has its own, and every doubling from there has 1024. Memory grows with the longest latency,
//! 8 KiB for each doubling.
//!
//! Why beside the histogram: a client counts each of its operations twice, and `hdrhistogram` takes 77
//! instructions for what takes twelve here.
//!
//! Locks and threads: none. One tally per thread.

use crate::hist::LatencyHist;

/// Buckets of a doubling, as a power of two.
const DOUBLING_BITS: u32 = 10;
const DOUBLING: usize = 1 << DOUBLING_BITS;

/// Latencies in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyTally {
    /// Of each bucket, up to the doubling of the longest.
    counts: Vec<u64>,
}

impl LatencyTally {
    /// One operation took `ns`. Zero counts as 1 ns, as in a histogram.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let bucket = bucket_of(ns.max(1));
        match self.counts.get_mut(bucket) {
            Some(count) => *count += 1,
            None => self.record_longer(bucket),
        }
    }

    #[cold]
    fn record_longer(&mut self, bucket: usize) {
        self.counts.resize((bucket / DOUBLING + 1) * DOUBLING, 0);
        self.counts[bucket] += 1;
    }

    /// Adds another tally's counts.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, other) in self.counts.iter_mut().zip(&other.counts) {
            *mine += other;
        }
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// How many operations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The same as a histogram.
    #[must_use]
    pub fn hist(&self) -> LatencyHist {
        let mut hist = LatencyHist::new();
        for (bucket, &count) in self.counts.iter().enumerate() {
            if count > 0 {
                hist.record_n(first_of(bucket), count);
            }
        }
        hist
    }
}

/// The bucket that holds `ns`.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 2^16 buckets"
)]
fn bucket_of(ns: u64) -> usize {
    let exact = (2 << DOUBLING_BITS) - 1;
    let shift = (ns | exact).ilog2() - DOUBLING_BITS;
    ((u64::from(shift) << DOUBLING_BITS) + (ns >> shift)) as usize
}

/// The first nanosecond of a bucket.
fn first_of(bucket: usize) -> u64 {
    let shift = (bucket >> DOUBLING_BITS).saturating_sub(1);
    ((bucket - (shift << DOUBLING_BITS)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both edges of every bucket that a power of two is near, and more between.
    fn latencies() -> Vec<u64> {
        let near = (0..63).flat_map(|power| {
            let ns = 1_u64 << power;
            [
                ns - 1,
                ns,
                ns + 1,
                ns | ns >> 1,
                ns | ns >> 10,
                ns | ns >> 11,
            ]
        });
        near.chain((0..5000).map(|nth| nth * nth * nth)).collect()
    }

    #[test]
    fn a_tally_becomes_the_histogram_that_saw_the_same() {
        let (mut tally, mut hist) = (LatencyTally::default(), LatencyHist::new());
        for (nth, ns) in latencies().into_iter().enumerate() {
            tally.record(ns);
            hist.record(ns);
            if nth % 100 == 0 {
                assert_eq!(tally.hist().encode(), hist.encode(), "with {ns}");
            }
        }
        let same = tally.hist();
        assert_eq!(same.encode(), hist.encode());
        assert_eq!(tally.count(), hist.count());
        assert_eq!((same.ns_min(), same.ns_max()), (1, hist.ns_max()));
        assert_eq!(same.ns_mean().to_bits(), hist.ns_mean().to_bits());
        assert_eq!(same.spectrum(), hist.spectrum());
        assert!(LatencyTally::default().hist().is_empty());
        tally.record(u64::MAX);
        assert_eq!(tally.hist().count(), hist.count() + 1);
    }

    #[test]
    fn merging_adds_and_clearing_forgets() {
        let (mut short, mut long) = (LatencyTally::default(), LatencyTally::default());
        short.record(10);
        long.record(20_000_000_000);
        let mut both = short.clone();
        both.merge(&long);
        long.merge(&short);
        assert_eq!(both, long);
        assert_eq!((both.count(), both.hist().ns_min()), (2, 10));
        both.clear();
        assert_eq!(both.count(), 0);
        both.record(3);
        assert_eq!(both.hist().ns_max(), 3);
    }
}
