//! When operations are wanted, resolved: rates, their shapes, and what think times and sizes are drawn from.

use serde::Serialize;

/// When operations are wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Closed loop: each when the one before has returned, after a rest.
    Closed {
        /// The rest.
        think_ns: u64,
    },
    /// Closed loop with rests drawn from a law, in nanoseconds.
    Thinking(Distribution),
    /// Closed loop with a rest after every so many operations of a client.
    Resting {
        /// In nanoseconds.
        rest: Distribution,
        /// After so many.
        every: u64,
    },
    /// Open loop, evenly, all clients together.
    Fixed {
        /// Operations in a second.
        ops_per_s: f64,
    },
    /// Open loop, all clients together: an operation is due when the bytes before it are.
    Bytes {
        /// Bytes in a second.
        bytes_per_s: f64,
        /// Of an operation, on average.
        mean_bytes: f64,
    },
    /// Open loop, exponential gaps, all clients together.
    Poisson {
        /// Operations in a second.
        ops_per_s: f64,
    },
    /// Open loop at a rate that changes with time, all clients together.
    Shaped {
        /// The rate over time.
        shape: RateShape,
        /// How operations follow each other at that rate.
        arrivals: Arrivals,
    },
    /// As the recording says ([`TraceTiming`](super::TraceTiming)).
    Recorded,
}

/// A rate over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateShape {
    /// On and off, on first.
    Bursts {
        /// While on.
        ops_per_s: f64,
        /// How long it is on.
        on_ns: u64,
        /// From start to start; longer than `on_ns`.
        every_ns: u64,
        /// While off; 0 for nothing.
        between_ops_per_s: f64,
    },
    /// From one rate to another, which it keeps.
    Ramp {
        /// At the start.
        from_ops_per_s: f64,
        /// At the end.
        to_ops_per_s: f64,
        /// How long it takes.
        over_ns: u64,
    },
}

/// How operations follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Even,
    /// At random: a Poisson process.
    Poisson,
}

/// What a value is drawn from: a think time in nanoseconds, a file size in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Always this.
    Fixed(u64),
    /// Each of a range alike.
    Uniform {
        /// The smallest.
        from: u64,
        /// The largest.
        to: u64,
    },
    /// Memoryless.
    Exponential {
        /// The mean, before what is above `max` is drawn again.
        mean: u64,
        /// The largest.
        max: u64,
    },
    /// Around a mean; from 0 to twice the mean.
    Normal {
        /// The mean.
        mean: u64,
        /// The standard deviation, before what is outside is drawn again.
        deviation: u64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// The median, before what is above `max` is drawn again.
        median: u64,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
        /// The largest.
        max: u64,
    },
    /// One of these.
    Weighted(Vec<WeightedValue>),
}

/// One value and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WeightedValue {
    /// The value.
    pub value: u64,
    /// Its share is its weight over the sum of the weights.
    pub weight: f64,
}

impl Distribution {
    /// The mean, of the law as it is before anything is drawn again: for estimates.
    pub(crate) fn mean(&self) -> f64 {
        match self {
            Self::Fixed(value) => *value as f64,
            Self::Uniform { from, to } => (*from as f64 + *to as f64) / 2.0,
            Self::Exponential { mean, .. } | Self::Normal { mean, .. } => *mean as f64,
            Self::LogNormal {
                median, sigma, max, ..
            } => (*median as f64 * libm::exp(sigma * sigma / 2.0)).min(*max as f64),
            Self::Weighted(values) => {
                let weights: f64 = values.iter().map(|value| value.weight).sum();
                let sum: f64 = values.iter().map(|v| v.weight * v.value as f64).sum();
                sum / weights
            }
        }
    }
}

impl Pace {
    /// Operations in a second over the first `ns`, where that is known beforehand.
    pub(crate) fn ops_per_s(&self, ns: Option<u64>) -> Option<f64> {
        match self {
            Self::Fixed { ops_per_s } | Self::Poisson { ops_per_s } => Some(*ops_per_s),
            Self::Bytes {
                bytes_per_s,
                mean_bytes,
            } => Some(bytes_per_s / mean_bytes),
            Self::Shaped { shape, .. } => Some(shape.mean_ops_per_s(ns)),
            Self::Closed { .. } | Self::Thinking(_) | Self::Resting { .. } | Self::Recorded => None,
        }
    }

