//! What a job does: verbs, patterns, blocks and bounds, resolved.

use serde::Serialize;

use super::{Pace, TracePlan, is_zero};
use crate::op::FileSlot;

/// A job: one kind of work by one or several clients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobPlan {
    /// Unique in the phase: `name:`, or the verb and the file.
    pub name: String,
    /// How many do it side by side, each on a stream of its own.
    pub clients: u32,
    /// What they do.
    pub work: Work,
    /// When.
    pub pace: Pace,
    /// When they are through, all clients together.
    pub bound: Bound,
    /// Starts so long after the phase, or after the job that it waits for.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ns: u64,
    /// Ends so long after its start, even if there is more to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
    /// Waits for this job of the phase to be through: an index into the phase's jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after: Option<usize>,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Reads and writes in a region of one or several files, perhaps with whole-file operations among them.
    Access(AccessPlan),
    /// Writes at the end.
    Append {
        /// One or the instances of one.
        files: FileSpan,
        /// Sizes.
        block: BlockPlan,
        /// Syncs between the writes.
        #[serde(flatten)]
        syncs: SyncEveryPlan,
    },
    /// Make each file a given size.
    Truncate {
        /// One or the instances of one.
        files: FileSpan,
        /// The size.
        to_bytes: u64,
    },
    /// Make each file afresh.
    Create {
        /// One or the instances of one.
        files: FileSpan,
    },
    /// Remove each file.
    Remove {
        /// One or the instances of one.
        files: FileSpan,
    },
    /// Give each file another name.
    Rename {
        /// One or the instances of one.
        files: FileSpan,
    },
    /// Sync each file.
    Sync {
        /// One or the instances of one.
        files: FileSpan,
    },
    /// All steps to one file, then to the next.
    Each {
        /// One or the instances of one.
        files: FileSpan,
        /// One after the other.
        steps: Vec<Step>,
        /// Sizes of what is read and written.
        block: Option<BlockPlan>,
    },
    /// What a recording says.
    Trace(TracePlan),
    /// Write what a recording reads before it writes it.
    Fill {
        /// The recording, as it is replayed later.
        #[serde(flatten)]
        trace: TracePlan,
        /// What is due then, or later, is not replayed.
        until_ns: Option<u64>,
    },
}

/// One step of a loop over files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make it afresh.
    Create,
    /// Write it from start to end.
    Write,
    /// Write a block at its end.
    Append,
    /// Read it from start to end.
    Read,
    /// Sync it.
    Sync,
    /// Sync its data.
    DataSync,
    /// Give it another name.
    Rename,
    /// Remove it.
    Remove,
}

/// Syncs between the writes of a client; 0 for never, and at most one of the two is above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SyncEveryPlan {
    /// A sync after so many writes.
    pub fsync_every: u64,
    /// A sync of the data alone after so many writes.
    #[serde(skip_serializing_if = "is_zero")]
    pub fdatasync_every: u64,
}

/// Reads and writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessPlan {
    /// One or the instances of one.
    pub files: FileSpan,
    /// What is done there.
    pub verb: Verb,
    /// Where the next operation goes.
    pub pattern: PatternPlan,
    /// Sizes; of reads, where writes have their own.
    pub block: BlockPlan,
    /// First byte of the region.
    pub region_start: u64,
    /// Bytes of the region; of the largest file, where each has its own size.
    pub region_bytes: u64,
    /// Syncs between the writes.
    #[serde(flatten)]
    pub syncs: SyncEveryPlan,
    /// Sizes of writes, where they have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_block: Option<BlockPlan>,
    /// The files differ in size, and the region of each is the whole of it.
    #[serde(skip_serializing_if = "is_false")]
    pub whole_files: bool,
    /// Of a mix that does more than read and write: everything it does. Each client then has files of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<MixShare>,
}

/// One verb of a mix and its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MixShare {
    /// What is done.
    pub verb: MixVerb,
    /// Out of the sum of the weights.
    pub weight: u32,
}

/// What a mix can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixVerb {
    /// Read a block.
    Read,
    /// Write a block.
    Write,
    /// Write a block at the end of a file.
    Append,
    /// Punch a hole.
    Trim,
    /// Make a file that was removed.
    Create,
    /// Remove a file.
    Remove,
    /// Give a file another name.
    Rename,
    /// Sync a file.
    Sync,
}

impl MixVerb {
    /// Goes to a place in a file, and not to the file as a whole or its end.
    pub(crate) fn is_placed(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Trim)
    }

    /// The word that workloads use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Append => "append",
            Self::Trim => "trim",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Sync => "sync",
        }
    }
}

