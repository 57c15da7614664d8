//! Where a write spent its time, stage by stage.
//!
//! Every stage of a write is a bar on one scale: time per MiB that entered the pipeline, summed over items, in three
//! parts. *Waiting for a worker* says the pool is too small or too slow to grow; *running* is the
//! work itself; *waiting for the head of the line* is the price of order. With the *device* no thread is busy, so that
//! is a colour of its own.
//!
//! Stages of reads are no part of it and stand in the table alone; what a caller of `sync` waited holds the others, and is
//! among the whole ways (`spans.rs`).

use super::axis::Axis;
use super::canvas::{Align, Ink, cut_to, svg, text_width};
use super::plot::{FONT_PX, SMALL_PX};
use super::summary::{Summary, TargetSummary};
use crate::metric::Unit;
use crate::record::{Cell, StageKind, StageRecord};
use crate::stats::median;

/// The picture of one target and the rows beside it.
pub(super) struct Pipeline {
    pub(super) target: String,
    /// None where nothing was written.
    pub(super) picture: Option<Picture>,
    pub(super) stages: Vec<Stage>,
}

pub(super) struct Picture {
    pub(super) caption: String,
    pub(super) svg: String,
}

/// One stage, each number the median over rounds.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) kind: StageKind,
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

    /// Its bar, part by part.
    fn parts(&self) -> [(f64, Ink); 3] {
        let work = match self.kind {
            StageKind::Device => Ink::Device,
            _ => Ink::Running,
        };
        [
            (self.queued_ns, Ink::Queued),
            (self.running_ns, work),
            (self.head_wait_ns, Ink::HeadWait),
        ]
    }
}

const WIDTH: f64 = 620.0;
const ROW: f64 = 36.0;
const TOP: f64 = 34.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 128.0;
const MIB: f64 = 1_048_576.0;

/// One per target that shows its stages.
pub(super) fn pipelines(summary: &Summary<'_>) -> Vec<Pipeline> {
    summary.targets.iter().filter_map(pipeline).collect()
}

fn pipeline(target: &TargetSummary<'_>) -> Option<Pipeline> {
    let stages = stages(&target.shown()?.cells);
    (stages.iter().any(|stage| stage.total_ns() > 0.0)).then(|| Pipeline {
        target: target.target.name.clone(),
        picture: picture(&target.target.name, &stages),
        stages,
    })
}

/// What the stages of a write say; none where nothing was written.
fn picture(name: &str, all: &[Stage]) -> Option<Picture> {
    let stages: Vec<&Stage> = all.iter().filter(|one| one.kind.is_of_write()).collect();
    let sum = |ns: fn(&Stage) -> f64| stages.iter().map(|stage| ns(stage)).sum::<f64>();
    let total = sum(Stage::total_ns);
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
    let times = stages.iter().map(|stage| stage.total_ns());
    let longest = times.fold(0.0_f64, f64::max) / per;
    let parts: Vec<String> = stages
        .iter()
        .map(|stage| format!("{} {:.0} %", stage.name, 100.0 * stage.total_ns() / total))
        .collect();
    let label = format!("time in each stage of {name}: {}", parts.join(", "));
    let svg = svg(
        WIDTH,
        TOP + stages.len() as f64 * ROW + 4.0,
        &label,
        |canvas| {
            let legend = [
                ("waiting for a worker", Ink::Queued),
                ("running", Ink::Running),
                ("waiting for the head of the line", Ink::HeadWait),
                ("with the device", Ink::Device),
            ];
            let mut across = 8.0;
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
                for (ns, ink) in stage.parts() {
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
    let waiting = sum(|stage| stage.queued_ns + stage.head_wait_ns);
    let device = sum(|stage| match stage.kind {
        StageKind::Device => stage.running_ns,
        _ => 0.0,
    });
    let caption = format!(
        "time {per_words}, summed over items: {} in all, {:.0} % of it waiting, {:.0} % for the head of the line, \
         {:.0} % with the device",
        Unit::Nanoseconds.format(total / per),
        100.0 * waiting / total,
        100.0 * sum(|stage| stage.head_wait_ns) / total,
        100.0 * device / total,
    );
    Some(Picture { caption, svg })
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
                kind: named.kind(),
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_time_of_a_write_holds_no_read_and_no_wait_that_holds_it() {
        let stage = |name: &str, running_ns: u64| StageRecord {
            name: name.to_owned(),
            items: 1,
            bytes: 1 << 20,
            running_ns,
            ..StageRecord::default()
        };
        // Without kinds, as older records are.
        let cell = Cell {
            stages: vec![
                stage("device", 10 * MS),
                stage("sync", 10 * MS),
                stage("read device", 80 * MS),
            ],
            ..Cell::default()
        };
        let all = stages(&[&cell]);
        let Picture { caption, svg } = picture("engine", &all).expect("a write");
        assert!(caption.contains("10 ms in all"), "{caption}");
        assert!(caption.contains("100 % with the device"), "{caption}");
        assert!(
            svg.contains("device 100 %") && !svg.contains("read device"),
            "{svg}"
        );
        assert!(svg.contains("fill=\"var(--device)\""), "{svg}");
        assert_eq!(
            svg.matches("fill=\"var(--running)\"").count(),
            1,
            "the legend's"
        );
        assert_eq!(all.len(), 3, "the table has them all");
        // What a record says of a stage counts, whatever its name.
        let mut told = cell;
        told.stages[2].kind = Some(StageKind::Write);
        let Picture { caption, .. } = picture("engine", &stages(&[&told])).expect("a write");
        assert!(caption.contains("90 ms in all"), "{caption}");
        told.stages.remove(2);
        told.stages.remove(0);
        assert!(
            picture("engine", &stages(&[&told])).is_none(),
            "nothing was written"
        );
    }
}
