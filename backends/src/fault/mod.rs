//! Wrapper: makes the n-th request of a kind go wrong, once or from then on.
//!
//! A test holds a `FaultHandle`, runs once without faults to count requests, then arms a rule for
//! request 1, 2, 3 and so on until a run sees no fault. Rules count from the moment they are
//! armed; where several match, the first armed acts.
//!
//! A lying device is here too: a write that was acknowledged and lost, a bit that flipped. They are
//! what checksums are for, and no error tells of them.
//!
//! Requests that do not fit the geometry pass uncounted: refusing them is the base's.
//!
//! Locks: `rules` and `struck` are leaves.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::delay::DelayLine;
use crate::{
    Backend, BackendError, Clock, Done, Durability, Geometry, OsClock, Request, RequestKind,
};

const DELAYED_MAX: usize = 4096;

/// Which requests a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOn {
    /// Every request.
    Any,
    /// Reads.
    Read,
    /// Writes, forced ones included.
    Write,
    /// Writes with `Durability::Fua`.
    FuaWrite,
    /// Flushes.
    Flush,
    /// Discards.
    Discard,
}

impl FaultOn {
    const ALL: [Self; 6] = [
        Self::Any,
        Self::Read,
        Self::Write,
        Self::FuaWrite,
        Self::Flush,
        Self::Discard,
    ];

    fn matches(self, request: &Request) -> bool {
        match (self, request) {
            (Self::Any, _)
            | (Self::Read, Request::Read { .. })
            | (Self::Write, Request::Write { .. })
            | (Self::Flush, Request::Flush)
            | (Self::Discard, Request::Discard { .. }) => true,
            (Self::FuaWrite, Request::Write { durability, .. }) => *durability == Durability::Fua,
            _ => false,
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAction {
    /// EIO; nothing moves.
    Error,
    /// ENOSPC; nothing moves.
    NoSpace,
    /// Half of the blocks move, then an error.
    Short,
    /// It starts this much later.
    Delay(Duration),
    /// It is acknowledged and not done. A read gives back what its buffer held.
    Lose,
    /// One bit in the middle of a read's or write's bytes is wrong. Others pass.
    FlipBit,
}

/// How long a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultSpan {
    /// On the n-th matching request alone.
    Once,
    /// On the n-th and every later one.
    Persistent,
}

/// One thing that will go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Which requests count.
    pub on: FaultOn,
    /// Only those that touch these bytes; `None` counts all.
    pub within: Option<Range<u64>>,
    /// The first that goes wrong, from 1.
    pub nth: u64,
    /// Once, or from then on.
    pub span: FaultSpan,
    /// What goes wrong.
    pub action: FaultAction,
}

impl FaultRule {
    /// The `nth` matching request, once, anywhere.
    pub fn once(on: FaultOn, nth: u64, action: FaultAction) -> Self {
        Self {
            on,
            within: None,
            nth,
            span: FaultSpan::Once,
            action,
        }
    }

    /// The `nth` matching request and all later ones, anywhere.
    pub fn persistent(on: FaultOn, nth: u64, action: FaultAction) -> Self {
        Self {
            span: FaultSpan::Persistent,
            ..Self::once(on, nth, action)
        }
    }

    fn counts(&self, request: &Request) -> bool {
        let (_, offset, bytes) = request.shape();
        let touches = |within: &Range<u64>| offset < within.end && within.start < offset + bytes;
        self.on.matches(request) && self.within.as_ref().is_none_or(touches)
    }
}

/// Arms, disarms and counts. Clones act on the same backend.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Vec<(FaultRule, u64)>>,
    seen: [AtomicU64; FaultOn::ALL.len()],
    fired: AtomicU64,
    struck: Mutex<Vec<Struck>>,
}

/// Faults whose place is remembered; later ones are counted.
const STRUCK_MAX: usize = 64;

/// A request that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck {
    /// Its kind.
    pub kind: RequestKind,
    /// Its first byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

impl FaultHandle {
    /// Adds a rule, which counts from now.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn arm(&self, rule: FaultRule) {
        assert!(rule.nth > 0, "requests are counted from 1");
        self.shared.rules.lock().push((rule, 0));
    }

    /// Removes every rule.
    pub fn disarm(&self) {
        self.shared.rules.lock().clear();
    }

    /// Requests of that kind since the backend was made.
    pub fn requests(&self, on: FaultOn) -> u64 {
        self.shared.seen[on as usize].load(Relaxed)
    }

    /// How often a rule acted.
    pub fn fired(&self) -> u64 {
        self.shared.fired.load(Relaxed)
    }

    /// The first requests that went wrong, in order.
    pub fn struck(&self) -> Vec<Struck> {
        self.shared.struck.lock().clone()
    }
}

