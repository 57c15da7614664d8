//! From a job that goes to places in files to its plan: region, pattern, block, and whether they go together.

use super::load::{FileRef, Names};
use super::{
    AccessPlan, BlockPlan, BlockSize, MixShare, MixVerb, PatternPlan, SyncEveryPlan, Verb,
};
use crate::decode::{At, Report};
use crate::fault::Fault;
use crate::spec::{BlockSpec, JobSpec, SizesSpec};
use crate::stream::{Layout, has_empty_zone};
use crate::units::format_size;

/// The sizes of `job`; missing is a fault.
pub(crate) fn required_block<'j>(
    job: &'j JobSpec,
    report: &mut Report,
) -> Option<&'j At<BlockSpec>> {
    if !job.has_block {
        report.add(
            Fault::new(
                job.verb_span,
                format!("`{}` needs `block:`", job.verb.word()),
            )
            .help("the size of one operation, such as block: 4KiB"),
        );
    }
    job.block.as_ref()
}

/// Sizes that nothing but the smallest of them aligns.
pub(crate) fn plain_block(spec: &BlockSpec) -> BlockPlan {
    block_plan(&spec.sizes, spec, None)
}

/// `sizes` out of `spec`, whose grain aligns them all unless the job says otherwise.
fn block_plan(sizes: &SizesSpec, spec: &BlockSpec, align_bytes: Option<u64>) -> BlockPlan {
    BlockPlan {
        sizes: sizes.sizes.clone(),
        step_bytes: sizes.step_bytes,
        align_bytes: align_bytes.unwrap_or_else(|| spec.grain()),
    }
}

/// Syncs between writes; asking for both kinds is a fault.
pub(crate) fn syncs(job: &JobSpec, report: &mut Report) -> SyncEveryPlan {
    if let (Some(fsync), Some(fdatasync)) = (&job.fsync_every, &job.fdatasync_every) {
        report.add(
            Fault::new(
                fdatasync.span,
                "a job syncs with `fsync_every` or with `fdatasync_every`",
            )
            .other(fsync.span, "the other"),
        );
    }
    let every = |at: &Option<At<u64>>| at.as_ref().map_or(0, |at| at.value);
    SyncEveryPlan {
        fsync_every: every(&job.fsync_every),
        fdatasync_every: every(&job.fdatasync_every),
    }
}

/// The plan of one verb at places.
pub(crate) fn build_access(
    job: &JobSpec,
    verb: Verb,
    name: &At<String>,
    names: &mut Names<'_>,
    report: &mut Report,
) -> Option<AccessPlan> {
    let block = required_block(job, report);
    let file = *names.file(name, report)?;
    let region = region(job, &file, name, report);
    let (region_start, region_bytes) = region?;
    let block = block?;
    let largest = block.value.all().map(|size| size.bytes).max()?;
    if largest > region_bytes && !file.is_varied {
        report.add(Fault::new(
            block.span,
            format!(
                "a block of {} does not fit into {} of `{}`",
                format_size(largest),
                format_size(region_bytes),
                name.value
            ),
        ));
        return None;
    }
    let is_mix = matches!(verb, Verb::Mix { read_weight, write_weight } if read_weight > 0 && write_weight > 0);
    if block.value.write_sizes.is_some() && !is_mix {
        report.add(
            Fault::new(block.span, "only a mix has blocks by direction")
                .help("one size, or sizes with weights"),
        );
    }
    let pattern = pattern(job, report);
    check_pattern(job, &pattern, &block.value, &file, report);
    let align_bytes = job.align_bytes.as_ref().map(|at| at.value);
    let plan = |sizes: &SizesSpec| block_plan(sizes, &block.value, align_bytes);
    let access = AccessPlan {
        files: file.span,
        verb,
        pattern,
        block: plan(&block.value.sizes),
        region_start,
        region_bytes,
        syncs: syncs(job, report),
        write_block: block.value.write_sizes.as_ref().map(plan),
        whole_files: file.is_varied,
        mix: Vec::new(),
    };
    check_zones(job, &access, names, report);
    Some(access)
}

