//! The shell of a pool: its threads, and an item's way through both phases.
//!
//! A thread is started by the submitter (or worker) whose item made one more worker due, after all
//! locks are released. Refused: a thread that starts threads; it costs one idle thread per pool and a
//! hop where growth is wanted soonest. Where the system has no thread left, the pool stays as it is.
//!
//! Panics. An item that panics is caught, counted and dropped at its turn, and the pool is poisoned:
//! `submit` panics from then on with what the first one said (`try_submit` says it), so the failure travels
//! to whoever builds on the pool; items already queued go through, and `drain` and `shutdown` end as ever. Refused: abort,
//! which takes the embedding program with it; and going on, which builds on what is lost.
//!
//! Locks and threads: `threads` is held while a thread starts or all are joined, by nobody who holds
//! another lock, and never on the way of an item that finds its workers there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use delalloc_backends::{Clock, Instant};

use super::config::PoolConfig;
use super::face::{Pool, Refused};
use super::grow::Seat;
use super::item::{Order, WorkItem};
use super::ledger::{Epoch, Ledger};
use super::ordered::{Ordered, Place};
use super::stats::{Meter, PoolStats};
use super::sync::{Mutex, thread};

/// An item on its way to a worker.
pub(super) struct Job {
    item: Box<dyn WorkItem>,
    place: Option<Place>,
    epoch: Epoch,
    queued_at: Instant,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("place", &self.place)
            .field("epoch", &self.epoch)
            .field("queued_at", &self.queued_at)
            .finish_non_exhaustive()
    }
}

/// An item between its phases.
pub(super) struct Finished {
    item: Box<dyn WorkItem>,
    epoch: Epoch,
    ended_at: Instant,
    /// `run` returned.
    whole: bool,
}

/// What a worker gets from its discipline.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) job: Job,
    /// One more worker is due; its thread is to be started.
    pub(super) opened: Option<Seat>,
}

/// Numbers a discipline keeps under its lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauges {
    pub(super) workers_now: usize,
    pub(super) workers_running: usize,
    pub(super) wake_ups: u64,
    pub(super) turns: (u64, u64),
    pub(super) queued: usize,
    pub(super) queued_max: usize,
    pub(super) backlog: usize,
}

/// Which worker gets an item, and when another worker is due.
pub(super) trait Discipline: Send + Sync + std::fmt::Debug + 'static {
    /// Queues; returns the worker this made due, whose thread is to be started.
    fn push(&self, job: Job) -> Option<Seat>;
    /// The next job for `seat`, which is through with the one before; waits for one. None: stopped.
    fn take(&self, seat: Seat) -> Option<Taken>;
    /// The thread of `seat` could not be started: what it would have done goes to others.
    fn withdraw(&self, seat: Seat);
    /// `take` returns None once nothing is queued.
    fn stop(&self);
    /// Numbers of now.
    fn gauges(&self) -> Gauges;
}

struct Core<D> {
    config: PoolConfig,
    clock: Arc<dyn Clock>,
    discipline: D,
    ordered: Ordered<Finished>,
    ledger: Ledger,
    meters: Vec<Meter>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    poison: OnceLock<Arc<str>>,
}

/// A pool of threads round a discipline.
pub(super) struct Threads<D: Discipline> {
    core: Arc<Core<D>>,
}

impl<D: Discipline> Threads<D> {
    /// Starts the first `opened` workers, which `discipline` has opened already.
    ///
    /// # Panics
    /// Where the system has no thread for the first of them.
    pub(super) fn start(
        config: PoolConfig,
        clock: Arc<dyn Clock>,
        discipline: D,
        opened: usize,
    ) -> Self {
        let core = Arc::new(Core {
            clock,
            discipline,
            ordered: Ordered::new(),
            ledger: Ledger::new(),
            meters: (0..config.threads_max).map(|_| Meter::new()).collect(),
            threads: Mutex::new(Vec::with_capacity(config.threads_max)),
            poison: OnceLock::new(),
            config,
        });
        for seat in 0..opened {
            Core::start_thread(&core, Seat(seat));
        }
        Self { core }
    }
}

impl<D: Discipline> Core<D> {
    fn start_thread(core: &Arc<Self>, seat: Seat) {
        let mut threads = core.threads.lock();
        let worker = Arc::clone(core);
        let started = thread::Builder::new()
            .name(format!("{}-{}", core.config.name, seat.0))
            .spawn(move || Self::work(&worker, seat));
        match started {
            Ok(handle) => threads.push(handle),
            Err(error) => {
                assert!(
                    !threads.is_empty(),
                    "pool {}: the system starts no thread ({error}); raise its limit of threads",
                    core.config.name
                );
                drop(threads);
                core.discipline.withdraw(seat);
            }
        }
    }

    fn work(core: &Arc<Self>, seat: Seat) {
        while let Some(Taken { job, opened }) = core.discipline.take(seat) {
            if let Some(opened) = opened {
                Self::start_thread(core, opened);
            }
            core.carry(job, &core.meters[seat.0]);
        }
    }

