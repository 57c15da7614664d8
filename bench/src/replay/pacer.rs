//! Keeps an absolute schedule: sleeps until shortly before an operation is due, then spins.
//!
//! Due times are absolute, never a delay after the previous operation: errors do not add up. A
//! sleep overshoots by an amount that depends on the kernel and its load, so it ends early by that
//! much, as measured before the run, and the rest is spun. Where spinning would steal the target's
//! own processor the slack is bounded.
//!
//! Time stamps come from the processor's counter where that is invariant, else from the monotonic clock; a
//! stamp is what a replay of fast operations pays most for. The counter's rate is measured once, at the start:
//! it stays within a few millionths of the clock that the interval series is in.
//!
//! A target with a clock of its own is followed in that clock's time: nothing sleeps, a wait lets the
//! target's background work happen, and nobody wakes late. Processors take no time there, so a call has
//! a fixed price instead ([`CALL_NS`], [`COPIED_BYTES_PER_NS`]): without one, a client that finds
//! everything in the cache would go round for ever at one instant.
//!
//! Not here: where due times come from (`delalloc-workloads`), what is done when due (client), whose
//! fault a late start is (lateness).

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use delalloc_backends::{Clock, Instant as Virtual};
use quanta::Clock as Counter;

/// What a call costs in virtual time, besides what it waits for: a system call and a look-up.
pub const CALL_NS: u64 = 1000;
/// How many bytes a call moves in a nanosecond of virtual time: one core copying memory.
pub const COPIED_BYTES_PER_NS: u64 = 8;

/// Longest part of a wait that is spun.
const SPIN_MAX: Duration = Duration::from_micros(200);
/// How many sleeps are measured to know how much they overshoot.
const CALIBRATION_SLEEPS: usize = 16;

/// How early a sleep must end to be in time.
#[derive(Debug, Clone, Copy)]
pub struct SleepSlack(Duration);

impl SleepSlack {
    /// Of a run in virtual time: nothing sleeps there, and measuring would be work that differs from run to run.
    pub const NONE: Self = Self(Duration::ZERO);

    /// How early, in microseconds.
    pub fn as_micros(self) -> u128 {
        self.0.as_micros()
    }

    /// Measures this machine's sleeps, and the counter's rate: a few milliseconds.
    pub fn measure() -> Self {
        counter();
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

/// The counter with its rate, which takes a moment to measure.
fn counter() -> Counter {
    static COUNTER: OnceLock<Counter> = OnceLock::new();
    COUNTER.get_or_init(Counter::new).clone()
}

/// A schedule, from an origin that clients have in common.
#[derive(Debug, Clone)]
pub struct Pacer(Time);

#[derive(Debug, Clone)]
enum Time {
    System {
        counter: Counter,
        /// The counter, and how long after the origin, when the pacer was made.
        begun: u64,
        begun_ns: u64,
        slack: SleepSlack,
    },
    Own {
        origin: Virtual,
        clock: Arc<dyn Clock>,
    },
}

impl Pacer {
    /// Starts at `origin`, in the system's time.
    pub fn new(origin: Instant, slack: SleepSlack) -> Self {
        let counter = counter();
        let (since, begun) = (origin.elapsed(), counter.raw());
        Self(Time::System {
            counter,
            begun,
            begun_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            slack,
        })
    }

    /// Starts now, in the time of `clock`, or in the system's without one.
    pub fn start(clock: Option<Arc<dyn Clock>>, slack: SleepSlack) -> Self {
        match clock {
            None => Self::new(Instant::now(), slack),
            Some(clock) => Self(Time::Own {
                origin: clock.now(),
                clock,
            }),
        }
    }

    /// Nanoseconds since the origin.
    pub fn now_ns(&self) -> u64 {
        match &self.0 {
            Time::System {
                counter,
                begun,
                begun_ns,
                ..
            } => begun_ns.saturating_add(counter.delta_as_nanos(*begun, counter.raw())),
            Time::Own { origin, clock } => clock.now().ns_since(*origin),
        }
    }

    /// A call that moves so many bytes begins: when, in nanoseconds since the origin. In virtual time its
    /// price passes.
    pub fn begin_call(&self, bytes: u64) -> u64 {
        let begin_ns = self.now_ns();
        if let Time::Own { clock, .. } = &self.0 {
            clock.sleep(Duration::from_nanos(CALL_NS + bytes / COPIED_BYTES_PER_NS));
        }
        begin_ns
    }

    /// Its time is a target's own and not the system's.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Time::Own { .. })
    }

    /// Returns when `due_ns` has come, or when `cancelled` says so, which is asked every 50 ms of real time.
    pub fn wait_until(&self, due_ns: u64, cancelled: impl Fn() -> bool) {
        let slack = match &self.0 {
            Time::System { slack, .. } => slack.0,
            // Whoever plays the clients has let the time pass to the very moment.
            Time::Own { .. } => return self.pass_to(due_ns),
        };
        let mut now_ns = self.now_ns();
        let slack_ns = u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX);
        while now_ns.saturating_add(slack_ns) < due_ns {
            if cancelled() {
                return;
            }
            let sleep_ns = (due_ns - now_ns - slack_ns).min(50_000_000);
            std::thread::sleep(Duration::from_nanos(sleep_ns));
            now_ns = self.now_ns();
        }
        while now_ns < due_ns {
            std::hint::spin_loop();
            now_ns = self.now_ns();
        }
    }

