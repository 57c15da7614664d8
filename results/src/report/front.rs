//! Throughput against p99 over every point, and the Pareto front of each target.
//!
//! Points that another one beats in both are faint. Those of the front are joined, numbered as in the
//! tables and named by their knobs' values where there is room; intervals over rounds are drawn as
//! crosses through them, since a front of medians says nothing of how sure it is.

use super::axis::Axis;
use super::canvas::{Align, Canvas, Ink, svg, text_width};
use super::plot::{Plot, SMALL_PX};
use super::summary::{Numbers, PointSummary, Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::point_label;
use crate::stats::Spread;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
/// Wide on the right, for the names of the fastest points.
const FRAME: (f64, f64, f64, f64) = (72.0, 30.0, WIDTH - 130.0, HEIGHT - 44.0);
/// Of a number without its name.
const NUMBER_WIDTH: f64 = 18.0;
const LABEL_HEIGHT: f64 = 13.0;
/// Beyond this a label is led to its point by a line.
const AWAY: f64 = 40.0;

/// The picture with its caption; none without a sweep.
pub(super) struct Front {
    pub(super) caption: String,
    pub(super) svg: String,
}

pub(super) fn front(summary: &Summary<'_>) -> Option<Front> {
    let headline = summary.headline.as_ref()?;
    if !summary.is_swept() {
        return None;
    }
    let all: Vec<(&Numbers, bool)> = summary
        .targets
        .iter()
        .flat_map(|target| &target.points)
        .filter_map(|point| Some((point.headline.as_ref()?, point.on_front)))
        .collect();
    let (x, y) = axes(&all, headline.unit());
    let on_front: Vec<String> = summary
        .targets
        .iter()
        .flat_map(|target| target.points.iter().enumerate())
        .filter(|(_, point)| point.on_front)
        .filter_map(|(place, point)| {
            let numbers = point.headline?;
            Some(format!(
                "#{} {} at {}, p99 {}",
                place + 1,
                point_label(&point.point),
                headline.unit().format(numbers.rate.median),
                Unit::Nanoseconds.format(numbers.p99.median)
            ))
        })
        .collect();
    let label = format!(
        "{} against p99 of {} for every point. Not beaten: {}",
        headline.rate_name(),
        headline.text(),
        on_front.join("; ")
    );
    let svg = svg(WIDTH, HEIGHT, &label, |canvas| {
        let plot = Plot::new(canvas, FRAME, &x, &y);
        plot.label_x();
        let legend: Vec<(&str, Ink)> = summary
            .targets
            .iter()
            .map(|target| (target.target.name.as_str(), Ink::Series(target.series)))
            .collect();
        plot.title("p99 (log), lower is better", &legend);
        let corner = (FRAME.2, HEIGHT - 10.0);
        let axis = format!("{} \u{2192} higher is better", headline.rate_name());
        canvas.text(&axis, corner, SMALL_PX, Ink::Muted, Align::Right);
        let mut taken: Vec<Spot> = Vec::new();
        for target in &summary.targets {
            points(canvas, &plot, target, &mut taken);
        }
    });
    let knobs: Vec<&str> = summary
        .record
        .sweep
        .iter()
        .map(|axis| axis.knob.as_str())
        .collect();
    let caption = format!(
        "{}; names are values of {}; a cross is the interval over rounds",
        headline.text(),
        knobs.join(" \u{b7} ")
    );
    Some(Front { caption, svg })
}

/// Of the rate and of p99: over every point, and over the crosses, which those on the front have.
fn axes(all: &[(&Numbers, bool)], unit: Unit) -> (Axis, Axis) {
    let rates = all
        .iter()
        .flat_map(|(numbers, crossed)| ends(&numbers.rate, *crossed));
    let (low, high) = rates.fold((f64::INFINITY, 0.0_f64), |(low, high), rate| {
        (low.min(rate), high.max(rate))
    });
    // From zero, unless all points would stand in a corner.
    let x = if low.is_finite() && low > high * 0.6 {
        let room = ((high - low) * 0.15).max(high * 0.02);
        Axis::linear((low - room).max(0.0), high + room, unit)
    } else {
        Axis::from_zero(high, unit)
    };
    let y = Axis::log(
        all.iter()
            .flat_map(|(numbers, crossed)| ends(&numbers.p99, *crossed)),
        Unit::Nanoseconds,
    );
    (x, y)
}

/// The median, and where there is a cross its ends.
fn ends(spread: &Spread, crossed: bool) -> impl Iterator<Item = f64> {
    let interval = spread.interval.filter(|_| crossed);
    let interval = interval.map(|one| [one.low, one.high]);
    interval
        .into_iter()
        .flatten()
        .chain(std::iter::once(spread.median))
}

/// Where a label is, by its middle and half sizes.
#[derive(Clone, Copy)]
struct Spot {
    x: f64,
    y: f64,
    half_width: f64,
    half_height: f64,
}

impl Spot {
    fn meets(&self, other: &Self) -> bool {
        (self.x - other.x).abs() < self.half_width + other.half_width
            && (self.y - other.y).abs() < self.half_height + other.half_height
    }

    fn is_inside(&self) -> bool {
        self.x - self.half_width > FRAME.0
            && self.x + self.half_width < WIDTH
            && self.y - self.half_height > FRAME.1 - 4.0
            && self.y + self.half_height < FRAME.3
    }
}

fn points(
    canvas: &Canvas<'_>,
    plot: &Plot<'_, '_>,
    target: &TargetSummary<'_>,
    taken: &mut Vec<Spot>,
) {
    let ink = Ink::Series(target.series);
    let mut front: Vec<(&PointSummary<'_>, Numbers, usize)> = Vec::new();
    for (index, point) in target.points.iter().enumerate() {
        let Some(numbers) = point.headline else {
            continue;
        };
        if point.on_front {
            front.push((point, numbers, index + 1));
        } else {
            let at = plot.at(numbers.rate.median, numbers.p99.median);
            canvas.dot(at, 4.0, ink, 0.35);
        }
    }
    front.sort_by(|a, b| a.1.rate.median.total_cmp(&b.1.rate.median));
    let line: Vec<(f64, f64)> = front
        .iter()
        .map(|(_, numbers, _)| (numbers.rate.median, numbers.p99.median))
        .collect();
    if line.len() > 1 {
        plot.line(&line, ink, 1.2);
    }
    for (_, numbers, _) in &front {
        cross(canvas, plot, numbers, taken);
        let at = plot.at(numbers.rate.median, numbers.p99.median);
        taken.push(Spot {
            x: at.0,
            y: at.1,
            half_width: 5.0,
            half_height: 5.0,
        });
    }
    for (point, numbers, number) in front {
        let at = plot.at(numbers.rate.median, numbers.p99.median);
        let chosen = target
            .advice
            .as_ref()
            .is_some_and(|advice| advice.chosen + 1 == number);
        canvas.dot(at, if chosen { 7.0 } else { 5.0 }, ink, 1.0);
        let values: Vec<String> = point
            .point
            .iter()
            .map(|setting| setting.value.to_string())
            .collect();
        let name = if values.is_empty() {
            target.target.name.clone()
        } else {
            format!("#{number}  {}", values.join(" \u{b7} "))
        };
        let words = if chosen { Ink::Text } else { Ink::Muted };
        label(canvas, at, &name, number, words, taken);
    }
}

/// The intervals of a point in both directions; no label may lie across them.
fn cross(canvas: &Canvas<'_>, plot: &Plot<'_, '_>, numbers: &Numbers, taken: &mut Vec<Spot>) {
    const HALF: f64 = 2.0;
    let (rate, p99) = (numbers.rate.median, numbers.p99.median);
    let across = numbers
        .rate
        .interval
        .map(|one| [(one.low, p99), (one.high, p99)]);
    let down = numbers
        .p99
        .interval
        .map(|one| [(rate, one.low), (rate, one.high)]);
    for ends in [across, down].into_iter().flatten() {
        let [from, to] = ends.map(|(rate, p99)| plot.at(rate, p99));
        canvas.line(&[from, to], Ink::Muted, 0.8);
        taken.push(Spot {
            x: f64::midpoint(from.0, to.0),
            y: f64::midpoint(from.1, to.1),
            half_width: (to.0 - from.0).abs() / 2.0 + HALF,
            half_height: (to.1 - from.1).abs() / 2.0 + HALF,
        });
    }
}

/// The name at the first free place around a point, else its number, else nothing.
fn label(
    canvas: &Canvas<'_>,
    at: (f64, f64),
    name: &str,
    number: usize,
    ink: Ink,
    taken: &mut Vec<Spot>,
) {
    let short = format!("#{number}");
    let tries = [
        (name, text_width(name, SMALL_PX)),
        (short.as_str(), NUMBER_WIDTH),
    ];
    for (text, width) in tries {
        let half_width = width / 2.0 + 2.0;
        let beside = half_width + 9.0;
        let spots = [
            (beside, 0.0),
            (-beside, 0.0),
            (beside, 13.0),
            (-beside, -13.0),
            (beside, -13.0),
            (-beside, 13.0),
            (0.0, -15.0),
            (0.0, 16.0),
            (beside + AWAY, 30.0),
            (-beside - AWAY, -30.0),
            (beside + AWAY, -30.0),
            (-beside - AWAY, 30.0),
        ];
        let free = spots
            .into_iter()
            .map(|(across, down)| Spot {
                x: at.0 + across,
                y: at.1 + down,
                half_width,
                half_height: LABEL_HEIGHT / 2.0,
            })
            .find(|spot| spot.is_inside() && !taken.iter().any(|other| other.meets(spot)));
        if let Some(spot) = free {
            let reach = (spot.x - at.0).abs() - half_width;
            if reach > AWAY {
                let end = at.0 + reach * (spot.x - at.0).signum();
                canvas.line(&[at, (end, spot.y)], Ink::Muted, 0.7);
            }
            canvas.text(text, (spot.x, spot.y), SMALL_PX, ink, Align::Center);
            taken.push(spot);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_meet_one_another_or_leave_the_frame() {
        let mut taken = Vec::new();
        let drawn = svg(WIDTH, HEIGHT, "labels", |canvas| {
            for nth in 0..30_u8 {
                let at = (300.0 + f64::from(nth), 200.0);
                label(canvas, at, "#1  1 \u{b7} 64MiB", 1, Ink::Text, &mut taken);
            }
        });
        assert!(taken.len() >= 4, "{}", taken.len());
        assert_eq!(drawn.matches("<text").count(), taken.len());
        for (nth, spot) in taken.iter().enumerate() {
            assert!(spot.is_inside());
            assert!(!taken[..nth].iter().any(|other| other.meets(spot)));
        }
    }

    fn numbers(rates: &[f64], p99s_ns: &[f64]) -> Numbers {
        let of = |values: &[f64]| Spread::of(values).expect("rounds");
        Numbers {
            rate: of(rates),
            p50: of(p99s_ns),
            p99: of(p99s_ns),
            p999: of(p99s_ns),
            max: of(p99s_ns),
        }
    }

    #[test]
    fn a_cross_ends_where_its_interval_does_and_not_at_the_frame() {
        let wide = numbers(&[50.0, 100.0, 200.0], &[1e6, 2e6, 9e6]);
        let narrow = numbers(&[90.0, 91.0, 92.0], &[2e6, 2e6, 2e6]);
        let (x, y) = axes(&[(&wide, true), (&narrow, true)], Unit::PerSecond);
        for (axis, ends) in [(&x, [50.0, 200.0]), (&y, [1e6, 9e6])] {
            let [low, high] = ends.map(|end| axis.place(end));
            assert!(0.0 < low && low < high && high < 1.0, "{low} {high}");
        }
        // Only points of the front have crosses.
        let (x, _) = axes(&[(&wide, false), (&narrow, true)], Unit::PerSecond);
        assert_eq!(x.place(200.0), 1.0);
    }
}
