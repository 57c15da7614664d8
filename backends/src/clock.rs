//! Time, as something that can be handed in: the engine and the harness never ask the system.
//!
//! Not here: condvar timeouts (relative, and allowed anywhere).

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant as StdInstant};

use crate::sys;

/// Nanoseconds since the clock's own start. Monotonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant {
    /// Nanoseconds.
    pub ns: u64,
}

impl Instant {
    /// Nanoseconds from `earlier` to `self`; 0 where `earlier` is later.
    pub fn ns_since(self, earlier: Self) -> u64 {
        self.ns.saturating_sub(earlier.ns)
    }

    /// This instant and `duration` more.
    pub fn after(self, duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ns: self.ns.saturating_add(ns),
        }
    }
}

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Instant;
    /// Returns after `duration` of this clock's time.
    fn sleep(&self, duration: Duration);
}

/// The operating system's monotonic clock.
#[derive(Debug)]
pub struct OsClock {
    start: StdInstant,
}

impl OsClock {
    /// Starts at 0 now.
    pub fn new() -> Self {
        Self {
            start: StdInstant::now(),
        }
    }
}

impl Default for OsClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for OsClock {
    fn now(&self) -> Instant {
        Instant {
            ns: u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    fn sleep(&self, duration: Duration) {
        thread_local!(static EXACT: () = sys::sleep_exactly());
        EXACT.with(|()| std::thread::sleep(duration));
    }
}

/// A clock that moves only when it is told to, or slept on: for tests that must not depend on how
/// quick the machine is.
#[derive(Debug, Default)]
pub struct VirtualClock {
    ns: AtomicU64,
}

impl VirtualClock {
    /// Stands at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).expect("a virtual clock lives 584 years");
        self.ns.fetch_add(ns, SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        Instant {
            ns: self.ns.load(SeqCst),
        }
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_when_told_and_when_slept_on() {
        let clock = VirtualClock::new();
        let start = clock.now();
        clock.advance(Duration::from_micros(3));
        clock.sleep(Duration::from_nanos(5));
        assert_eq!(clock.now().ns_since(start), 3005);
        assert_eq!(start.ns_since(clock.now()), 0);
        assert_eq!(start.after(Duration::from_nanos(3005)), clock.now());
    }
}
