//! Wrapper: remembers everything that was asked of a device, and builds what a crash could have
//! left of it.
//!
//! A power cut keeps what is durable and any part of the rest. Which is which follows from the log
//! alone (log.rs); which part survives is a plan (image.rs), and which plans are worth trying is a
//! sweep (plans.rs). One recorded run gives as many crash images as there are events times plans,
//! without running anything again.
//!
//! ```text
//!   events:   W1 s  W1 c  F s  F c  W2 s  W2 c  W3 s | crash here
//!             \___ durable: F was submitted after W1 completed, and F completed
//!                                   \______________/ loose: each may survive, whole or torn
//! ```
//!
//! The base is memory: a crash image needs the bytes from before the log too.
//!
//! Locks: `log` is a leaf, taken once at the submission and once at the completion.

mod image;
mod log;
mod plans;

use std::sync::Arc;

use parking_lot::Mutex;

pub use image::{CrashPlan, CrashPoint, Survivors, Tear};
pub use log::{Fate, Log, LogEntry, Logged, Outcome};
pub use plans::Sweep;

use crate::{Backend, BackendError, Done, Geometry, MemBackend, Request};

/// A device in memory that remembers what was asked of it.
#[derive(Debug)]
pub struct Recorder {
    base: MemBackend,
    start: MemBackend,
    log: Arc<Mutex<Log>>,
}

impl Recorder {
    /// Records from the bytes that `base` holds now.
    pub fn new(base: MemBackend) -> Self {
        Self {
            start: base.fork(),
            base,
            log: Arc::default(),
        }
    }

    /// Everything so far. The bytes of the writes are shared, not copied.
    pub fn log(&self) -> Log {
        self.log.lock().clone()
    }

    /// Submissions and completions so far.
    pub fn events(&self) -> u64 {
        self.log.lock().events()
    }

    /// The device as `plan` leaves it: open, and independent of this one.
    ///
    /// # Panics
    /// If the plan's crash lies past the end of the log.
    pub fn crash_image(&self, plan: &CrashPlan) -> MemBackend {
        self.crash_point(plan.at).image(&plan.survivors, plan.tear)
    }

    /// A crash after the first `at` events, for many plans of what survives it.
    ///
    /// # Panics
    /// Past the end of the log.
    pub fn crash_point(&self, at: u64) -> CrashPoint {
        CrashPoint::new(&self.start, &self.log.lock(), at)
    }
}

impl Backend for Recorder {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        if self.base.geometry().check(&request).is_err() {
            return self.base.submit(request, done);
        }
        let Some(what) = Logged::of(&request) else {
            return self.base.submit(request, done);
        };
        let entry = self.log.lock().submitted(what);
        let log = Arc::clone(&self.log);
        self.base.submit(
            request,
            Box::new(move |completion| {
                log.lock().completed(entry, completion.result.is_ok());
                done(completion);
            }),
        );
    }

    fn close(&self) -> Result<(), BackendError> {
        self.base.close()
    }

    fn describe(&self) -> String {
        format!("{}, recorded", self.base.describe())
    }
}
