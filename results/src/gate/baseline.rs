//! The numbers a run is held to: small, committed, reviewed as a diff.
//!
//! Made from a record and never by hand; says why it was made. A number whose own rounds disagree
//! cannot hold anybody to anything: it is *demoted*, and the baseline says so. One round on threads is not blessed at all.
//!
//! Of a deterministic run every round is held by itself, counters and virtual times alike; no time of the clock ever is.
//!
//! Not here: one that takes the place of another (`succession`), one of instructions (`counted`).

use super::GateError;
use crate::assertion::{Expr, Kind, parse_sum, ratio_rounds};
use crate::metric::{Better, Class, Unit};
use crate::query::Quantity;
use crate::record::{
    Cell, Machine, PhaseRecord, PhaseRole, RecordError, RunRecord, RunStatus, Setting,
};
use crate::stats::Spread;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The version of a baseline's shape.
pub const BASELINE_VERSION: u32 = 1;

/// Rounds that differ by more than this cannot be held to any tolerance worth having.
const SPREAD_MAX: f64 = 0.10;
/// The least tolerance given to a number whose rounds differ at all.
const RELATIVE_MIN: f64 = 0.02;

/// What is held of a response in virtual time.
const RESPONSE: [Quantity; 4] = [Quantity::P50, Quantity::P99, Quantity::Max, Quantity::Mean];

/// Committed numbers of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// `BASELINE_VERSION` of the writer.
    pub baseline_version: u32,
    /// The workload's name.
    pub workload: String,
    /// Its hash.
    pub workload_hash: String,
    /// The code revision that was measured.
    pub revision: String,
    /// When.
    pub blessed_at: String,
    /// Why these numbers are the ones to hold.
    pub reason: String,
    /// What machine it was measured on, as far as it matters: ratios of times hold there. Empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// Of a baseline of instructions: what made the binary and counted it, by name. Empty in one of a run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, String>,
    /// The numbers.
    pub entries: Vec<Entry>,
    /// Numbers that are not judged.
    #[serde(default)]
    pub demoted: Vec<Demoted>,
    /// What was held before, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Blessing>,
}

/// Numbers that were held once, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blessing {
    /// The code revision that was measured.
    pub revision: String,
    /// When.
    pub blessed_at: String,
    /// Why.
    pub reason: String,
}

/// One number to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What it is, in the language of assertions: `engine:stored_ratio`, or a ratio.
    pub expression: String,
    /// At which sweep point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub point: Vec<Setting>,
    /// Its value, the median over rounds, in bytes and seconds.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// How far it may be off.
    pub tolerance: Tolerance,
    /// Of a deterministic run: the value of every round, each of which has to be met exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<f64>,
}

/// A number that is not judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Demoted {
    /// What it is.
    pub expression: String,
    /// Why not.
    pub reason: String,
}

/// How far a number may be off its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// Not at all.
    Exact,
    /// By this part of it, either way.
    Relative(f64),
}

/// What to bless beyond the counted numbers, and how tightly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Tolerances by counter name; a name may end in `*`. Others are exact where rounds agree, and
    /// twice their spread where they nearly do.
    pub tolerances: BTreeMap<String, Tolerance>,
    /// Counters to leave out; a name may end in `*`.
    pub skip: Vec<String>,
    /// Ratios within one run.
    pub ratios: Vec<RatioRule>,
}

/// A ratio within one run to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioRule {
    /// Such as `throughput(engine, load.write) / throughput(btrfs, load.write)`.
    pub expression: String,
    /// Which way is better.
    pub better: Better,
    /// How far it may be off, as a part of it.
    pub tolerance: f64,
}

impl Tolerance {
    /// Which side of the tolerance a value is on: -1 below, 0 within, 1 above.
    pub(super) fn beyond(self, baseline: f64, value: f64) -> i8 {
        let slack = match self {
            Self::Exact => 0.0,
            Self::Relative(part) => baseline.abs() * part,
        };
        if value > baseline + slack {
            1
        } else if value < baseline - slack {
            -1
        } else {
            0
        }
    }
}

