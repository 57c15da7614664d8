//! Five columns of text, blanks between them: `ts_ms device offset_bytes size_bytes type`, type 1 for a read and 0 for a write.
//!
//! It looks like DiskSim's ASCII form, whose addresses and sizes are blocks; in this one they are bytes.
//! Source: the traces of ucare-uchicago/Heimdall.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, decimal_ns};
use super::LineForm;

/// The form.
pub(crate) struct Heimdall;

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    split(line).is_some_and(|[time, device, offset, size, kind]| {
        decimal_ns(time, 1_000_000).is_some()
            && [device, offset, size]
                .iter()
                .all(|n| n.parse::<u64>().is_ok())
            && matches!(kind, "0" | "1")
    })
}

fn split(line: &str) -> Option<[&str; 5]> {
    let mut fields = line.split_ascii_whitespace();
    let mut next = || fields.next();
    let five = [next()?, next()?, next()?, next()?, next()?];
    next().is_none().then_some(five)
}

impl LineForm for Heimdall {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let Some([time, device, offset, size, kind]) = split(line) else {
            return Parsed::Malformed("it has not five fields");
        };
        let kind = match kind {
            "1" => RequestKind::Read,
            "0" => RequestKind::Write,
            _ => return Parsed::Malformed("the type is neither 0 nor 1"),
        };
        let Some(at_ns) = decimal_ns(time, 1_000_000) else {
            return Parsed::Malformed("the time is no number");
        };
        let (Ok(offset), Ok(bytes)) = (offset.parse(), size.parse()) else {
            return Parsed::Malformed("offset and size are no numbers");
        };
        let place = notes.device(device);
        Request::new(at_ns, kind, place).at(offset, bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;

    #[test]
    fn milliseconds_and_bytes_are_read() {
        let found = requests(
            &mut Heimdall,
            "0.000 0 11562803200 4096 1\n223.412 0 512 36864 0\n",
        );
        let seen: Vec<_> = found
            .iter()
            .map(|r| (r.at_ns, r.kind, r.offset, r.bytes))
            .collect();
        let expected = [
            (0, RequestKind::Read, 11_562_803_200, 4096),
            (223_412_000, RequestKind::Write, 512, 36_864),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(looks_like("0.000 0 11562803200 4096 1"));
        let (all, _) = parsed(
            &mut Heimdall,
            "0 0 0 1 2\n0 0 0 1\n0 0 0 1 1 1\nx 0 0 1 1\n0 0 -1 1 1\n",
        );
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
