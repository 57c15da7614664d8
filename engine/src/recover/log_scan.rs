//! The batches of the log behind the newest superblock, and which of them count.
//!
//! Batches are found by number: the first at the superblock's tail, each next one behind the one before
//! or, where it would not have fit, at the start of the log. The first that is not whole ends the scan.
//!
//! A batch was begun only after the FLUSH behind the one before it. Two things follow:
//!   * only the last batch can be one that nobody was told of, with data that never reached the device:
//!     its data is read and compared, and a batch with missing data counts as not written;
//!   * a whole batch with a higher number than the scan reached means that one in between was damaged
//!     later, and with it changes that somebody was told are durable. That volume does not open.
//!
//! Of the records that the superblock includes, those of pages count that it names as held. After a crash within a
//! replay it includes all others.
//!
//! Memory: the log is read whole, and its records are held decoded.
//!
//! Not here: making the changes again (replay).

use std::borrow::Cow;
use std::collections::BTreeSet;

use delalloc_backends::{Backend, BackendExt};

use super::log_repeats::check_repeats;
use super::read_many::read_many;
use crate::error::Result;
use crate::log::Record;
use crate::log::format::{self, BatchHeader};
use crate::meta::NewExtent;
use crate::meta::format::{LogTail, Malformed, SECTOR_LEN, Superblock};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, Generation, SECTOR_BYTES};

/// Bytes of the log read at once.
const READ_BYTES: u64 = 1 << 20;
/// The numbers of a log that was replayed jump by this much, so that nothing left of it can follow.
const SEQUENCE_JUMP: u64 = 1 << 20;

/// A batch that is whole.
#[derive(Debug)]
pub(crate) struct LoggedBatch {
    pub(crate) address: DiskOffset,
    pub(crate) records: Vec<(Generation, Record<'static>)>,
}

/// What the log has that the superblock does not include.
#[derive(Debug)]
pub(crate) struct Logged {
    /// Batches that count, in order.
    pub(crate) batches: Vec<LoggedBatch>,
    /// Later generations are not in the tree; none where the tree has them all.
    pub(crate) later_than: Option<Generation>,
    /// Where the data of a last batch that does not count is not what its checksums say.
    pub(crate) missing: Option<DiskOffset>,
    /// The number of the last batch that counts.
    pub(crate) last: u64,
    /// Where the next batch goes.
    pub(crate) next: LogTail,
    /// There are batches, or something that looks like one is where the next one goes.
    leftover: bool,
}

impl Logged {
    /// Changes and pages that the tree does not have.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record<'static>> {
        self.batches
            .iter()
            .flat_map(|batch| batch.records.iter().map(|(_, record)| record))
    }

    /// The stored extents of those changes, each once.
    pub(crate) fn extents(&self) -> Vec<DiskExtent> {
        let disks = self
            .records()
            .filter_map(|record| finished(record).map(|extent| extent.disk));
        disks.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A commit has to follow before anything is logged.
    pub(crate) fn needs_replay(&self) -> bool {
        self.leftover
    }
}

fn finished<'r>(record: &'r Record<'_>) -> Option<&'r NewExtent> {
    match record {
        Record::Finish { extent, .. } => Some(extent),
        _ => None,
    }
}

/// Reads the log behind `superblock`.
///
/// # Errors
/// `Corrupt` where a batch in the middle is damaged, or a whole one holds what is no record or gives an address to
/// two extents.
pub(crate) fn scan(backend: &dyn Backend, superblock: &Superblock) -> Result<Logged> {
    let log = superblock.log;
    let bytes = read_all(backend, log.extent)?;
    let mut scan = Scan {
        bytes: &bytes,
        log: log.extent,
        volume: superblock.volume(),
        next: log.tail,
    };
    let mut batches = Vec::new();
    let mut leftover = false;
    while let Some((offset, payload)) = scan.take() {
        let address = DiskOffset(log.extent.start.0 + offset);
        let mut records =
            format::decode_all(&payload).map_err(|malformed| malformed.at(address))?;
        records.retain(|(generation, record)| {
            let is_held =
                matches!(record, Record::Data(page) if superblock.held.contains(page.number));
            let is_later = *generation > superblock.generation && !superblock.replayed;
            is_held || is_later || mutation::on(Mutation::LogTagIgnored)
        });
        check_records(&records, superblock).map_err(|malformed| malformed.at(address))?;
        leftover = true;
        batches.push(LoggedBatch { address, records });
    }
    scan.refuse_later_batches()?;
    scan.refuse_an_early_end(superblock.held_through)?;
    let mut next = scan.next;
    let mut last = next.sequence.wrapping_sub(1);
    let mut missing = None;
    if let Some(batch) = batches.last() {
        missing = first_missing(backend, &batch.records)?;
        if missing.is_some() && !mutation::on(Mutation::LogDataUnverified) {
            batches.pop();
            last = last.wrapping_sub(1);
        }
    }
    check_repeats(&batches)?;
    leftover |= scan.candidate_at_tail();
    if leftover {
        next.sequence = next.sequence.wrapping_add(SEQUENCE_JUMP);
    }
    Ok(Logged {
        batches,
        later_than: (!superblock.replayed).then_some(superblock.generation),
        missing,
        last,
        next,
        leftover,
    })
}

fn read_all(backend: &dyn Backend, log: DiskExtent) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = log.start.0;
    while at < log.end().0 {
        let len = usize::try_from(READ_BYTES.min(log.end().0 - at)).expect("small");
        bytes.extend_from_slice(&backend.read_blocking(at, len)?);
        at += len as u64;
    }
    Ok(bytes)
}

