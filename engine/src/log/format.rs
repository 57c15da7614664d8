//! Every byte of the log on the device; pictured in docs/format.md.
//!
//! Decoding takes bytes from anywhere: each length is checked before it is used, and what does not fit
//! is `Malformed`, never a panic. A batch is believed only whole: one checksum covers its header and
//! all its records.
//!
//! What clients write lies in the log as it is, and a sector of it must never look like the beginning of a batch: not to who looks for
//! the next one where an older batch lay, and not to who looks for later ones. So no sector inside a batch has the magic where a header
//! has it: where one would, these four bytes of every sector but the first are masked, with a mask that gives none of them the magic.
//!
//! Not here: which batches there are (recover/log_scan), where the next one goes (ring).

use std::borrow::Cow;
use std::ops::Range;

use super::held::{DataNumber, LoggedBytes, LoggedPage};
use super::record::{Record, SizeChange};
use crate::meta::format::{
    Decoded, Malformed, SECTOR_LEN, extent_valid, put_u32, put_u64, u32_at, u64_at,
};
use crate::meta::{
    CODEC_RAW, EXTENT_PLAIN_BYTES_MAX, EXTENT_STORED_BYTES_MAX, NAME_BYTES_MAX, NewExtent,
};
use crate::mutation::{self, Mutation};
use crate::units::{
    DiskExtent, DiskOffset, FILE_BYTES_MAX, FileId, FileRange, Generation, PAGE_BYTES, PAGE_LEN,
    PageIndex, SECTOR_BYTES,
};

/// `DLOG`.
const MAGIC: u32 = u32::from_le_bytes(*b"DLOG");
/// Bytes of a batch's header.
pub(crate) const HEADER_BYTES: usize = 48;
/// Bytes of a record before what only its kind has.
const RECORD_BYTES: usize = 32;
const NAME_HEADER_BYTES: usize = 8;
const FINISH_BYTES: usize = 40;
const CUT_BYTES: usize = 24;
const DATA_HEADER_BYTES: usize = 16;
/// Bytes of the record of a logged page.
pub(crate) const DATA_RECORD_BYTES: usize = RECORD_BYTES + DATA_HEADER_BYTES + PAGE_LEN;

/// The kind of what counts for nothing.
const VOID: u8 = 8;

const WHAT: &str = "record of the log";

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) volume: u64,
    pub(crate) sequence: u64,
    pub(crate) address: DiskOffset,
    /// Bytes of all records.
    pub(crate) payload_bytes: u32,
    pub(crate) records: u32,
    /// In which it was cut, its low 48 bits; 0 in batches of before that was said.
    pub(crate) generation: Generation,
    /// With what the third and fourth byte pairs of every sector but the first are masked; 0 for nothing.
    pub(crate) mask: u16,
}

impl BatchHeader {
    /// Bytes the batch takes on the device.
    pub(crate) fn stored_bytes(&self) -> u64 {
        stored_bytes(u64::from(self.payload_bytes))
    }

    /// What the checksum covers, from the beginning of the batch: all but itself and the zeros at the end.
    pub(crate) fn sealed(&self) -> Option<Range<usize>> {
        let end = HEADER_BYTES.checked_add(self.payload_bytes as usize)?;
        Some(4..end)
    }
}

/// Bytes that a batch of so many bytes of records takes on the device.
pub(crate) fn stored_bytes(payload_bytes: u64) -> u64 {
    (HEADER_BYTES as u64 + payload_bytes).next_multiple_of(SECTOR_BYTES)
}

/// Bits of the generation's word that are its own; the 16 above are the mask.
const GENERATION_MASK: u64 = u64::MAX >> 16;

