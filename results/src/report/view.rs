//! The page in words: every section as the template wants it.
//!
//! Nothing is computed here that another section could want; that is `summary.rs`. Fields of `Page`
//! are the template's variables; those ending in `svg` and `json` are made by this folder and are
//! safe, all others are foreign and get escaped.

use super::advice::{Advice, advices, shown};
use super::data::{Blob, blobs};
use super::doubts::{RankedDoubt, ranked};
use super::environment::{KnobTable, environment, knobs, reproduction};
use super::front::front;
use super::jobs::jobs;
use super::percentiles::curves;
use super::pipeline::pipelines;
use super::points::{front_points, points};
use super::promises::{asked, safety};
use super::sides::sides;
use super::spans::{items, schedules, spans};
use super::summary::{PointSummary, Summary, TargetSummary};
use super::sweep::heats;
use super::table::Table;
use super::tables::{assertions, contents, counters, faults, key_numbers, pools, stages};
use super::timeline::timelines;
use crate::assertion::Standing;
use crate::exit::ExitCode;
use crate::metric::Unit;
use crate::recommend::Objective;
use crate::record::{HarnessCost, RunRecord, RunStatus};
use crate::stats::{Spread, median};
use crate::verdict::RunVerdict;
use serde::Serialize;

/// What the harness is measured on.
const AGAINST_NULL: &str = "against the target that does nothing";

/// Everything the template needs.
#[derive(Serialize)]
pub(super) struct Page {
    style: &'static str,
    script: &'static str,
    links: Vec<(&'static str, &'static str)>,
    name: String,
    describe: String,
    /// Whether there are targets to compare.
    several: bool,
    /// Which point of each target the numbers are of, as the page says it.
    shown: String,
    /// A sentence where the numbers may be wrong by more than what is looked for.
    grave: String,
    verdict: VerdictView,
    tiles: Vec<Tile>,
    assertions: Table,
    advices: Vec<Advice>,
    key_numbers: Table,
    jobs: Table,
    sides: Vec<Figure>,
    safety: Table,
    asked: Table,
    timelines: Vec<Figure>,
    stalls: Vec<NamedTable>,
    curves: Vec<Figure>,
    pipelines: Vec<Figure>,
    stages: Table,
    items: Table,
    spans: Table,
    schedules: Table,
    heats: Vec<Figure>,
    scatter: Option<Figure>,
    front: Table,
    points: Table,
    ratios: Table,
    contents: Table,
    pools: Table,
    counters: Table,
    faults: Table,
    environment: Vec<(String, String)>,
    doubts: Vec<RankedDoubt>,
    knobs: Vec<KnobTable>,
    reproduction: Vec<String>,
    hash: String,
    seed: u64,
    resolved: String,
    blobs: Vec<Blob>,
    left_out: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct VerdictView {
    pub(super) word: &'static str,
    class: &'static str,
    pub(super) exit: u8,
    pub(super) reason: String,
}

#[derive(Serialize)]
struct Tile {
    label: String,
    value: String,
    note: String,
    class: &'static str,
}

#[derive(Serialize)]
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) svg: String,
}

#[derive(Serialize)]
struct NamedTable {
    name: String,
    table: Table,
    /// Rows there was no room for.
    left_out: usize,
}

