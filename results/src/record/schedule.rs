//! How a schedule was kept: whose fault a late start was.

use crate::hist::{Latency, LatencyHist};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lateness that no schedule of a sleeping process avoids, and that no verdict hangs on.
const TOLERATED_NS: u64 = 1_000_000;
/// Where the target is slow, lateness matters only beside its response: more than this share of the p99.
const TOLERATED_SHARE: f64 = 0.1;
/// More than this share of the operations later than tolerated, and the p99 is the generator's.
const P99_SHARE_MAX: f64 = 0.01;
/// More than this share, and the schedule was not kept: where processors are few, the target's own threads take them
/// from the generator now and then, which spoils the tail and not the run.
const LATE_SHARE_MAX: f64 = 0.1;
/// More than this share due while its client was busy, and clients are busy most of the time: a recording has more requests on
/// their way at once than the replay has clients, and its times are those of a queue that never was.
const BUSY_SHARE_MAX: f64 = 0.5;

/// The schedule of one phase that has one: an open loop, or a recording in its own time.
///
/// An operation begins when it is due and the ones before it are through. What it begins later than a
/// generator that costs nothing would have begun it, on the same target, is the generator's: it woke late,
/// or was making or comparing bytes. The rest of a late start is the target's, which was still busy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ScheduleRecord {
    /// Operations that had a time to begin at.
    pub due: u64,
    /// Of those, how many were due while the target was still busy with one before.
    pub due_while_busy: u64,
    /// The generator's own lateness, of all that were due.
    pub late: Latency,
    /// How late may be: 1 ms, or a tenth of the response p99 of what was due, whichever is more.
    pub tolerated_ns: u64,
    /// Of those due, how many the generator began later than that.
    pub late_ops: u64,
    /// That response p99, the shortest among the kinds of operation; 0 where the record does not say.
    pub response_ns_p99: u64,
    /// How far the worst client was behind when time was up. What was due since then was not issued any more: the
    /// operations that would have waited longest are in no latency.
    pub backlog_ns: u64,
}

impl ScheduleRecord {
    /// From the lateness of everything that was due, and the shortest response p99 among the kinds of operation.
    #[must_use]
    pub fn new(due_while_busy: u64, late: &LatencyHist, response_ns_p99: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a time, and the cast saturates"
        )]
        let share_ns = (response_ns_p99 as f64 * TOLERATED_SHARE) as u64;
        let tolerated_ns = share_ns.max(TOLERATED_NS);
        Self {
            due: late.count(),
            due_while_busy,
            late: Latency::from(late),
            tolerated_ns,
            late_ops: late.count_above(tolerated_ns),
            response_ns_p99,
            backlog_ns: 0,
        }
    }

    /// The part of a phase of `wall_ns` whose operations the worst client did not issue.
    #[must_use]
    pub fn unissued_share(&self, wall_ns: u64) -> f64 {
        share(self.backlog_ns.min(wall_ns), wall_ns)
    }

    /// Whether more of a phase of `wall_ns` is missing than its 99th percentile can do without.
    #[must_use]
    pub fn is_overloaded(&self, wall_ns: u64) -> bool {
        self.unissued_share(wall_ns) > P99_SHARE_MAX
    }

    /// The share of operations that were begun too late by the generator.
    #[must_use]
    pub fn late_share(&self) -> f64 {
        share(self.late_ops, self.due)
    }

    /// The share of operations that were due while the target was busy.
    #[must_use]
    pub fn busy_share(&self) -> f64 {
        share(self.due_while_busy, self.due)
    }

    /// Whether a recording was replayed by too few clients: most of what was due found its client busy.
    #[must_use]
    pub fn is_short_of_clients(&self) -> bool {
        self.busy_share() > BUSY_SHARE_MAX
    }

    /// Whether percentiles up to the 99th are the target's: the generator began at most 1 % too late, and the p99 of its lateness,
    /// however short, is no more than half of the response's.
    #[must_use]
    pub fn is_true_to_p99(&self) -> bool {
        let is_most = self.response_ns_p99 > 0 && self.late.ns_p99 > self.response_ns_p99 / 2;
        self.late_share() <= P99_SHARE_MAX && !is_most
    }

    /// Whether the phase was the one asked for: the generator began at most 10 % too late.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.late_share() <= LATE_SHARE_MAX
    }
}

fn share(of: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        of as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(times: &[(u64, u64)]) -> LatencyHist {
        let mut hist = LatencyHist::new();
        for (ns, count) in times {
            hist.record_n(*ns, *count);
        }
        hist
    }

    #[test]
    fn one_in_a_hundred_spoils_no_p99_and_one_in_ten_no_run() {
        for (late_ops, true_to_p99, kept) in [
            (10, true, true),
            (11, false, true),
            (100, false, true),
            (101, false, false),
        ] {
            let hist = late(&[(5_000, 1000 - late_ops), (3_000_000, late_ops)]);
            let schedule = ScheduleRecord::new(0, &hist, 8_000_000);
            assert_eq!((schedule.due, schedule.late_ops), (1000, late_ops));
            let said = (schedule.is_true_to_p99(), schedule.is_kept());
            assert_eq!(said, (true_to_p99, kept), "{late_ops}");
        }
    }

    #[test]
    fn a_quick_target_has_a_p99_of_its_own_where_the_generator_is_quicker() {
        let hist = late(&[(5_000, 900), (60_000, 100)]);
        assert!(ScheduleRecord::new(0, &hist, 130_000).is_true_to_p99());
        let mostly_late = ScheduleRecord::new(0, &hist, 70_000);
        assert!(!mostly_late.is_true_to_p99() && mostly_late.is_kept());
    }

    #[test]
    fn beside_a_slow_target_more_lateness_is_tolerated() {
        let hist = late(&[(3_000_000, 100)]);
        assert!(!ScheduleRecord::new(0, &hist, 20_000_000).is_kept());
        assert!(ScheduleRecord::new(0, &hist, 40_000_000).is_kept());
    }

    #[test]
    fn what_was_not_issued_spoils_the_p99_as_what_was_late_does() {
        let mut schedule = ScheduleRecord::new(0, &late(&[(5_000, 1000)]), 40_000);
        assert!(!schedule.is_overloaded(2_000_000_000));
        schedule.backlog_ns = 20_000_000;
        assert!(!schedule.is_overloaded(2_000_000_000));
        schedule.backlog_ns = 1_000_000_000;
        assert!(schedule.is_overloaded(2_000_000_000));
        assert!((schedule.unissued_share(2_000_000_000) - 0.5).abs() < 1e-12);
        assert!(!ScheduleRecord::default().is_overloaded(0));
    }

    #[test]
    fn clients_are_too_few_where_most_of_them_are_busy_when_something_is_due() {
        let late = late(&[(5_000, 100)]);
        for (busy, is_short) in [(0, false), (50, false), (51, true), (100, true)] {
            let schedule = ScheduleRecord::new(busy, &late, 8_000_000);
            assert_eq!(schedule.is_short_of_clients(), is_short, "{busy}");
        }
        assert!(!ScheduleRecord::default().is_short_of_clients());
    }

    #[test]
    fn without_anything_due_nothing_is_late() {
        let schedule = ScheduleRecord::default();
        assert!(schedule.is_kept());
        assert!(schedule.late_share() == 0.0 && schedule.busy_share() == 0.0);
    }
}
