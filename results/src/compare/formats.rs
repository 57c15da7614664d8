//! A comparison as text for other programs.

use super::{Comparison, Row};
use crate::export::{harmless, quote};
use crate::markdown::cell;
use std::fmt::Write as _;

/// RFC 4180, one row per number, values unscaled in the unit of the `unit` column. No text reads as a formula.
#[must_use]
pub fn csv(rows: &[&Row]) -> String {
    let mut text = String::from(
        "target,point,number,unit,before_median,before_low,before_high,before_rounds,\
         after_median,after_low,after_high,after_rounds,ratio,standing\n",
    );
    for row in rows {
        let mut fields = vec![
            harmless(&row.target).into_owned(),
            harmless(&row.point).into_owned(),
            harmless(&row.number).into_owned(),
            row.unit.to_string(),
        ];
        for spread in [&row.before, &row.after] {
            let end = |pick: fn(&crate::stats::MedianInterval) -> f64| {
                let interval = spread.interval.as_ref();
                interval.map_or_else(String::new, |interval| pick(interval).to_string())
            };
            fields.push(spread.median.to_string());
            fields.push(end(|interval| interval.low));
            fields.push(end(|interval| interval.high));
            fields.push(spread.count.to_string());
        }
        fields.push(
            row.ratio
                .map_or_else(String::new, |ratio| ratio.to_string()),
        );
        fields.push(row.standing.words().to_owned());
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            quote(&mut text, field);
        }
        text.push('\n');
    }
    text
}

/// A table for a comment or a summary page of a CI system.
#[must_use]
pub fn markdown(comparison: &Comparison, rows: &[&Row]) -> String {
    let mut text = String::new();
    for caution in &comparison.cautions {
        let _ = writeln!(text, "> {}\n", cell(caution));
    }
    text.push_str("| target | point | number | before | after | ratio | |\n");
    text.push_str("|---|---|---|--:|--:|--:|---|\n");
    for row in rows {
        let ratio = row
            .ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {ratio} | {} |",
            cell(&row.target),
            cell(&row.point),
            cell(&row.number),
            row.unit.format(row.before.median),
            row.unit.format(row.after.median),
            row.standing.words()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn hostile_names_stay_in_their_cell() {
        let mut before = record(&[1000, 1100], 2.0);
        let name = "a|b\n<script>,\"c\"";
        before.targets[0].name = name.to_owned();
        for cell in &mut before.cells {
            cell.target = name.to_owned();
        }
        let comparison = Comparison::of(&before, &before);
        let rows: Vec<&Row> = comparison.rows.iter().collect();
        let table = markdown(&comparison, &rows);
        assert!(table.contains("| a\\|b &lt;script&gt;,\"c\" |"), "{table}");
        assert_eq!(table.lines().count(), rows.len() + 2);
        let values = csv(&rows);
        assert!(
            values.contains("\"a|b\n<script>,\"\"c\"\"\",base,"),
            "{values}"
        );
        assert!(
            values.contains(",ns,1050,1000,1100,2,1050,1000,1100,2,1,cannot tell"),
            "{values}"
        );
    }
}
