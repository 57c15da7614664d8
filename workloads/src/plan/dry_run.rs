//! The plan as text, before anything is run: what would happen, at which points, and what it would cost.

use std::fmt::Write as _;

use super::estimate::{Amount, GUESSED_BYTES_PER_S, phase_ns};
use super::forecast::Estimate;
use super::job_text::job_text;
use super::{
    BackendPlan, DevicePlan, LoadPlan, Mover, PhaseEnd, PhasePlan, PhaseRole, TargetKind,
    TargetPlan, WorkloadPlan,
};
use crate::units::{format_duration, format_percent, format_size};

/// More points than this are not listed one by one.
const POINTS_SHOWN: usize = 64;

/// What would be run, and what it would cost by `estimate`, which is of the same plan.
pub fn dry_run_text(plan: &WorkloadPlan, estimate: &Estimate) -> String {
    let mut out = Text::default();
    out.line(0, &format!("{}: {}", plan.name, plan.about));
    out.line(
        1,
        &format!(
            "from {} (xxh3 {}), seed {}, {}, {}",
            plan.source.origin,
            plan.source.text_xxh3,
            plan.seed,
            counted(u64::from(plan.rounds), "round"),
            if plan.verify {
                "everything read is verified"
            } else {
                "nothing is verified"
            }
        ),
    );
    if plan.deterministic {
        out.line(
            1,
            "deterministic: one thread in virtual time, equal seeds give equal results to the last byte",
        );
    }
    for included in &plan.source.included {
        out.line(
            1,
            &format!("includes {} (xxh3 {})", included.origin, included.text_xxh3),
        );
    }
    for set in &plan.overrides {
        out.line(1, &format!("--set {set}"));
    }
    targets(plan, &mut out);
    points(plan, &mut out);
    load_text(&plan.loads[0], &mut out);
    if plan.loads.len() > 1 {
        out.line(
            1,
            "(this is load 0; the others differ from it in what is swept)",
        );
    }
    if let Some(objective) = &plan.objective {
        let measures = [
            ("maximise", &objective.maximise),
            ("minimise", &objective.minimise),
        ];
        for (word, measure) in measures {
            if let Some(measure) = measure {
                out.line(0, &format!("objective: {word} {measure}"));
            }
        }
        for condition in &objective.subject_to {
            out.line(1, &format!("subject to {condition}"));
        }
    }
    for assert in &plan.asserts {
        out.line(0, &format!("assert {assert}"));
    }
    estimate_lines(plan, estimate, &mut out);
    out.0
}

/// Lines, indented.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, depth: usize, text: &str) {
        let text = text.trim_end().trim_end_matches(':');
        writeln!(self.0, "{:width$}{text}", "", width = depth * 2)
            .expect("writing to a string does not fail");
    }
}

pub(super) fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn targets(plan: &WorkloadPlan, out: &mut Text) {
    out.line(0, "targets");
    for target in &plan.targets {
        out.line(1, &format!("{}: {}", target.name, target_text(target)));
        for (name, value) in target.knobs.iter() {
            out.line(2, &format!("{name} = {value}"));
        }
    }
    if let Some(point) = plan.points.first()
        && !point.base_knobs.is_empty()
    {
        out.line(0, "knobs (others keep their defaults)");
        for (name, value) in point.base_knobs.iter() {
            out.line(1, &format!("{name} = {value}"));
        }
    }
}

fn target_text(target: &TargetPlan) -> String {
    match &target.kind {
        TargetKind::Null => "null, the cost of the harness itself".to_owned(),
        TargetKind::Directory { path } => format!("files in {}", path.display()),
        TargetKind::Engine(device) => format!("engine on {}", device_text(device)),
        TargetKind::Raw(device) => format!("nothing but {}", device_text(device)),
    }
}

fn device_text(device: &DevicePlan) -> String {
    let throttled = match &device.throttle {
        Some(_) => ", throttled",
        None => "",
    };
    format!("{}{throttled}", backend_text(&device.backend))
}

