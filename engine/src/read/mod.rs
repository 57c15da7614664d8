//! The life of a read: hit, hole, or miss.
//!
//! ```text
//!   page in the cache? --yes--> copy
//!        | no
//!   mapping (under the state lock) --hole--> zeros
//!        | extent
//!   ticket: join the one under way, or read + verify + decode + fill the cache --> copy
//! ```
//!
//! A reader that goes forward has the extents ahead read and decoded on the `endio` pool while it
//! copies; a small read by itself is read and decoded by its own thread, where the bytes are wanted.
//!
//! What a read returns for a page is its content at some moment between call and return. Requests
//! of several pages are not atomic against a concurrent write.

mod ahead;
mod fill;
mod populate;
mod tickets;

use std::sync::Arc;

pub(crate) use ahead::ReadAhead;
use fill::Opened;
use parking_lot::Mutex;
use tickets::Answer;
pub(crate) use tickets::Tickets;

use crate::cache::Frame;
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::inode::{Inode, InodeState, Life};
use crate::meta::Mapping;
use crate::mutation::{self, Mutation};
use crate::units::{FileRange, PAGE_BYTES, PageIndex};

/// Most frames cloned under one hold of the state lock.
const HITS_MAX: usize = 64;

/// Reads up to `out.len()` bytes at `offset`. Returns how many there were before the end of the file.
pub(crate) fn read(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    ahead: &Mutex<ReadAhead>,
    offset: u64,
    out: &mut [u8],
) -> Result<usize> {
    let size_bytes = {
        let state = inode.lock();
        if state.life == Life::Gone {
            return Err(EngineError::Removed);
        }
        state.size.memory_bytes()
    };
    let end = offset.saturating_add(out.len() as u64).min(size_bytes);
    if offset >= end {
        return Ok(0);
    }
    let request = FileRange::new(offset, end);
    let started = start_ahead(core, inode, ahead, request, size_bytes)?;
    let mut at = offset;
    while at < end {
        let rest = FileRange::new(at, end);
        let index = index_in(request, at);
        let read_bytes = step(core, inode, rest, started, &mut out[index..])?;
        at += read_bytes as u64;
    }
    core.stats.note_read(request.bytes());
    Ok(index_in(request, end))
}

/// Reads at least one page of `rest` into `out`.
fn step(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    rest: FileRange,
    behind: bool,
    out: &mut [u8],
) -> Result<usize> {
    let mut state = inode.lock();
    let hits = hits(core, &mut state, rest);
    if !hits.is_empty() {
        drop(state);
        return Ok(copy_hits(&hits, rest, out));
    }
    let absent = absent(&state, rest);
    let wanted = absent.to_pages();
    let opened = fill::open(core, inode, &mut state, wanted)?;
    drop(state);
    core.stats.note_misses(1);
    let ticket = match opened {
        Opened::Hole { end } => {
            let bytes = index_in(absent, absent.end.min(end));
            out[..bytes].fill(0);
            return Ok(bytes);
        }
        Opened::Joined(ticket) => ticket,
        Opened::Fresh(ticket) => {
            if behind || rest.bytes() > core.config.read.inline_decode_bytes_max {
                fill::carry_out_behind(core, inode, Arc::clone(&ticket));
            } else {
                fill::carry_out_here(core, inode, &ticket);
            }
            ticket
        }
    };
    let Answer { plain, is_current } = ticket.wait(&core.pools);
    // The extent may have been replaced, and its space used again, since the ticket was made. While the mapping
    // is there, its generation with it, that cannot be.
    let is_own = is_current
        || mutation::on(Mutation::StaleAnswered)
        || core.meta.lookup(inode.id, wanted.start)? == Mapping::Extent(ticket.extent);
    if !is_own {
        return Ok(0);
    }
    let plain = plain?;
    let part = absent.intersect(plain.range);
    let bytes = plain.part(part);
    out[..bytes.len()].copy_from_slice(bytes);
    Ok(bytes.len())
}

/// The cached pages from the start of `rest`.
fn hits(core: &Core, state: &mut InodeState, rest: FileRange) -> Vec<Frame> {
    let first = PageIndex::of(rest.start);
    let pages = rest.pages().take(HITS_MAX).count() as u64;
    let mut frames = Vec::new();
    let (hits, first_uses) = state
        .pages
        .touch_run(first..PageIndex(first.0 + pages), |frame| {
            frames.push(frame.clone())
        });
    core.stats.note_hits(hits, first_uses);
    frames
}

fn copy_hits(frames: &[Frame], rest: FileRange, out: &mut [u8]) -> usize {
    let mut done = 0;
    for (page, frame) in rest.pages().zip(frames) {
        let part = rest.intersect(FileRange::new(page.start(), page.start() + PAGE_BYTES));
        let skip = index_in(FileRange::new(page.start(), part.start), part.start);
        let bytes = index_in(part, part.end);
        out[done..done + bytes].copy_from_slice(&frame.bytes()[skip..skip + bytes]);
        done += bytes;
    }
    done
}

/// The part of `rest`, from its start, whose pages are all absent; the first is.
fn absent(state: &InodeState, rest: FileRange) -> FileRange {
    let missing = missing(state, rest).unwrap_or(rest);
    assert!(missing.start <= rest.start, "the first page is absent");
    missing.intersect(rest)
}

/// The first stretch of absent pages in `range`, in whole pages.
fn missing(state: &InodeState, range: FileRange) -> Option<FileRange> {
    let pages = range.to_pages();
    let missing = state
        .pages
        .first_missing(PageIndex::of(pages.start)..PageIndex::of(pages.end))?;
    Some(FileRange::new(missing.start.start(), missing.end.start()))
}

/// Starts reads of the missing extents of `request` after its first, and of what lies ahead of a
/// stream. True if anything was started, or a stream is under way.
fn start_ahead(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    ahead: &Mutex<ReadAhead>,
    request: FileRange,
    size_bytes: u64,
) -> Result<bool> {
    let more = ahead
        .lock()
        .advance(request, core.config.read.ahead_bytes_max);
    let long = request.bytes() > core.config.compression.extent_bytes;
    let range = match (more, long) {
        (Some(more), true) => FileRange::new(request.start, more.end),
        (Some(more), false) => more,
        (None, true) => request,
        (None, false) => return Ok(false),
    };
    let range = FileRange::new(range.start, range.end.min(size_bytes).max(range.start)).to_pages();
    start(core, inode, range)?;
    Ok(true)
}

/// Starts the reads of all absent pages of `range`.
fn start(core: &Arc<Core>, inode: &Arc<Inode>, range: FileRange) -> Result<()> {
    let mut at = range.start;
    while at < range.end {
        let mut state = inode.lock();
        let rest = FileRange::new(at, range.end);
        let Some(wanted) = missing(&state, rest) else {
            return Ok(());
        };
        let opened = fill::open(core, inode, &mut state, wanted)?;
        drop(state);
        at = match opened {
            Opened::Hole { end } => end,
            Opened::Joined(ticket) => ticket.range.end,
            Opened::Fresh(ticket) => {
                let end = ticket.range.end;
                fill::carry_out_behind(core, inode, ticket);
                end
            }
        };
    }
    Ok(())
}

/// Where byte `at` of `range` is in a buffer that holds `range`.
fn index_in(range: FileRange, at: u64) -> usize {
    usize::try_from(at - range.start).expect("a request fits memory")
}
