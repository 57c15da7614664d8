//! The two threads an open volume has besides its pools.
//!
//! The *flusher* sleeps until there is a reason (too much dirty, too old, the cache wants clean
//! pages), then goes from file to file and hands off at most `TURN_BYTES` of each, so that one long
//! file does not keep the others waiting; what is too old goes as a whole. The *committer* commits every `commit.interval`, and earlier
//! where the log fills up (what only the log has is written back first), and writes dirty nodes when there are more of them than the flush gate.
//!
//! Where one of them panics the volume only reads from then on, and whoever waits for its work is told.
//!
//! Neither holds a lock while it waits. Not here: who is next (writeback/dirty), what a hand-off is
//! (writeback/collect), what a commit is (meta).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use delalloc_backends::Instant;
use parking_lot::{Condvar, Mutex};

use crate::core::Core;
use crate::error::Result;
use crate::inode::Inode;
use crate::stepped::Driver;
use crate::writeback::{self, Wake, Why};

/// Handed off for one file before the next gets its turn: a few items per worker.
pub(crate) const TURN_BYTES: u64 = 8 << 20;
/// How often the flusher looks at ages, and the committer at the flush gate.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// What serves an open volume.
#[derive(Debug)]
pub(crate) enum Services {
    /// The two threads.
    Threads(Threads),
    /// The driver of a volume without threads.
    Steps(Arc<Driver>),
}

/// The running threads.
#[derive(Debug)]
pub(crate) struct Threads {
    flusher: JoinHandle<()>,
    committer: JoinHandle<()>,
    stopped: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Services {
    /// Starts both threads.
    pub(crate) fn start(core: &Arc<Core>) -> Self {
        let stopped = Arc::new(Stop::default());
        let spawn = |name: &'static str, body: Box<dyn FnOnce() + Send>| {
            let core = Arc::clone(core);
            let watched = move || {
                let serve = || core.pools.waiting.watched(name, body);
                // Who waits has been told by now; nobody waits for this thread but its end.
                if catch_unwind(AssertUnwindSafe(serve)).is_err() {
                    core.meta
                        .give_up(&format!("the {name} of the volume panicked"));
                }
            };
            Builder::new()
                .name(name.to_owned())
                .spawn(watched)
                .expect("the system has threads left")
        };
        let (for_flusher, for_committer) = (Arc::clone(core), Arc::clone(core));
        let stop = Arc::clone(&stopped);
        Self::Threads(Threads {
            flusher: spawn("flusher", Box::new(move || flush(&for_flusher))),
            committer: spawn("committer", Box::new(move || commit(&for_committer, &stop))),
            stopped,
        })
    }

    /// Ends them. What was handed off goes on.
    pub(crate) fn stop(self, core: &Core) {
        match self {
            Self::Threads(threads) => threads.stop(core),
            Self::Steps(driver) => driver.stop(),
        }
    }
}

impl Threads {
    fn stop(self, core: &Core) {
        core.dirty.stop();
        *self.stopped.stopped.lock() = true;
        self.stopped.changed.notify_all();
        for thread in [self.flusher, self.committer] {
            thread.join().expect("a service catches its panic");
        }
    }
}

fn flush(core: &Arc<Core>) {
    let expire = core.config.dirty.expire;
    while core.dirty.wait_for_work(TICK) != Wake::Stop {
        while let Some((file, why)) = core.dirty.next_file(core.clock.now(), expire) {
            let Some(inode) = core.namespace.inode(file) else {
                continue;
            };
            let (from, bytes_max) = turn(core, &inode, why);
            let (handed_bytes, next) = writeback::write_back(core, &inode, from, bytes_max);
            inode.lock().writeback_cursor = next.unwrap_or(0);
            if handed_bytes == 0 && from == 0 {
                // All that is dirty here is in writeback already: fixup gives it back.
                break;
            }
        }
    }
}

/// From where the flusher takes how much of a file at once. What has expired goes as a whole, wherever the last turn ended.
pub(crate) fn turn(core: &Core, inode: &Inode, why: Why) -> (u64, u64) {
    if why == Why::Expired {
        return (0, core.dirty.file_bytes(inode.id) + TURN_BYTES);
    }
    (inode.lock().writeback_cursor, TURN_BYTES)
}

fn commit(core: &Arc<Core>, stop: &Stop) {
    let interval = core.config.commit.interval;
    let mut last = core.clock.now();
    loop {
        let mut stopped = stop.stopped.lock();
        if !*stopped {
            stop.changed.wait_for(&mut stopped, TICK.min(interval));
        }
        if *stopped {
            return;
        }
        drop(stopped);
        // A failure turns the volume read-only, and every later change and sync says so.
        if commit_or_flush_nodes(core, &mut last).is_err() {
            return;
        }
    }
}

/// What the committer does when it wakes; `last` is when it last committed.
pub(crate) fn commit_or_flush_nodes(core: &Arc<Core>, last: &mut Instant) -> Result<()> {
    // Changes may dirty nodes as fast as they are written, for ever.
    while !commit_is_due(core, *last) && core.meta.write_some_dirty_nodes()? > 0 {}
    if commit_is_due(core, *last) {
        if core.meta.log_wants_commit() {
            bring_home(core);
        }
        let committed = core.meta.commit();
        *last = core.clock.now();
        return committed.map(|_| ());
    }
    Ok(())
}

/// Writes back the files whose pages keep the log from being freed. What fails stays in the log.
fn bring_home(core: &Arc<Core>) {
    let files = core.meta.files_in_log().into_iter();
    for inode in files.filter_map(|file| core.namespace.inode(file)) {
        writeback::flush(core, &inode);
    }
}

/// It is time for a commit, or the log needs one.
pub(crate) fn commit_is_due(core: &Core, last: Instant) -> bool {
    core.clock.now() >= last.after(core.config.commit.interval) || core.meta.log_wants_commit()
}
