//! Whole-file operations of one client: create, remove, rename, truncate, sync.

use std::sync::Arc;

use super::access::{Left, Parts};
use super::cursors::Cursors;
use super::pace::Pacer;
use super::share::Share;
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
    share: Share,
    at: u32,
    left: Left,
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
            share: parts.share,
            at: parts.share.client,
            left: Left::new(parts.bound, parts.share, Some(1)),
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
        if self.left.is_spent() {
            return None;
        }
        if self.at >= self.files.count {
            // More clients than files: some have none, whatever the lap.
            if self.left == Left::Lap || self.share.client >= self.files.count {
                return None;
            }
            self.at = self.share.client;
        }
        let moment = self.pacer.next()?;
        self.left.take(1);
        let file = self.files.slot(self.at);
        self.at += self.share.clients;
        Some(TimedOp {
            op: self.op(file),
            due_ns: moment.due_ns,
            think_ns: moment.think_ns,
        })
    }
}
