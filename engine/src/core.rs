//! What the rooms of an open volume share: the device, the clock, the knobs, the pools, the bounds.
//!
//! One `Core` per open volume. Work items hold it while they are under way; it holds no work item
//! and no thread, so it goes when the last of them has.
//!
//! Lock order, the one of the whole engine, left to right:
//!
//! ```text
//!   closing > gate > namespace > inode.writer > inode.state > commit > metadata tree > space > leaves
//! ```
//!
//! Leaves (queues of pools, dirty accounting, budget, unasked reads, frame pool, reclaim queue, submit
//! limit, tickets) are held for a few instructions and take nothing. Budget, frame pool, dirty limit and
//! submit limit *block*, and are therefore asked with no `state` lock held; the first three also
//! with no ordered phase under way.

use std::sync::Arc;

use delalloc_backends::{Backend, BufPool, Clock};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::alloc::Reservation;
use crate::budget::Budget;
use crate::cache::{Evict, Eviction, FramePool, Reclaim, Reclaimed, Reclaimer};
use crate::config::{EngineConfig, OrderScope};
use crate::error::{EngineError, Result};
use crate::extent::State;
use crate::failure::{FailureCursor, FailureLog};
use crate::inode::{Inode, InodeState};
use crate::meta::Metadata;
use crate::mutation::{self, Mutation};
use crate::namespace::Namespace;
use crate::pool::Order;
use crate::pools::Pools;
use crate::read::Unasked;
use crate::stats::{Stall, StallTimers, Stats};
use crate::units::{FileId, FileRange, PAGE_BYTES, PageIndex};
use crate::writeback::{self, DirtyAccounting, PlaceHint, SubmitLimit};

/// Idle transfer buffers kept per pool: enough for what the byte budget lets be under way.
const IDLE_BUFS_MAX: usize = 128;

/// What volume sync has still to tell.
#[derive(Debug, Default)]
pub(crate) struct VolumeFailures {
    pub(crate) log: FailureLog,
    pub(crate) told: FailureCursor,
}

/// The shared parts of an open volume.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: EngineConfig,
    pub(crate) meta: Arc<Metadata>,
    pub(crate) pools: Pools,
    pub(crate) namespace: Namespace,
    pub(crate) frames: FramePool,
    pub(crate) reclaimer: Reclaimer,
    pub(crate) dirty: DirtyAccounting,
    pub(crate) budget: Budget,
    /// What is being read ahead of all streams.
    pub(crate) unasked: Unasked,
    pub(crate) submit_limit: Arc<SubmitLimit>,
    pub(crate) place_hint: PlaceHint,
    /// Buffers of one compressed extent.
    pub(crate) stored_bufs: Arc<BufPool>,
    /// Buffers of one decoded extent.
    pub(crate) plain_bufs: Arc<BufPool>,
    /// Buffers of one item stored raw.
    pub(crate) raw_bufs: Arc<BufPool>,
    pub(crate) stats: Stats,
    pub(crate) stalls: StallTimers,
    /// True until the volume closes. Operations hold it for reading, so closing waits for them.
    gate: RwLock<bool>,
    /// Failed writes of all files, for volume sync.
    pub(crate) failures: Mutex<VolumeFailures>,
}

