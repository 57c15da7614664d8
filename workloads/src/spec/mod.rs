//! The workload as written: what the user said, and where.
//!
//! One type per map of the language, each with the function that reads it. The JSON Schema that editors complete from is
//! derived from these same types ([`crate::schema`]). Whatever can be judged by looking at one value is judged here;
//! whatever takes two (a job and the file it names) is judged when the plan is made (`plan/resolve`).

mod block;
mod content;
mod file;
mod job;
mod law;
mod objective;
mod pattern;
mod phase;
mod rate;
mod recipe;
mod steady;
mod target;
mod trace;
mod verb;

pub(crate) use block::{BlockSpec, SizesSpec};
pub(crate) use content::ContentSpec;
pub(crate) use file::{FILE_BYTES_MAX, FILE_COUNT_MAX, FileSpec};
pub(crate) use job::JobSpec;
pub(crate) use objective::ObjectiveSpec;
pub(crate) use phase::PhaseSpec;
pub(crate) use rate::RateSpec;
pub(crate) use target::{TargetKindSpec, TargetSpec};
pub(crate) use trace::{TimingWord, TraceSpec};
pub(crate) use verb::VerbSpec;

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, flag, list, named, number, size, text};
use crate::fault::{Fault, Span};
use crate::yaml::{Data, Node};

/// A workload of delalloc: what is replayed, on what, how often, and what must hold afterwards.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Workload")]
pub(crate) struct WorkloadSpec {
    /// The version of this language: 1.
    #[schemars(with = "u8", extend("const" = 1))]
    pub(crate) version: u32,
    /// What records call it; the file's name without its ending if it says nothing.
    #[schemars(with = "Option<String>")]
    pub(crate) name: Option<String>,
    /// One line for people: what it stands for.
    #[schemars(with = "Option<String>")]
    pub(crate) about: Option<String>,
    /// Everything random comes from it: equal seeds, equal operations and bytes.
    #[schemars(with = "Option<u64>")]
    pub(crate) seed: u64,
    /// One thread in the time of modelled devices: equal seeds, equal results to the last byte, on any
    /// machine (default false). Targets are then engine or raw, on sim or mem, without a throttle.
    #[schemars(with = "Option<bool>")]
    pub(crate) deterministic: bool,
    /// How often each sweep point is run on each target, interleaved.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub(crate) rounds: u32,
    /// Compare everything that is read with what was written (default true).
    #[schemars(with = "Option<bool>")]
    pub(crate) verify: bool,
    /// The most memory that remembering what was written may take, such as 8GiB (default: a quarter of the machine's). A run
    /// that needs more ends there; `delalloc replay --dry-run` tells what it will need.
    #[schemars(rename = "verify_memory_max", with = "Option<String>")]
    pub(crate) verify_memory_bytes_max: Option<u64>,
    /// Workloads that this one starts from, relative to its file; what is said here wins, key by key.
    #[schemars(with = "Option<IncludeShape>")]
    #[expect(
        dead_code,
        reason = "followed before the rest is read; it is here to be known"
    )]
    pub(crate) include: Vec<At<String>>,
    /// What it is replayed on, by name; replayed side by side.
    #[schemars(with = "std::collections::BTreeMap<String, TargetSpec>")]
    pub(crate) targets: Vec<(At<String>, TargetSpec)>,
    /// Knobs of every engine target, nested or dotted; `delalloc params` lists them.
    #[schemars(with = "Option<KnobMap>")]
    pub(crate) engine: KnobsSpec,
    /// What the bytes are made of (default: `{ ratio: 2.5 }`).
    pub(crate) content: Option<ContentSpec>,
    /// The files, by name.
    #[schemars(with = "Option<std::collections::BTreeMap<String, Option<FileSpec>>>")]
    pub(crate) files: Vec<(At<String>, FileSpec)>,
    /// One after the other.
    #[schemars(length(min = 1))]
    pub(crate) phases: Vec<PhaseSpec>,
    /// Values to try: of knobs, or of paths into `content`, `files`, `phases`, `seed`. All combinations are run on
    /// engines, and on other targets those of the paths alone: they have no knobs.
    #[schemars(with = "Option<SweepMap>")]
    pub(crate) sweep: Vec<AxisSpec>,
    /// What a recommended point of the sweep serves (default: the lowest p99 with a rate within 5 % of the best).
    pub(crate) objective: Option<ObjectiveSpec>,
    /// What must hold of the results, such as `p99(serve.write) <= 20ms`.
    #[schemars(rename = "assert", with = "Option<Vec<String>>")]
    pub(crate) asserts: Vec<At<String>>,
}

