//! How often something may happen that was seen so many times in so many trials.
//!
//! Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934: exact, so 0 of 300
//! is "at most 1.0 %" and not "never".

/// The largest rate that `seen` or fewer of `trials` do not contradict, at one-sided `confidence`
/// (0.95). 1 without a trial.
#[must_use]
pub fn upper_bound(seen: u32, trials: u32, confidence: f64) -> f64 {
    if seen >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // 60 halvings are past the precision of a double.
    for _ in 0..60 {
        let rate = f64::midpoint(low, high);
        if at_most(seen, trials, rate) > 1.0 - confidence {
            low = rate;
        } else {
            high = rate;
        }
    }
    f64::midpoint(low, high)
}

/// The probability of `seen` or fewer of `trials` at this rate, summed in logarithms.
fn at_most(seen: u32, trials: u32, rate: f64) -> f64 {
    let (happens, fails) = (rate.ln(), (-rate).ln_1p());
    let mut choose = 0.0;
    let mut sum = 0.0;
    for count in 0..=seen {
        if count > 0 {
            choose += f64::from(trials - count + 1).ln() - f64::from(count).ln();
        }
        sum += (choose + f64::from(count) * happens + f64::from(trials - count) * fails).exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_with_closed_forms() {
        // None of n: 1 - 0.05^(1/n).
        for trials in [10, 59, 300] {
            let wanted = 1.0 - 0.05_f64.powf(1.0 / f64::from(trials));
            assert!((upper_bound(0, trials, 0.95) - wanted).abs() < 1e-9);
        }
        assert!(upper_bound(0, 300, 0.95) < 0.01);
        // n - 1 of n: 0.95^(1/n).
        let wanted = 0.95_f64.powf(1.0 / 20.0);
        assert!((upper_bound(19, 20, 0.95) - wanted).abs() < 1e-9);
    }

    #[test]
    fn a_tabled_value_and_the_ends() {
        // 2 of 20 at 95 %, one-sided: 0.2826 (Hahn, Meeker, "Statistical Intervals", 1991).
        assert!((upper_bound(2, 20, 0.95) - 0.2826).abs() < 5e-4);
        assert_eq!(upper_bound(5, 5, 0.95), 1.0);
        assert_eq!(upper_bound(0, 0, 0.95), 1.0);
    }
}
