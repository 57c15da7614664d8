//! Two runs on one page: what differs, every number both have, and the same charts over one another.
//!
//! The charts show, for each target, the point that the first run recommends, if the second has it too.

use super::axis::Axis;
use super::canvas::{Ink, svg};
use super::doubts::ranked;
use super::environment::reproduction;
use super::percentiles::overlay;
use super::plot::Plot;
use super::summary::{Path, Summary};
use super::table::{Table, marked, nothing, number, prose, words};
use super::view::Figure;
use crate::compare::{Comparison, Row, Standing};
use crate::hist::LatencyHist;
use crate::metric::Unit;
use crate::record::{Cell, RunRecord, point_label};
use serde::Serialize;

/// Everything the template needs.
#[derive(Serialize)]
pub(super) struct SideBySide {
    style: &'static str,
    script: &'static str,
    links: [(&'static str, &'static str); 5],
    title: String,
    runs: Vec<RunView>,
    sentence: String,
    class: &'static str,
    cautions: Vec<String>,
    operations: Table,
    counters: Table,
    untold: Table,
    only_one: usize,
    times: Vec<Figure>,
    curves: Vec<Figure>,
    unlike: Table,
}

#[derive(Serialize)]
struct RunView {
    name: String,
    describe: String,
    doubts: Vec<String>,
    reproduction: Vec<String>,
}

const BEFORE: Ink = Ink::Series(0);
const AFTER: Ink = Ink::Series(1);
const WIDTH: f64 = 620.0;

impl SideBySide {
    /// The names are what the runs are called: their paths, mostly.
    pub(super) fn of(before: (&str, &RunRecord), after: (&str, &RunRecord)) -> Self {
        let comparison = Comparison::of(before.1, after.1);
        let (left, right) = (Summary::of(before.1, None), Summary::of(after.1, None));
        let pairs = pairs(&left, after.1);
        let (sentence, class) = sentence(&comparison);
        let names = (before.0, after.0);
        Self {
            style: include_str!("page.css"),
            script: include_str!("page.js"),
            links: [
                ("verdict", "Overview"),
                ("numbers", "Numbers"),
                ("time", "Time"),
                ("latency", "Latency"),
                ("unlike", "Differences"),
            ],
            title: format!("{} and {}", before.0, after.0),
            sentence,
            class,
            cautions: comparison.cautions.clone(),
            operations: table(&comparison, |row| row.is_of_operation && is_told(row)),
            counters: table(&comparison, |row| !row.is_of_operation && is_told(row)),
            untold: table(&comparison, |row| !is_told(row)),
            only_one: comparison.only_one,
            times: pairs
                .iter()
                .filter_map(|pair| over_time(pair, names))
                .collect(),
            curves: left
                .paths
                .iter()
                .flat_map(|path| {
                    pairs
                        .iter()
                        .filter_map(move |pair| curve(path, pair, names))
                })
                .collect(),
            unlike: unlike(&comparison),
            runs: vec![run(before, &left), run(after, &right)],
        }
    }
}

fn run((name, record): (&str, &RunRecord), summary: &Summary<'_>) -> RunView {
    let doubts = ranked(summary);
    RunView {
        name: name.to_owned(),
        describe: format!(
            "{}, {}, {}",
            record.workload.name,
            record.started_at,
            record.status.word()
        ),
        doubts: doubts
            .into_iter()
            .map(|doubt| format!("{}: {}", doubt.grade, doubt.seen))
            .collect(),
        reproduction: reproduction(record),
    }
}

fn sentence(comparison: &Comparison) -> (String, &'static str) {
    let count = |standing| comparison.count(standing);
    let (better, worse) = (count(Standing::Better), count(Standing::Worse));
    let untold = count(Standing::CannotTell);
    let chance = comparison.told_by_chance();
    let by_chance = if chance >= 0.5 {
        format!(" About {chance:.0} would be told apart by chance alone, with so few rounds.")
    } else {
        String::new()
    };
    let differing = count(Standing::Differs);
    let text = format!(
        "Of {} numbers that both runs have, {better} are better in the second, {worse} are worse, {differing} differ \
         without being good or bad, {} are the same, and {untold} cannot be told apart.{by_chance}",
        comparison.rows.len(),
        count(Standing::Same)
    );
    // A finding is one where there are more than chance brings.
    let is_more = (better + worse + differing) as f64 > 2.0 * chance;
    let class = if !comparison.cautions.is_empty() || !is_more {
        "unknown"
    } else if worse > better {
        "violated"
    } else if better > worse {
        "held"
    } else {
        "unknown"
    };
    (text, class)
}

const fn is_told(row: &Row) -> bool {
    !matches!(row.standing, Standing::CannotTell | Standing::Same)
}

fn table(comparison: &Comparison, wanted: fn(&Row) -> bool) -> Table {
    let mut rows: Vec<&Row> = comparison.rows.iter().filter(|row| wanted(row)).collect();
    // The largest change first.
    let change = |row: &Row| match row.ratio {
        Some(ratio) => ratio.max(1e-9).ln().abs(),
        // From nothing to something is more than any ratio.
        None if row.after.median != 0.0 => f64::INFINITY,
        None => 0.0,
    };
    rows.sort_by(|a, b| change(b).total_cmp(&change(a)));
    let mut table = Table::new(&[
        "number",
        "target",
        "point",
        "before",
        "after",
        "after / before",
        "stands",
    ]);
    for row in rows {
        let class = match row.standing {
            Standing::Better => "held",
            Standing::Worse => "violated",
            Standing::Differs => "chosen",
            Standing::Same | Standing::CannotTell => "",
        };
        table.row(vec![
            words(&row.number),
            words(&row.target),
            prose(&row.point),
            number(row.unit.format(row.before.median), row.before.median),
            number(row.unit.format(row.after.median), row.after.median),
            row.ratio
                .map_or_else(nothing, |ratio| number(format!("{ratio:.3}"), ratio)),
            marked(row.standing.words(), class),
        ]);
    }
    table
}

