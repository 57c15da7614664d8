//! One target's panels over time, drawn from the top down on one time axis.
//!
//! Nothing is smoothed, and no line leads through a time in which nothing was recorded: a phase that warms up, or what lies
//! between two phases. An interval in which somebody was held up is shaded in every panel, the darker
//! the longer, and a lane per cause under the throughput says by what. The heat map is not shaded: its
//! shades are counts, so its stalls are a strip on its upper edge.

use super::axis::Axis;
use super::canvas::{Align, Canvas, Ink, cut_to, text_width};
use super::heat;
use super::plot::{Plot, SMALL_PX};
use super::timeline::{Interval, Scales, follows, rate, slices, spans, stalled_part, stretches};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, PhaseRole, Sample};
use std::collections::BTreeMap;

const LEFT: f64 = 88.0;
const MARGIN_RIGHT: f64 = 14.0;
const PANEL: f64 = 104.0;
const HEAT: f64 = 156.0;
const GAP: f64 = 32.0;
const TOP: f64 = 44.0;
const LANE: f64 = 15.0;
/// A smaller part of an interval is not shaded.
const STALL_LEAST: f64 = 0.01;
/// Pixels of a column in which stalls are one band.
const STALL_COLUMN: f64 = 2.0;
/// Shades of a band.
const STALL_SHADES: f64 = 8.0;
/// Queues and pools shown at most: those that were ever deepest.
const LEVELS_MAX: usize = 4;

/// How high a sheet with these panels is.
pub(super) fn height(scales: &Scales) -> f64 {
    let plain = [&scales.dirty, &scales.depth, &scales.workers];
    let panels = 2.0 + plain.into_iter().flatten().count() as f64;
    let heat = scales.heat.as_ref().map_or(0.0, |_| HEAT + GAP);
    TOP + panels * (PANEL + GAP) + heat + lanes_height(scales) - 8.0
}

fn lanes_height(scales: &Scales) -> f64 {
    if scales.causes.is_empty() {
        0.0
    } else {
        scales.causes.len() as f64 * LANE + GAP - 8.0
    }
}

/// One target's panels.
pub(super) struct Sheet<'p, 'c> {
    canvas: &'p Canvas<'c>,
    cell: &'p Cell,
    intervals: &'p [Interval<'p>],
    scales: &'p Scales,
    right: f64,
    /// Where the next panel begins.
    top: f64,
}

