//! Wrapper: caps on requests and bytes per second and added latency, as a smaller device or a
//! cloud volume has.
//!
//! Each cap is a token bucket kept as one instant: when the bucket would be empty of debt. A
//! request moves it on by its price; it may run `burst` ahead of the clock, and what is beyond
//! waits. The bucket is pure: it is given the time and says when.
//!
//! Reads and writes pay; flushes and discards have the latency alone. A waiting request sits in a delay line of at
//! most 4096, and `submit` blocks above that.
//!
//! Locks: `buckets` is a leaf.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::delay::DelayLine;
use crate::{
    Backend, BackendError, Clock, Completion, Done, Geometry, Instant, Request, RequestKind,
};

const WAITING_MAX: usize = 4096;
const NS_PER_SECOND: u128 = 1_000_000_000;

/// What a device is slowed down to. The default slows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThrottleLimits {
    /// Reads and writes per second; `None` is no cap.
    pub requests_per_second: Option<u64>,
    /// Bytes read and written per second, together; `None` is no cap.
    pub bytes_per_second: Option<u64>,
    /// Bytes read per second; `None` is no cap.
    pub read_bytes_per_second: Option<u64>,
    /// Bytes written per second; `None` is no cap.
    pub write_bytes_per_second: Option<u64>,
    /// Added to every request, flushes and discards too.
    pub latency: Duration,
    /// How much unused allowance may be saved up, as time. Zero spaces requests evenly.
    pub burst: Duration,
}

/// Slows a backend down to its limits.
#[derive(Debug)]
pub struct ThrottleBackend {
    base: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    limits: ThrottleLimits,
    buckets: Mutex<Buckets>,
    line: DelayLine,
}

#[derive(Debug)]
struct Buckets {
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
    read_bytes: Option<Bucket>,
    write_bytes: Option<Bucket>,
}

impl Buckets {
    /// Pays for a transfer and says from when it may go.
    fn take(&mut self, now: Instant, kind: RequestKind, bytes: u64) -> Instant {
        let one_way = match kind {
            RequestKind::Read => &mut self.read_bytes,
            RequestKind::Write => &mut self.write_bytes,
            RequestKind::Flush | RequestKind::Discard => return now,
        };
        let dues = [
            self.requests.as_mut().map(|bucket| bucket.take(now, 1)),
            self.bytes.as_mut().map(|bucket| bucket.take(now, bytes)),
            one_way.as_mut().map(|bucket| bucket.take(now, bytes)),
        ];
        dues.into_iter().flatten().max().unwrap_or(now)
    }
}

impl ThrottleBackend {
    /// Slows `base` down to `limits` in the time of `clock`.
    ///
    /// # Panics
    /// If a cap is zero.
    pub fn new(base: Arc<dyn Backend>, limits: ThrottleLimits, clock: Arc<dyn Clock>) -> Self {
        let bucket = |cap: Option<u64>| cap.map(|cap| Bucket::new(cap, limits.burst));
        Self {
            base,
            line: DelayLine::start(Arc::clone(&clock), WAITING_MAX),
            clock,
            limits,
            buckets: Mutex::new(Buckets {
                requests: bucket(limits.requests_per_second),
                bytes: bucket(limits.bytes_per_second),
                read_bytes: bucket(limits.read_bytes_per_second),
                write_bytes: bucket(limits.write_bytes_per_second),
            }),
        }
    }

    /// When this request may go, if not at once.
    fn due(&self, request: &Request) -> Option<Instant> {
        let (kind, _, bytes) = request.shape();
        let mut buckets = self.buckets.lock();
        let now = self.clock.now();
        let due = buckets.take(now, kind, bytes).after(self.limits.latency);
        (due > now).then_some(due)
    }
}

impl Backend for ThrottleBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let Some(due) = self.due(&request) else {
            return self.base.submit(request, done);
        };
        let base = Arc::clone(&self.base);
        let later = Box::new(move || base.submit(request, done));
        if let Err(stopped) = self.line.at(due, later) {
            // Closed: the base says so to the caller.
            stopped();
        }
    }

    fn execute(&self, request: Request) -> Completion {
        if let Some(due) = self.due(&request) {
            let wait_ns = due.ns_since(self.clock.now());
            self.clock.sleep(Duration::from_nanos(wait_ns));
        }
        self.base.execute(request)
    }

    fn close(&self) -> Result<(), BackendError> {
        self.line.stop();
        self.base.close()
    }

    fn describe(&self) -> String {
        let cap = |cap: Option<u64>, unit: &str| cap.map(|cap| format!("{cap} {unit}/s"));
        let latency = self.limits.latency;
        let limits = [
            cap(self.limits.requests_per_second, "requests"),
            cap(self.limits.bytes_per_second, "bytes"),
            cap(self.limits.read_bytes_per_second, "bytes read"),
            cap(self.limits.write_bytes_per_second, "bytes written"),
            (!latency.is_zero()).then(|| format!("{latency:?} more per request")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        format!(
            "{}, throttled [{}]",
            self.base.describe(),
            limits.join(", ")
        )
    }
}

/// One cap.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    per_second: u64,
    burst: Duration,
    /// Where everything taken so far would be paid for, had it been taken at the cap's pace.
    paid_at: Instant,
    /// Nanoseconds times `per_second` that rounding left over, so that no cap drifts.
    remainder: u64,
}

