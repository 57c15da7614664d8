//! The page in words: every section as the template wants it.
//!
//! Nothing is computed here that another section could want; that is `summary.rs`. Fields of `Page`
//! are the template's variables; those ending in `svg` and `json` are made by this folder and are
//! safe, all others are foreign and get escaped.

use super::data::{Blob, blobs};
use super::percentiles::curves;
use super::pipeline::pipelines;
use super::sides::sides;
use super::summary::{PointSummary, Summary, TargetSummary};
use super::sweep::{heats, scatter};
use super::table::{Table, marked, words};
use super::tables::{assertions, contents, counters, faults, key_numbers, points, pools, stages};
use super::timeline::timelines;
use crate::assertion::Standing;
use crate::exit::ExitCode;
use crate::metric::Unit;
use crate::record::{Doubt, Knob, RunRecord, point_label};
use crate::stats::{Spread, median};
use crate::verdict::RunVerdict;
use serde::Serialize;

/// Everything the template needs.
#[derive(Serialize)]
pub(super) struct Page {
    style: &'static str,
    script: &'static str,
    name: String,
    describe: String,
    verdict: VerdictView,
    tiles: Vec<Tile>,
    assertions: Table,
    best: Vec<String>,
    key_numbers: Table,
    sides: Vec<Figure>,
    timelines: Vec<Figure>,
    curves: Vec<Figure>,
    pipelines: Vec<Figure>,
    stages: Table,
    heats: Vec<Figure>,
    scatter: Option<Figure>,
    points: Table,
    ratios: Table,
    contents: Table,
    pools: Table,
    counters: Table,
    faults: Table,
    environment: Vec<(String, String)>,
    doubts: Vec<Doubt>,
    knobs: Vec<KnobTable>,
    command: String,
    resolved: String,
    blobs: Vec<Blob>,
    left_out: Vec<&'static str>,
}

#[derive(Serialize)]
struct VerdictView {
    word: &'static str,
    class: &'static str,
    exit: u8,
    reason: String,
}

#[derive(Serialize)]
struct Tile {
    label: String,
    value: String,
    note: String,
    class: &'static str,
}

#[derive(Serialize)]
struct Figure {
    title: String,
    caption: String,
    svg: String,
}

#[derive(Serialize)]
struct KnobTable {
    target: String,
    describe: String,
    set: usize,
    table: Table,
}

impl Page {
    pub(super) fn of(record: &RunRecord) -> Self {
        let summary = Summary::of(record);
        let verdict = RunVerdict::of(record);
        let pipelines = pipelines(&summary);
        let (blobs, left_out) = blobs(record);
        Self {
            style: include_str!("page.css"),
            script: include_str!("page.js"),
            name: named(&record.workload.name),
            describe: describe(record),
            tiles: tiles(&summary, &verdict),
            assertions: assertions(&verdict),
            best: best(&summary),
            key_numbers: key_numbers(&summary),
            sides: sides(&summary)
                .into_iter()
                .map(|side| Figure {
                    title: side.path,
                    caption: String::new(),
                    svg: side.svg,
                })
                .collect(),
            timelines: timelines(&summary)
                .into_iter()
                .map(|line| Figure {
                    title: line.target,
                    caption: line.caption,
                    svg: line.svg,
                })
                .collect(),
            curves: curves(&summary)
                .into_iter()
                .map(|curve| Figure {
                    title: curve.path,
                    caption: curve.caption,
                    svg: curve.svg,
                })
                .collect(),
            stages: stages(&pipelines),
            pipelines: pipelines
                .into_iter()
                .map(|line| Figure {
                    title: line.target,
                    caption: line.caption,
                    svg: line.svg,
                })
                .collect(),
            heats: heats(&summary)
                .into_iter()
                .map(|heat| Figure {
                    title: heat.caption,
                    caption: String::new(),
                    svg: heat.svg,
                })
                .collect(),
            scatter: scatter(&summary).map(|svg| Figure {
                title: "throughput against p99".to_owned(),
                caption: "each point is a setting; the joined and numbered ones are not beaten in \
                          both by any other of the same target"
                    .to_owned(),
                svg,
            }),
            points: points(&summary),
            ratios: counters(&summary, |unit| unit == Unit::Ratio),
            contents: contents(record),
            pools: pools(&summary),
            counters: counters(&summary, |unit| unit != Unit::Ratio),
            faults: faults(record),
            environment: environment(record),
            doubts: record.machine.doubts.clone(),
            knobs: knobs(record),
            command: command(record),
            resolved: record.workload.resolved.clone(),
            verdict: verdict_view(&verdict),
            blobs,
            left_out,
        }
    }
}

