//! The sweep as heat maps of knob against knob.
//!
//! The two knobs with most values span a map; every combination of the others is a map of its own
//! on the same colours. Brighter is better in both kinds of map.

use super::canvas::{Align, Canvas, Ink, cut_to, svg, text_width};
use super::plot::{FONT_PX, SMALL_PX};
use super::summary::{Numbers, PointSummary, Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::{KnobValue, Setting, SweepAxis, point_label};
use crate::stats::Spread;

/// One heat map.
pub(super) struct Heat {
    pub(super) caption: String,
    pub(super) svg: String,
}

/// Rounds further apart than this are marked.
const NOISY: f64 = 0.2;
const WIDTH: f64 = 480.0;
const CELL_HEIGHT: f64 = 34.0;
const TOP: f64 = 58.0;

/// What a map colours.
struct Shade {
    name: &'static str,
    unit: Unit,
    pick: fn(&Numbers) -> Spread,
    higher_is_better: bool,
}

/// The knobs that span a map, and the rest.
struct Layout<'a> {
    x: &'a SweepAxis,
    y: Option<&'a SweepAxis>,
    facets: Vec<Vec<Setting>>,
}

/// All maps of all targets that were swept: throughput and p99 side by side for each facet.
pub(super) fn heats(summary: &Summary<'_>) -> Vec<Heat> {
    let Some(headline) = summary.headline.as_ref() else {
        return Vec::new();
    };
    let shades = [
        Shade {
            name: headline.rate_name(),
            unit: headline.unit(),
            pick: |numbers| numbers.rate,
            higher_is_better: true,
        },
        Shade {
            name: "p99",
            unit: Unit::Nanoseconds,
            pick: |numbers| numbers.p99,
            higher_is_better: false,
        },
    ];
    let mut heats = Vec::new();
    for target in summary
        .targets
        .iter()
        .filter(|target| target.points.len() > 1)
    {
        let Some(layout) = layout(&summary.record.sweep, target) else {
            continue;
        };
        for facet in &layout.facets {
            for shade in &shades {
                heats.push(heat(target, &layout, facet, shade));
            }
        }
    }
    heats
}

/// Of the axes that mean anything to the target.
fn layout<'a>(sweep: &'a [SweepAxis], target: &TargetSummary<'_>) -> Option<Layout<'a>> {
    let is_set = |axis: &SweepAxis| {
        let mut settings = target.points.iter().flat_map(|point| &point.point);
        settings.any(|setting| setting.knob == axis.knob)
    };
    let mut axes: Vec<&SweepAxis> = sweep
        .iter()
        .filter(|axis| axis.values.len() > 1 && is_set(axis))
        .collect();
    // Stable, so knobs with equally many values keep the order of the workload.
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.values.len()));
    let mut rest = axes.into_iter();
    let x = rest.next()?;
    let y = rest.next();
    let mut facets: Vec<Vec<Setting>> = vec![Vec::new()];
    for axis in rest {
        facets = facets
            .into_iter()
            .flat_map(|facet| {
                axis.values.iter().map(move |value| {
                    let mut facet = facet.clone();
                    facet.push(Setting {
                        knob: axis.knob.clone(),
                        value: value.clone(),
                    });
                    facet
                })
            })
            .collect();
    }
    Some(Layout { x, y, facets })
}

