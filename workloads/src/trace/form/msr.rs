//! MSR Cambridge's block traces and others at SNIA in their form: `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`.
//!
//! Times are Windows FILETIME, 100 ns since 1601; offsets and sizes are bytes. A disk number means something together with
//! its host alone. Source: README of SNIA IOTTA trace set 387.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind};
use super::{LineForm, fields};

/// Its unit of time.
const TICK_NS: u64 = 100;

/// The form.
pub(crate) struct Msr;

/// Some copies begin with the names of the columns.
pub(crate) fn is_header(line: &str) -> bool {
    fields::<7>(line).is_some_and(|fields| fields[0].eq_ignore_ascii_case("timestamp"))
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    is_header(line)
        || fields::<7>(line).is_some_and(|[time, _, disk, kind, offset, size, took]| {
            kind_of(kind).is_some()
                && [time, disk, offset, size, took]
                    .iter()
                    .all(|n| is_number(n))
        })
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

fn kind_of(word: &str) -> Option<RequestKind> {
    if word.eq_ignore_ascii_case("read") {
        Some(RequestKind::Read)
    } else if word.eq_ignore_ascii_case("write") {
        Some(RequestKind::Write)
    } else {
        None
    }
}

impl LineForm for Msr {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let Some([time, host, disk, kind, offset, size, took]) = fields::<7>(line) else {
            return Parsed::Malformed("it has not seven fields");
        };
        let Some(kind) = kind_of(kind) else {
            return Parsed::Malformed("the type is neither Read nor Write");
        };
        let ns = |text: &str| text.parse::<u64>().ok()?.checked_mul(TICK_NS);
        let Some(at_ns) = ns(time) else {
            return Parsed::Malformed("the time is no FILETIME");
        };
        let Some(took_ns) = ns(took) else {
            return Parsed::Malformed("the response time is no number");
        };
        let (Ok(offset), Ok(bytes)) = (offset.parse(), size.parse()) else {
            return Parsed::Malformed("offset and size are no numbers");
        };
        let place = notes.device(&format!("{host}.{disk}"));
        let request = Request {
            took_ns,
            ..Request::new(at_ns, kind, place)
        };
        request.at(offset, bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;
    use crate::trace::request::{Place, name_hash};

    #[test]
    fn ticks_and_hosts_are_kept() {
        let found = requests(
            &mut Msr,
            "128166372003061629,hm,0,Write,3154152960,4096,41286\n128166372003061639,prn,0,Read,0,512,1\n",
        );
        let write = Request {
            took_ns: 4_128_600,
            offset: 3_154_152_960,
            bytes: 4096,
            ..Request::new(
                12_816_637_200_306_162_900,
                RequestKind::Write,
                Place::Device(name_hash("hm.0")),
            )
        };
        assert_eq!(found[0], write);
        assert_eq!(found[1].at_ns - found[0].at_ns, 1000);
        assert_ne!(found[1].place, found[0].place);
    }

    #[test]
    fn a_header_is_told_and_what_is_wrong_is_said() {
        assert!(looks_like(
            "128166372003061629,hm,0,Write,3154152960,4096,41286"
        ));
        assert!(is_header(
            "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime"
        ));
        assert!(!looks_like(
            "128166372003061629,hm,0,W,3154152960,4096,41286"
        ));
        let bad = "1,hm,0,Flush,0,0,0\n1,hm,0,Read,0,0\nx,hm,0,Read,0,1,0\n1,hm,0,Read,-1,1,0\n1,hm,0,Read,9223372036854775807,1,0\n1,hm,0,Read,0,4611686018427387904,1\n";
        let (all, _) = parsed(&mut Msr, bad);
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
