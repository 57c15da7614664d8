//! The recommendation in words: which point, how sure, and what it costs elsewhere.
//!
//! One view per target that was swept. A cost is named only where the rounds tell it: the intervals of
//! the chosen point and of the point that does better there have nothing in common.

use super::summary::{Path, PointSummary, Summary, TargetSummary};
use crate::metric::{Better, Unit};
use crate::query::Quantity;
use crate::recommend::Objective;
use crate::record::{Cell, point_label};
use crate::stats::Spread;
use crate::verdict::RunVerdict;
use serde::Serialize;

/// What the page says of one target.
#[derive(Serialize)]
pub(super) struct Advice {
    pub(super) title: String,
    /// A class of the style sheet: `held` where it is clear, `unknown` where it is not.
    pub(super) class: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) costs: Vec<String>,
}

/// Differences below this part are not worth a line.
const COST_LEAST: f64 = 0.05;
const COSTS_MAX: usize = 5;
const RIVALS_MAX: usize = 6;

/// One per target with more than one point. Wrong bytes recommend nothing.
pub(super) fn advices(summary: &Summary<'_>, verdict: &RunVerdict) -> Vec<Advice> {
    let Some(path) = summary.headline.as_ref().filter(|_| summary.is_swept()) else {
        return Vec::new();
    };
    if verdict.mismatches > 0 {
        return vec![Advice {
            title: "no recommendation".to_owned(),
            class: "unknown",
            lines: vec![
                "Bytes were read back wrong. What a target does quickly and wrongly says nothing of its settings."
                    .to_owned(),
            ],
            costs: Vec::new(),
        }];
    }
    summary
        .targets
        .iter()
        .filter(|target| target.points.len() > 1)
        .map(|target| advice(summary, target, path))
        .collect()
}

fn advice(summary: &Summary<'_>, target: &TargetSummary<'_>, path: &Path) -> Advice {
    let name = &target.target.name;
    let objective = match &summary.objective {
        Ok(objective) => format!("Objective: {}.", wanted(objective, path)),
        Err(why) => format!("The workload's objective cannot be read: {why}."),
    };
    let Some((found, point)) = target
        .advice
        .as_ref()
        .and_then(|found| Some((found, target.points.get(found.chosen)?)))
    else {
        let why = target.unasked.as_ref().map_or_else(
            || {
                "No point with whole rounds keeps it; the tables below have all that ran."
                    .to_owned()
            },
            |why| format!("It could not be asked: {why}."),
        );
        return Advice {
            title: format!("{name}: no point to recommend"),
            class: "unknown",
            lines: vec![format!("{objective} {why}")],
            costs: Vec::new(),
        };
    };
    let chosen = format!("point #{}, {}", found.chosen + 1, point_label(&point.point));
    let (title, class) = if found.is_clear() {
        (format!("{name}: recommended is {chosen}"), "held")
    } else {
        (
            format!("{name}: cannot tell; by medians {chosen}"),
            "unknown",
        )
    };
    let mut lines = vec![format!(
        "{objective} {}{}",
        reached(summary, point),
        measured(summary, point, path)
    )];
    if found.has_limit_in_doubt {
        lines.push(doubt(&summary.objective).to_owned());
    }
    if !found.has_intervals {
        lines.push(
            "One round has no interval: replay with --rounds 5 or more to tell the points apart."
                .to_owned(),
        );
    } else if !found.rivals.is_empty() {
        lines.push(rivals(target, &found.rivals));
    }
    Advice {
        title,
        class,
        lines,
        costs: costs(summary, target, found.chosen),
    }
}

/// Which point of each target the sections below are about: the recommended one, and where there is none another.
pub(super) fn shown(summary: &Summary<'_>) -> String {
    let swept = summary.targets.iter().filter(|one| one.points.len() > 1);
    let (advised, others): (Vec<_>, Vec<_>) = swept.partition(|one| one.advice.is_some());
    let others: Vec<String> = others
        .iter()
        .filter_map(|one| Some(format!("{}: #{}", one.target.name, one.best? + 1)))
        .collect();
    match (advised.is_empty(), others.is_empty()) {
        (true, true) => "only point".to_owned(),
        (false, true) => "point named above".to_owned(),
        (true, false) => format!(
            "point with the lowest p99 at nearly the best rate ({}), which is not recommended",
            others.join(", ")
        ),
        (false, false) => format!(
            "point named above, or where nothing is recommended the one with the lowest p99 at nearly the best rate ({})",
            others.join(", ")
        ),
    }
}

/// A limit that is kept by medians alone.
const fn doubt(objective: &Result<Objective, String>) -> &'static str {
    match objective {
        Ok(Objective::LowestP99 { .. }) => {
            "Its rate is near enough to the best by its median, and its interval reaches below that: in further rounds it may be too slow."
        }
        _ => {
            "It keeps the limits by its medians, and its interval crosses one: further rounds may break it."
        }
    }
}

/// A goal names its operations; the others are about the one the page leads with.
fn wanted(objective: &Objective, path: &Path) -> String {
    match objective {
        Objective::Goal(goal) => goal.to_string(),
        objective => format!("{objective} of {}", path.text()),
    }
}

/// One line for each target that was swept, for a terminal.
pub(super) fn recommendations(summary: &Summary<'_>, verdict: &RunVerdict) -> Vec<String> {
    let told = summary
        .headline
        .as_ref()
        .zip(summary.objective.as_ref().ok());
    let objective = told.map_or_else(String::new, |(path, objective)| {
        format!(" ({})", wanted(objective, path))
    });
    let advices = advices(summary, verdict).into_iter();
    advices
        .map(|advice| format!("{}{objective}", advice.title))
        .collect()
}

