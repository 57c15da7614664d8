//! Is a series steady? The rule, apart from who asks.
//!
//! A window of the series is cut into five parts of equal time. It is steady when the mean of each part is within a share of the
//! mean of the window, and the straight line through the window (least squares) rises or falls by no more than that share from
//! one end to the other. The two conditions are those of SNIA's Solid State Storage Performance Test Specification (range and
//! slope over five rounds, 20 % and 10 % there), with one share for both.
//!
//! Parts and not intervals are compared, since one interval of 200 ms says more about the scheduler than about the target.
//!
//! Not here: which number of an interval is looked at, what follows from the answer (window).

use std::collections::VecDeque;

/// Parts of a window.
const PARTS: usize = 5;

/// A series, as far as its last window goes.
#[derive(Debug)]
pub struct Series {
    window_ns: u64,
    /// End of each interval and its number.
    points: VecDeque<(u64, f64)>,
    /// When the series began.
    begun_ns: Option<u64>,
}

/// How much a window moves, as shares of its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// The largest distance of a part's mean from the mean.
    pub deviation: f64,
    /// How far the line through the window rises or falls.
    pub drift: f64,
}

impl Movement {
    /// Neither is above the share.
    pub fn is_within(self, share: f64) -> bool {
        self.deviation <= share && self.drift <= share
    }
}

impl Series {
    /// Nothing yet.
    pub fn new(window_ns: u64) -> Self {
        Self {
            window_ns,
            points: VecDeque::new(),
            begun_ns: None,
        }
    }

    /// The interval from `start_ns` to `end_ns` had this number.
    pub fn push(&mut self, start_ns: u64, end_ns: u64, number: f64) {
        self.begun_ns.get_or_insert(start_ns);
        self.points.push_back((end_ns, number));
        let oldest_ns = end_ns.saturating_sub(self.window_ns);
        while self
            .points
            .front()
            .is_some_and(|(t_ns, _)| *t_ns <= oldest_ns)
        {
            self.points.pop_front();
        }
    }

    /// How much the last window moves; none before there is a whole one, with something in each part and above nothing.
    pub fn movement(&self) -> Option<Movement> {
        let (end_ns, _) = *self.points.back()?;
        let start_ns = end_ns.checked_sub(self.window_ns)?;
        if self.begun_ns? > start_ns {
            return None;
        }
        let at = |t_ns: u64| (t_ns - start_ns) as f64 / self.window_ns as f64;
        let mut parts = [(0.0, 0.0); PARTS];
        for (t_ns, number) in &self.points {
            let part = &mut parts[part_of(at(*t_ns))];
            *part = (part.0 + number, part.1 + 1.0);
        }
        if parts.iter().any(|(_, count)| *count == 0.0) {
            return None;
        }
        let means = parts.map(|(sum, count)| sum / count);
        let mean = means.iter().sum::<f64>() / PARTS as f64;
        if mean <= 0.0 {
            return None;
        }
        let deviation = means
            .iter()
            .map(|part| (part - mean).abs() / mean)
            .fold(0.0, f64::max);
        let slope = slope(
            self.points
                .iter()
                .map(|(t_ns, number)| (at(*t_ns), *number)),
        );
        Some(Movement {
            deviation,
            drift: slope.abs() / mean,
        })
    }
}

/// The part of the window that the share `at` of its time, above 0 and up to 1, belongs to.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the window, clamped to its parts"
)]
fn part_of(at: f64) -> usize {
    ((at * PARTS as f64).ceil() as usize).clamp(1, PARTS) - 1
}

/// Of the line through the points with the least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / count;
    let (above, below) = points.fold((0.0, 0.0), |sum, (x, y)| {
        let dx = x - mean_x;
        (sum.0 + dx * (y - mean_y), sum.1 + dx * dx)
    });
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_NS: u64 = 200_000_000;

    /// The first interval after which the series was steady within 5 % over 5 s.
    fn steady_at(numbers: impl IntoIterator<Item = f64>) -> Option<usize> {
        let mut series = Series::new(5_000_000_000);
        let mut numbers = numbers.into_iter().zip(0_u64..);
        numbers.position(|(number, nth)| {
            series.push(nth * STEP_NS, (nth + 1) * STEP_NS, number);
            series
                .movement()
                .is_some_and(|movement| movement.is_within(0.05))
        })
    }

    #[test]
    fn a_flat_series_is_steady_after_one_window() {
        assert_eq!(steady_at([100.0; 60]), Some(24));
    }

    #[test]
    fn a_step_is_steady_once_the_window_is_past_it() {
        let numbers = [300.0; 20].into_iter().chain([100.0; 60]);
        assert_eq!(steady_at([300.0; 20]), None);
        assert_eq!(steady_at(numbers), Some(44));
    }

    #[test]
    fn a_slow_drift_is_not_steady_although_no_part_is_far_off() {
        // 8 % from one end of a window to the other: parts are within 3.2 %.
        let rising = (0..200).map(|nth| 1000.0 + f64::from(nth) * 3.2);
        assert_eq!(steady_at(rising.take(60)), None);
        let slower = (0..60).map(|nth| 1000.0 + f64::from(nth) * 1.0);
        assert_eq!(steady_at(slower), Some(24));
    }

    #[test]
    fn noise_of_single_intervals_is_averaged_and_slow_waves_are_not() {
        let noisy = (0..60).map(|nth| if nth % 2 == 0 { 80.0 } else { 120.0 });
        assert_eq!(steady_at(noisy), Some(24));
        let waves = (0..200).map(|nth| 100.0 + 20.0 * (f64::from(nth) * 0.25).sin());
        assert_eq!(steady_at(waves), None);
    }

    #[test]
    fn nothing_done_is_not_steady_and_neither_is_a_gap() {
        assert_eq!(steady_at([0.0; 60]), None);
        let mut series = Series::new(5_000_000_000);
        series.push(0, STEP_NS, 100.0);
        series.push(STEP_NS, 6_000_000_000, 100.0);
        assert_eq!(series.movement(), None);
    }
}
