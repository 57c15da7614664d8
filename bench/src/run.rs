//! A whole run: every cell in its order, the record they make, the files they leave.
//!
//! `events.ndjson` is written as things happen and reaches the kernel line by line: a run that is
//! killed has it. `result.json` and everything rendered from it are written when the run ends, also
//! by a signal or a failure, with what there is.
//!
//! A deterministic run leaves machine and moment out of all of these, and in a file beside them.
//!
//! Not here: one cell (replay/cell), what is printed about it (cmd/replay).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use delalloc_results::export::{
    CellKey, cells_csv, counters_csv, hdr_log, intervals_csv, times_csv,
};
use delalloc_results::record::{
    Cell, Doubt, Knob, KnobValue, Machine, ObjectiveRecord, PhaseRecord, RunStatus, Sample,
    Setting, SweepAxis, Target as TargetRecord, Tool, Workload, point_label,
};
use delalloc_results::{Event, EventLog, RunRecord, RunVerdict, render, save};
use delalloc_workloads::plan::{BackendPlan, Corpora, PhasePlan, TargetKind, TargetPlan};
use delalloc_workloads::{Content, PointPlan, WorkloadPlan};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::contents;
use crate::failure::{Failure, OrExit};
use crate::host::{self, Host};
use crate::mount::Mount;
use crate::plan::{RunPlan, out_fault};
use crate::progress::Progress;
use crate::replay::calibrate::harness_cost;
use crate::replay::cell::{self, Setup, Watch};
use crate::replay::making::Bytes;
use crate::replay::order::Place;
use crate::replay::pacer::SleepSlack;
use crate::replay::phase;
use crate::replay::tape::Tape;
use crate::signals::Signals;
use crate::surroundings::{Surroundings, reproduction};
use crate::targets::{EngineKnobs, Opening, Target};

/// Opens the target of a cell, fresh.
pub type Opener<'a> = dyn Fn(&Opening<'_>) -> anyhow::Result<Box<dyn Target>> + 'a;

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// Everything measured.
    pub record: RunRecord,
    /// Whether it ended well, its bytes were right and its promises were kept.
    pub verdict: RunVerdict,
    /// The files it left, the record first.
    pub files: Vec<PathBuf>,
}

/// Carries out the plan.
pub fn run(plan: &RunPlan, open: &Opener<'_>, signals: &Signals) -> Result<Finished, Failure> {
    let out = make_out(&plan.out, plan.out_is_named).or_usage()?;
    let begun = Instant::now();
    let (contents, measured) = contents::make(&plan.workload.loads).or_usage()?;
    let mut run = Run {
        plan,
        signals,
        slack: if plan.workload.deterministic {
            SleepSlack::NONE
        } else {
            SleepSlack::measure()
        },
        contents,
        log: begin_log(&out)?,
        record: RunRecord {
            contents: measured,
            ..blank_record(plan)
        },
        progress: Progress::new(plan.places.len(), phases_max(plan)),
    };
    let started = Event::RunStarted {
        record: Box::new(run.record.clone()),
        cells_planned: plan.places.len() as u64,
    };
    run.log.append(&started).or_failed()?;
    let result = run.cells(open);
    run.progress.finish();
    let wall_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    if !run.record.deterministic {
        run.record.wall_ns = wall_ns;
    }
    run.record.status = status(&run.record, result, signals);
    let finished = Event::RunFinished {
        status: run.record.status.clone(),
        wall_ns: run.record.wall_ns,
    };
    // The result is whole in memory, and is left even where the log's last line cannot be.
    let ended = run.log.append(&finished);
    let mut files = leave(&run.record, &out).or_failed()?;
    ended.or_failed()?;
    if run.record.deterministic {
        let surroundings = Surroundings {
            started_at: plan.begun.rfc3339(),
            wall_ns,
            command_line: plan.command_line.clone(),
            machine: machine(&plan.workload.targets),
        };
        files.push(surroundings.leave(&out).or_failed()?);
    }
    let verdict = RunVerdict::of(&run.record);
    Ok(Finished {
        record: run.record,
        verdict,
        files,
    })
}

/// Makes the directory for the results. Where nobody named it, it is one that was not there: of two runs that begin in one
/// second the later has a number behind its name.
fn make_out(out: &Path, is_named: bool) -> anyhow::Result<PathBuf> {
    let making = |out: &Path| format!("making {}", out.display());
    if is_named {
        std::fs::create_dir_all(out).with_context(|| making(out))?;
        return Ok(out.to_owned());
    }
    if let Some(home) = out.parent() {
        std::fs::create_dir_all(home).with_context(|| making(home))?;
    }
    let mut tried = out.to_owned();
    let mut nth = 1;
    loop {
        match std::fs::create_dir(&tried) {
            Ok(()) => return Ok(tried),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| making(&tried)),
        }
        nth += 1;
        let mut name = out.as_os_str().to_owned();
        name.push(format!("-{nth}"));
        tried = name.into();
    }
}

