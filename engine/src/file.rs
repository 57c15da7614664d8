//! A handle of an open file, and the changes it makes: write, truncate, punch, sync.
//!
//! A change takes the file's `writer` lock, so that changes of one file do not meet, and works in
//! batches of `BATCH_BYTES_MAX`. Per batch: space is promised, partial edge pages are read; whatever
//! can fail has happened by then. Then, a few pages at a time, frames are charged, the state lock is
//! taken, bytes are copied and bits set. Throttling follows each batch, with no lock held.
//!
//! A page in writeback is not changed in place: its frame is shared with the work item, and a shared
//! frame copies itself before it changes.
//!
//! What the last page of a file holds past its end is not defined, in the cache or on the device: a
//! file that grows over it writes zeros there first. Where the device refuses those, `sync` says so, and
//! what had been cut off in that page may show again, as after any failed write of it.
//!
//! Not here: names (namespace), reads (read), what becomes of dirty pages (writeback).

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::alloc::Reservation;
use crate::cache::{Charge, Page};
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::extent::State;
use crate::failure::FailureCursor;
use crate::inode::{Inode, InodeState, Life};
use crate::mutation::{self, Mutation};
use crate::read::{self, ReadAhead};
use crate::units::{FILE_BYTES_MAX, FileRange, PAGE_BYTES, PAGE_LEN, PageIndex};
use crate::volume;
use crate::writeback;

/// Most bytes changed under one promise of space: 512 pages, the batch of the seed.
const BATCH_BYTES_MAX: u64 = 2 << 20;
/// Most pages copied under one hold of the state lock: about 20 us of copying.
const COPY_PAGES_MAX: usize = 32;
/// Of a small cache, this part at once: half of it may be pages that cannot go.
const COPY_CACHE_PART: usize = 8;

/// An open file. Clones share one handle: one read-ahead stream, one account of failures.
#[derive(Debug, Clone)]
pub struct File(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    inode: Arc<Inode>,
    ahead: Mutex<ReadAhead>,
    told: Mutex<FailureCursor>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        volume::close_handle(&self.core, &self.inode);
    }
}

impl File {
    /// A handle that the namespace has counted.
    pub(crate) fn new(core: Arc<Core>, inode: Arc<Inode>) -> Self {
        let told = inode.lock().failures.cursor();
        Self(Arc::new(Handle {
            core,
            inode,
            ahead: Mutex::default(),
            told: Mutex::new(told),
        }))
    }

    /// Bytes in the file.
    pub fn size_bytes(&self) -> u64 {
        self.0.inode.lock().size.memory_bytes()
    }

