//! How long a writer of dirty data is held up: arithmetic, no waiting.
//!
//! Two shapes. The *wall* lets writers run until the limit and stops them there; with several
//! writers and a slow device all of them stop at once, and each stop lasts as long as a batch of
//! writeback. The *curve* starts to delay writers before the limit, by more and more, so that
//! they slow down to what the device takes instead of stopping. It is the one of the ZFS write
//! throttle:
//!
//! ```text
//!                        dirty - begin
//!   delay = 500 us  x  -----------------     begin = 60 % of the limit, at most 100 ms
//!                        limit - dirty
//!
//!   of the limit:   60 %    70 %      80 %     90 %     99 %     99.8 %
//!   delay:          0       167 us    500 us   1.5 ms   19.5 ms  100 ms
//! ```
//!
//! Delays are per 128 KiB written, and all writers take them from one row (`Pacer`): ten writers
//! together are let through as fast as one alone, or the delay would mean less the more of them
//! there are.
//!
//! Not here: who is held up and what is counted (`dirty`).

use delalloc_backends::Instant;

/// Which shape holds writers up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// Nothing below the limit, a full stop at it.
    Wall,
    /// Delays from 60 % of the limit on; the wall still stands at the limit.
    Curve,
}

/// Where the delays begin. Lower trades throughput of bursts for a softer landing.
const CURVE_BEGIN_PERCENT: u64 = 60;
/// The delay half way up the curve: 500 us per 128 KiB are 250 MiB/s. A faster device settles
/// below half way, a slower one above.
const CURVE_SCALE_NS: u64 = 500_000;
/// The longest delay of one write. Near the limit the curve goes to infinity; the wall takes over.
const DELAY_NS_MAX: u64 = 100_000_000;
/// Bytes that one delay stands for: the record of the file system the curve comes from.
const DELAY_BYTES: u64 = 128 * 1024;

/// The delay for `written_bytes` just made dirty, with `dirty_bytes` of `limit_bytes` in the cache.
pub fn curve_delay_ns(dirty_bytes: u64, limit_bytes: u64, written_bytes: u64) -> u64 {
    let begin_bytes = part_of(limit_bytes, CURVE_BEGIN_PERCENT);
    if dirty_bytes <= begin_bytes || written_bytes == 0 {
        return 0;
    }
    if dirty_bytes >= limit_bytes {
        return DELAY_NS_MAX;
    }
    let climbed = u128::from(dirty_bytes - begin_bytes);
    let left = u128::from(limit_bytes - dirty_bytes);
    let records = u128::from(written_bytes.div_ceil(DELAY_BYTES));
    let delay_ns = (u128::from(CURVE_SCALE_NS) * climbed).saturating_mul(records) / left;
    u64::try_from(delay_ns).map_or(DELAY_NS_MAX, |ns| ns.min(DELAY_NS_MAX))
}

/// `percent` of `bytes`.
fn part_of(bytes: u64, percent: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(percent) / 100;
    u64::try_from(part).expect("a part of a u64")
}

/// The row that delayed writers leave one after another.
#[derive(Debug, Default)]
pub struct Pacer {
    last: Instant,
}

impl Pacer {
    /// When a writer that came at `now` and has to be delayed by `delay_ns` may go on: that long
    /// after it came and that long after the writer before it, but no later than the longest delay.
    pub fn admit(&mut self, now: Instant, delay_ns: u64) -> Instant {
        let after = self.last.max(now).ns.saturating_add(delay_ns);
        let wake = Instant {
            ns: after.min(now.ns.saturating_add(DELAY_NS_MAX)),
        };
        self.last = self.last.max(wake);
        wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1_000_000_000;

    fn delay_us(percent_times_10: u64) -> u64 {
        curve_delay_ns(LIMIT / 1000 * percent_times_10, LIMIT, 1) / 1000
    }

    #[test]
    fn the_curve_is_the_one_in_the_header() {
        assert_eq!(delay_us(0), 0);
        assert_eq!(delay_us(600), 0);
        assert_eq!(delay_us(700), 166);
        assert_eq!(delay_us(800), 500);
        assert_eq!(delay_us(900), 1500);
        assert_eq!(delay_us(990), 19_500);
        assert_eq!(delay_us(999), 100_000);
        assert_eq!(delay_us(1200), 100_000);
    }

    #[test]
    fn the_delay_grows_with_the_bytes_and_never_falls_with_dirt() {
        let at = |written| curve_delay_ns(LIMIT / 10 * 7, LIMIT, written);
        assert_eq!(at(0), 0);
        assert_eq!(at(4096), at(128 * 1024));
        assert!(at(1 << 20).abs_diff(8 * at(4096)) < 8);
        let climb: Vec<_> = (0..=1000).map(delay_us).collect();
        assert!(climb.is_sorted());
    }

    #[test]
    fn extreme_sizes_do_not_overflow() {
        assert_eq!(
            curve_delay_ns(u64::MAX - 1, u64::MAX, u64::MAX),
            DELAY_NS_MAX
        );
        assert_eq!(curve_delay_ns(0, 0, 1), 0);
        assert_eq!(curve_delay_ns(1, 0, 1), DELAY_NS_MAX);
    }

    #[test]
    fn writers_leave_one_after_another() {
        let mut pacer = Pacer::default();
        let now = Instant { ns: 1_000 };
        assert_eq!(pacer.admit(now, 500).ns, 1_500);
        assert_eq!(pacer.admit(now, 500).ns, 2_000);
        let later = Instant { ns: 10_000 };
        assert_eq!(
            pacer.admit(later, 500).ns,
            10_500,
            "time passed is not saved up"
        );
    }

    #[test]
    fn nobody_waits_longer_than_the_longest_delay() {
        let mut pacer = Pacer::default();
        let now = Instant { ns: 0 };
        let wakes: Vec<_> = (0..100).map(|_| pacer.admit(now, 30_000_000).ns).collect();
        assert!(wakes.is_sorted());
        assert_eq!(wakes.last(), Some(&DELAY_NS_MAX));
    }
}
