//! Several verbs of one client, whole-file ones among them.
//!
//! Each operation takes the next place of the pattern; reads, writes and holes go there, the others take the file of that place. So a
//! pattern says which files are wanted often, too. A client has files of its own, so that which of them are there is a function of
//! the seed and no race:
//!   * `create` makes one of those that are not there; where all are, it makes the pattern's afresh;
//!   * every other verb, where the pattern's file is not there, takes any that is; where none is, it becomes a `create`.

use std::sync::Arc;

use super::access::{Left, Parts, SyncEvery};
use super::cursors::Cursors;
use super::layout::{Layout, Spot};
use super::pace::{Moment, Pacer};
use super::present::Present;
use super::share::Share;
use super::versions::Versions;
use super::walk::Walk;
use crate::op::{FileSlot, Op, TimedOp};
use crate::plan::{AccessPlan, FilePlan, FileSpan, MixVerb};
use crate::random::{Dice, Weights, mix_all};

/// The stream.
#[derive(Debug)]
pub(crate) struct MixStream {
    verbs: Vec<MixVerb>,
    weights: Weights,
    /// For verbs and for files that stand in for others.
    dice: Dice,
    walk: Walk,
    left: Left,
    pacer: Pacer,
    versions: Versions,
    syncs: SyncEvery,
    cursors: Arc<Cursors>,
    files: FileSpan,
    present: Present,
}

impl MixStream {
    pub(crate) fn new(
        plan: &AccessPlan,
        files: &[FilePlan],
        parts: Parts,
        cursors: Arc<Cursors>,
    ) -> Self {
        let share = parts.share;
        let own = share.range(u64::from(plan.files.count));
        let nth = |at: u64| u32::try_from(at).expect("files are counted in u32");
        let own = FileSpan {
            first: plan.files.slot(nth(own.start)),
            count: nth(own.end - own.start),
        };
        let plan = AccessPlan {
            files: own,
            ..plan.clone()
        };
        let layout = Layout::new(&plan, files);
        let seed = mix_all(&[parts.seed, 7, u64::from(share.client)]);
        let alone = Share {
            client: 0,
            clients: 1,
        };
        let walk = Walk::new(&plan, layout, alone, seed);
        let mut left = Left::new(parts.bound, share, None);
        if let (Left::Lap, Some(ops)) = (left, walk.lap_ops()) {
            left = Left::Ops(ops);
        }
        Self {
            verbs: plan.mix.iter().map(|share| share.verb).collect(),
            weights: Weights::new(plan.mix.iter().map(|share| f64::from(share.weight))),
            dice: Dice::new(&[seed, 8]),
            walk,
            left,
            pacer: parts.pacer,
            versions: parts.versions,
            syncs: SyncEvery::new(plan.syncs),
            present: Present::new(own.count, |nth| cursors.exists(own.slot(nth))),
            cursors,
            files: own,
        }
    }

    /// The verb as it is carried out, and the file that it takes.
    fn settle(&mut self, verb: MixVerb, wanted: u32) -> (MixVerb, u32) {
        if verb == MixVerb::Create {
            let absent = self.present.pick_absent(&mut self.dice);
            return (verb, absent.unwrap_or(wanted));
        }
        if self.present.contains(wanted) {
            return (verb, wanted);
        }
        match self.present.pick(&mut self.dice) {
            Some(other) => (verb, other),
            None => (MixVerb::Create, wanted),
        }
    }

    fn write(&mut self, file: FileSlot, offset: u64, bytes: u64, moment: Moment) -> TimedOp {
        TimedOp {
            op: Op::Write {
                file,
                offset,
                bytes,
                version: self.versions.next(),
            },
            due_ns: moment.due_ns,
            think_ns: self.syncs.note(file, moment.think_ns),
        }
    }

    fn timed(&mut self, verb: MixVerb, spot: Spot, size: u64, moment: Moment) -> TimedOp {
        let wanted = spot.file.0 - self.files.first.0;
        let (verb, nth) = self.settle(verb, wanted);
        let file = self.files.slot(nth);
        let mut spot = if nth == wanted || !verb.is_placed() {
            spot
        } else {
            self.walk.layout().moved(spot, nth)
        };
        let moved = match verb {
            MixVerb::Read | MixVerb::Write | MixVerb::Trim => spot.bytes,
            MixVerb::Append => size,
            _ => 0,
        };
        let bytes = self.left.take(moved);
        self.pacer.moved(bytes);
        spot.bytes = bytes;
        let Spot { offset, .. } = spot;
        let op = match verb {
            MixVerb::Write => {
                self.cursors.reach(file, offset + bytes);
                return self.write(file, offset, bytes, moment);
            }
            MixVerb::Append => {
                let offset = self.cursors.append(file, bytes);
                return self.write(file, offset, bytes, moment);
            }
            MixVerb::Read => Op::Read {
                file,
                offset,
                bytes,
            },
            MixVerb::Trim => Op::PunchHole {
                file,
                offset,
                bytes,
            },
            MixVerb::Create => {
                self.cursors.create(file);
                self.present.insert(nth);
                Op::Create { file }
            }
            MixVerb::Remove => {
                self.cursors.remove(file);
                self.present.remove(nth);
                Op::Remove { file }
            }
            MixVerb::Rename => Op::Rename {
                file,
                serial: self.cursors.rename(file),
            },
            MixVerb::Sync => Op::Sync { file },
        };
        TimedOp {
            op,
            due_ns: moment.due_ns,
            think_ns: moment.think_ns,
        }
    }
}

impl Iterator for MixStream {
    type Item = TimedOp;

    fn next(&mut self) -> Option<TimedOp> {
        if let Some(sync) = self.syncs.take() {
            return Some(sync);
        }
        if self.left.is_spent() {
            return None;
        }
        let verb = self.verbs[self.weights.pick(self.dice.bits())];
        let is_write = matches!(verb, MixVerb::Write | MixVerb::Append);
        let size = self.walk.size(is_write);
        let spot = self.walk.spot_of(size, self.left == Left::Lap)?;
        let moment = self.pacer.next()?;
        Some(self.timed(verb, spot, size, moment))
    }
}
