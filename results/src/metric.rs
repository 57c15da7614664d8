//! What a number means: name, unit, which way is better, and whether the clock had a say.
//!
//! The class decides what a gate may do with it. A *counted* number (bytes, extents, device writes)
//! follows from the workload and the code, so a stored baseline holds on another machine; a *timed*
//! one does not, and is only ever compared within one run. An *exact* number, of a deterministic run,
//! follows from workload, seed and code to the last digit, times included: any difference is a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The unit of a number. A unit this version does not know reads as `Plain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
    /// Things counted.
    Count,
    /// One number over another of the same unit.
    Ratio,
    /// Things per second.
    PerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// No unit.
    #[default]
    #[serde(other)]
    Plain,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Any change is news, neither way is better.
    #[default]
    #[serde(other)]
    Neither,
}

/// Whether the clock had a say in a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Follows from workload and code; comparable across machines.
    Counted,
    /// Of a deterministic run: follows from workload, seed and code alone; any difference is a change.
    Exact,
    /// Depends on the clock; comparable within one run only.
    #[default]
    #[serde(other)]
    Timed,
}

/// One named number's meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// The name counters and assertions use.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// Counted, exact or timed.
    pub class: Class,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
}

impl Class {
    /// Whether a number of this class means the same on another machine.
    #[must_use]
    pub const fn holds_elsewhere(self) -> bool {
        matches!(self, Self::Counted | Self::Exact)
    }
}

impl Metric {
    /// A number that follows from workload and code.
    pub fn counted(name: impl Into<String>, unit: Unit, better: Better) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            class: Class::Counted,
            doc: String::new(),
        }
    }

    /// A number the clock had a say in.
    pub fn timed(name: impl Into<String>, unit: Unit, better: Better) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            class: Class::Timed,
            doc: String::new(),
        }
    }

    /// The same with a line for people.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }
}

impl Unit {
    /// A value with its unit, scaled for reading: `12.3 MiB`, `4.50 ms`, `2.41`.
    #[must_use]
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Count => grouped(value),
            Self::Ratio | Self::Plain => digits(value),
            _ => {
                let (factor, name) = self.scale(value);
                format!("{} {name}", digits(value / factor))
            }
        }
    }

    /// The value of one and the name of the scaled unit a value is best read in, so that several
    /// values can be written in the same one.
    #[must_use]
    pub fn scale(self, value: f64) -> (f64, &'static str) {
        let (base, names): (f64, &[&str]) = match self {
            Self::Bytes => (1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
            Self::BytesPerSecond => (1024.0, &["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"]),
            Self::Nanoseconds => (1e3, &["ns", "us", "ms", "s"]),
            Self::PerSecond => (1e3, &["/s", "k/s", "M/s", "G/s"]),
            Self::Count | Self::Ratio | Self::Plain => (1.0, &[""]),
        };
        let mut factor = 1.0;
        let mut found = names[0];
        for &name in &names[1..] {
            if value.abs() / factor < base * 0.9995 {
                break;
            }
            factor *= base;
            found = name;
        }
        (factor, found)
    }

    /// A value in a scaled unit, without the unit's name.
    #[must_use]
    pub fn number(self, value: f64, factor: f64) -> String {
        if self == Self::Count {
            grouped(value)
        } else {
            digits(value / factor)
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Nanoseconds => "ns",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::PerSecond => "1/s",
            Self::BytesPerSecond => "bytes/s",
            Self::Plain => "",
        })
    }
}

/// Three significant digits, without an exponent for the sizes met here.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        "-".to_owned()
    } else if magnitude >= 99.95 || value == value.trunc() {
        grouped(value)
    } else if magnitude >= 9.995 {
        format!("{value:.1}")
    } else if magnitude >= 0.0995 {
        format!("{value:.2}")
    } else if magnitude >= 1e-6 {
        let fits = |zeros: &u8| magnitude >= 0.0995 / 10.0_f64.powi(i32::from(*zeros));
        let zeros = (1..6).find(fits).unwrap_or(6);
        format!("{value:.*}", 3 + usize::from(zeros))
    } else {
        format!("{value:.2e}")
    }
}

/// Whole numbers with a thin group every three digits; fractions keep three digits.
fn grouped(value: f64) -> String {
    if value.abs() < 1e4 && value != value.trunc() {
        return if value.abs() < 99.95 {
            format!("{value:.2}")
        } else {
            format!("{value:.0}")
        };
    }
    let whole = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(whole.len() * 4 / 3 + 1);
    if value < 0.0 && whole != "0" {
        text.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len() > 4 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_with_their_units() {
        assert_eq!(Unit::Bytes.format(1536.0), "1.50 KiB");
        assert_eq!(Unit::Bytes.format(0.0), "0 B");
        assert_eq!(Unit::BytesPerSecond.format(104_857_600.0), "100 MiB/s");
        assert_eq!(Unit::Nanoseconds.format(1_234_567.0), "1.23 ms");
        assert_eq!(Unit::Nanoseconds.format(12_300_000_000.0), "12.3 s");
        assert_eq!(Unit::Count.format(1_234_567.0), "1,234,567");
        assert_eq!(Unit::Ratio.format(2.414), "2.41");
        assert_eq!(Unit::PerSecond.format(1500.0), "1.50 k/s");
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        assert_eq!(Unit::Ratio.format(0.05), "0.0500");
        assert_eq!(Unit::Ratio.format(0.012_34), "0.0123");
        assert_eq!(Unit::Ratio.format(0.000_012_34), "0.0000123");
        assert_eq!(Unit::Plain.format(-1.5e-9), "-1.50e-9");
        assert_eq!(Unit::Nanoseconds.number(12_000.0, 1e9), "0.0000120");
    }

    #[test]
    fn several_values_can_share_a_unit() {
        let (factor, name) = Unit::Nanoseconds.scale(2_500_000.0);
        assert_eq!(
            (Unit::Nanoseconds.number(400_000.0, factor), name),
            ("0.40".to_owned(), "ms")
        );
        assert_eq!(Unit::Count.scale(5e9), (1.0, ""));
    }

    #[test]
    fn an_unknown_unit_of_a_later_version_reads_as_plain() {
        let unit: Unit = serde_json::from_str("\"furlongs\"").expect("tolerated");
        assert_eq!(unit, Unit::Plain);
    }
}
