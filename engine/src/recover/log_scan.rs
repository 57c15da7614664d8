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
//! Time: grows with the length of the log, whatever headers claim: each batch is taken once, and what merely looks like
//! a later one is judged by sums that all of them share.
//!
//! Not here: making the changes again (replay), those sums (log_sums).

use std::borrow::Cow;
use std::collections::BTreeSet;

use delalloc_backends::{Backend, BackendExt};

use super::log_repeats::check_repeats;
use super::log_sums::LogSums;
use super::read_many::read_many;
use crate::error::Result;
use crate::log::Record;
use crate::log::format::{self, BatchHeader};
use crate::meta::NewExtent;
use crate::meta::format::{COUNT_MAX, LogTail, Malformed, SECTOR_LEN, Superblock};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, Generation, SECTOR_BYTES};

/// Bytes of the log read at once.
const READ_BYTES: u64 = 1 << 20;
/// The numbers of a log that was replayed jump by this much, so that nothing left of it can follow.
const SEQUENCE_JUMP: u64 = 1 << 20;
/// The next batch of a volume that opens has no higher number. An open volume counts on from there, and nobody writes as many
/// batches as are left up to what a superblock may say.
const SEQUENCE_MAX: u64 = COUNT_MAX / 2;

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
/// two extents, or where numbers for batches run out.
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
    scan.refuse_later_batches(&mut LogSums::new(&bytes))?;
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
    if next.sequence > SEQUENCE_MAX {
        let malformed = Malformed::new("log", "a number of a batch in reach", next.sequence);
        return Err(malformed.at(log.extent.start));
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
    fn refuse_later_batches(&self, sums: &mut LogSums<'_>) -> Result<()> {
        for at in (0..self.bytes.len()).step_by(SECTOR_LEN) {
            let Some(header) = self.header_at(at) else {
                continue;
            };
            if header.sequence > self.next.sequence && sums.is_whole(at, &header) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use delalloc_backends::{AlignedBuf, Durability, MemBackend};

    use super::*;
    use crate::meta::format::{AREA_START, SUPERBLOCK_AT, put_u32};
    use crate::meta::{FormatOptions, MetaConfig, Metadata, superblock};
    use crate::recover::{Severity, check};

    /// A batch without records at the start of the log of a volume.
    fn header(volume: u64, sequence: u64) -> BatchHeader {
        BatchHeader {
            volume,
            sequence,
            address: AREA_START,
            payload_bytes: 0,
            records: 0,
            generation: Generation(1),
            mask: 0,
        }
    }

    /// A formatted volume whose superblocks both say that this is the number of the next batch, which is there or not.
    fn volume_at(sequence: u64, is_there: bool) -> MemBackend {
        let device = MemBackend::new(2 << 20);
        let options = FormatOptions {
            log_bytes: Some(64 << 10),
            ..FormatOptions::default()
        };
        Metadata::format(&device, &options).expect("memory");
        let mut superblock = superblock::choose(&device).expect("it was just formatted");
        superblock.log.tail.sequence = sequence;
        for at in SUPERBLOCK_AT {
            superblock::write_at(&device, &superblock, at).expect("memory");
        }
        if is_there {
            let mut batch = vec![0; SECTOR_LEN];
            format::seal_batch(&mut batch, &header(superblock.volume(), sequence));
            let batch = AlignedBuf::copy_of(&batch);
            let written = device.write_blocking(AREA_START.0, batch, Durability::Cached);
            written.expect("memory");
        }
        device
    }

    #[test]
    fn a_number_of_a_batch_out_of_reach_is_refused() {
        let cases = [
            (0, false, false),
            (1, false, true),
            (1, true, true),
            (SEQUENCE_MAX - SEQUENCE_JUMP - 1, true, true),
            (SEQUENCE_MAX - SEQUENCE_JUMP, true, false),
            (SEQUENCE_MAX, false, true),
            (SEQUENCE_MAX, true, false),
            (COUNT_MAX, false, false),
            (COUNT_MAX, true, false),
            (COUNT_MAX + 1, false, false),
            (u64::MAX, true, false),
        ];
        for (sequence, is_there, opens) in cases {
            let device = volume_at(sequence, is_there);
            let worst = check(&device).worst();
            let expected = (!opens).then_some(Severity::Fatal);
            assert_eq!(worst, expected, "{sequence}, {is_there}");
            let opened = Metadata::open(Arc::new(device.reopen()), MetaConfig::default());
            assert_eq!(opened.is_ok(), opens, "{sequence}, {is_there}: {opened:?}");
            if let Ok(meta) = opened {
                meta.create("a").expect("room");
                meta.commit().expect("memory");
                assert!(check(&device).is_clean(), "{sequence}, {is_there}");
            }
        }
    }

    const VOLUME: u64 = 3;
    const LOG_LEN: usize = 4 << 20;

    /// A log each sector of which has the header of a later batch that claims all that is behind it but eight bytes.
    fn claims() -> Vec<u8> {
        let mut bytes = vec![0; LOG_LEN];
        for at in (0..LOG_LEN).step_by(SECTOR_LEN) {
            let header = BatchHeader {
                address: DiskOffset(AREA_START.0 + at as u64),
                ..header(VOLUME, 10 + at as u64)
            };
            format::seal_batch(&mut bytes[at..], &header);
            let claimed = u32::try_from(LOG_LEN - 8 - at - format::HEADER_BYTES);
            put_u32(&mut bytes, at + 32, claimed.expect("small"));
        }
        bytes
    }

    /// Looks for later batches than the fifth; with the bytes that were summed for it.
    fn later_batches(bytes: &[u8]) -> (Result<()>, u64) {
        let scan = Scan {
            bytes,
            log: DiskExtent {
                start: AREA_START,
                bytes: bytes.len() as u64,
            },
            volume: VOLUME,
            next: LogTail {
                offset: 0,
                sequence: 5,
            },
        };
        let mut sums = LogSums::new(bytes);
        (scan.refuse_later_batches(&mut sums), sums.summed_bytes)
    }

    #[test]
    fn what_headers_claim_does_not_multiply_what_is_summed() {
        let (found, summed_bytes) = later_batches(&claims());
        assert!(found.is_ok(), "none is whole: {found:?}");
        let log_bytes = LOG_LEN as u64;
        assert!(summed_bytes > log_bytes, "each claim was judged");
        assert!(summed_bytes <= 2 * log_bytes, "{summed_bytes}");
        // Nothing looks like a later batch: nothing is summed.
        let (found, summed_bytes) = later_batches(&vec![0; LOG_LEN]);
        assert_eq!((found.is_ok(), summed_bytes), (true, 0));
    }

    /// A whole batch among such headers, with some of them inside it: masked, and as from before there was a mask.
    #[test]
    fn a_later_batch_is_found_among_headers_that_claim_it_too() {
        for is_masked in [true, false] {
            let mut bytes = claims();
            let at = 300 * SECTOR_LEN;
            let header = BatchHeader {
                address: DiskOffset(AREA_START.0 + at as u64),
                payload_bytes: 5 * 4096,
                ..header(VOLUME, 6)
            };
            let batch = &mut bytes[at..];
            if is_masked {
                format::seal_batch(batch, &header);
            } else {
                let sealed = header.sealed().expect("short");
                format::seal_batch(&mut batch[..SECTOR_LEN], &self::header(VOLUME, 6));
                batch[24..32].copy_from_slice(&header.address.0.to_le_bytes());
                put_u32(batch, 32, header.payload_bytes);
                let crc = crc32c::crc32c(&batch[sealed]);
                put_u32(batch, 0, crc);
            }
            let found = format::peek_batch(batch).expect("it was just sealed");
            assert_eq!(found.mask != 0, is_masked);
            let (found, _) = later_batches(&bytes);
            let error = found.expect_err("batch 5 is not there").to_string();
            assert!(error.contains("batch 5 before batch 6"), "{error}");
        }
    }
}
