//! What metadata says about files and extents, as plain values: the words of the door.
//!
//! Not here: their bytes on the device (format), how they change (files, extents).

use crate::error::EngineError;
use crate::log::LogLimits;
use crate::units::{DiskExtent, DiskOffset, FileId, FileRange, Generation};

/// The codec number of bytes that are stored as they are.
pub const CODEC_RAW: u8 = 0;
/// Most stored bytes of one extent, so that its checksums fit one item.
pub const EXTENT_STORED_BYTES_MAX: u64 = 512 * 1024;
/// Most plain bytes of one extent: whoever reads any of them decodes all, in memory.
pub const EXTENT_PLAIN_BYTES_MAX: u64 = 4 << 20;
/// Longest name of a file, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// What a new volume is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatOptions {
    /// Bytes of a tree node: a power of two from 1024 to 65536. Larger: fewer levels, more bytes
    /// copied for each change. Below 4096 a node still takes a sector; such sizes are for tests of depth.
    pub node_bytes: u32,
    /// The identity of the volume is derived from this; equal seeds make equal volumes.
    pub seed: u64,
    /// A name for people; at most 32 bytes.
    pub label: String,
    /// Bytes of the log that makes `sync` cheap: whole sectors, at most 1 GiB. `None` takes a part of
    /// the device (a 64th, 128 KiB to 32 MiB); 0 makes a volume without one, where `sync` commits.
    pub log_bytes: Option<u64>,
}

impl Default for FormatOptions {
    fn default() -> Self {
        Self {
            node_bytes: 16 * 1024,
            seed: 0,
            label: String::new(),
            log_bytes: None,
        }
    }
}

/// A file whose extents are damaged, so that what opening would have dropped of it is still there.
#[derive(Debug, Clone)]
pub struct LeftAlone {
    /// The file: one without a name, or one that has bytes past its end.
    pub file: FileId,
    /// What is wrong.
    pub error: EngineError,
}

/// Bounds of metadata in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaConfig {
    /// Above this many bytes of dirty nodes `balance_metadata` makes its caller write some.
    pub front_gate_bytes: u64,
    /// Above this many bytes of dirty nodes `write_some_dirty_nodes` has work.
    pub flush_gate_bytes: u64,
    /// Clean nodes kept in memory.
    pub node_cache_bytes: u64,
    /// How the log is used.
    pub log: LogLimits,
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            front_gate_bytes: 32 << 20,
            flush_gate_bytes: 32 << 20,
            node_cache_bytes: 64 << 20,
            log: LogLimits::default(),
        }
    }
}

/// A file as the tree knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Its number, never used again.
    pub file: FileId,
    /// Bytes of the prefix whose writeback is done.
    pub size_bytes: u64,
    /// Its name; of an orphan the last one.
    pub name: String,
    /// The name is gone, the file stays until `remove_file`.
    pub orphan: bool,
    /// When it was created.
    pub generation: Generation,
}

/// A range of a file and where its bytes are.
///
/// A compressed read is identified by this whole value, never by the disk address alone: two
/// ranges of a file, or of two generations, may show different parts of one stored extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileExtent {
    /// First byte in the file.
    pub file_start: u64,
    /// Plain bytes referenced.
    pub length: u64,
    /// The whole stored extent.
    pub disk: DiskExtent,
    /// Where `file_start` is within the plain bytes of the extent.
    pub offset_in_extent: u64,
    /// Plain bytes of the whole extent.
    pub ram_bytes: u64,
    /// How the stored bytes are encoded; `CODEC_RAW` if they are the plain ones.
    pub codec: u8,
    /// The commit in which this mapping was made.
    pub generation: Generation,
}

impl FileExtent {
    /// The bytes of the file that this extent gives.
    pub fn range(&self) -> FileRange {
        FileRange::new(self.file_start, self.file_start + self.length)
    }

    /// Stored as it is: any sector can be read alone.
    pub fn is_raw(&self) -> bool {
        self.codec == CODEC_RAW
    }
}

