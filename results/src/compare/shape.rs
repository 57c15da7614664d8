//! Throughput over time in a few slots, for a line of text.
//!
//! Both runs share one time axis and one scale, so that their shapes can be held against one another.
//! Bytes of an interval are spread evenly over the slots it touches; nothing is lost or smoothed away.

use crate::record::{Cell, RunRecord, point_label};
use serde::Serialize;

/// Slots of a shape.
pub const SLOTS: usize = 32;

/// The first round of one point in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// The target's name.
    pub target: String,
    /// The sweep point in a line.
    pub point: String,
    /// Bytes in each slot of the first run.
    pub before: Vec<f64>,
    /// Bytes in each slot of the second run.
    pub after: Vec<f64>,
}

/// One per target and point that both recorded intervals of.
pub(super) fn shapes(before: &RunRecord, after: &RunRecord) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for target in &before.targets {
        for point in before.points() {
            let first = |record: &RunRecord| {
                let rounds = record.rounds(&target.name, &point);
                let intervals = intervals(rounds.first()?);
                (!intervals.is_empty()).then_some(intervals)
            };
            let Some((left, right)) = first(before).zip(first(after)) else {
                continue;
            };
            let end = |intervals: &[(f64, f64, f64)]| intervals.last().map_or(0.0, |one| one.1);
            let end_s = end(&left).max(end(&right));
            if end_s > 0.0 {
                shapes.push(Shape {
                    target: target.name.clone(),
                    point: point_label(&point),
                    before: slots(&left, end_s),
                    after: slots(&right, end_s),
                });
            }
        }
    }
    shapes
}

/// Begin, end, bytes of each interval, phases laid end to end.
fn intervals(cell: &Cell) -> Vec<(f64, f64, f64)> {
    let mut found = Vec::new();
    let mut base_s = 0.0;
    for phase in &cell.phases {
        let mut from_s = base_s;
        for sample in &phase.series {
            let to_s = (base_s + sample.t_ns as f64 / 1e9).max(from_s);
            found.push((from_s, to_s, sample.bytes as f64));
            from_s = to_s;
        }
        base_s = (base_s + phase.wall_ns as f64 / 1e9).max(from_s);
    }
    found
}

fn slots(intervals: &[(f64, f64, f64)], end_s: f64) -> Vec<f64> {
    let width = end_s / SLOTS as f64;
    let mut slots = vec![0.0; SLOTS];
    for &(from_s, to_s, bytes) in intervals {
        for (nth, slot) in slots.iter_mut().enumerate() {
            let begin = nth as f64 * width;
            let shared = (to_s.min(begin + width) - from_s.max(begin)).max(0.0);
            if to_s > from_s {
                *slot += bytes * shared / (to_s - from_s);
            }
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_hold_all_bytes_where_they_were_moved() {
        let found = slots(&[(0.0, 1.0, 100.0), (1.0, 4.0, 30.0)], 8.0);
        assert_eq!(found.len(), SLOTS);
        let total: f64 = found.iter().sum();
        assert!((total - 130.0).abs() < 1e-9, "{total}");
        assert!((found[0] - 25.0).abs() < 1e-9 && (found[4] - 2.5).abs() < 1e-9);
        assert_eq!(found[16], 0.0);
    }
}
