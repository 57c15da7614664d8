//! Files of our own: what is written comes back, from the start or from the middle, and damage of any bit is refused.

use std::io::Cursor;

use super::layout::{BLOCK_HEADER_BYTES, ITEMS_MAX, TRAILER_BYTES};
use super::writer::OwnWriter;
use super::*;
use crate::random::Dice;
use crate::trace::input::Input;
use crate::trace::notes::Notes;
use crate::trace::request::{Place, Request, RequestKind};

/// Requests of all kinds, a little out of order, some places removed and met again.
fn requests(count: u64) -> Vec<Request> {
    let kinds = [
        RequestKind::Read,
        RequestKind::Write,
        RequestKind::Write,
        RequestKind::Sync,
        RequestKind::DataSync,
        RequestKind::Flush,
        RequestKind::Discard,
        RequestKind::Truncate,
        RequestKind::Open,
        RequestKind::Create,
        RequestKind::Rename,
        RequestKind::Close,
    ];
    let mut dice = Dice::new(&[count]);
    (0..count)
        .map(|nth| {
            let kind = kinds[usize::try_from(dice.below(kinds.len() as u64)).unwrap()];
            let place = match (kind, dice.below(4)) {
                (RequestKind::Flush, _) => Place::File(0),
                (_, 0) => Place::Device(u64::MAX - dice.below(3)),
                (_, _) => Place::File(u64::MAX - dice.below(50)),
            };
            let at_ns = 1_000_000 + nth * 1000 - dice.below(3000);
            let request = Request {
                through: dice.below(2) == 0,
                flush_before: dice.below(9) == 0,
                thread: u32::try_from(dice.below(5)).unwrap(),
                took_ns: dice.below(2) * 77,
                ..Request::new(at_ns, kind, place)
            };
            let len = if kind == RequestKind::Flush {
                0
            } else {
                1 << dice.below(20)
            };
            request
                .at(dice.below(1 << 40) * u64::from(len > 0), len)
                .unwrap()
        })
        .collect()
}

fn written(requests: &[Request]) -> Vec<u8> {
    let header = TraceHeader {
        source: "a test".to_owned(),
        ..TraceHeader::default()
    };
    let mut writer = OwnWriter::new(Vec::new(), &header).unwrap();
    let mut named = std::collections::HashSet::new();
    for request in requests {
        if request.kind != RequestKind::Flush && named.insert(request.place) {
            writer
                .name(request.place, &format!("{:?}", request.place))
                .unwrap();
        }
        writer.push(request).unwrap();
    }
    let (bytes, ops) = writer.finish().unwrap();
    assert_eq!(ops, requests.len() as u64);
    bytes
}

fn rest(reader: &mut OwnReader, input: &mut Input) -> std::io::Result<Vec<Request>> {
    let mut notes = Notes::default();
    let mut all = Vec::new();
    while let Some(request) = reader.next(input, &mut notes)? {
        all.push(request);
    }
    Ok(all)
}

fn read(bytes: &[u8]) -> std::io::Result<Vec<Request>> {
    let mut input = Input::seekable(Cursor::new(bytes.to_vec()))?;
    let mut reader = OwnReader::open(&mut input)?;
    rest(&mut reader, &mut input)
}

/// The same with places by number, in the order in which they were met.
fn numbered(requests: &[Request]) -> Vec<Request> {
    let mut met = Vec::new();
    requests
        .iter()
        .map(|request| {
            if request.kind == RequestKind::Flush {
                return *request;
            }
            let known = met.iter().position(|place| *place == request.place);
            let number = known.unwrap_or_else(|| {
                met.push(request.place);
                met.len() - 1
            }) as u64;
            let place = match request.place {
                Place::Device(_) => Place::Device(number),
                Place::File(_) => Place::File(number),
            };
            Request { place, ..*request }
        })
        .collect()
}

#[test]
fn requests_come_back_to_the_bit() {
    for count in [0, 1, 1000, u64::from(ITEMS_MAX) + 1] {
        let requests = requests(count);
        let bytes = written(&requests);
        assert!(looks_like(&bytes));
        assert_eq!(read(&bytes).unwrap(), numbered(&requests), "{count}");
    }
}

#[test]
fn names_come_back() {
    let requests = requests(500);
    let bytes = written(&requests);
    let mut input = Input::over(Cursor::new(bytes)).unwrap();
    let mut reader = OwnReader::open(&mut input).unwrap();
    assert_eq!(reader.header().source, "a test");
    let mut notes = Notes::default();
    notes.keep_names();
    let mut names = std::collections::HashMap::new();
    for request in &requests {
        let found = reader.next(&mut input, &mut notes).unwrap().unwrap();
        names.extend(notes.take_names());
        if request.kind != RequestKind::Flush {
            assert_eq!(names[&found.place], format!("{:?}", request.place));
        }
    }
}

