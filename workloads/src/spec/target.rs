//! Targets as written.

use std::path::PathBuf;

use schemars::JsonSchema;

use super::{KnobMap, KnobsSpec};
use crate::decode::{Fields, Report, flag, quantity, size, text, word};
use crate::fault::Fault;
use crate::plan::{BackendPlan, DevicePlan, Mover, SimDevice, ThrottlePlan};
use crate::units;
use crate::yaml::{Data, Node};

/// The smallest backend that an engine can be formatted on.
const BACKEND_BYTES_MIN: u64 = 16 << 20;
/// Above, a slip of the pen.
const BACKEND_BYTES_MAX: u64 = 1 << 50;

/// One thing to replay on: `engine`, `raw`, `directory` or `null`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetSpec {
    pub(crate) kind: TargetKindSpec,
    pub(crate) knobs: KnobsSpec,
}

/// What a target is; nothing here depends on the rest of the file, so it is already what the plan holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TargetKindSpec {
    Engine(DevicePlan),
    Raw(DevicePlan),
    Directory(PathBuf),
    Null,
}

/// The shape of a target, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Target")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum TargetShape {
    One(Box<TargetMap>),
    /// `null`: takes everything and does nothing, the cost of the harness itself.
    Null(()),
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct TargetMap {
    /// delalloc's engine on a backend.
    engine: Option<EngineMap>,
    /// The device itself, the files one after the other on it: the limit that others are compared with.
    raw: Option<RawMap>,
    /// Plain files in a directory of a mounted filesystem: a kernel peer.
    directory: Option<DirectoryMap>,
    /// Takes everything and does nothing: the cost of the harness itself.
    null: Option<EmptyMap>,
}

/// No keys.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Nothing")]
struct EmptyMap {}

/// Plain files in a directory.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Directory")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct DirectoryMap {
    /// The directory; it exists.
    path: String,
}

/// An engine and what it stands on.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "EngineTarget")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct EngineMap {
    /// Where the bytes go.
    backend: BackendMap,
    /// Slow the backend down.
    throttle: Option<ThrottleMap>,
    /// Knobs of this target alone; they win over the file's `engine:`.
    knobs: Option<KnobMap>,
}

/// A device without a filesystem. What is on it is lost.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "RawTarget")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct RawMap {
    /// Where the bytes go.
    backend: BackendMap,
    /// Slow the backend down.
    throttle: Option<ThrottleMap>,
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Backend", extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct BackendMap {
    /// A preallocated file, with direct I/O.
    file: Option<FileMap>,
    /// A raw block device. What is on it is lost.
    block: Option<BlockMap>,
    /// Memory.
    mem: Option<MemMap>,
    /// A modelled device in memory.
    sim: Option<SimMap>,
}

/// A file as a backend.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "FileBackend")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct FileMap {
    /// The file; made where it is missing.
    path: String,
    /// Its size, such as 2GiB.
    size: String,
    /// How requests reach the kernel (default auto).
    mover: Option<MoverWord>,
    /// Through the page cache, for filesystems that refuse direct I/O (default false).
    buffered: Option<bool>,
}

/// A block device as a backend.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "BlockBackend")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct BlockMap {
    /// The device.
    path: String,
    /// The device named a second time: consent to lose what is on it.
    i_know_this_destroys: Option<String>,
    /// How requests reach the kernel (default auto).
    mover: Option<MoverWord>,
}

/// Memory as a backend.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "MemBackend")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct MemMap {
    /// Its size, such as 1GiB.
    size: String,
}

/// A modelled device as a backend.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SimBackend")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct SimMap {
    /// Its size, such as 1GiB.
    size: String,
    /// Which device.
    device: DeviceWord,
}

/// What a backend is slowed down to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Throttle")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ThrottleMap {
    /// Bytes read in a second, such as 500MiB/s.
    read: Option<String>,
    /// Bytes written in a second, such as 200MiB/s.
    write: Option<String>,
    /// Added to each request, such as 100us.
    latency: Option<String>,
}

