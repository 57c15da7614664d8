//! Phase two, in order: an address for every extent of an item, an entry in the in-flight table,
//! and off it goes. Nothing else is done here, because everything done here is serial.
//!
//! A compressed extent gets one contiguous piece; where none is long enough it is stored raw, in as
//! many pieces as it takes, which the reservation made at `write_at` guarantees. Neighbouring raw
//! extents of the item are joined before they are placed: fewer records, and a sequential file
//! stays sequential.
//!
//! The order of placing is the order of hand-off within the scope of `order.scope`, and with it the
//! order on the device: that is what the ordered queue is for.
//!
//! Not here: what an extent becomes (encode), sending it (submit).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{AlignedBuf, Instant};

use crate::alloc::Reservation;
use crate::budget::BudgetGuard;
use crate::cache::Frame;
use crate::compress::Codec;
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::inode::Inode;
use crate::log::DataNumber;
use crate::meta::Logged;
use crate::stats::Passage;
use crate::units::{DiskExtent, DiskOffset, FileRange};
use crate::writeback::collect::Collected;
use crate::writeback::encode::{EncodeItem, Encoded, Stored};
use crate::writeback::finish::{self, Outcome};
use crate::writeback::submit;

/// An extent in flight: what it is of, and what it gives back when it is gone.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) core: Arc<Core>,
    pub(crate) inode: Arc<Inode>,
    pub(crate) range: FileRange,
    pub(crate) size_at: u64,
    /// Pages logged with numbers before this are not newer.
    pub(crate) data_before: DataNumber,
    /// When the oldest byte of its item was accepted.
    pub(crate) since: Instant,
    pub(crate) passage: Passage,
    /// What the log has of it already.
    pub(crate) logged: Option<InLog>,
    /// Held for the drop alone: given back when the last extent of the item is finished.
    pub(crate) holdings: Option<Arc<Holdings>>,
}

/// What was so when an item was collected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandedOff {
    /// Size of the file.
    pub(crate) size_bytes: u64,
    /// Pages logged with numbers before this are not newer.
    pub(crate) data_before: DataNumber,
    /// When its oldest byte was accepted.
    pub(crate) since: Instant,
}

impl Flight {
    /// An extent of an item, in the stage of `passage`.
    pub(crate) fn new(
        core: &Arc<Core>,
        inode: &Arc<Inode>,
        range: FileRange,
        at: HandedOff,
        passage: Passage,
        holdings: &Arc<Holdings>,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            inode: Arc::clone(inode),
            range,
            size_at: at.size_bytes,
            data_before: at.data_before,
            since: at.since,
            passage,
            logged: None,
            holdings: Some(Arc::clone(holdings)),
        }
    }
}

/// What an item holds of shared bounds: its bytes of the budget, and the rest of its promise of
/// space, which pays for its metadata until that is made.
#[derive(Debug)]
pub(crate) struct Holdings {
    _budget: BudgetGuard,
    _reservation: Reservation,
}

/// Holds both until the last extent of the item is gone.
pub(crate) fn holdings(budget: BudgetGuard, reservation: Reservation) -> Arc<Holdings> {
    Arc::new(Holdings {
        _budget: budget,
        _reservation: reservation,
    })
}

/// What the log has of a flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InLog {
    pub(crate) said: Logged,
    /// How often the file's size was set before.
    pub(crate) sizes_set: u64,
}

impl InLog {
    /// The same, with the size as it is worth by now: one that was set later is made again later at replay.
    pub(crate) fn now(self, sizes_set: u64) -> Logged {
        if self.sizes_set == sizes_set {
            return self.said;
        }
        Logged {
            size_bytes: 0,
            ..self.said
        }
    }
}

/// Bytes with an address.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Compressed and checksummed.
    Ready {
        codec: Codec,
        buf: AlignedBuf,
        checksums: Vec<u32>,
    },
    /// Still pages.
    Pages(Vec<Frame>),
}

/// An extent after phase two.
pub(crate) enum Placed {
    /// It takes no space.
    Hole(FileRange),
    /// It has an address.
    At(FileRange, DiskExtent, Payload),
    /// It could get none.
    Failed(FileRange, EngineError),
}

impl Placed {
    /// The bytes of the file that it is of.
    pub(crate) fn range(&self) -> FileRange {
        match self {
            Self::Hole(range) | Self::At(range, ..) | Self::Failed(range, _) => *range,
        }
    }

    /// Bytes it takes on the device.
    pub(crate) fn stored_bytes(&self) -> u64 {
        match self {
            Self::At(_, disk, _) => disk.bytes,
            Self::Hole(_) | Self::Failed(..) => 0,
        }
    }

    /// Bytes of memory it takes until the device has it: a whole buffer, however little of it is used.
    fn held_bytes(&self) -> u64 {
        match self {
            Self::At(_, _, Payload::Ready { buf, .. }) => buf.capacity() as u64,
            Self::At(_, disk, Payload::Pages(_)) => disk.bytes,
            Self::Hole(_) | Self::Failed(..) => 0,
        }
    }
}

