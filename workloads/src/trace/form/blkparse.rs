//! The default text of blkparse. Requests are its queue events (`Q`): what was asked for, before the block layer merged and
//! sorted it; or, where that is wanted, its issue events (`D`): what the device got.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind, decimal_ns};
use super::LineForm;
use crate::plan::TraceEvents;

/// Reads the lines; knows whether the requests are over.
#[derive(Debug, Clone)]
pub(crate) struct Blkparse {
    /// The action that is a request.
    action: &'static str,
    /// A blank line ends the requests; sums for people follow.
    is_over: bool,
}

/// What the letters before and after the operation of an RWBS field add.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) kind: Option<RequestKind>,
    pub(crate) flush_before: bool,
    pub(crate) through: bool,
}

impl Flags {
    /// An `F` before the operation is a flush first, one behind it is a write through the cache; the barriers
    /// of old kernels (`B`) are both.
    pub(crate) fn parse(rwbs: &str) -> Self {
        let mut flags = Self::default();
        for letter in rwbs.chars() {
            match (letter, flags.kind) {
                ('R', None) => flags.kind = Some(RequestKind::Read),
                ('W', None) => flags.kind = Some(RequestKind::Write),
                ('D', None) => flags.kind = Some(RequestKind::Discard),
                ('F', None) => flags.flush_before = true,
                ('F', Some(_)) => flags.through = true,
                ('B', _) => {
                    flags.flush_before = true;
                    flags.through = true;
                }
                _ => {}
            }
        }
        flags
    }

    /// The request that they make of what was `asked` in these sectors.
    pub(crate) fn of(
        self,
        asked: impl Fn(RequestKind) -> Request,
        (sector, count): (u64, u64),
    ) -> Parsed {
        match self.kind {
            Some(kind) if count > 0 => {
                let request = Request {
                    flush_before: self.flush_before,
                    through: self.through && kind == RequestKind::Write,
                    ..asked(kind)
                };
                request.at_sectors(sector, count).into()
            }
            _ if self.flush_before => Parsed::Request(asked(RequestKind::Flush)),
            _ => Parsed::Lost("event without sectors: nothing to replay"),
        }
    }
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    let mut fields = line.split_ascii_whitespace();
    fields.next().is_some_and(is_device)
        && fields.next().is_some_and(|cpu| cpu.parse::<u32>().is_ok())
        && fields.next().is_some_and(|seq| seq.parse::<u64>().is_ok())
}

impl Blkparse {
    pub(crate) fn new(events: TraceEvents) -> Self {
        Self {
            action: match events {
                TraceEvents::Queue => "Q",
                TraceEvents::Issue => "D",
            },
            is_over: false,
        }
    }
}

impl LineForm for Blkparse {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if self.is_over {
            return Parsed::Skipped;
        }
        let mut fields = line.split_ascii_whitespace();
        let Some(device) = fields.next() else {
            self.is_over = true;
            return Parsed::Skipped;
        };
        if !is_device(device) {
            return Parsed::Malformed("it does not start with a device");
        }
        let (Some(time), Some(pid), Some(action), Some(rwbs)) =
            (fields.nth(2), fields.next(), fields.next(), fields.next())
        else {
            return Parsed::Malformed("too few fields");
        };
        if action != self.action {
            return Parsed::Skipped;
        }
        let Some(at_ns) = decimal_ns(time, 1_000_000_000) else {
            return Parsed::Malformed("the time is no number");
        };
        let extent = match (fields.next(), fields.next(), fields.next()) {
            (Some(sector), Some("+"), Some(count)) => {
                let (Ok(sector), Ok(count)) = (sector.parse::<u64>(), count.parse::<u64>()) else {
                    return Parsed::Malformed("the sectors are no numbers");
                };
                (sector, count)
            }
            _ => (0, 0),
        };
        let place = notes.device(device);
        let asked = |kind| Request::new(at_ns, kind, place).by(pid.parse().unwrap_or(0));
        Flags::parse(rwbs).of(asked, extent)
    }
}

/// `major,minor`.
fn is_device(field: &str) -> bool {
    field
        .split_once(',')
        .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Parsed> {
        super::super::testing::parsed(&mut Blkparse::new(TraceEvents::Queue), text).0
    }

    #[test]
    fn issue_events_are_requests_where_they_are_wanted() {
        let text = "\
  8,0    0        1     0.000000500  1234  Q   W 2048 + 8 [a]
  8,0    0        2     0.000000700    77  D   W 2048 + 16 [b]
";
        let mut form = Blkparse::new(TraceEvents::Issue);
        let found = super::super::testing::requests(&mut form, text);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].at_ns, found[0].bytes, found[0].thread),
            (700, 8192, 77)
        );
    }

    #[test]
    fn queue_events_are_requests_and_others_are_not() {
        let parsed = all("\
  8,0    0        1     0.000000500  1234  Q   W 2048 + 256 [kworker/u4:1]
  8,0    0        2     0.000812000     0  C   W 2048 + 256 [0]
  8,0    0        3     0.000000900  1234  m   N cfq1234 / insert
  8,0    0        4     1.499999000  1234  Q RSM 4096 + 8 [a b: c]
");
        let Parsed::Request(write) = &parsed[0] else {
            panic!("{parsed:?}");
        };
        assert_eq!(
            (write.at_ns, write.kind, write.offset, write.bytes),
            (500, RequestKind::Write, 2048 * 512, 256 * 512)
        );
        assert_eq!(parsed[1], Parsed::Skipped);
        assert_eq!(parsed[2], Parsed::Skipped);
        assert!(matches!(&parsed[3], Parsed::Request(r) if r.kind == RequestKind::Read));
    }

    #[test]
    fn a_flush_with_data_is_a_flush_and_the_data() {
        let parsed = all("\
  8,0    0        7     1.499999900  1234  Q  FW [kworker/u4:1]
  8,0    0        9     1.500002900  1234  Q FWFS 8192 + 8 [kworker/u4:1]
  8,0    0       10     1.500003000  1234  Q WBS 8192 + 8 [old]
");
        assert!(matches!(&parsed[0], Parsed::Request(r) if r.kind == RequestKind::Flush));
        for line in &parsed[1..] {
            let Parsed::Request(write) = line else {
                panic!("{line:?}");
            };
            assert_eq!(write.kind, RequestKind::Write);
            assert!(write.flush_before && write.through);
        }
    }

    #[test]
    fn sums_at_the_end_are_skipped_and_rubbish_before_is_malformed() {
        let parsed = all("rubbish here\n\nCPU0 (8,0):\n Reads Queued: 1\n");
        assert!(matches!(parsed[0], Parsed::Malformed(_)));
        assert!(parsed[1..].iter().all(|line| *line == Parsed::Skipped));
    }
}
