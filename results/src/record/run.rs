//! The outer record: identity, workload, targets, and the list of cells.

use super::cell::{Cell, Setting};
use super::content::ContentRecord;
use super::machine::Machine;
use crate::hist::Latency;
use crate::metric::Metric;
use crate::stats::sum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the record's shape. Raised only when an older reader would misread it.
pub const SCHEMA_VERSION: u32 = 1;

/// The committed schema's file name, written into every record's `$schema`.
const SCHEMA_NAME: &str = "result.schema.json";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The schema this record follows.
    #[serde(rename = "$schema", default = "schema_name")]
    pub schema: String,
    /// `SCHEMA_VERSION` of the writer.
    pub schema_version: u32,
    /// What wrote it.
    pub tool: Tool,
    /// The run was deterministic: all times are virtual, and what depends on machine and moment
    /// (`started_at`, `wall_ns`, `machine`, `harness`) is left empty here and stands in `surroundings.json`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deterministic: bool,
    /// When the run began, RFC 3339; empty in a deterministic run.
    pub started_at: String,
    /// How long the whole run took; 0 in a deterministic run.
    #[serde(default)]
    pub wall_ns: u64,
    /// How it ended.
    pub status: RunStatus,
    /// What was replayed.
    pub workload: Workload,
    /// The command as typed, for the reproduction line.
    pub command_line: Vec<String>,
    /// Where.
    #[serde(default)]
    pub machine: Machine,
    /// What it was replayed against, in the order declared. The first is the one assertions mean
    /// when they name none.
    pub targets: Vec<Target>,
    /// What was written, each content of the run once.
    #[serde(default)]
    pub contents: Vec<ContentRecord>,
    /// The axes of the sweep; empty without one.
    #[serde(default)]
    pub sweep: Vec<SweepAxis>,
    /// The workload's assertions as written, one per line of the file.
    #[serde(default)]
    pub assertions: Vec<String>,
    /// What a recommended point of the sweep is to serve, where the workload says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveRecord>,
    /// What the counters' names mean. A counter without a row is timed and has no unit.
    #[serde(default)]
    pub metrics: BTreeMap<String, Metric>,
    /// Every sweep point x round x target that ran, in the order it ran.
    #[serde(default)]
    pub cells: Vec<Cell>,
    /// What the harness itself costs, from the `null` target; none where that was not measured, as in virtual time and where
    /// operations were too few to tell.
    #[serde(default)]
    pub harness: Option<HarnessCost>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn schema_name() -> String {
    SCHEMA_NAME.to_owned()
}

/// What wrote a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tool {
    /// The binary's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The code revision it was built from; empty when unknown.
    pub revision: String,
    /// The library behind each codec with its version, which decides how small anything becomes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub codecs: BTreeMap<String, String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunStatus {
    /// Every cell ran.
    Complete,
    /// Stopped early by a signal or a kill; what had been measured is here.
    Interrupted {
        /// By what.
        reason: String,
    },
    /// Stopped by an error.
    Failed {
        /// Which.
        reason: String,
    },
}

/// What was replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// A hash over everything that decides the stream of operations.
    pub hash: String,
    /// The file it came from; empty when it was built in.
    pub source: String,
    /// The whole of it with every default filled in, as text.
    pub resolved: String,
    /// The seed everything random follows from.
    pub seed: u64,
}

/// An objective as the workload writes it: one of maximise and minimise, and what has to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ObjectiveRecord {
    /// A measure, such as `throughput(serve.write)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximise: Option<String>,
    /// The same, of which less is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimise: Option<String>,
    /// Conditions, such as `p99(serve.write) <= 20ms`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_to: Vec<String>,
}

/// One target: an engine, a directory of a kernel filesystem, a device, the null target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Target {
    /// The name the workload gives it; cells and assertions refer to it.
    pub name: String,
    /// `engine`, `directory`, `device`, `null`, ...
    pub kind: String,
    /// One line: backend, path, filesystem, mount options.
    pub describe: String,
    /// Every knob at the base point of the sweep.
    pub knobs: Vec<Knob>,
}

/// One knob's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knob {
    /// Dotted name.
    pub name: String,
    /// Its value.
    pub value: KnobValue,
    /// Its unit in words; empty for none.
    #[serde(default)]
    pub unit: String,
    /// Whether nobody set it.
    #[serde(default)]
    pub is_default: bool,
}

