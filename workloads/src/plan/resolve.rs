//! From the workload as written to the plan: everything that takes more than one value to judge.
//!
//! ```text
//! text --parse--> tree --(include)--> tree --(--set)--> tree --read--> WorkloadSpec --> targets, axes, checks
//!                                     |
//!                                     +--(values of swept fields)--> tree --read--> load, one per combination
//! ```
//!
//! Swept knobs change nothing here but the point; a swept field of the workload is an override of the tree, so it
//! means exactly what `--set` of the same path means.
//!
//! Not here: what a phase and a job resolve to (`load`).

use std::collections::HashMap;
use std::sync::Arc;

use super::asserts::{check_assert_words, check_asserts};
use super::load::build_load;
use super::recordings::Recordings;
use super::{
    AxisKind, AxisPlan, LoadPlan, ObjectivePlan, PlanSource, PointPlan, Setting, TargetKind,
    TargetPlan, Vocabulary, WorkloadPlan, deterministic, objective,
};
use crate::decode::{At, Report};
use crate::fault::{Fault, Faults, SourceText};
use crate::include::{Home, Includes};
use crate::knob::{Checks, Knobs};
use crate::overrides::{Override, knob_name};
use crate::spec::{AxisSpec, KnobsSpec, TargetKindSpec, TargetSpec, WorkloadSpec};
use crate::yaml::{self, Data, Node};

/// More points than this is a slip: nobody waits for them.
const POINT_COUNT_MAX: usize = 10_000;

/// Files of all loads together: each load of a sweep holds its own.
const LOADS_FILE_COUNT_MAX: usize = 1 << 21;

/// Reads `text` with what it includes beneath it and `sets` applied.
pub(crate) fn resolve(
    text: &str,
    origin: &str,
    home: &Home,
    sets: &[String],
    checks: Checks<'_>,
) -> Result<WorkloadPlan, Faults> {
    let mut report = Report::default();
    let source = |origin: &str, text: &str| SourceText {
        origin: origin.to_owned(),
        text: text.to_owned(),
    };
    let mut sources = vec![source(origin, text)];
    sources.extend(sets.iter().map(|set| source("--set", set)));
    let plan = read_and_resolve(&mut sources, home, sets, checks, &mut report);
    match plan {
        Some(plan) if report.faults.is_empty() => Ok(plan),
        _ => {
            assert!(
                !report.faults.is_empty(),
                "a plan is missing and nobody says why"
            );
            let mut faults = report.faults;
            faults.sort_by_key(|fault| (fault.span.text, fault.span.start));
            Err(Faults { sources, faults })
        }
    }
}

fn read_and_resolve(
    sources: &mut Vec<SourceText>,
    home: &Home,
    sets: &[String],
    checks: Checks<'_>,
    report: &mut Report,
) -> Option<WorkloadPlan> {
    let root = match yaml::parse(&sources[0].text, 0) {
        Ok(root) => root,
        Err(fault) => {
            report.add(*fault);
            return None;
        }
    };
    let mut root = Includes::new(home, sources, report).expand(root, home);
    let origin = &*sources[0].origin;
    let overrides: Vec<Override> = sets
        .iter()
        .zip(1..)
        .filter_map(|(set, text)| Override::parse(set, text, report))
        .collect();
    for change in &overrides {
        change.apply(&mut root, report);
    }
    let spec = WorkloadSpec::read(&root, report)?;
    let axes = split_axes(&spec.sweep, report);
    check_knobs(&spec, &axes, checks, report);
    check_asserts(&spec.asserts, checks, report);
    objective::check(spec.objective.as_ref(), checks, report);
    if spec.deterministic {
        deterministic::check(&spec.targets, report);
    }
    let mut recordings = Recordings::new(checks.reads_recordings);
    let loads = Loads::build(&root, &spec, &axes, &mut recordings, report)?;
    let targets = spec.targets.iter().map(|(name, _)| name.value.as_str());
    let words = Vocabulary::of(targets, loads.plans.iter().map(Arc::as_ref));
    check_assert_words(&spec.asserts, &words, checks, report);
    if let Some(objective) = &spec.objective {
        check_assert_words(&objective.subject_to, &words, checks, report);
    }
    if !report.faults.is_empty() {
        return None;
    }
    Some(WorkloadPlan {
        version: spec.version,
        name: spec.name.clone().unwrap_or_else(|| stem(origin)),
        about: spec.about.clone().unwrap_or_default(),
        seed: spec.seed,
        deterministic: spec.deterministic,
        rounds: spec.rounds,
        verify: spec.verify,
        verify_memory_bytes_max: spec.verify_memory_bytes_max,
        targets: spec.targets.iter().map(target_plan).collect(),
        points: points(&spec, &overrides, &loads),
        axes: spec.sweep.iter().zip(axes).map(axis_plan).collect(),
        loads: loads.plans,
        asserts: spec.asserts.iter().map(|at| at.value.clone()).collect(),
        objective: spec.objective.as_ref().map(ObjectivePlan::of),
        overrides: sets.to_vec(),
        source: PlanSource {
            included: sources[1 + sets.len()..].iter().map(plan_source).collect(),
            ..plan_source(&sources[0])
        },
    })
}

