//! Several metrics, one gate: how small each p-value has to be so that the gate as a whole stays honest.
//!
//! Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979. It holds
//! whatever the metrics have to do with each other, and throughput and latency have a lot.

/// Adjusted p-values in the order given: compare each with the level of the whole gate.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; count];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let remaining = (count - rank) as f64;
        largest = largest.max((p_values[index] * remaining).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_by_hand() {
        // Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1, each at least the one before.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        for (got, wanted) in adjusted.iter().zip(wanted) {
            assert!((got - wanted).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn one_metric_pays_nothing_and_none_exceeds_one() {
        assert_eq!(holm(&[0.004]), [0.004]);
        assert_eq!(holm(&[0.9, 0.8, 0.7]), [1.0, 1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
