//! Clients of a recording that wait for requests of other clients to be over.
//!
//! Each client publishes the number of its last request that is over; who waits for a request of it waits until that number is
//! reached. A client that is through has reached every number. Where nobody waits, a request costs a store and a fence.
//!
//! Not here: which requests wait for which (`workloads::trace`).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Duration;

use delalloc_workloads::OpStream;
use delalloc_workloads::trace::Precedes;
use parking_lot::{Condvar, Mutex};

/// How often a client that waits asks whether it still should.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// How far the clients of a phase are.
#[derive(Debug, Default)]
pub struct Precedence {
    /// By job, then by client: one more than the number of the last request that is over.
    reached: Vec<Vec<AtomicU64>>,
    waiting: AtomicUsize,
    asleep: Mutex<()>,
    changed: Condvar,
}

impl Precedence {
    /// Of the clients that carry out `streams`.
    pub fn of(streams: &[OpStream]) -> Self {
        let mut reached: Vec<Vec<AtomicU64>> = Vec::new();
        for stream in streams {
            if reached.len() <= stream.job() {
                reached.resize_with(stream.job() + 1, Vec::new);
            }
            reached[stream.job()].push(AtomicU64::new(0));
        }
        Self {
            reached,
            ..Self::default()
        }
    }

    /// Has `job` several clients?
    pub fn is_shared(&self, job: usize) -> bool {
        self.reached[job].len() > 1
    }

    /// Is everything over that comes before a request of `job`?
    pub fn is_over(&self, job: usize, before: &[Precedes]) -> bool {
        before.iter().all(|one| {
            let reached = &self.reached[job][one.client as usize];
            reached.load(Ordering::Acquire) > one.number
        })
    }

    /// Waits until it is; false where `cancelled` says so first.
    pub fn wait(&self, job: usize, before: &[Precedes], cancelled: impl Fn() -> bool) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut asleep = self.asleep.lock();
        // Whoever reaches a number from here on sees that somebody waits.
        fence(Ordering::SeqCst);
        let is_over = loop {
            if self.is_over(job, before) {
                break true;
            }
            if cancelled() {
                break false;
            }
            self.changed.wait_for(&mut asleep, ASKED_EVERY);
        };
        drop(asleep);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        is_over
    }

    /// The request `number` of a client is over.
    #[inline]
    pub fn done(&self, job: usize, client: u32, number: u64) {
        self.reach(job, client, number.saturating_add(1));
    }

    /// The client is through: nobody waits for it any more.
    pub fn leave(&self, job: usize, client: u32) {
        self.reach(job, client, u64::MAX);
    }

    /// The client is through when this is dropped, also by a panic.
    pub fn leaves_on_drop(&self, job: usize, client: u32) -> Leaves<'_> {
        Leaves {
            precedence: self,
            job,
            client,
        }
    }

    #[inline]
    fn reach(&self, job: usize, client: u32, number: u64) {
        self.reached[job][client as usize].store(number, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            drop(self.asleep.lock());
            self.changed.notify_all();
        }
    }
}

/// A client that is not through.
#[derive(Debug)]
pub struct Leaves<'a> {
    precedence: &'a Precedence,
    job: usize,
    client: u32,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.precedence.leave(self.job, self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_clients() -> Precedence {
        Precedence {
            reached: vec![vec![AtomicU64::new(0), AtomicU64::new(0)]],
            ..Precedence::default()
        }
    }

    fn request(client: u32, number: u64) -> Precedes {
        Precedes { client, number }
    }

    #[test]
    fn who_waits_goes_on_when_all_before_it_is_over() {
        let precedence = two_clients();
        let before = [request(0, 7), request(1, 0)];
        precedence.done(0, 0, 6);
        precedence.done(0, 1, 3);
        assert!(!precedence.is_over(0, &before));
        assert!(!precedence.wait(0, &before, || true), "it was called off");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| precedence.wait(0, &before, || false));
            precedence.done(0, 0, 7);
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn nobody_waits_for_a_client_that_is_through() {
        let precedence = two_clients();
        let before = [request(1, u64::MAX - 1)];
        drop(precedence.leaves_on_drop(0, 1));
        assert!(precedence.wait(0, &before, || false));
    }
}
