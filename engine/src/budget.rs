//! Bytes that may be on their way through the pipeline at once.
//!
//! Counted are plain bytes from before they are queued until the last extent of their item is finished, plus
//! the output buffers held meanwhile. A bound on items was refused: an item can be 4 KiB or 512.
//! The seed had the same thought and compared pages with a number of bytes, so it never waited.
//!
//! ```text
//!   held:   0 ......... wake ............... max
//!           gate opens <= |                   | a request that does not fit closes the gate
//! ```
//!
//! Who comes while the gate is closed waits in line, also when it would fit: a large request is
//! not overtaken for ever by small ones. The gap between wake and max makes those who wait come in
//! bursts large enough to be worth a wake-up.
//!
//! The few who may not wait (`hold`) are counted apart: enough of them at a time would keep the gate closed before those
//! who do wait, for as long as they come. They have bounds of their own.
//!
//! Invariants
//!   * `held` and `apart` are the sums over all guards, and 0 when there are none.
//!   * A request larger than `bytes_max` passes when it is alone.
//!   * Requests pass in the order in which they came.
//!
//! Locks: one mutex, held for arithmetic. `acquire` is called with no lock that a holder of a
//! guard needs. Not here: memory of the cache (`cache::FramePool`), dirty limits (`writeback`).

use std::sync::Arc;

use delalloc_backends::Clock;
use parking_lot::{Condvar, Mutex};

use crate::stats::HeldUp;
use crate::waiting::Waiting;

/// A budget in bytes. Clones are the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// 0: no limit.
    bytes_max: u64,
    /// The closed gate opens at this many bytes held, or fewer.
    wake_bytes: u64,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
    state: Mutex<BudgetState>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct BudgetState {
    held: u64,
    /// Of those who did not wait.
    apart: u64,
    closed: bool,
    /// The next to come has this number.
    line_end: u64,
    /// The next to pass has this number.
    line_head: u64,
    held_bytes_max: u64,
    waits: HeldUp,
}

/// Counts of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BudgetStats {
    /// Bytes held by guards now.
    pub held_bytes: u64,
    /// The most there were at once.
    pub held_bytes_max: u64,
    /// Requests that had to wait and need not any more.
    pub waits: u64,
    /// How long, together; those that wait now as far as they have come.
    pub wait_ns_sum: u64,
    /// How long at most.
    pub wait_ns_max: u64,
}

impl Budget {
    /// At most `bytes_max` bytes (0: any number); who waits is woken at `wake_percent` of them.
    pub fn new(bytes_max: u64, wake_percent: u64, clock: Arc<dyn Clock>) -> Self {
        Self::waited_for(bytes_max, wake_percent, clock, Waiting::default())
    }

    /// The same, with callers that wait as `waiting` says.
    pub(crate) fn waited_for(
        bytes_max: u64,
        wake_percent: u64,
        clock: Arc<dyn Clock>,
        waiting: Waiting,
    ) -> Self {
        assert!(
            wake_percent <= 100,
            "wake at {wake_percent} percent of the budget"
        );
        let wake_bytes = u128::from(bytes_max) * u128::from(wake_percent) / 100;
        Self(Arc::new(Shared {
            bytes_max,
            wake_bytes: u64::try_from(wake_bytes).expect("a part of bytes_max"),
            clock,
            waiting,
            state: Mutex::default(),
            turn: Condvar::new(),
        }))
    }

    /// Takes `bytes`, after everyone who came before and once they fit.
    pub fn acquire(&self, bytes: u64) -> BudgetGuard {
        let mut state = self.0.state.lock();
        let ticket = state.line_end;
        state.line_end += 1;
        if !self.0.may_pass(&mut state, ticket, bytes) {
            let since = self.0.clock.now();
            state.waits.begin(since);
            while !self.0.may_pass(&mut state, ticket, bytes) {
                let shared = &self.0;
                shared.waiting.wait("budget", &shared.turn, &mut state);
            }
            state.waits.end(since, self.0.clock.now());
        }
        state.line_head += 1;
        state.hold(bytes, Kind::Waited);
        if state.line_head != state.line_end {
            self.0.turn.notify_all();
        }
        self.guard(bytes, Kind::Waited)
    }

    /// Takes `bytes` if that needs no waiting.
    pub fn try_acquire(&self, bytes: u64) -> Option<BudgetGuard> {
        let mut state = self.0.state.lock();
        let alone_in_line = state.line_head == state.line_end;
        if !alone_in_line || state.closed || !self.0.fits(&state, bytes) {
            return None;
        }
        state.hold(bytes, Kind::Waited);
        Some(self.guard(bytes, Kind::Waited))
    }

    /// Takes `bytes` at once, beyond the limit if need be, for the few who must not wait behind those
    /// the limit is for.
    pub fn hold(&self, bytes: u64) -> BudgetGuard {
        self.0.state.lock().hold(bytes, Kind::Apart);
        self.guard(bytes, Kind::Apart)
    }

    /// `try_acquire` would give `bytes` now.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let state = self.0.state.lock();
        let alone_in_line = state.line_head == state.line_end;
        alone_in_line && !state.closed && self.0.fits(&state, bytes)
    }

    /// Counts.
    pub fn stats(&self) -> BudgetStats {
        let state = self.0.state.lock();
        let waits = state.waits.until(self.0.clock.now());
        BudgetStats {
            held_bytes: state.held + state.apart,
            held_bytes_max: state.held_bytes_max,
            waits: waits.count,
            wait_ns_sum: waits.ns_sum,
            wait_ns_max: waits.ns_max,
        }
    }

    fn guard(&self, bytes: u64, kind: Kind) -> BudgetGuard {
        BudgetGuard {
            budget: Arc::clone(&self.0),
            kind,
            bytes,
        }
    }
}