/// What is at an offset of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// Zeros, up to the extents on both sides; `end` is `u64::MAX` after the last extent.
    Hole {
        /// The whole hole.
        range: FileRange,
    },
    /// Stored bytes.
    Extent(FileExtent),
}

impl Mapping {
    /// The bytes of the file that this answer is about.
    pub fn range(&self) -> FileRange {
        match self {
            Self::Hole { range } => *range,
            Self::Extent(extent) => extent.range(),
        }
    }
}

/// An extent whose bytes are on the device and that becomes part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExtent {
    /// Where it goes; whole pages, as many bytes as `ram_bytes`.
    pub range: FileRange,
    /// Where its stored bytes are; at most `EXTENT_STORED_BYTES_MAX`.
    pub disk: DiskExtent,
    /// Plain bytes of the extent.
    pub ram_bytes: u64,
    /// How the stored bytes are encoded.
    pub codec: u8,
    /// CRC32C of each 4 KiB of stored bytes.
    pub checksums: Vec<u32>,
}

/// Sums over all extents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtentTotals {
    /// Mappings of files.
    pub file_extents: u64,
    /// Stored extents.
    pub extents: u64,
    /// Bytes on the device.
    pub stored_bytes: u64,
    /// Plain bytes of all stored extents.
    pub ram_bytes: u64,
    /// Plain bytes that some file still shows; the rest is dead until its extent goes.
    pub live_bytes: u64,
}

impl ExtentTotals {
    /// Plain bytes that no file shows any more and that stay stored, because the rest of their extent
    /// is shown: the price of bookends.
    pub fn dead_bytes(&self) -> u64 {
        self.ram_bytes.saturating_sub(self.live_bytes)
    }
}

/// A snapshot of the numbers of metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetaStats {
    /// The generation that changes go into now.
    pub generation: u64,
    /// The newest generation that is durable.
    pub durable_generation: u64,
    /// Levels of the tree; 1 is a single leaf.
    pub tree_levels: u64,
    /// Nodes of the tree.
    pub tree_nodes: u64,
    /// Changed and not yet written.
    pub dirty_node_bytes: u64,
    /// Clean nodes in memory.
    pub cached_node_bytes: u64,
    /// Nodes found in memory.
    pub node_hits: u64,
    /// Nodes read from the device.
    pub node_reads: u64,
    /// Nodes copied to a new address because their old one is in a commit.
    pub node_copies: u64,
    /// Of those, nodes of the running generation that a gate had written already.
    pub node_recopies: u64,
    /// Nodes written by commits and gates.
    pub node_writes: u64,
    /// Of those, nodes written by a gate before their commit.
    pub node_writes_early: u64,
    /// Commits that wrote a superblock.
    pub commits: u64,
    /// Calls of `commit` that another caller's commit served.
    pub commits_shared: u64,
    /// Callers made to write by the front gate.
    pub front_gate_stalls: u64,
    /// Batches written to the log.
    pub log_batches: u64,
    /// Bytes of them.
    pub log_bytes: u64,
    /// Changes in them.
    pub log_records: u64,
    /// Pages in them, which a `sync` left to be written home later.
    pub log_pages: u64,
    /// Calls of `sync` that asked the log.
    pub log_tickets: u64,
    /// Of those, calls that somebody else's batch had served already.
    pub log_needless: u64,
    /// Of those, calls that the log could not serve and that committed.
    pub log_fallbacks: u64,
    /// Sums over all extents.
    pub extents: ExtentTotals,
}

/// A stored extent and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredExtent {
    /// Where it is.
    pub disk: DiskExtent,
    /// Mappings that point here.
    pub refs: u32,
    /// Plain bytes they show.
    pub live_bytes: u64,
    /// Plain bytes of the whole extent.
    pub ram_bytes: u64,
}

impl StoredExtent {
    /// Its address, which is its key.
    pub fn start(&self) -> DiskOffset {
        self.disk.start
    }
}
