//! Who gets the next item, and when another worker is worth having.
//!
//! The policy of a queue per worker, pure: it is told of items and answers with workers. That of one shared
//! queue is in active.rs.
//!
//! "Idle" does not mean idle: a worker is idle while its backlog is short, and may be
//! hard at work. All items go to the first idle worker until it turns busy: one warm thread serves a
//! trickle, and a burst opens one more per `grow_at` items. When all are busy, each gets `batch` items
//! in turn.
//!
//! ```text
//!            backlog reaches grow_at
//!   idle  ------------------------------>  busy      (to the tail of the busy line)
//!         <------------------------------            (to the head of the idle line)
//!            backlog falls below idle_below
//! ```
//!
//! Invariants
//!   * A pick raises the backlog of one worker by one, a finish lowers it by one: with nothing queued
//!     and nothing running all backlogs are 0.
//!   * Each worker is in exactly one of the two lines.
//!   * A worker is counted in the pick that opens it, before its thread exists, so pickers side by side
//!     cannot open more than `threads_max`.
//!
//! Not here: threads, queues and sleep (seed.rs, threads.rs).

use std::collections::VecDeque;

/// A worker, counted from 0 in the order they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seat(pub(super) usize);

/// The thresholds of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) threads_max: usize,
    pub(super) grow_at: usize,
    pub(super) batch: usize,
    pub(super) idle_below: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Idle,
    Busy,
    /// Its thread could not be started.
    Gone,
}

#[derive(Debug)]
struct Worker {
    backlog: usize,
    /// Items it got in its turns as a busy one.
    turns: usize,
    rest: Rest,
}

/// What a pick decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) seat: Seat,
    /// The worker is new: its thread is to be started.
    pub(super) opened: bool,
}

/// The workers of a pool with a queue each.
#[derive(Debug)]
pub(super) struct Roster {
    rules: Rules,
    workers: Vec<Worker>,
    idle: VecDeque<Seat>,
    busy: VecDeque<Seat>,
    may_open: bool,
    turned_idle: u64,
    turned_busy: u64,
}

impl Roster {
    /// With `opened` workers.
    pub(super) fn new(rules: Rules, opened: usize) -> Self {
        assert!(
            (1..=rules.threads_max).contains(&opened),
            "a roster opens between 1 and threads_max workers"
        );
        let mut roster = Self {
            rules,
            workers: Vec::with_capacity(rules.threads_max),
            idle: VecDeque::new(),
            busy: VecDeque::new(),
            may_open: true,
            turned_idle: 0,
            turned_busy: 0,
        };
        for _ in 0..opened {
            roster.open();
        }
        roster
    }

    /// The worker that gets the next item; its backlog is raised.
    pub(super) fn pick(&mut self) -> Pick {
        let (seat, opened) = if let Some(&seat) = self.idle.front() {
            (seat, false)
        } else if self.may_open && self.workers.len() < self.rules.threads_max {
            (self.open(), true)
        } else {
            (self.next_busy(), false)
        };
        let worker = &mut self.workers[seat.0];
        worker.backlog += 1;
        if worker.rest == Rest::Idle && worker.backlog >= self.rules.grow_at {
            worker.rest = Rest::Busy;
            self.turned_busy += 1;
            self.idle.retain(|&other| other != seat);
            self.busy.push_back(seat);
        }
        Pick { seat, opened }
    }

    /// An item of `seat` is through.
    pub(super) fn finish(&mut self, seat: Seat) {
        let worker = &mut self.workers[seat.0];
        assert!(
            worker.backlog > 0,
            "a worker finishes only what it was given"
        );
        worker.backlog -= 1;
        if worker.rest == Rest::Busy && worker.backlog < self.rules.idle_below {
            worker.rest = Rest::Idle;
            self.turned_idle += 1;
            self.busy.retain(|&other| other != seat);
            self.idle.push_front(seat);
        }
    }

    /// The thread of `seat` could not be started: it gets no more items, and no others are opened. Its
    /// items are to be picked for again.
    pub(super) fn withdraw(&mut self, seat: Seat) {
        let worker = &mut self.workers[seat.0];
        worker.backlog = 0;
        worker.rest = Rest::Gone;
        self.may_open = false;
        self.idle.retain(|&other| other != seat);
        self.busy.retain(|&other| other != seat);
        assert!(
            !(self.idle.is_empty() && self.busy.is_empty()),
            "a pool keeps the worker it started with"
        );
    }

    /// Workers opened and not withdrawn.
    pub(super) fn workers_now(&self) -> usize {
        self.idle.len() + self.busy.len()
    }

    /// Items given and not finished.
    pub(super) fn backlog(&self) -> usize {
        self.workers.iter().map(|worker| worker.backlog).sum()
    }

    /// How often a worker turned idle, and busy.
    pub(super) fn turns(&self) -> (u64, u64) {
        (self.turned_idle, self.turned_busy)
    }

    fn open(&mut self) -> Seat {
        let seat = Seat(self.workers.len());
        self.workers.push(Worker {
            backlog: 0,
            turns: 0,
            rest: Rest::Idle,
        });
        self.idle.push_back(seat);
        seat
    }

    /// The first busy worker, which goes to the end of the line after `batch` items.
    fn next_busy(&mut self) -> Seat {
        let seat = *self.busy.front().expect("a worker is idle or busy");
        let worker = &mut self.workers[seat.0];
        worker.turns += 1;
        if worker.turns.is_multiple_of(self.rules.batch) {
            self.busy.rotate_left(1);
        }
        seat
    }
}

#[cfg(test)]
mod tests;