impl Page {
    pub(super) fn of(record: &RunRecord, objective: Option<Objective>) -> Self {
        let summary = Summary::of(record, objective);
        let verdict = RunVerdict::of(record);
        let pipelines = pipelines(&summary);
        let timelines = timelines(&summary);
        let doubts = ranked(&summary);
        let (blobs, left_out) = blobs(record);
        Self {
            style: include_str!("page.css"),
            script: include_str!("page.js"),
            links: links(summary.is_swept()),
            several: record.targets.len() > 1,
            shown: shown(&summary),
            grave: grave(&doubts),
            name: named(&record.workload.name),
            describe: describe(record),
            tiles: tiles(&summary, &verdict),
            assertions: assertions(&verdict),
            advices: advices(&summary, &verdict),
            key_numbers: key_numbers(&summary),
            jobs: jobs(&summary),
            sides: sides(&summary)
                .into_iter()
                .map(|side| Figure {
                    title: side.path,
                    caption: String::new(),
                    svg: side.svg,
                })
                .collect(),
            safety: safety(&summary),
            asked: asked(&summary),
            stalls: timelines
                .iter()
                .filter(|line| !line.stalls.is_empty())
                .map(|line| NamedTable {
                    name: line.target.clone(),
                    table: line.stalls.clone(),
                    left_out: line.stalls_left_out,
                })
                .collect(),
            timelines: timelines
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
            items: items(&summary),
            spans: spans(&summary),
            schedules: schedules(&summary),
            pipelines: pipelines
                .into_iter()
                .filter_map(|line| Some((line.target, line.picture?)))
                .map(|(title, picture)| Figure {
                    title,
                    caption: picture.caption,
                    svg: picture.svg,
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
            scatter: front(&summary).map(|front| Figure {
                title: "Pareto front".to_owned(),
                caption: front.caption,
                svg: front.svg,
            }),
            front: front_points(&summary),
            points: points(&summary),
            ratios: counters(&summary, |unit| unit == Unit::Ratio),
            contents: contents(record),
            pools: pools(&summary),
            counters: counters(&summary, |unit| unit != Unit::Ratio),
            faults: faults(record),
            environment: environment(record),
            doubts,
            knobs: knobs(&summary),
            reproduction: reproduction(record),
            hash: record.workload.hash.clone(),
            seed: record.workload.seed,
            resolved: record.workload.resolved.clone(),
            verdict: verdict_view(&verdict),
            blobs,
            left_out,
        }
    }
}

fn links(is_swept: bool) -> Vec<(&'static str, &'static str)> {
    let all = [
        ("verdict", "Verdict"),
        ("numbers", "Numbers"),
        ("time", "Time"),
        ("latency", "Latency"),
        ("pipeline", "Pipeline"),
        ("sweep", "Sweep"),
        ("counters", "Counters"),
        ("machine", "Doubts"),
        ("reproduce", "Reproduce"),
        ("data", "Data"),
    ];
    all.into_iter()
        .filter(|(id, _)| is_swept || *id != "sweep")
        .collect()
}

/// The grave doubts in a line.
fn grave(doubts: &[RankedDoubt]) -> String {
    let seen: Vec<&str> = doubts
        .iter()
        .filter(|doubt| doubt.is_grave())
        .map(|doubt| doubt.seen.as_str())
        .collect();
    if seen.is_empty() {
        String::new()
    } else {
        format!("Doubtful: {}.", seen.join("; "))
    }
}

pub(super) fn named(name: &str) -> String {
    if name.is_empty() {
        "unnamed workload".to_owned()
    } else {
        name.to_owned()
    }
}

pub(super) fn describe(record: &RunRecord) -> String {
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

pub(super) fn verdict_view(verdict: &RunVerdict) -> VerdictView {
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
        let time = |spread: &Spread| Unit::Nanoseconds.format(spread.median);
        tiles.push(tile(
            path.rate_name().to_owned(),
            path.unit().format(numbers.rate.median),
            format!("{of}; {}", over_rounds(&numbers.rate, path.unit())),
        ));
        tiles.push(tile(
            "p99".to_owned(),
            time(&numbers.p99),
            format!(
                "p50 {}, longest of all {}",
                time(&numbers.p50),
                Unit::Nanoseconds.format(numbers.max.max)
            ),
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
        } else if summary.record.status == RunStatus::Complete {
            "hold at every point"
        } else {
            "hold where it ran"
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
            (_, 0) => verified_note(summary.record),
            (_, count) => format!("{count} blocks were wrong"),
        },
        class: if verdict.mismatches > 0 {
            "violated"
        } else {
            ""
        },
    });
    // Time that is not measured cannot be measured too little.
    if !summary.record.deterministic {
        let cost = summary.record.harness.as_ref();
        tiles.push(tile(
            "harness per operation".to_owned(),
            cost.map_or_else(
                || "not measured".to_owned(),
                |cost| Unit::Nanoseconds.format(cost.ns_per_op),
            ),
            cost.map_or_else(|| AGAINST_NULL.to_owned(), harness_note),
        ));
    }
    tiles
}

/// That all is well, and what it took to know.
fn verified_note(record: &RunRecord) -> String {
    let held = record.cells.iter();
    let held = held.map(|cell| cell.verification.tracking_bytes_max).max();
    match held.unwrap_or(0) {
        0 => "every byte as it was written".to_owned(),
        bytes => format!(
            "every byte as it was written, remembered in {}",
            Unit::Bytes.format(bytes as f64)
        ),
    }
}

/// What is not in the figure of an operation alone.
fn harness_note(cost: &HarnessCost) -> String {
    let ns = |ns: f64| Unit::Nanoseconds.format(ns);
    let mut note = AGAINST_NULL.to_owned();
    if let Some(paced_ns) = cost.paced_ns_per_op {
        note += &format!("; {} with its schedule", ns(paced_ns));
    }
    if let Some(content_ns) = cost.content_ns_per_op {
        note += &format!("; {} beside that for its bytes", ns(content_ns));
    }
    if let Some(bytes_per_s) = cost.content_bytes_per_s {
        let rate = Unit::BytesPerSecond.format(bytes_per_s);
        note += &format!(" ({rate} in a thread)");
    }
    note
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

/// Where the median may be, and over how many rounds.
fn over_rounds(spread: &Spread, unit: Unit) -> String {
    match spread.interval {
        None => "one round, so no interval".to_owned(),
        Some(interval) => format!(
            "{} to {} over {} rounds",
            unit.format(interval.low),
            unit.format(interval.high),
            spread.count
        ),
    }
}
