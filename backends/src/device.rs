//! A target and a mover, joined under the trait: what opening a file or block device gives.
//!
//! ```text
//!   submit  -> check -> mover -> done          asynchronous, bounded by the queue depth
//!   execute -> check -> system call -> return  on the caller's own thread
//!   execute_batch -> check -> together -> return   the same for several at once
//!   close   -> waits for both, stops the mover, closes the descriptor (and with it the lock)
//! ```
//!
//! A single blocking request gains nothing from a queue and loses two thread switches, so
//! `execute` makes the system call itself, whichever mover is there.
//!
//! Locks: `parts` is held shared for the length of a submit or an execute, and exclusively by
//! `close`, which therefore starts when no call is inside. A completion callback must not come
//! back in here.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::backend::execute_together;
use crate::mover::{self, Job, Mover, MoverOptions};
use crate::target::Target;
use crate::together::Together;
use crate::{Backend, BackendError, Completion, Done, Geometry, Request};

#[derive(Debug)]
struct Parts {
    target: Arc<Target>,
    mover: Box<dyn Mover>,
    /// Where the kernel has rings.
    together: Option<Together>,
}

/// An open file or block device. Dropping it closes it.
#[derive(Debug)]
pub struct Device {
    geometry: Geometry,
    description: String,
    parts: RwLock<Option<Parts>>,
}

impl Device {
    /// Starts a mover on an open target. `kind` is the target's word in `describe`.
    pub(crate) fn start(
        target: Target,
        options: &MoverOptions,
        kind: &str,
    ) -> Result<Self, BackendError> {
        let target = Arc::new(target);
        let (mover, name) = mover::start(options, &target)?;
        // Without one `execute_batch` goes the mover's way.
        let together = mover.is_ring().then(|| Together::new(&target));
        let together = together.and_then(Result::ok);
        Ok(Self {
            geometry: target.geometry(),
            description: format!("{kind} by {name}: {}", target.path()),
            parts: RwLock::new(Some(Parts {
                target,
                mover,
                together,
            })),
        })
    }
}

impl Backend for Device {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: Request, done: Done) {
        let job = Job::new(request, done);
        if let Err(error) = self.geometry.check(&job.request) {
            return job.finish(Err(error));
        }
        match &*self.parts.read() {
            Some(parts) => parts.mover.submit(job),
            None => job.finish(Err(BackendError::Closed)),
        }
    }

    fn submit_batch(&self, batch: Vec<(Request, Done)>) {
        let parts = self.parts.read();
        let mut jobs = Vec::with_capacity(batch.len());
        for (request, done) in batch {
            let job = Job::new(request, done);
            match (self.geometry.check(&job.request), &*parts) {
                (Err(error), _) => job.finish(Err(error)),
                (Ok(()), None) => job.finish(Err(BackendError::Closed)),
                (Ok(()), Some(_)) => jobs.push(job),
            }
        }
        if let Some(parts) = &*parts {
            parts.mover.submit_batch(jobs);
        }
    }

    fn execute(&self, mut request: Request) -> Completion {
        let result = self
            .geometry
            .check(&request)
            .and_then(|()| match &*self.parts.read() {
                Some(parts) => parts.target.run(&mut request),
                None => Err(BackendError::Closed),
            });
        Completion {
            result,
            buf: request.into_buf(),
        }
    }

    fn execute_batch(&self, mut requests: Vec<Request>) -> Vec<Completion> {
        let unfit = |request| self.geometry.check(request).is_err();
        let results = match &*self.parts.read() {
            Some(Parts {
                target,
                together: Some(together),
                ..
            }) if !requests.iter().any(unfit) => together.run(target, &mut requests),
            _ => None,
        };
        let Some(results) = results else {
            return execute_together(self, requests);
        };
        let ends = requests.into_iter().zip(results);
        ends.map(|(request, result)| Completion {
            result,
            buf: request.into_buf(),
        })
        .collect()
    }

    fn close(&self) -> Result<(), BackendError> {
        if let Some(parts) = self.parts.write().take() {
            parts.mover.stop();
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.description.clone()
    }
}
