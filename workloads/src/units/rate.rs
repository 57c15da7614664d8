//! Rates: `5000/s` operations, `200MiB/s` bytes.

use super::{UnitFault, parse_size, split_number};

/// Operations in a second.
///
/// # Errors
/// What is wrong with it.
pub fn parse_rate(text: &str) -> Result<f64, UnitFault> {
    let text = text.trim();
    let (number, unit) = split_number(text);
    let bad = || UnitFault::new(format!("`{text}` is no rate; write it like 5000/s"));
    let number: f64 = number.replace('_', "").parse().map_err(|_| bad())?;
    let per_second = match unit.trim_start() {
        "/s" => number,
        "/min" => number / 60.0,
        "" => {
            return Err(UnitFault::new(format!("`{text}` has no unit")).guess(format!("{text}/s")));
        }
        other => {
            return Err(UnitFault::new(format!(
                "`{other}` is no unit of a rate; there are /s and /min, and of bytes MiB/s and its like"
            )));
        }
    };
    // A year's period and a picosecond's: beyond, the number is a slip of the pen.
    if !(3e-8..=1e12).contains(&per_second) {
        return Err(UnitFault::new(format!("`{text}` is out of range")));
    }
    Ok(per_second)
}

/// Bytes in a second.
///
/// # Errors
/// What is wrong with it.
pub fn parse_byte_rate(text: &str) -> Result<u64, UnitFault> {
    let text = text.trim();
    let Some(size) = text.strip_suffix("/s") else {
        return Err(UnitFault::new(format!(
            "`{text}` is no rate of bytes; write it like 200MiB/s"
        ))
        .guess(format!("{text}/s")));
    };
    match parse_size(size)? {
        0 => Err(UnitFault::new("a rate of 0 would never get anywhere")),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_unit_and_are_positive() {
        assert_eq!(parse_rate("5000/s"), Ok(5000.0));
        assert_eq!(parse_rate("30/min"), Ok(0.5));
        assert_eq!(
            parse_rate("5000").unwrap_err().guess.as_deref(),
            Some("5000/s")
        );
        assert!(parse_rate("0/s").is_err());
        assert!(parse_rate("x/s").is_err());
        assert_eq!(parse_byte_rate("2MiB/s"), Ok(2 << 20));
        assert!(parse_byte_rate("2MiB").is_err());
        assert!(parse_byte_rate("0/s").is_err());
    }
}
