//! Blocks as written: how large an operation is.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, named, number, size};
use crate::fault::Fault;
use crate::plan::BlockSize;
use crate::units::format_size;
use crate::yaml::{Data, Node};

/// The largest single operation.
const BLOCK_BYTES_MAX: u64 = crate::trace::MOVED_BYTES_MAX;
/// More sizes or values than this are no distribution but a recording.
pub(crate) const WEIGHT_COUNT_MAX: usize = 1024;

/// Sizes of operations, of both directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockSpec {
    /// Of everything, or of reads where writes have their own.
    pub(crate) sizes: SizesSpec,
    /// Of writes, where they have their own.
    pub(crate) write_sizes: Option<SizesSpec>,
}

/// Sizes and their weights, or the two ends of a range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SizesSpec {
    pub(crate) sizes: Vec<BlockSize>,
    /// Of a range, from one size to the next.
    pub(crate) step_bytes: Option<u64>,
}

impl SizesSpec {
    /// What places are multiples of where the job does not say: the step of a range, or the smallest size.
    fn grain(&self) -> u64 {
        let smallest = self.sizes.iter().map(|size| size.bytes).min();
        self.step_bytes
            .or(smallest)
            .expect("a block has at least one size")
    }
}

impl BlockSpec {
    /// Those of either direction; of a range its ends.
    pub(crate) fn all(&self) -> impl Iterator<Item = &BlockSize> {
        let of_writes = self.write_sizes.iter().flat_map(|sizes| &sizes.sizes);
        self.sizes.sizes.iter().chain(of_writes)
    }

    /// What places are multiples of where the job does not say.
    pub(crate) fn grain(&self) -> u64 {
        let of_writes = self.write_sizes.as_ref().map(SizesSpec::grain);
        self.sizes.grain().min(of_writes.unwrap_or(u64::MAX))
    }

    /// Operations differ in size.
    pub(crate) fn is_varied(&self) -> bool {
        self.all()
            .any(|size| size.bytes != self.sizes.sizes[0].bytes)
    }
}

#[derive(JsonSchema)]
#[schemars(untagged, rename = "Block")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum BlockShape {
    Fixed(String),
    Directions(DirectionsMap),
    Range(RangeMap),
    Weighted(BTreeMap<String, f64>),
}

/// Of a mix: sizes of reads and sizes of writes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "BlockDirections")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct DirectionsMap {
    /// Such as 4KiB, or { 4KiB: 70, 64KiB: 30 }.
    read: SizesShape,
    /// The same of writes and appends.
    write: SizesShape,
}

/// Each size of a range alike.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "BlockRange")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct RangeMap {
    /// The smallest, such as 4KiB.
    from: String,
    /// The largest, such as 128KiB.
    to: String,
    /// Sizes are multiples of this (default 4KiB; `from` where that is no multiple of 4KiB).
    step: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged, rename = "BlockSizes")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum SizesShape {
    Fixed(String),
    Range(RangeMap),
    Weighted(BTreeMap<String, f64>),
}

/// Reads a block.
pub(crate) fn read_block(node: &Node, report: &mut Report) -> Option<At<BlockSpec>> {
    let has_direction = match &node.data {
        Data::Map(entries) => entries
            .iter()
            .any(|entry| matches!(&*entry.key, "read" | "write")),
        _ => false,
    };
    if !has_direction {
        let sizes = read_sizes(node, report)?;
        let spec = BlockSpec {
            sizes,
            write_sizes: None,
        };
        return Some(At::new(spec, node.span));
    }
    let mut fields = Fields::open(node, "a block by direction", report)?;
    let mut sizes = |key, report: &mut Report| {
        let node = fields.require(key, report)?;
        read_sizes(node, report)
    };
    let (read, write) = (sizes("read", report), sizes("write", report));
    fields.finish(report);
    let spec = BlockSpec {
        sizes: read?,
        write_sizes: Some(write?),
    };
    Some(At::new(spec, node.span))
}

/// One size, several with weights, or a range of them.
fn read_sizes(node: &Node, report: &mut Report) -> Option<SizesSpec> {
    let range = 1..=BLOCK_BYTES_MAX;
    let of = |sizes| SizesSpec {
        sizes,
        step_bytes: None,
    };
    if let Data::Scalar(_) = node.data {
        let bytes = size(node, "a block", range, report)?.value;
        return Some(of(vec![BlockSize { bytes, weight: 1.0 }]));
    }
    if let Data::Map(entries) = &node.data
        && entries
            .iter()
            .any(|entry| matches!(&*entry.key, "from" | "to" | "step"))
    {
        return read_range(node, report);
    }
    let mut sizes: Vec<BlockSize> = Vec::new();
    for entry in named(node, "block", report) {
        let key = Node {
            span: entry.key_span,
            data: Data::Scalar(entry.key.clone()),
        };
        let bytes = size(&key, "a block", range.clone(), report);
        let weight = number(&entry.value, "a weight", 0.000_001..=1_000_000.0, report);
        if let (Some(bytes), Some(weight)) = (bytes, weight) {
            sizes.push(BlockSize {
                bytes: bytes.value,
                weight: weight.value,
            });
        }
    }
    if sizes.len() > WEIGHT_COUNT_MAX {
        report.add(Fault::new(
            node.span,
            format!("{} sizes; {WEIGHT_COUNT_MAX} are enough", sizes.len()),
        ));
        return None;
    }
    (!sizes.is_empty()).then_some(of(sizes))
}

/// What sizes of a range are multiples of unless it says otherwise.
const STEP_DEFAULT: u64 = 4096;

fn read_range(node: &Node, report: &mut Report) -> Option<SizesSpec> {
    let mut fields = Fields::open(node, "a range of blocks", report)?;
    let range = 1..=BLOCK_BYTES_MAX;
    let mut end = |key, report: &mut Report| {
        let node = fields.require(key, report)?;
        size(node, key, range.clone(), report)
    };
    let (from, to) = (end("from", report), end("to", report));
    let step = fields.take("step").map(|n| size(n, "step", range, report));
    fields.finish(report);
    let (from, to) = (from?, to?);
    let step_bytes = match step {
        Some(read) => read?.value,
        None if from.value % STEP_DEFAULT == 0 => STEP_DEFAULT,
        None => from.value,
    };
    if from.value >= to.value {
        report.add(
            Fault::new(to.span, "`to` is not above `from`")
                .other(from.span, "`from`")
                .help("one size is written as it is, such as block: 4KiB"),
        );
        return None;
    }
    if let Some(odd) = [&from, &to]
        .into_iter()
        .find(|at| at.value % step_bytes != 0)
    {
        let step = format_size(step_bytes);
        report.add(
            Fault::new(
                odd.span,
                format!(
                    "{} is no multiple of the step, {step}",
                    format_size(odd.value)
                ),
            )
            .help("the sizes of a range are multiples of `step:`, 4KiB unless it is given"),
        );
        return None;
    }
    let ends = [from.value, to.value];
    Some(SizesSpec {
        sizes: ends.map(|bytes| BlockSize { bytes, weight: 1.0 }).to_vec(),
        step_bytes: Some(step_bytes),
    })
}
