//! What can be wrong with an image: one variant per inconsistency, each with its rank.
//!
//! Not here: finding it (check).

use crate::compress::{Codec, CodecError};
use crate::error::EngineError;
use crate::units::{DiskExtent, DiskOffset, FileId, FileRange, Generation};

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What a crash may leave behind; opening puts it right.
    Warning,
    /// Some file shows wrong bytes or none, or space is lost. The volume opens.
    Error,
    /// The volume does not open, or writing to it could destroy more.
    Fatal,
}

/// One inconsistency of an image.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Issue {
    /// A superblock slot has no usable superblock; the other one has.
    #[error("superblock at {at:?}: {reason}")]
    SuperblockUnusable {
        /// Where the slot is.
        at: DiskOffset,
        /// What is wrong.
        reason: String,
    },
    /// The two superblocks are of different volumes, or of one that was changed from outside.
    #[error("superblock at {at:?}: its {what} is not that of the newest one")]
    SuperblocksDiffer {
        /// Where the other one is.
        at: DiskOffset,
        /// What differs.
        what: &'static str,
    },
    /// A superblock is in the slot of the generation after its own: the next commit writes over it.
    #[error("superblock at {at:?}: generation {generation:?} belongs into the other slot")]
    SuperblockMisplaced {
        /// Where it is.
        at: DiskOffset,
        /// Its generation.
        generation: Generation,
    },
    /// The other superblock is not of the generation before the newest: a write to it was lost.
    #[error("superblock at {at:?}: generation {found:?}, and the newest is {newest:?}")]
    SuperblockStale {
        /// Where it is.
        at: DiskOffset,
        /// Its generation.
        found: Generation,
        /// The newest one's.
        newest: Generation,
    },
    /// No slot has a usable superblock, or the device cannot be read there.
    #[error("no superblock: {error}")]
    NoSuperblock {
        /// What was found.
        error: EngineError,
    },
    /// A node cannot be read or is not the one its parent points to; all below it is lost.
    #[error("tree node at {at:?}: {error}")]
    NodeUnusable {
        /// Where it should be.
        at: DiskOffset,
        /// What is wrong.
        error: EngineError,
    },
    /// A node is newer than its parent or than the superblock.
    #[error("tree node at {at:?} is of generation {found:?}, what points to it of {newest:?}")]
    NodeFromFuture {
        /// Where it is.
        at: DiskOffset,
        /// Its generation.
        found: Generation,
        /// The newest it could be.
        newest: Generation,
    },
    /// A node has two parents, or a parent points to it twice.
    #[error("tree node at {at:?} is pointed to twice")]
    NodeTwice {
        /// Where it is.
        at: DiskOffset,
    },
    /// A node holds keys outside the range its parent gives it.
    #[error("tree node at {at:?} holds {found}, its parent says {expected}")]
    KeysOutOfRange {
        /// Where the node is.
        at: DiskOffset,
        /// The parent's range.
        expected: String,
        /// The first key outside it.
        found: String,
    },
    /// An item cannot be decoded, or is where no such item belongs.
    #[error("item {key} in the node at {at:?}: {error}")]
    ItemMalformed {
        /// Where its node is.
        at: DiskOffset,
        /// Its key.
        key: String,
        /// What is wrong.
        error: EngineError,
    },
    /// Sectors belong to two nodes or stored extents.
    #[error("{second:?} overlaps {first:?}: sectors with two owners")]
    SpaceOwnedTwice {
        /// The owner at the lower address.
        first: DiskExtent,
        /// The other one.
        second: DiskExtent,
    },
    /// A stored extent reaches out of the volume.
    #[error("{extent:?} is not inside the volume")]
    SpaceOutside {
        /// The extent.
        extent: DiskExtent,
    },
    /// A file's number is one the volume would give to a new file.
    #[error("file {file:?} has a number that was never given out, the next is {file_next}")]
    FileFromFuture {
        /// The file.
        file: FileId,
        /// The next number.
        file_next: u64,
    },
    /// A file was created after the commit it is in.
    #[error("file {file:?} ({name:?}) is of generation {found:?}, its node of {newest:?}")]
    InodeFromFuture {
        /// The file.
        file: FileId,
        /// Its name.
        name: String,
        /// Its generation.
        found: Generation,
        /// The newest it could be.
        newest: Generation,
    },
    /// Two files have one name.
    #[error("files {first:?} and {second:?} are both named {name:?}")]
    NameTwice {
        /// The name.
        name: String,
        /// One file.
        first: FileId,
        /// The other one.
        second: FileId,
    },
    /// A mapping belongs to no file.
    #[error("{range:?} of file {file:?} is mapped, and there is no such file")]
    MappingWithoutFile {
        /// The file that is not there.
        file: FileId,
        /// The range.
        range: FileRange,
    },
    /// Two mappings of a file show the same bytes: what is written to one page would change others.
    #[error("file {file:?}: the mapping of {range:?} starts before the one before it ends")]
    MappingsOverlap {
        /// The file.
        file: FileId,
        /// The later mapping.
        range: FileRange,
    },
    /// A mapping is older than its file.
    #[error("file {file:?}: the mapping of {range:?} is of {found:?}, the file of {created:?}")]
    MappingBeforeFile {
        /// The file.
        file: FileId,
        /// The range.
        range: FileRange,
        /// Its generation.
        found: Generation,
        /// The file's.
        created: Generation,
    },
    /// A mapping has a codec that nobody knows.
    #[error("file {file:?}: {range:?} is stored with codec {codec}, which is unknown")]
    CodecUnknown {
        /// The file.
        file: FileId,
        /// The range.
        range: FileRange,
        /// The number.
        codec: u8,
    },
    /// A mapping was made after the commit it is in.
    #[error("file {file:?}: the mapping of {range:?} is of generation {found:?}")]
    MappingFromFuture {
        /// The file.
        file: FileId,
        /// The range.
        range: FileRange,
        /// Its generation.
        found: Generation,
    },
    /// A mapping lies past the page of the file's last byte: its size had not caught up.
    #[error("file {file:?}: {range:?} is mapped past its size of {size_bytes} bytes")]
    MappingPastSize {
        /// The file.
        file: FileId,
        /// The range.
        range: FileRange,
        /// Its size.
        size_bytes: u64,
    },
    /// A mapping points to a stored extent that has no item. Where the log changes what it shows, that fails.
    #[error(
        "file {file:?} shows the stored extent at {at:?}, which is not there{}",
        stop(.stops_replay)
    )]
    StoredMissing {
        /// A file that shows it.
        file: FileId,
        /// Where it would be.
        at: DiskOffset,
        /// The log takes away of it what cannot be taken: the volume does not open.
        stops_replay: bool,
    },
    /// Mappings of one stored extent, or a mapping and the extent, disagree about its sizes or codec: what
    /// the next write frees may be somebody's.
    #[error("file {file:?} and others disagree about the stored extent at {at:?}: {what}")]
    StoredDisputed {
        /// A file that shows it.
        file: FileId,
        /// Where it is.
        at: DiskOffset,
        /// About what.
        what: &'static str,
    },
    /// No mapping points to a stored extent.
    #[error("the stored extent {extent:?} belongs to no file")]
    StoredUnused {
        /// The extent.
        extent: DiskExtent,
    },
    /// A stored extent counts its mappings wrongly. Where it counts too few, sectors that a file shows would
    /// be given to others.
    #[error(
        "the stored extent at {at:?} counts {counted} mappings, there are {found}{}",
        stop(.stops_replay)
    )]
    RefsDiffer {
        /// Where it is.
        at: DiskOffset,
        /// What it says.
        counted: u32,
        /// What there is.
        found: u32,
        /// The log takes away of it what cannot be taken: the volume does not open.
        stops_replay: bool,
    },
    /// A stored extent counts the bytes shown of it wrongly; too few are as bad as too few mappings.
    #[error(
        "the stored extent at {at:?} counts {counted} live bytes, there are {found}{}",
        stop(.stops_replay)
    )]
    LiveBytesDiffer {
        /// Where it is.
        at: DiskOffset,
        /// What it says.
        counted: u64,
        /// What there is.
        found: u64,
        /// The log takes away of it what cannot be taken: the volume does not open.
        stops_replay: bool,
    },
    /// The log does not hold what was written: a batch in the middle is damaged, or a whole one holds no
    /// records. Changes that were durable are lost with it.
    #[error("log at {at:?}: {error}")]
    LogUnusable {
        /// Where the log is.
        at: DiskOffset,
        /// What is wrong.
        error: EngineError,
    },
    /// The last batch of the log does not count, because its data is not there: it was not durable yet.
    #[error("the last batch of the log is dropped: its data at {missing:?} is not there")]
    LogEndDropped {
        /// The first sector that is not what the batch says.
        missing: DiskOffset,
    },
    /// A record of the log cannot be replayed on what is before it.
    #[error("batch of the log at {at:?}: no such change can be made to file {file:?}: {record}")]
    LogRecordUnfit {
        /// Where its batch is.
        at: DiskOffset,
        /// The file.
        file: FileId,
        /// The record.
        record: String,
    },
    /// Stored bytes cannot be read.
    #[error("stored bytes {extent:?}: {error}")]
    DataUnreadable {
        /// Which ones.
        extent: DiskExtent,
        /// The device's word.
        error: EngineError,
    },
    /// A stored sector does not have its checksum.
    #[error("stored bytes at {at:?}: expected crc32c {expected:08x}, found {found:08x}")]
    DataChecksum {
        /// Which sector.
        at: DiskOffset,
        /// What was written.
        expected: u32,
        /// What is there.
        found: u32,
    },
    /// Stored bytes have their checksums and are not what their codec writes.
    #[error("file {file:?}: the stored extent {extent:?} is not {codec}: {error}")]
    DataUndecodable {
        /// The file that shows it.
        file: FileId,
        /// The extent.
        extent: DiskExtent,
        /// Its codec.
        codec: Codec,
        /// The codec's word.
        error: CodecError,
    },
}