/// What a goal's measure came to, with its interval.
fn reached(summary: &Summary<'_>, point: &PointSummary<'_>) -> String {
    let Ok(Objective::Goal(goal)) = &summary.objective else {
        return String::new();
    };
    let Ok((amounts, kind)) = goal.rounds(summary.record, &point.cells) else {
        return String::new();
    };
    Spread::of(&amounts).map_or_else(String::new, |spread| {
        let range = spread
            .interval
            .filter(|interval| interval.high > interval.low);
        let range = range.map_or_else(String::new, |interval| {
            format!(
                " ({} to {})",
                kind.format(interval.low),
                kind.format(interval.high)
            )
        });
        format!("It reached {}{range}. ", kind.format(spread.median))
    })
}

/// Rate and p99 with their intervals.
fn measured(summary: &Summary<'_>, point: &PointSummary<'_>, path: &Path) -> String {
    let Some(numbers) = point.headline else {
        return String::new();
    };
    let what = match &summary.objective {
        Ok(Objective::Goal(_)) => path.text(),
        _ => "It".to_owned(),
    };
    format!(
        "{what} gave {} at p99 {}{}.",
        with_interval(&numbers.rate, path.unit()),
        with_interval(&numbers.p99, Unit::Nanoseconds),
        promise(&numbers.rate),
    )
}

/// `165 MiB/s (126 MiB/s to 205 MiB/s)`.
pub(super) fn with_interval(spread: &Spread, unit: Unit) -> String {
    let centre = unit.format(spread.median);
    match spread.interval {
        Some(interval) if interval.high > interval.low => format!(
            "{centre} ({} to {})",
            unit.format(interval.low),
            unit.format(interval.high)
        ),
        _ => centre,
    }
}

/// What the intervals promise, for as many rounds as there were.
pub(super) fn promise(spread: &Spread) -> String {
    spread.interval.map_or_else(
        || ", of one round".to_owned(),
        |interval| {
            format!(
                "; the intervals hold the median of further rounds with {:.0} %, by order statistics of {} rounds",
                (100.0 * interval.confidence).floor(),
                spread.count
            )
        },
    )
}

fn rivals(target: &TargetSummary<'_>, rivals: &[usize]) -> String {
    let named: Vec<String> = rivals
        .iter()
        .take(RIVALS_MAX)
        .filter_map(|&place| {
            let point = target.points.get(place)?;
            Some(format!("#{} {}", place + 1, point_label(&point.point)))
        })
        .collect();
    let more = rivals.len().saturating_sub(RIVALS_MAX);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!(
        "Its interval overlaps {} of the other {} points, which might do better in further rounds: {}{more}.",
        rivals.len(),
        target.points.len() - 1,
        named.join("; "),
    )
}

struct Cost {
    text: String,
    part: f64,
}

/// Where another point is clearly better, the largest first.
fn costs(summary: &Summary<'_>, target: &TargetSummary<'_>, chosen: usize) -> Vec<String> {
    let mut costs: Vec<Cost> = Vec::new();
    for path in &summary.paths {
        let text = path.text();
        let numbers = |cells: &[&Cell], quantity: Quantity| -> Vec<f64> {
            let values = cells
                .iter()
                .filter_map(|cell| quantity.of(cell, &text).ok());
            values.collect()
        };
        let rate = if path.moves_bytes {
            Quantity::Throughput
        } else {
            Quantity::Iops
        };
        for (quantity, name, better) in [
            (rate, path.rate_name(), Better::Higher),
            (Quantity::P99, "p99", Better::Lower),
        ] {
            let what = format!("{text} {name}");
            let values = |cells: &[&Cell]| numbers(cells, quantity);
            costs.extend(cost(
                target,
                chosen,
                &what,
                quantity.unit(),
                better,
                &values,
            ));
        }
    }
    for (name, metric) in &summary.record.metrics {
        // Bytes and counts of a timed phase grow with what was served; ratios do not.
        if metric.unit == Unit::Ratio {
            let values = |cells: &[&Cell]| -> Vec<f64> {
                let values = cells
                    .iter()
                    .filter_map(|cell| cell.counters.get(name).copied());
                values.collect()
            };
            let what = name.replace('_', " ");
            costs.extend(cost(
                target,
                chosen,
                &what,
                metric.unit,
                metric.better,
                &values,
            ));
        }
    }
    costs.sort_by(|a, b| b.part.total_cmp(&a.part));
    costs.truncate(COSTS_MAX);
    costs.into_iter().map(|cost| cost.text).collect()
}

fn cost(
    target: &TargetSummary<'_>,
    chosen: usize,
    what: &str,
    unit: Unit,
    better: Better,
    values: &dyn Fn(&[&Cell]) -> Vec<f64>,
) -> Option<Cost> {
    let spread_of = |place: usize| Spread::of(&values(&target.points.get(place)?.cells));
    let own = spread_of(chosen)?;
    let sign = match better {
        Better::Higher => 1.0,
        Better::Lower => -1.0,
        Better::Neither => return None,
    };
    let (place, other) = (0..target.points.len())
        .filter_map(|place| Some((place, spread_of(place)?)))
        .max_by(|(_, a), (_, b)| (sign * a.median).total_cmp(&(sign * b.median)))?;
    let apart = !own.interval?.overlaps(&other.interval?);
    let (large, small) = if sign > 0.0 {
        (other.median, own.median)
    } else {
        (own.median, other.median)
    };
    let part = large / small - 1.0;
    (apart && small > 0.0 && part >= COST_LEAST).then(|| Cost {
        text: format!(
            "{what}: {} here, {} at #{} {} ({:.2} x)",
            unit.format(own.median),
            unit.format(other.median),
            place + 1,
            target
                .points
                .get(place)
                .map_or_else(String::new, |point| point_label(&point.point)),
            1.0 + part
        ),
        part,
    })
}
