//! How far in front of the copy the extents of one request are being read.
//!
//! A long request has its later extents read and decoded side by side while its first are copied. Each read
//! under way holds buffers that no other bound of the engine counts, and its pages may leave a small cache
//! before the copy comes to them. So no more than `READS_MAX` are started in front of the copy, and more once
//! half of them lie behind it. What a stream has beyond the request is started as far as `read.ahead_max` goes and
//! there is room for it among all that is read ahead (unasked); what is refused there the stream tries again. A
//! read that begins within the request is the request's, though it go further.
//!
//! Locks: the file's state lock, once for each read that is started. Not here: how far a stream reads ahead
//! (ahead), the reads themselves (fill).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::core::Core;
use crate::error::Result;
use crate::inode::Inode;
use crate::read::fill::{self, Opened};
use crate::read::missing;
use crate::units::FileRange;

/// Most reads in front of the copy: 8 MiB of file at the usual 128 KiB, as much again of stored bytes at most,
/// and more requests than the queues of most devices gain by.
const READS_MAX: usize = 64;

/// Reads in front of a copy.
#[derive(Debug)]
pub(super) struct Front {
    /// Where those that the copy has not passed end, ascending.
    ends: VecDeque<u64>,
    /// What is to be read from here on has not been looked at.
    next: u64,
    /// The request ends; the rest is of the stream.
    request_end: u64,
    end: u64,
    /// From here on there was no room for the stream.
    refused_from: Option<u64>,
}

impl Front {
    /// Reads of `range`, of which the request has what lies before `request_end`.
    pub(super) fn new(range: FileRange, request_end: u64) -> Self {
        Self {
            ends: VecDeque::new(),
            next: range.start,
            request_end,
            end: range.end,
            refused_from: None,
        }
    }

    /// From where on the stream has to try again.
    pub(super) fn refused_from(&self) -> Option<u64> {
        self.refused_from
    }

    /// Starts what may be under way while the copy is at `at`.
    pub(super) fn keep_up(&mut self, core: &Arc<Core>, inode: &Arc<Inode>, at: u64) -> Result<()> {
        while self.ends.front().is_some_and(|&end| end <= at) {
            self.ends.pop_front();
        }
        if self.has_room(READS_MAX / 2) {
            while self.next < self.end && self.has_room(READS_MAX) {
                self.start_next(core, inode)?;
            }
        }
        Ok(())
    }

    fn has_room(&self, reads_max: usize) -> bool {
        self.ends.len() < reads_max || self.next >= self.request_end
    }

    /// Starts the read of the next absent pages, or sees that they are a hole, or being read. Beyond the request,
    /// what there is no room for and what cannot be looked up ends the front.
    fn start_next(&mut self, core: &Arc<Core>, inode: &Arc<Inode>) -> Result<()> {
        let mut state = inode.lock();
        let Some(wanted) = missing(&state, FileRange::new(self.next, self.end)) else {
            self.next = self.end;
            return Ok(());
        };
        let is_unasked = wanted.start >= self.request_end;
        // Before the ticket, which others may wait for.
        let unasked = if is_unasked {
            core.unasked.begin()
        } else {
            None
        };
        if is_unasked && unasked.is_none() {
            self.refused_from = Some(wanted.start);
            self.next = self.end;
            return Ok(());
        }
        let opened = fill::open(core, inode, &mut state, wanted);
        drop(state);
        let opened = match opened {
            // Nobody has asked for these bytes; who does is told.
            Err(_) if is_unasked => {
                self.next = self.end;
                return Ok(());
            }
            opened => opened?,
        };
        self.next = match opened {
            Opened::Hole { end } => end,
            Opened::Joined(ticket) => ticket.range.end,
            Opened::Fresh(ticket) => {
                let end = ticket.range.end;
                self.ends.push_back(end);
                let unasked = unasked.map(|read| read.of(ticket.buffer_bytes()));
                fill::carry_out_behind(core, inode, ticket, unasked);
                end
            }
        };
        Ok(())
    }
}
