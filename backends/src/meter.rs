//! Wrapper: counts what goes through, without slowing it: relaxed atomics, two clock reads and one
//! more boxed callback per request.
//!
//! Service time runs from `submit` to the completion, as the caller sees it: time blocked on a full
//! queue is part of it. It is kept as a sum and a histogram by powers of two, enough to see a
//! second hump; exact percentiles are the harness's.
//!
//! A snapshot reads counters one by one while requests go on: numbers of one snapshot may be apart
//! by the requests in between, and each is exact once nothing is in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    Backend, BackendError, Clock, Completion, Done, Geometry, Instant, Request, RequestKind,
};

/// Slots of the service-time histogram.
pub const SERVICE_SLOTS: usize = 64;

/// Counts requests, bytes, depth and service time of a backend.
#[derive(Debug)]
pub struct MeterBackend {
    base: Arc<dyn Backend>,
    meter: Meter,
}

/// The counting itself, for a backend that is its own wrapper.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    depth_now: AtomicU64,
    depth_max: AtomicU64,
    kinds: [KindCounters; RequestKind::ALL.len()],
}

#[derive(Debug)]
struct KindCounters {
    started: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    service_ns_sum: AtomicU64,
    service_ns_max: AtomicU64,
    service_log2: [AtomicU64; SERVICE_SLOTS],
}

impl Default for KindCounters {
    fn default() -> Self {
        Self {
            started: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            service_ns_sum: AtomicU64::new(0),
            service_ns_max: AtomicU64::new(0),
            service_log2: [const { AtomicU64::new(0) }; SERVICE_SLOTS],
        }
    }
}

/// What one kind of request did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSnapshot {
    /// Requests submitted.
    pub started: u64,
    /// Requests that completed without an error.
    pub completed: u64,
    /// Requests that completed with one.
    pub failed: u64,
    /// Bytes of the requests that completed without an error.
    pub bytes: u64,
    /// Service time of all completions, summed.
    pub service_ns_sum: u64,
    /// Longest service time since the meter was made.
    pub service_ns_max: u64,
    /// Completions by service time: slot `i` counts those of `2^i` up to `2^(i+1)` nanoseconds.
    pub service_log2: [u64; SERVICE_SLOTS],
}

impl KindSnapshot {
    /// Mean service time; 0 where nothing completed.
    pub fn service_ns_mean(&self) -> u64 {
        self.service_ns_sum
            .checked_div(self.completed + self.failed)
            .unwrap_or(0)
    }

    /// An upper bound of the service time of that share (0 to 1) of all completions: at most twice
    /// the true value. 0 where nothing completed.
    pub fn service_ns_below(&self, share: f64) -> u64 {
        let total: u64 = self.service_log2.iter().sum();
        let mut seen = 0_u64;
        for (slot, count) in self.service_log2.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= share * total as f64 {
                return u64::MAX >> (SERVICE_SLOTS - 1 - slot);
            }
        }
        0
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut service_log2 = self.service_log2;
        for (now, then) in service_log2.iter_mut().zip(earlier.service_log2) {
            *now -= then;
        }
        Self {
            started: self.started - earlier.started,
            completed: self.completed - earlier.completed,
            failed: self.failed - earlier.failed,
            bytes: self.bytes - earlier.bytes,
            service_ns_sum: self.service_ns_sum - earlier.service_ns_sum,
            service_ns_max: self.service_ns_max,
            service_log2,
        }
    }
}

/// What a backend did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterSnapshot {
    /// Requests in flight.
    pub depth_now: u64,
    /// Most requests in flight since the meter was made.
    pub depth_max: u64,
    /// By `RequestKind`.
    pub kinds: [KindSnapshot; RequestKind::ALL.len()],
}

impl MeterSnapshot {
    /// The numbers of one kind.
    pub fn kind(&self, kind: RequestKind) -> &KindSnapshot {
        &self.kinds[kind.index()]
    }

    /// What happened between `earlier` and this. Maxima stay those of the whole life.
    ///
    /// # Panics
    /// If `earlier` is later, or of another meter.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            depth_now: self.depth_now,
            depth_max: self.depth_max,
            kinds: std::array::from_fn(|kind| self.kinds[kind].since(&earlier.kinds[kind])),
        }
    }
}

