//! Latency by percentile, on an axis where each nine is as wide as the one before.
//!
//! All rounds of a target's best point are merged, since the tail needs counts. The solid line is
//! the response time, from when an operation was due; where the service time differs, as it does in
//! an open loop that falls behind, it is dashed.

use super::axis::Axis;
use super::canvas::{Ink, svg};
use super::plot::Plot;
use super::summary::{Path, Summary, TargetSummary};
use crate::hist::LatencyHist;
use crate::metric::Unit;
use crate::record::OpRecord;

/// A chart of one operation, one line per target.
pub(super) struct Curves {
    pub(super) path: String,
    pub(super) caption: String,
    pub(super) svg: String,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 290.0;
const FRAME: (f64, f64, f64, f64) = (66.0, 30.0, WIDTH - 14.0, HEIGHT - 26.0);

struct Line<'a> {
    target: &'a TargetSummary<'a>,
    response: LatencyHist,
    service: LatencyHist,
}

/// One chart per operation that has a latency.
pub(super) fn curves(summary: &Summary<'_>) -> Vec<Curves> {
    summary
        .paths
        .iter()
        .filter_map(|path| chart(summary, path))
        .collect()
}

fn chart(summary: &Summary<'_>, path: &Path) -> Option<Curves> {
    let lines: Vec<Line<'_>> = summary
        .targets
        .iter()
        .filter_map(|target| line(target, path))
        .collect();
    let count = lines.iter().map(|line| line.response.count()).max()?;
    let x = Axis::nines(count);
    let values = lines.iter().flat_map(|line| {
        [
            line.response.ns_at(0.5),
            line.service.ns_at(0.1).max(1),
            line.response.ns_max(),
        ]
    });
    let y = Axis::log(values.map(|ns| ns as f64), Unit::Nanoseconds);
    let text = path.text();
    let values: Vec<String> = lines
        .iter()
        .map(|line| marks(&line.target.target.name, &line.response))
        .collect();
    let label = format!("latency of {text} by percentile. {}", values.join("; "));
    let svg = svg(WIDTH, HEIGHT, &label, |canvas| {
        let plot = Plot::new(canvas, FRAME, &x, &y);
        plot.label_x();
        let legend: Vec<(&str, Ink)> = lines
            .iter()
            .map(|line| {
                (
                    line.target.target.name.as_str(),
                    Ink::Series(line.target.series),
                )
            })
            .collect();
        plot.title(&text, &legend);
        for line in &lines {
            if differs(&line.response, &line.service) {
                plot.line(&points(&line.service), Ink::Dashed(line.target.series), 1.4);
            }
            plot.line(
                &points(&line.response),
                Ink::Series(line.target.series),
                2.0,
            );
        }
    });
    let counts: Vec<String> = lines
        .iter()
        .map(|line| {
            let count = Unit::Count.format(line.response.count() as f64);
            format!("{} {count} operations", line.target.target.name)
        })
        .collect();
    let dashed = lines
        .iter()
        .any(|line| differs(&line.response, &line.service));
    let caption = format!(
        "{}{}",
        counts.join(", "),
        if dashed {
            "; dashed: service time, without the wait for its turn"
        } else {
            ""
        }
    );
    Some(Curves {
        path: text,
        caption,
        svg,
    })
}

/// Curves of the same operation over one another; none where there is nothing to draw.
pub(super) fn overlay(
    path: &Path,
    lines: &[(&str, Ink, &LatencyHist)],
) -> Option<(String, String)> {
    let count = lines.iter().map(|(_, _, hist)| hist.count()).max()?;
    if lines.iter().any(|(_, _, hist)| hist.is_empty()) {
        return None;
    }
    let x = Axis::nines(count);
    let ends = lines
        .iter()
        .flat_map(|(_, _, hist)| [hist.ns_at(0.1).max(1), hist.ns_max()]);
    let y = Axis::log(ends.map(|ns| ns as f64), Unit::Nanoseconds);
    let text = path.text();
    let values: Vec<String> = lines
        .iter()
        .map(|(name, _, hist)| marks(name, hist))
        .collect();
    let label = format!("latency of {text} by percentile. {}", values.join("; "));
    let picture = svg(WIDTH, HEIGHT, &label, |canvas| {
        let plot = Plot::new(canvas, FRAME, &x, &y);
        plot.label_x();
        let legend: Vec<(&str, Ink)> = lines.iter().map(|(name, ink, _)| (*name, *ink)).collect();
        plot.title(&text, &legend);
        for (_, ink, hist) in lines {
            plot.line(&points(hist), *ink, 2.0);
        }
    });
    Some((text, picture))
}

fn line<'a>(target: &'a TargetSummary<'a>, path: &Path) -> Option<Line<'a>> {
    let mut response = LatencyHist::new();
    let mut service = LatencyHist::new();
    let cells = &target.shown()?.cells;
    let ops = cells
        .iter()
        .flat_map(|cell| cell.phases_named(&path.phase))
        .flat_map(|phase| &phase.ops)
        .filter(|op: &&OpRecord| op.op == path.op);
    for op in ops {
        // A histogram that does not decode is left out; its stored numbers still stand in tables.
        if let (Ok(one), Ok(other)) = (op.response.hist(), op.service.hist()) {
            response.merge(&one);
            service.merge(&other);
        }
    }
    (!response.is_empty()).then_some(Line {
        target,
        response,
        service,
    })
}

/// A curve for whoever does not see it.
fn marks(name: &str, hist: &LatencyHist) -> String {
    let marks = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
    let marks = marks.map(|(quantile, mark)| {
        format!(
            "{mark} {}",
            Unit::Nanoseconds.format(hist.ns_at(quantile) as f64)
        )
    });
    let max = Unit::Nanoseconds.format(hist.ns_max() as f64);
    format!("{name}: {}, max {max}", marks.join(", "))
}

/// Whether the two differ by more than the width of a line anywhere that matters.
fn differs(response: &LatencyHist, service: &LatencyHist) -> bool {
    [0.5, 0.9, 0.99, 0.999].into_iter().any(|quantile| {
        let (due, issued) = (
            response.ns_at(quantile) as f64,
            service.ns_at(quantile) as f64,
        );
        issued > 0.0 && due / issued > 1.05
    })
}

fn points(hist: &LatencyHist) -> Vec<(f64, f64)> {
    hist.curve()
        .into_iter()
        .map(|(quantile, ns)| (quantile, ns as f64))
        .collect()
}
