//! Pages written again while they were in writeback.
//!
//! Such a page is DIRTY and not DELALLOC: its range is in one write generation and may not enter a
//! second. When the first has ended, this pool's one thread gives the range back to delayed
//! allocation. The flusher and `sync` meet the same pages and do the same; whoever comes first.

use std::sync::Arc;

use crate::core::Core;
use crate::extent::State;
use crate::inode::{Inode, InodeState};
use crate::pool::{Order, WorkItem};
use crate::units::FileRange;

struct FixupItem {
    core: Arc<Core>,
    inode: Arc<Inode>,
    range: FileRange,
}

impl WorkItem for FixupItem {
    fn run(&mut self) {
        redirty(&mut self.inode.lock(), self.range);
        self.core.dirty.note_collectable();
    }

    fn complete(self: Box<Self>) {}
}

/// Hands `range` to the `fixup` pool.
pub(crate) fn queue(core: &Arc<Core>, inode: &Arc<Inode>, range: FileRange) {
    let item = FixupItem {
        core: Arc::clone(core),
        inode: Arc::clone(inode),
        range,
    };
    core.pools.fixup.submit(Box::new(item), Order::Unordered);
}

/// Makes what is dirty in `range` and no longer in writeback collectable.
pub(crate) fn redirty(state: &mut InodeState, range: FileRange) {
    let mut at = range.start;
    while at < range.end {
        let in_the_way = State::DELALLOC | State::WRITEBACK;
        let rest = FileRange::new(at, range.end);
        let found = state
            .states
            .find_first(rest, State::DIRTY, in_the_way, rest.bytes());
        let Some(found) = found else {
            return;
        };
        state.states.set(found, State::DELALLOC);
        at = found.end;
    }
}
