//! Where a write spent its time, stage by stage.
//!
//! Every stage is a bar on one scale: thread time per MiB that entered the pipeline, in three
//! parts. *Waiting for a worker* says the pool is too small or too slow to grow; *running* is the
//! work itself; *waiting for the head of the line* is the price of order.

use super::axis::Axis;
use super::canvas::{Align, Ink, cut_to, svg, text_width};
use super::plot::{FONT_PX, SMALL_PX};
use super::summary::{Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::{Cell, StageRecord};
use crate::stats::median;

/// The picture of one target and the rows beside it.
pub(super) struct Pipeline {
    pub(super) target: String,
    pub(super) caption: String,
    pub(super) svg: String,
    pub(super) stages: Vec<Stage>,
}

/// One stage, each number the median over rounds.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) items: f64,
    pub(super) bytes: f64,
    pub(super) queued_ns: f64,
    pub(super) running_ns: f64,
    pub(super) head_wait_ns: f64,
    pub(super) depth_max: f64,
    pub(super) bytes_held_max: f64,
}

impl Stage {
    fn total_ns(&self) -> f64 {
        self.queued_ns + self.running_ns + self.head_wait_ns
    }
}

const WIDTH: f64 = 620.0;
const ROW: f64 = 36.0;
const TOP: f64 = 34.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 128.0;
const MIB: f64 = 1_048_576.0;

/// One picture per target that shows its stages.
pub(super) fn pipelines(summary: &Summary<'_>) -> Vec<Pipeline> {
    summary.targets.iter().filter_map(pipeline).collect()
}

fn pipeline(target: &TargetSummary<'_>) -> Option<Pipeline> {
    let cells = &target.shown()?.cells;
    let stages = stages(cells);
    let total: f64 = stages.iter().map(Stage::total_ns).sum();
    if total <= 0.0 {
        return None;
    }
    let entered = stages
        .iter()
        .map(|stage| stage.bytes)
        .find(|bytes| *bytes > 0.0);
    let (per, per_words) = match entered {
        Some(bytes) => (bytes / MIB, "per MiB written"),
        None => (1.0, "in all"),
    };
    let longest = stages.iter().map(Stage::total_ns).fold(0.0_f64, f64::max) / per;
    let name = &target.target.name;
    let parts: Vec<String> = stages
        .iter()
        .map(|stage| format!("{} {:.0} %", stage.name, 100.0 * stage.total_ns() / total))
        .collect();
    let label = format!("time in each stage of {name}: {}", parts.join(", "));
    let picture = svg(
        WIDTH,
        TOP + stages.len() as f64 * ROW + 4.0,
        &label,
        |canvas| {
            let legend = [
                ("waiting for a worker", Ink::Queued),
                ("running", Ink::Running),
                ("waiting for the head of the line", Ink::HeadWait),
            ];
            let mut across = LEFT;
            for (words, ink) in legend {
                canvas.rect((across, 6.0), (across + 10.0, 16.0), ink, 1.0);
                canvas.text(
                    words,
                    (across + 15.0, 11.0),
                    SMALL_PX,
                    Ink::Muted,
                    Align::Left,
                );
                across += 15.0 + text_width(words, SMALL_PX) * 0.92 + 12.0;
            }
            let scale = Axis::from_zero(longest, Unit::Nanoseconds);
            let length = |ns: f64| scale.place(ns / per) * (RIGHT - LEFT);
            for (index, stage) in stages.iter().enumerate() {
                let top = TOP + index as f64 * ROW;
                let middle = top + 11.0;
                let words = cut_to(&stage.name, LEFT - 28.0, FONT_PX);
                canvas.text(
                    &words,
                    (LEFT - 24.0, middle),
                    FONT_PX,
                    Ink::Text,
                    Align::Right,
                );
                // The way from this stage to the next.
                let way = LEFT - 12.0;
                canvas.dot((way, middle), 4.0, Ink::Muted, 1.0);
                if index + 1 < stages.len() {
                    canvas.line(
                        &[(way, middle + 6.0), (way, middle + ROW - 11.0)],
                        Ink::Muted,
                        1.2,
                    );
                    let tip = (way, middle + ROW - 6.0);
                    let wings = [(way - 3.5, tip.1 - 6.0), (way + 3.5, tip.1 - 6.0), tip];
                    canvas.polygon(&wings, Ink::Muted);
                }
                let mut from = LEFT;
                for (ns, ink) in [
                    (stage.queued_ns, Ink::Queued),
                    (stage.running_ns, Ink::Running),
                    (stage.head_wait_ns, Ink::HeadWait),
                ] {
                    let to = from + length(ns);
                    if to > from {
                        canvas.rect((from, top), (to, top + 22.0), ink, 1.0);
                    }
                    from = to;
                }
                let ns = stage.total_ns();
                let part = 100.0 * ns / total;
                let text = if ns > 0.0 {
                    format!("{} \u{b7} {part:.0} %", Unit::Nanoseconds.format(ns / per))
                } else {
                    "nothing passed".to_owned()
                };
                canvas.text(
                    &text,
                    (from + 7.0, middle),
                    SMALL_PX,
                    Ink::Text,
                    Align::Left,
                );
            }
        },
    );
    let waiting: f64 = stages
        .iter()
        .map(|stage| stage.queued_ns + stage.head_wait_ns)
        .sum();
    let head: f64 = stages.iter().map(|stage| stage.head_wait_ns).sum();
    let caption = format!(
        "thread time {per_words}: {} in all, {:.0} % of it waiting and {:.0} % for the head of \
         the line",
        Unit::Nanoseconds.format(total / per),
        100.0 * waiting / total,
        100.0 * head / total,
    );
    Some(Pipeline {
        target: name.clone(),
        caption,
        svg: picture,
        stages,
    })
}

/// The stages in the order the first cell names them.
fn stages(cells: &[&Cell]) -> Vec<Stage> {
    let Some(first) = cells.iter().find(|cell| !cell.stages.is_empty()) else {
        return Vec::new();
    };
    first
        .stages
        .iter()
        .map(|named| {
            let over = |value: fn(&StageRecord) -> u64| {
                let values: Vec<f64> = cells
                    .iter()
                    .filter_map(|cell| cell.stages.iter().find(|stage| stage.name == named.name))
                    .map(|stage| value(stage) as f64)
                    .collect();
                median(&values).unwrap_or(0.0)
            };
            Stage {
                name: named.name.clone(),
                items: over(|stage| stage.items),
                bytes: over(|stage| stage.bytes),
                queued_ns: over(|stage| stage.queued_ns),
                running_ns: over(|stage| stage.running_ns),
                head_wait_ns: over(|stage| stage.head_wait_ns),
                depth_max: over(|stage| stage.depth_max),
                bytes_held_max: over(|stage| stage.bytes_held_max),
            }
        })
        .collect()
}