#[test]
fn it_is_read_from_the_middle() {
    let requests = requests(u64::from(ITEMS_MAX) * 3 + 5);
    let numbered = numbered(&requests);
    let bytes = written(&requests);
    let clock = |op: usize| requests[..op].iter().map(|r| r.at_ns).max().unwrap_or(0);
    for op in [
        0,
        7,
        ITEMS_MAX - 1,
        ITEMS_MAX,
        ITEMS_MAX * 2 + 9,
        ITEMS_MAX * 9,
    ] {
        let mut input = Input::seekable(Cursor::new(bytes.clone())).unwrap();
        let mut reader = OwnReader::open(&mut input).unwrap();
        let clock_ns = reader.seek(&mut input, u64::from(op), u64::MAX).unwrap();
        let begin = usize::try_from(reader.next_op()).unwrap();
        assert_eq!(
            begin,
            usize::try_from((op / ITEMS_MAX).min(3) * ITEMS_MAX).unwrap()
        );
        assert_eq!(clock_ns, clock(begin));
        assert_eq!(rest(&mut reader, &mut input).unwrap(), numbered[begin..]);
    }
    // By time: nothing at or after it is left out.
    let at_ns = clock(usize::try_from(ITEMS_MAX).unwrap() * 2) + 1;
    let mut input = Input::seekable(Cursor::new(bytes.clone())).unwrap();
    let mut reader = OwnReader::open(&mut input).unwrap();
    assert!(reader.seek(&mut input, u64::MAX, at_ns).unwrap() < at_ns);
    assert_eq!(reader.next_op(), u64::from(ITEMS_MAX) * 2);
    // What cannot be sought in is read from where it is.
    let mut input = Input::over(Cursor::new(bytes)).unwrap();
    let mut reader = OwnReader::open(&mut input).unwrap();
    assert_eq!(reader.seek(&mut input, 70_000, u64::MAX).unwrap(), 0);
    assert_eq!(rest(&mut reader, &mut input).unwrap(), numbered);
}

#[test]
fn a_changed_bit_or_a_missing_end_is_refused() {
    let bytes = written(&requests(200));
    let sound = read(&bytes).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        // Of the header's JSON and of what is reserved a checksum tells as well: nothing is read otherwise than it was.
        match read(&damaged) {
            Err(_) => {}
            Ok(found) => panic!("byte {at}: {} of {} requests", found.len(), sound.len()),
        }
        assert!(read(&bytes[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn sound_checksums_over_wrong_numbers_are_refused() {
    // A block that says it has more operations than it holds, and one whose operations are of no kind.
    let bytes = written(&requests(3));
    let header_len = usize::try_from(layout::word(&bytes, 12)).unwrap();
    let mut offset = 24 + header_len;
    let mut headers = Vec::new();
    while offset + TRAILER_BYTES < bytes.len() {
        let head: [u8; BLOCK_HEADER_BYTES] = bytes[offset..offset + BLOCK_HEADER_BYTES]
            .try_into()
            .unwrap();
        let header = layout::BlockHeader::decode(&head).unwrap();
        headers.push((offset, header));
        offset += BLOCK_HEADER_BYTES + usize::try_from(header.packed_bytes).unwrap();
    }
    assert_eq!(headers.len(), 3, "names, operations, index");
    for (offset, header) in headers {
        let packed_at = offset + BLOCK_HEADER_BYTES;
        let packed =
            bytes[packed_at..packed_at + usize::try_from(header.packed_bytes).unwrap()].to_vec();
        for wrong in [
            layout::BlockHeader {
                items: header.items + 1,
                ..header
            },
            layout::BlockHeader {
                plain_bytes: header.plain_bytes + 1,
                ..header
            },
            layout::BlockHeader {
                first_op: header.first_op + 1,
                ..header
            },
        ] {
            let mut forged = bytes.clone();
            forged[offset..packed_at].copy_from_slice(&wrong.encode(&packed));
            let mut input = Input::seekable(Cursor::new(forged.clone())).unwrap();
            let mut reader = OwnReader::open(&mut input).unwrap();
            let sought = reader.seek(&mut input, u64::MAX, u64::MAX);
            assert!(sought.is_err() || read(&forged).is_err(), "{wrong:?}");
        }
    }
}

#[test]
fn a_file_of_version_1_is_read_and_knows_no_fdatasync() {
    let of_first = |requests: &[Request]| {
        let mut bytes = written(requests);
        bytes[8..10].copy_from_slice(&1_u16.to_le_bytes());
        read(&bytes)
    };
    let mut older = requests(3000);
    older.retain(|request| request.kind != RequestKind::DataSync);
    assert_eq!(of_first(&older).unwrap(), numbered(&older));
    let newer = [Request::new(1, RequestKind::DataSync, Place::File(3))];
    let error = of_first(&newer).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}