/// Writes the header of a batch whose records are in place behind it, masks what looks like another header, and seals all.
pub(crate) fn seal_batch(bytes: &mut [u8], header: &BatchHeader) {
    let end = HEADER_BYTES + header.payload_bytes as usize;
    let mask = mask_for(&bytes[..end]);
    apply(mask, &mut bytes[..end]);
    put_u32(bytes, 4, MAGIC);
    put_u64(bytes, 8, header.volume);
    put_u64(bytes, 16, header.sequence);
    put_u64(bytes, 24, header.address.0);
    put_u32(bytes, 32, header.payload_bytes);
    put_u32(bytes, 36, header.records);
    let generation = header.generation.0 & GENERATION_MASK;
    put_u64(bytes, 40, u64::from(mask) << 48 | generation);
    let crc = crc32c::crc32c(&bytes[4..end]);
    put_u32(bytes, 0, crc);
}

/// The header of the batch that may begin here; nothing is believed but its magic. `bytes` is a sector
/// or more.
pub(crate) fn peek_batch(bytes: &[u8]) -> Option<BatchHeader> {
    (u32_at(bytes, 4) == MAGIC).then(|| BatchHeader {
        volume: u64_at(bytes, 8),
        sequence: u64_at(bytes, 16),
        address: DiskOffset(u64_at(bytes, 24)),
        payload_bytes: u32_at(bytes, 32),
        records: u32_at(bytes, 36),
        generation: Generation(u64_at(bytes, 40) & GENERATION_MASK),
        mask: (u64_at(bytes, 40) >> 48) as u16,
    })
}

/// The checksum that the batch has which begins here.
pub(crate) fn checksum_of(bytes: &[u8]) -> u32 {
    u32_at(bytes, 0)
}

/// The records of a batch, if its checksum holds. `bytes` begin with its header.
pub(crate) fn open_batch<'b>(bytes: &'b [u8], header: &BatchHeader) -> Option<Cow<'b, [u8]>> {
    let sealed = header.sealed()?;
    let end = sealed.end;
    if crc32c::crc32c(bytes.get(sealed)?) != checksum_of(bytes) {
        return None;
    }
    if header.mask == 0 {
        return Some(Cow::Borrowed(&bytes[HEADER_BYTES..end]));
    }
    let mut plain = bytes[..end].to_vec();
    apply(header.mask, &mut plain);
    Some(Cow::Owned(plain.split_off(HEADER_BYTES)))
}

/// Where a header of a batch would have its magic, in each sector of `batch` but the first.
fn inner_magics(batch_bytes: usize) -> impl Iterator<Item = Range<usize>> {
    let places = (SECTOR_LEN + 4..).step_by(SECTOR_LEN).map(|at| at..at + 4);
    places.take_while(move |place| place.end <= batch_bytes)
}

/// The least mask that leaves no inner sector with the magic.
fn mask_for(batch: &[u8]) -> u16 {
    let words = || inner_magics(batch.len()).map(|place| u32_at(batch, place.start));
    let hides = |mask: &u16| words().all(|word| word ^ wide(*mask) != MAGIC);
    // Each sector rules out one mask at most, and a log is far shorter than so many sectors.
    let found = (0..=u16::MAX).find(|mask| hides(mask) || mutation::on(Mutation::LogMagicUnmasked));
    found.expect("a batch has fewer than 65536 sectors")
}

fn apply(mask: u16, batch: &mut [u8]) {
    if mask == 0 {
        return;
    }
    for place in inner_magics(batch.len()) {
        let word = u32_at(batch, place.start) ^ wide(mask);
        put_u32(batch, place.start, word);
    }
}

fn wide(mask: u16) -> u32 {
    u32::from(mask) << 16 | u32::from(mask)
}

