//! The plan as text, before anything is run: what would happen, at which points, and what it would cost.

use std::fmt::Write as _;

use super::estimate::{
    Amount, GUESSED_BYTES_PER_S, cells, content_bytes, job_bytes, load_bytes, load_ns,
};
use super::{
    AccessPlan, BackendPlan, BlockPlan, Bound, DevicePlan, FileSpan, JobPlan, LoadPlan, Mover,
    Pace, PatternPlan, PhaseEnd, PhasePlan, PhaseRole, TargetKind, TargetPlan, TraceTiming, Verb,
    Work, WorkloadPlan,
};
use crate::units::{format_duration, format_size};

/// More points than this are not listed one by one.
const POINTS_SHOWN: usize = 64;

/// What would be run, and what it would cost.
pub fn dry_run_text(plan: &WorkloadPlan) -> String {
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
    for assert in &plan.asserts {
        out.line(0, &format!("assert {assert}"));
    }
    estimate(plan, &mut out);
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

fn counted(count: u64, noun: &str) -> String {
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
    for phase in &load.phases {
        phase_lines(load, phase, out);
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
    let size = match file.size_bytes {
        Some(bytes) => format_size(bytes),
        None => "grows".to_owned(),
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

fn phase_lines(load: &LoadPlan, phase: &PhasePlan, out: &mut Text) {
    let mut facts = Vec::new();
    match phase.role {
        PhaseRole::Prepare => facts.push("prepares, not measured".to_owned()),
        PhaseRole::WarmUp => facts.push("warms up, not measured".to_owned()),
        PhaseRole::Measured => {}
    }
    facts.extend(phase.duration_ns.map(format_duration));
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

fn job_text(load: &LoadPlan, phase: &PhasePlan, job: &JobPlan) -> String {
    let mut facts = vec![work_text(load, &job.work)];
    if job.clients > 1 {
        facts.push(format!("{} clients", job.clients));
    }
    match job.pace {
        Pace::Closed { think_ns: 0 } | Pace::Recorded => {}
        Pace::Closed { think_ns } => facts.push(format!("{} between", format_duration(think_ns))),
        Pace::Fixed { ops_per_s } => facts.push(format!("{ops_per_s}/s, evenly")),
        Pace::Poisson { ops_per_s } => facts.push(format!("{ops_per_s}/s, at random")),
    }
    match job.bound {
        Bound::Once => {}
        Bound::Ops(ops) => facts.push(format!("{ops} times")),
        Bound::Bytes(bytes) => facts.push(format!("{} in all", format_size(bytes))),
        Bound::Phase => facts.push("until the phase ends".to_owned()),
    }
    let moved = job_bytes(job, phase);
    if moved.bytes > 0 {
        facts.push(format!("moves {}", amount_text(moved)));
    }
    format!("{}: {}", job.name, facts.join(", "))
}

fn span_text(load: &LoadPlan, files: FileSpan) -> String {
    let first = load.file_name(files.first);
    match files.count {
        1 => first.into_owned(),
        count => format!("{count} files from {first}"),
    }
}

fn work_text(load: &LoadPlan, work: &Work) -> String {
    let synced = |every: u64| match every {
        0 => String::new(),
        1 => ", each synced".to_owned(),
        every => format!(", synced every {every}"),
    };
    match work {
        Work::Access(access) => format!(
            "{}{}",
            access_text(load, access),
            synced(access.fsync_every)
        ),
        Work::Append {
            files,
            block,
            fsync_every,
        } => format!(
            "append {} to {}{}",
            block_text(block),
            span_text(load, *files),
            synced(*fsync_every)
        ),
        Work::Truncate { files, to_bytes } => format!(
            "truncate {} to {}",
            span_text(load, *files),
            format_size(*to_bytes)
        ),
        Work::Create { files } => format!("create {}", span_text(load, *files)),
        Work::Remove { files } => format!("remove {}", span_text(load, *files)),
        Work::Sync { files } => format!("sync {}", span_text(load, *files)),
        Work::Trace(trace) => {
            let when = match trace.timing {
                TraceTiming::Recorded { time_scale } => {
                    format!("at its recorded times, times {time_scale}")
                }
                TraceTiming::AsFastAsPossible => "as fast as possible".to_owned(),
                TraceTiming::ClosedLoop { time_scale } => {
                    format!("one by one with its recorded rests, times {time_scale}")
                }
            };
            let mut from = String::new();
            if trace.skip_ops > 0 {
                from += &format!(" from request {}", trace.skip_ops);
            }
            if trace.skip_time_ns > 0 {
                from += &format!(" from {} s on", trace.skip_time_ns as f64 / 1e9);
            }
            format!("replay {}{from} {when}", trace.path.display())
        }
    }
}

fn access_text(load: &LoadPlan, access: &AccessPlan) -> String {
    let verb = match access.verb {
        Verb::Read => "read".to_owned(),
        Verb::Write => "write".to_owned(),
        Verb::Trim => "trim".to_owned(),
        Verb::Mix {
            read_weight,
            write_weight,
        } => format!("read {read_weight} and write {write_weight} of"),
    };
    let pattern = match access.pattern {
        PatternPlan::Sequential => "sequentially".to_owned(),
        PatternPlan::Stride { stride_bytes } => format!("{} apart", format_size(stride_bytes)),
        PatternPlan::Random => "at random".to_owned(),
        PatternPlan::Shuffle => "shuffled".to_owned(),
        PatternPlan::Zipf { theta, .. } => format!("by zipf {theta}"),
    };
    let region = match load.files.get(access.files.first.0 as usize) {
        Some(file) if access.region_start == 0 && file.size_bytes == Some(access.region_bytes) => {
            String::new()
        }
        _ => format!(
            ", {} from {}",
            format_size(access.region_bytes),
            format_size(access.region_start)
        ),
    };
    format!(
        "{verb} {} {pattern} in {}{region}",
        span_text(load, access.files),
        block_text(&access.block)
    )
}

fn block_text(block: &BlockPlan) -> String {
    let sizes: Vec<String> = block
        .sizes
        .iter()
        .map(|size| match block.sizes.len() {
            1 => format_size(size.bytes),
            _ => format!("{} x {}", size.weight, format_size(size.bytes)),
        })
        .collect();
    sizes.join(" / ")
}

fn amount_text(amount: Amount) -> String {
    let shown = rounded_size(amount.bytes);
    if amount.is_at_least {
        format!("at least {shown}")
    } else {
        shown
    }
}

/// In the largest unit that leaves a number above 1, to a tenth.
fn rounded_size(bytes: u64) -> String {
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

fn has_trace(load: &LoadPlan) -> bool {
    let mut jobs = load.phases.iter().flat_map(|phase| &phase.jobs);
    jobs.any(|job| matches!(job.work, Work::Trace(_)))
}

fn estimate(plan: &WorkloadPlan, out: &mut Text) {
    let per_point: Vec<(Amount, u64)> = plan
        .points
        .iter()
        .map(|point| {
            let load = plan.load(point);
            (load_bytes(load), load_ns(load))
        })
        .collect();
    let each = cells(plan) / plan.points.len() as u64;
    let bytes: u64 = per_point.iter().map(|(amount, _)| amount.bytes).sum();
    let ns: u64 = per_point.iter().map(|(_, ns)| *ns).sum();
    let all = Amount {
        bytes: bytes.saturating_mul(each),
        is_at_least: per_point.iter().any(|(amount, _)| amount.is_at_least),
    };
    let about = match plan.loads.iter().any(|load| has_trace(load)) {
        true => "besides the recording",
        false => "about",
    };
    let seconds = ns.saturating_mul(each) as f64 / 1e9;
    out.line(0, "estimate");
    out.line(
        1,
        &format!(
            "{} (points x targets x rounds), {} moved",
            counted(cells(plan), "run"),
            amount_text(all)
        ),
    );
    out.line(
        1,
        &format!(
            "{about} {seconds:.0} s, taking {}/s where only the target sets the pace; formatting and verifying not counted",
            format_size(GUESSED_BYTES_PER_S)
        ),
    );
    let content = plan
        .loads
        .iter()
        .map(|load| content_bytes(load))
        .max_by_key(|amount| amount.bytes)
        .unwrap_or_default();
    let corpus = if content.is_at_least {
        " and the corpus"
    } else {
        ""
    };
    out.line(
        1,
        &format!(
            "memory: content {}{corpus}; the engine's cache is a knob",
            rounded_size(content.bytes)
        ),
    );
}