    /// Reads at most `out.len()` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// `Corrupt` where stored bytes do not match their checksum, `Device` where they cannot be read.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let _open = self.0.core.enter()?;
        read::read(&self.0.core, &self.0.inode, &self.0.ahead, offset, out)
    }

    /// Writes all of `bytes` at `offset`, into the cache. The file grows as needed; a gap is a hole.
    ///
    /// # Errors
    /// `NoSpace` with nothing changed; of a write that touches more than 512 pages, the batches before
    /// may have been accepted. What was accepted is never refused later.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .filter(|&end| end <= FILE_BYTES_MAX);
        let Some(end) = end else {
            return Err(EngineError::Invalid(format!(
                "a file ends below {FILE_BYTES_MAX} bytes; {} bytes at {offset} do not fit",
                bytes.len()
            )));
        };
        let core = &self.0.core;
        let _open = core.enter()?;
        let whole = FileRange::new(offset, end);
        // A write that one promise can hold is one batch wherever it begins.
        let batch_bytes = if whole.to_pages().bytes() <= BATCH_BYTES_MAX {
            u64::MAX
        } else {
            BATCH_BYTES_MAX
        };
        for batch in writeback::cut(whole, batch_bytes) {
            let started = core.clock.now();
            let part = &bytes[index_in(whole, batch.start)..index_in(whole, batch.end)];
            self.write_batch(batch, part)?;
            core.stats.note_accepted(batch.bytes());
            core.stats.dirty.record(core.clock.now().ns_since(started));
            core.dirty.balance_dirty(core.clock.as_ref(), batch.bytes());
            core.balance_metadata()?;
        }
        Ok(())
    }

    /// Makes the file exactly `size_bytes` long. What is cut is gone; what is added reads as zeros.
    ///
    /// # Errors
    /// With nothing changed; of a file of many thousand extents the end may be gone, and it is then as long as what is
    /// left.
    pub fn truncate(&self, size_bytes: u64) -> Result<()> {
        if size_bytes > FILE_BYTES_MAX {
            return Err(EngineError::Invalid(format!(
                "a file ends below {FILE_BYTES_MAX} bytes"
            )));
        }
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
        core.balance_metadata()?;
        let writer = inode.writer.lock();
        let tail = self.tail_before(size_bytes);
        let mut promise = self.promise([tail, FileRange::new(0, 0)])?;
        self.write_zeros(&writer, tail, &mut promise)?;
        let kept_pages = FileRange::new(0, size_bytes).to_pages();
        let cut = FileRange::new(size_bytes, FILE_BYTES_MAX);
        let mut state = inode.lock();
        wait_to_cut(core, inode, &mut state, cut);
        check_life(&state)?;
        // Metadata first: what it refuses has changed nothing.
        let mut size = state.size.clone();
        let disk_bytes = size.truncate(size_bytes);
        let truncated = core.meta.truncate(inode.id, size_bytes, disk_bytes);
        let Err(short) = truncated else {
            state.size = size;
            resized(core, &mut state, size_bytes);
            let gone = FileRange::new(kept_pages.end, cut.end);
            forget_pages(core, inode, &mut state, gone);
            state.tickets.invalidate(cut);
            return Ok(());
        };
        // Part of it may be cut in the log already.
        state.states.clear(cut.to_pages(), State::SYNCED);
        let gone = FileRange::new(short.gone_from, cut.end.max(short.gone_from));
        if gone.start < state.size.memory_bytes() {
            state.size.truncate(gone.start);
            resized(core, &mut state, gone.start);
            forget_pages(core, inode, &mut state, gone);
            state.tickets.invalidate(gone);
        }
        Err(short.error)
    }

    /// Makes `range` read as zeros. Whole pages give their space back; the size stays.
    pub fn punch_hole(&self, range: FileRange) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
        core.balance_metadata()?;
        let writer = inode.writer.lock();
        let size_bytes = inode.lock().size.memory_bytes();
        let range = range.intersect(FileRange::new(0, size_bytes));
        if range.is_empty() {
            return Ok(());
        }
        let inner_end = if range.end == size_bytes {
            size_bytes.next_multiple_of(PAGE_BYTES)
        } else {
            range.end / PAGE_BYTES * PAGE_BYTES
        };
        let inner_start = range.start.next_multiple_of(PAGE_BYTES);
        let inner = FileRange::new(inner_start, inner_end.max(inner_start));
        let edges = if inner.is_empty() {
            [range, FileRange::new(range.end, range.end)]
        } else {
            [
                FileRange::new(range.start, inner.start),
                FileRange::new(inner.end.min(range.end), range.end),
            ]
        };
        let mut promise = self.promise(edges)?;
        if !inner.is_empty() {
            self.punch_pages(&writer, inner, size_bytes)?;
        }
        for edge in edges {
            self.write_zeros(&writer, edge, &mut promise)?;
        }
        Ok(())
    }

    /// Makes a hole of whole pages. The tree goes first: where it has no room, nothing is lost.
    fn punch_pages(
        &self,
        _writer: &MutexGuard<'_, ()>,
        inner: FileRange,
        size_bytes: u64,
    ) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        core.with_room(|| {
            let mut state = inode.lock();
            inode.wait_writeback(&core.pools, &mut state, inner);
            check_life(&state)?;
            let mut size = state.size.clone();
            let disk_bytes = size.completed(inner, size_bytes);
            let punched = core.meta.punch(inode.id, inner, Some(disk_bytes));
            if punched.is_err() {
                // Part of it may be cut, in the tree and in the log: what is dirty is still wanted, and what is
                // clean is read again.
                state.states.clear(inner, State::SYNCED);
                forget_clean_pages(&mut state, inner);
                state.tickets.invalidate(inner);
            }
            punched?;
            state.size = size;
            forget_pages(core, inode, &mut state, inner);
            state.tickets.invalidate(inner);
            Ok(())
        })
    }

    /// Makes every byte written before this call durable, with the file's size and its name: its data,
    /// one write to the log and one FLUSH, which callers at the same time share.
    ///
    /// # Errors
    /// A write of this file that failed since this handle was last told.
    pub fn sync(&self) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
        let started = core.clock.now();
        let mut own = *self.0.told.lock();
        let mut failed = || {
            let mut state = inode.lock();
            let mut told = self.0.told.lock();
            if mutation::on(Mutation::FailureToldToOne) {
                own = *told;
            }
            let failure = state.failures.take(&mut own);
            told.told(own);
            failure.map_or(Ok(()), Err)
        };
        let since = inode.lock().unsynced_since.take();
        let begun = writeback::start_sync(core, inode);
        // A failed write is told before a FLUSH that failed beside it, so that it is told once.
        let synced = failed().and(begun).and_then(|begun| {
            writeback::finish_sync(core, inode, &begun)?;
            failed()
        });
        let ended = core.clock.now();
        match (&synced, since) {
            (Ok(()), Some(since)) => core.stats.synced.record(ended.ns_since(since)),
            (Err(_), Some(since)) => inode.lock().still_unsynced(since),
            (_, None) => {}
        }
        synced?;
        core.stats.sync.record(ended.ns_since(started));
        Ok(())
    }

    fn write_batch(&self, range: FileRange, bytes: &[u8]) -> Result<()> {
        let writer = self.0.inode.writer.lock();
        let tail = self.tail_before(range.start);
        let mut promise = self.promise([tail, range])?;
        self.write_zeros(&writer, tail, &mut promise)?;
        self.write_locked(&writer, range, bytes, &mut promise)
    }

    fn write_zeros(
        &self,
        writer: &MutexGuard<'_, ()>,
        range: FileRange,
        promise: &mut Reservation,
    ) -> Result<()> {
        let zeros = [0; PAGE_LEN];
        for part in writeback::cut(range, PAGE_BYTES) {
            self.write_locked(writer, part, &zeros[..index_in(part, part.end)], promise)?;
        }
        Ok(())
    }

    /// The rest of the last page that lies before `start`: zeros go there when the file grows over it.
    fn tail_before(&self, start: u64) -> FileRange {
        let size_bytes = self.0.inode.lock().size.memory_bytes();
        if mutation::on(Mutation::TailKept) {
            return FileRange::new(size_bytes, size_bytes);
        }
        let tail_end = size_bytes.next_multiple_of(PAGE_BYTES).min(start);
        FileRange::new(size_bytes, tail_end.max(size_bytes))
    }

    /// Space for all that one change writes: it is refused before any of it is done.
    fn promise(&self, ranges: [FileRange; 2]) -> Result<Reservation> {
        let ranges = ranges.iter().filter(|range| !range.is_empty());
        let bytes = ranges.map(|range| range.to_pages().bytes()).sum();
        self.0.core.reserve(bytes)
    }

    /// Copies `bytes` into the cache at `range`, whose space is taken out of `promise`. The caller
    /// holds the writer lock.
    fn write_locked(
        &self,
        _writer: &MutexGuard<'_, ()>,
        range: FileRange,
        bytes: &[u8],
        promise: &mut Reservation,
    ) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let pages: Vec<PageIndex> = range.pages().collect();
        let mut edges = self.edges(range)?;
        let at_once = (core.frames.frames_max() / COPY_CACHE_PART).clamp(1, COPY_PAGES_MAX);
        for pages in pages.chunks(at_once) {
            // Not for all at once: the cache may be smaller than a batch.
            let mut charge = core.frames.charge(pages.len(), core.as_ref());
            let mut state = inode.lock();
            check_life(&state)?;
            let (first, last) = (pages[0], pages[pages.len() - 1]);
            let part = range.intersect(FileRange::new(first.start(), last.start() + PAGE_BYTES));
            for &index in pages {
                let own = page_range(index);
                let piece = range.intersect(own);
                let source = &bytes[index_in(range, piece.start)..index_in(range, piece.end)];
                let edge = edges.take(index);
                copy_in(core, &mut state, index, piece, source, edge, &mut charge);
            }
            let fresh_bytes = state.states.set(part.to_pages(), State::DIRTY).dirty;
            if !mutation::on(Mutation::SyncedKept) {
                state.states.clear(part.to_pages(), State::SYNCED);
            }
            writeback::redirty(&mut state, part.to_pages());
            state.reservation.merge(promise.split(fresh_bytes));
            state.size.wrote(part);
            let now = core.clock.now();
            state.ages.accepted(part.to_pages(), now);
            state.unsynced_since.get_or_insert(now);
            core.dirty.mark_dirty(inode.id, fresh_bytes, now);
        }
        Ok(())
    }

    /// The pages at the ends of `range` that it covers in part, with what they hold now.
    fn edges(&self, range: FileRange) -> Result<Edges> {
        let mut edges = Edges::default();
        let size_bytes = self.0.inode.lock().size.memory_bytes();
        let ends = [
            PageIndex::of(range.start),
            PageIndex::of(range.end.saturating_sub(1)),
        ];
        for index in ends {
            let own = page_range(index);
            let known = edges.0.iter().any(|(known, _)| *known == index);
            if range.is_empty() || range.covers(own) || own.start >= size_bytes || known {
                continue;
            }
            if range.covers(own.intersect(FileRange::new(0, size_bytes))) {
                continue;
            }
            // Read even where it is cached: it may be evicted before the copy. The writer lock keeps
            // its bytes as they are.
            let mut now = [0; PAGE_LEN];
            read::read_page(&self.0.core, &self.0.inode, own, &mut now)?;
            edges.0.push((index, Box::new(now)));
        }
        Ok(edges)
    }
}

