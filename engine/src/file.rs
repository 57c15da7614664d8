//! A handle of an open file, and the changes it makes: write, truncate, punch, sync.
//!
//! A change takes the file's `writer` lock, so that changes of one file do not meet, and works in
//! batches of `BATCH_BYTES_MAX`. Per batch: space is promised, frames are charged, partial edge
//! pages are read; only then the state lock is taken, bytes are copied and bits set. Whatever can
//! block or fail has happened by then. Throttling follows each batch, with no lock held.
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
use crate::read::{self, ReadAhead};
use crate::units::{FILE_BYTES_MAX, FileRange, PAGE_BYTES, PAGE_LEN, PageIndex};
use crate::volume;
use crate::writeback;

/// Most bytes changed under one promise of space: 512 pages, the batch of the seed.
const BATCH_BYTES_MAX: u64 = 2 << 20;
/// Most pages copied under one hold of the state lock: about 20 us of copying.
const COPY_PAGES_MAX: usize = 32;

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
    /// `NoSpace` before anything of the batch (2 MiB) is changed. What was accepted is never
    /// refused later.
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
        for batch in writeback::cut(whole, BATCH_BYTES_MAX) {
            let started = core.clock.now();
            let part = &bytes[index_in(whole, batch.start)..index_in(whole, batch.end)];
            self.write_batch(batch, part)?;
            core.stats.dirty.record(core.clock.now().ns_since(started));
            core.dirty.balance_dirty(core.clock.as_ref(), batch.bytes());
            core.meta.balance_metadata()?;
        }
        Ok(())
    }

    /// Makes the file exactly `size_bytes` long. What is cut is gone; what is added reads as zeros.
    pub fn truncate(&self, size_bytes: u64) -> Result<()> {
        if size_bytes > FILE_BYTES_MAX {
            return Err(EngineError::Invalid(format!(
                "a file ends below {FILE_BYTES_MAX} bytes"
            )));
        }
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
        let writer = inode.writer.lock();
        let old_bytes = inode.lock().size.memory_bytes();
        if size_bytes > old_bytes {
            self.settle_tail(&writer, old_bytes, size_bytes)?;
        }
        let kept_pages = FileRange::new(0, size_bytes).to_pages();
        let cut = FileRange::new(size_bytes, FILE_BYTES_MAX);
        let mut state = inode.lock();
        inode.wait_writeback(&core.pools, &mut state, cut.to_pages());
        check_life(&state)?;
        // Metadata first: what it refuses has changed nothing.
        let mut size = state.size.clone();
        let disk_bytes = size.truncate(size_bytes);
        core.meta.truncate(inode.id, size_bytes, disk_bytes)?;
        state.size = size;
        let gone = FileRange::new(kept_pages.end, cut.end);
        forget_pages(core, inode, &mut state, gone);
        state.tickets.invalidate(cut);
        Ok(())
    }

    /// Makes `range` read as zeros. Whole pages give their space back; the size stays.
    pub fn punch_hole(&self, range: FileRange) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
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
        if inner_start >= inner_end {
            let promised = core.reserve(range.to_pages().bytes())?;
            return self.write_zeros(&writer, range, promised);
        }
        let inner = FileRange::new(inner_start, inner_end);
        let head = FileRange::new(range.start, inner.start);
        let tail = FileRange::new(inner.end.min(range.end), range.end);
        // All that can be refused comes first.
        let mut promised = core.reserve(head.to_pages().bytes() + tail.to_pages().bytes())?;
        self.punch_pages(inner, size_bytes)?;
        let for_head = promised.split(head.to_pages().bytes());
        self.write_zeros(&writer, head, for_head)?;
        self.write_zeros(&writer, tail, promised)
    }

    /// Makes whole pages a hole. The caller holds the writer lock.
    fn punch_pages(&self, inner: FileRange, size_bytes: u64) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let mut state = inode.lock();
        inode.wait_writeback(&core.pools, &mut state, inner);
        check_life(&state)?;
        let mut size = state.size.clone();
        let disk_bytes = size.completed(inner, size_bytes);
        core.meta.punch(inode.id, inner, Some(disk_bytes))?;
        state.size = size;
        forget_pages(core, inode, &mut state, inner);
        state.tickets.invalidate(inner);
        Ok(())
    }

    /// Makes every byte written before this call durable, with the file's size and its name.
    ///
    /// # Errors
    /// A write of this file that failed since this handle was last told.
    pub fn sync(&self) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let _open = core.enter()?;
        let started = core.clock.now();
        writeback::flush(core, inode);
        let failed = inode.lock().failures.take(&mut self.0.told.lock());
        if let Some(error) = failed {
            return Err(error);
        }
        core.meta.commit()?;
        core.stats.sync.record(core.clock.now().ns_since(started));
        Ok(())
    }

    fn write_batch(&self, range: FileRange, bytes: &[u8]) -> Result<()> {
        let writer = self.0.inode.writer.lock();
        let promised = self.0.core.reserve(range.to_pages().bytes())?;
        let old_bytes = self.0.inode.lock().size.memory_bytes();
        if range.start > old_bytes {
            self.settle_tail(&writer, old_bytes, range.start)?;
        }
        self.write_locked(&writer, range, bytes, promised)
    }

    /// `promised` is for the pages of `range`.
    fn write_zeros(
        &self,
        writer: &MutexGuard<'_, ()>,
        range: FileRange,
        mut promised: Reservation,
    ) -> Result<()> {
        let zeros = [0; PAGE_LEN];
        for part in writeback::cut(range, PAGE_BYTES) {
            let own = promised.split(part.to_pages().bytes());
            self.write_locked(writer, part, &zeros[..index_in(part, part.end)], own)?;
        }
        Ok(())
    }

    /// Writes zeros over the rest of the last page, for a file that grows from `old_bytes` and
    /// leaves a gap up to `new_start`.
    fn settle_tail(
        &self,
        writer: &MutexGuard<'_, ()>,
        old_bytes: u64,
        new_start: u64,
    ) -> Result<()> {
        let tail_end = old_bytes.next_multiple_of(PAGE_BYTES).min(new_start);
        let tail = FileRange::new(old_bytes, tail_end);
        let promised = self.0.core.reserve(tail.to_pages().bytes())?;
        self.write_zeros(writer, tail, promised)
    }

    /// Copies `bytes` into the cache at `range`, for whose pages `reservation` is. The caller holds the
    /// writer lock.
    fn write_locked(
        &self,
        _writer: &MutexGuard<'_, ()>,
        range: FileRange,
        bytes: &[u8],
        mut reservation: Reservation,
    ) -> Result<()> {
        let (core, inode) = (&self.0.core, &self.0.inode);
        let pages: Vec<PageIndex> = range.pages().collect();
        let mut charge = core.frames.charge(pages.len(), core.as_ref());
        let mut edges = self.edges(range)?;
        for pages in pages.chunks(COPY_PAGES_MAX) {
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
            writeback::redirty(&mut state, part.to_pages());
            state.reservation.merge(reservation.split(fresh_bytes));
            state.size.wrote(part);
            core.dirty
                .mark_dirty(inode.id, fresh_bytes, core.clock.now());
        }
        core.stats.note_accepted(range.bytes());
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
            self.read_page(own, &mut now)?;
            edges.0.push((index, Box::new(now)));
        }
        Ok(edges)
    }

    fn read_page(&self, own: FileRange, into: &mut [u8; PAGE_LEN]) -> Result<()> {
        let stream = Mutex::new(ReadAhead::default());
        read::read(&self.0.core, &self.0.inode, &stream, own.start, into)?;
        Ok(())
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
        .clear(gone, State::DIRTY | State::DELALLOC)
        .dirty;
    core.dirty.drop_dirty(inode.id, dropped_bytes);
    drop(state.reservation.split(dropped_bytes));
    state
        .pages
        .remove_range(PageIndex::of(gone.start)..PageIndex(gone.end / PAGE_BYTES));
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
