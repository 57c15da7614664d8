//! From a missing page to bytes: look the mapping up, read the stored extent once, verify, decode,
//! and fill the cache with every page it covers.
//!
//! The order is fixed: device error, then checksums of the stored bytes, then the decoder, which
//! never sees bytes that were not verified.
//!
//! Locks. `open` runs under the file's state lock (mapping and ticket belong together, see tickets).
//! Reading, verifying and decoding run under no lock. `complete` takes the state lock to insert.
//! Filling the cache never waits for room: what does not fit is not cached, and the reader who
//! asked gets its bytes from the ticket.
//!
//! Not here: the loop over a request (read/mod), which by-product pages are kept (populate).

use std::sync::Arc;

use delalloc_backends::{AlignedBuf, BackendExt, Completion, Request};

use crate::cache::Page;
use crate::compress::{self, Codec};
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::in_flight::InFlight;
use crate::inode::{Inode, InodeState};
use crate::meta::{FileExtent, Mapping};
use crate::mutation::{self, Mutation};
use crate::pool::{Order, WorkItem};
use crate::read::populate;
use crate::read::tickets::{Answer, Plain, Ticket};
use crate::read::unasked::UnaskedRead;
use crate::stats::StageStats;
use crate::units::{DiskExtent, DiskOffset, FileRange, PAGE_BYTES, SECTOR_BYTES};
use crate::writeback::checksums;

/// Longest raw read of one ticket, in bytes. Longer requests become several tickets, which the
/// device and the decoders work on side by side.
const RAW_READ_BYTES_MAX: u64 = 128 << 10;

/// What is to be done about missing pages.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Nothing is stored: zeros up to `end`.
    Hole { end: u64 },
    /// Somebody reads it already.
    Joined(Arc<Ticket>),
    /// The caller carries it out.
    Fresh(Arc<Ticket>),
}

/// Looks up what is at the start of `wanted` (whole pages, absent from the cache) and takes a ticket.
pub(crate) fn open(
    core: &Core,
    inode: &Inode,
    state: &mut InodeState,
    wanted: FileRange,
) -> Result<Opened> {
    let extent = match core.meta.lookup(inode.id, wanted.start)? {
        Mapping::Hole { range } => return Ok(Opened::Hole { end: range.end }),
        Mapping::Extent(extent) => extent,
    };
    let wanted = wanted.intersect(extent.range());
    let range = if extent.is_raw() {
        FileRange::new(
            wanted.start,
            wanted.end.min(wanted.start + RAW_READ_BYTES_MAX),
        )
    } else {
        extent.range()
    };
    let first = FileRange::new(wanted.start, wanted.start + PAGE_BYTES);
    if let Some(ticket) = state.tickets.find(&extent, first) {
        return Ok(Opened::Joined(ticket));
    }
    Ok(Opened::Fresh(state.tickets.open(
        extent,
        range,
        wanted.intersect(range),
    )))
}

/// Carries a ticket out in this thread.
pub(crate) fn carry_out_here(core: &Core, inode: &Inode, ticket: &Arc<Ticket>) {
    let (source, started) = (source(ticket), core.clock.now());
    let buf = core.stored_bufs.take(length(source.bytes));
    let read = core
        .backend
        .read_into_blocking(source.start.0, buf)
        .map_err(EngineError::from);
    core.stats
        .read_device
        .record(core.clock.now().ns_since(started));
    core.stats.note_device_read(source.bytes);
    complete(core, inode, ticket, read, None);
}

/// Sends a ticket's read; the `endio` pool completes it. `unasked` counts it, if nobody has asked for it.
pub(crate) fn carry_out_behind(
    core: &Arc<Core>,
    inode: &Arc<Inode>,
    ticket: Arc<Ticket>,
    unasked: Option<UnaskedRead>,
) {
    let source = source(&ticket);
    let buf = core.stored_bufs.take(length(source.bytes));
    let (core, inode) = (Arc::clone(core), Arc::clone(inode));
    let backend = Arc::clone(&core.backend);
    core.stats.note_device_read(source.bytes);
    let passage = core.stats.read_device.begin(source.bytes, core.clock.now());
    let sent = InFlight::begin(&core.pools.in_flight);
    backend.submit(
        Request::Read {
            offset: source.start.0,
            buf,
        },
        Box::new(move |Completion { result, buf }| {
            let _until_queued = sent;
            passage.end(core.clock.now());
            let read = match (result, buf) {
                (Ok(()), Some(buf)) => Ok(buf),
                (Ok(()), None) => unreachable!("a read gives its buffer back"),
                (Err(error), _) => Err(error.into()),
            };
            let endio = Arc::clone(&core.pools.endio);
            // Nothing of the volume is left to this closure, which goes after what it counts in: the last of it would take the device
            // along, on the device's own thread.
            let item = DecodeItem {
                core,
                inode,
                ticket,
                read: Some(read),
                unasked,
            };
            // Where a poisoned pool refuses it the alarm tells who waits; a thread of the device does not panic.
            let _refused = endio.try_submit(Box::new(item), Order::Unordered);
        }),
    );
}

struct DecodeItem {
    core: Arc<Core>,
    inode: Arc<Inode>,
    ticket: Arc<Ticket>,
    read: Option<Result<AlignedBuf>>,
    unasked: Option<UnaskedRead>,
}

