//! The pools under a scheduler that tries interleavings of their locks, conditions and atomics: no wake-up
//! is lost, no item is lost or done twice, order holds, and every drain and shutdown ends. A hang is found
//! as a deadlock, and a failing schedule is printed for replay.
//!
//! The rooms of `pool` are compiled a second time here, against a `sync` of the scheduler's primitives, so
//! what is tested is the text of the pools and the pools carry no switch for it.

use std::collections::HashMap;
use std::sync::Arc;

use delalloc_backends::{Clock, Instant};
use pool::{Order, Pool, PoolConfig, PoolKind, WorkItem, start};

mod schedule;

#[path = "../src/pool"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "rooms of the library, of which a test needs a part"
)]
mod pool {
    mod active;
    mod config;
    mod face;
    mod grow;
    mod item;
    mod ledger;
    mod ordered;
    mod seed;
    mod shared;
    mod start;
    mod stats;
    mod threads;

    pub(crate) use config::{PoolConfig, PoolKind};
    pub(crate) use face::Pool;
    pub(crate) use item::{Order, WorkItem};
    pub(crate) use ordered::Ordered;
    pub(crate) use start::start;

    /// The pools' `sync`, over the scheduler.
    pub(crate) mod sync {
        pub(crate) use crate::schedule::{Condvar, Mutex};
        pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};

        /// Threads of the scheduler, of which the system may run out.
        pub(crate) mod thread {
            use std::cell::Cell;
            use std::io;

            pub(crate) use shuttle::thread::{JoinHandle, current, yield_now};

            thread_local! {
                /// Threads the system still has. One system thread carries a whole execution.
                pub(crate) static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
            }

            pub(crate) struct Builder(shuttle::thread::Builder);

            impl Builder {
                pub(crate) fn new() -> Self {
                    Self(shuttle::thread::Builder::new())
                }

                pub(crate) fn name(self, name: String) -> Self {
                    Self(self.0.name(name))
                }

                pub(crate) fn spawn(
                    self,
                    body: impl FnOnce() + Send + 'static,
                ) -> io::Result<JoinHandle<()>> {
                    let left = LEFT.get();
                    if left == 0 {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    LEFT.set(left - 1);
                    self.0.spawn(body)
                }
            }
        }
    }
}

/// Time stands still; interleavings do not depend on it.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant { ns: 0 }
    }

    fn sleep(&self, _duration: std::time::Duration) {
        unreachable!("a pool does not sleep by the clock");
    }
}

const ITERATIONS: usize = 400;

/// Random schedules, and those with few preemptions at the worst places.
fn check(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, ITERATIONS);
    shuttle::check_pct(test, ITERATIONS, 3);
}

type Log = Arc<pool::sync::Mutex<HashMap<u64, Vec<usize>>>>;

struct Note {
    key: u64,
    number: usize,
    log: Log,
}

impl WorkItem for Note {
    fn run(&mut self) {
        shuttle::thread::yield_now();
    }

    fn complete(self: Box<Self>) {
        self.log
            .lock()
            .entry(self.key)
            .or_default()
            .push(self.number);
    }
}

fn small(kind: PoolKind, threads_max: usize, idle_thresh: usize) -> Arc<dyn Pool> {
    pool::sync::thread::LEFT.set(usize::MAX);
    start(
        PoolConfig::new("test", kind, threads_max, idle_thresh),
        Arc::new(Still),
    )
}

/// Two submitters on two keys; the first drains in between.
fn submit_from_two(pool: &Arc<dyn Pool>) {
    let log = Log::default();
    let submit = move |pool: &dyn Pool, log: &Log, key: u64, numbers: std::ops::Range<usize>| {
        for number in numbers {
            let log = Arc::clone(log);
            pool.submit(Box::new(Note { key, number, log }), Order::Key(key));
        }
    };
    let other = {
        let (pool, log) = (Arc::clone(pool), Arc::clone(&log));
        shuttle::thread::spawn(move || submit(&*pool, &log, 2, 0..3))
    };
    submit(&**pool, &log, 1, 0..2);
    pool.drain();
    assert_eq!(log.lock()[&1], [0, 1], "drained");
    submit(&**pool, &log, 1, 2..4);
    other.join().expect("no panic");
    pool.shutdown();
    let log = log.lock();
    assert_eq!(log[&1], [0, 1, 2, 3]);
    assert_eq!(log[&2], [0, 1, 2]);
    let stats = pool.stats();
    assert_eq!(
        (stats.backlog, stats.waiting_now, stats.items_completed),
        (0, 0, 7)
    );
}

#[test]
fn a_queue_per_worker_loses_no_wake_up() {
    check(|| submit_from_two(&small(PoolKind::Seed2008, 2, 2)));
}

#[test]
fn a_single_worker_falls_asleep_and_is_woken() {
    check(|| submit_from_two(&small(PoolKind::Seed2008, 1, 1)));
}

#[test]
fn one_queue_loses_no_wake_up() {
    check(|| submit_from_two(&small(PoolKind::Plain, 2, 1)));
}

#[test]
fn a_threshold_of_active_workers_leaves_no_item_behind() {
    check(|| submit_from_two(&small(PoolKind::Threshold2014, 2, 32)));
}

/// The second thread of the pool cannot be started: what was queued for it goes to the first.
#[test]
fn a_pool_without_further_threads_goes_on_with_what_it_has() {
    for kind in PoolKind::ALL {
        check(move || {
            pool::sync::thread::LEFT.set(1);
            let pool = start(PoolConfig::new("test", kind, 3, 1), Arc::new(Still));
            let log = Log::default();
            for number in 0..4 {
                let log = Arc::clone(&log);
                pool.submit(
                    Box::new(Note {
                        key: 1,
                        number,
                        log,
                    }),
                    Order::Key(1),
                );
            }
            pool.shutdown();
            assert_eq!(log.lock()[&1], [0, 1, 2, 3]);
        });
    }
}

/// Three threads finish five places of one line; completions are alone and in order.
#[test]
fn a_line_completes_in_order_and_alone() {
    check(|| {
        let ordered = Arc::new(pool::Ordered::new());
        let done = Arc::new(shuttle::sync::atomic::AtomicUsize::new(0));
        let mut places: Vec<_> = (0..6).map(|number| (ordered.enter(9), number)).collect();
        let mut threads = Vec::new();
        for _ in 0..3 {
            let mine = [places.remove(places.len() / 2), places.remove(0)];
            let (ordered, done) = (Arc::clone(&ordered), Arc::clone(&done));
            threads.push(shuttle::thread::spawn(move || {
                for (place, number) in mine {
                    let mut head = ordered.finish(place, number);
                    while let Some((place, number)) = head {
                        // Two loads with a switch between them: another completion would show.
                        let order = pool::sync::Ordering::Relaxed;
                        assert_eq!(done.load(order), number, "in its turn");
                        shuttle::thread::yield_now();
                        assert_eq!(done.load(order), number, "alone");
                        done.store(number + 1, order);
                        head = ordered.advance(place);
                    }
                }
            }));
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(done.load(pool::sync::Ordering::Relaxed), 6);
        assert_eq!(ordered.line_count(), 0);
    });
}
