//! The binary records of blktrace, as `blkparse -d` merges them or one processor left them.
//!
//! A record is 48 bytes and what its last field says behind them, in the byte order of the machine, which its magic number tells:
//!
//! ```text
//!  0 magic u32 (0x65617400 | version 7)   8 time u64 ns      24 bytes u32    32 pid u32      40 cpu u32
//!  4 sequence u32                        16 sector u64       28 action u32   36 device u32   44 error u16, 46 pdu_len u16
//! ```
//!
//! Requests are queue events or, where that is wanted, issue events. A write with a flush in front is a flush and a write.
//! Source: include/uapi/linux/blktrace_api.h, described.

use std::io;

use super::super::input::Input;
use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, SECTOR_BYTES};
use super::RecordForm;
use super::blkparse::Flags;
use crate::plan::TraceEvents;

const RECORD_BYTES: usize = 48;
const MAGIC: u32 = 0x6561_7400;
const VERSION: u32 = 7;

/// The event is the lower half of an action.
const EVENT_QUEUE: u32 = 1;
const EVENT_ISSUE: u32 = 7;
/// A flag in the same half: the extra data of the record begin with the control group that asked.
const CGROUP: u32 = 1 << 8;
/// Its categories are the upper half.
const WRITE: u32 = 1 << 17;
const FLUSH: u32 = 1 << 18;
const PASS_THROUGH: u32 = 1 << 25;
const NOTIFY: u32 = 1 << 26;
const DISCARD: u32 = 1 << 29;
const FUA: u32 = 1 << 31;

/// Bits of the minor number in a device.
const MINOR_BITS: u32 = 20;

/// The form.
#[derive(Debug)]
pub(crate) struct Blktrace {
    event: u32,
    /// Told by the first record.
    is_big_endian: Option<bool>,
}

/// Could a file that begins with `head` be of this form?
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|&magic| {
        [u32::from_le_bytes(magic), u32::from_be_bytes(magic)]
            .iter()
            .any(|magic| magic & !0xff == MAGIC)
    })
}

