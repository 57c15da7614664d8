//! What is inside a block: operations, names, places of other blocks.
//!
//! Numbers are LEB128, signed ones zigzag. An operation is one byte of kind and flags, then time, file, thread, offset, bytes and,
//! if flagged, how long it took. Times count from the one before, offsets from where the one before ended.

use super::layout::{ITEMS_MAX, PLAIN_BYTES_MAX};
use crate::trace::request::{Place, Request, RequestKind};

/// Flags beside the kind.
const FLUSH_BEFORE: u8 = 1 << 4;
const THROUGH: u8 = 1 << 5;
const DEVICE: u8 = 1 << 6;
const TOOK: u8 = 1 << 7;

/// Numbers of kinds, which are in files: they never change.
const KINDS: [RequestKind; 12] = [
    RequestKind::Read,
    RequestKind::Write,
    RequestKind::Sync,
    RequestKind::Flush,
    RequestKind::Discard,
    RequestKind::Truncate,
    RequestKind::Open,
    RequestKind::Create,
    RequestKind::Remove,
    RequestKind::Rename,
    RequestKind::Close,
    RequestKind::DataSync,
];
/// So many of them are in files of version 1.
const KINDS_V1: usize = 11;
const _: () = assert!(KINDS.len() <= 16, "a kind has four bits");

/// A number of ten bytes at most, six of them and a flag byte.
const OP_BYTES_MAX: u32 = 61;
const _: () = assert!(OP_BYTES_MAX * ITEMS_MAX <= PLAIN_BYTES_MAX);

/// From one operation to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) at_ns: u64,
    end: u64,
    /// Kinds from this number on are none.
    kind_count: usize,
}

impl Chain {
    /// Times count from here.
    pub(super) fn from(clock_ns: u64) -> Self {
        Self {
            at_ns: clock_ns,
            end: 0,
            kind_count: KINDS.len(),
        }
    }

    /// The same in a file of `version`.
    pub(super) fn of_version(self, version: u16) -> Self {
        let kind_count = if version == 1 { KINDS_V1 } else { KINDS.len() };
        Self { kind_count, ..self }
    }

    /// Puts an operation at the end of `bytes`; its place is a number already.
    pub(super) fn put(&mut self, request: &Request, bytes: &mut Vec<u8>) {
        let kind = KINDS.iter().position(|kind| *kind == request.kind);
        let kind = u8::try_from(kind.expect("every kind has a number")).expect("below 16");
        let (file, is_device) = match request.place {
            Place::Device(number) => (number, true),
            Place::File(number) => (number, false),
        };
        let flag = |flag, is_set: bool| if is_set { flag } else { 0 };
        bytes.push(
            kind | flag(FLUSH_BEFORE, request.flush_before)
                | flag(THROUGH, request.through)
                | flag(DEVICE, is_device)
                | flag(TOOK, request.took_ns > 0),
        );
        put_number(bytes, zigzag(self.at_ns, request.at_ns));
        put_number(bytes, file);
        put_number(bytes, u64::from(request.thread));
        put_number(bytes, zigzag(self.end, request.offset));
        put_number(bytes, request.bytes);
        if request.took_ns > 0 {
            put_number(bytes, request.took_ns);
        }
        self.at_ns = request.at_ns;
        self.end = request.offset + request.bytes;
    }

    /// Takes an operation from the front of `bytes`; none where they are none.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<Request> {
        let (&head, rest) = bytes.split_first()?;
        *bytes = rest;
        let kind = *KINDS[..self.kind_count].get(usize::from(head & 0xf))?;
        let at_ns = unzigzag(self.at_ns, take_number(bytes)?);
        let file = u64::from(u32::try_from(take_number(bytes)?).ok()?);
        let thread = u32::try_from(take_number(bytes)?).ok()?;
        let offset = unzigzag(self.end, take_number(bytes)?);
        let len = take_number(bytes)?;
        let took_ns = if head & TOOK == 0 {
            0
        } else {
            take_number(bytes)?
        };
        let place = if head & DEVICE == 0 {
            Place::File(file)
        } else {
            Place::Device(file)
        };
        let request = Request {
            flush_before: head & FLUSH_BEFORE != 0,
            through: head & THROUGH != 0,
            thread,
            took_ns,
            ..Request::new(at_ns, kind, place)
        };
        let request = request.at(offset, len).ok()?;
        self.at_ns = at_ns;
        self.end = offset + len;
        Some(request)
    }
}