    /// Runs one item, and completes it and others as far as it is their turn.
    fn carry(&self, job: Job, meter: &Meter) {
        let Job {
            mut item,
            place,
            epoch,
            queued_at,
        } = job;
        let began_at = self.clock.now();
        meter.add_queued(began_at.ns_since(queued_at));
        let whole = self.catch(meter, || item.run());
        let ended_at = self.clock.now();
        meter.add_running(ended_at.ns_since(began_at));
        let finished = Finished {
            item,
            epoch,
            ended_at,
            whole,
        };
        let Some(place) = place else {
            self.complete(finished, ended_at, meter);
            self.ledger.leave(epoch);
            return;
        };
        let mut head = self.ordered.finish(place, finished);
        while let Some((place, finished)) = head {
            let turn_at = self.clock.now();
            meter.add_head_wait(turn_at.ns_since(finished.ended_at));
            let epoch = finished.epoch;
            self.complete(finished, turn_at, meter);
            head = self.ordered.advance(place);
            self.ledger.leave(epoch);
        }
    }

    fn complete(&self, finished: Finished, began_at: Instant, meter: &Meter) {
        let Finished { item, whole, .. } = finished;
        self.catch(meter, || if whole { item.complete() } else { drop(item) });
        meter.add_complete(self.clock.now().ns_since(began_at));
    }

    /// True where `phase` returned; else the pool is poisoned.
    fn catch(&self, meter: &Meter, phase: impl FnOnce()) -> bool {
        // Nothing of the item is used again but its drop.
        let Err(panic) = catch_unwind(AssertUnwindSafe(phase)) else {
            return true;
        };
        meter.add_panicked();
        self.poison.get_or_init(|| Arc::from(said(&*panic)));
        false
    }

    fn is_worker(&self) -> bool {
        let me = thread::current().id();
        let threads = self.threads.lock();
        threads.iter().any(|handle| handle.thread().id() == me)
    }

    fn assert_stranger(&self) {
        assert!(
            !self.is_worker(),
            "pool {}: a worker cannot wait for its own pool; wait on another thread",
            self.config.name
        );
    }
}

/// The text of a panic.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

impl<D: Discipline> Pool for Threads<D> {
    fn try_submit(&self, item: Box<dyn WorkItem>, order: Order) -> Result<(), Refused> {
        let core = &self.core;
        let name = core.config.name;
        if let Some(what) = core.poison.get() {
            let why = format!("pool {name}: an item panicked ({what}); nothing more is taken");
            return Err(Refused { item, why });
        }
        let Some(epoch) = core.ledger.enter() else {
            let why = format!("pool {name}: an item came after the shutdown");
            return Err(Refused { item, why });
        };
        let job = Job {
            item,
            place: match order {
                Order::Unordered => None,
                Order::Key(key) => Some(core.ordered.enter(key)),
            },
            epoch,
            queued_at: core.clock.now(),
        };
        if let Some(seat) = core.discipline.push(job) {
            Core::start_thread(core, seat);
        }
        Ok(())
    }

    fn poisoned(&self) -> Option<String> {
        let Core { config, poison, .. } = &*self.core;
        let said = poison.get()?;
        Some(format!("a worker of pool {} panicked: {said}", config.name))
    }

    fn stats(&self) -> PoolStats {
        let core = &self.core;
        let mut stats = PoolStats::new(core.config.name, core.config.kind.name());
        let gauges = core.discipline.gauges();
        stats.workers_started = core.threads.lock().len();
        stats.workers_now = gauges.workers_now;
        stats.workers_running = gauges.workers_running;
        stats.wake_ups = gauges.wake_ups;
        (stats.turned_idle, stats.turned_busy) = gauges.turns;
        stats.depth_now = gauges.queued;
        stats.depth_max = gauges.queued_max;
        stats.backlog = gauges.backlog;
        stats.waiting_now = core.ordered.waiting();
        (stats.items_submitted, stats.items_completed) = core.ledger.totals();
        stats.poisoned = core.poison.get().cloned();
        for meter in &core.meters {
            meter.read_into(&mut stats);
        }
        stats
    }

    fn drain(&self) {
        self.core.assert_stranger();
        self.core.ledger.wait();
    }

    fn shutdown(&self) {
        self.core.assert_stranger();
        while !self.core.ledger.close_if_empty() {
            self.core.ledger.wait();
        }
        self.core.discipline.stop();
        let mut threads = self.core.threads.lock();
        for handle in threads.drain(..) {
            handle
                .join()
                .expect("a worker catches what its items throw");
        }
    }
}

impl<D: Discipline> Drop for Threads<D> {
    /// On a worker, whose item held the pool to the last, waiting would be for itself: the threads end by
    /// themselves then, once nothing is queued.
    fn drop(&mut self) {
        if self.core.is_worker() {
            self.core.discipline.stop();
        } else {
            self.shutdown();
        }
    }
}

impl<D: Discipline> std::fmt::Debug for Threads<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("config", &self.core.config)
            .field("gauges", &self.core.discipline.gauges())
            .finish_non_exhaustive()
    }
}