impl Issue {
    /// Its rank.
    pub fn severity(&self) -> Severity {
        match self {
            Self::SuperblockUnusable { .. }
            | Self::SuperblockStale { .. }
            | Self::MappingPastSize { .. }
            | Self::LogEndDropped { .. } => Severity::Warning,
            Self::SuperblocksDiffer { .. }
            | Self::InodeFromFuture { .. }
            | Self::NameTwice { .. }
            | Self::MappingFromFuture { .. }
            | Self::MappingBeforeFile { .. }
            | Self::CodecUnknown { .. }
            | Self::StoredMissing {
                stops_replay: false,
                ..
            }
            | Self::StoredUnused { .. }
            | Self::DataUnreadable { .. }
            | Self::DataChecksum { .. }
            | Self::DataUndecodable { .. } => Severity::Error,
            Self::RefsDiffer {
                counted,
                found,
                stops_replay: false,
                ..
            } if counted > found => Severity::Error,
            Self::LiveBytesDiffer {
                counted,
                found,
                stops_replay: false,
                ..
            } if counted > found => Severity::Error,
            Self::SuperblockMisplaced { .. }
            | Self::NoSuperblock { .. }
            | Self::LogUnusable { .. }
            | Self::LogRecordUnfit { .. }
            | Self::NodeUnusable { .. }
            | Self::NodeFromFuture { .. }
            | Self::NodeTwice { .. }
            | Self::KeysOutOfRange { .. }
            | Self::ItemMalformed { .. }
            | Self::SpaceOwnedTwice { .. }
            | Self::SpaceOutside { .. }
            | Self::FileFromFuture { .. }
            | Self::StoredMissing { .. }
            | Self::RefsDiffer { .. }
            | Self::LiveBytesDiffer { .. }
            | Self::StoredDisputed { .. }
            | Self::MappingsOverlap { .. }
            | Self::MappingWithoutFile { .. } => Severity::Fatal,
        }
    }