    /// The rate of operations that a rate of bytes comes to, where each moves `bytes`.
    pub(crate) fn in_blocks(&self, bytes: f64) -> Self {
        match self {
            Self::Fixed { ops_per_s } => Self::Fixed {
                ops_per_s: ops_per_s / bytes,
            },
            Self::Poisson { ops_per_s } => Self::Poisson {
                ops_per_s: ops_per_s / bytes,
            },
            Self::Shaped { shape, arrivals } => Self::Shaped {
                shape: match *shape {
                    RateShape::Bursts {
                        ops_per_s,
                        on_ns,
                        every_ns,
                        between_ops_per_s,
                    } => RateShape::Bursts {
                        ops_per_s: ops_per_s / bytes,
                        on_ns,
                        every_ns,
                        between_ops_per_s: between_ops_per_s / bytes,
                    },
                    RateShape::Ramp {
                        from_ops_per_s,
                        to_ops_per_s,
                        over_ns,
                    } => RateShape::Ramp {
                        from_ops_per_s: from_ops_per_s / bytes,
                        to_ops_per_s: to_ops_per_s / bytes,
                        over_ns,
                    },
                },
                arrivals: *arrivals,
            },
            other => other.clone(),
        }
    }
}

impl RateShape {
    /// How many operations are due before `t_s` seconds: the integral of the rate.
    pub(crate) fn due_before(&self, t_s: f64) -> f64 {
        match *self {
            Self::Bursts {
                ops_per_s,
                on_ns,
                every_ns,
                between_ops_per_s,
            } => {
                let (on_s, every_s) = (on_ns as f64 / 1e9, every_ns as f64 / 1e9);
                let cycles = (t_s / every_s).floor();
                let within = t_s - cycles * every_s;
                let per_cycle = ops_per_s * on_s + between_ops_per_s * (every_s - on_s);
                cycles * per_cycle
                    + ops_per_s * within.min(on_s)
                    + between_ops_per_s * (within - on_s).max(0.0)
            }
            Self::Ramp {
                from_ops_per_s: from,
                to_ops_per_s: to,
                over_ns,
            } => {
                let over_s = over_ns as f64 / 1e9;
                let within = t_s.min(over_s);
                let slope = (to - from) / over_s;
                from * within + slope * within * within / 2.0 + to * (t_s - within)
            }
        }
    }

    /// The time, in seconds, before which `count` operations are due: the inverse of [`Self::due_before`].
    pub(crate) fn when(&self, count: f64) -> f64 {
        match *self {
            Self::Bursts {
                ops_per_s,
                on_ns,
                every_ns,
                between_ops_per_s,
            } => {
                let (on_s, every_s) = (on_ns as f64 / 1e9, every_ns as f64 / 1e9);
                let on = ops_per_s * on_s;
                let per_cycle = on + between_ops_per_s * (every_s - on_s);
                let cycles = (count / per_cycle).floor();
                let within = count - cycles * per_cycle;
                let in_cycle = if within < on || between_ops_per_s == 0.0 {
                    within.min(on) / ops_per_s
                } else {
                    on_s + (within - on) / between_ops_per_s
                };
                cycles * every_s + in_cycle
            }
            Self::Ramp {
                from_ops_per_s: from,
                to_ops_per_s: to,
                over_ns,
            } => {
                let over_s = over_ns as f64 / 1e9;
                let in_ramp = (from + to) / 2.0 * over_s;
                if count >= in_ramp {
                    return over_s + (count - in_ramp) / to;
                }
                // The root of slope/2 t^2 + from t = count, in the form that stands a slope near nothing.
                let slope = (to - from) / over_s;
                let root = (from * from + 2.0 * slope * count).max(0.0).sqrt();
                2.0 * count / (from + root)
            }
        }
    }

    fn mean_ops_per_s(&self, ns: Option<u64>) -> f64 {
        let t_s = match (ns, *self) {
            (Some(ns), _) => ns as f64 / 1e9,
            (None, Self::Bursts { every_ns, .. }) => every_ns as f64 / 1e9,
            (None, Self::Ramp { over_ns, .. }) => over_ns as f64 / 1e9,
        };
        self.due_before(t_s) / t_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_and_its_inverse_agree() {
        let bursts = |between_ops_per_s| RateShape::Bursts {
            ops_per_s: 5000.0,
            on_ns: 200_000_000,
            every_ns: 1_000_000_000,
            between_ops_per_s,
        };
        let ramp = |from_ops_per_s, to_ops_per_s| RateShape::Ramp {
            from_ops_per_s,
            to_ops_per_s,
            over_ns: 10_000_000_000,
        };
        let shapes = [
            bursts(0.0),
            bursts(100.0),
            ramp(10.0, 1000.0),
            ramp(1000.0, 10.0),
            ramp(50.0, 50.0),
        ];
        for shape in shapes {
            for count in [0.0, 1.0, 37.5, 999.0, 1000.5, 20_000.25] {
                let back = shape.due_before(shape.when(count));
                assert!(
                    (back - count).abs() < 1e-6 * count.max(1.0),
                    "{shape:?} {count}"
                );
            }
        }
        assert!((bursts(0.0).due_before(2.5) - 3000.0).abs() < 1e-6);
        assert!((ramp(0.5, 1000.0).due_before(10.0) - 5002.5).abs() < 1e-6);
        assert!((bursts(0.0).when(1000.5) - 1.0001).abs() < 1e-9);
    }
}
