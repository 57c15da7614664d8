//! What every pool keeps, of whatever kind: order, draining, shutting down, accounts that come out even,
//! and an end after a panic.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};

use delalloc_backends::{Clock, OsClock};
use delalloc_engine::pool::{Order, Pool, PoolConfig, PoolKind, SteppedPool, WorkItem, start};

type Step = Box<dyn FnOnce() + Send>;

/// An item made of closures.
struct Item {
    run: Option<Step>,
    complete: Step,
}

impl WorkItem for Item {
    fn run(&mut self) {
        self.run.take().expect("an item runs once")();
    }

    fn complete(self: Box<Self>) {
        assert!(self.run.is_none(), "an item runs before it completes");
        (self.complete)();
    }
}

fn item(
    run: impl FnOnce() + Send + 'static,
    complete: impl FnOnce() + Send + 'static,
) -> Box<dyn WorkItem> {
    Box::new(Item {
        run: Some(Box::new(run)),
        complete: Box::new(complete),
    })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(OsClock::new())
}

fn config(kind: PoolKind, threads_max: usize, idle_thresh: usize) -> PoolConfig {
    PoolConfig::new("test", kind, threads_max, idle_thresh)
}

/// Pools of all kinds and of sizes and thresholds that matter, and the stepped one.
fn pools() -> Vec<(String, Arc<dyn Pool>)> {
    let mut pools: Vec<(String, Arc<dyn Pool>)> = Vec::new();
    for kind in PoolKind::ALL {
        for (threads_max, idle_thresh) in [(1, 1), (2, 2), (4, 1), (4, 2), (3, 32), (4, 64)] {
            for start_all in [false, true] {
                let config = PoolConfig {
                    start_all,
                    ..config(kind, threads_max, idle_thresh)
                };
                pools.push((format!("{config:?}"), start(config, clock())));
            }
        }
    }
    for seed in 0..8 {
        let stepped = SteppedPool::new("stepped", 3, seed, clock());
        pools.push((format!("seed {seed}"), Arc::new(stepped)));
    }
    pools
}

/// Submits `count` items over `keys` lines that note their number when they complete.
fn submit_numbered(pool: &dyn Pool, count: usize, keys: u64) -> Arc<Mutex<Vec<(u64, usize)>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    for number in 0..count {
        let key = number as u64 * 7 % keys;
        let log = Arc::clone(&log);
        let work = move || {
            let spins = number.wrapping_mul(2654435761) >> 7 & 0x3ff;
            std::hint::black_box((0..spins).sum::<usize>());
        };
        let note = move || log.lock().expect("no panic").push((key, number));
        pool.submit(item(work, note), Order::Key(key));
    }
    log
}

#[test]
fn items_of_a_key_complete_in_order_and_all_do() {
    for (name, pool) in pools() {
        let log = submit_numbered(&*pool, 600, 5);
        pool.drain();
        let log = log.lock().expect("no panic");
        assert_eq!(log.len(), 600, "{name}");
        for key in 0..5 {
            let line: Vec<usize> = log
                .iter()
                .filter(|(of, _)| *of == key)
                .map(|(_, number)| *number)
                .collect();
            assert!(line.is_sorted(), "{name}: key {key}");
        }
    }
}

#[test]
fn accounts_come_out_even() {
    for (name, pool) in pools() {
        submit_numbered(&*pool, 300, 3);
        for _ in 0..100 {
            pool.submit(item(|| {}, || {}), Order::Unordered);
        }
        pool.shutdown();
        let stats = pool.stats();
        assert_eq!(
            (stats.items_submitted, stats.items_completed),
            (400, 400),
            "{name}"
        );
        assert_eq!(
            (stats.depth_now, stats.backlog, stats.waiting_now),
            (0, 0, 0),
            "{name}"
        );
        assert_eq!(stats.workers_running, 0, "{name}");
        assert_eq!(stats.queued_ns.count, 400, "{name}");
        assert_eq!(stats.running_ns.count, 400, "{name}");
        assert_eq!(stats.complete_ns.count, 400, "{name}");
        assert_eq!(
            stats.head_wait_ns.count, 300,
            "{name}: only items in lines wait"
        );
        assert!(stats.depth_max >= 1, "{name}");
        assert_eq!((stats.items_panicked, stats.poisoned), (0, None), "{name}");
    }
}

