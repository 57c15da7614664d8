//! What the volume knows: a copy-on-write tree of items, committed as a whole.
//!
//! The writeback path uses this wing through `Metadata` alone: names, sizes, mappings, checksums,
//! and the space they take. Changes are made in memory, one atomic change at a time; `commit` makes
//! everything changed so far durable together.
//!
//! Not here: where free space is (alloc), the image check without an engine (recover).

pub(crate) mod btree;
mod commit;
mod durable;
mod extents;
mod files;
pub(crate) mod format;
mod metadata;
pub(crate) mod node;
pub(crate) mod node_store;
mod node_writer;
pub(crate) mod superblock;
mod types;

pub use crate::log::LogLimits;
pub use btree::{Change, Cursor, Tree};
pub(crate) use durable::LogAnswer;
pub use extents::CutShort;
pub(crate) use extents::{Ending, Logged};
pub use format::{ItemKind, Key};
pub use metadata::Metadata;
pub use node_writer::NodeWorkers;
pub use superblock::signatures;
pub use types::{
    CODEC_RAW, EXTENT_PLAIN_BYTES_MAX, EXTENT_STORED_BYTES_MAX, ExtentTotals, FileExtent,
    FormatOptions, Inode, LeftAlone, Mapping, MetaConfig, MetaStats, NAME_BYTES_MAX, NewExtent,
    StoredExtent,
};
