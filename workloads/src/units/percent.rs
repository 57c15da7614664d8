//! Shares: `20%`.

use super::{UnitFault, split_number};

/// A share, 1 being the whole.
///
/// # Errors
/// What is wrong with it.
pub fn parse_percent(text: &str) -> Result<f64, UnitFault> {
    let text = text.trim();
    let (number, unit) = split_number(text);
    let bad = || UnitFault::new(format!("`{text}` is no share; write it like 20%"));
    let value: f64 = number.replace('_', "").parse().map_err(|_| bad())?;
    match unit.trim_start() {
        "%" => Ok(value / 100.0),
        // What is at most 1 was most likely meant as a part of one.
        "" => {
            let percents = if value <= 1.0 { value * 100.0 } else { value };
            Err(UnitFault::new(format!("`{text}` has no unit")).guess(format!("{percents}%")))
        }
        other => Err(UnitFault::new(format!(
            "`{other}` is no unit of a share; there is %"
        ))),
    }
}

/// A share as people write it.
pub fn format_percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_its_sign() {
        assert_eq!(parse_percent("20%"), Ok(0.2));
        assert_eq!(parse_percent("0.5 %"), Ok(0.005));
        let guess = |text: &str| parse_percent(text).unwrap_err().guess;
        assert_eq!(guess("20").as_deref(), Some("20%"));
        assert_eq!(guess("0.2").as_deref(), Some("20%"));
        assert!(parse_percent("x%").is_err() && parse_percent("5/s").is_err());
        assert_eq!(format_percent(0.125), "12.5%");
    }
}
