//! Numbers to places, and the ticks between.
//!
//! Ticks are chosen here rather than by the plotting library: 1-2-5 steps on linear axes, decades
//! (with 2 and 5 where there is room) on logarithmic ones, and nines on the percentile axis.

use crate::metric::Unit;

/// A scale with its ticks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

/// More ticks than steps are asked for. Near the ends of arithmetic a step may be less than what tells
/// two numbers apart.
const TICKS_MAX: u8 = 16;
/// All decades there are.
const DECADES_MAX: u32 = 640;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// log10(1 / (1 - quantile)); values are quantiles.
    Nines,
}

impl Axis {
    /// From zero to a bit above `high`.
    pub(super) fn from_zero(high: f64, unit: Unit) -> Self {
        Self::linear(0.0, if high > 0.0 { high * 1.06 } else { 1.0 }, unit)
    }

    pub(super) fn linear(low: f64, high: f64, unit: Unit) -> Self {
        const STEPS: f64 = 4.0;
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            scale: Scale::Linear,
            ticks: even_ticks(low, high, STEPS, unit),
        }
    }

    /// The same axis for values of another unit, its ticks' texts kept.
    pub(super) fn rescaled(mut self, factor: f64) -> Self {
        self.low *= factor;
        self.high *= factor;
        for (value, _) in &mut self.ticks {
            *value *= factor;
        }
        self
    }

    /// Logarithmic over the positive values; something sensible when there are none.
    pub(super) fn log(values: impl Iterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low <= high {
            let high = (high * 1.3).min(f64::MAX);
            ((low * 0.8).max(f64::MIN_POSITIVE).min(high), high)
        } else {
            (1.0, 10.0)
        };
        let decades = (high / low).log10();
        let steps: &[f64] = if decades < 1.2 {
            &[1.0, 2.0, 3.0, 5.0, 7.0]
        } else if decades < 2.6 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let mut ticks = Vec::new();
        let (mut decade, mut passed) = (10.0_f64.powf(low.log10().floor()), 0);
        while decade <= high && passed < DECADES_MAX {
            for value in steps.iter().map(|step| step * decade) {
                if (low..=high).contains(&value) {
                    ticks.push((value, tick_text(unit, value)));
                }
            }
            decade *= 10.0;
            passed += 1;
        }
        // So little of a decade that no round number lies in it: evenly apart, as on a linear axis.
        for steps in [4.0, 8.0, 16.0] {
            if ticks.len() < 2 {
                ticks = even_ticks(low, high, steps, unit);
            }
        }
        Self {
            low,
            high,
            scale: Scale::Log,
            ticks,
        }
    }

    /// Quantiles from 0 to as many nines as `count` operations can show.
    pub(super) fn nines(count: u64) -> Self {
        let nines = (count.max(10) as f64).log10().clamp(1.0, 7.0);
        let names = [
            "0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "6 nines", "7 nines",
        ];
        let mut ticks: Vec<(f64, String)> = vec![(0.5, "50 %".to_owned())];
        for (power, name) in (0_i32..).zip(names) {
            if f64::from(power) <= nines {
                ticks.push((1.0 - 10.0_f64.powi(-power), name.to_owned()));
            }
        }
        Self {
            low: 0.0,
            high: 1.0 - 10.0_f64.powf(-nines),
            scale: Scale::Nines,
            ticks,
        }
    }

    /// The place of a value, 0 at the low end and 1 at the high one, kept inside.
    pub(super) fn place(&self, value: f64) -> f64 {
        let span = self.warp(self.high) - self.warp(self.low);
        ((self.warp(value) - self.warp(self.low)) / span).clamp(0.0, 1.0)
    }

    fn warp(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(self.low).log10(),
            Scale::Nines => -(1.0 - value.min(self.high)).log10(),
        }
    }
}

