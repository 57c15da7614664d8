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
//! copies, as far as there is room for what nobody has asked for; a small read by itself is read and decoded
//! by its own thread, where the bytes are wanted.
//!
//! What a read returns for a page is its content at some moment between call and return. Requests
//! of several pages are not atomic against a concurrent write.
//!
//! A page is a hit where it was in the cache before the request came: what a long request brings itself
//! while its first pages are copied is missed. Pages that a writer needs are neither, and no bytes served.

mod ahead;
mod fill;
mod front;
mod populate;
mod tickets;
mod unasked;

use std::sync::Arc;

pub(crate) use ahead::ReadAhead;
use fill::Opened;
use front::Front;
use parking_lot::Mutex;
use tickets::Answer;
pub(crate) use tickets::Tickets;
pub(crate) use unasked::Unasked;

use crate::cache::Frame;
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::inode::{Inode, InodeState, Life};
use crate::meta::Mapping;
use crate::mutation::{self, Mutation};
use crate::units::{FileRange, PAGE_BYTES, PAGE_LEN, PageIndex};

/// Most frames cloned under one hold of the state lock.
const HITS_MAX: usize = 64;

/// How a request is served.
#[derive(Debug)]
struct Serving {
    /// What is read in front of the copy, on the `endio` pool; what is missing at the copy is then read there too.
    front: Option<Front>,
    /// Hits and misses are counted page by page.
    counted: bool,
}

impl Serving {
    /// The copy is at `at`.
    fn keep_up(&mut self, core: &Arc<Core>, inode: &Arc<Inode>, at: u64) -> Result<()> {
        match &mut self.front {
            Some(front) => front.keep_up(core, inode, at),
            None => Ok(()),
        }
    }
}

/// Reads up to `out.len()` bytes at `offset`. Returns how many there were before the end of the file.
pub(crate) fn read(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    ahead: &Mutex<ReadAhead>,
    offset: u64,
    out: &mut [u8],
) -> Result<usize> {
    let state = inode.lock();
    let size_bytes = size_bytes(&state)?;
    let end = offset.saturating_add(out.len() as u64).min(size_bytes);
    if offset >= end {
        return Ok(0);
    }
    let request = FileRange::new(offset, end);
    // Of several pages some may be brought by the others.
    let looked_for = request.pages().nth(1).is_some();
    if looked_for {
        look_for(core, &state, request);
    }
    drop(state);
    let mut serving = Serving {
        front: front(core, ahead, request, size_bytes),
        counted: !looked_for,
    };
    let copied = copy(core, inode, request, &mut serving, out);
    if let Some(at) = serving.front.as_ref().and_then(Front::refused_from) {
        ahead.lock().refused_from(at);
    }
    copied?;
    core.stats.note_read(request.bytes());
    Ok(index_in(request, end))
}

/// Reads `page`, up to the end of the file, for a writer who changes a part of it.
pub(crate) fn read_page(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    page: FileRange,
    out: &mut [u8; PAGE_LEN],
) -> Result<()> {
    let part = page.intersect(FileRange::new(0, size_bytes(&inode.lock())?));
    let mut serving = Serving {
        front: None,
        counted: false,
    };
    copy(core, inode, part, &mut serving, out)
}

fn size_bytes(state: &InodeState) -> Result<u64> {
    match state.life {
        Life::Gone => Err(EngineError::Removed),
        Life::Linked | Life::Orphan => Ok(state.size.memory_bytes()),
    }
}

/// It takes more than one extent, which are read side by side.
fn is_long(core: &Core, request: FileRange) -> bool {
    request.bytes() > core.config.compression.extent_bytes
}

/// Counts which pages of a request are there before any of them is read for it.
fn look_for(core: &Core, state: &InodeState, request: FileRange) {
    let pages = request.to_pages();
    let range = PageIndex::of(pages.start)..PageIndex::of(pages.end);
    let all = range.end.0 - range.start.0;
    let present = state.pages.count(range);
    core.stats.note_hits(present);
    core.stats.note_misses(all - present);
}

/// Reads all of `request` into `out`.
fn copy(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    request: FileRange,
    serving: &mut Serving,
    out: &mut [u8],
) -> Result<()> {
    let mut at = request.start;
    while at < request.end {
        serving.keep_up(core, inode, at)?;
        let rest = FileRange::new(at, request.end);
        let index = index_in(request, at);
        let read_bytes = step(core, inode, rest, serving, &mut out[index..])?;
        at += read_bytes as u64;
    }
    // The rest of what lies ahead of the stream.
    serving.keep_up(core, inode, at)
}

/// Reads at least one page of `rest` into `out`, or finds that it has to be looked for again.
fn step(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    rest: FileRange,
    serving: &Serving,
    out: &mut [u8],
) -> Result<usize> {
    let mut state = inode.lock();
    let hits = hits(core, &mut state, rest);
    if !hits.is_empty() {
        drop(state);
        if serving.counted {
            core.stats.note_hits(hits.len() as u64);
        }
        return Ok(copy_hits(&hits, rest, out));
    }
    let absent = absent(&state, rest);
    let wanted = absent.to_pages();
    let opened = fill::open(core, inode, &mut state, wanted)?;
    drop(state);
    let missed = |part: FileRange| {
        if serving.counted {
            core.stats.note_misses(part.pages().count() as u64);
        }
        index_in(part, part.end)
    };
    let ticket = match opened {
        Opened::Hole { end } => {
            let bytes = missed(absent.intersect(FileRange::new(absent.start, end)));
            out[..bytes].fill(0);
            return Ok(bytes);
        }
        Opened::Joined(ticket) => ticket,
        Opened::Fresh(ticket) => {
            if serving.front.is_some() || rest.bytes() > core.config.read.inline_decode_bytes_max {
                fill::carry_out_behind(core, inode, Arc::clone(&ticket), None);
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
    let bytes = missed(part);
    out[..bytes].copy_from_slice(plain.part(part));
    Ok(bytes)
}

/// The cached pages from the start of `rest`.
fn hits(core: &Core, state: &mut InodeState, rest: FileRange) -> Vec<Frame> {
    let first = PageIndex::of(rest.start);
    let pages = rest.pages().take(HITS_MAX).count() as u64;
    let mut frames = Vec::new();
    let (_, first_uses) = state
        .pages
        .touch_run(first..PageIndex(first.0 + pages), |frame| {
            frames.push(frame.clone())
        });
    core.stats.note_first_uses(first_uses);
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

/// What is to be read in front of the copy of `request`: its own extents if it is long, and what lies ahead
/// of a stream.
fn front(
    core: &Core,
    ahead: &Mutex<ReadAhead>,
    request: FileRange,
    size_bytes: u64,
) -> Option<Front> {
    let more = ahead
        .lock()
        .advance(request, core.config.read.ahead_bytes_max);
    let range = match (more, is_long(core, request)) {
        (Some(more), true) => FileRange::new(request.start, more.end),
        (Some(more), false) => more,
        (None, true) => request,
        (None, false) => return None,
    };
    let range = FileRange::new(range.start, range.end.min(size_bytes).max(range.start)).to_pages();
    Some(Front::new(range, request.end))
}

/// Where byte `at` of `range` is in a buffer that holds `range`.
fn index_in(range: FileRange, at: u64) -> usize {
    usize::try_from(at - range.start).expect("a request fits memory")
}