fn heat(target: &TargetSummary<'_>, layout: &Layout<'_>, facet: &[Setting], shade: &Shade) -> Heat {
    let (low, high) = target
        .points
        .iter()
        .filter_map(|point| point.headline.as_ref())
        .map(|numbers| (shade.pick)(numbers).median)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let rows: Vec<Option<&KnobValue>> = match layout.y {
        Some(axis) => axis.values.iter().map(Some).collect(),
        None => vec![None],
    };
    let height = TOP + rows.len() as f64 * CELL_HEIGHT + 8.0;
    // One unit for all, unless the smallest would be read in thousandths of it.
    let shared = Some(shade.unit.scale(high)).filter(|(factor, _)| low >= 0.1 * factor);
    let left = rows
        .iter()
        .flatten()
        .map(|value| text_width(&value.to_string(), SMALL_PX) + 14.0)
        .fold(24.0_f64, f64::max)
        .min(130.0);
    let column = ((WIDTH - left - 4.0) / layout.x.values.len() as f64).min(150.0);
    let name = &target.target.name;
    let label = format!(
        "{} of {name} over the sweep, from {} to {}; every point is in the table of points",
        shade.name,
        shade.unit.format(if low.is_finite() { low } else { 0.0 }),
        shade.unit.format(high)
    );
    let svg = svg(WIDTH, height, &label, |canvas| {
        heads(canvas, layout, shade, shared.map(|(_, unit)| unit));
        for (index, value) in layout.x.values.iter().enumerate() {
            let middle = left + (index as f64 + 0.5) * column;
            let text = cut_to(&value.to_string(), column, SMALL_PX);
            canvas.text(
                &text,
                (middle, TOP - 9.0),
                SMALL_PX,
                Ink::Muted,
                Align::Center,
            );
        }
        for (row, row_value) in rows.iter().enumerate() {
            let top = TOP + row as f64 * CELL_HEIGHT;
            if let Some(value) = row_value {
                let text = cut_to(&value.to_string(), left - 8.0, SMALL_PX);
                let at = (left - 8.0, top + CELL_HEIGHT / 2.0);
                canvas.text(&text, at, SMALL_PX, Ink::Muted, Align::Right);
            }
            for (index, value) in layout.x.values.iter().enumerate() {
                let corner = (left + index as f64 * column, top);
                let found = find(target, layout, facet, value, *row_value);
                let best = found.is_some_and(|(place, _)| target.best == Some(place));
                let numbers = found.and_then(|(_, point)| point.headline.as_ref());
                cell(
                    canvas,
                    corner,
                    column,
                    numbers,
                    shade,
                    (low, high, shared.map(|(factor, _)| factor)),
                    best,
                );
            }
        }
    });
    let facet = if facet.is_empty() {
        String::new()
    } else {
        format!(", {}", point_label(facet))
    };
    Heat {
        caption: format!("{name}: {}{facet}", shade.name),
        svg,
    }
}

fn heads(canvas: &Canvas<'_>, layout: &Layout<'_>, shade: &Shade, unit: Option<&str>) {
    let better = if shade.higher_is_better {
        "higher is better"
    } else {
        "lower is better"
    };
    let unit = unit.map_or_else(String::new, |unit| format!(", {unit}"));
    let title = format!("{}{unit} ({better})", shade.name);
    canvas.text(&title, (4.0, 9.0), FONT_PX, Ink::Text, Align::Left);
    let mut knobs = format!("\u{2192} {}", named(layout.x));
    if let Some(axis) = layout.y {
        knobs = format!("\u{2193} {}   {knobs}", named(axis));
    }
    let knobs = cut_to(&knobs, WIDTH - 8.0, SMALL_PX);
    canvas.text(&knobs, (4.0, TOP - 29.0), SMALL_PX, Ink::Muted, Align::Left);
}

fn named(axis: &SweepAxis) -> String {
    if axis.unit.is_empty() {
        axis.knob.clone()
    } else {
        format!("{} ({})", axis.knob, axis.unit)
    }
}

fn find<'a, 'r>(
    target: &'a TargetSummary<'r>,
    layout: &Layout<'_>,
    facet: &[Setting],
    x: &KnobValue,
    y: Option<&KnobValue>,
) -> Option<(usize, &'a PointSummary<'r>)> {
    let has = |point: &PointSummary<'_>, knob: &str, value: &KnobValue| {
        point
            .point
            .iter()
            .any(|setting| setting.knob == knob && setting.value == *value)
    };
    target.points.iter().enumerate().find(|(_, point)| {
        has(point, &layout.x.knob, x)
            && layout
                .y
                .zip(y)
                .is_none_or(|(axis, value)| has(point, &axis.knob, value))
            && facet
                .iter()
                .all(|setting| has(point, &setting.knob, &setting.value))
    })
}