/// One file, or several of which later ones win.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Include")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum IncludeShape {
    One(String),
    Several(Vec<String>),
}

/// Knobs as written: dotted name, its place, value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct KnobsSpec(pub(crate) Vec<(At<String>, At<String>)>);

/// Knobs by name; a map nests names, `compression: { level: 1 }` is `compression.level: 1`.
#[derive(JsonSchema)]
#[schemars(transparent, rename = "Knobs")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct KnobMap(std::collections::BTreeMap<String, KnobValue>);

/// The value of a knob, or a map of knobs.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum KnobValue {
    Text(String),
    Number(f64),
    Flag(bool),
    Nested(KnobMap),
}

/// Swept names and the values to try.
#[derive(JsonSchema)]
#[schemars(transparent, rename = "Sweep")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct SweepMap(std::collections::BTreeMap<String, Vec<Scalar>>);

/// Text, number, true or false.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// A swept name and its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AxisSpec {
    pub(crate) name: At<String>,
    pub(crate) values: Vec<At<String>>,
}

impl WorkloadSpec {
    /// Reads the whole; whatever is missing has been reported.
    pub(crate) fn read(root: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(root, "a workload", report)?;
        let spec = Self {
            version: fields
                .require("version", report)
                .and_then(|n| read_version(n, report))
                .unwrap_or(1),
            name: fields
                .take("name")
                .and_then(|n| text(n, "the name", report))
                .map(|at| at.value),
            about: fields
                .take("about")
                .and_then(|n| text(n, "about", report))
                .map(|at| at.value),
            seed: fields
                .take("seed")
                .and_then(|n| number(n, "the seed", 0..=u64::MAX, report))
                .map_or(1, |at| at.value),
            deterministic: fields
                .take("deterministic")
                .and_then(|n| flag(n, "deterministic", report))
                .unwrap_or(false),
            rounds: fields
                .take("rounds")
                .and_then(|n| number(n, "rounds", 1..=1000, report))
                .map_or(1, |at| at.value),
            verify: fields
                .take("verify")
                .and_then(|n| flag(n, "verify", report))
                .unwrap_or(true),
            verify_memory_bytes_max: fields
                .take("verify_memory_max")
                .and_then(|n| size(n, "verify_memory_max", 1 << 20..=u64::MAX, report))
                .map(|at| at.value),
            include: fields
                .take("include")
                .map(|n| read_include(n, report))
                .unwrap_or_default(),
            targets: read_targets(&mut fields, report),
            engine: fields
                .take("engine")
                .map(|n| KnobsSpec::read(n, report))
                .unwrap_or_default(),
            content: fields
                .take("content")
                .and_then(|n| ContentSpec::read(n, report)),
            files: fields
                .take("files")
                .map(|n| read_files(n, report))
                .unwrap_or_default(),
            phases: read_phases(&mut fields, report),
            sweep: fields
                .take("sweep")
                .map(|n| read_sweep(n, report))
                .unwrap_or_default(),
            objective: fields
                .take("objective")
                .and_then(|n| ObjectiveSpec::read(n, report)),
            asserts: fields
                .take("assert")
                .map(|n| read_asserts(n, report))
                .unwrap_or_default(),
        };
        fields.finish(report);
        Some(spec)
    }
}

fn read_version(node: &Node, report: &mut Report) -> Option<u32> {
    let version = number(node, "the version", 1..=u32::MAX, report)?;
    if version.value != 1 {
        report.add(
            Fault::new(
                node.span,
                format!("version {} of the language is not known", version.value),
            )
            .help("this delalloc reads version 1"),
        );
    }
    Some(version.value)
}

/// What `include:` names.
pub(crate) fn read_include(node: &Node, report: &mut Report) -> Vec<At<String>> {
    one_or_several(node, "an included workload", report)
}

/// A single text, or a list of them.
fn one_or_several(node: &Node, what: &str, report: &mut Report) -> Vec<At<String>> {
    let items = match &node.data {
        Data::List(items) => &items[..],
        _ => std::slice::from_ref(node),
    };
    items
        .iter()
        .filter_map(|item| text(item, what, report))
        .collect()
}