impl Shared {
    fn fits(&self, state: &BudgetState, bytes: u64) -> bool {
        self.bytes_max == 0 || state.held == 0 || state.held.saturating_add(bytes) <= self.bytes_max
    }

    /// Policy of the gate; the head of the line closes it when it does not fit.
    fn may_pass(&self, state: &mut BudgetState, ticket: u64, bytes: u64) -> bool {
        if state.line_head != ticket || state.closed {
            return false;
        }
        state.closed = !self.fits(state, bytes);
        !state.closed
    }

    fn release(&self, bytes: u64, kind: Kind) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state.lock();
        let sum = state.sum(kind);
        *sum = sum
            .checked_sub(bytes)
            .expect("more bytes given back to the budget than taken");
        if state.closed && state.held <= self.wake_bytes {
            state.closed = false;
            self.turn.notify_all();
        }
    }
}

impl BudgetState {
    fn hold(&mut self, bytes: u64, kind: Kind) {
        *self.sum(kind) += bytes;
        self.held_bytes_max = self.held_bytes_max.max(self.held + self.apart);
    }

    fn sum(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Waited => &mut self.held,
            Kind::Apart => &mut self.apart,
        }
    }
}

/// Whose bytes they are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Of who waits for room.
    Waited,
    /// Of who does not.
    Apart,
}

/// Bytes of a budget. Dropping gives them back.
#[derive(Debug)]
pub struct BudgetGuard {
    budget: Arc<Shared>,
    kind: Kind,
    bytes: u64,
}

impl BudgetGuard {
    /// Takes `bytes` more at once, beyond the limit if need be: who holds a part already must not
    /// wait for others who do the same.
    pub fn grow(&mut self, bytes: u64) {
        self.budget.state.lock().hold(bytes, self.kind);
        self.bytes += bytes;
    }

    /// Gives `bytes` of them back.
    ///
    /// # Panics
    /// Where it has fewer.
    pub fn shrink(&mut self, bytes: u64) {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .expect("a guard shrinks by at most what it has");
        self.budget.release(bytes, self.kind);
    }

    /// Bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for BudgetGuard {
    fn drop(&mut self) {
        self.budget.release(self.bytes, self.kind);
    }
}

#[cfg(test)]
mod tests {
    use delalloc_backends::OsClock;
    use proptest::prelude::*;

    use super::*;

    fn budget(bytes_max: u64) -> Budget {
        Budget::new(bytes_max, 50, Arc::new(OsClock::new()))
    }

    fn until(mut condition: impl FnMut() -> bool) {
        while !condition() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_does_not_fit_waits_for_the_wake_mark_and_not_only_for_room() {
        let budget = budget(100);
        let (first, second) = (budget.acquire(40), budget.acquire(40));
        std::thread::scope(|threads| {
            let waiter = threads.spawn(|| budget.acquire(30));
            until(|| budget.0.state.lock().closed);
            let third = budget.try_acquire(1);
            assert!(third.is_none(), "nobody passes a closed gate");
            drop(first);
            let got = waiter.join().expect("woken at half");
            assert_eq!(budget.stats().held_bytes, 70);
            drop((got, second));
        });
        let stats = budget.stats();
        assert_eq!(
            (stats.held_bytes, stats.held_bytes_max, stats.waits),
            (0, 80, 1)
        );
        assert!(stats.wait_ns_max > 0 && stats.wait_ns_max <= stats.wait_ns_sum);
    }

    #[test]
    fn a_request_above_the_limit_passes_alone() {
        let budget = budget(10);
        let whale = budget.acquire(500);
        assert!(budget.try_acquire(1).is_none());
        drop(whale);
        assert!(budget.try_acquire(1).is_some());
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let budget = budget(0);
        let _held = [budget.acquire(u64::MAX / 4), budget.acquire(u64::MAX / 4)];
        assert_eq!(budget.stats().waits, 0);
    }

    #[test]
    fn a_holder_grows_without_waiting() {
        let budget = budget(10);
        let mut guard = budget.acquire(10);
        guard.grow(5);
        assert_eq!(budget.stats().held_bytes, 15);
        guard.shrink(12);
        assert_eq!((guard.bytes(), budget.stats().held_bytes), (3, 3));
    }

    /// One after the other, so that there is always one that waits for nobody.
    #[test]
    fn those_who_do_not_wait_keep_nobody_waiting_for_ever() {
        let budget = budget(100);
        let large = budget.acquire(90);
        let first = budget.hold(60);
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| budget.acquire(30).bytes());
            until(|| budget.stats().wait_ns_sum > 0);
            let second = budget.hold(60);
            drop((first, large));
            let third = budget.hold(60);
            drop(second);
            assert_eq!(waiting.join().expect("no panic"), 30);
            assert_eq!(budget.stats().held_bytes, third.bytes());
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn threads_leave_nothing_behind_and_nobody_starves(
            requests in prop::collection::vec(prop::collection::vec(1_u64..150, 1..20), 1..4)
        ) {
            let budget = budget(100);
            let largest = requests.iter().flatten().copied().max().unwrap_or(0);
            std::thread::scope(|threads| {
                for sizes in &requests {
                    let budget = &budget;
                    threads.spawn(move || {
                        for &bytes in sizes {
                            let mut guard = budget.acquire(bytes);
                            std::thread::yield_now();
                            guard.shrink(bytes / 2);
                        }
                    });
                }
            });
            let stats = budget.stats();
            prop_assert_eq!(stats.held_bytes, 0);
            prop_assert!(stats.held_bytes_max <= largest.max(100));
        }
    }
}
