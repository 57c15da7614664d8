//! One file in memory: its pages, their states, its sizes, what of it is in flight.
//!
//! An inode lives from the first time its file is opened until the volume closes or the file is
//! gone, so that cached pages survive their openers.
//!
//! Locks. `writer` admits one changer (write, truncate, punch, removal) at a time and may be held
//! across I/O. `state` guards everything else, is held for microseconds, and is never held across
//! I/O of data. Order: `writer`, then `state`, then the metadata tree. Completion takes `state` and
//! never `writer`, which is why it cannot deadlock with a changer that waits for it. Nobody holds
//! two `state` locks: eviction of another file's page only tries.
//!
//! States of a page, as bits of its range in `states`:
//!
//! ```text
//!   clean --write--> DIRTY|DELALLOC --hand off--> WRITEBACK --finish--> clean
//!                                                    | write          ^
//!                                                    v                | (the older content)
//!                                            WRITEBACK|DIRTY --finish-+-> DIRTY --fixup--> DIRTY|DELALLOC
//! ```
//!
//! SYNCED comes beside DIRTY or WRITEBACK when a `sync` has put the page into the log, and goes with the
//! next write to it or when it has come home. Where writing it home fails it stays, and the page with it.
//!
//! Invariants
//!   * A page with any bit set is in `pages`: eviction leaves it alone.
//!   * DELALLOC implies DIRTY and excludes WRITEBACK; every DIRTY byte is backed by `reservation`.
//!   * A page's bytes in writeback are shared with the item and so are never changed in place.
//!
//! Not here: what fills pages (read), what empties them (writeback), names (namespace).

use delalloc_backends::Instant;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::alloc::Reservation;
use crate::cache::PageMap;
use crate::compress::Backoff;
use crate::extent::{Ages, OrderedExtents, State, StateMap};
use crate::failure::FailureLog;
use crate::file_size::FileSize;
use crate::log::{DataNumber, Lsn};
use crate::pools::Pools;
use crate::read::Tickets;
use crate::units::{FileId, FileRange};
use crate::writeback::{Pushed, SizesSaid};

/// Whether a file still has a name and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has a name.
    Linked,
    /// Its name is gone; its bytes stay until the last handle is.
    Orphan,
    /// Its bytes are gone.
    Gone,
}

/// What the state lock guards.
#[derive(Debug)]
pub(crate) struct InodeState {
    pub(crate) life: Life,
    pub(crate) size: FileSize,
    pub(crate) pages: PageMap,
    pub(crate) states: StateMap,
    pub(crate) ages: Ages,
    /// When the oldest byte was accepted that no `sync` has answered for.
    pub(crate) unsynced_since: Option<Instant>,
    pub(crate) ordered: OrderedExtents,
    pub(crate) tickets: Tickets,
    pub(crate) failures: FailureLog,
    /// Space promised to the DIRTY bytes that are not in writeback.
    pub(crate) reservation: Reservation,
    /// Where the flusher goes on.
    pub(crate) writeback_cursor: u64,
    /// Express lanes whose records say how long the file is, and are not in the log and in the tree yet.
    pub(crate) lanes_sized: usize,
    /// How often a failed write set the size on disk: lanes that were under way then say theirs again.
    pub(crate) sizes_set: u64,
    /// Pages in the log that the size on disk has not moved over.
    pub(crate) pushed: Vec<Pushed>,
    /// The size on disk has moved over logged pages, which say so much of it, and the tree has not been told.
    pub(crate) size_owed: Option<SizesSaid>,
    /// Logged pages with numbers before this do not say any more how long the file is.
    pub(crate) resized_before: DataNumber,
    /// A size that logged pages brought is durable once the log has come so far.
    pub(crate) size_wanted: Option<Lsn>,
    /// Writes in a row that failed and left pages to the log alone.
    pub(crate) home_failures: u32,
}

impl InodeState {
    /// A `sync` that failed has not answered for bytes of this age.
    pub(crate) fn still_unsynced(&mut self, since: Instant) {
        let known = self.unsynced_since.get_or_insert(since);
        *known = since.min(*known);
    }
}

/// One file in memory.
#[derive(Debug)]
pub(crate) struct Inode {
    pub(crate) id: FileId,
    pub(crate) writer: Mutex<()>,
    pub(crate) backoff: Mutex<Backoff>,
    state: Mutex<InodeState>,
    changed: Condvar,
}

impl Inode {
    /// A file of `size_bytes`, all of them on disk. `reservation` is empty.
    pub(crate) fn new(id: FileId, size_bytes: u64, reservation: Reservation) -> Self {
        Self {
            id,
            writer: Mutex::new(()),
            backoff: Mutex::default(),
            state: Mutex::new(InodeState {
                life: Life::Linked,
                size: FileSize::on_disk(size_bytes),
                pages: PageMap::default(),
                states: StateMap::default(),
                ages: Ages::default(),
                unsynced_since: None,
                ordered: OrderedExtents::default(),
                tickets: Tickets::default(),
                failures: FailureLog::default(),
                reservation,
                writeback_cursor: 0,
                lanes_sized: 0,
                sizes_set: 0,
                pushed: Vec::new(),
                size_owed: None,
                resized_before: DataNumber::default(),
                size_wanted: None,
                home_failures: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// The state, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, InodeState> {
        self.state.lock()
    }

    /// The state, if nobody has it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, InodeState>> {
        self.state.try_lock()
    }

    /// Something that a waiter may wait for has happened.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits until `done` holds.
    ///
    /// # Panics
    /// Where a worker has panicked: what it had in hand will never be done.
    pub(crate) fn wait_until(
        &self,
        pools: &Pools,
        state: &mut MutexGuard<'_, InodeState>,
        done: impl Fn(&InodeState) -> bool,
    ) {
        while !done(state) {
            pools
                .waiting
                .wait("a change of a file", &self.changed, state);
        }
    }

    /// Waits until nothing of `range` is in writeback. Panics as `wait_until`.
    pub(crate) fn wait_writeback(
        &self,
        pools: &Pools,
        state: &mut MutexGuard<'_, InodeState>,
        range: FileRange,
    ) {
        self.wait_until(pools, state, |state| {
            !state.states.any(range, State::WRITEBACK)
        });
    }
}
