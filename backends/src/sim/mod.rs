//! Stand-in: a modelled device, so that "what would a disk do" is a question for any machine.
//!
//! The bytes are in memory and move at once; the answer waits until the model says that a real
//! device would have given it. What the device is made of is a `SimModel` (model.rs), when it
//! answers is computed when the request comes (service.rs, pure), and a delay line holds the
//! answers back.
//!
//! The model knows latency with a spread and stalls, seeks and rotation, parallel units, the link
//! and the medium with a bandwidth each, and a volatile write cache that fills, drains and is
//! waited for by a flush, and what a provider lets through. It does not know wear, temperature or the host's bus. On top of its
//! times comes the wake-up of the thread that delivers them.
//!
//! One seed gives one sequence of latencies; real threads decide which request gets which.
//!
//! Locks: `door`, then `service`, which is a leaf.

mod cap;
mod model;
mod service;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use model::{Allowance, Cap, Latency, Seek, SimModel};

pub(crate) use self::service::Service;
use crate::delay::DelayLine;
use crate::{Backend, BackendError, Clock, Done, Geometry, MemBackend, Request};

/// A device in memory that answers as late as the modelled one.
#[derive(Debug)]
pub struct SimBackend {
    bytes: MemBackend,
    name: &'static str,
    clock: Arc<dyn Clock>,
    service: Mutex<Service>,
    answers: DelayLine,
    /// Held shared by a submit, exclusively by a close.
    door: RwLock<()>,
}

impl SimBackend {
    /// Puts the bytes of `bytes` behind `model`, in the time of `clock`. The capacity decides how
    /// far a seek is.
    ///
    /// # Panics
    /// If the model has no parallel unit, no queue or no bandwidth.
    pub fn new(bytes: MemBackend, model: SimModel, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let capacity_bytes = bytes.geometry().capacity_bytes;
        Self {
            bytes,
            name: model.name,
            answers: DelayLine::start(Arc::clone(&clock), model.queue_depth as usize),
            clock,
            service: Mutex::new(Service::new(&model, capacity_bytes, seed)),
            door: RwLock::new(()),
        }
    }

    /// The same bytes under a new, open, idle device of the same kind.
    #[must_use]
    pub fn reopen(&self, model: SimModel, seed: u64) -> Self {
        Self::new(self.bytes.reopen(), model, Arc::clone(&self.clock), seed)
    }
}

impl Backend for SimBackend {
    fn geometry(&self) -> Geometry {
        self.bytes.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        if self.geometry().check(&request).is_err() {
            return self.bytes.submit(request, done);
        }
        let _inside = self.door.read();
        let due = self.service.lock().serve(self.clock.now(), &request);
        let completion = self.bytes.execute(request);
        if let Err(stopped) = self.answers.at(due, Box::new(move || done(completion))) {
            // Closed: the bytes said so, and there is nobody left to hold that back.
            stopped();
        }
    }

    fn close(&self) -> Result<(), BackendError> {
        let _alone = self.door.write();
        self.answers.stop();
        self.bytes.close()
    }

    fn describe(&self) -> String {
        let capacity_bytes = self.geometry().capacity_bytes;
        format!("model of {}: {capacity_bytes} bytes in memory", self.name)
    }
}
