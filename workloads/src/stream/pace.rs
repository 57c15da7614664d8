//! When each operation of a client is wanted.
//!
//! A rate is that of the whole job. At a fixed rate the clients take turns, so that together they are even; with exponential gaps each
//! draws its own, since Poisson streams add up to one. Due times come from the count and not from the one before: nothing
//! drifts over 10^8 operations.
//!
//! A rate that changes with time is its integral, inverted: the n-th operation is due when n operations are due, and a Poisson
//! process of that rate is one of rate 1 seen through the same clock (time rescaling; Lewis and Shedler, "Simulation of
//! Nonhomogeneous Poisson Processes", 1979).

use super::sampler::Sampler;
use crate::plan::{Arrivals, Pace, RateShape};
use crate::random::Dice;

/// The clock of one client's operations.
#[derive(Debug, Clone)]
pub(crate) enum Pacer {
    Closed {
        think_ns: u64,
    },
    Thinking {
        law: Sampler,
        dice: Dice,
    },
    /// A rest after every so many.
    Resting {
        law: Sampler,
        dice: Dice,
        every: u64,
        since: u64,
    },
    /// By the bytes before.
    Bytes {
        /// Of the whole job.
        ns_per_byte: f64,
        /// Bytes of the whole job before the next operation, where all clients moved as many as this one.
        before: u64,
        clients: u64,
        until_ns: u64,
    },
    /// A rate that changes.
    Shaped {
        shape: RateShape,
        arrivals: Arrivals,
        /// Operations of the whole job before the next one; a whole number where they are even.
        count: f64,
        clients: f64,
        dice: Dice,
        until_ns: u64,
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
        pace: &Pace,
        (client, clients): (u32, u32),
        duration_ns: Option<u64>,
        seed: &[u64],
    ) -> Self {
        let until_ns = duration_ns.unwrap_or(u64::MAX);
        match *pace {
            Pace::Closed { think_ns } => Self::Closed { think_ns },
            Pace::Thinking(ref law) => Self::Thinking {
                law: Sampler::new(law),
                dice: Dice::new(seed),
            },
            Pace::Resting { ref rest, every } => Self::Resting {
                law: Sampler::new(rest),
                dice: Dice::new(seed),
                every,
                since: 0,
            },
            Pace::Bytes {
                bytes_per_s,
                mean_bytes,
            } => Self::Bytes {
                ns_per_byte: 1e9 / bytes_per_s,
                before: whole_ns(mean_bytes * f64::from(client)),
                clients: u64::from(clients),
                until_ns,
            },
            Pace::Shaped { shape, arrivals } => Self::Shaped {
                shape,
                arrivals,
                count: match arrivals {
                    Arrivals::Even => f64::from(client),
                    Arrivals::Poisson => 0.0,
                },
                clients: f64::from(clients),
                dice: Dice::new(seed),
                until_ns,
            },
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
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Moment> {
        match self {
            Self::Closed { think_ns } => Some(Moment {
                due_ns: None,
                think_ns: *think_ns,
            }),
            _ => self.next_drawn(),
        }
    }

    fn next_drawn(&mut self) -> Option<Moment> {
        let (due_ns, until_ns) = match self {
            Self::Closed { .. } => unreachable!("nothing of it is drawn"),
            Self::Thinking { law, dice } => {
                return Some(Moment {
                    due_ns: None,
                    think_ns: law.draw(dice),
                });
            }
            Self::Resting {
                law,
                dice,
                every,
                since,
            } => {
                *since += 1;
                let rests = *since == *every;
                if rests {
                    *since = 0;
                }
                return Some(Moment {
                    due_ns: None,
                    think_ns: if rests { law.draw(dice) } else { 0 },
                });
            }
            Self::Bytes {
                ns_per_byte,
                before,
                until_ns,
                ..
            } => (whole_ns(*before as f64 * *ns_per_byte), *until_ns),
            Self::Shaped {
                shape,
                arrivals,
                count,
                clients,
                dice,
                until_ns,
            } => {
                let due_s = match arrivals {
                    Arrivals::Even => {
                        let due_s = shape.when(*count);
                        *count += *clients;
                        due_s
                    }
                    Arrivals::Poisson => {
                        *count += dice.exponential() * *clients;
                        shape.when(*count)
                    }
                };
                (whole_ns(due_s * 1e9), *until_ns)
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
                *at_ns += dice.exponential() * *gap_ns_mean;
                (whole_ns(*at_ns), *until_ns)
            }
        };
        (due_ns < until_ns).then_some(Moment {
            due_ns: Some(due_ns),
            think_ns: 0,
        })
    }

    /// The operation of the last moment moves `bytes`.
    pub(crate) fn moved(&mut self, bytes: u64) {
        if let Self::Bytes {
            before, clients, ..
        } = self
        {
            *before = before.saturating_add(bytes.saturating_mul(*clients));
        }
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
    use crate::plan::Distribution;

    fn due(pace: &Pace, who: (u32, u32), duration_ns: u64) -> Vec<u64> {
        let mut pacer = Pacer::new(pace, who, Some(duration_ns), &[3, u64::from(who.0)]);
        std::iter::from_fn(|| pacer.next())
            .map(|moment| moment.due_ns.unwrap())
            .collect()
    }

    fn due_of_all(pace: &Pace, clients: u32, duration_ns: u64) -> Vec<u64> {
        let mut all: Vec<u64> = (0..clients)
            .flat_map(|client| due(pace, (client, clients), duration_ns))
            .collect();
        all.sort_unstable();
        all
    }

    /// The largest distance between the distribution of `values` (sorted here) and `law` (Kolmogorov and Smirnov), times the root
    /// of their number: above 1.95 in one case of a thousand where the values are of that law.
    fn kolmogorov_smirnov(mut values: Vec<f64>, law: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let distance = values
            .iter()
            .enumerate()
            .map(|(nth, value)| {
                let expected = law(*value);
                let below = (expected - nth as f64 / count).abs();
                below.max((expected - (nth + 1) as f64 / count).abs())
            })
            .fold(0.0, f64::max);
        distance * count.sqrt()
    }

    #[test]
    fn clients_at_a_fixed_rate_are_even_together() {
        let pace = Pace::Fixed { ops_per_s: 1000.0 };
        let all = due_of_all(&pace, 3, 1_000_000_000);
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
            let all = due_of_all(&pace, 4, duration_ns);
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

    #[test]
    fn gaps_of_a_poisson_process_are_exponential() {
        for ops_per_s in [1e3, 3e4, 3e5, 1e6] {
            for clients in [1, 4] {
                let duration_ns = whole_ns(1e5 / ops_per_s * 1e9);
                let all = due_of_all(&Pace::Poisson { ops_per_s }, clients, duration_ns);
                let gaps: Vec<f64> = all
                    .windows(2)
                    // Due times are whole nanoseconds, rounded down: half of one is missing on average at neither end.
                    .map(|pair| (pair[1] - pair[0]) as f64)
                    .collect();
                let found = kolmogorov_smirnov(gaps, |gap| 1.0 - (-gap * ops_per_s / 1e9).exp());
                assert!(found < 1.95, "{ops_per_s} of {clients}: {found}");
            }
        }
    }

    #[test]
    fn the_test_of_gaps_finds_gaps_that_are_not_exponential() {
        // Rounded to microseconds, as a coarse clock does.
        let all = due_of_all(&Pace::Poisson { ops_per_s: 3e5 }, 1, 300_000_000);
        let gaps: Vec<f64> = all
            .windows(2)
            .map(|pair| (pair[1] / 1000 - pair[0] / 1000) as f64 * 1000.0)
            .collect();
        assert!(kolmogorov_smirnov(gaps, |gap| 1.0 - (-gap * 3e-4).exp()) > 1.95);
    }

    #[test]
    fn an_operation_is_due_when_the_bytes_before_it_are() {
        let pace = Pace::Bytes {
            bytes_per_s: 1e6,
            mean_bytes: 1000.0,
        };
        for clients in [1, 4] {
            let mut all: Vec<(u64, u64)> = Vec::new();
            for client in 0..clients {
                let mut pacer = Pacer::new(&pace, (client, clients), Some(1_000_000_000), &[1]);
                let mut bytes = [500, 1500, 0, 2000].into_iter().cycle();
                while let Some(moment) = pacer.next() {
                    let moved = bytes.next().unwrap();
                    pacer.moved(moved);
                    all.push((moment.due_ns.unwrap(), moved));
                }
            }
            all.sort_unstable();
            assert_eq!(all[0].0, 0);
            let in_half = |half: u64| {
                let of_half = all
                    .iter()
                    .filter(|(due_ns, _)| due_ns / 500_000_000 == half);
                of_half.map(|(_, moved)| moved).sum::<u64>()
            };
            for half in [0, 1] {
                assert!(
                    in_half(half).abs_diff(500_000) <= 2000 * u64::from(clients),
                    "{half}"
                );
            }
        }
    }

    #[test]
    fn a_rest_comes_after_every_so_many() {
        let pace = Pace::Resting {
            rest: Distribution::Fixed(7),
            every: 3,
        };
        let mut pacer = Pacer::new(&pace, (0, 1), None, &[1]);
        let rests: Vec<u64> = (0..7).map(|_| pacer.next().unwrap().think_ns).collect();
        assert_eq!(rests, [0, 0, 7, 0, 0, 7, 0]);
    }

    fn bursts(arrivals: Arrivals) -> Pace {
        Pace::Shaped {
            shape: RateShape::Bursts {
                ops_per_s: 10_000.0,
                on_ns: 200_000_000,
                every_ns: 1_000_000_000,
                between_ops_per_s: 0.0,
            },
            arrivals,
        }
    }

    #[test]
    fn bursts_are_on_and_off() {
        for (arrivals, slack) in [(Arrivals::Even, 0), (Arrivals::Poisson, 500)] {
            for clients in [1, 3] {
                let all = due_of_all(&bursts(arrivals), clients, 10_000_000_000);
                assert!(all.len().abs_diff(20_000) <= slack, "{}", all.len());
                assert!(
                    all.iter()
                        .all(|due_ns| due_ns % 1_000_000_000 <= 200_000_000)
                );
            }
        }
    }

    #[test]
    fn a_ramp_rises_and_stays() {
        let pace = |arrivals| Pace::Shaped {
            shape: RateShape::Ramp {
                from_ops_per_s: 1000.0,
                to_ops_per_s: 9000.0,
                over_ns: 8_000_000_000,
            },
            arrivals,
        };
        for (arrivals, slack) in [(Arrivals::Even, 1), (Arrivals::Poisson, 400)] {
            let all = due_of_all(&pace(arrivals), 2, 10_000_000_000);
            let in_second = |nth: u64| {
                let of = |due_ns: &&u64| **due_ns / 1_000_000_000 == nth;
                all.iter().filter(of).count()
            };
            // Second k of the ramp has 1000 k + 1500 operations.
            for (nth, expected) in [(0, 1500), (3, 4500), (7, 8500), (8, 9000), (9, 9000)] {
                assert!(in_second(nth).abs_diff(expected) <= slack, "{nth}");
            }
        }
    }

    #[test]
    fn a_poisson_process_in_bursts_is_one_of_rate_one_through_the_clock_of_its_shape() {
        let Pace::Shaped { shape, .. } = bursts(Arrivals::Poisson) else {
            unreachable!("bursts have a shape");
        };
        let all = due_of_all(&bursts(Arrivals::Poisson), 2, 20_000_000_000);
        let gaps: Vec<f64> = all
            .windows(2)
            .map(|pair| {
                shape.due_before(pair[1] as f64 / 1e9) - shape.due_before(pair[0] as f64 / 1e9)
            })
            .collect();
        let found = kolmogorov_smirnov(gaps, |gap| 1.0 - (-gap).exp());
        assert!(found < 1.95, "{found}");
    }

    #[test]
    fn think_times_are_drawn_and_have_no_schedule() {
        let pace = Pace::Thinking(Distribution::Exponential {
            mean: 5000,
            max: 500_000,
        });
        let mut pacer = Pacer::new(&pace, (0, 1), None, &[9]);
        let moments: Vec<Moment> = (0..50_000).map(|_| pacer.next().unwrap()).collect();
        assert!(moments.iter().all(|moment| moment.due_ns.is_none()));
        let mean = moments.iter().map(|m| m.think_ns as f64).sum::<f64>() / 5e4;
        assert!((mean - 5000.0).abs() < 100.0, "{mean}");
    }
}