/// Places and dispatches an encoded item.
pub(crate) fn place(item: EncodeItem) {
    let EncodeItem {
        core,
        inode,
        collected,
        mut budget,
        encoded,
        ..
    } = item;
    let Collected {
        range,
        size_at,
        mut reservation,
        data_before,
        since,
        passage,
        ..
    } = collected;
    let placed = allocate(&core, encoded, &mut reservation);
    let extents: Vec<FileRange> = placed.iter().map(Placed::range).collect();
    inode.lock().ordered.place(range, &extents);
    // From here the item holds what will be written, and no longer what it was made from.
    let held_bytes: u64 = placed.iter().map(Placed::held_bytes).sum();
    budget.shrink(budget.bytes() - held_bytes);

    let holdings = holdings(budget, reservation);
    let now = core.clock.now();
    passage.end(now);
    let flights: Vec<(Flight, Placed)> = placed
        .into_iter()
        .map(|extent| {
            let passage = core.stats.submit.begin(extent.stored_bytes(), now);
            let at = HandedOff {
                size_bytes: size_at,
                data_before,
                since,
            };
            let flight = Flight::new(&core, &inode, extent.range(), at, passage, &holdings);
            (flight, extent)
        })
        .collect();
    // From here the flights alone hold them: the last may be over before this function is.
    drop(holdings);
    for (flight, extent) in flights {
        match extent {
            Placed::Hole(_) => finish::queue(flight, Outcome::Hole),
            Placed::At(_, disk, payload) => submit::queue(flight, disk, payload),
            Placed::Failed(_, error) => finish::queue(flight, Outcome::Unplaced(error)),
        }
    }
}

/// An address for each extent, or several, or none.
pub(crate) fn allocate(
    core: &Core,
    encoded: Vec<Encoded>,
    reservation: &mut Reservation,
) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(encoded.len());
    let mut raw = RawRun::default();
    for extent in encoded {
        match extent.stored {
            Stored::Hole => {
                raw.flush(core, reservation, &mut placed);
                placed.push(Placed::Hole(extent.range));
            }
            Stored::Raw => raw.push(extent.range, extent.frames),
            Stored::Compressed {
                codec,
                buf,
                checksums,
            } => {
                raw.flush(core, reservation, &mut placed);
                let hint = core.place_hint.get();
                match core
                    .meta
                    .space()
                    .allocate_contiguous(reservation, buf.len() as u64, hint)
                {
                    Some(disk) => {
                        core.place_hint.set(disk.end());
                        let payload = Payload::Ready {
                            codec,
                            buf,
                            checksums,
                        };
                        placed.push(Placed::At(extent.range, disk, payload));
                    }
                    None => raw.push(extent.range, extent.frames),
                }
            }
        }
    }
    raw.flush(core, reservation, &mut placed);
    placed
}

/// Touching extents that are stored raw.
#[derive(Default)]
struct RawRun {
    range: Option<FileRange>,
    frames: Vec<Frame>,
}

impl RawRun {
    fn push(&mut self, range: FileRange, frames: Vec<Frame>) {
        let start = self.range.map_or(range.start, |run| {
            assert_eq!(run.end, range.start, "the extents of an item touch");
            run.start
        });
        self.range = Some(FileRange::new(start, range.end));
        self.frames.extend(frames);
    }

    fn flush(&mut self, core: &Core, reservation: &mut Reservation, placed: &mut Vec<Placed>) {
        let Some(range) = self.range.take() else {
            return;
        };
        let mut frames = std::mem::take(&mut self.frames).into_iter();
        match pieces(core, reservation, range) {
            Err(error) => placed.push(Placed::Failed(range, error)),
            Ok(pieces) => {
                let mut at = range.start;
                for disk in pieces {
                    let piece = FileRange::new(at, at + disk.bytes);
                    at = piece.end;
                    let own = frames.by_ref().take(piece.pages().count()).collect();
                    placed.push(Placed::At(piece, disk, Payload::Pages(own)));
                }
            }
        }
    }
}

fn pieces(core: &Core, reservation: &mut Reservation, range: FileRange) -> Result<Vec<DiskExtent>> {
    let piece_bytes_max = core.meta.extent_stored_bytes_max();
    let hint = core.place_hint.get();
    let pieces = core
        .meta
        .allocate_pieces(reservation, range.bytes(), piece_bytes_max, hint)?;
    let total_bytes: u64 = pieces.iter().map(|disk| disk.bytes).sum();
    assert_eq!(total_bytes, range.bytes(), "raw pieces hold the range");
    if let Some(last) = pieces.last() {
        core.place_hint.set(last.end());
    }
    Ok(pieces)
}

/// Where the next extent would best start: behind the one placed last.
#[derive(Debug, Default)]
pub(crate) struct PlaceHint(AtomicU64);

impl PlaceHint {
    fn get(&self) -> Option<DiskOffset> {
        let offset = self.0.load(Ordering::Relaxed);
        (offset != 0).then_some(DiskOffset(offset))
    }

    fn set(&self, at: DiskOffset) {
        self.0.store(at.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_held_whole_however_little_is_in_it() {
        let mut buf = AlignedBuf::zeroed(128 << 10);
        buf.set_len(4096);
        let disk = DiskExtent {
            start: DiskOffset(1 << 20),
            bytes: 4096,
        };
        let payload = Payload::Ready {
            codec: Codec::Zstd,
            buf,
            checksums: vec![0],
        };
        let placed = Placed::At(FileRange::new(0, 128 << 10), disk, payload);
        assert_eq!(placed.stored_bytes(), 4096);
        assert_eq!(placed.held_bytes(), 128 << 10);
    }
}