/// Begins the log. A run that began in the directory since this one was planned keeps its own.
fn begin_log(out: &Path) -> Result<EventLog, Failure> {
    EventLog::create(&out.join("events.ndjson")).map_err(|error| match out_fault(out) {
        Some(fault) => Failure::usage(anyhow!(fault)),
        None => Failure::failed(error),
    })
}

struct Run<'a> {
    plan: &'a RunPlan,
    signals: &'a Signals,
    slack: SleepSlack,
    /// Content of each load.
    contents: Vec<Arc<Content>>,
    log: EventLog,
    record: RunRecord,
    progress: Progress,
}

impl Run<'_> {
    fn cells(&mut self, open: &Opener<'_>) -> anyhow::Result<()> {
        let workload = &self.plan.workload;
        if !workload.deterministic {
            // A target that keeps nothing is given no bytes.
            let keeps = |target: &TargetPlan| !matches!(target.kind, TargetKind::Null);
            let bytes = workload.targets.iter().any(keeps).then(|| Bytes {
                content: &self.contents[0],
                verify: workload.verify,
            });
            self.record.harness = harness_cost(&workload.loads[0], bytes, self.slack, self.signals)
                .context("measuring the harness on the null target")?;
        }
        if let Some(cost) = &self.record.harness {
            self.log
                .append(&Event::HarnessMeasured { cost: cost.clone() })?;
        }
        for (done, place) in self.plan.places.iter().enumerate() {
            if self.signals.interrupted() {
                return Ok(());
            }
            self.cell(*place, done, open)?;
        }
        Ok(())
    }

    fn cell(&mut self, place: Place, done: usize, open: &Opener<'_>) -> anyhow::Result<()> {
        let workload = &self.plan.workload;
        let (target, point) = (
            &workload.targets[place.target],
            &workload.points[place.point],
        );
        let key = CellKey {
            target: target.name.clone(),
            point: settings(workload, point, target),
            round: place.round,
        };
        let name = if key.point.is_empty() {
            target.name.clone()
        } else {
            format!("{} {}", target.name, point_label(&key.point))
        };
        self.progress.cell(name, done, phases_max(self.plan));
        self.log.append(&Event::CellStarted { cell: key.clone() })?;
        let tape = self.tape(point)?;
        let setup = Setup {
            load: workload.load(point),
            content: Arc::clone(&self.contents[point.load]),
            verify: workload.verify,
            verify_memory_bytes_max: workload
                .verify_memory_bytes_max
                .unwrap_or_else(host::memory_quarter_bytes),
            slack: self.slack,
            signals: self.signals,
            tape: tape.as_ref(),
        };
        let load = workload.load(point);
        let opening = Opening {
            target,
            point,
            load,
            seed: workload
                .deterministic
                .then(|| cell_seed(load.seed, place.round)),
            plant: None,
        };
        let mut cell = match open(&opening) {
            Ok(opened) => {
                self.record.targets[place.target].describe = opened.describe();
                let mut seen = Seen {
                    key: &key,
                    log: &mut self.log,
                    progress: &mut self.progress,
                    failed: None,
                };
                let ran = cell::run(&setup, &*opened, &mut seen);
                if let Some(error) = seen.failed {
                    return Err(error).context("writing events.ndjson");
                }
                self.record.metrics.extend(ran.metrics);
                ran.cell
            }
            Err(error) => Cell {
                fault: Some(format!("{:#}", error.context("opening the target"))),
                ..Cell::default()
            },
        };
        tape.map(Tape::finish)
            .transpose()
            .context("writing the recording")?;
        (cell.target, cell.point, cell.round) = (key.target, key.point, key.round);
        self.log.append(&Event::CellFinished {
            cell: Box::new(cell.clone()),
        })?;
        self.record.cells.push(cell);
        Ok(())
    }

    /// What writes a cell down, where that is wanted.
    fn tape(&self, point: &PointPlan) -> anyhow::Result<Option<Tape>> {
        let workload = &self.plan.workload;
        let start = |path| Tape::start(path, Arc::clone(workload.load(point)), &workload.name);
        self.plan.record.as_deref().map(start).transpose()
    }
}

/// Passes on what a cell shows. A log that cannot be written is told once, at the end of the cell.
struct Seen<'a> {
    key: &'a CellKey,
    log: &'a mut EventLog,
    progress: &'a mut Progress,
    failed: Option<anyhow::Error>,
}

