//! Whole-file operations of one client: create, remove, rename, truncate, sync.

use std::sync::Arc;

use super::access::Parts;
use super::cursors::Cursors;
use super::pace::Pacer;
use super::turns::Turns;
use crate::op::{FileSlot, Op, TimedOp};
use crate::plan::FileSpan;

/// What is done to each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileVerb {
    Create,
    Remove,
    Rename,
    Sync,
    Truncate { to_bytes: u64 },
}

/// The stream: file after file, clients in turns.
#[derive(Debug)]
pub(crate) struct FileStream {
    verb: FileVerb,
    files: FileSpan,
    turns: Turns,
    pacer: Pacer,
    cursors: Arc<Cursors>,
}

impl FileStream {
    pub(crate) fn new(
        verb: FileVerb,
        files: FileSpan,
        parts: Parts,
        cursors: Arc<Cursors>,
    ) -> Self {
        Self {
            verb,
            files,
            turns: Turns::new(files, parts.bound, parts.share),
            pacer: parts.pacer,
            cursors,
        }
    }

    fn op(&self, file: FileSlot) -> Op {
        match self.verb {
            FileVerb::Create => {
                self.cursors.create(file);
                Op::Create { file }
            }
            FileVerb::Remove => {
                self.cursors.remove(file);
                Op::Remove { file }
            }
            FileVerb::Rename => Op::Rename {
                file,
                serial: self.cursors.rename(file),
            },
            FileVerb::Sync => Op::Sync { file },
            FileVerb::Truncate { to_bytes } => {
                self.cursors.truncate(file, to_bytes);
                Op::Truncate {
                    file,
                    bytes: to_bytes,
                }
            }
        }
    }
}

impl Iterator for FileStream {
    type Item = TimedOp;

    fn next(&mut self) -> Option<TimedOp> {
        let nth = self.turns.file()?;
        let moment = self.pacer.next()?;
        self.turns.count();
        self.turns.advance();
        let file = self.files.slot(nth);
        Some(TimedOp {
            op: self.op(file),
            due_ns: moment.due_ns,
            think_ns: moment.think_ns,
        })
    }
}
