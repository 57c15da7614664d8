//! Flusher and committer as states between steps.
//!
//! They do what the threads of the same name do (`services`), cut where those threads can be
//! overtaken: between a look and a choice of file, between a run that is collected and each piece of it
//! that is handed off. A step that would wait is not possible, so it is not taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::Instant;

use crate::core::Core;
use crate::inode::Inode;
use crate::services::{TICK, commit_is_due, commit_or_flush_nodes, turn};
use crate::writeback::{self, Collected};

/// Where the flusher is.
#[derive(Debug)]
pub(super) enum Flusher {
    Asleep { since: Instant },
    Awake,
    Handing(Turn),
}

/// One file's turn.
#[derive(Debug)]
pub(super) struct Turn {
    inode: Arc<Inode>,
    from: u64,
    at: u64,
    bytes_max: u64,
    handed_bytes: u64,
    /// Out of the dirty set, and not on its way.
    pieces: VecDeque<Collected>,
}

impl Flusher {
    pub(super) fn new() -> Self {
        Self::Asleep {
            since: Instant::default(),
        }
    }

    pub(super) fn can_step(&self, core: &Core) -> bool {
        match self {
            Self::Asleep { .. } => {
                let look = self.next_look(core);
                core.dirty.is_kicked() || look.is_some_and(|at| at <= core.clock.now())
            }
            Self::Awake => true,
            Self::Handing(turn) => turn
                .pieces
                .front()
                .is_none_or(|piece| core.budget.has_room(piece.range.bytes())),
        }
    }

    /// It has taken from a file what is not on its way yet.
    pub(super) fn is_handing(&self) -> bool {
        matches!(self, Self::Handing(turn) if !turn.pieces.is_empty())
    }

    /// When it looks for work without being asked. Where nothing is dirty it need not.
    pub(super) fn next_look(&self, core: &Core) -> Option<Instant> {
        match self {
            Self::Asleep { since } if core.dirty.has_files() => Some(since.after(TICK)),
            _ => None,
        }
    }

    pub(super) fn step(self, core: &Arc<Core>) -> Self {
        match self {
            Self::Asleep { .. } => {
                core.dirty.wait_for_work(Duration::ZERO);
                Self::Awake
            }
            Self::Awake => Self::choose(core),
            Self::Handing(turn) => turn.step(core),
        }
    }

    fn choose(core: &Core) -> Self {
        let now = core.clock.now();
        let Some((file, why)) = core.dirty.next_file(now, core.config.dirty.expire) else {
            return Self::Asleep { since: now };
        };
        let Some(inode) = core.namespace.inode(file) else {
            return Self::Awake;
        };
        let (from, bytes_max) = turn(core, &inode, why);
        Self::Handing(Turn {
            inode,
            from,
            at: from,
            bytes_max,
            handed_bytes: 0,
            pieces: VecDeque::new(),
        })
    }
}

impl Turn {
    fn step(mut self, core: &Arc<Core>) -> Flusher {
        if let Some(piece) = self.pieces.pop_front() {
            let bytes = piece.range.bytes();
            let budget = core.budget.try_acquire(bytes);
            let budget = budget.expect("a step is taken while there is room");
            self.at = piece.range.end;
            self.handed_bytes += bytes;
            writeback::queue(core, &self.inode, piece, budget);
            return Flusher::Handing(self);
        }
        let left_bytes = self.bytes_max.saturating_sub(self.handed_bytes);
        if left_bytes == 0 {
            let at = self.at;
            return self.end(core, at);
        }
        match writeback::collect(core, &self.inode, self.at, left_bytes) {
            Some(pieces) => {
                self.pieces = pieces.into();
                Flusher::Handing(self)
            }
            None => self.end(core, 0),
        }
    }

    fn end(self, core: &Core, cursor: u64) -> Flusher {
        self.inode.lock().writeback_cursor = cursor;
        if self.handed_bytes == 0 && self.from == 0 {
            // All that is dirty here is in writeback already: fixup gives it back.
            let since = core.clock.now();
            return Flusher::Asleep { since };
        }
        Flusher::Awake
    }
}

/// Where the committer is.
#[derive(Debug, Default)]
pub(super) struct Committer {
    last: Instant,
    /// Bytes of dirty nodes that it could not write the last time it tried.
    left_bytes: u64,
    failed: bool,
}

impl Committer {
    pub(super) fn can_step(&self, core: &Core) -> bool {
        let due = commit_is_due(core, self.last);
        let dirty_bytes = core.meta.dirty_node_bytes();
        let above = dirty_bytes > core.config.meta.flush_gate_bytes;
        !self.failed && (due || (above && dirty_bytes != self.left_bytes))
    }

    pub(super) fn step(&mut self, core: &Arc<Core>) {
        self.failed = commit_or_flush_nodes(core, &mut self.last).is_err();
        self.left_bytes = core.meta.dirty_node_bytes();
    }
}