fn cell(
    canvas: &Canvas<'_>,
    corner: (f64, f64),
    width: f64,
    numbers: Option<&Numbers>,
    shade: &Shade,
    (low, high, factor): (f64, f64, Option<f64>),
    best: bool,
) {
    let far = (corner.0 + width - 2.0, corner.1 + CELL_HEIGHT - 2.0);
    let middle = (
        f64::midpoint(corner.0, far.0),
        f64::midpoint(corner.1, far.1),
    );
    let Some(numbers) = numbers else {
        canvas.rect(corner, far, Ink::Grid, 0.5);
        canvas.text("not run", middle, SMALL_PX, Ink::Muted, Align::Center);
        return;
    };
    let spread = (shade.pick)(numbers);
    let (red, green, blue) = cividis(goodness(spread.median, (low, high), shade.higher_is_better));
    canvas.rect(corner, far, Ink::Literal(red, green, blue), 1.0);
    let dark = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue) < 120.0;
    let ink = if dark {
        Ink::Literal(255, 255, 255)
    } else {
        Ink::Literal(16, 16, 16)
    };
    let mut text = match factor {
        Some(factor) => shade.unit.number(spread.median, factor),
        None => shade.unit.format(spread.median),
    };
    if spread.relative() > NOISY {
        text.insert(0, '~');
    }
    canvas.text(&text, middle, SMALL_PX, ink, Align::Center);
    if best {
        let (near, far) = ((corner.0 + 1.0, corner.1 + 1.0), (far.0 - 1.0, far.1 - 1.0));
        let frame = [near, (far.0, near.1), far, (near.0, far.1), near];
        canvas.line(&frame, ink, 2.0);
    }
}

/// 0 for the worst value of the sweep, 1 for the best, by ratio rather than by difference.
fn goodness(value: f64, (low, high): (f64, f64), higher_is_better: bool) -> f64 {
    if value <= 0.0 || low <= 0.0 || high <= low {
        return 1.0;
    }
    let part = (value / low).ln() / (high / low).ln();
    if higher_is_better { part } else { 1.0 - part }
}

/// Nunez, Anderton, Renslow, "Optimizing colormaps with consideration for color vision deficiency",
/// 2018: readable in the common forms of colour blindness and in grey.
fn cividis(part: f64) -> (u8, u8, u8) {
    const STOPS: [(f64, f64, f64); 7] = [
        (0.0, 34.0, 78.0),
        (53.0, 69.0, 108.0),
        (87.0, 92.0, 109.0),
        (122.0, 117.0, 119.0),
        (160.0, 146.0, 116.0),
        (204.0, 178.0, 98.0),
        (253.0, 231.0, 55.0),
    ];
    let place = part.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of stops"
    )]
    let index = (place.floor() as usize).min(STOPS.len() - 2);
    let part = place - index as f64;
    let (from, to) = (STOPS[index], STOPS[index + 1]);
    let mixed = |from: f64, to: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two numbers below 256"
        )]
        let value = (from + (to - from) * part).round() as u8;
        value
    };
    (
        mixed(from.0, to.0),
        mixed(from.1, to.1),
        mixed(from.2, to.2),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_the_worst_to_the_best() {
        assert_eq!(cividis(0.0), (0, 34, 78));
        assert_eq!(cividis(1.0), (253, 231, 55));
        assert_eq!(goodness(10.0, (10.0, 1000.0), true), 0.0);
        assert!((goodness(100.0, (10.0, 1000.0), false) - 0.5).abs() < 1e-12);
        assert_eq!(goodness(5.0, (5.0, 5.0), true), 1.0);
    }
}
