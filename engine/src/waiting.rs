//! What a caller does who cannot go on before others have: sleep, or move the others.
//!
//! ```text
//!   threads:  wait = the condition's wait               others run meanwhile, and notify, or raise the alarm
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
//!   * Where one of the others panicked, what it had in hand will never be done: whoever waits is told within
//!     `ALARM_CHECK` by a panic that says what the first of them said.
//!   * Without threads nobody sleeps: where no step is possible the wait would be for ever, and panics
//!     with what everybody is at.
//!
//! Not here: which steps there are and which is next (`stepped`).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use delalloc_backends::Clock;
use parking_lot::{Condvar, MutexGuard};

use crate::pool::{Pool, said};

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

/// How often a thread that waits asks whether those it waits for still live.
const ALARM_CHECK: Duration = Duration::from_secs(1);

/// Who of the others panicked.
#[derive(Default)]
pub(crate) struct Alarm {
    pools: OnceLock<Vec<Weak<dyn Pool>>>,
    raised: OnceLock<String>,
}

impl Alarm {
    /// Pools that are asked too.
    pub(crate) fn watch(&self, pools: Vec<Weak<dyn Pool>>) {
        let watched = self.pools.set(pools);
        assert!(watched.is_ok(), "pools are watched from their start");
    }

    /// `what` has panicked; the first stays.
    pub(crate) fn raise(&self, what: &str) {
        self.raised.get_or_init(|| what.to_owned());
    }

    /// # Panics
    /// Where somebody has panicked, with what it said.
    pub(crate) fn assert_quiet(&self) {
        if let Some(what) = self.raised.get() {
            panic!("{what}");
        }
        let pools = self.pools.get().into_iter().flatten();
        let mut living = pools.filter_map(Weak::upgrade);
        if let Some(said) = living.find_map(|pool| pool.poisoned()) {
            panic!("{said}");
        }
    }
}

/// How the callers of a volume wait. Clones wait alike.
#[derive(Clone)]
pub(crate) enum Waiting {
    /// As threads do.
    Threads(Arc<Alarm>),
    /// By moving the others.
    Steps(Arc<dyn Turns>),
}

impl Default for Waiting {
    /// On threads, with nobody who could raise the alarm.
    fn default() -> Self {
        Self::Threads(Arc::default())
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads(_) => "Threads",
            Self::Steps(_) => "Steps",
        })
    }
}

impl Waiting {
    /// Waits until something may have happened that `changed` tells of. `what` is waited for.
    ///
    /// # Panics
    /// Where it would be for ever: without threads, where nothing can happen any more; on threads, where the
    /// alarm was raised.
    pub(crate) fn wait<T>(
        &self,
        what: &'static str,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
    ) {
        match self {
            Self::Threads(alarm) => {
                if changed.wait_for(guard, ALARM_CHECK).timed_out() {
                    alarm.assert_quiet();
                }
            }
            Self::Steps(turns) => MutexGuard::unlocked(guard, || must_step(turns.as_ref(), what)),
        }
    }

    /// The same for what comes whatever became of the others: the answers of a device. It heeds no alarm.
    pub(crate) fn wait_surely<T>(
        &self,
        what: &'static str,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
    ) {
        match self {
            Self::Threads(_) => changed.wait(guard),
            Self::Steps(_) => self.wait(what, changed, guard),
        }
    }

    /// Does `work` that others wait for, on a thread that no pool watches: where it panics they are told.
    pub(crate) fn watched<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        // What it was at is not used again but by those who are told.
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => done,
            Err(panic) => {
                if let Self::Threads(alarm) = self {
                    alarm.raise(&format!("{name} panicked: {}", said(&*panic)));
                }
                resume_unwind(panic)
            }
        }
    }

    /// The same as `wait`, for who may try again after `at_most` although nothing happened.
    pub(crate) fn doze<T>(
        &self,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        at_most: Duration,
    ) -> bool {
        match self {
            Self::Threads(_) => changed.wait_for(guard, at_most).timed_out(),
            Self::Steps(turns) => !MutexGuard::unlocked(guard, || turns.step_within(at_most)),
        }
    }

    /// Lets `duration` of `clock` pass.
    pub(crate) fn sleep(&self, clock: &dyn Clock, duration: Duration) {
        match self {
            Self::Threads(_) => clock.sleep(duration),
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
        assert!(!waiting.doze(&changed, &mut steps, Duration::ZERO));
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
    #[should_panic(expected = "the flusher panicked")]
    fn who_waits_for_a_thread_that_is_gone_is_told() {
        let alarm = Arc::<Alarm>::default();
        alarm.raise("the flusher panicked");
        alarm.raise("and others after it");
        let waiting = Waiting::Threads(alarm);
        waiting.wait("its work", &Condvar::new(), &mut Mutex::new(()).lock());
    }

    #[test]
    fn on_threads_a_wait_sleeps() {
        let lock = Mutex::new(());
        let waiting = Waiting::default();
        let (changed, moment) = (Condvar::new(), Duration::from_millis(1));
        assert!(waiting.doze(&changed, &mut lock.lock(), moment));
        let clock = VirtualClock::new();
        waiting.sleep(&clock, moment);
        assert_eq!(clock.now().ns, 1_000_000);
    }
}