impl Shared {
    /// Counts a request and says what is to go wrong with it.
    fn decide(&self, request: &Request) -> Option<FaultAction> {
        for on in FaultOn::ALL {
            if on.matches(request) {
                self.seen[on as usize].fetch_add(1, Relaxed);
            }
        }
        let mut action = None;
        for (rule, counted) in &mut *self.rules.lock() {
            if !rule.counts(request) {
                continue;
            }
            *counted += 1;
            let acts = match rule.span {
                FaultSpan::Once => *counted == rule.nth,
                FaultSpan::Persistent => *counted >= rule.nth,
            };
            if acts && action.is_none() {
                action = Some(rule.action);
            }
        }
        if action.is_some() {
            let (kind, offset, bytes) = request.shape();
            let mut struck = self.struck.lock();
            if struck.len() < STRUCK_MAX {
                struck.push(Struck {
                    kind,
                    offset,
                    bytes,
                });
            }
            drop(struck);
            self.fired.fetch_add(1, Relaxed);
        }
        action
    }
}

/// A backend that fails when told to.
#[derive(Debug)]
pub struct FaultBackend {
    base: Arc<dyn Backend>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// Started by the first delayed request.
    line: OnceLock<DelayLine>,
}

impl FaultBackend {
    /// Wraps `base`, with nothing armed.
    pub fn new(base: Arc<dyn Backend>) -> Self {
        Self {
            base,
            shared: Arc::default(),
            clock: Arc::new(OsClock::new()),
            line: OnceLock::new(),
        }
    }

    /// What a test holds on to.
    pub fn handle(&self) -> FaultHandle {
        FaultHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    fn submit_late(&self, delay: Duration, request: Request, done: Done) {
        let base = Arc::clone(&self.base);
        let later = Box::new(move || base.submit(request, done));
        let line = self
            .line
            .get_or_init(|| DelayLine::start(Arc::clone(&self.clock), DELAYED_MAX));
        if let Err(stopped) = line.at(self.clock.now().after(delay), later) {
            // Closed: the base says so to the caller.
            stopped();
        }
    }

    /// Moves the first half of the blocks, then fails.
    fn submit_short(&self, mut request: Request, done: Done) {
        let block_bytes = self.base.geometry().block_bytes as usize;
        let error = error_for(&request, short_error(&request));
        let (Request::Read { buf, .. } | Request::Write { buf, .. }) = &mut request else {
            return fail(request, done, error);
        };
        let whole_bytes = buf.len();
        let moved_bytes = whole_bytes / 2 / block_bytes * block_bytes;
        if moved_bytes == 0 {
            return fail(request, done, error);
        }
        buf.set_len(moved_bytes);
        self.base.submit(
            request,
            Box::new(move |mut completion| {
                if let Some(buf) = &mut completion.buf {
                    buf.set_len(whole_bytes);
                }
                completion.result = completion.result.and(Err(error));
                done(completion);
            }),
        );
    }

    /// Flips a bit on its way: of a write before it, of a read after it. A writer gets its own
    /// bytes back as they were.
    fn submit_flipped(&self, mut request: Request, done: Done) {
        if let Request::Write { buf, .. } = &mut request {
            flip_middle_bit(buf);
        }
        self.base.submit(
            request,
            Box::new(move |mut completion| {
                if let Some(buf) = &mut completion.buf {
                    flip_middle_bit(buf);
                }
                done(completion);
            }),
        );
    }
}

impl Backend for FaultBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        if self.base.geometry().check(&request).is_err() {
            return self.base.submit(request, done);
        }
        match self.shared.decide(&request) {
            None => self.base.submit(request, done),
            Some(FaultAction::Error) => {
                let error = error_for(&request, io::Error::from_raw_os_error(libc::EIO));
                fail(request, done, error);
            }
            Some(FaultAction::NoSpace) => {
                let error = error_for(&request, io::Error::from_raw_os_error(libc::ENOSPC));
                fail(request, done, error);
            }
            Some(FaultAction::Short) => self.submit_short(request, done),
            Some(FaultAction::Delay(delay)) => self.submit_late(delay, request, done),
            Some(FaultAction::Lose) => done(crate::Completion {
                result: Ok(()),
                buf: request.into_buf(),
            }),
            Some(FaultAction::FlipBit) => self.submit_flipped(request, done),
        }
    }

    fn close(&self) -> Result<(), BackendError> {
        if let Some(line) = self.line.get() {
            line.stop();
        }
        self.base.close()
    }

    fn describe(&self) -> String {
        format!("{} with faults", self.base.describe())
    }
}

fn fail(request: Request, done: Done, error: BackendError) {
    done(crate::Completion {
        result: Err(error),
        buf: request.into_buf(),
    });
}

fn error_for(request: &Request, source: io::Error) -> BackendError {
    let (kind, offset, bytes) = request.shape();
    BackendError::Io {
        kind,
        offset,
        bytes,
        source,
    }
}

fn short_error(request: &Request) -> io::Error {
    match request {
        Request::Read { .. } => io::ErrorKind::UnexpectedEof.into(),
        Request::Write { .. } => io::ErrorKind::WriteZero.into(),
        Request::Flush | Request::Discard { .. } => io::Error::from_raw_os_error(libc::EIO),
    }
}

fn flip_middle_bit(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

#[cfg(test)]
mod tests;
