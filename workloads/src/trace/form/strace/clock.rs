//! What time a line is of: a time of the Unix clock, a time of day that goes on after midnight, or the sum of the gaps so far.
//!
//! `strace -r` writes the gap from the line before, padded to a width that times of the clock do not have, and 0 first: then all are
//! gaps. Where the padding is gone and the first is not 0, times of the clock's first day that step back are taken for
//! gaps, and from there on nothing is taken.

use super::line::{DAY_NS, Stamp};

/// A step back of more than this is a midnight that was passed.
const BACK_NS_MAX: u64 = DAY_NS / 2;
/// A step on of more than this, after a midnight, is a line that was late: it is from before it.
const ON_NS_MAX: u64 = DAY_NS / 24 * 23;

/// What is said of times that are no times.
pub(super) const BACKWARDS: &str =
    "its time is before that of a line before it: of strace -r? record with -ttt";

/// The time so far.
#[derive(Debug, Default)]
pub(super) struct Clock {
    form: Form,
    /// The latest midnight, from that of the first line.
    midnight_ns: u64,
    /// The latest time of day that counts from it.
    of_day_ns: u64,
}

/// What the times of a recording are.
#[derive(Debug, Default)]
enum Form {
    #[default]
    Unknown,
    /// Each is of a clock; the latest.
    Clock(u64),
    /// Each counts from the line before; their sum.
    Gaps(u64),
    /// They may be gaps, and some were taken for times.
    Doubtful,
}

impl Clock {
    /// When it is: times of day count from the midnight before the first line, gaps from the first line.
    pub(super) fn at_ns(&mut self, stamp: Stamp) -> Result<u64, &'static str> {
        let (told_ns, is_gap) = match stamp {
            Stamp::OfDay(of_day_ns) => return Ok(self.day_at_ns(of_day_ns)),
            Stamp::Unix(told_ns) => (told_ns, false),
            Stamp::Gap(told_ns) => (told_ns, true),
        };
        match &mut self.form {
            Form::Unknown if is_gap || told_ns == 0 => {
                self.form = Form::Gaps(0);
                Ok(0)
            }
            Form::Unknown => {
                self.form = Form::Clock(told_ns);
                Ok(told_ns)
            }
            Form::Gaps(sum_ns) => {
                *sum_ns = sum_ns.saturating_add(told_ns);
                Ok(*sum_ns)
            }
            Form::Clock(latest_ns) if is_gap || (told_ns < *latest_ns && told_ns < DAY_NS) => {
                self.form = Form::Doubtful;
                Err(BACKWARDS)
            }
            Form::Clock(latest_ns) => {
                *latest_ns = told_ns.max(*latest_ns);
                Ok(told_ns)
            }
            Form::Doubtful => Err(BACKWARDS),
        }
    }

    fn day_at_ns(&mut self, of_day_ns: u64) -> u64 {
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