impl Seen<'_> {
    fn append(&mut self, event: &Event) {
        if let Err(error) = self.log.append(event) {
            self.failed.get_or_insert_with(|| error.into());
        }
    }
}

impl Watch for Seen<'_> {
    fn phase_started(&mut self, phase: &PhasePlan) {
        self.progress.phase(phase);
        self.append(&Event::PhaseStarted {
            cell: self.key.clone(),
            phase: phase.name.clone(),
            role: phase::role(phase.role),
        });
    }

    fn sampled(&mut self, phase: &PhasePlan, sample: &Sample) {
        self.progress.sample(phase, sample);
        let (cell, phase) = (self.key.clone(), phase.name.clone());
        self.append(&Event::Interval {
            cell,
            phase,
            sample: sample.clone(),
        });
    }

    fn phase_finished(&mut self, phase: &PhaseRecord) {
        self.progress.phase_done();
        self.append(&Event::PhaseFinished {
            cell: self.key.clone(),
            phase: Box::new(phase.clone()),
        });
    }

    fn verifying(&mut self, done_bytes: u64, total_bytes: u64) {
        self.progress.verifying(done_bytes, total_bytes);
    }
}

/// The record before anything was measured.
fn blank_record(plan: &RunPlan) -> RunRecord {
    let workload = &plan.workload;
    let resolved = serde_json::to_string_pretty(workload).expect("a plan has only string keys");
    let tool = Tool {
        name: "delalloc".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("DELALLOC_REVISION").to_owned(),
        codecs: codecs(),
    };
    let started_at = match workload.deterministic {
        true => String::new(),
        false => plan.begun.rfc3339(),
    };
    let mut record = RunRecord::begin(
        tool,
        started_at,
        Workload {
            name: workload.name.clone(),
            hash: workload_hash(workload),
            source: workload.source.origin.clone(),
            resolved,
            seed: workload.seed,
        },
    );
    record.deterministic = workload.deterministic;
    if workload.deterministic {
        record.command_line = reproduction(workload);
    } else {
        record.command_line.clone_from(&plan.command_line);
        record.machine = machine(&workload.targets);
    }
    record.assertions.clone_from(&workload.asserts);
    record.objective = workload.objective.as_ref().map(|plan| ObjectiveRecord {
        maximise: plan.maximise.clone(),
        minimise: plan.minimise.clone(),
        subject_to: plan.subject_to.clone(),
    });
    record.targets = workload
        .targets
        .iter()
        .map(|target| TargetRecord {
            name: target.name.clone(),
            kind: match target.kind {
                TargetKind::Engine(_) => "engine",
                TargetKind::Raw(_) => "raw",
                TargetKind::Directory { .. } => "directory",
                TargetKind::Null => "null",
            }
            .to_owned(),
            describe: String::new(),
            knobs: match target.kind {
                TargetKind::Engine(_) => knobs(target, &workload.points[0]),
                _ => Vec::new(),
            },
        })
        .collect();
    record.sweep = workload
        .axes
        .iter()
        .map(|axis| SweepAxis {
            knob: axis.name.clone(),
            unit: EngineKnobs::unit(&axis.name),
            values: axis.values.iter().map(|value| knob_value(value)).collect(),
        })
        .collect();
    record
}

/// The libraries behind the codecs, by codec, as the build found them locked.
fn codecs() -> BTreeMap<String, String> {
    env!("DELALLOC_CODECS")
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(codec, library)| (codec.to_owned(), library.to_owned()))
        .collect()
}

/// Where latencies and interleaving of a deterministic cell come from: each round has its own.
fn cell_seed(seed: u64, round: u32) -> u64 {
    xxh3_64_with_seed(&round.to_le_bytes(), seed)
}

