//! Jobs as written: one verb (`verb`), and what goes with it.
//!
//! Not here: recordings (`trace`).

use schemars::JsonSchema;

use super::block::{BlockShape, BlockSpec, read_block};
use super::law::{DistributionShape, read_distribution};
use super::pattern::{PatternShape, PatternSpec, read_pattern};
use super::rate::{RateSchema, RateSpec, read_rate};
use super::read_name;
use super::trace::TraceMap;
use super::verb::{MixMap, StepWord, VERBS, VerbSpec, read_verb, report_verbs};
use crate::decode::{At, Fields, Report, number, quantity, size, text};
use crate::fault::{Fault, Span};
use crate::plan::Distribution;
use crate::units;
use crate::yaml::Node;

/// A job as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobSpec {
    pub(crate) verb: VerbSpec,
    /// Where the verb stands: what a fault of the whole job points at.
    pub(crate) verb_span: Span,
    pub(crate) name: Option<At<String>>,
    pub(crate) clients: u32,
    pub(crate) pattern: Option<At<PatternSpec>>,
    pub(crate) block: Option<At<BlockSpec>>,
    /// `block:` is there, even if it could not be read.
    pub(crate) has_block: bool,
    pub(crate) align_bytes: Option<At<u64>>,
    pub(crate) rate: Option<At<RateSpec>>,
    pub(crate) think_ns: Option<At<Distribution>>,
    pub(crate) think_every: Option<At<u64>>,
    pub(crate) fsync_every: Option<At<u64>>,
    pub(crate) fdatasync_every: Option<At<u64>>,
    pub(crate) offset_bytes: Option<At<u64>>,
    pub(crate) length_bytes: Option<At<u64>>,
    pub(crate) total_bytes: Option<At<u64>>,
    pub(crate) total_ops: Option<At<u64>>,
    pub(crate) duration_ns: Option<At<u64>>,
    /// `duration:` is there, even if it could not be read.
    pub(crate) has_duration: bool,
    pub(crate) delay_ns: Option<At<u64>>,
    pub(crate) start_after: Option<At<String>>,
}

/// One kind of work, by one or several clients. Exactly one of read, write, mix, append, trim, truncate, create,
/// remove, rename, sync, each, trace says which.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Job")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct JobMap {
    /// Read this file.
    read: Option<String>,
    /// Write this file.
    write: Option<String>,
    /// Do several things to `file:` in these shares, such as { read: 70, write: 30 }.
    mix: Option<MixMap>,
    /// Write at the end of this file.
    append: Option<String>,
    /// Punch holes into this file.
    trim: Option<String>,
    /// Make this file end after `to:` bytes.
    truncate: Option<String>,
    /// Make this file, or each of its instances, afresh.
    create: Option<String>,
    /// Remove this file, or each of its instances.
    remove: Option<String>,
    /// Give this file, or each of its instances, another name.
    rename: Option<String>,
    /// Sync this file, or each of its instances.
    sync: Option<String>,
    /// Take each instance of this file in turn and `do:` all steps to it before the next.
    each: Option<String>,
    /// Replay a recording.
    trace: Option<TraceMap>,
    /// What results, messages and the losses of a trace call it (default: the verb and the file, such as read-table). Unique in
    /// its phase. Where a phase has several jobs, results have rows of each beside those of the phase.
    name: Option<String>,
    /// The file of a mix.
    file: Option<String>,
    /// The size that truncate makes (default 0).
    to: Option<String>,
    /// The steps of each, such as [create, write, sync].
    #[schemars(length(min = 1, max = 64))]
    r#do: Option<Vec<StepWord>>,
    /// How many do it side by side (default 1).
    #[schemars(range(min = 1, max = 1024))]
    clients: Option<u32>,
    /// Where the next operation goes (default sequential).
    pattern: Option<PatternShape>,
    /// Size of an operation, such as 4KiB, sizes with weights, such as { 4KiB: 70, 64KiB: 30 }, or a range, such as
    /// { from: 4KiB, to: 128KiB }; of a mix also { read: ..., write: ... }.
    block: Option<BlockShape>,
    /// Offsets are multiples of this (default: the smallest block; of a range its step).
    align: Option<String>,
    /// Open loop: so many operations in a second, or so many bytes, such as 10MiB/s, all clients together. Latency counts
    /// from when each was due.
    rate: Option<RateSchema>,
    /// Closed loop: rest so long after each operation, such as 5ms, or times drawn from a law.
    think: Option<DistributionShape>,
    /// With think: rest after so many operations of a client, and not after each.
    #[schemars(range(min = 1))]
    think_every: Option<u64>,
    /// Sync the file after so many writes of a client.
    #[schemars(range(min = 1))]
    fsync_every: Option<u64>,
    /// The same with fdatasync, where the target tells them apart.
    #[schemars(range(min = 1))]
    fdatasync_every: Option<u64>,
    /// Where in the file the job's region starts (default 0).
    offset: Option<String>,
    /// How large the region is (default: to the end of the file).
    length: Option<String>,
    /// Through after so many bytes, all clients together.
    bytes: Option<String>,
    /// Through after so many operations, all clients together.
    #[schemars(range(min = 1))]
    ops: Option<u64>,
    /// Through after so much time; without another bound it starts over until then.
    duration: Option<String>,
    /// Starts so long after the phase, or after the job that it waits for.
    delay: Option<String>,
    /// Starts when the job of this name is through.
    start_after: Option<String>,
}