/// Round numbers from `low` to `high`, in steps of at least so many of it.
fn even_ticks(low: f64, high: f64, steps: f64, unit: Unit) -> Vec<(f64, String)> {
    // In binary units a round step is round in the scaled unit.
    let one = binary_unit(unit, high);
    let step = round_step((high - low) / one / steps) * one;
    let mut ticks = Vec::new();
    let first = (low / step).ceil();
    for nth in 0..TICKS_MAX {
        let tick = (first + f64::from(nth)) * step;
        if tick.is_nan() || tick > high * (1.0 + 1e-9) {
            break;
        }
        ticks.push((tick, tick_text(unit, tick)));
    }
    ticks
}

/// A tick without digits it does not need.
fn tick_text(unit: Unit, value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = unit.format(value);
    let Some((number, rest)) = text.split_once(' ') else {
        return trimmed(&text);
    };
    format!("{} {rest}", trimmed(number))
}

fn trimmed(number: &str) -> String {
    if number.contains('.') {
        number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    } else {
        number.to_owned()
    }
}

fn binary_unit(unit: Unit, high: f64) -> f64 {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond if high >= 1024.0 => {
            1024.0_f64.powf((high.log2() / 10.0).floor())
        }
        _ => 1.0,
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_in_the_unit_they_are_read_in() {
        let axis = Axis::from_zero(300.0 * 1_048_576.0, Unit::BytesPerSecond);
        assert_eq!(texts(&axis), ["0", "100 MiB/s", "200 MiB/s", "300 MiB/s"]);
        let axis = Axis::log([1e4, 5e6].into_iter(), Unit::Nanoseconds);
        assert_eq!(texts(&axis), ["10 us", "100 us", "1 ms"]);
        assert_eq!(
            texts(&Axis::nines(1000)),
            ["50 %", "0", "90 %", "99 %", "99.9 %"]
        );
    }

    #[test]
    fn a_logarithmic_axis_has_labels_however_little_it_spans() {
        for value in [1.0, 1.3e6, 1.5e6, 2.2, 3.9e3, 6.0, 7.7e9, 8.1, 9.6] {
            let axis = Axis::log([value, value * 1.15].into_iter(), Unit::Nanoseconds);
            let texts = texts(&axis);
            assert!(texts.len() >= 2, "{value}: {texts:?}");
            assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
            let is_on = |tick: f64| tick >= axis.low && tick <= axis.high * (1.0 + 1e-9);
            assert!(axis.ticks.iter().all(|(tick, _)| is_on(*tick)), "{texts:?}");
        }
    }

    #[test]
    fn the_ends_of_arithmetic_have_few_ticks() {
        let far = 9_007_199_254_740_992.0;
        for axis in [
            Axis::linear(far, far + 2.0, Unit::Plain),
            Axis::linear(-f64::MAX, f64::MAX, Unit::Plain),
            Axis::from_zero(f64::MAX, Unit::Bytes),
            Axis::from_zero(5e-324, Unit::Plain),
            Axis::log([5e-324, f64::MAX].into_iter(), Unit::Nanoseconds),
            Axis::log([f64::MAX].into_iter(), Unit::Plain),
        ] {
            assert!(axis.ticks.len() <= 640, "{} ticks", axis.ticks.len());
        }
    }

    #[test]
    fn places_are_kept_inside_and_nines_are_evenly_apart() {
        let axis = Axis::nines(10_000);
        let steps: Vec<f64> = [0.0, 0.9, 0.99, 0.999, 0.9999]
            .map(|q| axis.place(q))
            .to_vec();
        for (step, expected) in steps.iter().zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
            assert!((step - expected).abs() < 1e-9, "{steps:?}");
        }
        assert_eq!(axis.place(1.0), 1.0);
        assert_eq!(
            Axis::log([1.0, 10.0].into_iter(), Unit::Plain).place(0.0),
            0.0
        );
        assert!(
            Axis::log(std::iter::empty(), Unit::Plain)
                .place(3.0)
                .is_finite()
        );
    }
}
