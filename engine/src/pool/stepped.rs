//! A pool without threads: one seed, one interleaving.
//!
//! Each step does one thing that some worker of a real pool could do next: take a queued item and run
//! it, let a run be over, or complete the head of a line. Which one is drawn from the seed. Between the
//! steps the caller does as it likes, so everything happens on the caller's thread, in an order that the
//! seed repeats.
//!
//! ```text
//!   queued --> running (run is called here) --> finished --> completing (complete is called here)
//! ```
//!
//! Any queued item may be next, up to `workers_max` run at once, and only the head of a line completes:
//! a superset of what the disciplines do. A panic goes straight through to the caller of the step.
//!
//! Alone, a pool draws by itself (`step`). Where several share one seed, whoever has it counts the choices
//! of all and takes one (`choices`, `take`); an item that has to wait then takes further steps from within
//! its `run`.
//!
//! Locks and threads: one lock, not held while an item runs, completes or drops, so an item may submit.

use std::sync::Arc;

use delalloc_backends::{Clock, Instant};

use super::draw::Draw;
use super::face::{Pool, Refused};
use super::item::{Order, WorkItem};
use super::ordered::{Lines, Place};
use super::stats::{Meter, PoolStats};
use super::sync::Mutex;

struct Queued {
    item: Box<dyn WorkItem>,
    place: Option<Place>,
    queued_at: Instant,
}

/// Its `run` has returned, and the pool has not noticed yet.
struct Running {
    item: Box<dyn WorkItem>,
    place: Option<Place>,
}

struct Finished {
    item: Box<dyn WorkItem>,
    ended_at: Instant,
}

struct State {
    draw: Draw,
    queued: Vec<Queued>,
    queued_max: usize,
    /// Items whose `run` has not returned: more than one where a run takes steps itself.
    in_run: usize,
    running: Vec<Running>,
    /// Finished items without a line.
    loose: Vec<Finished>,
    lines: Lines<Finished>,
    submitted: u64,
    completed: u64,
    closed: bool,
}

/// What a step does.
enum Step {
    Run(Queued),
    Complete(Option<Place>, Finished),
    /// A run was over; the item is at its place.
    Noticed,
}

impl State {
    fn startable(&self, workers_max: usize) -> usize {
        if self.running.len() + self.in_run < workers_max {
            self.queued.len()
        } else {
            0
        }
    }

    fn choices(&self, workers_max: usize) -> usize {
        self.startable(workers_max) + self.running.len() + self.loose.len() + self.lines.due().len()
    }

    fn choose(&mut self, mut index: usize, workers_max: usize, now: Instant) -> Step {
        let startable = self.startable(workers_max);
        if index < startable {
            self.in_run += 1;
            return Step::Run(self.queued.remove(index));
        }
        index -= startable;
        if index < self.running.len() {
            let Running { item, place } = self.running.remove(index);
            let finished = Finished {
                item,
                ended_at: now,
            };
            match place {
                Some(place) => self.lines.put(&place, finished),
                None => self.loose.push(finished),
            }
            return Step::Noticed;
        }
        index -= self.running.len();
        if index < self.loose.len() {
            return Step::Complete(None, self.loose.remove(index));
        }
        index -= self.loose.len();
        let key = self.lines.due()[index];
        let (place, finished) = self.lines.take(key).expect("its turn has come");
        Step::Complete(Some(place), finished)
    }
}

/// A pool whose workers move when told to.
pub struct SteppedPool {
    name: &'static str,
    workers_max: usize,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    meter: Meter,
}

impl SteppedPool {
    /// A pool of `workers_max` imagined workers.
    ///
    /// # Panics
    /// Without any.
    pub fn new(name: &'static str, workers_max: usize, seed: u64, clock: Arc<dyn Clock>) -> Self {
        assert!(workers_max > 0, "a pool has a worker");
        Self {
            name,
            workers_max,
            clock,
            state: Mutex::new(State {
                draw: Draw::new(seed),
                queued: Vec::new(),
                queued_max: 0,
                in_run: 0,
                running: Vec::new(),
                loose: Vec::new(),
                lines: Lines::new(),
                submitted: 0,
                completed: 0,
                closed: false,
            }),
            meter: Meter::new(),
        }
    }