/// What is done at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Punch a hole.
    Trim,
    /// Read or write.
    Mix {
        /// Out of `read_weight + write_weight`.
        read_weight: u32,
        /// Out of `read_weight + write_weight`.
        write_weight: u32,
    },
}

/// Consecutive slots: one file, or the instances of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileSpan {
    /// The first.
    pub first: FileSlot,
    /// How many, at least one.
    pub count: u32,
}

impl FileSpan {
    /// The `nth` of them.
    pub(crate) fn slot(self, nth: u32) -> FileSlot {
        FileSlot(self.first.0 + nth)
    }

    /// Their indices in the load's files.
    pub fn indices(self) -> std::ops::Range<usize> {
        let first = self.first.0 as usize;
        first..first + self.count as usize
    }
}

/// Where the next operation goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternPlan {
    /// One after the other; clients have contiguous shares.
    Sequential,
    /// The same from the end to the start.
    Backward,
    /// Several sequential streams in turns.
    Interleaved {
        /// Of each client.
        streams: u32,
        /// From the end to the start.
        backward: bool,
    },
    /// One after the other, this far apart; the next lap fills the gaps.
    Stride {
        /// From start to start.
        stride_bytes: u64,
        /// From the end to the start.
        #[serde(skip_serializing_if = "is_false")]
        backward: bool,
    },
    /// Each place alike, with repetition.
    Random,
    /// Runs of places one after the other, each from a place drawn from all.
    Runs(RunLength),
    /// Each place once, in random order.
    Shuffle,
    /// The k-th most wanted place is wanted in proportion to 1 / k^theta.
    Zipf {
        /// 0 is uniform.
        theta: f64,
        /// Are the wanted places spread over the region (or all at its start)?
        scatter: bool,
    },
    /// A share of the places gets the rest of the accesses, and the same again within it.
    Pareto {
        /// The share, up to one half.
        share: f64,
        /// Are the wanted places spread over the region (or all at its start)?
        scatter: bool,
    },
    /// Around a centre.
    Normal {
        /// Where, as a share of the region.
        center: f64,
        /// The standard deviation, as a share of the region.
        deviation: f64,
    },
    /// Hot and cold stretches, from the start of the region.
    Zones(Vec<ZonePlan>),
    /// One hot stretch that moves through the region.
    Hotspot(HotspotPlan),
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunLength {
    /// So many operations.
    Fixed(u64),
    /// Until a jump: the share of the operations that begin a run.
    Jumps(f64),
}

/// A hot stretch that moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HotspotPlan {
    /// The share of the accesses that go to it.
    pub accesses: f64,
    /// Its share of the region.
    pub space: f64,
    /// It moves after so many operations of all clients.
    pub every_ops: u64,
    /// So far, as a share of the region.
    pub by: f64,
}

impl PatternPlan {
    /// Places are drawn with repetition, and the pattern never comes round.
    pub(crate) fn is_drawn(&self) -> bool {
        matches!(
            self,
            Self::Random
                | Self::Runs(_)
                | Self::Hotspot(_)
                | Self::Zipf { .. }
                | Self::Pareto { .. }
                | Self::Normal { .. }
                | Self::Zones(_)
        )
    }
}

/// A stretch of the region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ZonePlan {
    /// Its share of the accesses.
    pub accesses: f64,
    /// Its share of the region.
    pub space: f64,
}

/// Sizes of operations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockPlan {
    /// Sizes and their weights; one or more.
    pub sizes: Vec<BlockSize>,
    /// The sizes are the two ends of a range; those between are this far apart, and each is as likely as the ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_bytes: Option<u64>,
    /// Offsets are multiples of this, from the start of the region.
    pub align_bytes: u64,
}

impl BlockPlan {
    /// The only size, where there is one.
    pub(crate) fn only(&self) -> Option<u64> {
        match &self.sizes[..] {
            [only] => Some(only.bytes),
            _ => None,
        }
    }

    /// The largest size.
    pub(crate) fn largest(&self) -> u64 {
        let sizes = self.sizes.iter().map(|size| size.bytes);
        sizes.max().expect("a block has at least one size")
    }
}

/// One size of a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlockSize {
    /// How large.
    pub bytes: u64,
    /// Its share is its weight over the sum of the weights.
    pub weight: f64,
}

/// When a job is through. All of it is over the clients together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// After each place (or file) once.
    Once,
    /// After so many operations (syncs of `fsync_every` not counted).
    Ops(u64),
    /// After so many bytes.
    Bytes(u64),
    /// With the phase, or with its own duration.
    Phase,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
pub(super) fn is_false(flag: &bool) -> bool {
    !*flag
}