/// Appends the bytes of a record.
pub(crate) fn encode(record: &Record<'_>, generation: Generation, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + RECORD_BYTES, 0);
    let (kind, size) = match record {
        Record::Create { name, .. } => (1, encode_name(name, out)),
        Record::Rename { name, .. } => (2, encode_name(name, out)),
        Record::Orphan { .. } => (3, SizeChange::Keep),
        Record::Remove { .. } => (4, SizeChange::Keep),
        Record::Finish {
            extent,
            size,
            data_before,
            ..
        } => {
            encode_extent(extent, *data_before, out);
            (5, *size)
        }
        Record::Cut {
            range,
            size,
            data_before,
            ..
        } => {
            encode_range(*range, *data_before, out);
            (6, *size)
        }
        Record::Home {
            range, data_before, ..
        } => {
            encode_range(*range, *data_before, out);
            (9, SizeChange::Keep)
        }
        Record::Data(page) => {
            out.resize(start + DATA_RECORD_BYTES, 0);
            put_page(page, generation, &mut out[start..]);
            return;
        }
    };
    out.resize(out.len().next_multiple_of(8), 0);
    put_header(kind, size, record.file(), generation, &mut out[start..]);
}

/// Puts the record of a page into `out`, which is `DATA_RECORD_BYTES` long.
pub(crate) fn put_page(page: &LoggedPage, generation: Generation, out: &mut [u8]) {
    let size = SizeChange::Grow(page.size_bytes);
    put_header(7, size, page.file, generation, out);
    put_u64(out, RECORD_BYTES, page.page.start());
    put_u64(out, RECORD_BYTES + 8, page.number.0);
    out[RECORD_BYTES + DATA_HEADER_BYTES..].copy_from_slice(&page.bytes);
}

/// What every record begins with; `out` is as long as the record.
fn put_header(kind: u8, size: SizeChange, file: FileId, generation: Generation, out: &mut [u8]) {
    let (size_kind, size_bytes) = match size {
        SizeChange::Keep => (0, 0),
        SizeChange::Grow(bytes) => (1, bytes),
        SizeChange::Set(bytes) => (2, bytes),
    };
    let record_bytes = u32_of(out.len() as u64);
    put_u32(out, 0, record_bytes);
    out[4..8].copy_from_slice(&[kind, size_kind, 0, 0]);
    put_u64(out, 8, generation.0);
    put_u64(out, 16, file.0);
    put_u64(out, 24, size_bytes);
}

/// No change of a name changes a size.
fn encode_name(name: &str, out: &mut Vec<u8>) -> SizeChange {
    let name_bytes = u64::try_from(name.len()).expect("a name is short");
    out.extend_from_slice(&name_bytes.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    SizeChange::Keep
}

fn encode_range(range: FileRange, data_before: DataNumber, out: &mut Vec<u8>) {
    for word in [range.start, range.end, data_before.0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn encode_extent(extent: &NewExtent, data_before: DataNumber, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + FINISH_BYTES, 0);
    put_u64(out, at, extent.range.start);
    put_u64(out, at + 8, extent.disk.start.0);
    put_u32(out, at + 16, u32_of(extent.ram_bytes));
    put_u32(out, at + 20, u32_of(extent.disk.bytes));
    out[at + 24] = extent.codec;
    put_u64(out, at + 32, data_before.0);
    for checksum in &extent.checksums {
        out.extend_from_slice(&checksum.to_le_bytes());
    }
}

/// Makes records that count for nothing of `bytes`, which `encode` made; they keep their length.
pub(crate) fn void(bytes: &mut [u8]) {
    if bytes.is_empty() {
        return;
    }
    let len = u32_of(bytes.len() as u64);
    bytes.fill(0);
    put_u32(bytes, 0, len);
    bytes[4] = VOID;
}

/// Writes `generation` into every record of `bytes`, which `encode` made.
pub(crate) fn stamp(bytes: &mut [u8], generation: Generation) {
    let mut at = 0;
    while at < bytes.len() {
        put_u64(bytes, at + 8, generation.0);
        at += u32_at(bytes, at) as usize;
    }
}

/// Every record of a batch that counts, with its generation, in order.
pub(crate) fn decode_all(mut bytes: &[u8]) -> Decoded<Vec<(Generation, Record<'static>)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let len = if bytes.len() < RECORD_BYTES {
            0
        } else {
            u32_at(bytes, 0) as usize
        };
        if len < RECORD_BYTES || len > bytes.len() || !len.is_multiple_of(8) {
            return Err(Malformed::new(WHAT, "its length inside the batch", len));
        }
        let (record, rest) = bytes.split_at(len);
        if record[4] != VOID {
            records.push((Generation(u64_at(record, 8)), decode(record)?));
        }
        bytes = rest;
    }
    Ok(records)
}

