//! Targets side by side: one bar per target for each operation, with the spread over rounds.
//!
//! Bars begin at zero, so that their lengths may be compared. The whisker is the interval of the median
//! over rounds; where whiskers of two targets overlap, the rounds do not tell them apart.

use super::advice::with_interval;
use super::axis::Axis;
use super::canvas::{Align, Canvas, Ink, cut_to, svg};
use super::plot::{FONT_PX, SMALL_PX};
use super::summary::{Numbers, Path, Summary, TargetSummary};
use crate::metric::Unit;
use crate::stats::Spread;

/// Throughput and p99 of one operation.
pub(super) struct Sides {
    pub(super) path: String,
    pub(super) svg: String,
}

const WIDTH: f64 = 480.0;
const ROW: f64 = 24.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = WIDTH - 100.0;
const HEAD: f64 = 24.0;

/// One picture per operation, only where there are targets to compare.
pub(super) fn sides(summary: &Summary<'_>) -> Vec<Sides> {
    if summary.targets.len() < 2 {
        return Vec::new();
    }
    summary
        .paths
        .iter()
        .filter_map(|path| picture(summary, path))
        .collect()
}

fn picture(summary: &Summary<'_>, path: &Path) -> Option<Sides> {
    let rows: Vec<(&TargetSummary<'_>, Option<Numbers>)> = summary
        .targets
        .iter()
        .map(|target| {
            (
                target,
                target.shown().and_then(|point| path.numbers(&point.cells)),
            )
        })
        .collect();
    rows.iter().find_map(|(_, numbers)| numbers.as_ref())?;
    let block = HEAD + rows.len() as f64 * ROW + 12.0;
    let text = path.text();
    let label = format!("{text} of each target. {}", words_of(path, &rows));
    let svg = svg(WIDTH, 2.0 * block, &label, |canvas| {
        let title = format!("{text}: {} (higher is better)", path.rate_name());
        bars(canvas, 0.0, &title, path.unit(), &rows, |numbers| {
            numbers.rate
        });
        let title = format!("{text}: p99 (lower is better)");
        bars(canvas, block, &title, Unit::Nanoseconds, &rows, |numbers| {
            numbers.p99
        });
    });
    Some(Sides { path: text, svg })
}

/// Each target's numbers with their intervals.
fn words_of(path: &Path, rows: &[(&TargetSummary<'_>, Option<Numbers>)]) -> String {
    let named = rows.iter().map(|(target, numbers)| {
        let name = &target.target.name;
        numbers.as_ref().map_or_else(
            || format!("{name}: no numbers"),
            |numbers| {
                format!(
                    "{name}: {}, p99 {}",
                    with_interval(&numbers.rate, path.unit()),
                    with_interval(&numbers.p99, Unit::Nanoseconds)
                )
            },
        )
    });
    named.collect::<Vec<_>>().join("; ")
}

fn bars(
    canvas: &Canvas<'_>,
    top: f64,
    title: &str,
    unit: Unit,
    rows: &[(&TargetSummary<'_>, Option<Numbers>)],
    pick: fn(&Numbers) -> Spread,
) {
    canvas.text(
        &cut_to(title, WIDTH - 12.0, FONT_PX),
        (4.0, top + 9.0),
        FONT_PX,
        Ink::Text,
        Align::Left,
    );
    let high = rows
        .iter()
        .filter_map(|(_, numbers)| numbers.as_ref())
        .map(|numbers| pick(numbers).max)
        .fold(0.0_f64, f64::max);
    let scale = Axis::from_zero(high, unit);
    let across = |value: f64| LEFT + scale.place(value) * (RIGHT - LEFT);
    for (index, (target, numbers)) in rows.iter().enumerate() {
        let from = top + HEAD + index as f64 * ROW;
        let middle = from + 8.0;
        let name = cut_to(&target.target.name, LEFT - 10.0, SMALL_PX);
        canvas.text(
            &name,
            (LEFT - 8.0, middle),
            SMALL_PX,
            Ink::Text,
            Align::Right,
        );
        let Some(numbers) = numbers else {
            canvas.text(
                "no numbers",
                (LEFT + 2.0, middle),
                SMALL_PX,
                Ink::Muted,
                Align::Left,
            );
            continue;
        };
        let spread = pick(numbers);
        let end = across(spread.median);
        canvas.rect(
            (LEFT, from),
            (end, from + 16.0),
            Ink::Series(target.series),
            0.85,
        );
        if let Some(interval) = spread.interval.filter(|one| one.high > one.low) {
            let (low, high) = (across(interval.low), across(interval.high));
            canvas.line(&[(low, middle), (high, middle)], Ink::Text, 1.2);
            for tip in [low, high] {
                canvas.line(&[(tip, middle - 4.0), (tip, middle + 4.0)], Ink::Text, 1.2);
            }
        }
        let text = unit.format(spread.median);
        let at = (end.max(across(spread.max)) + 6.0, middle);
        canvas.text(&text, at, SMALL_PX, Ink::Text, Align::Left);
    }
}
