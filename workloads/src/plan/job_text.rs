//! A job in one line: what it does, to what, when, and until when.

use super::dry_run::{amount_text, counted};
use super::estimate::job_bytes;
use super::{
    AccessPlan, Arrivals, BlockPlan, Bound, Distribution, FileSpan, JobPlan, LoadPlan, MixVerb,
    Pace, PatternPlan, PhasePlan, RateShape, RunLength, Step, SyncEveryPlan, TraceOnly,
    TraceTiming, Verb, Work,
};
use crate::units::{format_duration, format_percent, format_size};

/// The line.
pub(super) fn job_text(load: &LoadPlan, phase: &PhasePlan, job: &JobPlan) -> String {
    let mut facts = vec![work_text(load, &job.work)];
    if job.clients > 1 {
        facts.push(format!("{} clients", job.clients));
    }
    facts.extend(pace_text(&job.pace));
    match job.bound {
        Bound::Once => {}
        Bound::Ops(ops) => facts.push(format!("{ops} times")),
        Bound::Bytes(bytes) => facts.push(format!("{} in all", format_size(bytes))),
        Bound::Phase if job.duration_ns.is_none() => {
            facts.push("until the phase ends".to_owned());
        }
        Bound::Phase => {}
    }
    facts.extend(
        job.duration_ns
            .map(|ns| format!("for {}", format_duration(ns))),
    );
    let after = job.start_after.map(|after| &phase.jobs[after].name);
    match (job.delay_ns, after) {
        (0, None) => {}
        (0, Some(after)) => facts.push(format!("after {after}")),
        (ns, None) => facts.push(format!("from {}", format_duration(ns))),
        (ns, Some(after)) => facts.push(format!("{} after {after}", format_duration(ns))),
    }
    let moved = job_bytes(load, phase, job);
    if moved.bytes > 0 {
        facts.push(format!("moves {}", amount_text(moved)));
    }
    format!("{}: {}", job.name, facts.join(", "))
}

fn pace_text(pace: &Pace) -> Option<String> {
    Some(match pace {
        Pace::Closed { think_ns: 0 } | Pace::Recorded => return None,
        Pace::Closed { think_ns } => format!("{} between", format_duration(*think_ns)),
        Pace::Thinking(law) => format!("{} between", law_text(law, &format_duration)),
        Pace::Resting { rest, every } => {
            format!("{} after every {every}", law_text(rest, &format_duration))
        }
        Pace::Bytes { bytes_per_s, .. } => {
            let per_s = format_size(whole_bytes(*bytes_per_s));
            format!("{per_s}/s, evenly")
        }
        Pace::Fixed { ops_per_s } => format!("{ops_per_s}/s, evenly"),
        Pace::Poisson { ops_per_s } => format!("{ops_per_s}/s, at random"),
        Pace::Shaped { shape, arrivals } => {
            let arrivals = match arrivals {
                Arrivals::Even => "evenly",
                Arrivals::Poisson => "at random",
            };
            format!("{}, {arrivals}", shape_text(shape))
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of bytes is written as a whole number"
)]
fn whole_bytes(bytes: f64) -> u64 {
    bytes as u64
}

fn shape_text(shape: &RateShape) -> String {
    match *shape {
        RateShape::Bursts {
            ops_per_s,
            on_ns,
            every_ns,
            between_ops_per_s,
        } => {
            let between = if between_ops_per_s > 0.0 {
                format!(" and {between_ops_per_s}/s between")
            } else {
                String::new()
            };
            format!(
                "{ops_per_s}/s for {} every {}{between}",
                format_duration(on_ns),
                format_duration(every_ns)
            )
        }
        RateShape::Ramp {
            from_ops_per_s,
            to_ops_per_s,
            over_ns,
        } => format!(
            "from {from_ops_per_s}/s to {to_ops_per_s}/s over {}",
            format_duration(over_ns)
        ),
    }
}

fn law_text(law: &Distribution, value: &dyn Fn(u64) -> String) -> String {
    match law {
        Distribution::Fixed(fixed) => value(*fixed),
        Distribution::Uniform { from, to } => format!("{} to {}", value(*from), value(*to)),
        Distribution::Exponential { mean, .. } => format!("exponential {}", value(*mean)),
        Distribution::Normal { mean, deviation } => {
            format!("normal {} +- {}", value(*mean), value(*deviation))
        }
        Distribution::LogNormal { median, sigma, .. } => {
            format!("lognormal {}, sigma {sigma}", value(*median))
        }
        Distribution::Weighted(values) => {
            let parts: Vec<String> = values
                .iter()
                .map(|part| format!("{} x {}", part.weight, value(part.value)))
                .collect();
            parts.join(" / ")
        }
    }
}

fn span_text(load: &LoadPlan, files: FileSpan) -> String {
    let first = load.file_name(files.first);
    match files.count {
        1 => first.into_owned(),
        count => format!("{} from {first}", counted(u64::from(count), "file")),
    }
}

fn work_text(load: &LoadPlan, work: &Work) -> String {
    let span = |files: &FileSpan| span_text(load, *files);
    match work {
        Work::Access(access) => {
            format!("{}{}", access_text(load, access), syncs_text(access.syncs))
        }
        Work::Append {
            files,
            block,
            syncs,
        } => format!(
            "append {} to {}{}",
            block_text(block),
            span(files),
            syncs_text(*syncs)
        ),
        Work::Truncate { files, to_bytes } => {
            format!("truncate {} to {}", span(files), format_size(*to_bytes))
        }
        Work::Create { files } => format!("create {}", span(files)),
        Work::Remove { files } => format!("remove {}", span(files)),
        Work::Rename { files } => format!("rename {}", span(files)),
        Work::Sync { files } => format!("sync {}", span(files)),
        Work::Each {
            files,
            steps,
            block,
        } => {
            let steps: Vec<&str> = steps.iter().map(|step| step_word(*step)).collect();
            let block = block
                .as_ref()
                .map_or_else(String::new, |block| format!(" in {}", block_text(block)));
            format!("{} each of {}{block}", steps.join(", "), span(files))
        }
        Work::Fill { trace, .. } => format!(
            "write what {} reads before it writes it",
            trace.path.display()
        ),
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
            let what = match trace.only {
                TraceOnly::All => "",
                TraceOnly::Reads => " (reads alone)",
                TraceOnly::Writes => " (all but reads)",
            };
            let gap = trace.gap_max_ns.map_or_else(String::new, |ns| {
                format!(", gaps up to {}", format_duration(ns))
            });
            let fold = trace.fold_bytes.map_or_else(String::new, |bytes| {
                format!(", folded into {}", format_size(bytes))
            });
            format!(
                "replay {}{what}{from} {when}{gap}{fold}",
                trace.path.display()
            )
        }
    }
}

fn step_word(step: Step) -> &'static str {
    match step {
        Step::Create => "create",
        Step::Write => "write",
        Step::Append => "append to",
        Step::Read => "read",
        Step::Sync => "sync",
        Step::DataSync => "fdatasync",
        Step::Rename => "rename",
        Step::Remove => "remove",
    }
}

