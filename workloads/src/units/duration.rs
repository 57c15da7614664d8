//! Times: `10s`, `250ms`, `5us`, `2min`.

use super::{Unit, UnitFault, format_scaled, parse_scaled};

const UNITS: [Unit; 6] = [
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const SHOWN: [Unit; 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Nanoseconds of a time as written.
///
/// # Errors
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<u64, UnitFault> {
    if let Some(minutes) = text.trim().strip_suffix('m')
        && minutes.ends_with(|c: char| c.is_ascii_digit())
    {
        return Err(
            UnitFault::new(format!("`{text}` could be minutes or milliseconds"))
                .guess(format!("{minutes}min")),
        );
    }
    parse_scaled(text, "time", "10s, 250ms or 5us", &UNITS)
}

/// A time that [`parse_duration`] reads back to the same nanoseconds.
pub fn format_duration(ns: u64) -> String {
    format_scaled(ns, &SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_told_apart() {
        assert_eq!(parse_duration("10s"), Ok(10_000_000_000));
        assert_eq!(parse_duration("250ms"), Ok(250_000_000));
        assert_eq!(parse_duration("2.5us"), Ok(2_500));
        assert_eq!(parse_duration("2min"), Ok(120_000_000_000));
        assert_eq!(
            parse_duration("5m").unwrap_err().guess.as_deref(),
            Some("5min")
        );
        assert_eq!(
            parse_duration("10").unwrap_err().guess.as_deref(),
            Some("10s")
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ns: u64) {
            prop_assert_eq!(parse_duration(&format_duration(ns)), Ok(ns));
        }
    }
}
