//! Blocks as written: how large an operation is.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, named, number, size};
use crate::fault::Fault;
use crate::plan::BlockSize;
use crate::yaml::{Data, Node};

/// The largest single operation.
const BLOCK_BYTES_MAX: u64 = 1 << 30;
/// More sizes or values than this are no distribution but a recording.
pub(crate) const WEIGHT_COUNT_MAX: usize = 1024;

/// Sizes of operations and their weights, of both directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockSpec {
    /// Of everything, or of reads where writes have their own.
    pub(crate) sizes: Vec<BlockSize>,
    /// Of writes, where they have their own.
    pub(crate) write_sizes: Option<Vec<BlockSize>>,
}

impl BlockSpec {
    /// Those of either direction.
    pub(crate) fn all(&self) -> impl Iterator<Item = &BlockSize> {
        self.sizes.iter().chain(self.write_sizes.iter().flatten())
    }

    /// Operations differ in size.
    pub(crate) fn is_varied(&self) -> bool {
        self.all().any(|size| size.bytes != self.sizes[0].bytes)
    }
}

#[derive(JsonSchema)]
#[schemars(untagged, rename = "Block")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum BlockShape {
    Fixed(String),
    Directions(DirectionsMap),
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

#[derive(JsonSchema)]
#[schemars(untagged, rename = "BlockSizes")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum SizesShape {
    Fixed(String),
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

/// One size, or several with weights.
fn read_sizes(node: &Node, report: &mut Report) -> Option<Vec<BlockSize>> {
    let range = 1..=BLOCK_BYTES_MAX;
    if let Data::Scalar(_) = node.data {
        let bytes = size(node, "a block", range, report)?.value;
        return Some(vec![BlockSize { bytes, weight: 1.0 }]);
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
    (!sizes.is_empty()).then_some(sizes)
}