#[test]
fn shutdown_drains_what_items_submit_and_is_idempotent() {
    for (name, pool) in pools() {
        let done = Arc::new(AtomicUsize::new(0));
        for number in 0..20u64 {
            let (inner, done) = (Arc::downgrade(&pool), Arc::clone(&done));
            let again = move || {
                let pool = inner.upgrade().expect("the test holds the pool");
                let count = move || {
                    done.fetch_add(1, Ordering::SeqCst);
                };
                pool.submit(item(|| {}, count), Order::Key(number % 2));
            };
            pool.submit(item(|| {}, again), Order::Key(number % 3));
        }
        pool.shutdown();
        assert_eq!(done.load(Ordering::SeqCst), 20, "{name}");
        pool.shutdown();
        let late = catch_unwind(AssertUnwindSafe(|| {
            pool.submit(item(|| {}, || {}), Order::Unordered);
        }));
        assert!(
            late.is_err(),
            "{name}: a pool that is shut down takes nothing"
        );
    }
}

#[test]
fn dropping_a_pool_completes_what_it_has() {
    for kind in PoolKind::ALL {
        let pool = start(config(kind, 2, 2), clock());
        let log = submit_numbered(&*pool, 50, 1);
        drop(pool);
        assert_eq!(log.lock().expect("no panic").len(), 50, "{kind}");
    }
}

#[test]
fn an_item_may_hold_its_pool_to_the_last() {
    for kind in PoolKind::ALL {
        let pool = start(config(kind, 2, 2), clock());
        let (told, completed) = channel();
        let (gate, open): (Sender<()>, Receiver<()>) = channel();
        let held = Arc::clone(&pool);
        let wait = move || open.recv().expect("the test opens");
        pool.submit(item(wait, move || drop(held)), Order::Key(0));
        let tell = move || told.send(()).expect("the test listens");
        pool.submit(item(|| {}, tell), Order::Key(0));
        drop(pool);
        gate.send(()).expect("the item waits");
        assert_eq!(
            completed.recv(),
            Ok(()),
            "{kind}: what is queued goes through"
        );
    }
}

/// An item that tells when it runs and then waits to be let go.
fn gated(started: &Sender<usize>, number: usize) -> (Box<dyn WorkItem>, Sender<()>) {
    let (go, gate): (Sender<()>, Receiver<()>) = channel();
    let started = started.clone();
    let run = move || {
        started.send(number).expect("the test listens");
        gate.recv().expect("the test lets go");
    };
    (item(run, || {}), go)
}

#[test]
fn a_slow_head_holds_back_its_line_and_nobody_else() {
    for kind in PoolKind::ALL {
        let pool = start(config(kind, 4, 1), clock());
        let (started, running) = channel();
        let (head, go) = gated(&started, 0);
        pool.submit(head, Order::Key(1));
        running.recv().expect("the head runs");
        let (told, completed) = channel();
        for (number, order) in [
            (1, Order::Key(1)),
            (2, Order::Key(2)),
            (3, Order::Unordered),
        ] {
            let told = told.clone();
            let tell = move || told.send(number).expect("the test listens");
            pool.submit(item(|| {}, tell), order);
        }
        let mut free = [completed.recv(), completed.recv()].map(|number| number.expect("free"));
        free.sort_unstable();
        assert_eq!(free, [2, 3], "{kind}");
        assert!(
            completed.try_recv().is_err(),
            "{kind}: the line waits for its head"
        );
        go.send(()).expect("the head waits");
        assert_eq!(completed.recv(), Ok(1), "{kind}");
        pool.shutdown();
        let waited = pool.stats().head_wait_ns;
        assert!(waited.max_ns > 0, "{kind}");
    }
}

