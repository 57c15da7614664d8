//! The SPC trace file format, in which UMass publishes its storage traces: `ASU,LBA,Size,Opcode,Timestamp[,...]`.
//!
//! Addresses are blocks of 512 bytes of their unit (ASU), sizes are bytes, the operation is R or W in either case, times are
//! seconds from the start. Source: SPC Trace File Format Specification 1.0.1.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, SECTOR_BYTES, TOO_FAR, decimal_ns};
use super::LineForm;

/// The form.
pub(crate) struct Spc;

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    split(line).is_some_and(|[asu, lba, size, opcode, time]| {
        kind_of(opcode).is_some()
            && [asu, lba, size].iter().all(|n| n.parse::<u64>().is_ok())
            && decimal_ns(time, 1_000_000_000).is_some()
    })
}

/// The five fields that mean something; more may follow.
fn split(line: &str) -> Option<[&str; 5]> {
    let mut fields = line.split(',').map(str::trim);
    let mut next = || fields.next();
    Some([next()?, next()?, next()?, next()?, next()?])
}

fn kind_of(opcode: &str) -> Option<RequestKind> {
    match opcode {
        "R" | "r" => Some(RequestKind::Read),
        "W" | "w" => Some(RequestKind::Write),
        _ => None,
    }
}

impl LineForm for Spc {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let Some([asu, lba, size, opcode, time]) = split(line) else {
            return Parsed::Malformed("it has not five fields");
        };
        let Some(kind) = kind_of(opcode) else {
            return Parsed::Malformed("the operation is neither R nor W");
        };
        let Some(at_ns) = decimal_ns(time, 1_000_000_000) else {
            return Parsed::Malformed("the time is no number");
        };
        let (Ok(lba), Ok(bytes)) = (lba.parse::<u64>(), size.parse()) else {
            return Parsed::Malformed("address and size are no numbers");
        };
        let Some(offset) = lba.checked_mul(SECTOR_BYTES) else {
            return Parsed::Malformed(TOO_FAR);
        };
        let place = notes.device(asu);
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
        let found = requests(
            &mut Spc,
            "0,20941264,8192,W,0.551706\n 1 , 8 , 512 , r , 0.6 , extra\n",
        );
        let write = Request {
            offset: 20_941_264 * 512,
            bytes: 8192,
            ..Request::new(
                551_706_000,
                RequestKind::Write,
                Place::Device(name_hash("0")),
            )
        };
        assert_eq!(found[0], write);
        assert_eq!((found[1].kind, found[1].offset), (RequestKind::Read, 4096));
    }

    #[test]
    fn it_is_told_from_others_and_what_is_wrong_is_said() {
        assert!(looks_like("0,20941264,8192,W,0.551706"));
        assert!(!looks_like("0,R,126703644672,4096,1577808000000626"));
        let far = format!("0,{},1,R,1\n", u64::MAX);
        let (all, _) = parsed(
            &mut Spc,
            &format!("0,0,1,X,1\n0,0,1,R\n0,x,1,R,1\n0,0,1,R,x\n{far}"),
        );
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
