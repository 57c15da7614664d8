//! When a capped volume takes a request: after what was let through before, at the rates of its allowances.
//!
//! Each allowance is two instants. One keeps the peak: the next may start then. The other is when everything
//! spent so far will have been earned; it may run ahead of now by what the saved credits are worth (the
//! virtual scheduling of a leaky bucket), so idle time refills them and no more than that.
//!
//! Invariant: starts never go backwards.

use std::time::Duration;

use super::model::{Allowance, Cap};
use crate::Instant;

/// The state of a cap.
#[derive(Debug)]
pub(super) struct Gate {
    cap: Cap,
    requests: Spent,
    bytes: Spent,
}

/// What was spent of one allowance.
#[derive(Debug, Default)]
struct Spent {
    peak_free: Instant,
    earned_by: Instant,
}

impl Gate {
    /// With all its credits.
    pub(super) fn new(cap: Cap) -> Self {
        for allowance in [cap.requests, cap.bytes] {
            assert!(allowance.per_second > 0 && allowance.peak_per_second > 0);
        }
        assert!(cap.request_bytes_max > 0);
        Self {
            cap,
            requests: Spent::default(),
            bytes: Spent::default(),
        }
    }

    /// Takes a request that comes now; it starts then.
    pub(super) fn admit(&mut self, now: Instant, bytes: u64) -> Instant {
        let requests = bytes.div_ceil(self.cap.request_bytes_max).max(1);
        let start = now
            .max(self.requests.free(self.cap.requests))
            .max(self.bytes.free(self.cap.bytes));
        self.requests.spend(self.cap.requests, start, requests);
        self.bytes.spend(self.cap.bytes, start, bytes);
        start
    }
}

impl Spent {
    fn free(&self, allowance: Allowance) -> Instant {
        let ahead = time_of(allowance.credits, allowance.per_second);
        let ahead_ns = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
        let credit_free = Instant {
            ns: self.earned_by.ns.saturating_sub(ahead_ns),
        };
        self.peak_free.max(credit_free)
    }

    fn spend(&mut self, allowance: Allowance, start: Instant, amount: u64) {
        self.peak_free = start.after(time_of(amount, allowance.peak_per_second));
        let earned_by = self.earned_by.max(start);
        self.earned_by = earned_by.after(time_of(amount, allowance.per_second));
    }
}

fn time_of(amount: u64, per_second: u64) -> Duration {
    let ns = u128::from(amount) * 1_000_000_000 / u128::from(per_second);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: Allowance = Allowance::constant(1 << 40);

    fn gate(requests: Allowance, bytes: Allowance) -> Gate {
        Gate::new(Cap {
            requests,
            bytes,
            request_bytes_max: 256 << 10,
        })
    }

    /// The start of the last of `count` requests that come at `from`.
    fn last_start(gate: &mut Gate, from: Instant, count: u64, bytes: u64) -> Instant {
        (0..count).fold(from, |_, _| gate.admit(from, bytes))
    }

    #[test]
    fn credits_are_spent_at_the_peak_rate_and_earned_back_by_idling() {
        let requests = Allowance {
            per_second: 100,
            peak_per_second: 1000,
            credits: 900,
        };
        let mut gate = gate(requests, ENOUGH);
        let start = last_start(&mut gate, Instant::default(), 1000, 4096);
        assert_eq!(start.ns, 999_000_000, "900 saved and 100 earned meanwhile");
        let slow = last_start(&mut gate, start, 101, 4096);
        assert_eq!(
            slow.ns_since(start) / 10_000_000,
            100,
            "then what is earned"
        );
        let rested = slow.after(Duration::from_secs(3600));
        let again = last_start(&mut gate, rested, 1000, 4096);
        assert_eq!(
            again.ns_since(rested),
            999_000_000,
            "an hour refills it, and no more"
        );
    }

    #[test]
    fn long_requests_count_as_several_and_bytes_have_a_cap_of_their_own() {
        let mut by_requests = gate(Allowance::constant(1000), ENOUGH);
        let start = last_start(&mut by_requests, Instant::default(), 11, 1 << 20);
        assert_eq!(start.ns, 40_000_000);
        let mut by_bytes = gate(Allowance::constant(1 << 40), Allowance::constant(1 << 20));
        let start = last_start(&mut by_bytes, Instant::default(), 11, 1 << 20);
        assert_eq!(start.ns, 10_000_000_000);
    }
}
