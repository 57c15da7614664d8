//! Reads and writes of one client.

use std::sync::Arc;

use super::cursors::Cursors;
use super::layout::{Layout, Spot};
use super::pace::{Moment, Pacer};
use super::share::Share;
use super::versions::Versions;
use super::walk::Walk;
use crate::op::{FileSlot, Op, TimedOp};
use crate::plan::{AccessPlan, Bound, SyncEveryPlan, Verb};

/// How much of the job is left for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Ops(u64),
    Bytes(u64),
    /// Until the pattern comes round.
    Lap,
    Endless,
}

impl Left {
    /// What of `bound` falls to `share`. Where every operation moves `op_bytes`, bytes are counted as operations, so
    /// that the last one moves as many too.
    pub(crate) fn new(bound: Bound, share: Share, op_bytes: Option<u64>) -> Self {
        match (bound, op_bytes) {
            (Bound::Once, _) => Self::Lap,
            (Bound::Phase, _) => Self::Endless,
            (Bound::Ops(ops), _) => Self::Ops(share.of(ops)),
            (Bound::Bytes(bytes), Some(each)) => Self::Ops(share.of(bytes.div_ceil(each))),
            (Bound::Bytes(bytes), None) => Self::Bytes(share.of(bytes)),
        }
    }

    /// Nothing is left.
    pub(crate) fn is_spent(self) -> bool {
        matches!(self, Self::Ops(0) | Self::Bytes(0))
    }

    /// Takes an operation of at most `bytes` and says how large it may be.
    pub(crate) fn take(&mut self, bytes: u64) -> u64 {
        match self {
            Self::Ops(ops) => {
                *ops -= 1;
                bytes
            }
            Self::Bytes(left) => {
                let taken = bytes.min(*left);
                *left -= taken;
                taken
            }
            Self::Lap | Self::Endless => bytes,
        }
    }
}

/// A sync after every so many writes.
#[derive(Debug)]
pub(crate) struct SyncEvery {
    every: u64,
    /// The data alone.
    is_data: bool,
    since: u64,
    wanted: Option<Wanted>,
}

/// A sync that comes next, and the rest after it.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    file: FileSlot,
    think_ns: u64,
}

impl SyncEvery {
    pub(crate) fn new(plan: SyncEveryPlan) -> Self {
        Self {
            every: plan.fsync_every.max(plan.fdatasync_every),
            is_data: plan.fdatasync_every > 0,
            since: 0,
            wanted: None,
        }
    }

    /// The sync that is due before anything else.
    pub(crate) fn take(&mut self) -> Option<TimedOp> {
        let Wanted { file, think_ns } = self.wanted.take()?;
        let sync = if self.is_data {
            Op::DataSync { file }
        } else {
            Op::Sync { file }
        };
        Some(TimedOp {
            think_ns,
            ..TimedOp::asap(sync)
        })
    }

    /// Notes a write to `file`; returns the rest that follows the write itself. Where a sync follows, the rest comes after the sync.
    pub(crate) fn note(&mut self, file: FileSlot, think_ns: u64) -> u64 {
        if self.every == 0 {
            return think_ns;
        }
        self.since += 1;
        if self.since < self.every {
            return think_ns;
        }
        self.since = 0;
        self.wanted = Some(Wanted { file, think_ns });
        0
    }
}

/// The stream.
#[derive(Debug)]
pub(crate) struct AccessStream {
    verb: Verb,
    walk: Walk,
    left: Left,
    pacer: Pacer,
    versions: Versions,
    syncs: SyncEvery,
    /// Writes move the ends of files that are appended to elsewhere.
    cursors: Option<Arc<Cursors>>,
}

/// What a stream is made of, apart from its plan.
pub(crate) struct Parts {
    pub(crate) share: Share,
    pub(crate) bound: Bound,
    pub(crate) pacer: Pacer,
    pub(crate) versions: Versions,
    /// Of the job.
    pub(crate) seed: u64,
    /// The end of the phase, where it has one.
    pub(crate) until_ns: u64,
}

impl AccessStream {
    pub(crate) fn new(
        plan: &AccessPlan,
        layout: Layout,
        parts: Parts,
        cursors: Option<Arc<Cursors>>,
    ) -> Self {
        let mut left = Left::new(parts.bound, parts.share, layout.only_piece(plan));
        let walk = Walk::new(plan, layout, parts.share, parts.seed);
        if let (Left::Lap, Some(ops)) = (left, walk.lap_ops()) {
            left = Left::Ops(parts.share.of(ops));
        }
        Self {
            verb: plan.verb,
            walk,
            left,
            pacer: parts.pacer,
            versions: parts.versions,
            syncs: SyncEvery::new(plan.syncs),
            cursors,
        }
    }

    fn is_write(&mut self) -> bool {
        match self.verb {
            Verb::Write => true,
            Verb::Read | Verb::Trim => false,
            Verb::Mix {
                read_weight,
                write_weight,
            } => {
                let sum = u64::from(read_weight) + u64::from(write_weight);
                self.walk.dice().below(sum) >= u64::from(read_weight)
            }
        }
    }

    fn write(&mut self, spot: Spot, moment: Moment) -> TimedOp {
        if let Some(cursors) = &self.cursors {
            cursors.reach(spot.file, spot.offset + spot.bytes);
        }
        TimedOp {
            op: Op::Write {
                file: spot.file,
                offset: spot.offset,
                bytes: spot.bytes,
                version: self.versions.next(),
            },
            due_ns: moment.due_ns,
            think_ns: self.syncs.note(spot.file, moment.think_ns),
        }
    }
}

impl Iterator for AccessStream {
    type Item = TimedOp;

    #[inline]
    fn next(&mut self) -> Option<TimedOp> {
        if let Some(sync) = self.syncs.take() {
            return Some(sync);
        }
        if self.left.is_spent() {
            return None;
        }
        // Drawn first only where the size depends on it: streams of before keep their operations.
        let early = self.walk.has_directions().then(|| self.is_write());
        let mut spot = self
            .walk
            .spot(early == Some(true), self.left == Left::Lap)?;
        let moment = self.pacer.next()?;
        spot.bytes = self.left.take(spot.bytes);
        self.pacer.moved(spot.bytes);
        if early.unwrap_or_else(|| self.is_write()) {
            return Some(self.write(spot, moment));
        }
        let Spot {
            file,
            offset,
            bytes,
        } = spot;
        let op = match self.verb {
            Verb::Trim => Op::PunchHole {
                file,
                offset,
                bytes,
            },
            _ => Op::Read {
                file,
                offset,
                bytes,
            },
        };
        Some(TimedOp {
            op,
            due_ns: moment.due_ns,
            think_ns: moment.think_ns,
        })
    }
}
