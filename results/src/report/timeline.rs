//! What happened when: the intervals of one round of each target on one time axis and common scales.
//!
//! The typical round of the best point is shown, its phases laid end to end. This file chooses and
//! scales; `sheet.rs` draws.

use super::axis::Axis;
use super::canvas::svg;
use super::heat::{Slice, extent};
use super::sheet::{Sheet, height};
use super::summary::{Summary, TargetSummary};
use super::table::{Table, number, words};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, Sample, point_label};
use crate::stats::{median, sum};
use std::collections::{BTreeMap, BTreeSet};

/// A chart with its caption.
pub(super) struct Timeline {
    pub(super) target: String,
    pub(super) caption: String,
    pub(super) svg: String,
    /// The stalls in words: from, to, cause, how long somebody was held up.
    pub(super) stalls: Table,
    /// How many more there are than the table has rows for.
    pub(super) stalls_left_out: usize,
}

const NS_PER_S: f64 = 1e9;
/// Rows of a table of stalls: the longest. The page says how many more there are, and the raw data has them.
const STALLS_MAX: usize = 200;
/// Wider where there is one chart alone.
const WIDTH: f64 = 620.0;
const WIDTH_ALONE: f64 = 900.0;

/// One interval placed on the cell's own time axis.
pub(super) struct Interval<'a> {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) sample: &'a Sample,
}

impl Interval<'_> {
    pub(super) fn seconds(&self) -> f64 {
        (self.to_s - self.from_s).max(1e-9)
    }

    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }

    /// Whether this one begins where `before` ends. A pause that nobody would see is none.
    pub(super) fn follows(&self, before: &Self) -> bool {
        follows(before.to_s, self.from_s, self.to_s)
    }
}

/// Whether an interval begins where another ends, but for a hundredth of itself.
pub(super) fn follows(before_to_s: f64, from_s: f64, to_s: f64) -> bool {
    from_s - before_to_s <= (to_s - from_s) * 0.01
}

/// Intervals between which nothing is missing. While a phase warms up, and between two of them, there are none.
pub(super) fn stretches<'i, 'a>(
    intervals: &'i [Interval<'a>],
) -> impl Iterator<Item = &'i [Interval<'a>]> {
    intervals.chunk_by(|before, next| next.follows(before))
}

