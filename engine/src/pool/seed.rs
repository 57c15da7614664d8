//! A queue for each worker, as in 2008.
//!
//! The roster (grow.rs) says whose queue an item joins; there it stays: a worker never takes from
//! another's queue, so items of one batch run on one thread one after another.
//!
//! ```text
//!   asleep --(item, wake-up)--> awake: takes items until its queue is empty
//!      ^                          |
//!      |                          v
//!      '--(still nothing)-- lingering: yields a few times; an item that comes now needs no wake-up
//! ```
//!
//! Invariants
//!   * A worker is marked asleep under the lock in which its queue was found empty, and marked awake by
//!     whoever queues for it: no item waits for a sleeping worker.
//!   * Lingering ends after a fixed number of yields, never by a timer: a worker that sleeps a tick
//!     while marked awake delays the items that rely on the mark.
//!
//! Locks and threads: one lock for roster and queues. A lock per worker, as in 2008, splits picking from
//! counting, and then two submitters see a backlog that neither has raised yet; the held time is tens
//! of nanoseconds against items of microseconds and more. Each worker sleeps on a condition of its own.

use std::collections::VecDeque;

use super::config::PoolConfig;
use super::grow::{Roster, Seat};
use super::sync::{AtomicUsize, Condvar, Mutex, Ordering, thread};
use super::threads::{Discipline, Gauges, Job, Taken};

/// Yields before a worker without items sleeps. More saves wake-ups under a steady trickle and burns
/// that much of a processor for each time it was in vain.
const LINGER_YIELDS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Working, or about to look at its queue again.
    Awake,
    /// Needs a wake-up.
    Asleep,
}

#[derive(Debug)]
struct Desk {
    queue: VecDeque<Job>,
    mark: Mark,
    /// Holds an item.
    running: bool,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    /// One for each possible worker.
    desks: Vec<Desk>,
    queued: usize,
    queued_max: usize,
    wake_ups: u64,
    stopping: bool,
}

/// What a worker can see or sleep on without the lock.
#[derive(Debug)]
struct Bed {
    /// Length of its queue, as last seen under the lock.
    queue_len: AtomicUsize,
    wake: Condvar,
}

/// The discipline of 2008.
#[derive(Debug)]
pub(super) struct Seed {
    state: Mutex<State>,
    beds: Vec<Bed>,
}

impl Seed {
    pub(super) fn new(config: &PoolConfig, opened: usize) -> Self {
        let rules = config.rules();
        Self {
            state: Mutex::new(State {
                roster: Roster::new(rules, opened),
                desks: (0..rules.threads_max)
                    .map(|_| Desk {
                        queue: VecDeque::new(),
                        mark: Mark::Awake,
                        running: false,
                    })
                    .collect(),
                queued: 0,
                queued_max: 0,
                wake_ups: 0,
                stopping: false,
            }),
            beds: (0..rules.threads_max)
                .map(|_| Bed {
                    queue_len: AtomicUsize::new(0),
                    wake: Condvar::new(),
                })
                .collect(),
        }
    }

    /// Yields until the queue of `seat` looks filled, a few times at most.
    fn linger(&self, seat: Seat) {
        for _ in 0..LINGER_YIELDS {
            if self.beds[seat.0].queue_len.load(Ordering::Relaxed) > 0 {
                return;
            }
            thread::yield_now();
        }
    }
}

impl Discipline for Seed {
    fn push(&self, job: Job) -> Option<Seat> {
        let mut state = self.state.lock();
        let pick = state.roster.pick();
        let desk = &mut state.desks[pick.seat.0];
        desk.queue.push_back(job);
        let bed = &self.beds[pick.seat.0];
        bed.queue_len.store(desk.queue.len(), Ordering::Relaxed);
        let asleep = desk.mark == Mark::Asleep;
        desk.mark = Mark::Awake;
        state.queued += 1;
        state.queued_max = state.queued_max.max(state.queued);
        if asleep {
            state.wake_ups += 1;
        }
        drop(state);
        if asleep {
            bed.wake.notify_one();
        }
        pick.opened.then_some(pick.seat)
    }

    fn take(&self, seat: Seat) -> Option<Taken> {
        let bed = &self.beds[seat.0];
        let mut state = self.state.lock();
        if std::mem::take(&mut state.desks[seat.0].running) {
            state.roster.finish(seat);
        }
        let mut lingered = false;
        loop {
            let desk = &mut state.desks[seat.0];
            if let Some(job) = desk.queue.pop_front() {
                bed.queue_len.store(desk.queue.len(), Ordering::Relaxed);
                desk.running = true;
                state.queued -= 1;
                return Some(Taken { job, opened: None });
            }
            if state.stopping {
                return None;
            }
            if !lingered {
                drop(state);
                self.linger(seat);
                lingered = true;
                state = self.state.lock();
                continue;
            }
            state.desks[seat.0].mark = Mark::Asleep;
            while state.desks[seat.0].mark == Mark::Asleep && !state.stopping {
                bed.wake.wait(&mut state);
            }
            lingered = false;
        }
    }

    fn withdraw(&self, seat: Seat) {
        let mut state = self.state.lock();
        state.roster.withdraw(seat);
        let orphans = std::mem::take(&mut state.desks[seat.0].queue);
        state.queued -= orphans.len();
        drop(state);
        for job in orphans {
            let opened = self.push(job);
            assert_eq!(
                opened, None,
                "no worker is opened after one could not start"
            );
        }
    }

    fn stop(&self) {
        self.state.lock().stopping = true;
        for bed in &self.beds {
            bed.wake.notify_one();
        }
    }

    fn gauges(&self) -> Gauges {
        let state = self.state.lock();
        Gauges {
            workers_now: state.roster.workers_now(),
            workers_running: state.desks.iter().filter(|desk| desk.running).count(),
            wake_ups: state.wake_ups,
            turns: state.roster.turns(),
            queued: state.queued,
            queued_max: state.queued_max,
            backlog: state.roster.backlog(),
        }
    }
}