/// Puts a name at the end of `bytes`; its place is a number already.
pub(super) fn put_name(bytes: &mut Vec<u8>, place: Place, name: &str) {
    let (number, is_device) = match place {
        Place::Device(number) => (number, 1),
        Place::File(number) => (number, 0),
    };
    put_number(bytes, number << 1 | is_device);
    put_number(bytes, name.len() as u64);
    bytes.extend(name.as_bytes());
}

/// Takes a name from the front of `bytes`; none where they are none.
pub(super) fn take_name<'a>(bytes: &mut &'a [u8]) -> Option<(Place, &'a str)> {
    let tagged = take_number(bytes)?;
    let number = u64::from(u32::try_from(tagged >> 1).ok()?);
    let place = if tagged & 1 == 1 {
        Place::Device(number)
    } else {
        Place::File(number)
    };
    let len = usize::try_from(take_number(bytes)?).ok()?;
    let (name, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some((place, std::str::from_utf8(name).ok()?))
}

pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The way from one number to another, small either way. It wraps, so that every pair has one.
fn zigzag(from: u64, to: u64) -> u64 {
    let way = to.wrapping_sub(from).cast_signed();
    ((way << 1) ^ (way >> 63)).cast_unsigned()
}

fn unzigzag(from: u64, way: u64) -> u64 {
    let magnitude = way >> 1;
    from.wrapping_add(if way & 1 == 0 { magnitude } else { !magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_come_back() {
        for number in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX / 2,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert!(bytes.len() <= 10);
            assert_eq!(take_number(&mut &bytes[..]), Some(number));
            assert_eq!(take_number(&mut &bytes[..bytes.len() - 1]), None);
            for from in [0, 5, u64::MAX] {
                assert_eq!(unzigzag(from, zigzag(from, number)), number);
            }
        }
        assert_eq!(take_number(&mut &[0xff; 9][..]), None);
        let mut too_large = vec![0xff; 9];
        too_large.push(2);
        assert_eq!(take_number(&mut &too_large[..]), None);
        assert!(zigzag(10, 9) < 4 && zigzag(9, 10) < 4);
    }

    #[test]
    fn an_operation_comes_back_and_a_wrong_one_does_not() {
        let place = Place::Device(7);
        let mut bytes = Vec::new();
        let mut chain = Chain::from(1000);
        let asked = Request {
            flush_before: true,
            through: true,
            thread: u32::MAX,
            took_ns: u64::MAX,
            ..Request::new(10, RequestKind::Write, place)
        };
        let asked = asked.at(4096, 512).unwrap();
        chain.put(&asked, &mut bytes);
        assert_eq!(Chain::from(1000).take(&mut &bytes[..]), Some(asked));
        for len in 0..bytes.len() {
            assert_eq!(Chain::from(1000).take(&mut &bytes[..len]), None, "{len}");
        }
        let data_sync = Request::new(10, RequestKind::DataSync, Place::File(7));
        let mut newer = Vec::new();
        Chain::from(0).put(&data_sync, &mut newer);
        assert_eq!(Chain::from(0).take(&mut &newer[..]), Some(data_sync));
        let mut of_first = Chain::from(0).of_version(1);
        assert_eq!(
            of_first.take(&mut &newer[..]),
            None,
            "version 1 has no such kind"
        );
        bytes[0] |= 0xf;
        assert_eq!(
            Chain::from(1000).take(&mut &bytes[..]),
            None,
            "no such kind"
        );
    }
}