impl<'p, 'c> Sheet<'p, 'c> {
    pub(super) fn new(
        canvas: &'p Canvas<'c>,
        width: f64,
        cell: &'p Cell,
        intervals: &'p [Interval<'p>],
        scales: &'p Scales,
    ) -> Self {
        Self {
            canvas,
            cell,
            intervals,
            scales,
            right: width - MARGIN_RIGHT,
            top: TOP,
        }
    }

    /// All panels.
    pub(super) fn draw(&mut self, series: u8) {
        let (ink, dashed) = (Ink::Series(series), Ink::Dashed(series));
        let scales = self.scales;
        self.phases();
        self.rate(ink);
        self.lanes();
        let mut last = self.latency(ink, dashed);
        if let Some((axis, most)) = &scales.heat {
            last = self.heat(axis, *most, ink);
        }
        if let Some(axis) = &scales.dirty {
            last = self.dirty(axis, ink);
        }
        if let Some(axis) = &scales.depth {
            last = self.levels("queue depth", axis, |sample| &sample.queues);
        }
        if let Some(axis) = &scales.workers {
            last = self.levels("busy workers", axis, |sample| &sample.workers);
        }
        last.label_x();
    }

    fn frame(&mut self, height: f64) -> (f64, f64, f64, f64) {
        let frame = (LEFT, self.top, self.right, self.top + height);
        self.top += height + GAP;
        frame
    }

    /// The next panel, with its stalls shaded and its phases marked.
    fn panel(&mut self, y: &'p Axis) -> Plot<'p, 'c> {
        let frame = self.frame(PANEL);
        let plot = Plot::new(self.canvas, frame, &self.scales.seconds, y);
        for (from_s, to_s, part) in self.bands(None, STALL_LEAST) {
            plot.band(from_s, to_s, Ink::Stall, 0.12 + 0.38 * part);
        }
        self.mark(&plot);
        plot
    }

    /// Where more than `least` of an interval was held up: from, to, which part. What lies in one column of pixels is one
    /// band, as dark as the darkest in it, and so are neighbours of one shade: there are never more than can be seen.
    fn bands(&self, cause: Option<&str>, least: f64) -> Vec<(f64, f64, f64)> {
        let column = |s: f64| (self.across(s) / STALL_COLUMN).floor();
        let mut columns: Vec<(f64, f64, f64)> = Vec::new();
        for interval in self.intervals {
            let part = stalled_part(interval, cause).min(1.0);
            if part <= least {
                continue;
            }
            let shade = (part * STALL_SHADES).ceil() / STALL_SHADES;
            match columns.last_mut() {
                Some((from_s, to_s, known)) if column(*from_s) == column(interval.from_s) => {
                    *to_s = interval.to_s;
                    *known = known.max(shade);
                }
                _ => columns.push((interval.from_s, interval.to_s, shade)),
            }
        }
        let mut bands: Vec<(f64, f64, f64)> = Vec::new();
        for (from_s, to_s, shade) in columns {
            match bands.last_mut() {
                Some((_, end_s, known)) if *known == shade && follows(*end_s, from_s, to_s) => {
                    *end_s = to_s;
                }
                _ => bands.push((from_s, to_s, shade)),
            }
        }
        bands
    }

    /// Where each phase begins.
    fn mark(&self, plot: &Plot<'_, '_>) {
        for (start_s, _, _) in spans(self.cell) {
            plot.mark(start_s);
        }
    }

    fn across(&self, seconds: f64) -> f64 {
        LEFT + self.scales.seconds.place(seconds) * (self.right - LEFT)
    }

    /// The phases' names above everything, where there is room.
    fn phases(&self) {
        for (from_s, to_s, phase) in spans(self.cell) {
            let room = self.across(to_s) - self.across(from_s) - 6.0;
            let text = worded(phase);
            // Two letters and dots say nothing.
            if room > text_width("warm-up", SMALL_PX).min(text_width(&text, SMALL_PX)) {
                let text = cut_to(&text, room, SMALL_PX);
                let at = (self.across(from_s) + 3.0, 9.0);
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
        let legend: &[(&str, Ink)] = if self.scales.causes.is_empty() {
            &[]
        } else {
            &[("shaded: held up", Ink::Stall)]
        };
        plot.title(title, legend);
        for stretch in stretches(self.intervals) {
            let steps = stretch.iter().flat_map(|i| {
                let height = rate(i, moves_bytes);
                [(i.from_s, height), (i.to_s, height)]
            });
            plot.line(&steps.collect::<Vec<_>>(), ink, 1.6);
        }
    }

    /// A lane per cause, filled while it held somebody up.
    fn lanes(&mut self) {
        if self.scales.causes.is_empty() {
            return;
        }
        let top = self.top - GAP + 10.0;
        for (index, cause) in self.scales.causes.iter().enumerate() {
            let from = top + index as f64 * LANE;
            let to = from + LANE - 3.0;
            let name = cut_to(cause, LEFT - 10.0, SMALL_PX);
            let at = (LEFT - 6.0, f64::midpoint(from, to));
            self.canvas
                .text(&name, at, SMALL_PX, Ink::Muted, Align::Right);
            self.canvas
                .rect((LEFT, from), (self.right, to), Ink::Grid, 0.45);
            for (from_s, to_s, part) in self.bands(Some(cause), 0.0) {
                // Even a short stall is a pixel wide.
                let begin = self.across(from_s);
                let end = self.across(to_s).max(begin + 1.0);
                let opacity = 0.35 + 0.65 * part;
                self.canvas
                    .rect((begin, from), (end, to), Ink::Stall, opacity);
            }
        }
        self.top += lanes_height(self.scales);
    }

    fn latency(&mut self, ink: Ink, dashed: Ink) -> Plot<'p, 'c> {
        let plot = self.panel(&self.scales.latency);
        plot.title(
            "response time (log)",
            &[("max", Ink::Muted), ("p99", ink), ("p50", dashed)],
        );
        // A line across intervals in which nothing ended would say that something did.
        let is_idle = |interval: &Interval<'_>| interval.sample.ops == 0;
        for busy in stretches(self.intervals).flat_map(|stretch| stretch.split(is_idle)) {
            let series = |value: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
                let points = busy.iter();
                points
                    .map(|interval| (interval.middle(), value(interval.sample) as f64))
                    .collect()
            };
            plot.line(&series(|sample| sample.ns_max), Ink::Muted, 0.9);
            plot.line(&series(|sample| sample.ns_p99), ink, 1.6);
            plot.line(&series(|sample| sample.ns_p50), dashed, 1.4);
        }
        plot
    }

    fn heat(&mut self, axis: &'p Axis, most: u64, ink: Ink) -> Plot<'p, 'c> {
        let frame = self.frame(HEAT);
        let plot = Plot::new(self.canvas, frame, &self.scales.seconds, axis);
        heat::draw(&plot, &slices(self.intervals), most, ink);
        for (from_s, to_s, _) in self.bands(None, STALL_LEAST) {
            let (from, to) = (self.across(from_s), self.across(to_s));
            let top = frame.1 - 4.0;
            self.canvas
                .rect((from, top), (to, top + 4.0), Ink::Stall, 0.8);
        }
        self.mark(&plot);
        let title = "latency heat map (log)";
        plot.title(title, &[]);
        self.scale_of_counts(frame, title, most, ink);
        plot
    }

    /// From one operation to the most, beside the heat map's title.
    fn scale_of_counts(&self, frame: (f64, f64, f64, f64), title: &str, most: u64, ink: Ink) {
        let middle = frame.1 - 11.0;
        let mut across = LEFT + text_width(title, SMALL_PX) + 24.0;
        let say = |text: &str, across: f64| {
            self.canvas
                .text(text, (across, middle), SMALL_PX, Ink::Muted, Align::Left);
            across + text_width(text, SMALL_PX) + 5.0
        };
        across = say("1", across);
        for opacity in [0.16, 0.4, 0.64, 0.82, 1.0] {
            let (from, to) = ((across, middle - 5.0), (across + 13.0, middle + 4.0));
            self.canvas.rect(from, to, ink, opacity);
            across += 13.0;
        }
        let most = Unit::Count.format(most as f64);
        say(&format!("{most} in a cell"), across + 5.0);
    }

    fn dirty(&mut self, axis: &'p Axis, ink: Ink) -> Plot<'p, 'c> {
        let plot = self.panel(axis);
        plot.title("dirty bytes", &[]);
        let held = |i: &Interval<'_>| Some((i.to_s, i.sample.dirty_bytes? as f64));
        if !self.intervals.iter().any(|i| held(i).is_some()) {
            self.silent();
        }
        for stretch in stretches(self.intervals) {
            let held: Vec<(f64, f64)> = stretch.iter().filter_map(held).collect();
            plot.line(&held, ink, 1.6);
        }
        plot
    }

    /// The named levels that ever were highest, each in a colour of its own.
    fn levels(
        &mut self,
        title: &str,
        axis: &'p Axis,
        of: fn(&Sample) -> &BTreeMap<String, u64>,
    ) -> Plot<'p, 'c> {
        let plot = self.panel(axis);
        let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, level) in self.intervals.iter().flat_map(|i| of(i.sample)) {
            let known = highest.entry(name).or_default();
            *known = (*known).max(*level);
        }
        let mut named: Vec<(&str, u64)> =
            highest.into_iter().filter(|(_, most)| *most > 0).collect();
        named.sort_by_key(|(_, most)| std::cmp::Reverse(*most));
        named.truncate(LEVELS_MAX);
        if named.is_empty() {
            self.silent();
        }
        // Not the targets' first colours, so that no queue looks like a target; every other one is
        // dashed, so that colour is not all there is to tell them apart.
        let inks = (2_u8..).map(|nth| {
            if nth % 2 == 0 {
                Ink::Series(nth)
            } else {
                Ink::Dashed(nth)
            }
        });
        let legend: Vec<(&str, Ink)> = named.iter().map(|(name, _)| *name).zip(inks).collect();
        plot.title(title, &legend);
        for (name, ink) in legend {
            let level = |i: &Interval<'_>| Some((i.to_s, *of(i.sample).get(name)? as f64));
            for stretch in stretches(self.intervals) {
                let levels: Vec<(f64, f64)> = stretch.iter().filter_map(level).collect();
                plot.line(&levels, ink, 1.4);
            }
        }
        plot
    }

    /// Says in the panel drawn last that there is nothing to draw.
    fn silent(&self) {
        let middle = (
            f64::midpoint(LEFT, self.right),
            self.top - GAP - PANEL / 2.0,
        );
        self.canvas.text(
            "this target does not tell",
            middle,
            SMALL_PX,
            Ink::Muted,
            Align::Center,
        );
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

#[cfg(test)]
mod tests {
    use super::super::canvas::svg;
    use super::super::timeline::intervals;
    use super::*;

    const MS: u64 = 1_000_000;

    /// Ten intervals of 10 ms; what it began with is not counted.
    fn phase(name: &str, start_ns: u64) -> PhaseRecord {
        let sample = |nth: u64| Sample {
            t_ns: nth * 10 * MS,
            ops: 5,
            bytes: 4096 * nth,
            ns_p50: 1000,
            ns_p99: 2000,
            ns_max: 3000,
            dirty_bytes: Some(4096),
            spectrum: vec![(1000, 5)],
            ..Sample::default()
        };
        PhaseRecord {
            name: name.to_owned(),
            start_ns,
            wall_ns: 100 * MS,
            series: (1..=10).map(sample).collect(),
            ..PhaseRecord::default()
        }
    }

    /// How many lines of a target's colour each of its panels has.
    fn lines(second_start_ns: u64) -> [usize; 3] {
        let cell = Cell {
            phases: vec![phase("load", 0), phase("serve", second_start_ns)],
            ..Cell::default()
        };
        let everything = [intervals(&cell)];
        let scales = Scales::of(&everything);
        let panels: [fn(&mut Sheet<'_, '_>); 3] = [
            |sheet| sheet.rate(Ink::Series(0)),
            |sheet| {
                sheet.latency(Ink::Series(0), Ink::Dashed(1));
            },
            |sheet| {
                let axis = sheet.scales.dirty.as_ref().expect("dirty bytes");
                sheet.dirty(axis, Ink::Series(0));
            },
        ];
        panels.map(|draw| {
            let text = svg(900.0, 300.0, "one panel", |canvas| {
                draw(&mut Sheet::new(
                    canvas,
                    900.0,
                    &cell,
                    &everything[0],
                    &scales,
                ));
            });
            let lines = text.lines().filter(|line| line.contains("<polyline"));
            let of_target = |line: &&str| line.contains("stroke=\"var(--series-0)\"");
            let in_legend = |line: &str| line.contains("stroke-width=\"20\"");
            lines
                .filter(of_target)
                .filter(|line| !in_legend(line))
                .count()
        })
    }

    #[test]
    fn nothing_is_drawn_through_a_time_in_which_nothing_was_recorded() {
        assert_eq!(lines(100 * MS), [1, 1, 1]);
        assert_eq!(lines(100 * MS + 20_000), [1, 1, 1], "a pause of 20 us");
        assert_eq!(lines(150 * MS), [2, 2, 2]);
    }
}
