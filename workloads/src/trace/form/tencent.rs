//! Tencent's block traces: `Timestamp,Offset,Size,IOType,VolumeID`.
//!
//! Times are whole seconds, offsets and sizes are sectors of 512 bytes, the type is 0 for a read and 1 for a write. The
//! requests of a second keep their order and are spread over it: their times within it are uniform random numbers,
//! sorted, from the seed. A second that holds more requests than are kept at a time is spread in pieces, each over
//! half of what is left of it.
//! Source: README of SNIA IOTTA trace sets 27917 and 28064.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind};
use super::{LineForm, fields};
use crate::random::Dice;

const SECOND_NS: u64 = 1_000_000_000;
/// Requests kept of a second.
const KEPT_MAX: usize = 1 << 16;

/// The form.
pub(crate) struct Tencent {
    seed: u64,
    kept: Vec<Request>,
    second: u64,
    /// What is left of the second begins here.
    begin_ns: u64,
    /// Pieces so far.
    pieces: u64,
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    fields::<5>(line).is_some_and(|fields| {
        fields.iter().all(|number| number.parse::<u64>().is_ok()) && matches!(fields[3], "0" | "1")
    })
}

impl Tencent {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            kept: Vec::new(),
            second: 0,
            begin_ns: 0,
            pieces: 0,
        }
    }

    /// What is kept, spread over the second from where it was left to `to_ns`.
    fn spread(&mut self, to_ns: u64) -> Vec<Request> {
        let width = to_ns - self.begin_ns;
        let mut dice = Dice::new(&[self.seed, self.second, self.pieces]);
        let mut within: Vec<u64> = self.kept.iter().map(|_| dice.below(width)).collect();
        within.sort_unstable();
        let begin_ns = self.second * SECOND_NS + self.begin_ns;
        for (request, ns) in self.kept.iter_mut().zip(within) {
            request.at_ns = begin_ns + ns;
        }
        self.pieces += 1;
        self.begin_ns = to_ns;
        std::mem::take(&mut self.kept)
    }
}

impl LineForm for Tencent {
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let Some([second, offset, size, kind, volume]) = fields::<5>(line) else {
            return Parsed::Malformed("it has not five fields");
        };
        let kind = match kind {
            "0" => RequestKind::Read,
            "1" => RequestKind::Write,
            _ => return Parsed::Malformed("the type is neither 0 nor 1"),
        };
        let Some(second) = second
            .parse::<u64>()
            .ok()
            .filter(|second| *second < u64::MAX / SECOND_NS)
        else {
            return Parsed::Malformed("the time is no number of seconds");
        };
        let (Ok(sector), Ok(count)) = (offset.parse(), size.parse()) else {
            return Parsed::Malformed("offset and size are no numbers");
        };
        let place = notes.device(volume);
        let request = match Request::new(0, kind, place).at_sectors(sector, count) {
            Ok(request) => request,
            Err(reason) => return Parsed::Malformed(reason),
        };
        let spread = if second != self.second && !self.kept.is_empty() {
            Some(self.spread(SECOND_NS))
        } else if self.kept.len() == KEPT_MAX {
            Some(self.spread(self.begin_ns + (SECOND_NS - self.begin_ns) / 2))
        } else {
            None
        };
        if second != self.second {
            (self.second, self.begin_ns, self.pieces) = (second, 0, 0);
        }
        self.kept.push(request);
        spread.map_or(Parsed::Skipped, Parsed::Several)
    }

    fn end(&mut self, _notes: &mut Notes) -> Option<Parsed> {
        (!self.kept.is_empty()).then(|| Parsed::Several(self.spread(SECOND_NS)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;
    use crate::trace::request::{Place, name_hash};

    #[test]
    fn a_line_is_read() {
        let found = requests(&mut Tencent::new(0), "1538323199,105352008,584,1,1576\n");
        let write = Request {
            offset: 105_352_008 * 512,
            bytes: 584 * 512,
            ..Request::new(
                found[0].at_ns,
                RequestKind::Write,
                Place::Device(name_hash("1576")),
            )
        };
        assert_eq!(found, [write]);
        assert_eq!(found[0].at_ns / SECOND_NS, 1_538_323_199);
    }

    #[test]
    fn a_second_is_filled_evenly_in_order_and_by_seed() {
        let text: String = (0..4000)
            .map(|n| format!("{},{n},8,{},7\n", 100 + n / 2000, n % 2))
            .collect();
        let found = requests(&mut Tencent::new(1), &text);
        assert_eq!(found.len(), 4000);
        assert!(found.is_sorted_by_key(|request| request.at_ns));
        assert!(found.is_sorted_by_key(|request| request.offset));
        for tenth in 0..20 {
            let from = 100 * SECOND_NS + tenth * SECOND_NS / 10;
            let of_it = |r: &&Request| (from..from + SECOND_NS / 10).contains(&r.at_ns);
            let count = found.iter().filter(of_it).count();
            assert!((140..260).contains(&count), "{tenth}: {count}");
        }
        assert_eq!(found, requests(&mut Tencent::new(1), &text));
        assert_ne!(found, requests(&mut Tencent::new(2), &text));
    }

    #[test]
    fn a_second_of_too_many_is_spread_in_pieces() {
        let text = "5,0,8,0,7\n".repeat(KEPT_MAX * 2 + 10);
        let found = requests(&mut Tencent::new(1), &text);
        assert_eq!(found.len(), KEPT_MAX * 2 + 10);
        assert!(found.is_sorted_by_key(|request| request.at_ns));
        assert!(found.iter().all(|request| request.at_ns / SECOND_NS == 5));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(looks_like("1538323199,105352008,584,1,1576"));
        let far = format!("1,{},1,0,1\n{},0,1,0,1\n", u64::MAX, u64::MAX);
        let (all, _) = parsed(
            &mut Tencent::new(0),
            &format!("1,0,1,2,1\n1,0,1,0\nx,0,1,0,1\n1.5,0,1,0,1\n{far}"),
        );
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
