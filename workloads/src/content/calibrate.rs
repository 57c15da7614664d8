//! From the ratio that was asked for to the dial that gives it.
//!
//! The recipe is made at a dial, measured with the codec itself, and the dial moved: by the secant where that
//! gets on, by halves where it does not. The bracket always holds the answer, so noise in a recipe costs steps and not the
//! result. What was found is remembered for the process: loads of a sweep ask for the same again and again.

use std::sync::Mutex;

/// Close enough, as a difference of logarithms: 0.3 %.
const TOLERANCE: f64 = 0.003;
/// Most recipes take six; so many halvings are finer than any of them is.
const STEPS: usize = 32;
/// More than this is not calibration but chance.
const ERROR_MAX: f64 = 0.02;

/// Why there is no dial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Miss {
    /// The ratios there are.
    OutOfReach { min: f64, max: f64 },
    /// The ratio jumps; what comes nearest.
    Jump { nearest: f64 },
}

/// Finds dials and remembers them.
pub(super) struct Dials(Mutex<Vec<(String, f64)>>);

impl Dials {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The dial in [0, 1] at which `measured` gives `asked`. What `measured` depends on has to be in `key`.
    pub(super) fn find(
        &self,
        key: String,
        asked: f64,
        measured: impl FnMut(f64) -> f64,
    ) -> Result<f64, Miss> {
        let known = |dials: &[(String, f64)]| {
            let found = dials.iter().find(|(other, _)| *other == key);
            found.map(|(_, dial)| *dial)
        };
        if let Some(dial) = known(&self.lock()) {
            return Ok(dial);
        }
        let dial = search(asked, measured)?;
        self.lock().push((key, dial));
        Ok(dial)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, f64)>> {
        // Whatever panicked meanwhile, a list of dials is whole.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One end of the bracket.
#[derive(Clone, Copy)]
struct End {
    dial: f64,
    /// Logarithm of the ratio over the one asked for.
    error: f64,
}

fn search(asked: f64, mut measured: impl FnMut(f64) -> f64) -> Result<f64, Miss> {
    let mut at = |dial: f64| End {
        dial,
        error: libm::log(measured(dial) / asked),
    };
    let (mut low, mut high) = (at(0.0), at(1.0));
    let out_of_reach = Miss::OutOfReach {
        min: asked * libm::exp(low.error),
        max: asked * libm::exp(high.error),
    };
    if low.error > ERROR_MAX || high.error < -ERROR_MAX {
        return Err(out_of_reach);
    }
    let nearer = |a: End, b: End| if a.error.abs() <= b.error.abs() { a } else { b };
    let mut best = nearer(low, high);
    let mut by_halves = true;
    for _ in 0..STEPS {
        if best.error.abs() <= TOLERANCE {
            break;
        }
        let width = high.dial - low.dial;
        let secant = low.dial - low.error * width / (high.error - low.error);
        let dial = if by_halves || !secant.is_finite() {
            f64::midpoint(low.dial, high.dial)
        } else {
            secant.clamp(low.dial + 0.02 * width, high.dial - 0.02 * width)
        };
        let found = at(dial);
        best = nearer(best, found);
        if found.error < 0.0 {
            low = found;
        } else {
            high = found;
        }
        by_halves = high.dial - low.dial > 0.5 * width;
    }
    if best.error.abs() > ERROR_MAX {
        return Err(Miss::Jump {
            nearest: asked * libm::exp(best.error),
        });
    }
    Ok(best.dial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_curve_that_rises_is_met_and_asked_only_once() {
        let dials = Dials::new();
        let mut steps = 0;
        for (nth, curve) in [
            |dial: f64| 1.0 + 15.0 * dial,
            |dial: f64| 1.0 + 300.0 * dial.powi(8),
            |dial: f64| 1.0 + 40.0 * dial.sqrt(),
            // Noise of 0.2 %.
            |dial: f64| 1.0 + 15.0 * dial + 0.004 * (1e6 * dial).sin(),
        ]
        .into_iter()
        .enumerate()
        {
            for asked in [1.2, 2.0, 8.0] {
                let mut find = || {
                    let measured = |dial| {
                        steps += 1;
                        curve(dial)
                    };
                    dials
                        .find(format!("{nth} {asked}"), asked, measured)
                        .unwrap()
                };
                let dial = find();
                assert_eq!(find(), dial);
                assert!(
                    (curve(dial) / asked).ln().abs() <= TOLERANCE,
                    "{nth} {asked}"
                );
            }
        }
        assert!(steps < 12 * 20, "{steps}");
    }

    #[test]
    fn what_is_out_of_reach_is_said_with_the_reach() {
        for asked in [1.2, 5.0] {
            let error = search(asked, |dial| 2.0 + 2.0 * dial).unwrap_err();
            assert!(
                matches!(error, Miss::OutOfReach { min, max }
                    if (min - 2.0).abs() < 1e-9 && (max - 4.0).abs() < 1e-9),
                "{error:?}"
            );
        }
        let jump = |dial: f64| if dial < 0.3 { 1.0 } else { 3.0 };
        let error = search(2.0, jump).unwrap_err();
        assert!(matches!(error, Miss::Jump { .. }), "{error:?}");
    }
}
