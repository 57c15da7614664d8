//! When each operation of a client is wanted.
//!
//! A rate is that of the whole job. At a fixed rate the clients take turns, so that together they are even; with exponential gaps each
//! draws its own, since Poisson streams add up to one. Due times come from the count and not from the one before: nothing
//! drifts over 10^8 operations.

use crate::plan::Pace;
use crate::random::Dice;

/// The clock of one client's operations.
#[derive(Debug, Clone)]
pub(crate) enum Pacer {
    Closed {
        think_ns: u64,
    },
    Fixed {
        /// Of the whole job.
        gap_ns: f64,
        /// Index of the next operation in the whole job.
        next: u64,
        clients: u64,
        until_ns: u64,
    },
    Poisson {
        /// Of this client.
        gap_ns_mean: f64,
        at_ns: f64,
        dice: Dice,
        until_ns: u64,
    },
}

/// What the pacer says of the next operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) due_ns: Option<u64>,
    pub(crate) think_ns: u64,
}

impl Pacer {
    /// The pacer of client `client` of `clients`; nothing is due at or after the end of the phase.
    pub(crate) fn new(
        pace: Pace,
        (client, clients): (u32, u32),
        duration_ns: Option<u64>,
        seed: &[u64],
    ) -> Self {
        let until_ns = duration_ns.unwrap_or(u64::MAX);
        match pace {
            Pace::Closed { think_ns } => Self::Closed { think_ns },
            Pace::Recorded => Self::Closed { think_ns: 0 },
            Pace::Fixed { ops_per_s } => Self::Fixed {
                gap_ns: 1e9 / ops_per_s,
                next: u64::from(client),
                clients: u64::from(clients),
                until_ns,
            },
            Pace::Poisson { ops_per_s } => Self::Poisson {
                gap_ns_mean: 1e9 / ops_per_s * f64::from(clients),
                at_ns: 0.0,
                dice: Dice::new(seed),
                until_ns,
            },
        }
    }

    /// The next moment; none when the phase is over by then.
    pub(crate) fn next(&mut self) -> Option<Moment> {
        let (due_ns, until_ns) = match self {
            Self::Closed { think_ns } => {
                return Some(Moment {
                    due_ns: None,
                    think_ns: *think_ns,
                });
            }
            Self::Fixed {
                gap_ns,
                next,
                clients,
                until_ns,
            } => {
                let due_ns = whole_ns(*gap_ns * *next as f64);
                *next += *clients;
                (due_ns, *until_ns)
            }
            Self::Poisson {
                gap_ns_mean,
                at_ns,
                dice,
                until_ns,
            } => {
                *at_ns += -libm::log(1.0 - dice.unit()) * *gap_ns_mean;
                (whole_ns(*at_ns), *until_ns)
            }
        };
        (due_ns < until_ns).then_some(Moment {
            due_ns: Some(due_ns),
            think_ns: 0,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "times of a phase are far below 2^63 ns, and the cast saturates"
)]
fn whole_ns(ns: f64) -> u64 {
    ns as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pace: Pace, who: (u32, u32), duration_ns: u64) -> Vec<u64> {
        let mut pacer = Pacer::new(pace, who, Some(duration_ns), &[3, u64::from(who.0)]);
        std::iter::from_fn(|| pacer.next())
            .map(|moment| moment.due_ns.unwrap())
            .collect()
    }

    #[test]
    fn clients_at_a_fixed_rate_are_even_together() {
        let pace = Pace::Fixed { ops_per_s: 1000.0 };
        let mut all: Vec<u64> = (0..3)
            .flat_map(|k| due(pace, (k, 3), 1_000_000_000))
            .collect();
        all.sort_unstable();
        assert_eq!(all.len(), 1000);
        assert!(
            all.windows(2)
                .all(|pair| (pair[1] - pair[0]).abs_diff(1_000_000) <= 1)
        );
    }

    #[test]
    fn poisson_keeps_its_mean_and_its_spread_at_any_rate() {
        for ops_per_s in [1e3, 3e4, 3e5, 1e6] {
            let pace = Pace::Poisson { ops_per_s };
            let duration_ns = whole_ns(3e5 / ops_per_s * 1e9);
            let mut all: Vec<u64> = (0..4)
                .flat_map(|k| due(pace, (k, 4), duration_ns))
                .collect();
            all.sort_unstable();
            let count = all.len() as f64;
            assert!((count / 3e5 - 1.0).abs() < 0.01, "{ops_per_s}: {count}");
            let mean = duration_ns as f64 / count;
            let variance = all
                .windows(2)
                .map(|pair| ((pair[1] - pair[0]) as f64 - mean).powi(2))
                .sum::<f64>()
                / count;
            // The deviation of exponential gaps is their mean.
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{ops_per_s}");
        }
    }
}