fn plan_source(source: &SourceText) -> PlanSource {
    let hash = xxhash_rust::xxh3::xxh3_64(source.text.as_bytes());
    PlanSource {
        origin: source.origin.clone(),
        text_xxh3: format!("{hash:016x}"),
        text: source.text.clone(),
        included: Vec::new(),
    }
}

/// A path's file name without its ending.
fn stem(origin: &str) -> String {
    std::path::Path::new(origin).file_stem().map_or_else(
        || origin.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

fn axis_plan((axis, kind): (&AxisSpec, AxisKind)) -> AxisPlan {
    AxisPlan {
        name: axis.name.value.clone(),
        kind,
        values: axis.values.iter().map(|at| at.value.clone()).collect(),
    }
}

fn target_plan((name, spec): &(At<String>, TargetSpec)) -> TargetPlan {
    TargetPlan {
        name: name.value.clone(),
        kind: match &spec.kind {
            TargetKindSpec::Engine(engine) => TargetKind::Engine(engine.clone()),
            TargetKindSpec::Raw(device) => TargetKind::Raw(device.clone()),
            TargetKindSpec::Directory(path) => TargetKind::Directory { path: path.clone() },
            TargetKindSpec::Null => TargetKind::Null,
        },
        knobs: knobs(&spec.knobs),
    }
}

fn knobs(spec: &KnobsSpec) -> Knobs {
    Knobs(
        spec.0
            .iter()
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
    )
}

/// Which axes turn knobs and which turn the workload.
fn split_axes(sweep: &[AxisSpec], report: &mut Report) -> Vec<AxisKind> {
    let mut points: usize = 1;
    let mut kinds = Vec::new();
    for axis in sweep {
        points = points.saturating_mul(axis.values.len());
        if points > POINT_COUNT_MAX {
            report.add(Fault::new(
                axis.name.span,
                format!("the sweep has more than {POINT_COUNT_MAX} points from here on"),
            ));
        }
        let name = &axis.name.value;
        kinds.push(match knob_name(name) {
            Some(_) => AxisKind::Knob,
            None => AxisKind::Field,
        });
        let first = name.split('.').next().unwrap_or(name);
        if kinds.last() == Some(&AxisKind::Field)
            && !matches!(first, "seed" | "content" | "files" | "phases")
        {
            report.add(
                Fault::new(axis.name.span, format!("`{name}` cannot be swept"))
                    .help("knobs can, and paths into seed, content, files, phases"),
            );
        }
    }
    kinds
}

fn check_knobs(spec: &WorkloadSpec, axes: &[AxisKind], checks: Checks<'_>, report: &mut Report) {
    let of_targets = spec.targets.iter().flat_map(|(_, target)| &target.knobs.0);
    for (name, value) in spec.engine.0.iter().chain(of_targets) {
        check_knob(name, value, checks, report);
    }
    let mut swept: Vec<At<String>> = Vec::new();
    for axis in &spec.sweep {
        if let Some(knob) = knob_name(&axis.name.value) {
            let name = At::new(knob.to_owned(), axis.name.span);
            if let Some(first) = swept.iter().find(|known| known.value == name.value) {
                report.add(
                    Fault::new(name.span, format!("the knob `{knob}` is swept twice"))
                        .label("again here")
                        .other(first.span, "first here"),
                );
            }
            for value in &axis.values {
                check_knob(&name, value, checks, report);
            }
            swept.push(name);
        }
    }
    let has_engine = spec
        .targets
        .iter()
        .any(|(_, target)| matches!(target.kind, TargetKindSpec::Engine(_)));
    if !has_engine
        && !spec.targets.is_empty()
        && let Some((axis, _)) = spec
            .sweep
            .iter()
            .zip(axes)
            .find(|(_, kind)| **kind == AxisKind::Knob)
    {
        report.add(Fault::new(
            axis.name.span,
            "a knob is swept and no target is an engine",
        ));
    }
}

fn check_knob(name: &At<String>, value: &At<String>, checks: Checks<'_>, report: &mut Report) {
    let Err(why) = checks.knobs.check(&name.value, &value.value) else {
        return;
    };
    let span = if why.is_unknown_name {
        name.span
    } else {
        value.span
    };
    report.add(Fault::new(span, why.message).did_you_mean(why.suggestion));
}

/// The loads of a sweep, by the values of the swept fields.
struct Loads {
    plans: Vec<Arc<LoadPlan>>,
    by_values: HashMap<Vec<usize>, usize>,
}

impl Loads {
    fn build(
        root: &Node,
        spec: &WorkloadSpec,
        kinds: &[AxisKind],
        recordings: &mut Recordings,
        report: &mut Report,
    ) -> Option<Self> {
        let axes: Vec<&AxisSpec> = spec
            .sweep
            .iter()
            .zip(kinds)
            .filter_map(|(axis, kind)| (*kind == AxisKind::Field).then_some(axis))
            .collect();
        let mut loads = Self {
            plans: Vec::new(),
            by_values: HashMap::new(),
        };
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.values.len()).collect();
        let loads_count = sizes
            .iter()
            .fold(1, |all: usize, size| all.saturating_mul(*size));
        if loads_count > POINT_COUNT_MAX {
            return None;
        }
        let mut files_count = 0;
        for choice in product(&sizes) {
            let plan = if choice.is_empty() {
                build_load(spec, recordings, report)
            } else {
                let changed = with_values(root, &axes, &choice, report);
                WorkloadSpec::read(&changed, report)
                    .and_then(|spec| build_load(&spec, recordings, report))
            };
            files_count += plan.as_ref().map_or(0, |plan| plan.files.len());
            if let Some(axis) = axes.first()
                && files_count > LOADS_FILE_COUNT_MAX
            {
                report.add(Fault::new(
                    axis.name.span,
                    format!("the points together have more than {LOADS_FILE_COUNT_MAX} files"),
                ));
                return None;
            }
            // One that fails has been reported; the others are read all the same, for their faults.
            loads.by_values.insert(choice, loads.plans.len());
            loads.plans.extend(plan.map(Arc::new));
        }
        (loads.plans.len() == loads.by_values.len()).then_some(loads)
    }
}

/// The tree with one value of each axis put where the axis points.
fn with_values(root: &Node, axes: &[&AxisSpec], choice: &[usize], report: &mut Report) -> Node {
    let mut changed = root.clone();
    for (axis, value) in axes.iter().zip(choice) {
        let value = &axis.values[*value];
        let change = Override {
            name: axis.name.value.clone(),
            name_span: axis.name.span,
            value: Node {
                span: value.span,
                data: Data::Scalar(value.value.clone()),
            },
        };
        change.apply(&mut changed, report);
    }
    changed
}

/// All choices of one index below each size, the last turning fastest.
fn product(sizes: &[usize]) -> Vec<Vec<usize>> {
    sizes.iter().fold(vec![Vec::new()], |choices, size| {
        choices
            .iter()
            .flat_map(|choice| {
                (0..*size).map(move |value| {
                    let mut longer = choice.clone();
                    longer.push(value);
                    longer
                })
            })
            .collect()
    })
}

fn points(spec: &WorkloadSpec, overrides: &[Override], loads: &Loads) -> Vec<PointPlan> {
    let base_knobs = knobs(&spec.engine);
    let mut pinned = Knobs::default();
    for name in overrides.iter().filter_map(Override::knob) {
        if let Some(value) = base_knobs.0.get(name) {
            pinned.0.insert(name.to_owned(), value.clone());
        }
    }
    let sizes: Vec<usize> = spec.sweep.iter().map(|axis| axis.values.len()).collect();
    product(&sizes)
        .into_iter()
        .enumerate()
        .map(|(index, choice)| {
            let mut swept_knobs = pinned.clone();
            let mut settings = Vec::new();
            let mut field_choice = Vec::new();
            for (axis, value) in spec.sweep.iter().zip(&choice) {
                let setting = Setting {
                    name: axis.name.value.clone(),
                    value: axis.values[*value].value.clone(),
                };
                match knob_name(&setting.name) {
                    Some(knob) => {
                        swept_knobs.0.insert(knob.to_owned(), setting.value.clone());
                    }
                    None => field_choice.push(*value),
                }
                settings.push(setting);
            }
            PointPlan {
                index,
                settings,
                base_knobs: base_knobs.clone(),
                swept_knobs,
                load: loads.by_values[&field_choice],
            }
        })
        .collect()
}
