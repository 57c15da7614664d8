//! A device whose reads can be held back, so that something can happen while they are under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use delalloc_backends::{Backend, BackendError, Done, Geometry, Request};
use parking_lot::Mutex;

/// Long against a thread that has only to get to its read.
const READ_COMES_WITHIN: Duration = Duration::from_secs(10);

type Held = Vec<(Request, Done)>;

/// See the module.
pub(crate) struct HoldReads {
    base: Arc<dyn Backend>,
    /// `None`: reads pass.
    held: Mutex<Option<Held>>,
}

impl HoldReads {
    pub(crate) fn new(base: Arc<dyn Backend>) -> Self {
        Self {
            base,
            held: Mutex::new(None),
        }
    }

    /// Reads wait from now on.
    pub(crate) fn hold(&self) {
        *self.held.lock() = Some(Vec::new());
    }

    /// Returns when `count` reads wait.
    pub(crate) fn wait_for(&self, count: usize) {
        let begun = Instant::now();
        while self.held.lock().as_ref().map_or(0, Vec::len) < count {
            assert!(begun.elapsed() < READ_COMES_WITHIN, "no read came");
            std::thread::yield_now();
        }
    }

    /// Takes the reads that wait; later ones pass.
    pub(crate) fn pass(&self) -> Held {
        self.held.lock().take().unwrap_or_default()
    }

    /// Carries reads out.
    pub(crate) fn release(&self, held: Held) {
        for (request, done) in held {
            self.base.submit(request, done);
        }
    }
}

impl std::fmt::Debug for HoldReads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HoldReads")
    }
}

impl Backend for HoldReads {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        if matches!(request, Request::Read { .. })
            && let Some(held) = &mut *self.held.lock()
        {
            held.push((request, done));
            return;
        }
        self.base.submit(request, done);
    }

    fn close(&self) -> Result<(), BackendError> {
        self.base.close()
    }

    fn describe(&self) -> String {
        "reads held back".to_owned()
    }
}
