//! Appends of one client: writes at wherever the file ends.
//!
//! The end is shared ([`Cursors`]), so the offsets of several clients depend on who comes first; those of a single one do not.

use std::sync::Arc;

use super::access::{Left, Parts, SyncEvery};
use super::cursors::Cursors;
use super::pace::Pacer;
use super::sizes::Sizes;
use super::versions::Versions;
use crate::op::{Op, TimedOp};
use crate::plan::{BlockPlan, FileSpan, SyncEveryPlan};
use crate::random::Dice;

/// The stream.
#[derive(Debug)]
pub(crate) struct AppendStream {
    files: FileSpan,
    /// Files are taken in turns; which is next.
    turn: u32,
    sizes: Sizes,
    dice: Dice,
    left: Left,
    pacer: Pacer,
    versions: Versions,
    syncs: SyncEvery,
    cursors: Arc<Cursors>,
}

impl AppendStream {
    pub(crate) fn new(
        files: FileSpan,
        block: &BlockPlan,
        syncs: SyncEveryPlan,
        parts: Parts,
        cursors: Arc<Cursors>,
    ) -> Self {
        let share = parts.share;
        Self {
            files,
            turn: share.client % files.count,
            sizes: Sizes::new(block),
            dice: Dice::new(&[parts.seed, 4, u64::from(share.client)]),
            left: Left::new(parts.bound, share, block.only()),
            pacer: parts.pacer,
            versions: parts.versions,
            syncs: SyncEvery::new(syncs),
            cursors,
        }
    }
}

impl Iterator for AppendStream {
    type Item = TimedOp;

    fn next(&mut self) -> Option<TimedOp> {
        if let Some(sync) = self.syncs.take() {
            return Some(sync);
        }
        if self.left.is_spent() {
            return None;
        }
        let moment = self.pacer.next()?;
        let size = self.sizes.draw(&mut self.dice);
        let bytes = self.left.take(size);
        self.pacer.moved(bytes);
        let file = self.files.slot(self.turn);
        self.turn = (self.turn + 1) % self.files.count;
        Some(TimedOp {
            op: Op::Write {
                file,
                offset: self.cursors.append(file, bytes),
                bytes,
                version: self.versions.next(),
            },
            due_ns: moment.due_ns,
            think_ns: self.syncs.note(file, moment.think_ns),
        })
    }
}