/// A knob's value as YAML or JSON would write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KnobValue {
    /// On or off.
    Bool(bool),
    /// Whole number.
    Integer(i64),
    /// Fraction.
    Real(f64),
    /// Name or sized text.
    Text(String),
}

/// One axis of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepAxis {
    /// Dotted name of the knob.
    pub knob: String,
    /// Its unit in words; empty for none.
    #[serde(default)]
    pub unit: String,
    /// Its values in the order given.
    pub values: Vec<KnobValue>,
}

/// What the harness costs per operation, measured against the target that does nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HarnessCost {
    /// Operations issued.
    pub ops: u64,
    /// Threads that issued them.
    pub threads: u32,
    /// Wall time of one thread divided by its operations, without a schedule and without making bytes.
    pub ns_per_op: f64,
    /// The same with the load's schedule, all of it due at once; none where nothing has one.
    pub paced_ns_per_op: Option<f64>,
    /// What an operation costs beside that for its bytes, by themselves: making those of writes, and comparing those of reads where
    /// they are verified. Outside of every latency, but part of the time between operations. None where no target keeps bytes.
    pub content_ns_per_op: Option<f64>,
    /// Bytes that one thread makes or compares in a second of that.
    pub content_bytes_per_s: Option<f64>,
    /// Latency as the recorder saw it.
    pub latency: Latency,
}

impl RunRecord {
    /// A record of a run that just began: no cells, and interrupted until somebody says otherwise,
    /// so that a killed run never reads as a complete one.
    pub fn begin(tool: Tool, started_at: impl Into<String>, workload: Workload) -> Self {
        Self {
            schema: schema_name(),
            schema_version: SCHEMA_VERSION,
            tool,
            deterministic: false,
            started_at: started_at.into(),
            wall_ns: 0,
            status: RunStatus::Interrupted {
                reason: "the run did not report an end".to_owned(),
            },
            workload,
            command_line: Vec::new(),
            machine: Machine::default(),
            targets: Vec::new(),
            contents: Vec::new(),
            sweep: Vec::new(),
            assertions: Vec::new(),
            objective: None,
            metrics: BTreeMap::new(),
            cells: Vec::new(),
            harness: None,
        }
    }

    /// What tells it from other runs in a table: the workload's name, and when it began where that is known.
    #[must_use]
    pub fn label(&self) -> String {
        let label = format!("{} {}", self.workload.name, self.started_at);
        label.trim().to_owned()
    }

    /// The target an unqualified name means: the first one declared.
    #[must_use]
    pub fn default_target(&self) -> Option<&Target> {
        self.targets.first()
    }

    /// The sweep points that have cells, each once, in the order of the axes' values.
    #[must_use]
    pub fn points(&self) -> Vec<Vec<Setting>> {
        let mut points: Vec<Vec<Setting>> = Vec::new();
        let mut foreign: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for cell in &self.cells {
            let target = cell.target.as_str();
            let foreign = foreign
                .entry(target)
                .or_insert_with(|| self.foreign_knobs(target));
            let point: Vec<Setting> = own(&cell.point, foreign).cloned().collect();
            if !points.contains(&point) {
                points.push(point);
            }
        }
        points.sort_by_key(|point| self.place(point));
        points
    }

    /// The index of each of the point's values on its axis.
    fn place(&self, point: &[Setting]) -> Vec<usize> {
        self.sweep
            .iter()
            .map(|axis| {
                let value = point.iter().find(|setting| setting.knob == axis.knob);
                value
                    .and_then(|setting| axis.values.iter().position(|v| *v == setting.value))
                    .unwrap_or(axis.values.len())
            })
            .collect()
    }

    /// The swept knobs that a target does not have, though another one has them. Records of before such a target was run
    /// once for each load have cells of it at every value, which are all the same.
    fn foreign_knobs(&self, target: &str) -> Vec<&str> {
        let knobless = |one: &Target| one.name == target && one.knobs.is_empty();
        if !self.targets.iter().any(knobless) {
            return Vec::new();
        }
        let is_knob = |axis: &&SweepAxis| {
            let mut knobs = self.targets.iter().flat_map(|target| &target.knobs);
            knobs.any(|knob| knob.name == axis.knob_name())
        };
        let axes = self.sweep.iter().filter(is_knob);
        axes.map(|axis| axis.knob.as_str()).collect()
    }