/// The plan of several verbs, of which some may be about whole files.
pub(crate) fn build_mix(
    job: &JobSpec,
    shares: &[(MixVerb, u32)],
    name: &At<String>,
    names: &mut Names<'_>,
    report: &mut Report,
) -> Option<AccessPlan> {
    let weight = |wanted| {
        let found = shares.iter().find(|(verb, _)| *verb == wanted);
        found.map_or(0, |(_, weight)| *weight)
    };
    let verb = Verb::Mix {
        read_weight: weight(MixVerb::Read),
        write_weight: weight(MixVerb::Write),
    };
    let is_plain = |verb: &MixVerb| matches!(verb, MixVerb::Read | MixVerb::Write);
    if shares.iter().all(|(verb, _)| is_plain(verb)) {
        return build_access(job, verb, name, names, report);
    }
    let mix = shares
        .iter()
        .map(|&(verb, weight)| MixShare { verb, weight })
        .collect();
    let file = *names.file(name, report)?;
    if job.clients > file.span.count {
        report.add(
            Fault::new(
                name.span,
                format!(
                    "{} clients cannot share {} files",
                    job.clients, file.span.count
                ),
            )
            .help("of a mix with whole-file operations each client has files of its own: fewer `clients:`, or more files"),
        );
        return None;
    }
    let has_placed = shares.iter().any(|(verb, _)| verb.is_placed());
    if has_placed {
        let access = build_access(job, verb, name, names, report)?;
        return Some(AccessPlan { mix, ..access });
    }
    for (key, span) in [
        ("offset", job.offset_bytes.as_ref().map(|at| at.span)),
        ("length", job.length_bytes.as_ref().map(|at| at.span)),
        ("align", job.align_bytes.as_ref().map(|at| at.span)),
        ("bytes", job.total_bytes.as_ref().map(|at| at.span)),
    ] {
        if let Some(span) = span
            && (key != "bytes" || weight(MixVerb::Append) == 0)
        {
            let message = format!("`{key}` means nothing to a mix that goes to no place in a file");
            report.add(Fault::new(span, message));
        }
    }
    let block = if weight(MixVerb::Append) > 0 {
        plain_block(&required_block(job, report)?.value)
    } else {
        BlockPlan {
            sizes: vec![BlockSize {
                bytes: 1,
                weight: 1.0,
            }],
            step_bytes: None,
            align_bytes: 1,
        }
    };
    let pattern = pattern(job, report);
    let placed = match pattern {
        PatternPlan::Stride { .. } => Some("stride"),
        PatternPlan::Runs(_) => Some("run"),
        _ => None,
    };
    if let Some(word) = placed {
        let span = job.pattern.as_ref().map_or(job.verb_span, |at| at.span);
        report.add(Fault::new(
            span,
            format!("`{word}` goes to places in a file"),
        ));
        return None;
    }
    let access = AccessPlan {
        files: file.span,
        verb,
        pattern,
        block,
        region_start: 0,
        region_bytes: 0,
        syncs: syncs(job, report),
        write_block: None,
        whole_files: false,
        mix,
    };
    check_zones(job, &access, names, report);
    Some(access)
}

fn pattern(job: &JobSpec, report: &mut Report) -> PatternPlan {
    let Some(at) = &job.pattern else {
        return PatternPlan::Sequential;
    };
    let mut plan = at.value.plan.clone();
    if let (PatternPlan::Hotspot(spot), Some(every)) = (&mut plan, &at.value.every_ns) {
        match job.rate.as_ref().and_then(|rate| rate.value.even_ops_per_s()) {
            Some(ops_per_s) => spot.every_ops = ops_in(ops_per_s, every.value),
            None => report.add(
                Fault::new(
                    every.span,
                    "a hot spot moves by time where the job has an even rate of operations",
                )
                .help("a rate, such as rate: 5000/s; or a number of operations, such as every: 100000"),
            ),
        }
    }
    plan
}

/// Operations in a time, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of operations; the cast saturates"
)]
fn ops_in(ops_per_s: f64, ns: u64) -> u64 {
    ((ops_per_s * ns as f64 / 1e9).round() as u64).max(1)
}

