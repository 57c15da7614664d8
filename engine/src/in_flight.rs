//! Requests at the device whose answers a pool still has to take.
//!
//! A pool that has shut down takes nothing, and an answer of the device cannot be refused: whoever
//! stops the pools waits here first. Read-ahead is the case that nobody else waits for.
//!
//! Lock: one leaf. Not here: how many requests there may be (writeback/limit).

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::waiting::Waiting;

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: Mutex<usize>,
    none: Condvar,
}

/// One request, from before it is sent until its answer is with the pool.
#[derive(Debug)]
pub(crate) struct Sent(Arc<InFlight>);

impl InFlight {
    /// A request is about to be sent.
    pub(crate) fn begin(this: &Arc<Self>) -> Sent {
        *this.count.lock() += 1;
        Sent(Arc::clone(this))
    }

    /// Returns once there is none.
    pub(crate) fn wait(&self, waiting: &Waiting) {
        let mut count = self.count.lock();
        while *count > 0 {
            waiting.wait_surely("answers of the device", &self.none, &mut count);
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_last_answer() {
        let in_flight = Arc::new(InFlight::default());
        let (first, second) = (InFlight::begin(&in_flight), InFlight::begin(&in_flight));
        drop(first);
        let answers = std::thread::Builder::new()
            .spawn(move || drop(second))
            .expect("a thread starts");
        in_flight.wait(&Waiting::default());
        answers.join().expect("it answers");
        assert_eq!(*in_flight.count.lock(), 0);
    }
}
