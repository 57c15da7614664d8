//! What a caller does who cannot go on before others have: sleep, or move the others.
//!
//! ```text
//!   threads:  wait = the condition's wait               others run meanwhile, and notify
//!   steps:    wait = let go of the lock, one step, take it again
//! ```
//!
//! A volume runs on threads, or without any on the steps of a driver (`stepped`). Every place of the
//! engine that blocks at a bound, or until something is done, is a loop over a condition whose body is
//! a call into this room, so a place that waits is written once:
//!
//! ```text
//!   while !done(&guard) {
//!       waiting.wait("what for", &changed, &mut guard);
//!   }
//! ```
//!
//! Invariants
//!   * Whoever waits holds no lock that a step may want, but the one it hands in.
//!   * On threads the price is one branch, where the caller would sleep anyway.
//!   * Without threads nobody sleeps: where no step is possible the wait would be for ever, and panics
//!     with what everybody is at.
//!
//! Not here: which steps there are and which is next (`stepped`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::Clock;
use parking_lot::{Condvar, MutexGuard};

/// The others of a volume without threads.
pub(crate) trait Turns: Send + Sync {
    /// Does one thing that is possible now, or lets time pass until one is. False where nothing can
    /// ever be.
    fn step(&self) -> bool;

    /// The same, but waits for nothing that is possible later than `at_most` from now. False where that
    /// has passed instead.
    fn step_within(&self, at_most: Duration) -> bool;

    /// Lets `duration` pass; what becomes possible meanwhile is done.
    fn sleep(&self, duration: Duration);

    /// What everybody is at, for who finds that nothing moves.
    fn report(&self) -> String;
}

/// How the callers of a volume wait. Clones wait alike.
#[derive(Clone, Default)]
pub(crate) enum Waiting {
    /// As threads do.
    #[default]
    Threads,
    /// By moving the others.
    Steps(Arc<dyn Turns>),
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "Threads",
            Self::Steps(_) => "Steps",
        })
    }
}

impl Waiting {
    /// Waits until something may have happened that `changed` tells of. `what` is waited for.
    ///
    /// # Panics
    /// Without threads, where nothing can happen any more.
    pub(crate) fn wait<T>(
        &self,
        what: &'static str,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
    ) {
        match self {
            Self::Threads => changed.wait(guard),
            Self::Steps(turns) => MutexGuard::unlocked(guard, || must_step(turns.as_ref(), what)),
        }
    }

    /// The same, for at most `at_most`. True where that passed first, which without threads it never
    /// does. Panics as `wait`.
    pub(crate) fn wait_for<T>(
        &self,
        what: &'static str,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        at_most: Duration,
    ) -> bool {
        match self {
            Self::Threads => changed.wait_for(guard, at_most).timed_out(),
            Self::Steps(turns) => {
                MutexGuard::unlocked(guard, || must_step(turns.as_ref(), what));
                false
            }
        }
    }

    /// The same, for who may try again after `at_most` although nothing happened.
    pub(crate) fn doze<T>(
        &self,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        at_most: Duration,
    ) -> bool {
        match self {
            Self::Threads => changed.wait_for(guard, at_most).timed_out(),
            Self::Steps(turns) => !MutexGuard::unlocked(guard, || turns.step_within(at_most)),
        }
    }

    /// Lets `duration` of `clock` pass.
    pub(crate) fn sleep(&self, clock: &dyn Clock, duration: Duration) {
        match self {
            Self::Threads => clock.sleep(duration),
            Self::Steps(turns) => turns.sleep(duration),
        }
    }
}

fn must_step(turns: &dyn Turns, what: &str) {
    assert!(
        turns.step(),
        "a wait for {what} would never end; {}",
        turns.report()
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use delalloc_backends::VirtualClock;
    use parking_lot::Mutex;

    use super::*;

    /// So many steps, each of which takes the lock that the waiter let go of.
    struct Countdown {
        left: AtomicU32,
        lock: Mutex<u32>,
    }

    impl Turns for Countdown {
        fn step(&self) -> bool {
            if self.left.load(Ordering::Relaxed) == 0 {
                return false;
            }
            self.left.fetch_sub(1, Ordering::Relaxed);
            *self.lock.try_lock().expect("the waiter let it go") += 1;
            true
        }

        fn step_within(&self, _at_most: Duration) -> bool {
            self.step()
        }

        fn sleep(&self, _duration: Duration) {
            while self.step() {}
        }

        fn report(&self) -> String {
            "the countdown is over".to_owned()
        }
    }

    fn countdown(steps: u32) -> (Arc<Countdown>, Waiting) {
        let turns = Arc::new(Countdown {
            left: AtomicU32::new(steps),
            lock: Mutex::new(0),
        });
        (Arc::clone(&turns), Waiting::Steps(turns))
    }

    #[test]
    fn a_wait_without_threads_moves_the_others() {
        let (turns, waiting) = countdown(5);
        let changed = Condvar::new();
        let mut steps = turns.lock.lock();
        while *steps < 3 {
            waiting.wait("three steps", &changed, &mut steps);
        }
        assert!(!waiting.wait_for("a fourth", &changed, &mut steps, Duration::ZERO));
        assert!(!waiting.doze(&changed, &mut steps, Duration::ZERO));
        assert!(
            waiting.doze(&changed, &mut steps, Duration::ZERO),
            "all are done"
        );
        assert_eq!(*steps, 5);
    }

    #[test]
    #[should_panic(expected = "a wait for Godot would never end; the countdown is over")]
    fn a_wait_that_nothing_can_end_says_so() {
        let (turns, waiting) = countdown(0);
        waiting.wait("Godot", &Condvar::new(), &mut turns.lock.lock());
    }

    #[test]
    fn on_threads_a_wait_sleeps() {
        let lock = Mutex::new(());
        let waiting = Waiting::default();
        let (changed, moment) = (Condvar::new(), Duration::from_millis(1));
        assert!(waiting.wait_for("nothing", &changed, &mut lock.lock(), moment));
        assert!(waiting.doze(&changed, &mut lock.lock(), moment));
        let clock = VirtualClock::new();
        waiting.sleep(&clock, moment);
        assert_eq!(clock.now().ns, 1_000_000);
    }
}