fn decode(bytes: &[u8]) -> Decoded<Record<'static>> {
    let file = FileId(u64_at(bytes, 16));
    let size = decode_size(bytes)?;
    let body = &bytes[RECORD_BYTES..];
    match bytes[4] {
        1 => Ok(Record::Create {
            file,
            name: decode_name(body)?,
        }),
        2 => Ok(Record::Rename {
            file,
            name: decode_name(body)?,
        }),
        3 => Ok(Record::Orphan { file }),
        4 => Ok(Record::Remove { file }),
        5 => Ok(Record::Finish {
            file,
            extent: Cow::Owned(decode_extent(body)?),
            size,
            data_before: DataNumber(u64_at(body, 32)),
        }),
        6 => Ok(Record::Cut {
            file,
            range: decode_range(body)?,
            size,
            data_before: DataNumber(u64_at(body, 16)),
        }),
        7 => Ok(Record::Data(Cow::Owned(decode_data(file, size, body)?))),
        9 => Ok(Record::Home {
            file,
            range: decode_range(body)?,
            data_before: DataNumber(u64_at(body, 16)),
        }),
        other => Err(Malformed::new(WHAT, "a known kind", other)),
    }
}

fn decode_size(bytes: &[u8]) -> Decoded<SizeChange> {
    let size_bytes = u64_at(bytes, 24);
    if size_bytes > FILE_BYTES_MAX {
        return Err(Malformed::new(WHAT, "a size of a file", size_bytes));
    }
    match bytes[5] {
        0 => Ok(SizeChange::Keep),
        1 => Ok(SizeChange::Grow(size_bytes)),
        2 => Ok(SizeChange::Set(size_bytes)),
        other => Err(Malformed::new(WHAT, "a known change of size", other)),
    }
}

fn decode_name(body: &[u8]) -> Decoded<Cow<'static, str>> {
    let refuse =
        |found: &dyn ToString| Malformed::new(WHAT, "a name of its length", found.to_string());
    if body.len() < NAME_HEADER_BYTES {
        return Err(refuse(&body.len()));
    }
    let name_bytes = u64_at(body, 0);
    let len = usize::try_from(name_bytes).unwrap_or(usize::MAX);
    let name = body[NAME_HEADER_BYTES..].get(..len);
    match name.map(std::str::from_utf8) {
        Some(Ok(name)) if (1..=NAME_BYTES_MAX).contains(&len) => Ok(Cow::Owned(name.to_owned())),
        _ => Err(refuse(&name_bytes)),
    }
}

fn decode_range(body: &[u8]) -> Decoded<FileRange> {
    if body.len() < CUT_BYTES {
        return Err(Malformed::new(WHAT, "a range", body.len()));
    }
    let (start, end) = (u64_at(body, 0), u64_at(body, 8));
    let whole = start.is_multiple_of(SECTOR_BYTES) && end.is_multiple_of(SECTOR_BYTES);
    if start > end || end > FILE_BYTES_MAX || !whole {
        return Err(Malformed::new(
            WHAT,
            "a range of pages",
            format!("{start}..{end}"),
        ));
    }
    Ok(FileRange::new(start, end))
}

