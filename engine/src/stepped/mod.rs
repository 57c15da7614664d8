//! A whole volume without threads: one seed, one interleaving.
//!
//! A volume on threads does what it does in an order that nobody chose and nothing repeats. Here
//! the same rooms, items and bounds run on the thread of the caller alone. Whatever some thread
//! could do next is a *step*; a driver draws from a seed which step is taken:
//!
//! ```text
//!   an item of any of the six pools:  run it | let its run be over | complete the head of a line
//!   a request at the device:          move its bytes | give its answer
//!   the flusher:                      wake | choose a file | collect a run | hand a piece off
//!   the committer:                    commit, or write nodes, where it has reason
//! ```
//!
//! Steps are taken in two places. Between operations the caller takes as many as it likes
//! ([`Stepper::step`]). Within an operation, whoever would block (budget, frames, dirty limit, submit
//! limit, a file's writeback, a read) takes steps until it need not (`waiting`). Where none is possible
//! it would have blocked for ever: a deadlock, reported with the state of all queues and its seed.
//!
//! Time is a virtual clock, which steps do not move. Where nothing can be done *now*, it moves to the
//! next answer of the device that is due later (a modelled one) or the next look of the flusher; and a
//! sleep lets it pass. So operations, bytes, counters and times are the same for one seed, on any
//! machine.
//!
//! Which locks. A step takes locks freely, so it is never taken with one held that a step wants:
//! waits let go of the one they wait under, and hold at most the gate and a `writer` besides, which
//! no step takes. Commits and node writes may happen under a file's state and the tree; they must not
//! step, and need not, for metadata sees the device through a view that answers at once
//! (`HeldBackend::at_once`).
//!
//! Why steps nest. A waiting caller stays on the stack while steps run above it, and the `submit`
//! pool's item may wait on top of that. Nothing below on the stack can move before what is above it
//! returns; so nothing above may wait for it. Callers are one, always lowest. The item waits for
//! answers of the device, which wait for nobody. The flusher, which on threads waits for the budget,
//! is no frame on the stack here but a state between steps, and its step is possible only while the
//! budget has room.
//!
//! What this does not reach: two callers at once; what happens beside a commit, which is one step here;
//! memory orders; the disciplines of the pools, of whose behaviour this is a superset (`pool::stepped`).
//!
//! Refused: threads of which one runs at a time. They would need no rule for nesting, and cost a
//! hand-over per step, stacks by the thousand and a scheduler under every lock.

mod driver;
mod services;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Clock, Instant, VirtualClock};

pub(crate) use driver::Driver;

/// Moves the parts of a volume without threads, for tests and deterministic runs.
#[derive(Debug)]
pub struct Stepper(Arc<Driver>);

impl Stepper {
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        Self(driver)
    }

    /// Takes at most `steps` steps. Returns how many there were; fewer where nothing is left to do.
    pub fn step(&self, steps: usize) -> usize {
        (0..steps).take_while(|_| self.0.step_at_hand()).count()
    }

    /// Takes steps until nothing is left to do.
    pub fn settle(&self) {
        while self.0.step_at_hand() {}
    }

    /// Lets time pass; what becomes due meanwhile happens.
    pub fn pass(&self, duration: Duration) {
        self.0.let_pass(duration);
    }

    /// The time of the volume.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        self.0.clock()
    }

    /// The power goes: everything under way is dropped, requests that have not moved never do, and
    /// operations fail as on a closed volume. The volume and its files are to be dropped then.
    pub fn power_off(&self) {
        self.0.power_off();
    }

    /// A hash of every step so far, with its time and what the device was asked.
    pub fn trace(&self) -> u64 {
        self.0.trace().hash()
    }

    /// How many steps there were so far.
    pub fn steps(&self) -> u64 {
        self.0.trace().steps()
    }
}

/// The time of the volume, in which a sleep lets what becomes due happen.
impl Clock for Stepper {
    fn now(&self) -> Instant {
        self.clock().now()
    }

    fn sleep(&self, duration: Duration) {
        self.pass(duration);
    }
}