impl Baseline {
    /// Makes a baseline of a whole, verified record.
    pub fn from_record(
        record: &RunRecord,
        rules: &Rules,
        reason: &str,
        blessed_at: &str,
    ) -> Result<Self, GateError> {
        blessable(record, reason)?;
        let mut baseline = Self {
            baseline_version: BASELINE_VERSION,
            workload: record.workload.name.clone(),
            workload_hash: record.workload.hash.clone(),
            revision: record.tool.revision.clone(),
            blessed_at: blessed_at.to_owned(),
            reason: reason.trim().to_owned(),
            machine: machine_key(&record.machine),
            ..Self::default()
        };
        for point in record.points() {
            baseline.add_counters(record, rules, &point)?;
            if record.deterministic {
                baseline.add_times(record, &point)?;
            }
        }
        for point in record.grid_points() {
            baseline.add_ratios(record, rules, &point)?;
        }
        if baseline.entries.is_empty() {
            return Err(unblessed(
                "the record holds no counted number and no ratio was asked for",
            ));
        }
        Ok(baseline)
    }

    /// Refuses one that a later version wrote.
    pub(super) fn readable(&self) -> Result<(), GateError> {
        if self.baseline_version > BASELINE_VERSION {
            return Err(GateError::TooNew {
                found: self.baseline_version,
            });
        }
        Ok(())
    }

    /// Refuses to be compared with another workload.
    pub(super) fn is_of(&self, workload: &str, hash: &str) -> Result<(), GateError> {
        if self.workload_hash == hash {
            return Ok(());
        }
        Err(GateError::OtherWorkload {
            baseline: format!("{} ({})", self.workload, self.workload_hash),
            record: format!("{workload} ({hash})"),
        })
    }