/// Completes, and submits itself again while `links` last.
struct Chain {
    pool: Weak<dyn Pool>,
    links: Arc<AtomicUsize>,
}

impl WorkItem for Chain {
    fn run(&mut self) {
        std::thread::yield_now();
    }

    fn complete(self: Box<Self>) {
        let left = self.links.load(Ordering::SeqCst);
        if left > 0 {
            self.links.store(left - 1, Ordering::SeqCst);
            let pool = self.pool.upgrade().expect("the test holds the pool");
            pool.submit(self, Order::Key(0));
        }
    }
}

#[test]
fn a_drain_does_not_wait_for_what_comes_after_it() {
    for kind in PoolKind::ALL {
        let pool = start(config(kind, 2, 1), clock());
        let links = Arc::new(AtomicUsize::new(1_000_000));
        for _ in 0..2 {
            let chain = Chain {
                pool: Arc::downgrade(&pool),
                links: Arc::clone(&links),
            };
            pool.submit(Box::new(chain), Order::Key(0));
        }
        pool.drain();
        let left = links.swap(0, Ordering::SeqCst);
        assert!(left > 0, "{kind}: the stream went on while the drain ended");
        pool.shutdown();
    }
}

#[test]
fn a_drain_waits_for_all_that_came_before_it() {
    for (name, pool) in pools() {
        for round in 1..=5 {
            let done = Arc::new(AtomicUsize::new(0));
            for number in 0..round * 7 {
                let done = Arc::clone(&done);
                let count = move || {
                    done.fetch_add(1, Ordering::SeqCst);
                };
                pool.submit(item(std::thread::yield_now, count), Order::Key(number % 2));
            }
            pool.drain();
            assert_eq!(done.load(Ordering::SeqCst) as u64, round * 7, "{name}");
        }
    }
}

#[test]
fn workers_grow_with_the_backlog_and_no_further() {
    let (threads_max, idle_thresh) = (4, 3);
    let pool = start(
        config(PoolKind::Seed2008, threads_max, idle_thresh),
        clock(),
    );
    let (started, running) = channel();
    let mut gates = Vec::new();
    for number in 0..threads_max * idle_thresh + 5 {
        let workers = (number / idle_thresh + 1).min(threads_max);
        let (gate, go) = gated(&started, number);
        pool.submit(gate, Order::Unordered);
        gates.push(go);
        assert_eq!(pool.stats().workers_started, workers, "after item {number}");
    }
    for go in gates {
        go.send(()).expect("it waits, or will");
    }
    pool.drain();
    assert_eq!(running.try_iter().count(), threads_max * idle_thresh + 5);
    pool.shutdown();
    assert_eq!(pool.stats().backlog, 0);
}

#[test]
fn without_a_threshold_each_item_finds_a_worker() {
    for kind in [PoolKind::Plain, PoolKind::Threshold2014] {
        let pool = start(config(kind, 3, 2), clock());
        let (started, running) = channel();
        let mut gates = Vec::new();
        for number in 0..5 {
            let (gate, go) = gated(&started, number);
            pool.submit(gate, Order::Unordered);
            gates.push(go);
        }
        let mut first: Vec<usize> = running.iter().take(3).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2], "{kind}");
        assert_eq!(pool.stats().workers_running, 3, "{kind}");
        for go in gates {
            go.send(()).expect("it waits, or will");
        }
        pool.shutdown();
    }
}