fn backend_text(backend: &BackendPlan) -> String {
    let by = |mover: &Mover| match mover {
        Mover::Auto => "",
        Mover::Uring => ", by io_uring",
        Mover::Threads => ", by threads",
    };
    match backend {
        BackendPlan::File {
            path,
            size_bytes,
            mover,
            buffered,
        } => format!(
            "file {}, {}{}{}",
            path.display(),
            format_size(*size_bytes),
            by(mover),
            if *buffered { ", buffered" } else { "" }
        ),
        BackendPlan::Block {
            path,
            i_know_this_destroys,
            mover,
        } => format!(
            "block device {}{}, {}",
            path.display(),
            by(mover),
            match i_know_this_destroys {
                Some(_) => "WHICH LOSES WHAT IS ON IT",
                None => "if it is blank",
            }
        ),
        BackendPlan::Mem { size_bytes } => format!("memory, {}", format_size(*size_bytes)),
        BackendPlan::Sim { size_bytes, device } => {
            format!("a modelled {device:?}, {}", format_size(*size_bytes))
        }
    }
}

fn points(plan: &WorkloadPlan, out: &mut Text) {
    if plan.axes.is_empty() {
        return;
    }
    out.line(
        0,
        &format!("sweep, {}", counted(plan.points.len() as u64, "point")),
    );
    for axis in &plan.axes {
        out.line(1, &format!("{}: {}", axis.name, axis.values.join(", ")));
    }
    for point in plan.points.iter().take(POINTS_SHOWN) {
        let load = match plan.loads.len() {
            1 => String::new(),
            _ => format!("  (load {})", point.load),
        };
        out.line(2, &format!("{:>4}  {}{load}", point.index, point.label()));
    }
    if plan.points.len() > POINTS_SHOWN {
        let more = plan.points.len() - POINTS_SHOWN;
        out.line(
            2,
            &format!("      and {}", counted(more as u64, "more point")),
        );
    }
}

fn load_text(load: &LoadPlan, out: &mut Text) {
    out.line(0, &format!("content {}", load.content));
    if !load.files.is_empty() {
        out.line(0, "files");
    }
    let mut at = 0;
    while at < load.files.len() {
        at += file_line(load, at, out);
    }
    out.line(0, "phases");
    for (at, phase) in load.phases.iter().enumerate() {
        if phase.repetition == 0 {
            let after = load.phases[at + 1..].iter();
            let again = after.take_while(|next| next.repetition > 0).count();
            phase_lines(load, phase, again + 1, out);
        }
    }
}

/// One line for the file at `at` and those after it that differ in their number alone; how many these are.
fn file_line(load: &LoadPlan, at: usize, out: &mut Text) -> usize {
    let file = &load.files[at];
    let stem = |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    let alike = load.files[at..]
        .iter()
        .take_while(|other| {
            other.name == file.name
                || (stem(&other.name).is_some() && stem(&other.name) == stem(&file.name))
        })
        .count();
    let sizes = load.files[at..at + alike]
        .iter()
        .filter_map(|f| f.size_bytes);
    let size = match (sizes.clone().min(), sizes.clone().max()) {
        (Some(least), Some(most)) if least < most => format!(
            "{} to {}, {} in all",
            rounded_size(least),
            rounded_size(most),
            rounded_size(sizes.sum())
        ),
        (Some(bytes), _) => format_size(bytes),
        _ => "grows".to_owned(),
    };
    let content = match &file.content {
        Some(content) => format!(", {}", content),
        None => String::new(),
    };
    let name = match (alike, stem(&file.name)) {
        (1, _) | (_, None) => file.name.clone(),
        (count, Some(stem)) => format!("{stem} x {count}"),
    };
    out.line(1, &format!("{name}: {size}{content}"));
    alike
}