impl MeterBackend {
    /// Meters `base` by `clock`.
    pub fn new(base: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> Self {
        Self {
            base,
            meter: Meter::new(clock),
        }
    }

    /// The numbers of now.
    pub fn snapshot(&self) -> MeterSnapshot {
        self.meter.snapshot()
    }
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            counters: Arc::default(),
        }
    }

    pub(crate) fn snapshot(&self) -> MeterSnapshot {
        MeterSnapshot {
            depth_now: self.counters.depth_now.load(Relaxed),
            depth_max: self.counters.depth_max.load(Relaxed),
            kinds: std::array::from_fn(|kind| self.counters.kinds[kind].snapshot()),
        }
    }

    /// A request begins; `end` takes what is returned, with its answer.
    pub(crate) fn begin(&self, request: &Request) -> Metered {
        let (kind, _, bytes) = request.shape();
        self.counters.kinds[kind.index()]
            .started
            .fetch_add(1, Relaxed);
        let depth = self.counters.depth_now.fetch_add(1, Relaxed) + 1;
        // The maximum rarely moves: a plain read spares the write.
        if depth > self.counters.depth_max.load(Relaxed) {
            self.counters.depth_max.fetch_max(depth, Relaxed);
        }
        Metered {
            kind,
            bytes,
            start: self.clock.now(),
        }
    }

    /// A request begins that ends when `done` is called.
    pub(crate) fn begin_with(&self, request: &Request, done: Done) -> Done {
        let metered = self.begin(request);
        let counters = Arc::clone(&self.counters);
        let clock = Arc::clone(&self.clock);
        Box::new(move |completion| {
            metered.end(&counters, clock.now(), &completion);
            done(completion);
        })
    }

    /// A request that began ends.
    pub(crate) fn end(&self, metered: Metered, completion: &Completion) {
        metered.end(&self.counters, self.clock.now(), completion);
    }
}

/// A request between its two clock readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metered {
    kind: RequestKind,
    bytes: u64,
    start: Instant,
}

impl Metered {
    fn end(self, counters: &Counters, now: Instant, completion: &Completion) {
        counters.depth_now.fetch_sub(1, Relaxed);
        let kind = &counters.kinds[self.kind.index()];
        let service_ns = now.ns_since(self.start);
        kind.service_ns_sum.fetch_add(service_ns, Relaxed);
        if service_ns > kind.service_ns_max.load(Relaxed) {
            kind.service_ns_max.fetch_max(service_ns, Relaxed);
        }
        kind.service_log2[service_ns.max(1).ilog2() as usize].fetch_add(1, Relaxed);
        if completion.result.is_ok() {
            kind.completed.fetch_add(1, Relaxed);
            kind.bytes.fetch_add(self.bytes, Relaxed);
        } else {
            kind.failed.fetch_add(1, Relaxed);
        }
    }
}

impl KindCounters {
    fn snapshot(&self) -> KindSnapshot {
        KindSnapshot {
            started: self.started.load(Relaxed),
            completed: self.completed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            service_ns_sum: self.service_ns_sum.load(Relaxed),
            service_ns_max: self.service_ns_max.load(Relaxed),
            service_log2: std::array::from_fn(|slot| self.service_log2[slot].load(Relaxed)),
        }
    }
}

impl Backend for MeterBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let done = self.meter.begin_with(&request, done);
        self.base.submit(request, done);
    }

    fn submit_batch(&self, batch: Vec<(Request, Done)>) {
        let metered = batch
            .into_iter()
            .map(|(request, done)| {
                let done = self.meter.begin_with(&request, done);
                (request, done)
            })
            .collect();
        self.base.submit_batch(metered);
    }

    fn execute(&self, request: Request) -> Completion {
        let metered = self.meter.begin(&request);
        let completion = self.base.execute(request);
        self.meter.end(metered, &completion);
        completion
    }

    fn execute_batch(&self, requests: Vec<Request>) -> Vec<Completion> {
        let metered: Vec<_> = requests
            .iter()
            .map(|request| self.meter.begin(request))
            .collect();
        let completions = self.base.execute_batch(requests);
        for (metered, completion) in metered.into_iter().zip(&completions) {
            self.meter.end(metered, completion);
        }
        completions
    }

    fn close(&self) -> Result<(), BackendError> {
        self.base.close()
    }

    fn describe(&self) -> String {
        self.base.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, BackendExt, Durability, MemBackend, OsClock};

    #[test]
    fn requests_bytes_failures_and_times_are_counted_by_kind() {
        let base = Arc::new(MemBackend::new(1 << 20));
        let meter = MeterBackend::new(base, Arc::new(OsClock::new()));
        let before = meter.snapshot();
        let buf = AlignedBuf::zeroed(8192);
        meter
            .write_blocking(0, buf, Durability::Cached)
            .expect("writes");
        meter.submit(
            Request::Read {
                offset: 4096,
                buf: AlignedBuf::zeroed(4096),
            },
            Box::new(|completion| completion.result.expect("reads")),
        );
        meter.read_blocking(1, 4096).expect_err("misaligned");
        let after = meter.snapshot().since(&before);
        let (read, write) = (
            after.kind(RequestKind::Read),
            after.kind(RequestKind::Write),
        );
        assert_eq!((write.completed, write.bytes, write.failed), (1, 8192, 0));
        assert_eq!((read.started, read.completed, read.failed), (2, 1, 1));
        assert_eq!(read.bytes, 4096);
        assert_eq!(read.service_log2.iter().sum::<u64>(), 2);
        assert!(read.service_ns_below(1.0) >= read.service_ns_max);
        assert!(read.service_ns_mean() <= read.service_ns_max);
        assert_eq!((after.depth_now, after.depth_max), (0, 1));
    }
}
