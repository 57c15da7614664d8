//! A series as one line of blocks.

/// The eight heights, and nothing for zero.
const BLOCKS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// One character per value; `top` is the full height, so that several lines can share a scale.
pub fn sparkline(values: &[f64], top: f64) -> String {
    values
        .iter()
        .map(|value| {
            let part = value / top;
            if !part.is_finite() || part <= 0.0 {
                return ' ';
            }
            let mut eighths = BLOCKS.iter().zip(1_u8..);
            let found = eighths.find(|(_, nth)| part <= f64::from(*nth) / 8.0);
            found.map_or(BLOCKS[7], |(block, _)| *block)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_the_values_and_nothing_is_empty() {
        assert_eq!(
            sparkline(&[0.0, 1.0, 4.0, 8.0, 9.0, f64::NAN], 8.0),
            " \u{2581}\u{2584}\u{2588}\u{2588} "
        );
        assert_eq!(sparkline(&[1.0], 0.0), " ");
    }
}