fn named(name: &str) -> String {
    if name.is_empty() {
        "unnamed workload".to_owned()
    } else {
        name.to_owned()
    }
}

fn describe(record: &RunRecord) -> String {
    let rounds = record
        .cells
        .iter()
        .map(|cell| cell.round + 1)
        .max()
        .unwrap_or(0);
    let many =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let mut parts = vec![match record.deterministic {
        true => "deterministic, in virtual time".to_owned(),
        false => record.started_at.clone(),
    }];
    if record.wall_ns > 0 {
        parts.push(Unit::Nanoseconds.format(record.wall_ns as f64));
    }
    parts.push(many(record.targets.len(), "target"));
    parts.push(many(record.grid_points().len(), "sweep point"));
    parts.push(many(rounds as usize, "round"));
    parts.join(" \u{b7} ")
}

fn verdict_view(verdict: &RunVerdict) -> VerdictView {
    let (word, class) = match verdict.exit.code {
        ExitCode::Good => ("good", "held"),
        ExitCode::Inconclusive => ("inconclusive", "unknown"),
        ExitCode::Interrupted => ("interrupted", "unknown"),
        ExitCode::Regression => ("violated", "violated"),
        ExitCode::Failed | ExitCode::Usage => ("failed", "violated"),
    };
    VerdictView {
        word,
        class,
        exit: verdict.exit.code.code(),
        reason: verdict.exit.reason.clone(),
    }
}

fn tiles(summary: &Summary<'_>, verdict: &RunVerdict) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let tile = |label: String, value: String, note: String| Tile {
        label,
        value,
        note,
        class: "",
    };
    if let Some((target, point)) = leading(summary)
        && let (Some(path), Some(numbers)) = (&summary.headline, point.headline)
    {
        let of = format!("{}, {}", target.target.name, path.text());
        let rate = if path.moves_bytes {
            "throughput"
        } else {
            "operations"
        };
        let time = |spread: &Spread| Unit::Nanoseconds.format(spread.median);
        tiles.push(tile(
            rate.to_owned(),
            path.unit().format(numbers.rate.median),
            format!("{of}; {}", range(&numbers.rate, path.unit())),
        ));
        tiles.push(tile(
            "p99".to_owned(),
            time(&numbers.p99),
            format!("p50 {}, max {}", time(&numbers.p50), time(&numbers.max)),
        ));
        for name in ["stored_ratio", "write_amplification"] {
            let values: Vec<f64> = point
                .cells
                .iter()
                .filter_map(|cell| cell.counters.get(name).copied())
                .collect();
            if let Some(value) = median(&values) {
                let label = name.replace('_', " ");
                tiles.push(tile(
                    label,
                    Unit::Ratio.format(value),
                    target.target.name.clone(),
                ));
            }
        }
    }
    let held = verdict.count(Standing::Held);
    let all = verdict.assertions.len();
    tiles.push(Tile {
        label: "assertions".to_owned(),
        value: if all == 0 {
            "none".to_owned()
        } else {
            format!("{held} of {all}")
        },
        note: if all == 0 {
            "the workload asserts nothing"
        } else {
            "hold at every point"
        }
        .to_owned(),
        class: if verdict.count(Standing::Violated) > 0 {
            "violated"
        } else {
            ""
        },
    });
    tiles.push(Tile {
        label: "verified".to_owned(),
        value: Unit::Bytes.format(verdict.bytes_verified as f64),
        note: match (verdict.bytes_verified, verdict.mismatches) {
            (0, 0) => "nothing was read back and compared".to_owned(),
            (_, 0) => "every byte as it was written".to_owned(),
            (_, count) => format!("{count} blocks were wrong"),
        },
        class: if verdict.mismatches > 0 {
            "violated"
        } else {
            ""
        },
    });
    if let Some(cost) = &summary.record.harness {
        tiles.push(tile(
            "harness per operation".to_owned(),
            Unit::Nanoseconds.format(cost.ns_per_op),
            "against the target that does nothing".to_owned(),
        ));
    }
    tiles
}