    /// Lets virtual time pass. The system's passes by itself.
    pub fn pass_to(&self, at_ns: u64) {
        if let Time::Own { clock, .. } = &self.0 {
            let left_ns = at_ns.saturating_sub(self.now_ns());
            clock.sleep(Duration::from_nanos(left_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use delalloc_backends::VirtualClock;

    use super::*;

    #[test]
    fn an_operation_never_starts_before_it_is_due() {
        let pacer = Pacer::new(Instant::now(), SleepSlack::measure());
        for step in 1..=20 {
            let due_ns = step * 300_000;
            pacer.wait_until(due_ns, || false);
            assert!(pacer.now_ns() >= due_ns);
        }
    }

    #[test]
    fn the_counter_goes_as_fast_as_the_clock() {
        let origin = Instant::now();
        let pacer = Pacer::new(origin, SleepSlack(Duration::ZERO));
        std::thread::sleep(Duration::from_millis(200));
        // Between two looks at the clock, however long the thread was off its processor.
        let before_ns = origin.elapsed().as_nanos();
        let now_ns = u128::from(pacer.now_ns());
        let after_ns = origin.elapsed().as_nanos();
        assert!(now_ns + 200_000 >= before_ns, "{now_ns} {before_ns}");
        assert!(now_ns <= after_ns + 200_000, "{now_ns} {after_ns}");
    }

    #[test]
    fn a_client_that_comes_late_does_not_wait() {
        let origin = Instant::now() - Duration::from_millis(5);
        let pacer = Pacer::new(origin, SleepSlack(Duration::ZERO));
        pacer.wait_until(1_000_000, || unreachable!("nothing is waited for"));
    }

    #[test]
    fn a_cancelled_wait_ends_long_before_it_is_due() {
        let pacer = Pacer::new(Instant::now(), SleepSlack(Duration::ZERO));
        pacer.wait_until(3_600_000_000_000, || true);
        assert!(pacer.now_ns() < 3_000_000_000);
    }

    #[test]
    fn virtual_time_is_met_to_the_nanosecond_and_a_call_has_its_price() {
        let clock = Arc::new(VirtualClock::new());
        clock.advance(Duration::from_secs(5));
        let pacer = Pacer::start(Some(clock), SleepSlack(Duration::ZERO));
        pacer.wait_until(7_000_000_001, || true);
        assert_eq!(pacer.now_ns(), 7_000_000_001);
        assert_eq!(pacer.begin_call(4096), 7_000_000_001);
        assert_eq!(pacer.now_ns(), 7_000_000_001 + 1000 + 512);
        pacer.wait_until(7_000_000_001, || true);
        assert_eq!(pacer.now_ns(), 7_000_000_001 + 1000 + 512, "it had come");
    }
}
