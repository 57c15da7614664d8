//! Throughput, latency, dirty bytes and queue depths over time, one chart per target, on the same scales.
//!
//! The typical round of the best point is shown, its phases laid end to end. Nothing is smoothed.
//! An interval in which somebody was held up is shaded in every panel, the darker the longer.

use super::axis::Axis;
use super::canvas::{Align, Canvas, Ink, cut_to, svg, text_width};
use super::plot::{Plot, SMALL_PX};
use super::summary::{Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, PhaseRole, Sample, point_label};
use crate::stats::sum;
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
    depth: Option<Axis>,
}

impl Scales {
    fn of(intervals: &[Interval<'_>]) -> Self {
        let moves_bytes = intervals.iter().any(|interval| interval.sample.bytes > 0);
        let top = |value: &dyn Fn(&Interval<'_>) -> f64| {
            intervals.iter().map(value).fold(0.0_f64, f64::max)
        };
        let dirty_top = top(&|interval| interval.sample.dirty_bytes.unwrap_or(0) as f64);
        let depth_top =
            top(&|interval| interval.sample.queues.values().copied().max().unwrap_or(0) as f64);
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
            depth: (depth_top > 0.0).then(|| Axis::from_zero(depth_top, Unit::Count)),
        }
    }
}

fn timeline(target: &TargetSummary<'_>, cell: &Cell, scales: &Scales) -> Timeline {
    let intervals = intervals(cell);
    let panels = 2.0
        + f64::from(u8::from(scales.dirty.is_some()))
        + f64::from(u8::from(scales.depth.is_some()));
    let height = TOP + panels * PANEL + (panels - 1.0) * GAP + 24.0;
    let name = &target.target.name;
    let label = format!("throughput and latency of {name} over time");
    let chart = svg(WIDTH, height, &label, |canvas| {
        let mut sheet = Sheet {
            canvas,
            cell,
            intervals: &intervals,
            scales,
            drawn: 0.0,
        };
        let ink = Ink::Series(target.series);
        sheet.phases();
        sheet.rate(ink);
        let mut last = sheet.latency(ink, Ink::Dashed(target.series));
        if let Some(axis) = &scales.dirty {
            last = sheet.dirty(axis, ink);
        }
        if let Some(axis) = &scales.depth {
            last = sheet.depth(axis);
        }
        last.label_x();
    });
    Timeline {
        target: name.clone(),
        caption: caption(cell, &intervals),
        svg: chart,
    }
}

/// One target's panels, drawn from the top down.
struct Sheet<'p, 'c> {
    canvas: &'p Canvas<'c>,
    cell: &'p Cell,
    intervals: &'p [Interval<'p>],
    scales: &'p Scales,
    /// How many panels there are already.
    drawn: f64,
}

impl<'p, 'c> Sheet<'p, 'c> {
    /// The next panel, with its stalls shaded and its phases marked.
    fn panel(&mut self, y: &'p Axis) -> Plot<'p, 'c> {
        let top = TOP + self.drawn * (PANEL + GAP);
        self.drawn += 1.0;
        let frame = (LEFT, top, RIGHT, top + PANEL);
        let plot = Plot::new(self.canvas, frame, &self.scales.seconds, y);
        shade(&plot, self.cell, self.intervals);
        plot
    }

    /// The phases' names above everything, where there is room.
    fn phases(&self) {
        let across = |seconds: f64| LEFT + self.scales.seconds.place(seconds) * (RIGHT - LEFT);
        for (from_s, to_s, phase) in spans(self.cell) {
            let room = across(to_s) - across(from_s) - 6.0;
            let text = worded(phase);
            // Two letters and dots say nothing.
            if room > text_width("warm-up", SMALL_PX).min(text_width(&text, SMALL_PX)) {
                let text = cut_to(&text, room, SMALL_PX);
                let at = (across(from_s) + 3.0, 9.0);
                self.canvas
                    .text(&text, at, SMALL_PX, Ink::Muted, Align::Left);
            }
        }
    }

    fn rate(&mut self, ink: Ink) {
        let plot = self.panel(&self.scales.rate);
        let moves_bytes = self.scales.moves_bytes;
        let title = if moves_bytes {
            "throughput"
        } else {
            "operations"
        };
        plot.title(title, &[("held up", Ink::Stall)]);
        plot.line(
            &steps(self.intervals, |interval| rate(interval, moves_bytes)),
            ink,
            1.6,
        );
    }

    fn latency(&mut self, ink: Ink, dashed: Ink) -> Plot<'p, 'c> {
        let plot = self.panel(&self.scales.latency);
        plot.title(
            "response time (log)",
            &[("max", Ink::Muted), ("p99", ink), ("p50", dashed)],
        );
        let series = |value: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
            self.intervals
                .iter()
                .filter(|interval| interval.sample.ops > 0)
                .map(|i| (f64::midpoint(i.from_s, i.to_s), value(i.sample) as f64))
                .collect()
        };
        plot.line(&series(|sample| sample.ns_max), Ink::Muted, 0.9);
        plot.line(&series(|sample| sample.ns_p99), ink, 1.6);
        plot.line(&series(|sample| sample.ns_p50), dashed, 1.4);
        plot
    }

    fn dirty(&mut self, axis: &'p Axis, ink: Ink) -> Plot<'p, 'c> {
        let plot = self.panel(axis);
        plot.title("dirty bytes", &[]);
        let held: Vec<(f64, f64)> = self
            .intervals
            .iter()
            .filter_map(|i| Some((i.to_s, i.sample.dirty_bytes? as f64)))
            .collect();
        if held.is_empty() {
            self.silent();
        }
        plot.line(&held, ink, 1.6);
        plot
    }

    /// The queues that ever were deepest, each in a colour of its own.
    fn depth(&mut self, axis: &'p Axis) -> Plot<'p, 'c> {
        const SHOWN_MAX: usize = 4;
        let plot = self.panel(axis);
        let mut deepest: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, depth) in self
            .intervals
            .iter()
            .flat_map(|interval| &interval.sample.queues)
        {
            let known = deepest.entry(name).or_default();
            *known = (*known).max(*depth);
        }
        let mut queues: Vec<(&str, u64)> = deepest.into_iter().collect();
        queues.sort_by_key(|(_, depth)| std::cmp::Reverse(*depth));
        queues.truncate(SHOWN_MAX);
        if queues.is_empty() {
            self.silent();
        }
        // Not the targets' first colours, so that no queue looks like a target.
        let inks = (2_u8..).map(Ink::Series);
        let legend: Vec<(&str, Ink)> = queues.iter().map(|(name, _)| *name).zip(inks).collect();
        plot.title("queue depth", &legend);
        for (name, ink) in legend {
            let depths: Vec<(f64, f64)> = self
                .intervals
                .iter()
                .filter_map(|i| Some((i.to_s, *i.sample.queues.get(name)? as f64)))
                .collect();
            plot.line(&depths, ink, 1.4);
        }
        plot
    }

    /// Says in the panel drawn last that there is nothing to draw.
    fn silent(&self) {
        let top = TOP + (self.drawn - 1.0) * (PANEL + GAP);
        let middle = (f64::midpoint(LEFT, RIGHT), top + PANEL / 2.0);
        self.canvas.text(
            "this target does not tell",
            middle,
            SMALL_PX,
            Ink::Muted,
            Align::Center,
        );
    }
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
        end_ns = sum([start_ns, phase.wall_ns]);
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