    /// Does one thing; false where there is nothing to do.
    pub fn step(&self) -> bool {
        let choices = self.choices();
        if choices == 0 {
            return false;
        }
        let index = self.state.lock().draw.below(choices);
        self.take(index);
        true
    }

    /// How many different things could be done next.
    pub fn choices(&self) -> usize {
        self.state.lock().choices(self.workers_max)
    }

    /// Does the one of them that has number `index`, for a caller with dice of its own.
    ///
    /// # Panics
    /// Where there are not that many.
    pub fn take(&self, index: usize) {
        let now = self.clock.now();
        let step = self.state.lock().choose(index, self.workers_max, now);
        match step {
            Step::Noticed => {}
            Step::Run(Queued {
                mut item,
                place,
                queued_at,
            }) => {
                self.meter.add_queued(now.ns_since(queued_at));
                item.run();
                self.meter.add_running(self.clock.now().ns_since(now));
                let mut state = self.state.lock();
                state.in_run -= 1;
                state.running.push(Running { item, place });
            }
            Step::Complete(place, Finished { item, ended_at }) => {
                if place.is_some() {
                    self.meter.add_head_wait(now.ns_since(ended_at));
                }
                item.complete();
                self.meter.add_complete(self.clock.now().ns_since(now));
                let mut state = self.state.lock();
                if let Some(place) = place {
                    state.lines.retire(&place);
                }
                state.completed += 1;
            }
        }
    }

    /// The power goes: drops what is under way, in whatever phase, and takes nothing more.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let queued = std::mem::take(&mut state.queued);
        let running = std::mem::take(&mut state.running);
        let loose = std::mem::take(&mut state.loose);
        let lines = std::mem::replace(&mut state.lines, Lines::new());
        drop(state);
        drop((queued, running, loose, lines));
    }
}

impl Pool for SteppedPool {
    fn try_submit(&self, item: Box<dyn WorkItem>, order: Order) -> Result<(), Refused> {
        let queued_at = self.clock.now();
        let mut state = self.state.lock();
        if state.closed {
            let why = format!("pool {}: an item came after the shutdown", self.name);
            return Err(Refused { item, why });
        }
        let place = match order {
            Order::Unordered => None,
            Order::Key(key) => Some(state.lines.enter(key)),
        };
        state.queued.push(Queued {
            item,
            place,
            queued_at,
        });
        state.submitted += 1;
        state.queued_max = state.queued_max.max(state.queued.len());
        Ok(())
    }

    /// A panic of an item is one of whoever moves it.
    fn poisoned(&self) -> Option<String> {
        None
    }

    fn stats(&self) -> PoolStats {
        let mut stats = PoolStats::new(self.name, "stepped");
        self.meter.read_into(&mut stats);
        let state = self.state.lock();
        stats.workers_now = self.workers_max;
        stats.workers_running = state.running.len() + state.in_run;
        stats.items_submitted = state.submitted;
        stats.items_completed = state.completed;
        stats.depth_now = state.queued.len();
        stats.depth_max = state.queued_max;
        stats.backlog = state.queued.len() + state.running.len() + state.in_run;
        stats.waiting_now = state.lines.waiting() + state.loose.len();
        stats
    }

    /// Steps until nothing is left, on the caller's thread.
    fn drain(&self) {
        while self.step() {}
    }

    fn shutdown(&self) {
        self.drain();
        self.state.lock().closed = true;
    }
}

impl std::fmt::Debug for SteppedPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteppedPool")
            .field("name", &self.name)
            .field("workers_max", &self.workers_max)
            .finish_non_exhaustive()
    }
}