impl Core {
    /// Wires the rooms of a volume whose metadata is open.
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        config: EngineConfig,
        meta: Arc<Metadata>,
        pools: Pools,
        namespace: Namespace,
    ) -> Self {
        let waiting = &pools.waiting;
        let buf_pool = |bytes: u64| BufPool::new(length(bytes), IDLE_BUFS_MAX);
        Self {
            frames: FramePool::waited_for(length(config.cache.bytes / PAGE_BYTES), waiting.clone()),
            reclaimer: Reclaimer::default(),
            dirty: DirtyAccounting::waited_for(config.dirty, waiting.clone()),
            budget: Budget::waited_for(
                config.budget.bytes,
                config.budget.wake_percent,
                Arc::clone(&clock),
                waiting.clone(),
            ),
            unasked: Unasked::new(&config, Arc::clone(&clock)),
            submit_limit: Arc::new(SubmitLimit::new(config.submit_async_limit, waiting.clone())),
            place_hint: PlaceHint::default(),
            stored_bufs: buf_pool(config.compression.extent_bytes),
            plain_bufs: buf_pool(config.compression.extent_bytes),
            raw_bufs: buf_pool(config.compression.item_bytes),
            stats: Stats::default(),
            stalls: StallTimers::default(),
            gate: RwLock::new(true),
            failures: Mutex::default(),
            backend,
            clock,
            config,
            meta,
            pools,
            namespace,
        }
    }

    /// Begins an operation of a caller, which the volume does not close under.
    pub(crate) fn enter(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let gate = self.gate.read();
        if *gate {
            Ok(gate)
        } else {
            Err(EngineError::Closed)
        }
    }

    /// The same, without waiting for a volume that is about to close.
    pub(crate) fn try_enter(&self) -> Option<RwLockReadGuard<'_, bool>> {
        self.gate.try_read().filter(|gate| **gate)
    }

    /// Lets no more operations begin, and waits for those that have.
    pub(crate) fn shut(&self) {
        *self.gate.write() = false;
    }

    /// Which ordered queue the work of a file goes through.
    pub(crate) fn order_of(&self, file: FileId) -> Order {
        match self.config.order.scope {
            _ if mutation::on(Mutation::OrderDropped) => Order::Unordered,
            OrderScope::Volume => Order::Key(0),
            OrderScope::File => Order::Key(file.0),
            OrderScope::None => Order::Unordered,
        }
    }

    /// Tells reclaim of the pages of `range` that may go now, and lets the state go.
    pub(crate) fn announce(
        &self,
        inode: &Inode,
        mut state: MutexGuard<'_, InodeState>,
        range: FileRange,
    ) {
        let mut clean = Vec::new();
        let pages = PageIndex::of(range.start)..PageIndex(range.end.div_ceil(PAGE_BYTES));
        state.pages.announce(pages, |page| clean.push(page));
        drop(state);
        self.reclaimer.announce(inode.id, clean, self);
        self.frames.note_progress();
    }

    /// Promises space for `bytes` stored raw, as `with_room` does.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation> {
        // Where the space is there nobody is held up, and no time is taken.
        let reserved = self.meta.reserve_at_once(bytes);
        if !is_full(&reserved) {
            return reserved;
        }
        let _held_up = self.stalls.space.begin(self.clock.as_ref());
        let reserved = self.meta.reserve(bytes);
        if !is_full(&reserved) {
            return reserved;
        }
        self.flush_all();
        self.meta.reserve(bytes)
    }

    /// Writes nodes first where there are too many that nobody has written: whatever a caller does to metadata begins with
    /// this, or ends. The caller holds no lock.
    pub(crate) fn balance_metadata(&self) -> Result<()> {
        if !self.meta.over_front_gate() {
            return Ok(());
        }
        let _held_up = self.stalls.metadata_gate.begin(self.clock.as_ref());
        self.meta.balance_metadata()
    }

    /// Carries `change` out. Where there is no space, writes back what is dirty (most of it takes less
    /// than was promised for it) and tries once more. The caller holds no file's state.
    pub(crate) fn with_room<T>(self: &Arc<Self>, change: impl Fn() -> Result<T>) -> Result<T> {
        let changed = change();
        if !is_full(&changed) {
            return changed;
        }
        let _held_up = self.stalls.space.begin(self.clock.as_ref());
        self.flush_all();
        change()
    }

    fn flush_all(self: &Arc<Self>) {
        for inode in self.namespace.inodes() {
            writeback::flush(self, &inode);
        }
    }
}

impl Reclaim for Core {
    fn reclaim(&self, frames_wanted: usize) -> Reclaimed {
        let reclaimed = self.reclaimer.reclaim(frames_wanted, self);
        if reclaimed.frames < frames_wanted && !reclaimed.more {
            self.dirty.note_pressure();
        }
        reclaimed
    }

    fn hold_up(&self) -> Option<Stall<'_>> {
        Some(self.stalls.cache_room.begin(self.clock.as_ref()))
    }
}

impl Evict for Core {
    fn is_cached(&self, file: FileId, page: PageIndex) -> bool {
        self.namespace.inode(file).is_some_and(|inode| {
            inode
                .try_lock()
                .is_none_or(|state| state.pages.contains(page))
        })
    }

    fn try_evict(&self, file: FileId, page: PageIndex) -> Eviction {
        let mut answers = Vec::new();
        self.try_evict_pages(file, &[page], &mut answers);
        answers[0]
    }

    fn try_evict_pages(&self, file: FileId, pages: &[PageIndex], answers: &mut Vec<Eviction>) {
        let Some(inode) = self.namespace.inode(file) else {
            answers.extend(pages.iter().map(|_| Eviction::Gone));
            return;
        };
        // Whoever holds the lock may be waiting for us in turn; the pages get another round.
        let Some(mut state) = inode.try_lock() else {
            answers.extend(pages.iter().map(|_| Eviction::Unasked));
            return;
        };
        answers.extend(pages.iter().map(|&page| {
            let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
            let busy = state.states.any(own, State::all());
            state.pages.try_evict(page, busy)
        }));
    }
}

fn is_full<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(EngineError::NoSpace { .. }))
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a bound of memory fits memory")
}