/// How requests reach the kernel.
#[derive(JsonSchema)]
#[schemars(rename = "Mover", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum MoverWord {
    Auto,
    Uring,
    Threads,
}

/// Which device is modelled.
#[derive(JsonSchema)]
#[schemars(rename = "SimDevice", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum DeviceWord {
    Hdd,
    SataSsd,
    Nvme,
    Cloud,
    CloudBurst,
}

impl JsonSchema for TargetSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        TargetShape::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TargetShape::json_schema(generator)
    }
}

impl TargetSpec {
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        if is_null_word(node) {
            return Some(Self::plain(TargetKindSpec::Null));
        }
        let mut fields = Fields::open(node, "a target", report)?;
        let kinds = [
            fields.take("engine"),
            fields.take("raw"),
            fields.take("directory"),
            fields.take("null"),
        ];
        let span = fields.span();
        let before = report.faults.len();
        fields.finish(report);
        match kinds {
            [Some(node), None, None, None] => read_engine(node, report),
            [None, Some(node), None, None] => read_raw(node, report),
            [None, None, Some(node), None] => read_directory(node, report),
            [None, None, None, Some(node)] => {
                Fields::open(node, "the null target", report)?.finish(report);
                Some(Self::plain(TargetKindSpec::Null))
            }
            _ => {
                // An unknown key has been reported and is most likely the misspelt kind.
                if report.faults.len() == before {
                    report.add(Fault::new(
                        span,
                        "a target is exactly one of engine, raw, directory, null",
                    ));
                }
                None
            }
        }
    }

    fn plain(kind: TargetKindSpec) -> Self {
        Self {
            kind,
            knobs: KnobsSpec::default(),
        }
    }
}

fn is_null_word(node: &Node) -> bool {
    match &node.data {
        Data::Null => true,
        Data::Scalar(word) => word == "null",
        _ => false,
    }
}

fn read_directory(node: &Node, report: &mut Report) -> Option<TargetSpec> {
    let mut fields = Fields::open(node, "a directory target", report)?;
    let path = fields
        .require("path", report)
        .and_then(|n| text(n, "a path", report));
    fields.finish(report);
    Some(TargetSpec::plain(TargetKindSpec::Directory(
        path?.value.into(),
    )))
}

fn read_engine(node: &Node, report: &mut Report) -> Option<TargetSpec> {
    let mut fields = Fields::open(node, "an engine target", report)?;
    let device = read_device(&mut fields, report);
    let knobs = fields
        .take("knobs")
        .map(|n| KnobsSpec::read(n, report))
        .unwrap_or_default();
    fields.finish(report);
    Some(TargetSpec {
        kind: TargetKindSpec::Engine(device?),
        knobs,
    })
}

fn read_raw(node: &Node, report: &mut Report) -> Option<TargetSpec> {
    let mut fields = Fields::open(node, "a raw target", report)?;
    let device = read_device(&mut fields, report);
    fields.finish(report);
    Some(TargetSpec::plain(TargetKindSpec::Raw(device?)))
}

fn read_device(fields: &mut Fields<'_>, report: &mut Report) -> Option<DevicePlan> {
    let backend = fields
        .require("backend", report)
        .and_then(|n| read_backend(n, report));
    let throttle = fields
        .take("throttle")
        .and_then(|n| read_throttle(n, report));
    Some(DevicePlan {
        backend: backend?,
        throttle,
    })
}

fn read_backend(node: &Node, report: &mut Report) -> Option<BackendPlan> {
    let mut fields = Fields::open(node, "a backend", report)?;
    let kinds = [
        fields.take("file"),
        fields.take("block"),
        fields.take("mem"),
        fields.take("sim"),
    ];
    let span = fields.span();
    let before = report.faults.len();
    fields.finish(report);
    match kinds {
        [Some(node), None, None, None] => read_file(node, report),
        [None, Some(node), None, None] => read_block(node, report),
        [None, None, Some(node), None] => read_mem(node, report),
        [None, None, None, Some(node)] => read_sim(node, report),
        _ => {
            if report.faults.len() == before {
                report.add(Fault::new(
                    span,
                    "a backend is exactly one of file, block, mem, sim",
                ));
            }
            None
        }
    }
}

