//! The vocabulary between a workload and whatever it is replayed on.
//!
//! A workload never touches a file: it yields operations, and a target carries them out. Everything
//! a target has to know is in the operation itself, so a stream may come from YAML or from a trace
//! and the target cannot tell.
//!
//! Files are named by slot. What a slot is called is asked of the plan
//! ([`LoadPlan::file_name`](crate::plan::LoadPlan::file_name)); a trace makes slots as it meets files,
//! which is why a name is no part of the operation.
//!
//! Not here: who makes operations (`stream`, `trace`), what bytes a version stands for (`content`).

use serde::Serialize;

/// A file of the workload, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FileSlot(pub u32);

/// One operation on files.
///
/// `version` of a write names the bytes together with the file and the offset (see
/// [`Content::fill`](crate::content::Content::fill)): it is unique in a run and never 0, so 0 may stand for "never written".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Read `bytes` at `offset`; a file that ends before gives what it has.
    Read {
        /// Which file.
        file: FileSlot,
        /// First byte.
        offset: u64,
        /// How many bytes, at least one.
        bytes: u64,
    },
    /// Write `bytes` at `offset`, growing the file where it ends before.
    Write {
        /// Which file.
        file: FileSlot,
        /// First byte.
        offset: u64,
        /// How many bytes, at least one.
        bytes: u64,
        /// Which bytes.
        version: u64,
    },
    /// Everything written to this file so far is durable when it returns.
    Sync {
        /// Which file.
        file: FileSlot,
    },
    /// The same for every file of the target.
    VolumeSync,
    /// Make the file end after `bytes`; a longer file loses its tail, a shorter one gains a hole.
    Truncate {
        /// Which file.
        file: FileSlot,
        /// The size afterwards.
        bytes: u64,
    },
    /// Give the space back: the range reads as zeros afterwards and the size stays.
    PunchHole {
        /// Which file.
        file: FileSlot,
        /// First byte.
        offset: u64,
        /// How many bytes, at least one.
        bytes: u64,
    },
    /// Make the file afresh: it exists and is empty afterwards, whatever was there before.
    Create {
        /// Which file.
        file: FileSlot,
    },
    /// The file exists afterwards, with what it had; it is made empty where it did not exist.
    Open {
        /// Which file.
        file: FileSlot,
    },
    /// Take the name away and, with it, the file. A file that is not there is no error.
    Remove {
        /// Which file.
        file: FileSlot,
    },
    /// Give the file its `serial`-th other name ([`renamed`]); slot and content stay.
    Rename {
        /// Which file.
        file: FileSlot,
        /// Counts the renames of this file, from 1.
        serial: u32,
    },
    /// Everything written to this file so far can be read back afterwards; what of its metadata does not serve that may be lost.
    DataSync {
        /// Which file.
        file: FileSlot,
    },
}

/// What `serial` renames make of a name.
pub fn renamed(name: &str, serial: u32) -> String {
    format!("{name}~{serial}")
}

/// What an operation is, for grouping latencies and counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// `Op::Read`.
    Read,
    /// `Op::Write`.
    Write,
    /// `Op::Sync`.
    Sync,
    /// `Op::VolumeSync`.
    VolumeSync,
    /// `Op::Truncate`.
    Truncate,
    /// `Op::PunchHole`.
    PunchHole,
    /// `Op::Create`.
    Create,
    /// `Op::Open`.
    Open,
    /// `Op::Remove`.
    Remove,
    /// `Op::Rename`.
    Rename,
    /// `Op::DataSync`.
    DataSync,
}

impl OpKind {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::VolumeSync,
        Self::Truncate,
        Self::PunchHole,
        Self::Create,
        Self::Open,
        Self::Remove,
        Self::Rename,
        Self::DataSync,
    ];

    /// The name that records and assertions use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::VolumeSync => "volume_sync",
            Self::Truncate => "truncate",
            Self::PunchHole => "punch_hole",
            Self::Create => "create",
            Self::Open => "open",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::DataSync => "fdatasync",
        }
    }
}

impl Op {
    /// Which of the kinds it is.
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Read { .. } => OpKind::Read,
            Self::Write { .. } => OpKind::Write,
            Self::Sync { .. } => OpKind::Sync,
            Self::VolumeSync => OpKind::VolumeSync,
            Self::Truncate { .. } => OpKind::Truncate,
            Self::PunchHole { .. } => OpKind::PunchHole,
            Self::Create { .. } => OpKind::Create,
            Self::Open { .. } => OpKind::Open,
            Self::Remove { .. } => OpKind::Remove,
            Self::Rename { .. } => OpKind::Rename,
            Self::DataSync { .. } => OpKind::DataSync,
        }
    }

    /// The file it is about; none for a sync of the whole target.
    pub fn file(&self) -> Option<FileSlot> {
        match *self {
            Self::Read { file, .. }
            | Self::Write { file, .. }
            | Self::Sync { file }
            | Self::Truncate { file, .. }
            | Self::PunchHole { file, .. }
            | Self::Create { file }
            | Self::Open { file }
            | Self::Remove { file }
            | Self::Rename { file, .. }
            | Self::DataSync { file } => Some(file),
            Self::VolumeSync => None,
        }
    }

    /// The bytes of a file that it reads, writes or punches out: which file, the first, how many. None where it names no such
    /// bytes; how many a truncate, a create or a remove changes is up to the file.
    pub fn place(&self) -> Option<(FileSlot, u64, u64)> {
        match *self {
            Self::Read {
                file,
                offset,
                bytes,
            }
            | Self::Write {
                file,
                offset,
                bytes,
                ..
            }
            | Self::PunchHole {
                file,
                offset,
                bytes,
            } => Some((file, offset, bytes)),
            Self::Sync { .. }
            | Self::VolumeSync
            | Self::Truncate { .. }
            | Self::Create { .. }
            | Self::Open { .. }
            | Self::Remove { .. }
            | Self::Rename { .. }
            | Self::DataSync { .. } => None,
        }
    }

    /// Bytes read or written by it: what throughput counts.
    pub fn payload_bytes(&self) -> u64 {
        match *self {
            Self::Read { bytes, .. } | Self::Write { bytes, .. } => bytes,
            _ => 0,
        }
    }
}

/// An operation and when it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimedOp {
    /// What to do.
    pub op: Op,
    /// Open loop: nanoseconds after the start of the phase at which it is due, and from which its
    /// latency counts. Closed loop: none, it follows when the one before has returned.
    pub due_ns: Option<u64>,
    /// Think time: how long the client rests after it returned, before it takes the next one.
    pub think_ns: u64,
}

impl TimedOp {
    /// Follows at once.
    pub fn asap(op: Op) -> Self {
        Self {
            op,
            due_ns: None,
            think_ns: 0,
        }
    }
}
