//! Records of the log out of numbers: every kind the encoder knows, with fields that are right, that are of
//! something else, and that nothing can have.
//!
//! Made by the encoder, so that a new kind or field is drawn as soon as it is there. Not here: what becomes of
//! them (image).

use std::borrow::Cow;

use crate::log::format as log_format;
use crate::log::{DataNumber, LoggedBytes, LoggedPage, Record, SizeChange};
use crate::meta::{CODEC_RAW, NewExtent};
use crate::units::{
    DiskExtent, DiskOffset, FileId, FileRange, Generation, PAGE_LEN, PageIndex, SECTOR_BYTES,
};

/// What a record is made of; each kind takes what it has.
#[derive(Debug, Clone, Default)]
pub struct AnyRecord {
    /// Chooses the kind.
    pub kind: u8,
    /// Chooses whether the size stays, grows or is set; above 2 it stays.
    pub size_kind: u8,
    /// The file.
    pub file: u64,
    /// The generation it belongs to.
    pub generation: u64,
    /// A size of the file.
    pub size_bytes: u64,
    /// Where in the file something begins.
    pub start: u64,
    /// Plain bytes from there on.
    pub ram_bytes: u32,
    /// A place on the device.
    pub disk_start: u64,
    /// Stored sectors.
    pub disk_sectors: u8,
    /// The number of a page, or the bound of those that are older.
    pub number: u64,
    /// Chooses a name.
    pub name: u8,
}

/// Kinds of record that there are.
const KINDS: u8 = 8;

impl AnyRecord {
    fn record(&self) -> Record<'static> {
        let file = FileId(self.file);
        let data_before = DataNumber(self.number);
        let size = match self.size_kind {
            1 => SizeChange::Grow(self.size_bytes),
            2 => SizeChange::Set(self.size_bytes),
            _ => SizeChange::Keep,
        };
        let end = self.start.saturating_add(u64::from(self.ram_bytes));
        let range = FileRange::new(self.start, end);
        match self.kind % KINDS {
            0 => Record::Create {
                file,
                name: self.name(),
            },
            1 => Record::Rename {
                file,
                name: self.name(),
            },
            2 => Record::Orphan { file },
            3 => Record::Remove { file },
            4 => Record::Finish {
                file,
                extent: Cow::Owned(self.extent(range)),
                size,
                data_before,
            },
            5 => Record::Cut {
                file,
                range,
                size,
                data_before,
            },
            6 => Record::Home {
                file,
                range,
                data_before,
            },
            _ => Record::Data(Cow::Owned(LoggedPage {
                file,
                page: PageIndex::of(self.start),
                number: DataNumber(self.number),
                size_bytes: self.size_bytes,
                bytes: LoggedBytes::Read([self.name; PAGE_LEN].as_slice().into()),
            })),
        }
    }

    /// A name that is free, or one that a file of the sound volume has.
    fn name(&self) -> Cow<'static, str> {
        match self.name % 5 {
            0 => "00000000000000000003".into(),
            1 => "00000000000000000004".into(),
            n => char::from(b'a' + n).to_string().into(),
        }
    }

    fn extent(&self, range: FileRange) -> NewExtent {
        let ram_bytes = u64::from(self.ram_bytes);
        let disk = DiskExtent {
            start: DiskOffset(self.disk_start),
            bytes: u64::from(self.disk_sectors) * SECTOR_BYTES,
        };
        let is_raw = disk.bytes == ram_bytes;
        let zeros = crc32c::crc32c(&[0; PAGE_LEN]);
        NewExtent {
            range,
            disk,
            ram_bytes,
            codec: if is_raw { CODEC_RAW } else { 3 },
            checksums: vec![zeros; usize::from(self.disk_sectors)],
        }
    }
}

/// The bytes of these records, one behind the other.
pub fn encode_records(records: &[AnyRecord]) -> Vec<u8> {
    let mut payload = Vec::new();
    for record in records {
        log_format::encode(
            &record.record(),
            Generation(record.generation),
            &mut payload,
        );
    }
    payload
}

/// The kinds of record that `payload` decodes to, by their numbers on the device; none where it is refused.
pub fn kinds_of_records(payload: &[u8]) -> Vec<u8> {
    let records = log_format::decode_all(payload).unwrap_or_default();
    let kind = |(generation, record): &(Generation, Record<'static>)| {
        let mut bytes = Vec::new();
        log_format::encode(record, *generation, &mut bytes);
        bytes[4]
    };
    records.iter().map(kind).collect()
}

/// Cuts `payload`, which decodes, into runs of records of about equal bytes.
pub(super) fn cut(payload: &[u8], runs: usize) -> Vec<&[u8]> {
    let run_bytes = payload.len().div_ceil(runs);
    let (mut found, mut rest, mut at) = (Vec::new(), payload, 0);
    while at < rest.len() {
        let bytes: [u8; 4] = *rest[at..].first_chunk().expect("it decodes");
        at += usize::try_from(u32::from_le_bytes(bytes)).expect("it decodes");
        if at >= run_bytes || at == rest.len() {
            let (run, behind) = rest.split_at(at);
            found.push(run);
            (rest, at) = (behind, 0);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_decodes() {
        let records: Vec<AnyRecord> = (0..KINDS)
            .map(|kind| AnyRecord {
                kind,
                size_kind: 1,
                ram_bytes: 8192,
                disk_start: 1 << 20,
                disk_sectors: 2,
                ..AnyRecord::default()
            })
            .collect();
        let payload = encode_records(&records);
        assert_eq!(kinds_of_records(&payload), [1, 2, 3, 4, 5, 6, 9, 7]);
        for runs in 1..10 {
            let cut = cut(&payload, runs);
            assert!(cut.len() <= runs, "{runs}");
            assert_eq!(cut.concat(), payload);
        }
    }
}
