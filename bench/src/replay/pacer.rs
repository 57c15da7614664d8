//! Keeps an absolute schedule: sleeps until shortly before an operation is due, then spins.
//!
//! Due times are absolute, never a delay after the previous operation: errors do not add up. A
//! sleep overshoots by an amount that depends on the kernel and its load, so it ends early by that
//! much, as measured before the run, and the rest is spun. Where spinning would steal the target's
//! own processor the slack is bounded.
//!
//! Two things make an operation start late, and only one is the harness's fault:
//!   * the client was still busy with the one before: the target was slow. The latency from the
//!     intended start counts it;
//!   * the client was idle and woke late: the *generator* was late. That is recorded apart, because
//!     it is in the latency too and must not be read as the target's.
//!
//! Not here: where due times come from (`delalloc-workloads`), what is done when due (driver).

use std::time::{Duration, Instant};

/// Longest part of a wait that is spun.
const SPIN_MAX: Duration = Duration::from_micros(200);
/// How many sleeps are measured to know how much they overshoot.
const CALIBRATION_SLEEPS: usize = 16;

/// Whether an operation started in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The client was idle when it was due; it began this many nanoseconds late.
    Idle {
        /// The generator's own lateness.
        late_ns: u64,
    },
    /// The client was still busy when it was due.
    Busy,
}

/// How early a sleep must end to be in time.
#[derive(Debug, Clone, Copy)]
pub struct SleepSlack(Duration);

impl SleepSlack {
    /// How early, in microseconds.
    pub fn as_micros(self) -> u128 {
        self.0.as_micros()
    }

    /// Measures this machine's sleeps: a few milliseconds.
    pub fn measure() -> Self {
        let asked = Duration::from_micros(50);
        let mut overshoots: Vec<Duration> = (0..CALIBRATION_SLEEPS)
            .map(|_| {
                let before = Instant::now();
                std::thread::sleep(asked);
                before.elapsed().saturating_sub(asked)
            })
            .collect();
        overshoots.sort_unstable();
        Self(overshoots[CALIBRATION_SLEEPS * 3 / 4].min(SPIN_MAX))
    }
}

/// One client's schedule, from a common origin.
#[derive(Debug, Clone, Copy)]
pub struct Pacer {
    origin: Instant,
    slack: SleepSlack,
}

impl Pacer {
    /// Due times count from `origin`.
    pub fn new(origin: Instant, slack: SleepSlack) -> Self {
        Self { origin, slack }
    }

    /// Nanoseconds since the origin.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns when `due_ns` has come, or when `cancelled` says so, which is asked every 50 ms.
    pub fn wait_until(&self, due_ns: u64, cancelled: impl Fn() -> bool) -> Start {
        let mut now_ns = self.now_ns();
        if now_ns >= due_ns {
            return Start::Busy;
        }
        let slack_ns = u64::try_from(self.slack.0.as_nanos()).unwrap_or(u64::MAX);
        while now_ns + slack_ns < due_ns {
            if cancelled() {
                return Start::Idle { late_ns: 0 };
            }
            let sleep_ns = (due_ns - now_ns - slack_ns).min(50_000_000);
            std::thread::sleep(Duration::from_nanos(sleep_ns));
            now_ns = self.now_ns();
        }
        while now_ns < due_ns {
            std::hint::spin_loop();
            now_ns = self.now_ns();
        }
        Start::Idle {
            late_ns: now_ns - due_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_never_starts_before_it_is_due() {
        let pacer = Pacer::new(Instant::now(), SleepSlack::measure());
        for step in 1..=20 {
            let due_ns = step * 300_000;
            let start = pacer.wait_until(due_ns, || false);
            assert!(pacer.now_ns() >= due_ns);
            assert!(matches!(start, Start::Idle { .. } | Start::Busy));
        }
    }

    #[test]
    fn a_client_that_comes_late_was_busy() {
        let origin = Instant::now() - Duration::from_millis(5);
        let pacer = Pacer::new(origin, SleepSlack(Duration::ZERO));
        assert_eq!(pacer.wait_until(1_000_000, || false), Start::Busy);
    }

    #[test]
    fn a_cancelled_wait_ends_long_before_it_is_due() {
        let pacer = Pacer::new(Instant::now(), SleepSlack(Duration::ZERO));
        pacer.wait_until(3_600_000_000_000, || true);
        assert!(pacer.now_ns() < 3_000_000_000);
    }
}
