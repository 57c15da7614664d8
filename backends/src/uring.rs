//! The mover for kernels with io_uring: one ring, one thread that owns it.
//!
//! Submitters leave jobs in a list; the ring thread takes the whole list, fills submission entries,
//! and makes one system call that submits them all and waits for the next completion. Only this
//! thread touches the ring, which lets the kernel deliver completions inside that very call
//! (single issuer, deferred task work) instead of interrupting whoever submitted.
//!
//! Refused: submitters that enter the ring themselves. The kernel finishes a direct read in the
//! context of the thread that submitted it, so a thread busy compressing would be interrupted for
//! every completion, and the reaper woken after it. A blocking caller does not come here at all
//! (`Device::execute`), so the wake-up of the ring thread is paid where it overlaps with work.
//!
//! ```text
//!   submit:       incoming + [bell, if the ring thread is parked]
//!   ring thread:  take incoming -> entries -> enter(submit all, wait for 1) -> reap -> callbacks
//!                        ^----------------------------------------------------------------'
//! ```
//!
//! Invariants
//!   * A job whose entry was pushed stays in its slot until its completion is reaped: the kernel
//!     holds a pointer into its buffer. If the thread unwinds, the process aborts before the slots
//!     are dropped.
//!   * At most `queue_depth` jobs are unfinished, and the ring has room for that many and the bell:
//!     neither queue of the ring overflows.
//!   * `parked` is set, under the lock, before the thread enters the kernel with an empty list;
//!     who clears it rings the bell. No wake-up is lost and none is made twice.
//!
//! Locks: `state` is a leaf; no callback and no system call runs under it.
//!
//! Not here: discards, which go to a thread beside the ring (psync).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::{fmt, io, mem};

use io_uring::{IoUring, Probe, opcode, squeue, types};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::mover::{AbortOnUnwind, Job, Mover, MoverOptions};
use crate::psync::Threads;
use crate::sys::Bell;
use crate::target::Target;
use crate::{BackendError, Durability, Request};

/// The ring's face to submitters.
#[derive(Debug)]
pub(crate) struct Uring {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Carries discards, where the target does any.
    beside: Option<Threads>,
}

struct Shared {
    queue_depth: usize,
    state: Mutex<State>,
    /// A job finished.
    room: Condvar,
    bell: Bell,
}

#[derive(Default)]
struct State {
    incoming: Vec<Job>,
    unfinished: usize,
    waiting: usize,
    parked: bool,
    stopping: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("queue_depth", &self.queue_depth)
            .finish_non_exhaustive()
    }
}

impl Uring {
    /// Starts the ring thread, or says why this kernel does not let it.
    pub(crate) fn start(options: &MoverOptions, target: &Arc<Target>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue_depth: options.queue_depth as usize,
            state: Mutex::new(State::default()),
            room: Condvar::new(),
            bell: Bell::new()?,
        });
        let beside = if target.geometry().discards {
            let one = MoverOptions {
                threads: 1,
                ..*options
            };
            Some(Threads::start(&one, target)?)
        } else {
            None
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let (served, file) = (Arc::clone(&shared), target.reopen()?);
        let thread = thread::Builder::new()
            .name("backend-uring".to_owned())
            .spawn(move || {
                // A ring has one issuer: the thread that makes it.
                let (outcome, ring_thread) = match RingThread::new(served, file) {
                    Ok(ring_thread) => (Ok(()), Some(ring_thread)),
                    Err(error) => (Err(error), None),
                };
                sender.send(outcome).expect("start waits for the answer");
                if let Some(ring_thread) = ring_thread {
                    ring_thread.serve();
                }
            })?;
        let mover = Self {
            shared,
            thread: Mutex::new(Some(thread)),
            beside,
        };
        // An error drops the mover, which joins the thread.
        receiver.recv().expect("the ring thread answers")?;
        Ok(mover)
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Mover for Uring {
    fn is_ring(&self) -> bool {
        true
    }

    fn submit(&self, job: Job) {
        if matches!(job.request, Request::Discard { .. }) {
            return self.discard(job);
        }
        let mut state = self.shared.state.lock();
        self.shared.push(&mut state, job);
        self.shared.wake(state);
    }

    fn submit_batch(&self, batch: Vec<Job>) {
        let (discards, others): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|job| matches!(job.request, Request::Discard { .. }));
        let mut state = self.shared.state.lock();
        for job in others {
            self.shared.push(&mut state, job);
        }
        self.shared.wake(state);
        for job in discards {
            self.discard(job);
        }
    }

    fn stop(&self) {
        let mut state = self.shared.state.lock();
        state.stopping = true;
        state.parked = false;
        drop(state);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().expect("the ring thread does not panic");
        }
        if let Some(beside) = &self.beside {
            beside.stop();
        }
    }
}

