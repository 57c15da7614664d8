//! How many writes may be out at the device, and waiting until none is.
//!
//! The limit keeps one writer's burst from filling the device's queue ahead of everyone's reads.
//! Draining is for who wants *everything* down (volume sync): while someone drains, new writes wait
//! until the count has reached zero, so a drain ends although writers go on.
//!
//! Invariant: `out` returns to zero. Lock: one mutex, nothing else is taken under it.

use parking_lot::{Condvar, Mutex};

use crate::waiting::Waiting;

#[derive(Debug, Default)]
struct Counts {
    out: usize,
    draining: usize,
    /// How often `out` has returned to zero.
    zeros: u64,
}

/// A counting limit that can be drained.
#[derive(Debug)]
pub(crate) struct SubmitLimit {
    out_max: usize,
    waiting: Waiting,
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl SubmitLimit {
    /// At most `out_max` at once; at least one.
    pub(crate) fn new(out_max: usize, waiting: Waiting) -> Self {
        assert!(
            out_max > 0,
            "a limit of no request at all would stop the volume"
        );
        Self {
            out_max,
            waiting,
            counts: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for room and for drains to pass, and counts one request out.
    pub(crate) fn acquire(&self) {
        let mut counts = self.counts.lock();
        while counts.out >= self.out_max || (counts.draining > 0 && counts.out > 0) {
            self.waiting
                .wait("a request's turn", &self.changed, &mut counts);
        }
        counts.out += 1;
    }

    /// One request is answered.
    pub(crate) fn release(&self) {
        self.released(&mut self.counts.lock());
    }

    fn released(&self, counts: &mut Counts) {
        counts.out = counts
            .out
            .checked_sub(1)
            .expect("a request is answered once");
        counts.zeros += u64::from(counts.out == 0);
        self.changed.notify_all();
    }

    /// Returns once no request has been out. Others may be by then: who waits for a turn can have the lock before.
    pub(crate) fn drain(&self) {
        let mut counts = self.counts.lock();
        counts.draining += 1;
        let zeros = counts.zeros;
        while counts.out > 0 && counts.zeros == zeros {
            self.waiting
                .wait("the answers of requests", &self.changed, &mut counts);
        }
        counts.draining -= 1;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_limit_holds_and_a_drain_ends() {
        let limit = Arc::new(SubmitLimit::new(2, Waiting::default()));
        limit.acquire();
        limit.acquire();
        let third = std::thread::Builder::new()
            .spawn({
                let limit = Arc::clone(&limit);
                move || {
                    limit.acquire();
                    assert!(limit.counts.lock().out <= 2);
                    limit.release();
                }
            })
            .expect("a thread starts");
        limit.release();
        limit.release();
        limit.drain();
        third.join().expect("the third passes");
        assert_eq!(limit.counts.lock().out, 0);
    }

    #[test]
    fn a_drain_ends_though_a_new_request_is_out_before_it_wakes() {
        let limit = Arc::new(SubmitLimit::new(2, Waiting::default()));
        limit.acquire();
        let drainer = std::thread::Builder::new()
            .spawn({
                let limit = Arc::clone(&limit);
                move || limit.drain()
            })
            .expect("a thread starts");
        while limit.counts.lock().draining == 0 {
            std::thread::yield_now();
        }
        // The last answer, and the next request, before anybody who waits has the lock.
        let mut counts = limit.counts.lock();
        limit.released(&mut counts);
        counts.out += 1;
        drop(counts);
        drainer.join().expect("the drain ends");
        limit.release();
    }
}
