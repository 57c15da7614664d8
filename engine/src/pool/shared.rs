//! One queue for all workers: the plain pool, and that of 2014, which differ in how many may run.
//!
//! Invariants
//!   * `running` never rises above what the policy allows at that moment; when the allowance falls,
//!     workers stop as they finish.
//!   * While an item waits and the allowance is not used up, some worker is awake on its way to it, or
//!     has just been opened.
//!
//! Locks and threads: one lock, one condition for all workers.

use std::collections::VecDeque;

use super::active::Active;
use super::grow::Seat;
use super::sync::{Condvar, Mutex};
use super::threads::{Discipline, Gauges, Job, Taken};

#[derive(Debug)]
struct State {
    queue: VecDeque<Job>,
    active: Active,
    /// Seats given out; never taken back.
    opened: usize,
    /// Of those, the ones whose thread could not be started.
    gone: usize,
    opened_max: usize,
    /// Which seats hold an item.
    holding: Vec<bool>,
    running: usize,
    asleep: usize,
    queued_max: usize,
    wake_ups: u64,
    stopping: bool,
}

impl State {
    /// Items that could run now if there were workers.
    fn runnable(&self) -> usize {
        self.queue
            .len()
            .min(self.active.now().saturating_sub(self.running))
    }

    /// One worker more for what is queued, where there is work for one: a seat to be started, or
    /// (true) a sleeper to be woken.
    fn call_worker(&mut self) -> (Option<Seat>, bool) {
        let opened = self.open_if_due();
        let wake = opened.is_none() && self.asleep > 0 && self.runnable() > 0;
        self.wake_ups += u64::from(wake);
        (opened, wake)
    }

    /// Opens one more worker, if those without an item are fewer than what could run. A worker counts
    /// from here on, before its thread exists.
    fn open_if_due(&mut self) -> Option<Seat> {
        let free = self.opened - self.gone - self.running;
        if self.runnable() <= free || self.opened == self.opened_max {
            return None;
        }
        self.opened += 1;
        Some(Seat(self.opened - 1))
    }
}

/// The discipline of one queue.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    pub(super) fn new(active: Active, threads_max: usize, opened: usize) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                active,
                opened,
                gone: 0,
                opened_max: threads_max,
                holding: vec![false; threads_max],
                running: 0,
                asleep: 0,
                queued_max: 0,
                wake_ups: 0,
                stopping: false,
            }),
            wake: Condvar::new(),
        }
    }
}

impl Discipline for Shared {
    fn push(&self, job: Job) -> Option<Seat> {
        let mut state = self.state.lock();
        state.queue.push_back(job);
        state.queued_max = state.queued_max.max(state.queue.len());
        let (opened, wake) = state.call_worker();
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        opened
    }

    fn take(&self, seat: Seat) -> Option<Taken> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.holding[seat.0]) {
            state.running -= 1;
        }
        loop {
            if state.runnable() > 0 {
                let job = state.queue.pop_front().expect("a runnable item is queued");
                state.running += 1;
                state.holding[seat.0] = true;
                let pending = state.queue.len();
                state.active.on_start(pending);
                let (opened, wake) = state.call_worker();
                drop(state);
                if wake {
                    self.wake.notify_one();
                }
                return Some(Taken { job, opened });
            }
            if state.stopping {
                return None;
            }
            state.asleep += 1;
            self.wake.wait(&mut state);
            state.asleep -= 1;
        }
    }

    fn withdraw(&self, _seat: Seat) {
        let mut state = self.state.lock();
        state.gone += 1;
        state.opened_max = state.opened;
        assert!(
            state.gone < state.opened,
            "a pool keeps the worker it started with"
        );
    }

    fn stop(&self) {
        self.state.lock().stopping = true;
        self.wake.notify_all();
    }

    fn gauges(&self) -> Gauges {
        let state = self.state.lock();
        Gauges {
            workers_now: state.active.now().min(state.opened - state.gone),
            workers_running: state.running,
            wake_ups: state.wake_ups,
            turns: state.active.turns(),
            queued: state.queue.len(),
            queued_max: state.queued_max,
            backlog: state.queue.len() + state.running,
        }
    }
}
