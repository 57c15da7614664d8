//! Numbers with units, as people write them: sizes, times, rates.
//!
//! One grammar for all: digits, perhaps a fraction, then the unit without a space. A number without its unit is
//! refused (0 excepted): "is that bytes or kilobytes, seconds or milliseconds?" has cost benchmarkers more
//! wrong results than any bug. `KiB` is 1024 and `kB` is 1000, as the standards say; a bare `K` could be either and is refused too.

mod duration;
mod percent;
mod rate;
mod size;

pub use duration::{format_duration, parse_duration};
pub use percent::{format_percent, parse_percent};
pub use rate::{parse_byte_rate, parse_rate};
pub use size::{format_size, parse_size};

/// What is wrong with a number, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFault {
    /// One line.
    pub message: String,
    /// What to write instead, where that can be guessed.
    pub guess: Option<String>,
}

impl UnitFault {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            guess: None,
        }
    }

    fn guess(mut self, guess: impl Into<String>) -> Self {
        self.guess = Some(guess.into());
        self
    }
}

/// A unit and how many of the base unit it is.
type Unit = (&'static str, u64);

/// Where the digits end.
fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(text.len());
    (&text[..end], &text[end..])
}

/// `text` in the base unit. Integers are exact; a fraction has to come out whole.
fn parse_scaled(text: &str, what: &str, example: &str, units: &[Unit]) -> Result<u64, UnitFault> {
    let text = text.trim();
    let (number, unit) = split_number(text);
    let bad = || UnitFault::new(format!("`{text}` is no {what}; write it like {example}"));
    if number.is_empty() || number.starts_with(['.', '_']) || number.ends_with(['.', '_']) {
        return Err(bad());
    }
    let number = number.replace('_', "");
    let unit = unit.trim_start();
    if unit.is_empty() {
        if number == "0" {
            return Ok(0);
        }
        return Err(
            UnitFault::new(format!("`{text}` has no unit")).guess(format!("{text}{}", units[0].0))
        );
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let fault = UnitFault::new(format!(
            "`{unit}` is no unit of a {what}; there are {}",
            known.join(", ")
        ));
        return Err(match nearest_unit(unit, units) {
            Some(near) => fault.guess(format!("{number}{near}")),
            None => fault,
        });
    };
    scaled(&number, *scale).map_err(|why| match why {
        Scaled::NotANumber => bad(),
        Scaled::NotWhole => UnitFault::new(format!(
            "`{text}` is not a whole number of {}",
            units_base(units)
        )),
        Scaled::TooLarge => UnitFault::new(format!("`{text}` is too large")),
    })
}

/// The name of the smallest unit.
fn units_base(units: &[Unit]) -> &'static str {
    units
        .iter()
        .find(|(_, scale)| *scale == 1)
        .map_or("units", |(name, _)| *name)
}

/// The first unit that differs in case alone or starts alike.
fn nearest_unit(unit: &str, units: &[Unit]) -> Option<&'static str> {
    let lower = unit.to_ascii_lowercase();
    units
        .iter()
        .find(|(name, _)| name.to_ascii_lowercase() == lower)
        .or_else(|| {
            units
                .iter()
                .find(|(name, _)| name.to_ascii_lowercase().starts_with(&lower))
        })
        .map(|(name, _)| *name)
}

enum Scaled {
    NotANumber,
    NotWhole,
    TooLarge,
}

fn scaled(number: &str, scale: u64) -> Result<u64, Scaled> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') {
        return Err(Scaled::NotANumber);
    }
    let digits = u32::try_from(fraction.len()).map_err(|_| Scaled::NotANumber)?;
    let whole: u128 = whole.parse().map_err(|_| Scaled::TooLarge)?;
    let parts: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().map_err(|_| Scaled::NotANumber)?
    };
    let tens = 10u128.checked_pow(digits).ok_or(Scaled::TooLarge)?;
    let scale = u128::from(scale);
    let sum = whole
        .checked_mul(tens)
        .and_then(|w| w.checked_add(parts))
        .and_then(|n| n.checked_mul(scale))
        .ok_or(Scaled::TooLarge)?;
    if sum % tens != 0 {
        return Err(Scaled::NotWhole);
    }
    u64::try_from(sum / tens).map_err(|_| Scaled::TooLarge)
}

/// `value` in the largest unit that leaves a whole number.
fn format_scaled(value: u64, units_descending: &[Unit]) -> String {
    let (name, scale) = units_descending
        .iter()
        .find(|(_, scale)| value != 0 && value.is_multiple_of(*scale))
        .unwrap_or_else(|| {
            units_descending
                .last()
                .expect("a quantity has at least one unit")
        });
    format!("{}{name}", value / scale)
}