fn read_targets(fields: &mut Fields<'_>, report: &mut Report) -> Vec<(At<String>, TargetSpec)> {
    let Some(node) = fields.require("targets", report) else {
        return Vec::new();
    };
    let entries = named(node, "targets", report);
    if entries.is_empty() {
        report.add(Fault::new(node.span, "targets names nothing to replay on"));
    }
    entries
        .into_iter()
        .filter_map(|entry| {
            let name = read_name(&entry.key, entry.key_span, "a target", report)?;
            Some((name, TargetSpec::read(&entry.value, report)?))
        })
        .collect()
}

fn read_files(node: &Node, report: &mut Report) -> Vec<(At<String>, FileSpec)> {
    named(node, "files", report)
        .into_iter()
        .filter_map(|entry| {
            let name = read_name(&entry.key, entry.key_span, "a file", report)?;
            Some((name, FileSpec::read(&entry.value, report)?))
        })
        .collect()
}

/// Names go into file names, assertions and `--set` paths: they keep to what all three can take.
pub(crate) fn read_name(
    name: &str,
    span: Span,
    what: &str,
    report: &mut Report,
) -> Option<At<String>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
        report.add(Fault::new(
            span,
            format!(
                "`{name}` cannot name {what}: letters, digits, `_` and `-` can, up to 100 of them"
            ),
        ));
        return None;
    }
    Some(At::new(name.to_owned(), span))
}

fn read_phases(fields: &mut Fields<'_>, report: &mut Report) -> Vec<PhaseSpec> {
    let Some(node) = fields.require("phases", report) else {
        return Vec::new();
    };
    let phases: Vec<PhaseSpec> = list(node, "phases", report)
        .iter()
        .filter_map(|item| PhaseSpec::read(item, report))
        .collect();
    if matches!(&node.data, Data::List(items) if items.is_empty()) {
        report.add(Fault::new(node.span, "phases holds nothing to do"));
    }
    phases
}

fn read_sweep(node: &Node, report: &mut Report) -> Vec<AxisSpec> {
    named(node, "sweep", report)
        .into_iter()
        .filter_map(|entry| {
            let values: Vec<At<String>> = list(&entry.value, "the values of an axis", report)
                .iter()
                .filter_map(|item| text(item, "a value of an axis", report))
                .collect();
            if values.is_empty() {
                if matches!(entry.value.data, Data::List(_)) {
                    report.add(Fault::new(entry.value.span, "an axis without values"));
                }
                return None;
            }
            for (at, value) in values.iter().enumerate() {
                if let Some(first) = values[..at].iter().find(|v| v.value == value.value) {
                    report.add(
                        Fault::new(value.span, format!("`{}` is tried twice", value.value))
                            .other(first.span, "first here"),
                    );
                }
            }
            Some(AxisSpec {
                name: At::new(entry.key.clone(), entry.key_span),
                values,
            })
        })
        .collect()
}

fn read_asserts(node: &Node, report: &mut Report) -> Vec<At<String>> {
    list(node, "assert", report)
        .iter()
        .filter_map(|item| text(item, "an assertion", report))
        .collect()
}

impl KnobsSpec {
    /// Flattens nested maps to dotted names; a name reached in two ways is a fault.
    pub(crate) fn read(node: &Node, report: &mut Report) -> Self {
        let mut knobs = Self::default();
        knobs.gather("", node, report);
        knobs
    }

    fn gather(&mut self, prefix: &str, node: &Node, report: &mut Report) {
        for entry in named(node, "knobs", report) {
            let name = if prefix.is_empty() {
                entry.key.clone()
            } else {
                format!("{prefix}.{}", entry.key)
            };
            match &entry.value.data {
                Data::Map(_) => self.gather(&name, &entry.value, report),
                Data::Scalar(value) => {
                    if let Some((first, _)) = self.0.iter().find(|(known, _)| known.value == name) {
                        report.add(
                            Fault::new(entry.key_span, format!("the knob `{name}` is set twice"))
                                .label("again here")
                                .other(first.span, "first here"),
                        );
                        continue;
                    }
                    self.0.push((
                        At::new(name, entry.key_span),
                        At::new(value.clone(), entry.value.span),
                    ));
                }
                _ => report.add(Fault::new(
                    entry.value.span,
                    format!(
                        "the knob `{name}` takes a single value, not {}",
                        entry.value.kind()
                    ),
                )),
            }
        }
    }
}