/// Over everything that decides the stream of operations, and nothing else: equal hashes, equal work. A recording and a corpus
/// count by what they hold, wherever they lie.
pub fn workload_hash(workload: &WorkloadPlan) -> String {
    let order: Vec<usize> = workload.points.iter().map(|point| point.load).collect();
    let mut corpora = Corpora::default();
    let loads: Vec<_> = workload
        .loads
        .iter()
        .map(|load| load.placeless(&mut corpora))
        .collect();
    let text = serde_json::to_string(&(loads, order)).expect("loads have string keys");
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

fn knobs(target: &TargetPlan, point: &PointPlan) -> Vec<Knob> {
    let Ok(config) = EngineKnobs::config(&point.knobs_for(target)) else {
        return Vec::new();
    };
    EngineKnobs::dump(&config)
}

/// The swept values that mean anything to the target.
fn settings(workload: &WorkloadPlan, point: &PointPlan, target: &TargetPlan) -> Vec<Setting> {
    let setting = |setting: &delalloc_workloads::plan::Setting| Setting {
        knob: setting.name.clone(),
        value: knob_value(&setting.value),
    };
    workload.settings_for(point, target).map(setting).collect()
}

/// A value as YAML would read it.
pub fn knob_value(text: &str) -> KnobValue {
    if let Ok(value) = text.parse::<i64>() {
        return KnobValue::Integer(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => KnobValue::Real(value),
        _ => match text {
            "true" => KnobValue::Bool(true),
            "false" => KnobValue::Bool(false),
            _ => KnobValue::Text(text.to_owned()),
        },
    }
}

fn machine(targets: &[TargetPlan]) -> Machine {
    let host = Host::look();
    let mount = targets
        .iter()
        .find_map(place_of)
        .and_then(|path| Mount::under(&path));
    let fact = |name| host.get(name).unwrap_or_default().to_owned();
    let doubts = host::doubts(&host)
        .into_iter()
        .map(|doubt| Doubt {
            code: doubt.code.to_owned(),
            seen: doubt.seen,
            advice: doubt.advice,
        })
        .collect();
    Machine {
        cpu_model: fact("cpu.model"),
        logical_cores: host
            .number("cpu.count")
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        memory_bytes: host.number("memory.bytes").unwrap_or(0),
        kernel: fact("kernel"),
        virtualization: match host.get("virtual") {
            Some("no") | None => String::new(),
            Some(by) => by.to_owned(),
        },
        build: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        }
        .to_owned(),
        filesystem: mount
            .as_ref()
            .map_or_else(String::new, |mount| mount.filesystem.clone()),
        device: mount.map_or_else(String::new, |mount| mount.device_text()),
        doubts,
    }
}

/// Where a target's bytes lie, where that is a place in the file tree: of an image the directory,
/// which is there before the image is.
fn place_of(target: &TargetPlan) -> Option<PathBuf> {
    match &target.kind {
        TargetKind::Directory { path } => Some(path.clone()),
        TargetKind::Engine(device) | TargetKind::Raw(device) => match &device.backend {
            BackendPlan::File { path, .. } => {
                let home = path.parent().filter(|home| !home.as_os_str().is_empty());
                Some(home.unwrap_or_else(|| Path::new(".")).to_owned())
            }
            BackendPlan::Block { .. } | BackendPlan::Mem { .. } | BackendPlan::Sim { .. } => None,
        },
        TargetKind::Null => None,
    }
}

fn status(record: &RunRecord, result: anyhow::Result<()>, signals: &Signals) -> RunStatus {
    if let Err(error) = result {
        return RunStatus::Failed {
            reason: format!("{error:#}"),
        };
    }
    if signals.interrupted() {
        return RunStatus::Interrupted {
            reason: "a signal".to_owned(),
        };
    }
    let fault = record.cells.iter().find_map(|cell| {
        cell.fault
            .as_ref()
            .map(|fault| format!("{}: {fault}", cell.target))
    });
    fault.map_or(RunStatus::Complete, |reason| RunStatus::Failed { reason })
}

/// Writes the record and everything rendered from it.
fn leave(record: &RunRecord, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let at = |name: &str| out.join(name);
    save(record, &at("result.json"))?;
    let label = record.label();
    let runs = [(label.as_str(), record)];
    let texts = [
        ("report.html", render(record)),
        ("cells.csv", cells_csv(&runs)),
        ("intervals.csv", intervals_csv(&runs)),
        ("times.csv", times_csv(&runs)),
        ("counters.csv", counters_csv(&runs)),
        ("latency.hlog", hdr_log(record)?),
    ];
    let mut files = vec![at("result.json"), at("events.ndjson")];
    for (name, text) in texts {
        let path = at(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        files.push(path);
    }
    Ok(files)
}

fn phases_max(plan: &RunPlan) -> usize {
    plan.workload
        .loads
        .iter()
        .map(|load| load.phases.len())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_second_have_a_directory_each_and_one_that_is_named_has_one_log() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("runs/w-20260101-000000");
        let made = [(); 3].map(|()| make_out(&out, false).unwrap());
        let names = made.map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(
            names,
            [
                "w-20260101-000000",
                "w-20260101-000000-2",
                "w-20260101-000000-3"
            ]
        );
        assert_eq!(make_out(&out, true).unwrap(), out);
        begin_log(&out).unwrap();
        let refused = begin_log(&out).unwrap_err();
        assert_eq!(refused.code, delalloc_results::ExitCode::Usage);
        assert!(refused.to_string().contains("name another directory"));
    }
}
