//! Time in which callers are held up, told while it passes.
//!
//! A stall may be longer than the interval between two looks, and one that were told at its end would be filed in the
//! wrong one. So the moments at which those under way began are kept as a sum: of `n` of them `n * now - sum` has passed. That
//! needs no list, and costs those nothing who are not held up.
//!
//! ```text
//!   look          look          look
//!    |    begin    |             |   end   |
//!    |      '------+-------------+----'    |
//!    |       part 1   interval      part 3        one stall, three intervals, each with its own
//! ```
//!
//! Invariants
//!   * What looks are told only grows: who looks and who ends take the time under the same lock.
//!   * `count` and the longest are of those that are over.
//!
//! Not here: who is held up, and why (`writeback::dirty`, `budget`, and whoever begins a `Stall`).

use delalloc_backends::{Clock, Instant};
use parking_lot::Mutex;

use super::table::table;

/// How often and how long callers were held up in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stalls {
    /// How often, those alone that are over.
    pub count: u64,
    /// Together, as far as those under way have come.
    pub ns_sum: u64,
    /// At most, of those that are over.
    pub ns_max: u64,
}

/// Those that are over, and those under way; kept under the lock of whoever holds callers up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeldUp {
    over: Stalls,
    under_way: u64,
    begun_ns_sum: u128,
}

impl HeldUp {
    /// A caller is held up, since `since`.
    pub(crate) fn begin(&mut self, since: Instant) {
        self.under_way += 1;
        self.begun_ns_sum += u128::from(since.ns);
    }

    /// One that began at `since` is over.
    pub(crate) fn end(&mut self, since: Instant, now: Instant) {
        self.under_way = self
            .under_way
            .checked_sub(1)
            .expect("a stall ends once, after it began");
        self.begun_ns_sum -= u128::from(since.ns);
        let ns = now.ns_since(since);
        self.over.count += 1;
        self.over.ns_sum += ns;
        self.over.ns_max = self.over.ns_max.max(ns);
    }

    /// What there was until `now`.
    pub(crate) fn until(&self, now: Instant) -> Stalls {
        let passed = u128::from(now.ns) * u128::from(self.under_way);
        let ns = passed.saturating_sub(self.begun_ns_sum);
        let ns = u64::try_from(ns).unwrap_or(u64::MAX);
        Stalls {
            ns_sum: self.over.ns_sum.saturating_add(ns),
            ..self.over
        }
    }
}

/// The same for callers who are held up with no lock in hand.
#[derive(Debug, Default)]
pub(crate) struct StallTimer(Mutex<HeldUp>);

impl StallTimer {
    /// The caller is held up until it drops what this returns.
    pub(crate) fn begin<'a>(&'a self, clock: &'a dyn Clock) -> Stall<'a> {
        let mut held_up = self.0.lock();
        let since = clock.now();
        held_up.begin(since);
        Stall {
            timer: self,
            clock,
            since,
        }
    }

    fn stats(&self, clock: &dyn Clock) -> Stalls {
        let held_up = self.0.lock();
        held_up.until(clock.now())
    }
}

/// A caller that is held up.
#[derive(Debug)]
#[must_use = "it is over when it is dropped"]
pub struct Stall<'a> {
    timer: &'a StallTimer,
    clock: &'a dyn Clock,
    since: Instant,
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        let mut held_up = self.timer.0.lock();
        held_up.end(self.since, self.clock.now());
    }
}

/// Waits of callers for bounds whose rooms know no time.
#[derive(Debug, Default)]
pub(crate) struct StallTimers {
    pub(crate) cache_room: StallTimer,
    pub(crate) space: StallTimer,
    pub(crate) metadata_gate: StallTimer,
}

impl StallTimers {
    pub(crate) fn stats(&self, clock: &dyn Clock) -> StallTimes {
        StallTimes {
            cache_room: self.cache_room.stats(clock),
            space: self.space.stats(clock),
            metadata_gate: self.metadata_gate.stats(clock),
        }
    }
}

/// Those waits at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StallTimes {
    /// Writers, until the cache had places for their pages.
    pub cache_room: Stalls,
    /// Whoever needs space that is promised or pinned: a commit, and writing back what is dirty.
    pub space: Stalls,
    /// Writers that had to write nodes first.
    pub metadata_gate: Stalls,
}

table!(StallTimes {
    table cache_room,
    table space,
    table metadata_gate,
});

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use delalloc_backends::VirtualClock;

    use super::*;

    #[test]
    fn a_stall_is_told_in_every_interval_it_lasts_and_once_in_all() {
        let (timer, clock) = (StallTimer::default(), VirtualClock::new());
        clock.advance(Duration::from_nanos(1000));
        let mut told = vec![timer.stats(&clock).ns_sum];
        let mut pass = |ns: u64| {
            clock.advance(Duration::from_nanos(ns));
            told.push(timer.stats(&clock).ns_sum);
        };
        let first = timer.begin(&clock);
        pass(200);
        let second = timer.begin(&clock);
        pass(200);
        drop(first);
        pass(50);
        drop(second);
        pass(900);
        let intervals: Vec<u64> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(intervals, [200, 400, 50, 0]);
        let stalls = timer.stats(&clock);
        assert_eq!((stalls.count, stalls.ns_sum, stalls.ns_max), (2, 650, 400));
    }

    #[test]
    fn who_is_held_up_before_the_look_takes_its_time_adds_nothing() {
        let mut held_up = HeldUp::default();
        held_up.begin(Instant { ns: 500 });
        assert_eq!(held_up.until(Instant { ns: 400 }), Stalls::default());
        held_up.end(Instant { ns: 500 }, Instant { ns: 700 });
        assert_eq!(held_up.until(Instant { ns: 900 }).ns_sum, 200);
    }
}
