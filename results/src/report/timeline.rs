//! Throughput, latency and dirty bytes over time, one chart per target, on the same scales.
//!
//! The typical round of the best point is shown, its phases laid end to end. Nothing is smoothed.
//! An interval in which somebody was held up is shaded in every panel, the darker the longer.

use super::axis::Axis;
use super::canvas::{Align, Ink, cut_to, svg, text_width};
use super::plot::{Plot, SMALL_PX};
use super::summary::{Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, PhaseRole, Sample, point_label};
use std::collections::BTreeMap;

/// A chart with its caption.
pub(super) struct Timeline {
    pub(super) target: String,
    pub(super) caption: String,
    pub(super) svg: String,
}

const WIDTH: f64 = 620.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = WIDTH - 14.0;
const PANEL: f64 = 104.0;
const GAP: f64 = 32.0;
const TOP: f64 = 44.0;
const NS_PER_S: f64 = 1e9;

/// One interval placed on the cell's own time axis.
struct Interval<'a> {
    from_s: f64,
    to_s: f64,
    sample: &'a Sample,
}

impl Interval<'_> {
    fn seconds(&self) -> f64 {
        (self.to_s - self.from_s).max(1e-9)
    }
}

/// The charts, and a sentence where a target has none.
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
    let everything: Vec<Interval<'_>> = chosen
        .iter()
        .flat_map(|(_, cell)| intervals(cell))
        .collect();
    let scales = Scales::of(&everything);
    chosen
        .into_iter()
        .map(|(target, cell)| timeline(target, cell, &scales))
        .collect()
}

/// The axes all targets share, so that their charts can be compared by eye.
struct Scales {
    moves_bytes: bool,
    seconds: Axis,
    rate: Axis,
    latency: Axis,
    dirty: Option<Axis>,
}

impl Scales {
    fn of(intervals: &[Interval<'_>]) -> Self {
        let moves_bytes = intervals.iter().any(|interval| interval.sample.bytes > 0);
        let top = |value: &dyn Fn(&Interval<'_>) -> f64| {
            intervals.iter().map(value).fold(0.0_f64, f64::max)
        };
        let dirty_top = top(&|interval| interval.sample.dirty_bytes.unwrap_or(0) as f64);
        let end = top(&|interval| interval.to_s);
        let unit = if moves_bytes {
            Unit::BytesPerSecond
        } else {
            Unit::PerSecond
        };
        let latencies = intervals
            .iter()
            .flat_map(|interval| [interval.sample.ns_p50 as f64, interval.sample.ns_max as f64]);
        Self {
            moves_bytes,
            seconds: Axis::linear(0.0, end * NS_PER_S, Unit::Nanoseconds).rescaled(1.0 / NS_PER_S),
            rate: Axis::from_zero(top(&|interval| rate(interval, moves_bytes)), unit),
            latency: Axis::log(latencies, Unit::Nanoseconds),
            dirty: (dirty_top > 0.0).then(|| Axis::from_zero(dirty_top, Unit::Bytes)),
        }
    }
}

fn timeline(target: &TargetSummary<'_>, cell: &Cell, scales: &Scales) -> Timeline {
    let intervals = intervals(cell);
    let panels = if scales.dirty.is_some() { 3.0 } else { 2.0 };
    let height = TOP + panels * PANEL + (panels - 1.0) * GAP + 24.0;
    let ink = Ink::Series(target.series);
    let name = &target.target.name;
    let label = format!("throughput and latency of {name} over time");
    let chart = svg(WIDTH, height, &label, |canvas| {
        let frame = |index: f64| {
            let top = TOP + index * (PANEL + GAP);
            (LEFT, top, RIGHT, top + PANEL)
        };
        let rate_plot = Plot::new(canvas, frame(0.0), &scales.seconds, &scales.rate);
        shade(&rate_plot, cell, &intervals);
        for (from_s, to_s, phase) in spans(cell) {
            let (from, to) = (rate_plot.across(from_s), rate_plot.across(to_s));
            let room = to - from - 6.0;
            let text = worded(phase);
            // Two letters and dots say nothing.
            if room > text_width("warm-up", SMALL_PX).min(text_width(&text, SMALL_PX)) {
                let text = cut_to(&text, room, SMALL_PX);
                canvas.text(&text, (from + 3.0, 9.0), SMALL_PX, Ink::Muted, Align::Left);
            }
        }
        let title = if scales.moves_bytes {
            "throughput"
        } else {
            "operations"
        };
        rate_plot.title(title, &[("held up", Ink::Stall)]);
        let moves_bytes = scales.moves_bytes;
        rate_plot.line(
            &steps(&intervals, |interval| rate(interval, moves_bytes)),
            ink,
            1.6,
        );

        let latency_plot = Plot::new(canvas, frame(1.0), &scales.seconds, &scales.latency);
        shade(&latency_plot, cell, &intervals);
        latency_plot.title(
            "response time (log)",
            &[
                ("max", Ink::Muted),
                ("p99", ink),
                ("p50", Ink::Dashed(target.series)),
            ],
        );
        let with_ops = || intervals.iter().filter(|interval| interval.sample.ops > 0);
        let series = |value: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
            with_ops()
                .map(|i| (f64::midpoint(i.from_s, i.to_s), value(i.sample) as f64))
                .collect()
        };
        latency_plot.line(&series(|sample| sample.ns_max), Ink::Muted, 0.9);
        latency_plot.line(&series(|sample| sample.ns_p99), ink, 1.6);
        latency_plot.line(
            &series(|sample| sample.ns_p50),
            Ink::Dashed(target.series),
            1.4,
        );
        let mut last = latency_plot;
        if let Some(dirty) = &scales.dirty {
            last = Plot::new(canvas, frame(2.0), &scales.seconds, dirty);
            shade(&last, cell, &intervals);
            last.title("dirty bytes", &[]);
            let held: Vec<(f64, f64)> = intervals
                .iter()
                .filter_map(|i| Some((i.to_s, i.sample.dirty_bytes? as f64)))
                .collect();
            if held.is_empty() {
                canvas.text(
                    "this target does not tell",
                    (f64::midpoint(LEFT, RIGHT), frame(2.0).1 + PANEL / 2.0),
                    SMALL_PX,
                    Ink::Muted,
                    Align::Center,
                );
            }
            last.line(&held, ink, 1.6);
        }
        last.label_x();
    });
    Timeline {
        target: name.clone(),
        caption: caption(cell, &intervals),
        svg: chart,
    }
}

