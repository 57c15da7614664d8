//! The binary records of CloudPhysics (VMware's vscsiStats), version 1: 32 bytes each, little-endian.
//!
//! ```text
//!  0 serial u32   4 bytes u32   8 pieces u32   12 command u16   14 version u16 (0x0100)   16 block u64 (512 B)   24 time u64 us
//! ```
//!
//! Commands are SCSI's: the reads, the writes and the synchronise-cache commands of all lengths are requests, others are
//! lost. Source: libCacheSim's reader, described.

use std::io;

use super::super::input::Input;
use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, SECTOR_BYTES, TOO_FAR};
use super::RecordForm;

const RECORD_BYTES: usize = 32;
/// The upper byte of the version field.
const VERSION: u16 = 1;

/// The form.
pub(crate) struct Vscsi;

/// Could a file that begins with `head` be of this form?
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.first_chunk::<RECORD_BYTES>().is_some_and(|record| {
        let fields = Fields::of(record);
        fields.version >> 8 == VERSION && kind_of(fields.command).is_some()
    })
}

struct Fields {
    bytes: u32,
    command: u16,
    version: u16,
    block: u64,
    time_us: u64,
}

impl Fields {
    fn of(record: &[u8; RECORD_BYTES]) -> Self {
        fn array<const N: usize>(record: &[u8; RECORD_BYTES], at: usize) -> [u8; N] {
            record[at..at + N].try_into().expect("within the record")
        }
        Self {
            bytes: u32::from_le_bytes(array(record, 4)),
            command: u16::from_le_bytes(array(record, 12)),
            version: u16::from_le_bytes(array(record, 14)),
            block: u64::from_le_bytes(array(record, 16)),
            time_us: u64::from_le_bytes(array(record, 24)),
        }
    }
}

/// READ, WRITE and SYNCHRONIZE CACHE of 6, 10, 12 and 16 bytes.
fn kind_of(command: u16) -> Option<RequestKind> {
    match command {
        0x08 | 0x28 | 0xa8 | 0x88 => Some(RequestKind::Read),
        0x0a | 0x2a | 0xaa | 0x8a => Some(RequestKind::Write),
        0x35 | 0x91 => Some(RequestKind::Flush),
        _ => None,
    }
}

impl RecordForm for Vscsi {
    fn next(&mut self, input: &mut Input, notes: &mut Notes) -> io::Result<Option<Parsed>> {
        let mut record = [0; RECORD_BYTES];
        if !input.record(&mut record)? {
            return Ok(None);
        }
        let fields = Fields::of(&record);
        if fields.version >> 8 != VERSION {
            return Ok(Some(Parsed::Malformed("its version is not 1")));
        }
        let Some(kind) = kind_of(fields.command) else {
            return Ok(Some(Parsed::Lost(
                "SCSI command that neither reads, writes nor flushes",
            )));
        };
        let Some(at_ns) = fields.time_us.checked_mul(1000) else {
            return Ok(Some(Parsed::Malformed(
                "its time is beyond the end of time",
            )));
        };
        let request = Request::new(at_ns, kind, notes.device("vscsi"));
        if kind == RequestKind::Flush {
            return Ok(Some(Parsed::Request(request)));
        }
        let Some(offset) = fields.block.checked_mul(SECTOR_BYTES) else {
            return Ok(Some(Parsed::Malformed(TOO_FAR)));
        };
        Ok(Some(request.at(offset, u64::from(fields.bytes)).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn record(bytes: u32, command: u16, version: u16, block: u64, time_us: u64) -> Vec<u8> {
        let mut record = 7_u32.to_le_bytes().to_vec();
        record.extend(bytes.to_le_bytes());
        record.extend(1_u32.to_le_bytes());
        record.extend(command.to_le_bytes());
        record.extend(version.to_le_bytes());
        record.extend(block.to_le_bytes());
        record.extend(time_us.to_le_bytes());
        record
    }

    fn all(bytes: Vec<u8>) -> io::Result<Vec<Parsed>> {
        let mut input = Input::over(Cursor::new(bytes))?;
        let mut all = Vec::new();
        while let Some(parsed) = Vscsi.next(&mut input, &mut Notes::default())? {
            all.push(parsed);
        }
        Ok(all)
    }

    #[test]
    fn commands_are_requests() {
        let bytes = [
            record(512, 0x2a, 0x100, 42_932_745, 5_633_898_368_802),
            record(4096, 0x28, 0x100, 8, 5_633_898_368_803),
            record(0, 0x35, 0x100, 0, 5_633_898_368_804),
            record(0, 0x42, 0x100, 0, 5_633_898_368_805),
            record(0, 0x28, 0x200, 0, 0),
            record(1, 0x28, 0x100, u64::MAX, 0),
        ]
        .concat();
        assert!(looks_like(&bytes));
        let found = all(bytes).unwrap();
        let Parsed::Request(write) = found[0] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (write.at_ns, write.kind, write.offset, write.bytes),
            (
                5_633_898_368_802_000,
                RequestKind::Write,
                42_932_745 * 512,
                512
            )
        );
        assert!(matches!(found[1], Parsed::Request(r) if r.kind == RequestKind::Read));
        assert!(matches!(found[2], Parsed::Request(r) if r.kind == RequestKind::Flush));
        assert!(matches!(found[3], Parsed::Lost(_)));
        assert!(matches!(found[4], Parsed::Malformed(_)));
        assert!(matches!(found[5], Parsed::Malformed(_)));
        assert!(all(record(0, 0, 0, 0, 0)[..31].to_vec()).is_err());
    }
}
