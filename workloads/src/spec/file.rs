//! Files as written.

use schemars::JsonSchema;

use super::ContentSpec;
use super::law::{DistributionShape, read_distribution};
use crate::decode::{At, Fields, Report, flag, number, size};
use crate::fault::Fault;
use crate::plan::Distribution;
use crate::yaml::Node;

/// The largest file: beyond, offsets would not fit the kernel's.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 56;
/// More files than this are no workload but a slip.
pub(crate) const FILE_COUNT_MAX: u32 = 1 << 20;

/// A file, or several alike.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "File")]
pub(crate) struct FileSpec {
    /// Where offsets end, such as 256MiB; a file without a size only grows. Of several files also a law that each has its
    /// size from, such as { lognormal: { median: 8KiB, sigma: 1.2 } }.
    #[schemars(with = "Option<DistributionShape>", rename = "size")]
    pub(crate) size_bytes: Option<At<Distribution>>,
    /// So many of them, named `name.0`, `name.1` and so on.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1_048_576))]
    pub(crate) count: Option<u32>,
    /// Its own content.
    pub(crate) content: Option<ContentSpec>,
    /// Written once from end to end before the first phase, outside the results (default false).
    #[schemars(with = "Option<bool>")]
    pub(crate) filled: bool,
}

impl FileSpec {
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, "a file", report)?;
        let size_bytes = fields.take("size").and_then(|n| {
            let bytes = |n: &Node, report: &mut Report| {
                size(n, "the size of a file", 1..=FILE_BYTES_MAX, report)
            };
            read_distribution(n, "the size of a file", &bytes, report)
        });
        let count = fields
            .take("count")
            .and_then(|n| number(n, "count", 1..=FILE_COUNT_MAX, report))
            .map(|at| at.value);
        let content = fields
            .take("content")
            .and_then(|n| ContentSpec::read(n, report));
        let filled = fields.take_keyed("filled");
        let is_filled = filled
            .and_then(|(_, n)| flag(n, "filled", report))
            .unwrap_or(false);
        fields.finish(report);
        if let (true, None, Some((span, _))) = (is_filled, &size_bytes, filled) {
            report.add(
                Fault::new(span, "a file without a size cannot be filled")
                    .help("give it a `size:`"),
            );
        }
        Some(Self {
            size_bytes,
            count,
            content,
            filled: is_filled,
        })
    }
}