/// Which cell, and who was held up by what for how long.
fn caption(cell: &Cell, intervals: &[Interval<'_>]) -> String {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for stall in intervals
        .iter()
        .flat_map(|interval| &interval.sample.stalls)
    {
        *causes.entry(&stall.cause).or_default() += stall.ns;
    }
    let mut held: Vec<(&str, u64)> = causes.into_iter().filter(|(_, ns)| *ns > 0).collect();
    held.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let held: Vec<String> = held
        .into_iter()
        .map(|(cause, ns)| format!("{cause} {}", Unit::Nanoseconds.format(ns as f64)))
        .collect();
    let held = if held.is_empty() {
        "nobody was held up".to_owned()
    } else {
        format!("held up by: {}", held.join(", "))
    };
    format!(
        "{}, round {}; {held}",
        point_label(&cell.point),
        cell.round + 1
    )
}

fn rate(interval: &Interval<'_>, moves_bytes: bool) -> f64 {
    let amount = if moves_bytes {
        interval.sample.bytes
    } else {
        interval.sample.ops
    };
    amount as f64 / interval.seconds()
}

/// A rate holds for its whole interval: two points per interval, none in between.
fn steps(intervals: &[Interval<'_>], value: impl Fn(&Interval<'_>) -> f64) -> Vec<(f64, f64)> {
    intervals
        .iter()
        .flat_map(|i| [(i.from_s, value(i)), (i.to_s, value(i))])
        .collect()
}

/// The stalls, and where each phase begins.
fn shade(plot: &Plot<'_, '_>, cell: &Cell, intervals: &[Interval<'_>]) {
    for interval in intervals {
        let part = interval.sample.stalled_ns() as f64 / NS_PER_S / interval.seconds();
        if part > 0.01 {
            plot.band(
                interval.from_s,
                interval.to_s,
                Ink::Stall,
                0.12 + 0.38 * part.min(1.0),
            );
        }
    }
    for (start_s, _, _) in spans(cell) {
        plot.mark(start_s);
    }
}

fn worded(phase: &PhaseRecord) -> String {
    let role = match phase.role {
        PhaseRole::WarmUp => " (warm-up)",
        PhaseRole::Prepare => " (prepare)",
        PhaseRole::Drain => " (drain)",
        PhaseRole::Steady => "",
    };
    format!("{}{role}", phase.name)
}

/// Begin and end of each phase on the cell's time axis. Phases that do not say when they began
/// follow one another.
fn spans(cell: &Cell) -> Vec<(f64, f64, &PhaseRecord)> {
    let mut spans = Vec::new();
    let mut end_ns = 0;
    for phase in &cell.phases {
        let start_ns = phase.start_ns.max(end_ns);
        end_ns = start_ns + phase.wall_ns;
        spans.push((start_ns as f64 / NS_PER_S, end_ns as f64 / NS_PER_S, phase));
    }
    spans
}

fn intervals(cell: &Cell) -> Vec<Interval<'_>> {
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
