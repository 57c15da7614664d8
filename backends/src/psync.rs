//! The mover that works everywhere: positioned reads and writes on a few threads.
//!
//! One queue, oldest first, and threads that sleep on it. A submit wakes a thread only when one
//! sleeps; a busy thread takes the next job without being told.
//!
//! Invariants
//!   * `unfinished` counts queued and running jobs and never exceeds `queue_depth`; it drops
//!     before the callback runs, so that a waiting submitter gets in as early as possible.
//!   * Threads leave only when `stopping` is set and the queue is empty.
//!
//! Locks: `state` is a leaf; no callback and no system call runs under it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use crate::mover::{Job, Mover, MoverOptions};
use crate::target::Target;

/// The threads and the queue they share.
#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    target: Arc<Target>,
    queue_depth: usize,
    state: Mutex<State>,
    /// A job came, or the end.
    work: Condvar,
    /// A job finished.
    room: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    unfinished: usize,
    sleeping: usize,
    waiting: usize,
    stopping: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("target", &self.target)
            .field("queue_depth", &self.queue_depth)
            .finish_non_exhaustive()
    }
}

impl Threads {
    pub(crate) fn start(options: &MoverOptions, target: &Arc<Target>) -> io::Result<Self> {
        let mover = Self {
            shared: Arc::new(Shared {
                target: Arc::clone(target),
                queue_depth: options.queue_depth as usize,
                state: Mutex::new(State::default()),
                work: Condvar::new(),
                room: Condvar::new(),
            }),
            handles: Mutex::new(Vec::new()),
        };
        for _ in 0..options.threads {
            let shared = Arc::clone(&mover.shared);
            let spawned = thread::Builder::new()
                .name("backend-psync".to_owned())
                .spawn(move || shared.serve());
            // An error drops the mover, which stops the threads that are there.
            mover.handles.lock().push(spawned?);
        }
        Ok(mover)
    }
}

impl Mover for Threads {
    fn submit(&self, job: Job) {
        let mut state = self.shared.state.lock();
        self.shared.wait_for_room(&mut state);
        state.queue.push_back(job);
        let wake = state.sleeping > 0;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
    }

    fn submit_batch(&self, batch: Vec<Job>) {
        let mut state = self.shared.state.lock();
        for job in batch {
            self.shared.wait_for_room(&mut state);
            state.queue.push_back(job);
            if state.sleeping > 0 {
                self.shared.work.notify_one();
            }
        }
    }

    fn stop(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.work.notify_all();
        for handle in self.handles.lock().drain(..) {
            handle.join().expect("a mover thread does not panic");
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn wait_for_room(&self, state: &mut parking_lot::MutexGuard<'_, State>) {
        while state.unfinished >= self.queue_depth {
            state.waiting += 1;
            self.room.wait(state);
            state.waiting -= 1;
        }
        assert!(!state.stopping, "no submit beside stop");
        state.unfinished += 1;
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            let Some(mut job) = state.queue.pop_front() else {
                if state.stopping {
                    return;
                }
                state.sleeping += 1;
                self.work.wait(&mut state);
                state.sleeping -= 1;
                continue;
            };
            drop(state);
            let result = self.target.run(&mut job.request);
            state = self.state.lock();
            state.unfinished -= 1;
            let wake = state.waiting > 0;
            drop(state);
            if wake {
                self.room.notify_one();
            }
            job.finish(result);
            state = self.state.lock();
        }
    }
}