impl WorkItem for DecodeItem {
    fn run(&mut self) {
        let read = self.read.take().expect("an item runs once");
        let unasked = self.unasked.take();
        complete(&self.core, &self.inode, &self.ticket, read, unasked);
    }

    fn complete(self: Box<Self>) {}
}

/// What a ticket reads from the device: everything, or the sectors of its pages if raw.
fn source(ticket: &Ticket) -> DiskExtent {
    let FileExtent {
        disk,
        offset_in_extent,
        file_start,
        ..
    } = ticket.extent;
    if !ticket.extent.is_raw() {
        return disk;
    }
    let skip_bytes = offset_in_extent + (ticket.range.start - file_start);
    let start = DiskOffset(disk.start.0 + skip_bytes);
    DiskExtent {
        start,
        bytes: ticket.range.bytes(),
    }
}

fn complete(
    core: &Core,
    inode: &Inode,
    ticket: &Arc<Ticket>,
    read: Result<AlignedBuf>,
    unasked: Option<UnaskedRead>,
) {
    let decoded = |stored| timed(core, &core.stats.decode, || decode(core, ticket, stored));
    let plain = read.and_then(decoded);
    let is_current = match &plain {
        Ok(plain) => timed(core, &core.stats.fill, || {
            insert(core, inode, ticket, plain)
        }),
        Err(_) => inode.lock().tickets.close(ticket),
    };
    // First: a reader who waits for this goes on with what is ahead of it.
    drop(unasked);
    ticket.answer(Answer { plain, is_current });
}

/// Does `work`, which is a stage of a read.
fn timed<T>(core: &Core, stage: &StageStats, work: impl FnOnce() -> T) -> T {
    let started = core.clock.now();
    let done = work();
    stage.record(core.clock.now().ns_since(started));
    done
}

/// Verifies the stored bytes, then decodes them.
fn decode(core: &Core, ticket: &Ticket, stored: AlignedBuf) -> Result<Plain> {
    let extent = &ticket.extent;
    let source = source(ticket);
    let expected = core.meta.checksums(extent.disk)?;
    let first = length((source.start.0 - extent.disk.start.0) / SECTOR_BYTES);
    for (index, found) in checksums(&stored).into_iter().enumerate() {
        let expected = expected.get(first + index).copied();
        if expected != Some(found) && !mutation::on(Mutation::ChecksumIgnored) {
            return Err(EngineError::Corrupt {
                what: "data",
                at: DiskOffset(source.start.0 + index as u64 * SECTOR_BYTES),
                expected: expected.map_or_else(
                    || "a checksum".to_owned(),
                    |crc| format!("crc32c {crc:08x}"),
                ),
                found: format!("crc32c {found:08x}"),
            });
        }
    }
    if extent.is_raw() {
        return Ok(Plain::new(ticket.range, stored, 0));
    }
    let corrupt = |found: String| EngineError::Corrupt {
        what: "compressed extent",
        at: extent.disk.start,
        expected: format!("{} plain bytes", extent.ram_bytes),
        found,
    };
    let codec = Codec::from_number(extent.codec)
        .ok_or_else(|| corrupt(format!("codec number {}", extent.codec)))?;
    let mut plain = core.plain_bufs.take(length(extent.ram_bytes));
    compress::decompress(codec, &stored, &mut plain).map_err(|error| corrupt(error.to_string()))?;
    Ok(Plain::new(
        ticket.range,
        plain,
        length(extent.offset_in_extent),
    ))
}

/// Puts pages into the cache as far as there is room, unless the mapping changed meanwhile: then false.
fn insert(core: &Core, inode: &Inode, ticket: &Arc<Ticket>, plain: &Plain) -> bool {
    let knobs = &core.config.read;
    let mut chosen = {
        let state = inode.lock();
        let end = state.size.memory_bytes().next_multiple_of(PAGE_BYTES);
        let range = FileRange::new(ticket.range.start.min(end), ticket.range.end.min(end));
        populate::choose(
            range,
            ticket.wanted,
            knobs.populate,
            knobs.miss_limit,
            |page| state.pages.get(page).is_some(),
        )
    };
    // An extent may be larger than the cache: of another volume's items, or of one that was opened with more.
    chosen.truncate(core.frames.frames_max());
    let Some(mut charge) = core.frames.try_charge(chosen.len(), core) else {
        return inode.lock().tickets.close(ticket);
    };
    let frames: Vec<_> = chosen
        .iter()
        .map(|page| {
            let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
            (*page, own, charge.frame_from(plain.part(own)))
        })
        .collect();

    let mut state = inode.lock();
    if !state.tickets.close(ticket) {
        return false;
    }
    let size_bytes = state.size.memory_bytes();
    for (page, own, frame) in frames {
        if state.pages.get(page).is_some() || own.start >= size_bytes {
            continue;
        }
        let came_along = !ticket.wanted.covers(own);
        core.stats.note_populated(u64::from(came_along));
        state.pages.insert(
            page,
            if came_along {
                Page::populated(frame)
            } else {
                Page::new(frame)
            },
        );
    }
    core.announce(inode, state, ticket.range);
    true
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("an extent fits memory")
}
