//! A loop over files: all steps to one, then all to the next. Clients take files in turns.

use std::sync::Arc;

use super::access::Parts;
use super::cursors::Cursors;
use super::pace::Pacer;
use super::turns::Turns;
use super::versions::Versions;
use crate::op::{Op, TimedOp};
use crate::plan::{BlockPlan, FilePlan, FileSpan, Step};

/// The stream.
#[derive(Debug)]
pub(crate) struct EachStream {
    files: FileSpan,
    /// Of each file; empty where no step goes from start to end.
    sizes: Arc<[u64]>,
    steps: Vec<Step>,
    block_bytes: u64,
    turns: Turns,
    /// Which step of it.
    step: usize,
    /// How far a step from start to end has come.
    offset: u64,
    pacer: Pacer,
    versions: Versions,
    cursors: Arc<Cursors>,
}

impl EachStream {
    pub(crate) fn new(
        files: FileSpan,
        steps: &[Step],
        block: Option<&BlockPlan>,
        plans: &[FilePlan],
        parts: Parts,
        cursors: Arc<Cursors>,
    ) -> Self {
        let is_whole = |step: &Step| matches!(step, Step::Read | Step::Write);
        let sizes = if steps.iter().any(is_whole) {
            let size = |file: &FilePlan| file.size_bytes.expect("checked when it was planned");
            plans[files.indices()].iter().map(size).collect()
        } else {
            Arc::default()
        };
        Self {
            files,
            sizes,
            steps: steps.to_vec(),
            block_bytes: block.map_or(0, BlockPlan::largest),
            turns: Turns::new(files, parts.bound, parts.share),
            step: 0,
            offset: 0,
            pacer: parts.pacer,
            versions: parts.versions,
            cursors,
        }
    }

    /// The next piece of a step from start to end, and whether it is the last.
    fn piece(&mut self, nth: u32) -> (u64, u64, bool) {
        let size_bytes = self.sizes[nth as usize];
        let offset = self.offset;
        let bytes = self.block_bytes.min(size_bytes - offset);
        self.offset += bytes;
        (offset, bytes, self.offset == size_bytes)
    }

    /// The operation, and whether its step is done.
    fn op(&mut self, step: Step, nth: u32) -> (Op, bool) {
        let file = self.files.slot(nth);
        match step {
            Step::Write => {
                let (offset, bytes, is_last) = self.piece(nth);
                self.cursors.reach(file, offset + bytes);
                let version = self.versions.next();
                let op = Op::Write {
                    file,
                    offset,
                    bytes,
                    version,
                };
                (op, is_last)
            }
            Step::Read => {
                let (offset, bytes, is_last) = self.piece(nth);
                let op = Op::Read {
                    file,
                    offset,
                    bytes,
                };
                (op, is_last)
            }
            Step::Append => {
                let bytes = self.block_bytes;
                let op = Op::Write {
                    file,
                    offset: self.cursors.append(file, bytes),
                    bytes,
                    version: self.versions.next(),
                };
                (op, true)
            }
            Step::Create => {
                self.cursors.create(file);
                (Op::Create { file }, true)
            }
            Step::Remove => {
                self.cursors.remove(file);
                (Op::Remove { file }, true)
            }
            Step::Rename => {
                let serial = self.cursors.rename(file);
                (Op::Rename { file, serial }, true)
            }
            Step::Sync => (Op::Sync { file }, true),
            Step::DataSync => (Op::DataSync { file }, true),
        }
    }
}

impl Iterator for EachStream {
    type Item = TimedOp;

    fn next(&mut self) -> Option<TimedOp> {
        let nth = self.turns.file()?;
        let moment = self.pacer.next()?;
        self.turns.count();
        let (op, is_done) = self.op(self.steps[self.step], nth);
        self.pacer.moved(op.payload_bytes());
        if is_done {
            self.offset = 0;
            self.step += 1;
            if self.step == self.steps.len() {
                self.step = 0;
                self.turns.advance();
            }
        }
        Some(TimedOp {
            op,
            due_ns: moment.due_ns,
            think_ns: moment.think_ns,
        })
    }
}
