//! What a pool tells about itself.
//!
//! Each worker counts into a meter of its own, so counting costs no cache line that another worker
//! writes, and is always on. Refused: one shared meter, whose dozen contended additions per item would
//! be seen in what they measure.
//!
//! Not here: gauges that a discipline keeps under its lock (seed.rs, shared.rs).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUCKETS: usize = 65;

/// What happened in a pool since its start.
#[derive(Debug, Clone)]
pub struct PoolStats {
    /// The pool's name.
    pub name: &'static str,
    /// Its kind's name, or `stepped`.
    pub kind: &'static str,
    /// Threads that exist.
    pub workers_started: usize,
    /// Workers that may run now: for threshold2014 the active count, else those started.
    pub workers_now: usize,
    /// Workers with an item in hand now.
    pub workers_running: usize,
    /// Sleeping workers woken for an item. An item that finds its worker awake needs none.
    pub wake_ups: u64,
    /// Busy workers that turned idle (seed2008); active count lowered (threshold2014).
    pub turned_idle: u64,
    /// Idle workers that turned busy (seed2008); active count raised (threshold2014).
    pub turned_busy: u64,
    /// Items handed in.
    pub items_submitted: u64,
    /// Items gone through both phases, those that panicked included.
    pub items_completed: u64,
    /// Items that panicked in either phase.
    pub items_panicked: u64,
    /// Items no worker has taken yet.
    pub depth_now: usize,
    /// The most of those at once.
    pub depth_max: usize,
    /// Items not taken yet or in a worker's hands.
    pub backlog: usize,
    /// Items whose first phase is over and whose turn has not come, now.
    pub waiting_now: usize,
    /// From submission until a worker took the item.
    pub queued_ns: Series,
    /// Time in `run`.
    pub running_ns: Series,
    /// From the end of `run` until the item's turn; ordered items alone.
    pub head_wait_ns: Series,
    /// Time in `complete`.
    pub complete_ns: Series,
    /// What the first panic said, if there was one; the pool takes no items since.
    pub poisoned: Option<Arc<str>>,
}

/// Durations of one kind, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// How many by the number of bits: bucket 0 counts zeros, bucket `b` those from `2^(b-1)` up to and
    /// without `2^b`.
    pub buckets: [u64; BUCKETS],
}

impl Default for Series {
    fn default() -> Self {
        Self {
            count: 0,
            sum_ns: 0,
            max_ns: 0,
            buckets: [0; BUCKETS],
        }
    }
}

impl Series {
    /// The mean; 0 without any.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count).unwrap_or(0)
    }

    /// The upper edge of the bucket that holds the given share of the durations, and never above the
    /// longest: at most twice too high.
    ///
    /// # Panics
    /// Where `share` is not from 0 to 1.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        assert!((0.0..=1.0).contains(&share), "a share is from 0 to 1");
        let mut below = 0;
        for (bits, count) in (0u32..).zip(&self.buckets) {
            below += count;
            if below > 0 && below as f64 >= share * self.count as f64 {
                let edge = 1u64.checked_shl(bits).map_or(u64::MAX, |edge| edge - 1);
                return edge.min(self.max_ns);
            }
        }
        self.max_ns
    }

    /// These and `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }
}

/// A series one thread adds to and any thread reads.
#[derive(Debug)]
struct SeriesCell {
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl SeriesCell {
    fn new() -> Self {
        Self {
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    fn add(&self, ns: u64) {
        bump(&self.sum_ns, ns);
        if ns > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.store(ns, Ordering::Relaxed);
        }
        bump(&self.buckets[(u64::BITS - ns.leading_zeros()) as usize], 1);
    }

    fn read(&self) -> Series {
        let buckets = self
            .buckets
            .each_ref()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        Series {
            count: buckets.iter().sum(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
            max_ns: self.max_ns.load(Ordering::Relaxed),
            buckets,
        }
    }
}

/// Adds without a locked instruction: each cell has one writer.
fn bump(cell: &AtomicU64, by: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// One worker's counts. Only that worker adds; the alignment keeps its lines from its neighbours'.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Meter {
    queued: SeriesCell,
    running: SeriesCell,
    head_wait: SeriesCell,
    complete: SeriesCell,
    panicked: AtomicU64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            queued: SeriesCell::new(),
            running: SeriesCell::new(),
            head_wait: SeriesCell::new(),
            complete: SeriesCell::new(),
            panicked: AtomicU64::new(0),
        }
    }

    pub(super) fn add_queued(&self, ns: u64) {
        self.queued.add(ns);
    }

    pub(super) fn add_running(&self, ns: u64) {
        self.running.add(ns);
    }

    pub(super) fn add_head_wait(&self, ns: u64) {
        self.head_wait.add(ns);
    }

    pub(super) fn add_complete(&self, ns: u64) {
        self.complete.add(ns);
    }

    pub(super) fn add_panicked(&self) {
        bump(&self.panicked, 1);
    }

    /// Adds this worker's counts to the pool's.
    pub(super) fn read_into(&self, stats: &mut PoolStats) {
        stats.queued_ns.merge(&self.queued.read());
        stats.running_ns.merge(&self.running.read());
        stats.head_wait_ns.merge(&self.head_wait.read());
        stats.complete_ns.merge(&self.complete.read());
        stats.items_panicked += self.panicked.load(Ordering::Relaxed);
    }
}

impl PoolStats {
    /// Nothing happened yet.
    pub(super) fn new(name: &'static str, kind: &'static str) -> Self {
        Self {
            name,
            kind,
            workers_started: 0,
            workers_now: 0,
            workers_running: 0,
            wake_ups: 0,
            turned_idle: 0,
            turned_busy: 0,
            items_submitted: 0,
            items_completed: 0,
            items_panicked: 0,
            depth_now: 0,
            depth_max: 0,
            backlog: 0,
            waiting_now: 0,
            queued_ns: Series::default(),
            running_ns: Series::default(),
            head_wait_ns: Series::default(),
            complete_ns: Series::default(),
            poisoned: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        let cell = SeriesCell::new();
        for ns in [0, 1, 2, 3, 4, u64::MAX >> 1] {
            cell.add(ns);
        }
        let series = cell.read();
        assert_eq!(series.buckets[..4], [1, 1, 2, 1]);
        assert_eq!((series.buckets[63], series.count), (1, 6));
        assert_eq!(series.max_ns, u64::MAX >> 1);
    }

    #[test]
    fn quantiles_are_edges_of_buckets() {
        let cell = SeriesCell::new();
        for ns in [5, 5, 5, 100] {
            cell.add(ns);
        }
        let series = cell.read();
        assert_eq!(series.quantile_ns(0.5), 7);
        assert_eq!(series.quantile_ns(0.75), 7);
        assert_eq!(series.quantile_ns(1.0), 100);
        assert_eq!(series.mean_ns(), 28);
        assert_eq!(Series::default().quantile_ns(0.99), 0);
    }
}