/// Numbers of a record, in its byte order.
struct Fields<'a> {
    bytes: &'a [u8; RECORD_BYTES],
    is_big_endian: bool,
}

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn long(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

impl Blktrace {
    pub(crate) fn new(events: TraceEvents) -> Self {
        Self {
            event: match events {
                TraceEvents::Queue => EVENT_QUEUE,
                TraceEvents::Issue => EVENT_ISSUE,
            },
            is_big_endian: None,
        }
    }

    fn request(&self, fields: &Fields<'_>, notes: &mut Notes) -> Parsed {
        let action = fields.word(28);
        if action & NOTIFY != 0 || action & 0xffff & !CGROUP != self.event {
            return Parsed::Skipped;
        }
        if action & PASS_THROUGH != 0 {
            return Parsed::Lost("command passed through to the device");
        }
        let bytes = u64::from(fields.word(24));
        if bytes % SECTOR_BYTES != 0 {
            return Parsed::Malformed("its length is no number of sectors");
        }
        let flags = Flags {
            kind: Some(if action & DISCARD != 0 {
                RequestKind::Discard
            } else if action & WRITE != 0 {
                RequestKind::Write
            } else {
                RequestKind::Read
            }),
            flush_before: action & FLUSH != 0,
            through: action & FUA != 0,
        };
        let device = fields.word(36);
        let (major, minor) = (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
        let place = notes.device(&format!("{major},{minor}"));
        let asked = |kind| Request::new(fields.long(8), kind, place).by(fields.word(32));
        flags.of(asked, (fields.long(16), bytes / SECTOR_BYTES))
    }
}

impl RecordForm for Blktrace {
    fn next(&mut self, input: &mut Input, notes: &mut Notes) -> io::Result<Option<Parsed>> {
        let mut bytes = [0; RECORD_BYTES];
        if !input.record(&mut bytes)? {
            return Ok(None);
        }
        let [a, b, c, d, ..] = bytes;
        let is_big_endian = *self
            .is_big_endian
            .get_or_insert_with(|| u32::from_be_bytes([a, b, c, d]) & !0xff == MAGIC);
        let fields = Fields {
            bytes: &bytes,
            is_big_endian,
        };
        let magic = fields.word(0);
        if magic != MAGIC | VERSION {
            let wrong = if magic & !0xff == MAGIC {
                format!(
                    "version {} of blktrace; version {VERSION} is read",
                    magic & 0xff
                )
            } else {
                "it does not begin with blktrace's magic number".to_owned()
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
        }
        let parsed = self.request(&fields, notes);
        input.skip(u64::from(fields.half(46)))?;
        Ok(Some(parsed))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::trace::request::{Place, name_hash};

    const READ: u32 = 1 << 16;
    const SYNC: u32 = 1 << 19;

    struct Event {
        at_ns: u64,
        sector: u64,
        bytes: u32,
        action: u32,
        pdu: &'static [u8],
    }

    fn record(event: &Event, is_big_endian: bool) -> Vec<u8> {
        let mut all = Vec::new();
        let mut put = |bytes: &[u8]| {
            if is_big_endian {
                all.extend(bytes.iter().rev());
            } else {
                all.extend(bytes);
            }
        };
        put(&(MAGIC | VERSION).to_le_bytes());
        put(&9_u32.to_le_bytes());
        put(&event.at_ns.to_le_bytes());
        put(&event.sector.to_le_bytes());
        put(&event.bytes.to_le_bytes());
        put(&event.action.to_le_bytes());
        put(&1234_u32.to_le_bytes());
        put(&((8_u32 << MINOR_BITS) | 16).to_le_bytes());
        put(&0_u32.to_le_bytes());
        put(&0_u16.to_le_bytes());
        put(&u16::try_from(event.pdu.len()).unwrap().to_le_bytes());
        all.extend(event.pdu);
        all
    }

    fn events() -> Vec<Event> {
        let event = |at_ns, sector, bytes, action, pdu| Event {
            at_ns,
            sector,
            bytes,
            action,
            pdu,
        };
        vec![
            event(1, 0, 0, NOTIFY, b"comm"),
            event(500, 2048, 131_072, EVENT_QUEUE | WRITE, b""),
            event(600, 2048, 131_072, EVENT_ISSUE | WRITE, b"pdu of five"),
            event(700, 4096, 4096, EVENT_QUEUE | READ | SYNC, b""),
            event(
                800,
                8192,
                4096,
                EVENT_QUEUE | WRITE | FLUSH | SYNC | FUA,
                b"",
            ),
            event(900, 0, 0, EVENT_QUEUE | WRITE | FLUSH, b""),
            event(950, 8, 512, EVENT_QUEUE | WRITE | DISCARD, b""),
            event(960, 8, 512, EVENT_QUEUE | READ | PASS_THROUGH, b""),
        ]
    }

    fn all(bytes: Vec<u8>, events: TraceEvents) -> io::Result<Vec<Parsed>> {
        let mut input = Input::over(Cursor::new(bytes))?;
        let mut form = Blktrace::new(events);
        let mut all = Vec::new();
        while let Some(parsed) = form.next(&mut input, &mut Notes::default())? {
            all.push(parsed);
        }
        Ok(all)
    }

    #[test]
    fn both_byte_orders_are_read_alike() {
        for is_big_endian in [false, true] {
            let bytes: Vec<u8> = events()
                .iter()
                .flat_map(|event| record(event, is_big_endian))
                .collect();
            assert!(looks_like(&bytes));
            let found = all(bytes.clone(), TraceEvents::Queue).unwrap();
            let place = Place::Device(name_hash("8,16"));
            let request = |at_ns, kind| Request::new(at_ns, kind, place).by(1234);
            let range =
                |request: Request, sector, count| Parsed::from(request.at_sectors(sector, count));
            let through = Request {
                flush_before: true,
                through: true,
                ..request(800, RequestKind::Write)
            };
            assert_eq!(
                found,
                [
                    Parsed::Skipped,
                    range(request(500, RequestKind::Write), 2048, 256),
                    Parsed::Skipped,
                    range(request(700, RequestKind::Read), 4096, 8),
                    range(through, 8192, 8),
                    Parsed::Request(request(900, RequestKind::Flush)),
                    range(request(950, RequestKind::Discard), 8, 1),
                    Parsed::Lost("command passed through to the device"),
                ]
            );
            let issued = all(bytes, TraceEvents::Issue).unwrap();
            let requests = issued
                .iter()
                .filter(|parsed| matches!(parsed, Parsed::Request(_)));
            assert_eq!(requests.count(), 1);
        }
    }

    #[test]
    fn events_of_a_control_group_are_the_events_they_are() {
        let known = Event {
            action: EVENT_QUEUE | CGROUP | WRITE,
            pdu: b"group id",
            ..events().swap_remove(1)
        };
        let bytes = [record(&known, false), record(&events()[3], false)].concat();
        let found = all(bytes, TraceEvents::Queue).unwrap();
        let is_request = |parsed: &Parsed| matches!(parsed, Parsed::Request(_));
        assert!(
            found.len() == 2 && found.iter().all(is_request),
            "{found:?}"
        );
    }

    #[test]
    fn other_versions_strangers_and_torn_records_are_refused() {
        let sound = record(&events()[2], false);
        let mut version = sound.clone();
        version[0] = 8;
        let refused = all(version, TraceEvents::Queue).unwrap_err().to_string();
        assert!(refused.contains("version 8"), "{refused}");
        let stranger = [&sound[..], &[7; 48]].concat();
        assert!(all(stranger, TraceEvents::Queue).is_err());
        for len in 1..sound.len() {
            assert!(
                all(sound[..len].to_vec(), TraceEvents::Queue).is_err(),
                "{len}"
            );
        }
    }
}