fn unlike(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["what", "before", "after"]);
    for one in &comparison.unlike {
        table.row(vec![
            words(&one.what),
            prose(&one.before),
            prose(&one.after),
        ]);
    }
    table
}

/// One target's cells at one point, in both runs.
struct Pair<'a> {
    label: String,
    before: Vec<&'a Cell>,
    after: Vec<&'a Cell>,
}

fn pairs<'a>(before: &Summary<'a>, after: &'a RunRecord) -> Vec<Pair<'a>> {
    let pair = |target: &super::summary::TargetSummary<'a>| {
        let point = target.shown()?;
        let name = &target.target.name;
        let mut twins = after.rounds(name, &point.point);
        twins.retain(|cell| cell.fault.is_none());
        (!twins.is_empty()).then(|| Pair {
            label: format!("{name}, {}", point_label(&point.point)),
            before: point.cells.clone(),
            after: twins,
        })
    };
    before.targets.iter().filter_map(pair).collect()
}

fn curve(path: &Path, pair: &Pair<'_>, names: (&str, &str)) -> Option<Figure> {
    let merged = |cells: &[&Cell]| {
        let mut all = LatencyHist::new();
        let phases = cells.iter().flat_map(|cell| cell.phases_named(&path.phase));
        for op in phases
            .flat_map(|phase| &phase.ops)
            .filter(|op| op.op == path.op)
        {
            if let Ok(one) = op.response.hist() {
                all.merge(&one);
            }
        }
        all
    };
    let (before, after) = (merged(&pair.before), merged(&pair.after));
    let lines = [
        (names.0, BEFORE, &before),
        (names.1, Ink::Dashed(1), &after),
    ];
    let (title, svg) = overlay(path, &lines)?;
    Some(Figure {
        title,
        caption: pair.label.clone(),
        svg,
    })
}

/// Throughput of the first round of both, phases laid end to end.
fn over_time(pair: &Pair<'_>, names: (&str, &str)) -> Option<Figure> {
    const HEIGHT: f64 = 190.0;
    const FRAME: (f64, f64, f64, f64) = (80.0, 30.0, WIDTH - 14.0, HEIGHT - 24.0);
    let (before, after) = (series(pair.before.first()?), series(pair.after.first()?));
    let all = || before.iter().chain(&after);
    let end_s = all().map(|(second, _)| *second).fold(0.0_f64, f64::max);
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let top = all().map(|(_, rate)| *rate).fold(0.0_f64, f64::max);
    let x = Axis::linear(0.0, end_s * 1e9, Unit::Nanoseconds).rescaled(1e-9);
    let y = Axis::from_zero(top, Unit::BytesPerSecond);
    let label = format!("throughput over time of {}, both runs", pair.label);
    let svg = svg(WIDTH, HEIGHT, &label, |canvas| {
        let plot = Plot::new(canvas, FRAME, &x, &y);
        plot.label_x();
        plot.title("throughput", &[(names.0, BEFORE), (names.1, AFTER)]);
        plot.line(&before, BEFORE, 1.6);
        plot.line(&after, AFTER, 1.6);
    });
    Some(Figure {
        title: "throughput".to_owned(),
        caption: format!("{}, the first round of each", pair.label),
        svg,
    })
}

/// (seconds, bytes per second), two points per interval.
fn series(cell: &Cell) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut base_s = 0.0;
    for phase in &cell.phases {
        let mut from_s = base_s;
        for sample in &phase.series {
            let to_s = base_s + sample.t_ns as f64 / 1e9;
            let rate = sample.bytes as f64 / (to_s - from_s).max(1e-9);
            points.push((from_s, rate));
            points.push((to_s, rate));
            from_s = to_s;
        }
        base_s += phase.wall_ns as f64 / 1e9;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(counters: &[(&str, f64)]) -> RunRecord {
        let mut record = RunRecord::of_an_engine();
        let mut cell = Cell {
            target: "engine".to_owned(),
            ..Cell::default()
        };
        for (name, value) in counters {
            cell.count(*name, *value);
        }
        for round in 0..3 {
            record.cells.push(Cell {
                round,
                ..cell.clone()
            });
        }
        record
    }

    #[test]
    fn from_nothing_to_something_is_the_largest_change() {
        let before = counted(&[
            ("few", 10.0),
            ("none", 0.0),
            ("still", 0.0),
            ("twice", 10.0),
        ]);
        let after = counted(&[
            ("few", 11.0),
            ("none", 4000.0),
            ("still", 0.0),
            ("twice", 20.0),
        ]);
        let comparison = Comparison::of(&before, &after);
        let text = table(&comparison, |_| true).markdown();
        let names = text.lines().skip(2).filter_map(|row| row.split('|').nth(1));
        let names: Vec<&str> = names.map(str::trim).collect();
        assert_eq!(names, ["none", "twice", "few", "still"], "{text}");
    }
}