impl Bucket {
    fn new(per_second: u64, burst: Duration) -> Self {
        assert!(per_second > 0, "a cap of zero lets nothing through");
        Self {
            per_second,
            burst,
            paid_at: Instant::default(),
            remainder: 0,
        }
    }

    /// Takes `units` and says from when they may be used.
    fn take(&mut self, now: Instant, units: u64) -> Instant {
        let start = self.paid_at.max(now);
        let price = u128::from(units) * NS_PER_SECOND + u128::from(self.remainder);
        let per_second = u128::from(self.per_second);
        let price_ns = u64::try_from(price / per_second).unwrap_or(u64::MAX);
        self.remainder = u64::try_from(price % per_second).expect("less than its divisor");
        self.paid_at = start.after(Duration::from_nanos(price_ns));
        let burst_ns = u64::try_from(self.burst.as_nanos()).unwrap_or(u64::MAX);
        Instant {
            ns: start.ns.saturating_sub(burst_ns).max(now.ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, BackendExt, Durability, MemBackend, OsClock, VirtualClock};

    const fn at(ns: u64) -> Instant {
        Instant { ns }
    }

    #[test]
    fn a_bucket_spaces_evenly_and_does_not_drift() {
        let mut bucket = Bucket::new(3, Duration::ZERO);
        let dues: Vec<u64> = (0..4).map(|_| bucket.take(at(0), 1).ns).collect();
        assert_eq!(dues, [0, 333_333_333, 666_666_666, 1_000_000_000]);
    }

    #[test]
    fn a_burst_runs_ahead_and_is_then_paid_back() {
        let mut bucket = Bucket::new(1000, Duration::from_millis(2));
        let dues: Vec<u64> = (0..5).map(|_| bucket.take(at(0), 1).ns / 1000).collect();
        assert_eq!(dues, [0, 0, 0, 1000, 2000]);
        assert_eq!(bucket.take(at(10_000_000), 1).ns, 10_000_000);
    }

    #[test]
    fn each_way_has_its_cap_and_latency_comes_on_top() {
        let limits = ThrottleLimits {
            write_bytes_per_second: Some(1 << 20),
            latency: Duration::from_micros(500),
            ..ThrottleLimits::default()
        };
        let base = Arc::new(MemBackend::new(1 << 20));
        let clock = Arc::new(VirtualClock::new());
        let throttle = ThrottleBackend::new(base, limits, Arc::clone(&clock) as Arc<dyn Clock>);
        let write = |offset| Request::Write {
            offset,
            buf: AlignedBuf::zeroed(8192),
            durability: Durability::Cached,
        };
        let due_in_us = |request: &Request| {
            let due = throttle.due(request).expect("there is a latency");
            due.ns_since(clock.now()) / 1000
        };
        assert_eq!(due_in_us(&write(0)), 500);
        assert_eq!(due_in_us(&write(8192)), 7812 + 500);
        assert_eq!(due_in_us(&Request::Flush), 500);
        assert!(throttle.describe().contains("bytes written/s"));
    }

    #[test]
    fn a_capped_device_is_no_faster_than_its_cap() {
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let limits = ThrottleLimits {
            requests_per_second: Some(1000),
            bytes_per_second: Some(1 << 30),
            ..ThrottleLimits::default()
        };
        let base = Arc::new(MemBackend::new(1 << 20));
        let throttle = ThrottleBackend::new(base, limits, Arc::clone(&clock));
        let start = clock.now();
        for _ in 0..11 {
            let request = Request::Read {
                offset: 0,
                buf: AlignedBuf::zeroed(4096),
            };
            throttle.submit(request, Box::new(|answer| answer.result.expect("reads")));
        }
        throttle.read_blocking(0, 4096).expect("reads");
        assert!(clock.now().ns_since(start) >= 11_000_000);
        throttle.close().expect("closes");
        let error = throttle.read_blocking(0, 4096).expect_err("is closed");
        assert!(matches!(error, BackendError::Closed));
    }
}