/// One chart per target that has intervals.
pub(super) fn timelines(summary: &Summary<'_>) -> Vec<Timeline> {
    let chosen: Vec<(&TargetSummary<'_>, &Cell)> = summary
        .targets
        .iter()
        .filter_map(|target| {
            let cell = target.shown()?.typical(summary.headline.as_ref())?;
            cell.phases
                .iter()
                .any(|phase| !phase.series.is_empty())
                .then_some((target, cell))
        })
        .collect();
    let everything: Vec<Vec<Interval<'_>>> =
        chosen.iter().map(|(_, cell)| intervals(cell)).collect();
    let width = if chosen.len() == 1 {
        WIDTH_ALONE
    } else {
        WIDTH
    };
    let scales = Scales::of(&everything);
    chosen
        .into_iter()
        .zip(&everything)
        .map(|((target, cell), intervals)| timeline(target, cell, intervals, &scales, width))
        .collect()
}

/// The axes all targets share, so that their charts can be compared by eye.
pub(super) struct Scales {
    pub(super) moves_bytes: bool,
    pub(super) seconds: Axis,
    pub(super) rate: Axis,
    pub(super) latency: Axis,
    /// The heat map's axis and the count of its fullest cell.
    pub(super) heat: Option<(Axis, u64)>,
    pub(super) dirty: Option<Axis>,
    pub(super) depth: Option<Axis>,
    pub(super) workers: Option<Axis>,
    /// Everything that held somebody up, in order of name.
    pub(super) causes: Vec<String>,
}

impl Scales {
    pub(super) fn of(targets: &[Vec<Interval<'_>>]) -> Self {
        let intervals = || targets.iter().flatten();
        let moves_bytes = intervals().any(|interval| interval.sample.bytes > 0);
        let top =
            |value: &dyn Fn(&Interval<'_>) -> f64| intervals().map(value).fold(0.0_f64, f64::max);
        let most = |levels: &BTreeMap<String, u64>| levels.values().copied().max().unwrap_or(0);
        let from_zero = |top: f64, unit: Unit| (top > 0.0).then(|| Axis::from_zero(top, unit));
        let end = top(&|interval| interval.to_s);
        let unit = if moves_bytes {
            Unit::BytesPerSecond
        } else {
            Unit::PerSecond
        };
        let latencies = intervals()
            .flat_map(|interval| [interval.sample.ns_p50 as f64, interval.sample.ns_max as f64]);
        let extents: Vec<(u64, u64, u64)> = targets
            .iter()
            .filter_map(|intervals| extent(&slices(intervals)))
            .collect();
        let ends = extents
            .iter()
            .flat_map(|(_, low, high)| [*low as f64, *high as f64]);
        let fullest = extents.iter().map(|(most, ..)| *most).max();
        let causes: BTreeSet<&String> = intervals()
            .flat_map(|interval| &interval.sample.stalls)
            .filter(|stall| stall.ns > 0)
            .map(|stall| &stall.cause)
            .collect();
        Self {
            moves_bytes,
            seconds: Axis::linear(0.0, end * NS_PER_S, Unit::Nanoseconds).rescaled(1.0 / NS_PER_S),
            rate: Axis::from_zero(top(&|interval| rate(interval, moves_bytes)), unit),
            latency: Axis::log(latencies, Unit::Nanoseconds),
            heat: fullest.map(|most| (Axis::log(ends, Unit::Nanoseconds), most)),
            dirty: from_zero(
                top(&|interval| interval.sample.dirty_bytes.unwrap_or(0) as f64),
                Unit::Bytes,
            ),
            depth: from_zero(
                top(&|interval| most(&interval.sample.queues) as f64),
                Unit::Count,
            ),
            workers: from_zero(
                top(&|interval| most(&interval.sample.workers) as f64),
                Unit::Count,
            ),
            causes: causes.into_iter().cloned().collect(),
        }
    }
}

fn timeline(
    target: &TargetSummary<'_>,
    cell: &Cell,
    intervals: &[Interval<'_>],
    scales: &Scales,
    width: f64,
) -> Timeline {
    let name = &target.target.name;
    let caption = caption(cell, intervals);
    let label = format!(
        "{name} over time. {}. {caption}",
        words_of(intervals, scales)
    );
    let chart = svg(width, height(scales), &label, |canvas| {
        let mut sheet = Sheet::new(canvas, width, cell, intervals, scales);
        sheet.draw(target.series);
    });
    let (stalls, stalls_left_out) = stalls(intervals);
    Timeline {
        target: name.clone(),
        caption,
        svg: chart,
        stalls,
        stalls_left_out,
    }
}

/// The chart for whoever does not see it.
fn words_of(intervals: &[Interval<'_>], scales: &Scales) -> String {
    let (name, unit) = if scales.moves_bytes {
        ("Throughput", Unit::BytesPerSecond)
    } else {
        ("Operations", Unit::PerSecond)
    };
    let rates: Vec<f64> = intervals
        .iter()
        .map(|interval| rate(interval, scales.moves_bytes))
        .collect();
    let worst_ns = intervals
        .iter()
        .map(|interval| interval.sample.ns_max)
        .max()
        .unwrap_or(0);
    format!(
        "{name} of {} intervals from {} to {}, median {}; longest response {}",
        intervals.len(),
        unit.format(rates.iter().copied().fold(f64::INFINITY, f64::min)),
        unit.format(rates.iter().copied().fold(0.0_f64, f64::max)),
        unit.format(median(&rates).unwrap_or(0.0)),
        Unit::Nanoseconds.format(worst_ns as f64)
    )
}

/// Which cell, and who was held up by what for how long.
fn caption(cell: &Cell, intervals: &[Interval<'_>]) -> String {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for stall in intervals
        .iter()
        .flat_map(|interval| &interval.sample.stalls)
    {
        let held_ns = causes.entry(&stall.cause).or_default();
        *held_ns = sum([*held_ns, stall.ns]);
    }
    let mut held: Vec<(&str, u64)> = causes.into_iter().filter(|(_, ns)| *ns > 0).collect();
    held.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let held: Vec<String> = held
        .into_iter()
        .map(|(cause, ns)| format!("{cause} {}", Unit::Nanoseconds.format(ns as f64)))
        .collect();
    let held = if held.is_empty() {
        "no target told of a stall".to_owned()
    } else {
        format!("held up by: {}", held.join(", "))
    };
    format!(
        "{}, round {}; {held}",
        point_label(&cell.point),
        cell.round + 1
    )
}

/// Neighbouring intervals held up by one cause are one row. How many rows there was no room for comes along.
fn stalls(intervals: &[Interval<'_>]) -> (Table, usize) {
    let mut bands: Vec<(&str, f64, f64, u64)> = Vec::new();
    for interval in intervals {
        for stall in interval.sample.stalls.iter().filter(|stall| stall.ns > 0) {
            let open = bands.iter_mut().rev().find(|(cause, _, to_s, _)| {
                *cause == stall.cause && follows(*to_s, interval.from_s, interval.to_s)
            });
            match open {
                Some((_, _, to_s, held_ns)) => {
                    *to_s = interval.to_s;
                    *held_ns = sum([*held_ns, stall.ns]);
                }
                None => bands.push((&stall.cause, interval.from_s, interval.to_s, stall.ns)),
            }
        }
    }
    let mut table = Table::new(&["from", "to", "cause", "held up"]);
    let left_out = bands.len().saturating_sub(STALLS_MAX);
    if left_out > 0 {
        bands.sort_by_key(|(.., held_ns)| std::cmp::Reverse(*held_ns));
        bands.truncate(STALLS_MAX);
        bands.sort_by(|a, b| a.1.total_cmp(&b.1));
    }
    let lengths = bands.iter().map(|(_, from_s, to_s, _)| to_s - from_s);
    let decimals = decimals(lengths.fold(f64::INFINITY, f64::min));
    for (cause, from_s, to_s, held_ns) in bands {
        let moment = |s: f64| number(format!("{s:.decimals$} s"), s);
        table.row(vec![
            moment(from_s),
            moment(to_s),
            words(cause),
            number(Unit::Nanoseconds.format(held_ns as f64), held_ns as f64),
        ]);
    }
    (table, left_out)
}

/// As many decimals of seconds as it takes to tell the ends of something so long apart.
fn decimals(least_s: f64) -> usize {
    let tells = |places: &u8| 10.0_f64.powi(-i32::from(*places)) <= least_s * 1.000_001;
    (1..9).find(tells).map_or(9, usize::from)
}

pub(super) fn rate(interval: &Interval<'_>, moves_bytes: bool) -> f64 {
    let amount = if moves_bytes {
        interval.sample.bytes
    } else {
        interval.sample.ops
    };
    amount as f64 / interval.seconds()
}

/// The counts of a heat map.
pub(super) fn slices<'a>(intervals: &'a [Interval<'a>]) -> Vec<Slice<'a>> {
    intervals
        .iter()
        .map(|interval| Slice {
            from_s: interval.from_s,
            to_s: interval.to_s,
            spectrum: &interval.sample.spectrum,
        })
        .collect()
}

/// Begin and end of each phase on the cell's time axis. Phases that do not say when they began
/// follow one another.
pub(super) fn spans(cell: &Cell) -> Vec<(f64, f64, &PhaseRecord)> {
    let mut spans = Vec::new();
    let mut end_ns = 0;
    for phase in &cell.phases {
        let start_ns = phase.start_ns.max(end_ns);
        end_ns = sum([start_ns, phase.wall_ns]);
        spans.push((start_ns as f64 / NS_PER_S, end_ns as f64 / NS_PER_S, phase));
    }
    spans
}

pub(super) fn intervals(cell: &Cell) -> Vec<Interval<'_>> {
    let mut found = Vec::new();
    for (start_s, _, phase) in spans(cell) {
        let mut from_s = start_s;
        for sample in &phase.series {
            let to_s = start_s + sample.t_ns as f64 / NS_PER_S;
            found.push(Interval {
                from_s,
                to_s,
                sample,
            });
            from_s = to_s;
        }
    }
    found
}

/// The held-up part of an interval; beyond 1 where several were held up at once.
pub(super) fn stalled_part(interval: &Interval<'_>, cause: Option<&str>) -> f64 {
    let stalls = interval.sample.stalls.iter();
    let ns = sum(stalls
        .filter(|stall| cause.is_none_or(|cause| stall.cause == cause))
        .map(|stall| stall.ns));
    ns as f64 / NS_PER_S / interval.seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stall;

    /// One interval of a second after the other.
    fn seconds(samples: &[Sample]) -> Vec<Interval<'_>> {
        let interval = |(nth, sample): (i32, _)| Interval {
            from_s: f64::from(nth),
            to_s: f64::from(nth + 1),
            sample,
        };
        (0..).zip(samples).map(interval).collect()
    }

    #[test]
    fn neighbouring_stalls_of_one_cause_are_one_band() {
        let held = |cause: &str, ns: u64| Sample {
            stalls: vec![Stall {
                cause: cause.to_owned(),
                ns,
            }],
            ..Sample::default()
        };
        let samples = [
            held("dirty limit", 5),
            held("dirty limit", 6),
            Sample::default(),
            held("dirty limit", 7),
            held("byte budget", 8),
        ];
        let intervals = seconds(&samples);
        let text = serde_json::to_string(&stalls(&intervals).0).expect("plain");
        assert_eq!(text.matches("dirty limit").count(), 2, "{text}");
        assert_eq!(text.matches("byte budget").count(), 1, "{text}");
        assert!(text.contains("11 ns"), "{text}");
        assert!((stalled_part(&intervals[4], None) - 8e-9).abs() < 1e-15);
        assert_eq!(stalled_part(&intervals[4], Some("dirty limit")), 0.0);
    }

    #[test]
    fn the_ends_of_a_stall_are_told_apart_however_late_it_was() {
        let held = Sample {
            stalls: vec![Stall {
                cause: "dirty limit".to_owned(),
                ns: 7,
            }],
            ..Sample::default()
        };
        let at = |from_s: f64, to_s: f64| Interval {
            from_s,
            to_s,
            sample: &held,
        };
        let text = |intervals: &[Interval<'_>]| {
            serde_json::to_string(&stalls(intervals).0).expect("plain")
        };
        let late = text(&[at(123.437, 123.537), at(200.0, 300.0)]);
        assert!(
            late.contains("\"123.4 s\"") && late.contains("\"123.5 s\""),
            "{late}"
        );
        let short = text(&[at(123.437, 123.440)]);
        assert!(
            short.contains("\"123.437 s\"") && short.contains("\"123.440 s\""),
            "{short}"
        );
        assert_eq!((decimals(1e-12), decimals(f64::INFINITY)), (9, 1));
    }

    #[test]
    fn of_more_stalls_than_rows_the_longest_are_shown_and_the_others_counted() {
        let samples: Vec<Sample> = (0..2 * STALLS_MAX as u64 + 10)
            .map(|nth| Sample {
                stalls: vec![Stall {
                    cause: "dirty limit".to_owned(),
                    ns: if nth % 2 == 0 { nth + 1 } else { 0 },
                }],
                ..Sample::default()
            })
            .collect();
        let intervals = seconds(&samples);
        let (table, left_out) = stalls(&intervals);
        let text = serde_json::to_string(&table).expect("plain");
        assert_eq!(text.matches("dirty limit").count(), STALLS_MAX);
        assert_eq!(left_out, 5);
        assert!(
            text.contains("\"409 ns\"") && !text.contains("\"1 ns\""),
            "{text}"
        );
    }
}