fn decode_data(file: FileId, size: SizeChange, body: &[u8]) -> Decoded<LoggedPage> {
    if body.len() != DATA_HEADER_BYTES + PAGE_LEN {
        return Err(Malformed::new(WHAT, "a page", body.len()));
    }
    let start = u64_at(body, 0);
    let SizeChange::Grow(size_bytes) = size else {
        return Err(Malformed::new(WHAT, "the size with a page", "none"));
    };
    let end = start
        .checked_add(PAGE_BYTES)
        .filter(|&end| end <= FILE_BYTES_MAX && start.is_multiple_of(PAGE_BYTES));
    if end.is_none() {
        return Err(Malformed::new(WHAT, "a page of a file", start));
    }
    Ok(LoggedPage {
        file,
        page: PageIndex::of(start),
        number: DataNumber(u64_at(body, 8)),
        size_bytes,
        bytes: LoggedBytes::Read(body[DATA_HEADER_BYTES..].into()),
    })
}

fn decode_extent(body: &[u8]) -> Decoded<NewExtent> {
    if body.len() < FINISH_BYTES {
        return Err(Malformed::new(WHAT, "an extent", body.len()));
    }
    let start = u64_at(body, 0);
    let ram_bytes = u64::from(u32_at(body, 16));
    let disk = DiskExtent {
        start: DiskOffset(u64_at(body, 8)),
        bytes: u64::from(u32_at(body, 20)),
    };
    let codec = body[24];
    let checksums = (disk.bytes / SECTOR_BYTES) as usize * 4;
    let end = start
        .checked_add(ram_bytes)
        .filter(|&end| end <= FILE_BYTES_MAX);
    let sane = ram_bytes > 0
        && ram_bytes <= EXTENT_PLAIN_BYTES_MAX
        && [start, ram_bytes]
            .iter()
            .all(|bytes| bytes.is_multiple_of(SECTOR_BYTES))
        && extent_valid(disk, u64::MAX)
        && disk.bytes <= EXTENT_STORED_BYTES_MAX
        && (codec != CODEC_RAW || disk.bytes == ram_bytes);
    let checksums = body[FINISH_BYTES..].get(..checksums);
    match (end, checksums) {
        (Some(end), Some(checksums)) if sane => Ok(NewExtent {
            range: FileRange::new(start, end),
            disk,
            ram_bytes,
            codec,
            checksums: checksums
                .chunks_exact(4)
                .map(|crc| u32_at(crc, 0))
                .collect(),
        }),
        _ => {
            let found = format!("{disk:?} for {ram_bytes} bytes at {start}");
            Err(Malformed::new(
                WHAT,
                "whole sectors with their checksums",
                found,
            ))
        }
    }
}