fn backend_size(fields: &mut Fields<'_>, report: &mut Report) -> Option<u64> {
    let node = fields.require("size", report)?;
    let range = BACKEND_BYTES_MIN..=BACKEND_BYTES_MAX;
    size(node, "the size of a backend", range, report).map(|at| at.value)
}

fn mover(fields: &mut Fields<'_>, report: &mut Report) -> Mover {
    let known = [
        ("auto", Mover::Auto),
        ("uring", Mover::Uring),
        ("threads", Mover::Threads),
    ];
    fields
        .take("mover")
        .and_then(|n| word(n, "mover", &known, report))
        .map_or(Mover::Auto, |at| at.value)
}

fn read_file(node: &Node, report: &mut Report) -> Option<BackendPlan> {
    let mut fields = Fields::open(node, "a file backend", report)?;
    let path = fields
        .require("path", report)
        .and_then(|n| text(n, "a path", report));
    let size_bytes = backend_size(&mut fields, report);
    let mover = mover(&mut fields, report);
    let buffered = fields
        .take("buffered")
        .and_then(|n| flag(n, "buffered", report))
        .unwrap_or(false);
    fields.finish(report);
    Some(BackendPlan::File {
        path: path?.value.into(),
        size_bytes: size_bytes?,
        mover,
        buffered,
    })
}

fn read_block(node: &Node, report: &mut Report) -> Option<BackendPlan> {
    let mut fields = Fields::open(node, "a block backend", report)?;
    let path = fields
        .require("path", report)
        .and_then(|n| text(n, "a path", report));
    let consent = fields
        .take("i_know_this_destroys")
        .and_then(|n| text(n, "a path", report));
    let mover = mover(&mut fields, report);
    fields.finish(report);
    let path = path?;
    if let Some(consent) = &consent
        && consent.value != path.value
    {
        report.add(
            Fault::new(
                consent.span,
                format!(
                    "`{}` is not the device that would be destroyed",
                    consent.value
                ),
            )
            .other(path.span, "this one would"),
        );
    }
    Some(BackendPlan::Block {
        path: path.value.into(),
        i_know_this_destroys: consent.map(|c| c.value.into()),
        mover,
    })
}

fn read_mem(node: &Node, report: &mut Report) -> Option<BackendPlan> {
    let mut fields = Fields::open(node, "a memory backend", report)?;
    let size_bytes = backend_size(&mut fields, report);
    fields.finish(report);
    Some(BackendPlan::Mem {
        size_bytes: size_bytes?,
    })
}

fn read_sim(node: &Node, report: &mut Report) -> Option<BackendPlan> {
    let mut fields = Fields::open(node, "a modelled backend", report)?;
    let size_bytes = backend_size(&mut fields, report);
    let known = [
        ("hdd", SimDevice::Hdd),
        ("sata_ssd", SimDevice::SataSsd),
        ("nvme", SimDevice::Nvme),
        ("cloud", SimDevice::Cloud),
        ("cloud_burst", SimDevice::CloudBurst),
    ];
    let device = fields
        .require("device", report)
        .and_then(|n| word(n, "modelled device", &known, report));
    fields.finish(report);
    Some(BackendPlan::Sim {
        size_bytes: size_bytes?,
        device: device?.value,
    })
}

fn read_throttle(node: &Node, report: &mut Report) -> Option<ThrottlePlan> {
    let mut fields = Fields::open(node, "a throttle", report)?;
    let mut rate = |key, report: &mut Report| {
        fields
            .take(key)
            .and_then(|n| quantity(n, "a throttle", units::parse_byte_rate, report))
            .map(|at| at.value)
    };
    let read_bytes_per_s = rate("read", report);
    let write_bytes_per_s = rate("write", report);
    let latency_ns = fields
        .take("latency")
        .and_then(|n| {
            quantity(
                n,
                "the latency of a throttle",
                units::parse_duration,
                report,
            )
        })
        .map(|at| at.value);
    fields.finish(report);
    Some(ThrottlePlan {
        read_bytes_per_s,
        write_bytes_per_s,
        latency_ns,
    })
}
