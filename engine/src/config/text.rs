//! Values of knobs as text: sizes with units, durations with units, plain numbers.
//!
//! Every value is one `i64` in the unit's base (bytes, milliseconds, one). What is written is read
//! back as the same number.

use std::fmt;

/// What a knob's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes; `16MiB`, `4096`.
    Bytes,
    /// Things.
    Count,
    /// Parts of a hundred.
    Percent,
    /// Milliseconds; `5s`, `30ms`.
    Ms,
    /// One of some words.
    Choice,
    /// `true` or `false`.
    Bool,
}

impl Unit {
    /// As in a table of knobs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Percent => "percent",
            Self::Ms => "ms",
            Self::Choice => "enum",
            Self::Bool => "bool",
        }
    }

    /// What a value looks like.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Bytes => "a size, such as 16MiB, 128KiB or 4096",
            Self::Count => "a whole number, such as 8",
            Self::Percent => "a whole number of percent, such as 50",
            Self::Ms => "a duration, such as 5s, 30ms or 2min",
            Self::Choice => "one of the words it takes",
            Self::Bool => "true or false",
        }
    }

    /// Suffixes with their number of base units, largest first; the first of each number is written.
    fn suffixes(self) -> &'static [(&'static str, i64)] {
        match self {
            Self::Bytes => &[
                ("TiB", 1 << 40),
                ("T", 1 << 40),
                ("TB", 1_000_000_000_000),
                ("GiB", 1 << 30),
                ("G", 1 << 30),
                ("GB", 1_000_000_000),
                ("MiB", 1 << 20),
                ("M", 1 << 20),
                ("MB", 1_000_000),
                ("KiB", 1 << 10),
                ("K", 1 << 10),
                ("KB", 1_000),
                ("B", 1),
            ],
            Self::Ms => &[
                ("h", 3_600_000),
                ("min", 60_000),
                ("m", 60_000),
                ("s", 1_000),
                ("ms", 1),
            ],
            Self::Percent => &[("%", 1)],
            Self::Count | Self::Choice | Self::Bool => &[],
        }
    }

    /// The number `text` stands for; whole in base units.
    pub(super) fn parse(self, text: &str) -> Option<i64> {
        let text = text.trim();
        let letters = text
            .find(|letter: char| letter.is_ascii_alphabetic() || letter == '%')
            .unwrap_or(text.len());
        let (number, suffix) = (text[..letters].trim_end(), &text[letters..]);
        let factor = if suffix.is_empty() {
            1
        } else {
            let named = |(name, _): &&(&str, i64)| name.eq_ignore_ascii_case(suffix);
            self.suffixes().iter().find(named)?.1
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let bare_point = number.contains('.') && fraction.is_empty();
        if bare_point || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let whole: i64 = whole.replace('_', "").parse().ok()?;
        let mut value = i128::from(whole) * i128::from(factor);
        if !fraction.is_empty() {
            let parts = i128::from(fraction.parse::<i64>().ok()?) * i128::from(factor);
            let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            if parts % scale != 0 {
                return None;
            }
            value += if number.starts_with('-') {
                -(parts / scale)
            } else {
                parts / scale
            };
        }
        i64::try_from(value).ok()
    }

    /// `number` as text, with the largest suffix that leaves it whole.
    pub(super) fn format(self, number: i64) -> String {
        let whole = |(_, factor): &&(&str, i64)| number != 0 && number % factor == 0;
        let binary = |(name, _): &&(&str, i64)| !(self == Self::Bytes && name.len() == 2);
        match self.suffixes().iter().filter(binary).find(whole) {
            Some((suffix, factor)) if *factor > 1 || self == Self::Ms => {
                format!("{}{suffix}", number / factor)
            }
            _ => number.to_string(),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        let parse = |text| Unit::Bytes.parse(text);
        assert_eq!(parse("16MiB"), Some(16 << 20));
        assert_eq!(parse("128k"), Some(128 << 10));
        assert_eq!(parse("1.5 GiB"), Some(3 << 29));
        assert_eq!(parse("2MB"), Some(2_000_000));
        assert_eq!(parse("4096"), Some(4096));
        assert_eq!(parse("1_000"), Some(1000));
        assert_eq!(parse("0"), Some(0));
        for not in [
            "",
            "MiB",
            "1.MiB",
            "1.-5MiB",
            ".5MiB",
            "1.0001KiB",
            "1 2",
            "1XiB",
            "9999999TiB",
            "5s",
        ] {
            assert_eq!(parse(not), None, "{not:?}");
        }
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        let parse = |text| Unit::Ms.parse(text);
        assert_eq!(parse("30ms"), Some(30));
        assert_eq!(parse("5s"), Some(5000));
        assert_eq!(parse("1.5s"), Some(1500));
        assert_eq!(parse("2min"), Some(120_000));
        assert_eq!(parse("0.1ms"), None);
        assert_eq!(Unit::Count.parse("-7"), Some(-7));
        assert_eq!(Unit::Percent.parse("50%"), Some(50));
    }

    #[test]
    fn values_are_written_in_the_largest_unit_that_fits() {
        assert_eq!(Unit::Bytes.format(128 << 10), "128KiB");
        assert_eq!(Unit::Bytes.format(2_000_000), "2000000");
        assert_eq!(Unit::Bytes.format(0), "0");
        assert_eq!(Unit::Ms.format(30_000), "30s");
        assert_eq!(Unit::Ms.format(1), "1ms");
        assert_eq!(Unit::Count.format(-5), "-5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number in any::<i64>(), shift in 0_u32..60) {
            let number = number >> shift;
            for unit in [Unit::Bytes, Unit::Count, Unit::Percent, Unit::Ms] {
                prop_assert_eq!(unit.parse(&unit.format(number)), Some(number));
            }
        }
    }
}
