//! The pools of a volume: which there are, in what order they stop.
//!
//! ```text
//!   delalloc (ordered) --> workers (ordered, raw data) --> submit --> device --> endio_write --> fixup
//!            '----------------------------------------------^                     endio (reads)
//! ```
//!
//! Work flows left to right, so pools shut down in that order: when one has drained, nothing more
//! comes for it. The device is one of the stations: it is waited for as well. Sizes and thresholds are knobs, one set per pool; `thread_pool_size` stands in
//! where a pool has no size of its own. `fixup` has one thread, always.

use std::sync::Arc;

use delalloc_backends::{Clock, HeldBackend, VirtualClock};

use crate::config::{EngineConfig, PoolKnobs};
use crate::in_flight::InFlight;
use crate::meta::NodeWorkers;
use crate::pool::{self, Order, Pool, PoolConfig, PoolStats, SteppedPool, WorkItem};
use crate::stepped::Driver;
use crate::waiting::{Alarm, Waiting};

/// The `workers` pool as a commit sees it: it encodes and checksums tree nodes.
#[derive(Debug)]
pub(crate) struct NodePool(pub(crate) Arc<dyn Pool>);

struct NodeJob(Option<Box<dyn FnOnce() + Send>>);

impl NodeWorkers for NodePool {
    /// A commit has to come through whatever became of the pool: at the end of the volume, and where an item of
    /// somebody else panicked, its jobs run here.
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        let item = Box::new(NodeJob(Some(job)));
        if let Err(mut refused) = self.0.try_submit(item, Order::Unordered) {
            refused.item.run();
        }
    }
}

impl WorkItem for NodeJob {
    fn run(&mut self) {
        let job = self.0.take().expect("an item runs once");
        job();
    }

    fn complete(self: Box<Self>) {}
}

/// The pools of an open volume.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) delalloc: Arc<dyn Pool>,
    pub(crate) workers: Arc<dyn Pool>,
    pub(crate) submit: Arc<dyn Pool>,
    pub(crate) endio: Arc<dyn Pool>,
    pub(crate) endio_write: Arc<dyn Pool>,
    pub(crate) fixup: Arc<dyn Pool>,
    /// What the device has and a pool has yet to take.
    pub(crate) in_flight: Arc<InFlight>,
    /// How whoever needs their work waits for it.
    pub(crate) waiting: Waiting,
}

/// So many pools of `in_order` send to the device; the others take its answers.
const SENDING: usize = 3;

impl Pools {
    /// Starts them all. Completion pools start in full: they are fed from the device's threads,
    /// which should not wait for a thread to start.
    pub(crate) fn start(config: &EngineConfig, clock: &Arc<dyn Clock>) -> Self {
        let start = |name, knobs: &PoolKnobs, start_all| {
            let config = PoolConfig {
                name,
                kind: config.pool_kind,
                threads_max: threads_max(config, knobs),
                idle_thresh: knobs.idle_thresh,
                grow_at: knobs.grow_at,
                batch: knobs.batch,
                idle_below: knobs.idle_below,
                start_all,
            };
            pool::start(config, Arc::clone(clock))
        };
        let alarm = Arc::<Alarm>::default();
        let pools = Self {
            delalloc: start("delalloc", &config.delalloc, false),
            workers: start("workers", &config.workers, false),
            submit: start("submit", &config.submit, false),
            endio: start("endio", &config.endio, true),
            endio_write: start("endio_write", &config.endio_write, true),
            fixup: start("fixup", &config.fixup, false),
            in_flight: Arc::default(),
            waiting: Waiting::Threads(Arc::clone(&alarm)),
        };
        alarm.watch(pools.in_order().map(Arc::downgrade).into());
        pools
    }

    /// The same pools without threads, for a volume on `device`, with the driver that moves them.
    pub(crate) fn stepped(
        config: &EngineConfig,
        device: &Arc<HeldBackend>,
        seed: u64,
    ) -> (Self, Arc<Driver>) {
        let stepped = |name, knobs: &PoolKnobs| {
            let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(device.clock());
            Arc::new(SteppedPool::new(
                name,
                threads_max(config, knobs),
                seed,
                clock,
            ))
        };
        let pools = [
            stepped("delalloc", &config.delalloc),
            stepped("workers", &config.workers),
            stepped("submit", &config.submit),
            stepped("endio_write", &config.endio_write),
            stepped("fixup", &config.fixup),
            stepped("endio", &config.endio),
        ];
        let driver = Driver::new(seed, Arc::clone(device), pools.clone());
        let [delalloc, workers, submit, endio_write, fixup, endio] = pools;
        let pools = Self {
            delalloc,
            workers,
            submit,
            endio,
            endio_write,
            fixup,
            in_flight: Arc::default(),
            waiting: Waiting::Steps(Arc::<Driver>::clone(&driver)),
        };
        (pools, driver)
    }

    fn in_order(&self) -> [&Arc<dyn Pool>; 6] {
        [
            &self.delalloc,
            &self.workers,
            &self.submit,
            &self.endio_write,
            &self.fixup,
            &self.endio,
        ]
    }

    /// Drains and joins them all: first those that send, then those that take the answers.
    pub(crate) fn shutdown(&self) {
        let pools = self.in_order();
        let (send, answer) = pools.split_at(SENDING);
        send.iter().for_each(|pool| pool.shutdown());
        self.in_flight.wait(&self.waiting);
        answer.iter().for_each(|pool| pool.shutdown());
    }

    /// A snapshot of each.
    pub(crate) fn stats(&self) -> Vec<PoolStats> {
        self.in_order()
            .into_iter()
            .map(|pool| pool.stats())
            .collect()
    }
}

fn threads_max(config: &EngineConfig, knobs: &PoolKnobs) -> usize {
    if knobs.threads == 0 {
        config.thread_pool_size
    } else {
        knobs.threads
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use delalloc_backends::OsClock;
    use parking_lot::{Condvar, Mutex};

    use super::*;

    /// An item that does.
    pub(crate) struct Panics;

    impl WorkItem for Panics {
        fn run(&mut self) {
            panic!("planted");
        }

        fn complete(self: Box<Self>) {}
    }

    #[test]
    #[should_panic(expected = "a worker of pool delalloc panicked: planted")]
    fn who_waits_for_a_lost_item_is_told() {
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let pools = Pools::start(&EngineConfig::default(), &clock);
        pools.delalloc.submit(Box::new(Panics), Order::Unordered);
        pools.delalloc.drain();
        let nothing = Mutex::new(());
        pools
            .waiting
            .wait("it", &Condvar::new(), &mut nothing.lock());
    }

    #[test]
    fn a_commit_has_its_jobs_done_by_a_pool_that_ended() {
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let pools = Pools::start(&EngineConfig::default(), &clock);
        pools.shutdown();
        let done = Arc::new(Mutex::new(false));
        let job = {
            let done = Arc::clone(&done);
            move || *done.lock() = true
        };
        NodePool(Arc::clone(&pools.workers)).run(Box::new(job));
        assert!(*done.lock());
    }
}