    fn add_counters(
        &mut self,
        record: &RunRecord,
        rules: &Rules,
        point: &[Setting],
    ) -> Result<(), GateError> {
        for target in &record.targets {
            let mut names: Vec<&String> = record
                .rounds(&target.name, point)
                .iter()
                .flat_map(|c| c.counters.keys())
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let Some(metric) = record.metrics.get(name) else {
                    continue;
                };
                let skipped = rules.skip.iter().any(|pattern| matches(pattern, name));
                if !metric.class.holds_elsewhere() || skipped {
                    continue;
                }
                let rule = rules
                    .tolerances
                    .iter()
                    .find(|(pattern, _)| matches(pattern, name));
                let expression = format!("{}:{}", quoted(&target.name), quoted(name));
                let tolerance = match metric.class {
                    Class::Exact => Wanted::EachRound,
                    _ => rule.map_or(Wanted::FromSpread, |(_, tolerance)| {
                        Wanted::Within(*tolerance)
                    }),
                };
                self.add(record, point, expression, metric.better, tolerance)?;
            }
        }
        Ok(())
    }

    /// What virtual time says: of each phase how long it took, and of each kind of operation in it how many there were and
    /// what a user waited. A warm-up is no number of anything.
    fn add_times(&mut self, record: &RunRecord, point: &[Setting]) -> Result<(), GateError> {
        for target in &record.targets {
            let cells = record.rounds(&target.name, point);
            for phase in named(&cells, |phase| vec![&*phase.name]) {
                let asked = |quantity: Quantity, path: &str| {
                    let (word, target) = (quantity.word(), quoted(&target.name));
                    format!("{word}({target}, {})", quoted(path))
                };
                let each = Wanted::EachRound;
                let wall = asked(Quantity::Wall, phase);
                self.add(record, point, wall, Better::Lower, each)?;
                let ops = named(&cells, |of| match of.name == phase {
                    true => of.ops.iter().map(|op| &*op.op).collect(),
                    false => Vec::new(),
                });
                for op in ops {
                    let path = format!("{phase}.{op}");
                    let count = asked(Quantity::Count, &path);
                    self.add(record, point, count, Better::Neither, each)?;
                    // One that never ended well has no response; its count of 0 is held.
                    let answers = |cell: &&Cell| Quantity::Mean.of(cell, &path).is_ok();
                    for quantity in RESPONSE.into_iter().filter(|_| cells.iter().all(answers)) {
                        let asked = asked(quantity, &path);
                        self.add(record, point, asked, Better::Lower, each)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add_ratios(
        &mut self,
        record: &RunRecord,
        rules: &Rules,
        point: &[Setting],
    ) -> Result<(), GateError> {
        for rule in &rules.ratios {
            let tolerance = Wanted::Within(Tolerance::Relative(rule.tolerance));
            let expression = rule.expression.clone();
            let unit = self.add(record, point, expression, rule.better, tolerance)?;
            if unit != Unit::Ratio {
                return Err(unblessed(&format!(
                    "{} is not a ratio; a number with a unit of time does not hold across runs",
                    rule.expression
                )));
            }
        }
        Ok(())
    }

    /// Holds a number, or demotes it where its rounds disagree. Returns its unit.
    fn add(
        &mut self,
        record: &RunRecord,
        point: &[Setting],
        expression: String,
        better: Better,
        wanted: Wanted,
    ) -> Result<Unit, GateError> {
        let expr =
            parse_sum(&expression).map_err(|fault| unblessed(&format!("{expression}: {fault}")))?;
        let (rounds, kind) = ratio_rounds(record, point, &expr)
            .map_err(|why| unblessed(&format!("{expression}: {why}")))?;
        let unit = unit_of(kind);
        let spread = Spread::of(&rounds).expect("an expression yields at least one round");
        match tolerance_for(&spread, wanted) {
            Err(reason) => self.demoted.push(Demoted { expression, reason }),
            Ok(tolerance) => self.entries.push(Entry {
                expression,
                point: point.to_vec(),
                value: spread.median,
                unit,
                better,
                tolerance,
                rounds: match wanted {
                    Wanted::EachRound => rounds,
                    _ => Vec::new(),
                },
            }),
        }
        Ok(unit)
    }

    /// Reads a committed baseline.
    pub fn load(path: &Path) -> Result<Self, GateError> {
        let text = fs::read_to_string(path).map_err(|source| RecordError::io(path, source))?;
        Self::parse(&text, path)
    }

    /// Reads the text of one, which messages call `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, GateError> {
        Ok(serde_json::from_str(text).map_err(|error| RecordError::json(path, &error))?)
    }

    /// Writes it whole, one number per few lines, so that a review shows what moved.
    pub fn save(&self, path: &Path) -> Result<(), GateError> {
        let mut text = serde_json::to_string_pretty(self).expect("plain data");
        text.push('\n');
        crate::record::write_whole(path, text.as_bytes())
            .map_err(|source| RecordError::io(path, source))?;
        Ok(())
    }
}

impl Entry {
    /// The clock had a say in it: a ratio with a time in it, be that of a phase or a counter that `record` calls timed. What is
    /// held round by round is virtual, and so are its times.
    pub(super) fn is_timed(&self, record: &RunRecord) -> bool {
        let expr = parse_sum(&self.expression);
        self.rounds.is_empty() && expr.is_ok_and(|expr| has_time(&expr, record))
    }

    /// A virtual time, held round by round.
    pub(super) fn is_virtual(&self) -> bool {
        let counter = matches!(parse_sum(&self.expression), Ok(Expr::Counter { .. }));
        !counter && !self.rounds.is_empty()
    }
}

/// Whether something in it was measured with a clock: how many operations there were was not.
fn has_time(expr: &Expr, record: &RunRecord) -> bool {
    match expr {
        Expr::Number { .. } => false,
        Expr::Quantity { quantity, .. } => quantity.unit() != Unit::Count,
        Expr::Counter { name, .. } => {
            let metric = record.metrics.get(name);
            metric.is_none_or(|metric| !metric.class.holds_elsewhere())
        }
        Expr::Negated(inner) => has_time(inner, record),
        Expr::Binary { left, right, .. } => has_time(left, record) || has_time(right, record),
    }
}

/// What of a machine decides how times relate to each other. No name, no frequency, no uptime: those change while the machine
/// stays the same. Empty for a record that does not say.
pub(super) fn machine_key(machine: &Machine) -> String {
    if machine.cpu_model.is_empty() {
        return String::new();
    }
    let kernel: Vec<&str> = machine.kernel.splitn(3, ['.', '-']).take(2).collect();
    format!(
        "{}, {} cores, kernel {}, {} on {}, {} build",
        machine.cpu_model,
        machine.logical_cores,
        kernel.join("."),
        machine.filesystem,
        if machine.virtualization.is_empty() {
            "hardware"
        } else {
            &machine.virtualization
        },
        machine.build
    )
}

fn blessable(record: &RunRecord, reason: &str) -> Result<(), GateError> {
    let (_, mismatches) = record.verified();
    if reason.trim().is_empty() {
        return Err(unblessed("say why these numbers are the ones to hold"));
    }
    if record.status != RunStatus::Complete {
        return Err(unblessed(&format!("the run is {}", record.status.word())));
    }
    if mismatches > 0 {
        return Err(unblessed(&format!("{mismatches} blocks read back wrong")));
    }
    if let Some(fault) = record.cells.iter().find_map(|cell| cell.fault.as_ref()) {
        return Err(unblessed(&format!("a cell has a fault: {fault}")));
    }
    // Rounds that disagree show what does not repeat, such as the bytes of a phase that lasts so long; one agrees with itself.
    let rounds: BTreeSet<u32> = record.cells.iter().map(|cell| cell.round).collect();
    if rounds.len() == 1 && !record.deterministic {
        return Err(unblessed(
            "one round of a run on threads does not show which of its numbers repeat; replay with --rounds 3, here and where it is judged, or with --set deterministic=true",
        ));
    }
    Ok(())
}

pub(super) fn unblessed(why: &str) -> GateError {
    GateError::Unblessed {
        why: why.to_owned(),
    }
}

/// The tolerance wanted, if the rounds themselves keep it; one from their spread if none is.
fn tolerance_for(spread: &Spread, wanted: Wanted) -> Result<Tolerance, String> {
    let relative = spread.relative();
    let said = || {
        format!(
            "its {} rounds differ by {:.1} %",
            spread.count,
            relative * 100.0
        )
    };
    match wanted {
        Wanted::EachRound => Ok(Tolerance::Exact),
        Wanted::Within(Tolerance::Exact) if relative > 0.0 => Err(said()),
        Wanted::Within(Tolerance::Relative(part)) if relative > 2.0 * part => Err(said()),
        Wanted::Within(tolerance) => Ok(tolerance),
        Wanted::FromSpread if relative == 0.0 => Ok(Tolerance::Exact),
        Wanted::FromSpread if relative <= SPREAD_MAX => {
            Ok(Tolerance::Relative((2.0 * relative).max(RELATIVE_MIN)))
        }
        Wanted::FromSpread => Err(said()),
    }
}

/// How tightly a number is to be held.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// As its rounds allow.
    FromSpread,
    /// So.
    Within(Tolerance),
    /// Every round exactly: rounds of a deterministic run differ by seed and by nothing else.
    EachRound,
}

fn unit_of(kind: Kind) -> Unit {
    [
        Unit::Bytes,
        Unit::Nanoseconds,
        Unit::PerSecond,
        Unit::BytesPerSecond,
        Unit::Ratio,
    ]
    .into_iter()
    .find(|unit| Kind::of(*unit) == kind)
    .unwrap_or(Unit::Plain)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// The names that phases of these cells have or hold, each once, as they come.
fn named<'a>(cells: &[&'a Cell], names: impl Fn(&'a PhaseRecord) -> Vec<&'a str>) -> Vec<&'a str> {
    let phases = cells.iter().flat_map(|cell| &cell.phases);
    let counts = phases.filter(|phase| phase.role != PhaseRole::WarmUp);
    let mut seen = BTreeSet::new();
    let all = counts.flat_map(names);
    all.filter(|name| seen.insert(*name)).collect()
}

/// Quoted always: a baseline is read by machines, and any name is then one token.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', ""))
}

pub(super) fn names_counter(expression: &str, name: &str) -> bool {
    expression.ends_with(&format!(":{}", quoted(name)))
}
