//! Times of day, one line after the other, as times that go on after midnight.

use super::call::{DAY_NS, Stamp};

/// A step back of more than this is a midnight that was passed.
const BACK_NS_MAX: u64 = DAY_NS / 2;
/// A step on of more than this, after a midnight, is a line that was late: it is from before it.
const ON_NS_MAX: u64 = DAY_NS / 24 * 23;

/// The day that the lines are in.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// The latest midnight, from that of the first line.
    midnight_ns: u64,
    /// The latest time of day that counts from it.
    of_day_ns: u64,
}

impl Days {
    /// When it is: times of day count from the midnight before the first line.
    pub(super) fn at_ns(&mut self, stamp: Stamp) -> u64 {
        let of_day_ns = match stamp {
            Stamp::Unix(at_ns) => return at_ns,
            Stamp::OfDay(of_day_ns) => of_day_ns,
        };
        if self.of_day_ns.saturating_sub(of_day_ns) > BACK_NS_MAX {
            self.midnight_ns = self.midnight_ns.saturating_add(DAY_NS);
        } else if of_day_ns.saturating_sub(self.of_day_ns) > ON_NS_MAX
            && let Some(before_ns) = self.midnight_ns.checked_sub(DAY_NS)
        {
            return before_ns + of_day_ns;
        }
        self.of_day_ns = of_day_ns;
        self.midnight_ns.saturating_add(of_day_ns)
    }
}