/// Start and length of the region that a job works in.
fn region(
    job: &JobSpec,
    file: &FileRef<'_>,
    name: &At<String>,
    report: &mut Report,
) -> Option<(u64, u64)> {
    let start = job.offset_bytes.as_ref().map_or(0, |at| at.value);
    let Some(size_bytes) = file.size_bytes else {
        let Some(length) = &job.length_bytes else {
            report.add(
                Fault::new(
                    name.span,
                    format!("`{}` has no size to work within", name.value),
                )
                .help("give the file a `size:`, or the job a `length:`"),
            );
            return None;
        };
        return Some((start, length.value));
    };
    if file.is_varied {
        let stray = job.offset_bytes.as_ref().or(job.length_bytes.as_ref());
        if let Some(stray) = stray {
            report.add(Fault::new(
                stray.span,
                format!(
                    "the files of `{}` differ in size, and each is worked on as a whole",
                    name.value
                ),
            ));
            return None;
        }
        return Some((0, size_bytes));
    }
    if start >= size_bytes {
        let span = job.offset_bytes.as_ref().map_or(name.span, |at| at.span);
        report.add(Fault::new(
            span,
            format!(
                "the region starts at or after the end of `{}`, {}",
                name.value,
                format_size(size_bytes)
            ),
        ));
        return None;
    }
    match &job.length_bytes {
        Some(length) if length.value > size_bytes - start => {
            let fault = Fault::new(
                length.span,
                format!(
                    "the region ends {} after the end of `{}`",
                    format_size(length.value - (size_bytes - start)),
                    name.value
                ),
            );
            report.add(match &file.spec.size_bytes {
                Some(size) => fault.other(size.span, "the size of the file"),
                None => fault,
            });
            None
        }
        Some(length) => Some((start, length.value)),
        None => Some((start, size_bytes - start)),
    }
}

/// Can this pattern be walked with these blocks?
fn check_pattern(
    job: &JobSpec,
    pattern: &PatternPlan,
    block: &BlockSpec,
    file: &FileRef<'_>,
    report: &mut Report,
) {
    let span = job.pattern.as_ref().map_or(job.verb_span, |at| at.span);
    let first_bytes = block.sizes.sizes[0].bytes;
    match pattern {
        PatternPlan::Shuffle if block.is_varied() => report.add(
            Fault::new(
                span,
                "`shuffle` visits each place once and needs blocks of one size",
            )
            .help("use random, or one size"),
        ),
        PatternPlan::Stride { .. } if block.is_varied() || file.is_varied => {
            report.add(Fault::new(
                span,
                "`stride` walks files of one size in blocks of one size",
            ))
        }
        PatternPlan::Stride { stride_bytes, .. } if *stride_bytes < first_bytes => {
            report.add(Fault::new(
                span,
                format!(
                    "a stride of {} is shorter than the block, {}",
                    format_size(*stride_bytes),
                    format_size(first_bytes)
                ),
            ));
        }
        drawn if drawn.is_drawn() => {}
        _ => {
            if let Some(align) = &job.align_bytes {
                report.add(Fault::new(
                    align.span,
                    "`align` is for places that are drawn; this pattern goes block by block",
                ));
            }
        }
    }
    let align = block.grain();
    let is_sequential = matches!(
        pattern,
        PatternPlan::Sequential | PatternPlan::Backward | PatternPlan::Interleaved { .. }
    );
    if is_sequential && let Some(odd) = block.all().find(|size| size.bytes % align != 0) {
        let span = job.block.as_ref().map_or(span, |at| at.span);
        report.add(Fault::new(
            span,
            format!(
                "walked sequentially, each size is a multiple of the smallest; {} is none of {}",
                format_size(odd.bytes),
                format_size(align)
            ),
        ));
    }
}

/// A zone without a place would never be reached, whatever its share of the accesses.
fn check_zones(job: &JobSpec, access: &AccessPlan, names: &Names<'_>, report: &mut Report) {
    let (PatternPlan::Zones(zones), Some(at)) = (&access.pattern, &job.pattern) else {
        return;
    };
    let layout = Layout::new(access, &names.plans);
    let places = layout.fitting(access.largest_block());
    if has_empty_zone(zones, places) {
        report.add(
            Fault::new(
                at.span,
                format!("{places} blocks are too few: a zone would be without any"),
            )
            .help("larger zones, a larger region, or smaller blocks"),
        );
    }
}

impl AccessPlan {
    /// The largest operation of either direction.
    pub(crate) fn largest_block(&self) -> u64 {
        let of_writes = self.write_block.as_ref().map_or(0, BlockPlan::largest);
        self.block.largest().max(of_writes)
    }
}
