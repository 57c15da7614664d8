//! One stage of the life of a write or a read: how often, how long, how much is in it now.
//!
//! Counting is a few relaxed additions, done by whoever ends the stage, so it is always on. A
//! duration goes to the bucket of its number of bits; an exact histogram was refused, for it costs
//! a lock or a page of counters per stage and thread.
//!
//! What passes a stage as bytes holds a `Passage`: while it lives the stage shows them. It ends
//! with a time, or is dropped where the work failed, and then leaves without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::Instant;

use super::table::table;
use crate::pool::Series;

/// A bucket for each number of bits, 0 to 64.
const BUCKETS: usize = 65;

/// Live counts of one stage. Aligned, so that two stages share no cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct StageStats {
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
    depth: AtomicU64,
    held_bytes: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// Counts of one stage at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageSnapshot {
    /// Times spent in it.
    pub time: Series,
    /// Passages in it now.
    pub depth: u64,
    /// Their bytes.
    pub held_bytes: u64,
}

table!(StageSnapshot {
    table time,
    gauge depth "count",
    gauge held_bytes "bytes",
});

impl StageStats {
    /// One more went through, in `ns`.
    pub fn record(&self, ns: u64) {
        let bits = u64::BITS - ns.leading_zeros();
        self.buckets[bits as usize].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
        if ns > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.fetch_max(ns, Ordering::Relaxed);
        }
    }

    /// `bytes` enter the stage at `now`.
    pub fn begin(self: &Arc<Self>, bytes: u64, now: Instant) -> Passage {
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        Passage {
            stage: Arc::clone(self),
            bytes,
            since: now,
        }
    }

    /// The counts now. Not one instant for all of them: what is added meanwhile may be in some.
    pub fn snapshot(&self) -> StageSnapshot {
        let buckets = self
            .buckets
            .each_ref()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        StageSnapshot {
            time: Series {
                count: buckets.iter().sum(),
                sum_ns: self.sum_ns.load(Ordering::Relaxed),
                max_ns: self.max_ns.load(Ordering::Relaxed),
                buckets,
            },
            depth: self.depth.load(Ordering::Relaxed),
            held_bytes: self.held_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Default for StageStats {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            sum_ns: zero(),
            max_ns: zero(),
            depth: zero(),
            held_bytes: zero(),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

/// Bytes on their way through a stage.
#[derive(Debug)]
pub struct Passage {
    stage: Arc<StageStats>,
    bytes: u64,
    since: Instant,
}

impl Passage {
    /// They are through.
    pub fn end(self, now: Instant) {
        self.stage.record(now.ns_since(self.since));
    }

    /// They are through, and enter the next stage as `bytes`.
    pub fn pass_to(&mut self, next: &Arc<StageStats>, bytes: u64, now: Instant) {
        let passed = std::mem::replace(self, next.begin(bytes, now));
        passed.end(now);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.stage.depth.fetch_sub(1, Ordering::Relaxed);
        self.stage
            .held_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Instant {
        Instant { ns }
    }

    #[test]
    fn bytes_are_in_one_stage_at_a_time() {
        let (encode, submit) = (
            Arc::new(StageStats::default()),
            Arc::new(StageStats::default()),
        );
        let mut passage = encode.begin(1000, at(0));
        assert_eq!(
            (encode.snapshot().depth, encode.snapshot().held_bytes),
            (1, 1000)
        );
        passage.pass_to(&submit, 300, at(50));
        assert_eq!(
            (encode.snapshot().depth, encode.snapshot().held_bytes),
            (0, 0)
        );
        assert_eq!(encode.snapshot().time.sum_ns, 50);
        assert_eq!(submit.snapshot().held_bytes, 300);
        passage.end(at(60));
        let through = submit.snapshot();
        assert_eq!((through.depth, through.held_bytes), (0, 0));
        assert_eq!((through.time.count, through.time.max_ns), (1, 10));
    }

    #[test]
    fn what_failed_leaves_without_a_time() {
        let stage = Arc::new(StageStats::default());
        drop(stage.begin(10, at(0)));
        assert_eq!(stage.snapshot(), StageSnapshot::default());
    }

    #[test]
    fn durations_of_any_length_have_a_bucket() {
        let stage = StageStats::default();
        for ns in [0, 1, u64::MAX] {
            stage.record(ns);
        }
        let time = stage.snapshot().time;
        assert_eq!(
            (time.buckets[0], time.buckets[1], time.buckets[64]),
            (1, 1, 1)
        );
    }
}