fn u32_of(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("an extent is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(start: u64, sectors: u32) -> NewExtent {
        NewExtent {
            range: FileRange::new(start, start + 8 * SECTOR_BYTES),
            disk: DiskExtent {
                start: DiskOffset(1 << 20),
                bytes: u64::from(sectors) * SECTOR_BYTES,
            },
            ram_bytes: 8 * SECTOR_BYTES,
            codec: 1,
            checksums: (0..sectors).collect(),
        }
    }

    fn records() -> Vec<Record<'static>> {
        let file = FileId(7);
        let range = FileRange::new(4096, 1 << 60);
        vec![
            Record::Create {
                file,
                name: "a".into(),
            },
            Record::Rename {
                file,
                name: "x".repeat(255).into(),
            },
            Record::Orphan { file },
            Record::Remove { file },
            Record::Finish {
                file,
                extent: Cow::Owned(extent(0, 3)),
                size: SizeChange::Grow(5),
                data_before: DataNumber(6),
            },
            Record::Cut {
                file,
                range,
                size: SizeChange::Set(17),
                data_before: DataNumber(1 << 40),
            },
            Record::Cut {
                file,
                range,
                size: SizeChange::Keep,
                data_before: DataNumber(0),
            },
            Record::Home {
                file,
                range,
                data_before: DataNumber(3),
            },
            Record::Data(Cow::Owned(LoggedPage {
                file,
                page: PageIndex(9),
                number: DataNumber(11),
                size_bytes: 40_000,
                bytes: LoggedBytes::Read((0..=u8::MAX).cycle().take(PAGE_LEN).collect()),
            })),
        ]
    }

    fn batch(records: &[Record<'_>]) -> (Vec<u8>, BatchHeader) {
        let mut bytes = vec![0; HEADER_BYTES];
        for record in records {
            encode(record, Generation(0), &mut bytes);
        }
        stamp(&mut bytes[HEADER_BYTES..], Generation(9));
        let header = BatchHeader {
            volume: 3,
            sequence: 4,
            address: DiskOffset(1 << 18),
            payload_bytes: u32_of((bytes.len() - HEADER_BYTES) as u64),
            records: u32_of(records.len() as u64),
            generation: Generation(9),
            mask: 0,
        };
        seal_batch(&mut bytes, &header);
        (bytes, header)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let records = records();
        let (bytes, header) = batch(&records);
        assert_eq!(peek_batch(&bytes), Some(header));
        let payload = open_batch(&bytes, &header).expect("it was just sealed");
        let found = decode_all(&payload).expect("it was just encoded");
        assert_eq!(found.len(), records.len());
        for ((generation, found), record) in found.iter().zip(&records) {
            assert_eq!((*generation, found), (Generation(9), record));
        }
    }

    /// A page of a client has the header of a batch at the only place where a sector begins in it, and another one what the first
    /// mask would make of it.
    #[test]
    fn what_clients_write_never_looks_like_a_batch() {
        let data = |word: u32, header: &[u8], number: u8| {
            let mut bytes = vec![0; PAGE_LEN];
            // Behind the header of the batch, or the page before, and its own.
            let at = SECTOR_LEN
                - HEADER_BYTES
                - (RECORD_BYTES + DATA_HEADER_BYTES) * (1 + usize::from(number));
            bytes[at..at + header.len()].copy_from_slice(header);
            put_u32(&mut bytes, at + 4, word);
            Record::Data(Cow::Owned(LoggedPage {
                file: FileId(7),
                page: PageIndex(number.into()),
                number: DataNumber(number.into()),
                size_bytes: 40_000,
                bytes: LoggedBytes::Read(bytes.into()),
            }))
        };
        let (forged, _) = batch(&[Record::Orphan { file: FileId(7) }]);
        let forged = &forged[..HEADER_BYTES];
        let records = [data(MAGIC, forged, 0), data(MAGIC ^ wide(1), forged, 1)];
        let (bytes, header) = batch(&records);
        for at in (SECTOR_LEN..bytes.len() - SECTOR_LEN).step_by(SECTOR_LEN) {
            assert_eq!(peek_batch(&bytes[at..at + SECTOR_LEN]), None, "{at}");
        }
        let found = peek_batch(&bytes).expect("it begins with a header");
        assert_eq!(found, BatchHeader { mask: 2, ..header });
        let payload = open_batch(&bytes, &found).expect("it was just sealed");
        let decoded = decode_all(&payload).expect("it was just encoded");
        let decoded: Vec<&Record<'_>> = decoded.iter().map(|(_, record)| record).collect();
        assert_eq!(decoded, [&records[0], &records[1]]);
    }

    #[test]
    fn a_torn_batch_is_none() {
        let (bytes, header) = batch(&records());
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 0x10;
            let believed = peek_batch(&torn)
                .is_some_and(|found| found == header && open_batch(&torn, &found).is_some());
            assert!(!believed, "byte {at}");
        }
        assert!(open_batch(&bytes[..bytes.len() - 1], &header).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_malformed(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            kind in 0_u8..8,
            len in 0_u32..400,
        ) {
            let mut bytes = bytes;
            let _any = decode_all(&bytes);
            if bytes.len() >= RECORD_BYTES {
                put_u32(&mut bytes, 0, len);
                bytes[4] = kind;
                let _closer = decode_all(&bytes);
            }
        }
    }
}
