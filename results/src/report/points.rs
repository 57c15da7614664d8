//! The points of the sweep as tables: every one, and those of the front.

use super::advice::with_interval;
use super::summary::{Numbers, Path, Summary};
use super::table::{Table, marked, nothing, number, prose, words};
use super::tables::spread_field;
use crate::metric::Unit;
use crate::recommend::Recommendation;
use crate::record::point_label;
use crate::stats::Spread;

pub(super) fn points(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&["target", "#"]);
    if !summary.is_swept() {
        return table;
    }
    let axes = &summary.record.sweep;
    for axis in axes {
        table.column(&axis.knob);
    }
    for name in [
        "rate",
        "p50",
        "p99",
        "p99.9",
        "rounds",
        "objective",
        "front",
    ] {
        table.column(name);
    }
    let unit = summary
        .headline
        .as_ref()
        .map_or(Unit::PerSecond, Path::unit);
    for target in &summary.targets {
        for (index, point) in target.points.iter().enumerate() {
            let mut fields = vec![
                words(&target.target.name),
                number((index + 1).to_string(), index as f64),
            ];
            for axis in axes {
                let setting = point.point.iter().find(|setting| setting.knob == axis.knob);
                let place = axis
                    .values
                    .iter()
                    .position(|v| setting.is_some_and(|s| s.value == *v));
                fields.push(match setting {
                    Some(setting) => number(
                        setting.value.to_string(),
                        place.unwrap_or(usize::MAX) as f64,
                    ),
                    None => nothing(),
                });
            }
            let numbers = point.headline;
            let field = |pick: fn(&Numbers) -> Spread, unit: Unit| {
                numbers.map_or_else(nothing, |numbers| spread_field(&pick(&numbers), unit))
            };
            fields.push(field(|numbers| numbers.rate, unit));
            fields.push(field(|numbers| numbers.p50, Unit::Nanoseconds));
            fields.push(field(|numbers| numbers.p99, Unit::Nanoseconds));
            fields.push(field(|numbers| numbers.p999, Unit::Nanoseconds));
            let rounds = point.cells.len();
            let text = match point.faults {
                0 => rounds.to_string(),
                faults => format!("{rounds} ({faults} with a fault)"),
            };
            fields.push(number(text, rounds as f64));
            let swept = target.points.len() > 1;
            let advice = target.advice.as_ref().filter(|_| swept);
            let chosen = advice.is_some_and(|advice| advice.chosen == index);
            let rival = advice.is_some_and(|advice| advice.rivals.contains(&index));
            fields.push(match (chosen, rival) {
                (true, _) if advice.is_some_and(Recommendation::is_clear) => {
                    marked("recommended", "held")
                }
                (true, _) => marked("best by medians", "unknown"),
                (false, true) => words("not told from the best"),
                (false, false) => words(""),
            });
            fields.push(words(if swept && point.on_front {
                "on the front"
            } else {
                ""
            }));
            table.row(fields);
        }
    }
    table
}

/// The points nobody beats in both rate and p99, each target's own, the slowest first.
pub(super) fn front_points(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&["target", "#", "point", "rate", "p99", "is"]);
    let Some(path) = summary.headline.as_ref().filter(|_| summary.is_swept()) else {
        return table;
    };
    for target in &summary.targets {
        let mut front: Vec<(usize, &Numbers)> = target
            .points
            .iter()
            .enumerate()
            .filter(|(_, point)| point.on_front)
            .filter_map(|(place, point)| Some((place, point.headline.as_ref()?)))
            .collect();
        front.sort_by(|a, b| a.1.rate.median.total_cmp(&b.1.rate.median));
        for (place, numbers) in front {
            let advice = target.advice.as_ref().filter(|_| target.points.len() > 1);
            let standing = match advice {
                Some(advice) if advice.chosen == place && advice.is_clear() => {
                    marked("recommended", "held")
                }
                Some(advice) if advice.chosen == place => marked("best by medians", "unknown"),
                Some(advice) if advice.rivals.contains(&place) => words("not told from the best"),
                _ => words(""),
            };
            let label = target
                .points
                .get(place)
                .map(|point| point_label(&point.point));
            table.row(vec![
                words(&target.target.name),
                number((place + 1).to_string(), place as f64),
                prose(label.unwrap_or_default()),
                number(
                    with_interval(&numbers.rate, path.unit()),
                    numbers.rate.median,
                ),
                number(
                    with_interval(&numbers.p99, Unit::Nanoseconds),
                    numbers.p99.median,
                ),
                standing,
            ]);
        }
    }
    table
}