impl Uring {
    fn discard(&self, job: Job) {
        match &self.beside {
            Some(beside) => beside.submit(job),
            None => job.finish(Ok(())),
        }
    }
}

impl Shared {
    fn push(&self, state: &mut MutexGuard<'_, State>, job: Job) {
        while state.unfinished >= self.queue_depth {
            if mem::take(&mut state.parked) {
                // What fills the queue may still be in the list.
                self.bell.ring();
            }
            state.waiting += 1;
            self.room.wait(state);
            state.waiting -= 1;
        }
        assert!(!state.stopping, "no submit beside stop");
        state.unfinished += 1;
        state.incoming.push(job);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let ring = !state.incoming.is_empty() && mem::take(&mut state.parked);
        drop(state);
        if ring {
            self.bell.ring();
        }
    }
}

/// The user data of the bell's entry; slots count from 0.
const BELL: u64 = u64::MAX;

/// What the ring thread owns.
struct RingThread {
    ring: IoUring,
    shared: Arc<Shared>,
    /// A descriptor apart: the kernel may let go of a ring's files some time after their last
    /// completion, and the target's lock must be free when the device is closed.
    file: File,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// The list as taken, empty between turns. Kept for its allocation.
    taken: Vec<Job>,
    finished: Vec<(Job, Result<(), BackendError>)>,
    bell_value: Box<u64>,
    bell_armed: bool,
}

/// A job the kernel works on, and how far it came.
struct Slot {
    job: Job,
    moved_bytes: usize,
}

