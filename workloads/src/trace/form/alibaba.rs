//! Alibaba's block traces: `device_id,opcode,offset,length,timestamp`.
//!
//! The operation is `R` or `W`, offset and length are bytes, the time is microseconds of the Unix clock. Source: README of
//! alibaba/block-traces.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, decimal_ns};
use super::{LineForm, fields};

/// The form.
pub(crate) struct Alibaba;

/// Some copies begin with the names of the columns.
pub(crate) fn is_header(line: &str) -> bool {
    fields::<5>(line).is_some_and(|fields| fields[0] == "device_id")
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    is_header(line)
        || fields::<5>(line).is_some_and(|[device, opcode, numbers @ ..]| {
            matches!(opcode, "R" | "W")
                && device.parse::<u32>().is_ok()
                && numbers.iter().all(|number| number.parse::<u64>().is_ok())
        })
}

impl LineForm for Alibaba {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let Some([device, opcode, offset, length, time]) = fields::<5>(line) else {
            return Parsed::Malformed("it has not five fields");
        };
        let kind = match opcode {
            "R" => RequestKind::Read,
            "W" => RequestKind::Write,
            _ => return Parsed::Malformed("the operation is neither R nor W"),
        };
        let Some(at_ns) = decimal_ns(time, 1000) else {
            return Parsed::Malformed("the time is no number");
        };
        let (Ok(offset), Ok(bytes)) = (offset.parse(), length.parse()) else {
            return Parsed::Malformed("offset and length are no numbers");
        };
        let place = notes.device(device);
        Request::new(at_ns, kind, place).at(offset, bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;
    use crate::trace::request::{Place, name_hash};

    #[test]
    fn a_line_is_read() {
        let found = requests(&mut Alibaba, "0,R,126703644672,4096,1577808000000626\n");
        let read = Request {
            offset: 126_703_644_672,
            bytes: 4096,
            ..Request::new(
                1_577_808_000_000_626_000,
                RequestKind::Read,
                Place::Device(name_hash("0")),
            )
        };
        assert_eq!(found, [read]);
    }

    #[test]
    fn it_is_told_from_others_and_what_is_wrong_is_said() {
        assert!(looks_like("0,R,126703644672,4096,1577808000000626"));
        assert!(is_header("device_id,opcode,offset,length,timestamp"));
        assert!(!looks_like("0,20941264,8192,W,0.551706"));
        let (all, _) = parsed(&mut Alibaba, "0,r,0,1,1\n0,R,0,1\n0,R,x,1,1\n0,R,0,1,x\n");
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
