//! How bytes get to a target: one job, and the mover that carries it out.
//!
//! A mover takes jobs and finishes each exactly once. Movers are apart from targets, so that a
//! file and a block device run on either. What a mover promises to `Device`:
//!   * `submit` blocks only while `queue_depth` jobs are unfinished;
//!   * `stop` finishes every job taken before it, then joins the mover's threads; the second time
//!     it finds nothing to do.
//!
//! Not here: whether a request fits (bounds), the trait's face (device).

use std::fmt;
use std::sync::Arc;

use crate::psync::Threads;
use crate::target::Target;
use crate::uring::Uring;
use crate::{BackendError, Completion, Done, Request};

/// Which mover carries the requests of a file or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MoverKind {
    /// io_uring where the kernel has it and allows it, threads elsewhere.
    #[default]
    Auto,
    /// io_uring, or an error that says what is missing.
    Uring,
    /// Positioned reads and writes on threads.
    Threads,
}

/// How requests are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoverOptions {
    /// Which mover.
    pub kind: MoverKind,
    /// Requests unfinished at once, 1 to 4096; `submit` blocks above it. Raising it lets a device
    /// with deep queues work in parallel, and makes each request wait longer behind the others.
    pub queue_depth: u32,
    /// Threads of the `Threads` mover, 1 to 256: the most requests the device sees at once from it.
    pub threads: u32,
}

impl Default for MoverOptions {
    fn default() -> Self {
        Self {
            kind: MoverKind::Auto,
            queue_depth: 128,
            threads: 8,
        }
    }
}

impl MoverOptions {
    /// Largest queue depth.
    pub const QUEUE_DEPTH_MAX: u32 = 4096;
    /// Largest number of threads.
    pub const THREADS_MAX: u32 = 256;

    /// Refuses numbers outside their range.
    pub(crate) fn validate(&self, path: &str) -> Result<(), BackendError> {
        let refuse = |reason: String, max: u32| BackendError::Open {
            path: path.to_owned(),
            reason,
            remedy: format!("choose 1 to {max}"),
        };
        if !(1..=Self::QUEUE_DEPTH_MAX).contains(&self.queue_depth) {
            let reason = format!("queue depth {} is out of range", self.queue_depth);
            return Err(refuse(reason, Self::QUEUE_DEPTH_MAX));
        }
        if !(1..=Self::THREADS_MAX).contains(&self.threads) {
            let reason = format!("{} mover threads are out of range", self.threads);
            return Err(refuse(reason, Self::THREADS_MAX));
        }
        Ok(())
    }
}

/// A request on its way, with whom to tell.
pub(crate) struct Job {
    pub(crate) request: Request,
    done: Done,
}

impl Job {
    pub(crate) fn new(request: Request, done: Done) -> Self {
        Self { request, done }
    }

    /// Gives the answer and the buffer back. A callback that panics leaves bytes and owners in
    /// a state nobody knows: the process ends, rather than a waiter waiting for ever.
    pub(crate) fn finish(self, result: Result<(), BackendError>) {
        let bomb = AbortOnUnwind;
        (self.done)(Completion {
            result,
            buf: self.request.into_buf(),
        });
        std::mem::forget(bomb);
    }
}

/// Ends the process when dropped by a panic.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// What carries the jobs of one device.
pub(crate) trait Mover: Send + Sync + fmt::Debug {
    /// Takes one job.
    fn submit(&self, job: Job);

    /// Takes several, with one wake-up or system call where that is possible.
    fn submit_batch(&self, batch: Vec<Job>);

    /// Moves bytes through a ring, so another one would work too.
    fn is_ring(&self) -> bool {
        false
    }

    /// Finishes what was taken and joins the threads, with no submit beside it. Dropping a mover
    /// stops it.
    fn stop(&self);
}

/// Starts the mover that `options` ask for, and says which it is.
pub(crate) fn start(
    options: &MoverOptions,
    target: &Arc<Target>,
) -> Result<(Box<dyn Mover>, String), BackendError> {
    options.validate(target.path())?;
    let refuse = |reason: String, remedy: &str| BackendError::Open {
        path: target.path().to_owned(),
        reason,
        remedy: remedy.to_owned(),
    };
    let mut why_not_a_ring = String::new();
    if options.kind != MoverKind::Threads {
        match Uring::start(options, target) {
            Ok(ring) => {
                let name = format!("io_uring, depth {}", options.queue_depth);
                return Ok((Box::new(ring), name));
            }
            Err(error) if options.kind == MoverKind::Uring => {
                let reason = format!("io_uring cannot be used: {error}");
                return Err(refuse(reason, "choose threads, or let it be chosen"));
            }
            Err(error) => why_not_a_ring = format!(" (no io_uring: {error})"),
        }
    }
    let threads = Threads::start(options, target).map_err(|error| {
        let reason = format!("a mover thread could not be started: {error}");
        refuse(reason, "ask for fewer mover threads")
    })?;
    let name = format!(
        "{} threads, depth {}{why_not_a_ring}",
        options.threads, options.queue_depth
    );
    Ok((Box::new(threads), name))
}