impl JsonSchema for JobSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        JobMap::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = JobMap::json_schema(generator);
        let one_verb: Vec<serde_json::Value> = VERBS
            .iter()
            .map(|verb| serde_json::json!({ "required": [verb] }))
            .collect();
        schema.insert("oneOf".to_owned(), one_verb.into());
        schema
    }
}

impl JobSpec {
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, "a job", report)?;
        let verbs: Vec<(&str, Span, &Node)> = VERBS
            .iter()
            .filter_map(|&verb| {
                let (span, value) = fields.take_keyed(verb)?;
                Some((verb, span, value))
            })
            .collect();
        let before = report.faults.len();
        let verb = match verbs[..] {
            [(verb, _, value)] => read_verb(verb, value, &mut fields, report),
            _ => None,
        };
        let mut bytes = |key: &'static str, what: &str, min: u64, report: &mut Report| {
            let node = fields.take(key)?;
            size(node, what, min..=super::file::FILE_BYTES_MAX, report)
        };
        let offset_bytes = bytes("offset", "the offset of a region", 0, report);
        let length_bytes = bytes("length", "the length of a region", 1, report);
        let align_bytes = bytes("align", "align", 1, report);
        let total_bytes = bytes("bytes", "bytes", 1, report);
        let mut count = |key: &'static str, report: &mut Report| {
            let node = fields.take(key)?;
            number(node, key, 1..=u64::MAX / 2, report)
        };
        let total_ops = count("ops", report);
        let fsync_every = count("fsync_every", report);
        let fdatasync_every = count("fdatasync_every", report);
        let think_every = count("think_every", report);
        let name = fields
            .take("name")
            .and_then(|n| text(n, "the name of a job", report))
            .and_then(|at| read_name(&at.value, at.span, "a job", report));
        let clients = fields
            .take("clients")
            .and_then(|n| number(n, "clients", 1..=1024, report))
            .map_or(1, |at| at.value);
        let pattern = fields.take("pattern").and_then(|n| read_pattern(n, report));
        let block_node = fields.take("block");
        let block = block_node.and_then(|n| read_block(n, report));
        let rate = fields.take("rate").and_then(|n| read_rate(n, report));
        let think_ns = fields.take("think").and_then(|n| {
            let time =
                |n: &Node, report: &mut Report| quantity(n, "think", units::parse_duration, report);
            read_distribution(n, "think", &time, report)
        });
        let duration = fields.take("duration");
        let mut time =
            |node: Option<&Node>, what: &str| quantity(node?, what, units::parse_duration, report);
        let duration_ns = time(duration, "duration");
        let delay_ns = time(fields.take("delay"), "delay");
        let start_after = fields
            .take("start_after")
            .and_then(|n| text(n, "start_after", report));
        if let Some(none) = duration_ns.as_ref().filter(|at| at.value == 0) {
            report.add(Fault::new(none.span, "a job of no time at all"));
        }
        let span = fields.span();
        if verbs.len() == 1 {
            fields.finish(report);
        } else {
            report_verbs(&verbs, fields, before, report);
        }
        Some(Self {
            verb: verb?,
            verb_span: verbs.first().map_or(span, |(_, span, _)| *span),
            name,
            clients,
            pattern,
            block,
            has_block: block_node.is_some(),
            align_bytes,
            rate,
            think_ns,
            think_every,
            fsync_every,
            fdatasync_every,
            offset_bytes,
            length_bytes,
            total_bytes,
            total_ops,
            duration_ns,
            has_duration: duration.is_some(),
            delay_ns,
            start_after,
        })
    }
}
