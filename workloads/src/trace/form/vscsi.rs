//! The binary records of CloudPhysics (VMware's vscsiStats), little-endian, 32 bytes each in version 1 and 40 in
//! version 2.
//!
//! ```text
//! 1:  0 serial u32   4 bytes u32   8 pieces u32   12 command u16   14 version u16 (0x0100)   16 block u64 (512 B)   24 time u64 us
//! 2:  0 command u16  2 version u16 (0x0200)  4 serial u32  8 bytes u32  12 pieces u32  16 block u64  24 time u64 us  32 response u64 us
//! ```
//!
//! The first record tells the version of all; what took how long is passed over. Commands are SCSI's: the reads, the writes and the synchronise-cache commands of all lengths are requests, others are
//! lost. Source: libCacheSim's reader, described.

use std::io;

use super::super::input::Input;
use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, SECTOR_BYTES, TOO_FAR};
use super::RecordForm;

/// What both versions have, in other places.
const COMMON_BYTES: usize = 32;
/// Version 2 goes on with the response time.
const RESPONSE_BYTES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The form.
#[derive(Default)]
pub(crate) struct Vscsi {
    version: Option<Version>,
}

/// Could a file that begins with `head` be of this form?
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.first_chunk::<COMMON_BYTES>().is_some_and(|record| {
        Version::of(record).is_some_and(|version| {
            let fields = Fields::of(record, version);
            kind_of(fields.command).is_some()
        })
    })
}

fn array<const N: usize>(record: &[u8; COMMON_BYTES], at: usize) -> [u8; N] {
    record[at..at + N].try_into().expect("within the record")
}

impl Version {
    /// Which one `record` is of.
    fn of(record: &[u8; COMMON_BYTES]) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|version| version.is_of(record))
    }

    /// The upper byte of the version field says so.
    fn is_of(self, record: &[u8; COMMON_BYTES]) -> bool {
        match self {
            Self::One => u16::from_le_bytes(array(record, 14)) >> 8 == 1,
            Self::Two => u16::from_le_bytes(array(record, 2)) >> 8 == 2,
        }
    }
}

struct Fields {
    bytes: u32,
    command: u16,
    block: u64,
    time_us: u64,
}

impl Fields {
    fn of(record: &[u8; COMMON_BYTES], version: Version) -> Self {
        let (bytes_at, command_at) = match version {
            Version::One => (4, 12),
            Version::Two => (8, 0),
        };
        Self {
            bytes: u32::from_le_bytes(array(record, bytes_at)),
            command: u16::from_le_bytes(array(record, command_at)),
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
        let mut record = [0; COMMON_BYTES];
        if !input.record(&mut record)? {
            return Ok(None);
        }
        let Some(version) = self.version.or_else(|| Version::of(&record)) else {
            return Ok(Some(Parsed::Malformed("its version is neither 1 nor 2")));
        };
        self.version = Some(version);
        if version == Version::Two {
            input.rest(&mut [0; RESPONSE_BYTES])?;
        }
        if !version.is_of(&record) {
            return Ok(Some(Parsed::Malformed(
                "its version is not that of the first",
            )));
        }
        let fields = Fields::of(&record, version);
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

    fn newer(bytes: u32, command: u16, block: u64, time_us: u64) -> Vec<u8> {
        let mut record = command.to_le_bytes().to_vec();
        record.extend(0x200_u16.to_le_bytes());
        for field in [7, bytes, 1] {
            record.extend(field.to_le_bytes());
        }
        for field in [block, time_us, 350] {
            record.extend(field.to_le_bytes());
        }
        record
    }

    fn all(bytes: Vec<u8>) -> io::Result<Vec<Parsed>> {
        let mut input = Input::over(Cursor::new(bytes))?;
        let mut all = Vec::new();
        let mut form = Vscsi::default();
        while let Some(parsed) = form.next(&mut input, &mut Notes::default())? {
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
    #[test]
    fn records_of_version_2_are_longer() {
        let bytes = [
            newer(4096, 0x28, 8, 1000),
            newer(512, 0x2a, 16, 1001),
            record(512, 0x2a, 0x100, 24, 1002),
            vec![0; RESPONSE_BYTES],
            newer(1024, 0x2a, 32, 1003),
        ]
        .concat();
        assert!(looks_like(&bytes));
        let found = all(bytes).unwrap();
        let requests: Vec<_> = found
            .iter()
            .filter_map(|parsed| match parsed {
                Parsed::Request(r) => Some((r.at_ns, r.kind, r.offset, r.bytes)),
                _ => None,
            })
            .collect();
        assert_eq!(
            requests,
            [
                (1_000_000, RequestKind::Read, 4096, 4096),
                (1_001_000, RequestKind::Write, 8192, 512),
                (1_003_000, RequestKind::Write, 16_384, 1024),
            ]
        );
        assert!(matches!(found[2], Parsed::Malformed(_)));
        assert!(all(newer(0, 0x28, 0, 0)[..39].to_vec()).is_err());
    }
}