    /// Its name in one word, for programs: that of the variant.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SuperblockUnusable { .. } => "superblock_unusable",
            Self::SuperblocksDiffer { .. } => "superblocks_differ",
            Self::SuperblockMisplaced { .. } => "superblock_misplaced",
            Self::SuperblockStale { .. } => "superblock_stale",
            Self::NoSuperblock { .. } => "no_superblock",
            Self::NodeUnusable { .. } => "node_unusable",
            Self::NodeFromFuture { .. } => "node_from_future",
            Self::NodeTwice { .. } => "node_twice",
            Self::KeysOutOfRange { .. } => "keys_out_of_range",
            Self::ItemMalformed { .. } => "item_malformed",
            Self::SpaceOwnedTwice { .. } => "space_owned_twice",
            Self::SpaceOutside { .. } => "space_outside",
            Self::FileFromFuture { .. } => "file_from_future",
            Self::InodeFromFuture { .. } => "inode_from_future",
            Self::NameTwice { .. } => "name_twice",
            Self::MappingWithoutFile { .. } => "mapping_without_file",
            Self::MappingsOverlap { .. } => "mappings_overlap",
            Self::MappingFromFuture { .. } => "mapping_from_future",
            Self::MappingBeforeFile { .. } => "mapping_before_file",
            Self::MappingPastSize { .. } => "mapping_past_size",
            Self::CodecUnknown { .. } => "codec_unknown",
            Self::StoredMissing { .. } => "stored_missing",
            Self::StoredDisputed { .. } => "stored_disputed",
            Self::StoredUnused { .. } => "stored_unused",
            Self::RefsDiffer { .. } => "refs_differ",
            Self::LiveBytesDiffer { .. } => "live_bytes_differ",
            Self::LogUnusable { .. } => "log_unusable",
            Self::LogEndDropped { .. } => "log_end_dropped",
            Self::LogRecordUnfit { .. } => "log_record_unfit",
            Self::DataUnreadable { .. } => "data_unreadable",
            Self::DataChecksum { .. } => "data_checksum",
            Self::DataUndecodable { .. } => "data_undecodable",
        }
    }
}

/// What follows from it.
fn stop(stops_replay: &bool) -> &'static str {
    match stops_replay {
        true => "; the log changes what is shown of it, and a replay stops there",
        false => "",
    }
}

impl Severity {
    /// In lower case, as programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Warning => "a crash leaves this; opening and closing the volume puts it right",
            Self::Error => {
                "copy out what reads well with `delalloc export`, then restore the files named or \
                 format the volume anew"
            }
            Self::Fatal => {
                "do not write to the volume; take a copy of the image, and restore the files from \
                 elsewhere"
            }
        }
    }
}
