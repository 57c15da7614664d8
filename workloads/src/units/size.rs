//! Sizes: `4KiB`, `1.5GiB`, `4kB`.

use super::{Unit, UnitFault, format_scaled, parse_scaled};

// The first is what a number without a unit is taken to have meant, in the suggestion.
const UNITS: [Unit; 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const SHOWN: [Unit; 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Bytes of a size as written.
///
/// # Errors
/// What is wrong with it.
pub fn parse_size(text: &str) -> Result<u64, UnitFault> {
    parse_scaled(text, "size", "4KiB, 16MiB or 1GiB", &UNITS).map_err(|fault| {
        // A bare multiple of 1024 was most likely a number of bytes.
        match text.trim().parse::<u64>() {
            Ok(bytes) if bytes.is_multiple_of(1024) => fault.guess(format_size(bytes)),
            _ => fault,
        }
    })
}

/// A size that [`parse_size`] reads back to the same bytes.
pub fn format_size(bytes: u64) -> String {
    format_scaled(bytes, &SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binary_and_decimal_are_told_apart() {
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("4kB"), Ok(4000));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("1_000B"), Ok(1000));
        assert_eq!(parse_size("0"), Ok(0));
    }

    #[test]
    fn a_missing_or_doubtful_unit_is_refused_with_a_guess() {
        let fault = parse_size("4096").unwrap_err();
        assert_eq!(fault.message, "`4096` has no unit");
        assert_eq!(fault.guess.as_deref(), Some("4KiB"));
        assert_eq!(parse_size("4k").unwrap_err().guess.as_deref(), Some("4KiB"));
        assert_eq!(
            parse_size("4mib").unwrap_err().guess.as_deref(),
            Some("4MiB")
        );
        assert_eq!(parse_size("4q").unwrap_err().guess, None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "KiB",
            "-4KiB",
            "1.2.3KiB",
            ".5KiB",
            "0.3B",
            "99999999999TiB",
            "1e6B",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }
    }
}