/// What partly covered pages hold, in case they are not in the cache when they are copied into.
#[derive(Default)]
struct Edges(Vec<(PageIndex, Box<[u8; PAGE_LEN]>)>);

impl Edges {
    fn take(&mut self, index: PageIndex) -> Option<Box<[u8; PAGE_LEN]>> {
        let found = self.0.iter().position(|(own, _)| *own == index)?;
        Some(self.0.swap_remove(found).1)
    }
}

/// Copies `source` to `piece` of page `index`, which becomes present if it is not.
fn copy_in(
    core: &Core,
    state: &mut InodeState,
    index: PageIndex,
    piece: FileRange,
    source: &[u8],
    edge: Option<Box<[u8; PAGE_LEN]>>,
    charge: &mut Charge,
) {
    let own = page_range(index);
    let within = index_in(own, piece.start)..index_in(own, piece.end);
    if let Some(page) = state.pages.get_mut(index) {
        page.touch();
        page.frame.bytes_mut(&core.frames)[within].copy_from_slice(source);
        return;
    }
    let frame = if piece == own {
        charge.frame_from(source)
    } else {
        let mut frame = match edge {
            Some(edge) => charge.frame_from(&edge[..]),
            None => charge.frame(),
        };
        frame.bytes_mut(&core.frames)[within].copy_from_slice(source);
        frame
    };
    let mut page = Page::new(frame);
    page.touch();
    state.pages.insert(index, page);
}

