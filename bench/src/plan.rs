//! What a replay means: every default filled in, every fault found before the first byte is moved.
//!
//! Not here: the workload's own language (`delalloc-workloads`), carrying it out (run).

use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use delalloc_results::ExitCode;
use delalloc_workloads::plan::{BackendPlan, TargetKind, TargetPlan};
use delalloc_workloads::{Checks, LoadError, WorkloadPlan};

use crate::args::ReplayArgs;
use crate::asserts::Assertions;
use crate::failure::{Failure, OrExit};
use crate::replay::order::{Place, interleaved};
use crate::stamp::Stamp;
use crate::targets::{EngineKnobs, lay_out};

/// A replay, resolved.
#[derive(Debug)]
pub struct RunPlan {
    /// What is replayed, on which targets.
    pub workload: WorkloadPlan,
    /// Every cell, in the order it runs.
    pub places: Vec<Place>,
    /// Where results go.
    pub out: PathBuf,
    /// The user named it. Otherwise another run of the same second may have it, and this one gets a name beside it.
    pub out_is_named: bool,
    /// When it began.
    pub begun: Stamp,
    /// Where the one replay is written down as a trace.
    pub record: Option<PathBuf>,
    /// The command as typed.
    pub command_line: Vec<String>,
}

impl RunPlan {
    /// What the arguments mean. All faults that can be seen without I/O on a target are reported, at once.
    pub fn resolve(args: &ReplayArgs) -> Result<Self, Failure> {
        let mut workload = load(args)?;
        keep_targets(&mut workload, &args.targets).or_usage()?;
        let begun = Stamp::now();
        let out = args.out.clone().unwrap_or_else(|| {
            Path::new("results/runs").join(format!("{}-{}", workload.name, begun.file_name()))
        });
        let mut faults = target_faults(&workload);
        faults.extend(knob_faults(&workload));
        faults.extend(layout_faults(&workload));
        faults.extend(args.out.as_deref().and_then(out_fault));
        refuse(&faults)?;
        let places = places(&workload);
        if args.record.is_some() && places.len() != 1 {
            return Err(Failure::usage(anyhow!(
                "--record writes down one replay, and this would be {}: choose with --target, --rounds 1 and a workload without a sweep",
                places.len()
            )));
        }
        Ok(Self {
            workload,
            places,
            out,
            out_is_named: args.out.is_some(),
            begun,
            record: args.record.clone(),
            command_line: std::env::args().collect(),
        })
    }
}

/// Every cell in the order it runs.
fn places(workload: &WorkloadPlan) -> Vec<Place> {
    let points = workload.points.iter();
    let loads: Vec<usize> = points.map(|point| point.load).collect();
    let targets = workload.targets.iter();
    let have_knobs: Vec<bool> = targets.map(TargetPlan::has_knobs).collect();
    interleaved(workload.seed, workload.rounds, &loads, &have_knobs)
}

/// Every point's knobs go together, on every target, and its files have a place on every raw device.
pub fn check_points(workload: &WorkloadPlan) -> Result<(), Failure> {
    let mut faults = knob_faults(workload);
    faults.extend(layout_faults(workload));
    refuse(&faults)
}

fn refuse(faults: &[String]) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure {
        code: ExitCode::Usage,
        error: anyhow!(faults.join("\n")),
    })
}

/// Loads the workload with the arguments' settings laid over it.
pub fn load(args: &ReplayArgs) -> Result<WorkloadPlan, Failure> {
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    sets.extend(args.deterministic.then(|| "deterministic=true".to_owned()));
    sets.extend(args.rounds.map(|rounds| format!("rounds={rounds}")));
    let checks = Checks {
        knobs: &EngineKnobs,
        asserts: &Assertions,
        reads_recordings: true,
    };
    delalloc_workloads::load(&args.workload, &sets, checks).map_err(|error| match error {
        LoadError::Faults(faults) => {
            let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
            Failure::usage(anyhow!("invalid workload\n{}", faults.render(color)))
        }
        other => Failure::usage(other),
    })
}