fn phase_lines(load: &LoadPlan, phase: &PhasePlan, times: usize, out: &mut Text) {
    let mut facts = Vec::new();
    if times > 1 {
        facts.push(format!("{times} times"));
    }
    match phase.role {
        PhaseRole::Prepare => facts.push("prepares, not measured".to_owned()),
        PhaseRole::WarmUp => facts.push("warms up, not measured".to_owned()),
        PhaseRole::Measured => {}
    }
    facts.extend(phase.duration_ns.map(duration_text(phase)));
    if phase.duration_ns.is_none() && phase.role == PhaseRole::Measured {
        let seconds = phase_ns(load, phase) as f64 / 1e9;
        if seconds >= 0.1 {
            facts.push(format!("about {seconds:.1} s"));
        }
    }
    if phase.drop_caches {
        facts.push("caches dropped before".to_owned());
    }
    match phase.end {
        PhaseEnd::None => {}
        PhaseEnd::Sync => facts.push("files synced at the end".to_owned()),
        PhaseEnd::Commit => facts.push("committed at the end".to_owned()),
    }
    out.line(1, &format!("{}: {}", phase.name, facts.join(", ")));
    for job in &phase.jobs {
        out.line(2, &job_text(load, phase, job));
    }
}

/// The time that counts, and what comes before it.
fn duration_text(phase: &PhasePlan) -> impl Fn(u64) -> String {
    move |all_ns| {
        let wait_ns = phase.steady.map_or(0, |steady| steady.limit_ns);
        let counted_ns = all_ns
            .saturating_sub(phase.warm_up_ns)
            .saturating_sub(wait_ns);
        let mut text = format_duration(counted_ns);
        if phase.warm_up_ns > 0 {
            text = format!(
                "{text} after {} of warm-up",
                format_duration(phase.warm_up_ns)
            );
        }
        if let Some(steady) = phase.steady {
            text = format!(
                "{text}, once {} is within {} over {} ({} at most{})",
                steady.metric.word(),
                format_percent(steady.within),
                format_duration(steady.window_ns),
                format_duration(steady.limit_ns),
                if steady.require {
                    ", or inconclusive"
                } else {
                    ""
                }
            );
        }
        text
    }
}

pub(super) fn amount_text(amount: Amount) -> String {
    let shown = rounded_size(amount.bytes);
    if amount.is_at_least {
        format!("at least {shown}")
    } else {
        shown
    }
}

/// In the largest unit that leaves a number above 1, to a tenth.
pub(super) fn rounded_size(bytes: u64) -> String {
    let units = [
        (1u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match units.iter().find(|(scale, _)| bytes >= *scale) {
        Some((scale, unit)) => format!("{:.1}{unit}", bytes as f64 / *scale as f64),
        None => format!("{bytes}B"),
    }
}

/// A target is not run at every point.
fn runs_less(plan: &WorkloadPlan) -> bool {
    plan.points.len() > plan.loads.len() && !plan.targets.iter().all(TargetPlan::has_knobs)
}

fn estimate_lines(plan: &WorkloadPlan, estimate: &Estimate, out: &mut Text) {
    let about = match estimate.is_without_recordings {
        true => "besides the recording",
        false => "about",
    };
    let moved = Amount {
        bytes: estimate.moved_bytes,
        is_at_least: estimate.moved_is_at_least,
    };
    let seconds = estimate.time_ns as f64 / 1e9;
    out.line(0, "estimate");
    out.line(
        1,
        &format!(
            "{} (points x targets x rounds{}), {} moved",
            counted(estimate.runs, "run"),
            match runs_less(plan) {
                true => "; a target without knobs runs once for each load",
                false => "",
            },
            amount_text(moved)
        ),
    );
    out.line(
        1,
        &format!(
            "{about} {seconds:.0} s, taking {}/s where only the target sets the pace; formatting and verifying not counted",
            format_size(GUESSED_BYTES_PER_S)
        ),
    );
    let memory = &estimate.memory;
    let corpus = if memory.has_corpus {
        " and the corpus"
    } else {
        ""
    };
    out.line(
        1,
        &format!(
            "memory: up to {}: content {}{corpus}, keeping track of files {}, verification {}, buffers of clients {}, engine {}, device in memory {}",
            rounded_size(memory.total_bytes),
            rounded_size(memory.content_bytes),
            rounded_size(memory.tracking_bytes),
            amount_text(Amount {
                bytes: memory.verification_bytes,
                is_at_least: memory.verification_is_at_least,
            }),
            rounded_size(memory.client_bytes),
            rounded_size(memory.engine_bytes),
            rounded_size(memory.device_bytes),
        ),
    );
}