    /// The settings of a cell that mean anything to its target.
    #[must_use]
    pub fn own_point(&self, cell: &Cell) -> Vec<Setting> {
        let foreign = self.foreign_knobs(&cell.target);
        own(&cell.point, &foreign).cloned().collect()
    }

    /// The points of the whole grid: those that are no part of another. A target without knobs is run once for each
    /// load and round; its point sets what changes the load alone, and is part of others.
    #[must_use]
    pub fn grid_points(&self) -> Vec<Vec<Setting>> {
        let points = self.points();
        let within = |part: &[Setting], whole: &[Setting]| {
            part.len() < whole.len() && part.iter().all(|setting| whole.contains(setting))
        };
        points
            .iter()
            .filter(|point| !points.iter().any(|other| within(point, other)))
            .cloned()
            .collect()
    }

    /// The cells of one target that speak for a grid point, by round: those of that very point, or
    /// of a part of it where the target has no more of the swept knobs.
    #[must_use]
    pub fn rounds_for(&self, target: &str, point: &[Setting]) -> Vec<&Cell> {
        let foreign = self.foreign_knobs(target);
        let is_set = |setting: &Setting| point.contains(setting);
        let of_target = self.cells.iter().filter(|cell| cell.target == target);
        let mut cells: Vec<&Cell> = of_target
            .filter(|cell| own(&cell.point, &foreign).all(is_set))
            .collect();
        // Of several that would do, those that were neighbours of this very point.
        let is_neighbour = |cell: &&Cell| cell.point.iter().all(is_set);
        if cells.iter().any(is_neighbour) {
            cells.retain(is_neighbour);
        }
        let settings = cells.iter().map(|cell| cell.point.len()).max().unwrap_or(0);
        cells.retain(|cell| cell.point.len() == settings);
        cells.sort_by_key(|cell| cell.round);
        cells
    }

    /// The cells of one target at exactly one sweep point, by round. Of a target that was run again for values of knobs
    /// it does not have, all of these.
    #[must_use]
    pub fn rounds(&self, target: &str, point: &[Setting]) -> Vec<&Cell> {
        let foreign = self.foreign_knobs(target);
        let mut cells: Vec<&Cell> = self
            .cells
            .iter()
            .filter(|cell| cell.target == target && own(&cell.point, &foreign).eq(point))
            .collect();
        cells.sort_by_key(|cell| cell.round);
        cells
    }

    /// Bytes verified and mismatches over all cells.
    #[must_use]
    pub fn verified(&self) -> (u64, u64) {
        self.cells.iter().fold((0, 0), |(bytes, wrong), cell| {
            (
                sum([bytes, cell.verification.bytes_verified]),
                sum([wrong, cell.verification.mismatches]),
            )
        })
    }
}

#[cfg(test)]
impl RunRecord {
    /// A whole run of one target, `engine`, that has no cells yet.
    pub(crate) fn of_an_engine() -> Self {
        let mut record = Self::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        record.status = RunStatus::Complete;
        record.targets.push(Target {
            name: "engine".to_owned(),
            ..Target::default()
        });
        record
    }
}

/// A point without these knobs.
fn own<'a>(point: &'a [Setting], foreign: &[&str]) -> impl Iterator<Item = &'a Setting> {
    let settings = point.iter();
    settings.filter(|setting| !foreign.contains(&setting.knob.as_str()))
}

impl SweepAxis {
    /// What a knob's own row calls it: an axis may say `engine.NAME`.
    #[must_use]
    pub fn knob_name(&self) -> &str {
        self.knob.strip_prefix("engine.").unwrap_or(&self.knob)
    }

    /// Its values in a line.
    #[must_use]
    pub fn values_text(&self) -> String {
        let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        values.join(", ")
    }
}

impl RunStatus {
    /// The one word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Interrupted { .. } => "interrupted",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it did not complete; empty when it did.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Complete => "",
            Self::Interrupted { reason } | Self::Failed { reason } => reason,
        }
    }
}

impl fmt::Display for KnobValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl From<bool> for KnobValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for KnobValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for KnobValue {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for KnobValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for KnobValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
