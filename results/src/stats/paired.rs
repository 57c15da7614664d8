//! Two sides measured close together, as one number: the logarithm of how much more the second took.
//!
//! Effects are logarithms, so that twice as long and half as long are as far from nothing. +0.049 is +5 %.

use super::geometric_mean;

/// Which of two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is compared with.
    Base,
    /// What is judged.
    Head,
}

/// The effect of one process pair: the mean of the middle half of its slices' ln(head / base). None where there is no
/// slice, or one that took no time.
///
/// A machine that is disturbed for a while spoils the slices of that while, on both sides; a quarter of them may be spoilt
/// each way. The median would bear half, and scatters by an eighth more where little is. Both are blind to what
/// happens in few slices only, such as a stall.
#[must_use]
pub fn pair_effect(slices: &[(f64, f64)]) -> Option<f64> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let logs: Option<Vec<f64>> = slices
        .iter()
        .map(|&(base, head)| (positive(base) && positive(head)).then(|| (head / base).ln()))
        .collect();
    let mut logs = logs?;
    logs.sort_by(f64::total_cmp);
    let aside = logs.len() / 4;
    let middle = &logs[aside..logs.len() - aside];
    (!middle.is_empty()).then(|| middle.iter().sum::<f64>() / middle.len() as f64)
}

/// The effect of one block of rounds: ln of the ratio of the sides' geometric means. Two rounds of each
/// side in an order like A B B A cancel a drift that is the same from round to round.
#[must_use]
pub fn abba_effect(base: &[f64], head: &[f64]) -> Option<f64> {
    let effect = (geometric_mean(head)? / geometric_mean(base)?).ln();
    effect.is_finite().then_some(effect)
}

/// The order of one block: `A B B A`, or `B A A B` where `flipped`.
#[must_use]
pub const fn abba_order(flipped: bool) -> [Side; 4] {
    if flipped {
        [Side::Head, Side::Base, Side::Base, Side::Head]
    } else {
        [Side::Base, Side::Head, Side::Head, Side::Base]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_the_middle_half_of_its_slices() {
        // Ratios 0.1 and 10 (disturbed) are set aside; 1.1 and 1.21 are left.
        let slices = [(10.0, 11.0), (10.0, 1.0), (10.0, 12.1), (10.0, 100.0)];
        let effect = pair_effect(&slices).expect("slices");
        assert!((effect - 1.5 * 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!(pair_effect(&slices[..1]), Some(1.1_f64.ln()));
        assert_eq!(pair_effect(&[]), None);
        assert_eq!(pair_effect(&[(10.0, 0.0)]), None);
    }

    #[test]
    fn a_block_cancels_a_steady_drift() {
        // Every round takes 10 % more than the one before; the sides are equal.
        let drift: Vec<f64> = (0..4).map(|round| 1.1_f64.powi(round)).collect();
        let mut sides = (Vec::new(), Vec::new());
        for (side, time) in abba_order(false).into_iter().zip(&drift) {
            match side {
                Side::Base => sides.0.push(*time),
                Side::Head => sides.1.push(*time),
            }
        }
        assert!(abba_effect(&sides.0, &sides.1).expect("positive").abs() < 1e-12);
        // One after the other would have read a drift of two rounds as +21 %.
        let sequential = abba_effect(&drift[..2], &drift[2..]).expect("positive");
        assert!((sequential - 1.21_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn each_side_goes_first_in_one_of_the_two_orders() {
        assert_eq!(abba_order(false)[0], Side::Base);
        assert_eq!(abba_order(true)[0], Side::Head);
        assert_eq!(abba_effect(&[1.0], &[]), None);
    }
}