impl RingThread {
    fn new(shared: Arc<Shared>, file: File) -> io::Result<Self> {
        let depth = shared.queue_depth;
        let entries = u32::try_from(depth + 1)
            .expect("a queue depth was validated")
            .next_power_of_two();
        let ring = build_ring(entries)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        for (code, name) in [
            (opcode::Read::CODE, "reads"),
            (opcode::Write::CODE, "writes"),
            (opcode::Fsync::CODE, "fsync"),
        ] {
            if !probe.is_supported(code) {
                let reason = format!("this kernel's io_uring has no {name}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
        }
        Ok(Self {
            ring,
            shared,
            file,
            slots: std::iter::repeat_with(|| None).take(depth).collect(),
            free: (0..depth).rev().collect(),
            taken: Vec::new(),
            finished: Vec::new(),
            bell_value: Box::new(0),
            bell_armed: false,
        })
    }

    fn serve(mut self) {
        // The kernel writes into the slots' buffers: they must not be freed by an unwind.
        let bomb = AbortOnUnwind;
        loop {
            let stopping = self.take_jobs();
            let in_flight = self.slots.len() - self.free.len();
            if stopping && in_flight == 0 && !self.bell_armed {
                break;
            }
            if !stopping && !self.bell_armed {
                self.arm_bell();
            }
            enter(&mut self.ring, 1);
            self.reap();
            for (job, result) in self.finished.drain(..) {
                job.finish(result);
            }
        }
        mem::forget(bomb);
    }

    /// Takes the list and starts its jobs. True when the end was asked for.
    fn take_jobs(&mut self) -> bool {
        let mut state = self.shared.state.lock();
        mem::swap(&mut state.incoming, &mut self.taken);
        state.parked = true;
        let stopping = state.stopping;
        drop(state);
        let mut taken = mem::take(&mut self.taken);
        for job in taken.drain(..) {
            let index = self.free.pop().expect("unfinished jobs fit the slots");
            self.slots[index] = Some(Slot {
                job,
                moved_bytes: 0,
            });
            self.start(index);
        }
        self.taken = taken;
        stopping
    }

    /// Pushes the entry for what is left of the job in a slot.
    fn start(&mut self, index: usize) {
        let file = types::Fd(self.file.as_raw_fd());
        let slot = self.slots[index]
            .as_mut()
            .expect("the slot was just filled");
        let entry = slot.entry(file).user_data(index as u64);
        // SAFETY: the entry points into a buffer owned by the job in `slots[index]`, which stays
        // there until `complete` has seen this entry's completion; the descriptor is
        // open as long as this thread runs.
        unsafe { self.ring.submission().push(&entry) }
            .expect("the submission queue has room for every slot and the bell");
    }

    fn arm_bell(&mut self) {
        let entry = opcode::Read::new(
            types::Fd(self.shared.bell.as_raw_fd()),
            (&raw mut *self.bell_value).cast(),
            8,
        )
        .build()
        .user_data(BELL);
        // SAFETY: eight bytes in a box that lives as long as this thread, which does not end while
        // the bell is armed; nothing else reads or writes them.
        unsafe { self.ring.submission().push(&entry) }
            .expect("the submission queue has room for every slot and the bell");
        self.bell_armed = true;
    }

    fn reap(&mut self) {
        // The completion queue borrows the ring, and a continued job needs it too.
        let mut again = Vec::new();
        for completion in self.ring.completion() {
            if completion.user_data() == BELL {
                self.bell_armed = false;
                continue;
            }
            let index = usize::try_from(completion.user_data()).expect("a slot's index");
            let slot = self.slots[index]
                .as_mut()
                .expect("one completion per entry");
            match slot.advance(completion.result()) {
                Step::Again => again.push(index),
                Step::Finished(result) => {
                    let slot = self.slots[index].take().expect("it was there a line above");
                    self.free.push(index);
                    self.finished.push((slot.job, result));
                }
            }
        }
        for index in again {
            self.start(index);
        }
        self.make_room(self.finished.len());
    }

    fn make_room(&self, finished: usize) {
        if finished == 0 {
            return;
        }
        let mut state = self.shared.state.lock();
        state.unfinished -= finished;
        let waiting = state.waiting;
        drop(state);
        for _ in 0..waiting.min(finished) {
            self.shared.room.notify_one();
        }
    }
}

/// What a completion means for its job.
enum Step {
    /// More to move, or to be asked again.
    Again,
    Finished(Result<(), BackendError>),
}

impl Slot {
    fn entry(&mut self, file: types::Fd) -> squeue::Entry {
        let done = self.moved_bytes;
        match &mut self.job.request {
            Request::Read { offset, buf } => {
                let rest = &mut buf[done..];
                let bytes = u32::try_from(rest.len()).expect("a request is at most 1 GiB");
                opcode::Read::new(file, rest.as_mut_ptr(), bytes)
                    .offset(*offset + done as u64)
                    .build()
            }
            Request::Write {
                offset,
                buf,
                durability,
            } => {
                let rest = &buf[done..];
                let bytes = u32::try_from(rest.len()).expect("a request is at most 1 GiB");
                let flags = match durability {
                    Durability::Cached => 0,
                    Durability::Fua => libc::RWF_DSYNC,
                };
                opcode::Write::new(file, rest.as_ptr(), bytes)
                    .offset(*offset + done as u64)
                    .rw_flags(flags)
                    .build()
            }
            Request::Flush => opcode::Fsync::new(file)
                .flags(types::FsyncFlags::DATASYNC)
                .build(),
            Request::Discard { .. } => unreachable!("discards do not come to the ring"),
        }
    }

    fn advance(&mut self, answer: i32) -> Step {
        let (kind, offset, bytes) = self.job.request.shape();
        let fail = |source| {
            Step::Finished(Err(BackendError::Io {
                kind,
                offset,
                bytes,
                source,
            }))
        };
        let Ok(moved) = usize::try_from(answer) else {
            return match -answer {
                libc::EINTR | libc::EAGAIN => Step::Again,
                code => fail(io::Error::from_raw_os_error(code)),
            };
        };
        if matches!(self.job.request, Request::Flush) {
            return Step::Finished(Ok(()));
        }
        self.moved_bytes += moved;
        match (self.moved_bytes as u64 == bytes, moved) {
            (true, _) => Step::Finished(Ok(())),
            // Inside the capacity, yet nothing is there: the file was cut from outside.
            (false, 0) => fail(io::ErrorKind::UnexpectedEof.into()),
            (false, _) => Step::Again,
        }
    }
}

/// The quickest kind of ring that this kernel makes.
fn build_ring(entries: u32) -> io::Result<IoUring> {
    let deferred = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(entries);
    match deferred {
        // Kernels before 6.1 do not know these flags.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries),
        other => other,
    }
}

/// Submits everything pushed and waits until `wanted` completions are there, or fewer where the kernel wants those
/// to be reaped first.
///
/// # Panics
/// Where the ring does not answer at all.
pub(crate) fn enter(ring: &mut IoUring, wanted: usize) {
    loop {
        let entered = ring.submit_and_wait(wanted);
        match after_enter(entered, !ring.completion().is_empty()) {
            Entered::Reap => return,
            Entered::Again => thread::yield_now(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Entered {
    Reap,
    Again,
}

fn after_enter(entered: io::Result<usize>, has_completions: bool) -> Entered {
    match entered {
        Ok(_) => Entered::Reap,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Entered::Again,
        // Out of memory or completions to be reaped first: those come before more.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY)) => {
            if has_completions {
                Entered::Reap
            } else {
                Entered::Again
            }
        }
        Err(error) => panic!("io_uring_enter: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AlignedBuf;

    fn slot(request: Request) -> Slot {
        Slot {
            job: Job::new(request, Box::new(|_| ())),
            moved_bytes: 0,
        }
    }

    fn read() -> Slot {
        slot(Request::Read {
            offset: 4096,
            buf: AlignedBuf::zeroed(8192),
        })
    }

    #[test]
    fn a_short_transfer_goes_on_where_it_stopped() {
        let mut slot = read();
        assert!(matches!(slot.advance(512), Step::Again));
        assert!(matches!(slot.advance(4096), Step::Again));
        assert_eq!(slot.moved_bytes, 4608);
        assert!(matches!(slot.advance(3584), Step::Finished(Ok(()))));
    }

    #[test]
    fn an_interruption_asks_again_and_an_error_ends() {
        let mut slot = read();
        assert!(matches!(slot.advance(-libc::EINTR), Step::Again));
        assert!(matches!(slot.advance(-libc::EAGAIN), Step::Again));
        assert_eq!(slot.moved_bytes, 0);
        let Step::Finished(Err(BackendError::Io { source, .. })) = slot.advance(-libc::EIO) else {
            panic!("an error ends the job");
        };
        assert_eq!(source.raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn nothing_moved_is_the_end_of_a_read_and_success_of_a_flush() {
        let Step::Finished(Err(BackendError::Io { source, .. })) = read().advance(0) else {
            panic!("nothing is there");
        };
        assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof);
        let mut flush = slot(Request::Flush);
        assert!(matches!(flush.advance(0), Step::Finished(Ok(()))));
    }
}
