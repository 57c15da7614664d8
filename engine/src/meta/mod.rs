//! What the volume knows: a copy-on-write tree of items, committed as a whole.
//!
//! The writeback path uses this wing through `Metadata` alone: names, sizes, mappings, checksums,
//! and the space they take. Changes are made in memory, one atomic change at a time; `commit` makes
//! everything changed so far durable together.
//!
//! Not here: where free space is (alloc), the image check without an engine (recover).

mod metadata;
mod types;

pub use metadata::Metadata;
pub use types::{
    CODEC_RAW, EXTENT_STORED_BYTES_MAX, ExtentTotals, FileExtent, FormatOptions, Inode, Mapping,
    MetaConfig, MetaStats, NAME_BYTES_MAX, NewExtent, StoredExtent,
};