/// Drops the pages of `gone`, which nothing has in writeback, with what was promised for them.
pub(crate) fn forget_pages(core: &Core, inode: &Inode, state: &mut InodeState, gone: FileRange) {
    let dropped_bytes = state
        .states
        .clear(gone, State::DIRTY | State::DELALLOC | State::SYNCED)
        .dirty;
    core.dirty.drop_dirty(inode.id, dropped_bytes);
    drop(state.reservation.split(dropped_bytes));
    state.ages.take(gone);
    state
        .pages
        .remove_range(PageIndex::of(gone.start)..PageIndex(gone.end / PAGE_BYTES));
}

/// Lets go of what is as the device has it, or had it.
fn forget_clean_pages(state: &mut InodeState, range: FileRange) {
    let pages = PageIndex::of(range.start)..PageIndex(range.end / PAGE_BYTES);
    let found: Vec<PageIndex> = state.pages.range(pages).map(|(index, _)| index).collect();
    for index in found {
        if state.states.iter(page_range(index)).next().is_none() {
            state.pages.remove(index);
        }
    }
}

/// Waits until the file can end where `cut` begins: what is cut is not in writeback, and no record on its way into the
/// log says how long the file is. Replay would make that again after the truncation; and the truncation, which says
/// what is on the device by now, again after an extent that was not.
fn wait_to_cut(core: &Core, inode: &Inode, state: &mut MutexGuard<'_, InodeState>, cut: FileRange) {
    inode.wait_until(&core.pools, state, |state| {
        let said = state.lanes_sized > 0 && !mutation::on(Mutation::LogLaneUnwaited);
        !said && !state.states.any(cut.to_pages(), State::WRITEBACK)
    });
}

/// The file ends at `size_bytes` at the latest: pages that were logged before do not say any more that it is longer.
fn resized(core: &Core, state: &mut InodeState, size_bytes: u64) {
    state.resized_before = core.meta.data_next();
    for pushed in &mut state.pushed {
        pushed.cap(size_bytes);
    }
}

fn check_life(state: &InodeState) -> Result<()> {
    match state.life {
        Life::Linked | Life::Orphan => Ok(()),
        Life::Gone => Err(EngineError::Removed),
    }
}

fn page_range(index: PageIndex) -> FileRange {
    FileRange::new(index.start(), index.start() + PAGE_BYTES)
}

/// Where byte `at` of `range` is in a buffer that holds `range`.
fn index_in(range: FileRange, at: u64) -> usize {
    usize::try_from(at - range.start).expect("a request fits memory")
}