fn syncs_text(syncs: SyncEveryPlan) -> String {
    let (every, word) = match syncs {
        SyncEveryPlan {
            fsync_every: 0,
            fdatasync_every,
        } => (fdatasync_every, "data synced"),
        SyncEveryPlan { fsync_every, .. } => (fsync_every, "synced"),
    };
    match every {
        0 => String::new(),
        1 => format!(", each {word}"),
        every => format!(", {word} every {every}"),
    }
}

fn verb_text(access: &AccessPlan) -> String {
    if !access.mix.is_empty() {
        let parts: Vec<String> = access
            .mix
            .iter()
            .map(|share| format!("{} {}", share.verb.word(), share.weight))
            .collect();
        return format!("{} of", parts.join(", "));
    }
    match access.verb {
        Verb::Read => "read".to_owned(),
        Verb::Write => "write".to_owned(),
        Verb::Trim => "trim".to_owned(),
        Verb::Mix {
            read_weight,
            write_weight,
        } => format!("read {read_weight} and write {write_weight} of"),
    }
}

fn pattern_text(pattern: &PatternPlan) -> String {
    let back = |is_backward: bool| if is_backward { " backward" } else { "" };
    match pattern {
        PatternPlan::Sequential => "sequentially".to_owned(),
        PatternPlan::Backward => "backward".to_owned(),
        PatternPlan::Interleaved { streams, backward } => {
            format!("in {streams} streams{}", back(*backward))
        }
        PatternPlan::Stride {
            stride_bytes,
            backward,
        } => format!("{} apart{}", format_size(*stride_bytes), back(*backward)),
        PatternPlan::Random => "at random".to_owned(),
        PatternPlan::Runs(RunLength::Fixed(ops)) => format!("at random in runs of {ops}"),
        PatternPlan::Runs(RunLength::Jumps(share)) => {
            format!("sequentially with {} jumps", format_percent(*share))
        }
        PatternPlan::Hotspot(spot) => format!(
            "{} to {} that moves by {} every {}",
            format_percent(spot.accesses),
            format_percent(spot.space),
            format_percent(spot.by),
            counted(spot.every_ops, "operation")
        ),
        PatternPlan::Shuffle => "shuffled".to_owned(),
        PatternPlan::Zipf { theta, .. } => format!("by zipf {theta}"),
        PatternPlan::Pareto { share, .. } => format!("by pareto {}", format_percent(*share)),
        PatternPlan::Normal { center, deviation } => format!(
            "around {} +- {}",
            format_percent(*center),
            format_percent(*deviation)
        ),
        PatternPlan::Zones(zones) => {
            let zones: Vec<String> = zones
                .iter()
                .map(|zone| {
                    let (accesses, space) = (zone.accesses, zone.space);
                    format!("{} to {}", format_percent(accesses), format_percent(space))
                })
                .collect();
            format!("by zones ({})", zones.join(", "))
        }
    }
}

fn access_text(load: &LoadPlan, access: &AccessPlan) -> String {
    let head = format!(
        "{} {} {}",
        verb_text(access),
        span_text(load, access.files),
        pattern_text(&access.pattern)
    );
    let appends = access.mix.iter().any(|share| share.verb == MixVerb::Append);
    if access.region_bytes == 0 && !appends {
        return head;
    }
    let blocks = match &access.write_block {
        Some(writes) => format!(
            "{} (writes {})",
            block_text(&access.block),
            block_text(writes)
        ),
        None => block_text(&access.block),
    };
    let file = load.files.get(access.files.first.0 as usize);
    let is_whole = access.whole_files
        || access.region_bytes == 0
        || file.is_some_and(|file| {
            access.region_start == 0 && file.size_bytes == Some(access.region_bytes)
        });
    let region = if is_whole {
        String::new()
    } else {
        format!(
            ", {} from {}",
            format_size(access.region_bytes),
            format_size(access.region_start)
        )
    };
    format!("{head} in {blocks}{region}")
}

fn block_text(block: &BlockPlan) -> String {
    if let (Some(step_bytes), [from, to]) = (block.step_bytes, &block.sizes[..]) {
        return format!(
            "{} to {} by {}",
            format_size(from.bytes),
            format_size(to.bytes),
            format_size(step_bytes)
        );
    }
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
