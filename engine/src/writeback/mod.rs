//! From dirty pages to the device, as a line of types that only move forward.
//!
//! ```text
//!   pages DIRTY|DELALLOC
//!     | collect      (flusher, sync)      bits -> WRITEBACK, whole run, one lock hold
//!   Collected
//!     | encode       (delalloc pool, parallel)
//!   Encoded
//!     | place        (delalloc pool, in order)   address + in-flight entry
//!   Flight + Payload
//!     | [checksum]   (workers pool, raw data)
//!     | submit       (submit pool)
//!   the device
//!     | finish       (endio_write pool)   metadata, then out of writeback
//!   clean, or DIRTY again --fixup--> DIRTY|DELALLOC
//! ```
//!
//! A `sync` of a few pages puts them into the log and leaves them dirty (logged); one with somewhat more takes
//! the same steps on its own thread (express), beside the queues.
//!
//! No type of this line holds a lock, so a lock cannot be held across a queue. What bounds the line
//! is the byte budget (taken before the first queue, given back after the last) and the dirty limit.

mod collect;
pub mod dirty;
mod encode;
mod express;
mod finish;
mod fixup;
mod limit;
mod logged;
mod place;
mod submit;
pub mod throttle;

use std::sync::Arc;

pub(crate) use collect::{Collected, collect, cut, queue, write_back};
pub(crate) use dirty::{DirtyAccounting, Wake, Why};
pub(crate) use encode::checksums;
pub(crate) use fixup::redirty;
pub(crate) use limit::SubmitLimit;
pub(crate) use logged::{
    Asked, Pushed, SizesSaid, answer as answer_size, finish as finish_sync,
    finish_before as finish_logged, start as start_sync,
};
pub(crate) use place::PlaceHint;

use crate::core::Core;
use crate::extent::State;
use crate::inode::Inode;
use crate::mutation::{self, Mutation};
use crate::units::{FILE_BYTES_MAX, FileRange};

/// Writes back what is dirty in a file now, and waits for it.
///
/// Two passes at most. The first hands off all that is collectable and waits for everything in
/// flight; what was dirty *over* a writeback becomes collectable then, and the second takes that, or
/// waits for it where somebody else has taken it meanwhile. What is written meanwhile may go along but
/// is not waited for.
pub(crate) fn flush(core: &Arc<Core>, inode: &Arc<Inode>) {
    for _pass in 0..2 {
        write_back(core, inode, 0, FILE_BYTES_MAX);
        if mutation::on(Mutation::SyncUnwaited) {
            return;
        }
        let mut state = inode.lock();
        let sequence = state.ordered.latest();
        inode.wait_until(&core.pools, &mut state, |state| {
            state.ordered.done_through(sequence)
        });
        redirty(&mut state, FileRange::WHOLE);
        let taken_by_others = state.ordered.latest() != sequence;
        if state.states.bytes(State::DIRTY) == 0 && !taken_by_others {
            return;
        }
    }
}