/// Leaves only the targets named, where any are.
pub fn keep_targets(workload: &mut WorkloadPlan, wanted: &[String]) -> anyhow::Result<()> {
    for name in wanted {
        let known: Vec<&str> = workload
            .targets
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "--target {name}: the workload has the targets {}",
            known.join(", ")
        );
    }
    if !wanted.is_empty() {
        workload
            .targets
            .retain(|target| wanted.contains(&target.name));
    }
    Ok(())
}

fn target_faults(workload: &WorkloadPlan) -> Vec<String> {
    let mut faults = Vec::new();
    for target in &workload.targets {
        let name = &target.name;
        match &target.kind {
            TargetKind::Directory { path } if !path.is_dir() => {
                let path = path.display();
                faults.push(format!(
                    "target {name}: {path} is no directory; make or mount it"
                ));
            }
            TargetKind::Engine(device) | TargetKind::Raw(device) => match &device.backend {
                BackendPlan::File { path, .. } => {
                    let home = match path.parent() {
                        Some(parent) if !parent.as_os_str().is_empty() => parent,
                        _ => Path::new("."),
                    };
                    if !home.is_dir() {
                        let home = home.display();
                        faults.push(format!("target {name}: {home} is no directory; make it"));
                    }
                }
                BackendPlan::Block { path, .. } if !path.exists() => {
                    faults.push(format!("target {name}: no device {}", path.display()));
                }
                BackendPlan::Block { .. } | BackendPlan::Mem { .. } | BackendPlan::Sim { .. } => {}
            },
            TargetKind::Directory { .. } | TargetKind::Null => {}
        }
    }
    faults
}

/// Knobs that are right one by one may still contradict each other, at some point of the sweep.
fn knob_faults(workload: &WorkloadPlan) -> Vec<String> {
    let mut faults = Vec::new();
    for target in &workload.targets {
        if !target.has_knobs() {
            continue;
        }
        for point in &workload.points {
            if let Err(error) = EngineKnobs::config(&point.knobs_for(target)) {
                let at = match point.label() {
                    label if label.is_empty() => String::new(),
                    label => format!(" at {label}"),
                };
                faults.push(format!("target {}{at}: {error:#}", target.name));
            }
        }
    }
    faults
}

/// Files that do not fit a device without a filesystem. A device that cannot be asked for its size now
/// is asked when it is opened.
fn layout_faults(workload: &WorkloadPlan) -> Vec<String> {
    let mut faults = Vec::new();
    for target in &workload.targets {
        let TargetKind::Raw(device) = &target.kind else {
            continue;
        };
        let Some(capacity_bytes) = capacity_bytes(&device.backend) else {
            continue;
        };
        for load in &workload.loads {
            let found = lay_out(load, capacity_bytes).err().unwrap_or_default();
            let found = found
                .into_iter()
                .map(|fault| format!("target {}: {fault}", target.name));
            faults.extend(
                found
                    .filter(|fault| !faults.contains(fault))
                    .collect::<Vec<_>>(),
            );
        }
    }
    faults
}

fn capacity_bytes(backend: &BackendPlan) -> Option<u64> {
    match backend {
        BackendPlan::Mem { size_bytes }
        | BackendPlan::Sim { size_bytes, .. }
        | BackendPlan::File { size_bytes, .. } => Some(*size_bytes),
        BackendPlan::Block { path, .. } => {
            let mut device = std::fs::File::open(path).ok()?;
            device.seek(SeekFrom::End(0)).ok()
        }
    }
}

/// Why no run may begin there: what another one left is not written over.
pub(crate) fn out_fault(out: &Path) -> Option<String> {
    let shown = out.display();
    if out.join("result.json").exists() {
        return Some(format!(
            "--out {shown}: holds a result already; name another directory"
        ));
    }
    if out.join("events.ndjson").exists() {
        return Some(format!(
            "--out {shown}: holds the events of a run that was killed or still runs; name another directory (`delalloc report {shown}` makes a page of them)"
        ));
    }
    (out.exists() && !out.is_dir()).then(|| format!("--out {shown}: is no directory"))
}