/// The target the page leads with: the first one that has numbers.
fn leading<'a, 'r>(
    summary: &'a Summary<'r>,
) -> Option<(&'a TargetSummary<'r>, &'a PointSummary<'r>)> {
    summary
        .targets
        .iter()
        .find_map(|target| Some((target, target.points.get(target.best?)?)))
}

fn range(spread: &Spread, unit: Unit) -> String {
    if spread.count == 1 {
        "one round, so no spread".to_owned()
    } else {
        format!(
            "{} to {} over {} rounds",
            unit.format(spread.min),
            unit.format(spread.max),
            spread.count
        )
    }
}

/// The objective stated, and what it chose for each target that was swept.
fn best(summary: &Summary<'_>) -> Vec<String> {
    let Some(path) = &summary.headline else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for target in &summary.targets {
        let Some(point) = target.best.and_then(|index| target.points.get(index)) else {
            continue;
        };
        let Some(numbers) = point.headline.filter(|_| target.points.len() > 1) else {
            continue;
        };
        lines.push(format!(
            "{}: {} gives {} ({}) at p99 {} ({})",
            target.target.name,
            point_label(&point.point),
            path.unit().format(numbers.rate.median),
            range(&numbers.rate, path.unit()),
            Unit::Nanoseconds.format(numbers.p99.median),
            range(&numbers.p99, Unit::Nanoseconds),
        ));
    }
    if !lines.is_empty() {
        let rate = if path.moves_bytes {
            "throughput"
        } else {
            "rate"
        };
        lines.insert(
            0,
            format!("Best by median {rate} of {} over rounds:", path.text()),
        );
    }
    lines
}

fn environment(record: &RunRecord) -> Vec<(String, String)> {
    let machine = &record.machine;
    let known = |value: String| {
        if value.is_empty() {
            "unknown".to_owned()
        } else {
            value
        }
    };
    let counted = |value: f64, text: String| {
        if value > 0.0 {
            text
        } else {
            "unknown".to_owned()
        }
    };
    let memory = machine.memory_bytes as f64;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut rows = vec![
        row("processor", known(machine.cpu_model.clone())),
        row(
            "cores",
            counted(
                f64::from(machine.logical_cores),
                machine.logical_cores.to_string(),
            ),
        ),
        row("memory", counted(memory, Unit::Bytes.format(memory))),
        row("kernel", known(machine.kernel.clone())),
        row(
            "virtualization",
            if machine.virtualization.is_empty() {
                "none seen".to_owned()
            } else {
                machine.virtualization.clone()
            },
        ),
        row("filesystem", known(machine.filesystem.clone())),
        row("device", known(machine.device.clone())),
        row("build", known(machine.build.clone())),
    ];
    if record.deterministic {
        let why = "any: all numbers follow from workload, seed and code";
        rows = vec![row("machine", why.to_owned())];
    }
    let codecs = record.tool.codecs.iter();
    rows.extend(codecs.map(|(codec, library)| row(&format!("{codec} by"), library.clone())));
    let tool = &record.tool;
    let revision = if tool.revision.is_empty() {
        "unknown revision"
    } else {
        &tool.revision
    };
    rows.push(row(
        "tool",
        format!("{} {} ({revision})", tool.name, tool.version),
    ));
    rows.push(row("workload hash", known(record.workload.hash.clone())));
    rows.push(row("seed", record.workload.seed.to_string()));
    rows
}

fn knobs(record: &RunRecord) -> Vec<KnobTable> {
    record
        .targets
        .iter()
        .map(|target| {
            let mut table = Table::new(&["knob", "value", "unit", "set"]);
            let mut rows: Vec<&Knob> = target.knobs.iter().collect();
            // What somebody chose comes first.
            rows.sort_by_key(|knob| knob.is_default);
            for knob in rows {
                table.row(vec![
                    words(&knob.name),
                    words(knob.value.to_string()),
                    words(&knob.unit),
                    if knob.is_default {
                        words("default")
                    } else {
                        marked("set", "chosen")
                    },
                ]);
            }
            KnobTable {
                target: target.name.clone(),
                describe: [target.kind.as_str(), target.describe.as_str()]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect::<Vec<_>>()
                    .join(": "),
                set: target.knobs.iter().filter(|knob| !knob.is_default).count(),
                table,
            }
        })
        .collect()
}

/// The command, quoted so that a shell reads it as it was typed.
fn command(record: &RunRecord) -> String {
    let quoted = record.command_line.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