#[test]
fn a_threshold_keeps_a_short_backlog_on_one_worker() {
    let pool = start(config(PoolKind::Threshold2014, 4, 32), clock());
    let (started, running) = channel();
    let mut gates = Vec::new();
    for number in 0..100 {
        let (gate, go) = gated(&started, number);
        pool.submit(gate, Order::Unordered);
        gates.push(go);
        if number == 0 {
            running.recv().expect("the first runs");
        }
    }
    let stats = pool.stats();
    assert_eq!((stats.workers_now, stats.workers_running), (1, 1));
    for go in gates {
        go.send(()).expect("it waits, or will");
    }
    pool.shutdown();
    let stats = pool.stats();
    assert!(
        stats.turned_busy > 0,
        "a backlog of 99 raises the active count"
    );
    assert!(stats.turned_idle > 0, "and its end lowers it");
}

/// Counts its drop.
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_poisons_the_pool_and_hangs_nobody() {
    for kind in PoolKind::ALL {
        for in_run in [true, false] {
            let pool = start(config(kind, 2, 1), clock());
            let (started, running) = channel();
            let (head, go) = gated(&started, 0);
            pool.submit(head, Order::Key(0));
            running.recv().expect("the head runs");
            let dropped = Arc::new(AtomicUsize::new(0));
            let completed = Arc::new(AtomicUsize::new(0));
            for number in 0..6 {
                let token = Token(Arc::clone(&dropped));
                let completed = Arc::clone(&completed);
                let bad = number == 2;
                let run = move || assert!(!(bad && in_run), "a planted panic");
                let complete = move || {
                    let _held = token;
                    assert!(!bad, "a planted panic");
                    completed.fetch_add(1, Ordering::SeqCst);
                };
                pool.submit(item(run, complete), Order::Key(0));
            }
            go.send(()).expect("the head waits");
            pool.drain();
            assert_eq!(completed.load(Ordering::SeqCst), 5, "{kind}: all but one");
            assert_eq!(
                dropped.load(Ordering::SeqCst),
                6,
                "{kind}: and that one is dropped"
            );
            let stats = pool.stats();
            assert_eq!(stats.items_panicked, 1, "{kind}");
            assert_eq!(stats.poisoned.as_deref(), Some("a planted panic"), "{kind}");
            let refused = catch_unwind(AssertUnwindSafe(|| {
                pool.submit(item(|| {}, || {}), Order::Unordered);
            }));
            assert!(refused.is_err(), "{kind}: a poisoned pool takes nothing");
            pool.shutdown();
        }
    }
}

#[test]
fn a_worker_that_waits_for_its_own_pool_is_told() {
    let pool = start(config(PoolKind::Plain, 1, 1), clock());
    let inner = Arc::downgrade(&pool);
    let wait = move || inner.upgrade().expect("the test holds the pool").drain();
    pool.submit(item(wait, || {}), Order::Unordered);
    pool.drain();
    let poisoned = pool.stats().poisoned.expect("the item panicked");
    assert!(
        poisoned.contains("cannot wait for its own pool"),
        "{poisoned}"
    );
}

#[test]
fn one_seed_is_one_interleaving() {
    let run = |seed| {
        let pool = SteppedPool::new("stepped", 3, seed, clock());
        let log = submit_numbered(&pool, 60, 4);
        pool.drain();
        let log = log.lock().expect("no panic");
        log.clone()
    };
    assert_eq!(run(1), run(1));
    let orders: HashSet<_> = (0..20).map(run).collect();
    assert!(orders.len() > 15, "seeds differ");
}

#[test]
fn a_stepped_pool_moves_only_when_stepped() {
    let pool = SteppedPool::new("stepped", 1, 9, clock());
    let log = submit_numbered(&pool, 2, 1);
    assert_eq!(pool.stats().depth_now, 2);
    let mut steps = 0;
    while pool.step() {
        steps += 1;
        assert!(pool.stats().workers_running <= 1);
    }
    assert_eq!(steps, 6, "run, end and completion of each");
    assert_eq!(log.lock().expect("no panic").len(), 2);
}