/// Records could be of this volume; their extents lie inside it and outside its log.
fn check_records(
    records: &[(Generation, Record<'static>)],
    superblock: &Superblock,
) -> std::result::Result<(), Malformed> {
    let log = superblock.log.extent;
    for (_, record) in records {
        if !record.is_possible(superblock.node_bytes) {
            let found = format!("{record:?}");
            let expected = "a change this volume can have";
            return Err(Malformed::new("record of the log", expected, found));
        }
    }
    for extent in records.iter().filter_map(|(_, record)| finished(record)) {
        let disk = extent.disk;
        let outside = disk.end().0 > superblock.capacity_bytes;
        if outside || (disk.start < log.end() && log.start < disk.end()) {
            let found = format!("{disk:?}");
            return Err(Malformed::new(
                "extent in the log",
                "a place for data",
                found,
            ));
        }
    }
    Ok(())
}

/// The first sector of the extents of `records` that does not have its checksum.
fn first_missing(
    backend: &dyn Backend,
    records: &[(Generation, Record<'static>)],
) -> Result<Option<DiskOffset>> {
    let extents: Vec<&NewExtent> = records
        .iter()
        .filter_map(|(_, record)| finished(record))
        .collect();
    // A few dozen at a time: the last batch of a long burst can have thousands.
    for extents in extents.chunks(32) {
        let wanted: Vec<(u64, usize)> = extents
            .iter()
            .map(|extent| (extent.disk.start.0, extent.checksums.len() * SECTOR_LEN))
            .collect();
        for (extent, answer) in extents.iter().zip(read_many(backend, &wanted)) {
            let bytes = answer?;
            let sectors = bytes.chunks_exact(SECTOR_LEN).zip(&extent.checksums);
            for (number, (sector, &expected)) in (0..).zip(sectors) {
                if crc32c::crc32c(sector) != expected {
                    let at = extent.disk.start.0 + number * SECTOR_BYTES;
                    return Ok(Some(DiskOffset(at)));
                }
            }
        }
    }
    Ok(None)
}

struct Scan<'s> {
    bytes: &'s [u8],
    log: DiskExtent,
    volume: u64,
    next: LogTail,
}

impl<'s> Scan<'s> {
    /// The next batch, if it is whole: its offset and its records.
    ///
    /// It may lie at both places: one that failed at the end of the log and was whole all the same, and the one that took
    /// its number and did not fit there. Between them was a commit, so the later generation is the one that counts.
    fn take(&mut self) -> Option<(u64, Cow<'s, [u8]>)> {
        let both = [0, self.next.offset].into_iter().filter_map(|offset| {
            // Its number first: the checksum of a batch that stands at the start would be computed for each one behind it.
            let at = usize::try_from(offset).ok()?;
            let header = self.header_at(at)?;
            let is_next = header.sequence == self.next.sequence;
            let payload = is_next.then(|| format::open_batch(&self.bytes[at..], &header))??;
            Some((offset, header, payload))
        });
        let (offset, header, payload) =
            both.max_by_key(
                |(_, header, _)| match mutation::on(Mutation::LogStaleBelieved) {
                    true => Generation(0),
                    false => header.generation,
                },
            )?;
        self.next = LogTail {
            offset: (offset + header.stored_bytes()) % self.log.bytes,
            sequence: header.sequence.wrapping_add(1),
        };
        Some((offset, payload))
    }

    /// The header of a batch of this volume that was written to this place.
    fn header_at(&self, at: usize) -> Option<BatchHeader> {
        let sector = self.bytes.get(at..at + SECTOR_LEN)?;
        format::peek_batch(sector).filter(|header| {
            header.volume == self.volume && header.address.0 == self.log.start.0 + at as u64
        })
    }

    /// The superblock knows of pages up to this batch that are nowhere else.
    fn refuse_an_early_end(&self, held_through: u64) -> Result<()> {
        if self.next.sequence > held_through {
            return Ok(());
        }
        let expected = format!("batch {held_through}, with pages that nothing else has");
        let found = format!("none that is whole behind batch {}", self.next.sequence - 1);
        let at = DiskOffset(self.log.start.0 + self.next.offset);
        Err(Malformed::new("log", expected, found).at(at))
    }

    /// Something that may once have been a batch lies where the next one goes.
    fn candidate_at_tail(&self) -> bool {
        [self.next.offset, 0].iter().any(|&offset| {
            let header = usize::try_from(offset)
                .ok()
                .and_then(|at| self.header_at(at));
            header.is_some_and(|header| header.sequence >= self.next.sequence)
        })
    }

    /// No whole batch has a number that the scan should have reached.
    fn refuse_later_batches(&self) -> Result<()> {
        for at in (0..self.bytes.len()).step_by(SECTOR_LEN) {
            let Some(header) = self.header_at(at) else {
                continue;
            };
            let later = header.sequence > self.next.sequence
                && format::open_batch(&self.bytes[at..], &header).is_some();
            if later {
                let expected = format!(
                    "batch {} before batch {}",
                    self.next.sequence, header.sequence
                );
                let at = DiskOffset(self.log.start.0 + self.next.offset);
                return Err(Malformed::new("log", expected, "none that is whole").at(at));
            }
        }
        Ok(())
    }
}
