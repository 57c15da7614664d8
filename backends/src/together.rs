//! Several requests at once on the caller's own thread: a small ring beside the mover's.
//!
//! Who has to wait for two writes gains from the device having both at the same time, and would lose
//! that again to a ring thread: it has to wake up to send them, and its caller to hear of the end. Here
//! one system call sends them all and waits for all. A caller who finds the ring in use goes the
//! mover's way instead.
//!
//! Invariants
//!   * Every entry that was pushed is reaped before `run` returns: the kernel holds pointers into the
//!     requests' buffers. If that cannot be, the process ends.
//!
//! Locks: `ring` is held over the system call and is only tried for; nothing is taken under it.
//!
//! Not here: requests one at a time, flushes and discards (target), those that nobody waits for (uring).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};
use parking_lot::Mutex;

use crate::mover::AbortOnUnwind;
use crate::target::Target;
use crate::uring::enter;
use crate::{BackendError, Durability, Request};

/// Requests at once; more go in several turns.
const ENTRIES: u32 = 32;

/// The ring, and a descriptor apart: the kernel may let go of it some time after the last completion.
pub(crate) struct Together {
    ring: Mutex<IoUring>,
    file: File,
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl Together {
    /// A ring for requests to `target`.
    pub(crate) fn new(target: &Target) -> io::Result<Self> {
        Ok(Self {
            ring: Mutex::new(IoUring::new(ENTRIES)?),
            file: target.reopen()?,
        })
    }

    /// Carries all of them out; `None` while somebody else does. They were checked against the geometry.
    pub(crate) fn run(
        &self,
        target: &Target,
        requests: &mut [Request],
    ) -> Option<Vec<Result<(), BackendError>>> {
        let mut ring = self.ring.try_lock()?;
        let mut results = Vec::with_capacity(requests.len());
        for turn in requests.chunks_mut(ENTRIES as usize) {
            let moved = self.turn(&mut ring, turn);
            let ends = turn.iter_mut().zip(moved);
            results.extend(ends.map(|(request, moved)| ended(target, request, moved)));
        }
        Some(results)
    }

    /// What the kernel answers to each; `None` for those that are none of a ring's business here.
    fn turn(&self, ring: &mut IoUring, requests: &mut [Request]) -> Vec<Option<i32>> {
        let mut moved = vec![None; requests.len()];
        let mut pushed = 0;
        for (index, request) in requests.iter_mut().enumerate() {
            let Some(entry) = entry(types::Fd(self.file.as_raw_fd()), request) else {
                continue;
            };
            let entry = entry.user_data(index as u64);
            // SAFETY: the entry points into the buffer that `request` owns; `requests` is borrowed for
            // the whole of this call, which returns only after every completion was reaped below.
            unsafe { ring.submission().push(&entry) }.expect("a turn is no longer than the ring");
            pushed += 1;
        }
        let bomb = AbortOnUnwind;
        let mut reaped = 0;
        while reaped < pushed {
            enter(ring, pushed - reaped);
            for completion in ring.completion() {
                let index = usize::try_from(completion.user_data()).expect("an index");
                moved[index] = Some(completion.result());
                reaped += 1;
            }
        }
        std::mem::forget(bomb);
        moved
    }
}

fn entry(file: types::Fd, request: &mut Request) -> Option<squeue::Entry> {
    let len = |buf: &[u8]| u32::try_from(buf.len()).expect("a request fits its geometry");
    match request {
        Request::Read { offset, buf } => {
            let len = len(buf);
            let read = opcode::Read::new(file, buf.as_mut_ptr(), len).offset(*offset);
            Some(read.build())
        }
        Request::Write {
            offset,
            buf,
            durability: Durability::Cached,
        } => {
            let write = opcode::Write::new(file, buf.as_ptr(), len(buf)).offset(*offset);
            Some(write.build())
        }
        _ => None,
    }
}

/// The end of a request of which the ring said `moved`. What moved in part, was interrupted or is not for
/// the ring is done again as a whole by the target, which waits for it.
fn ended(target: &Target, request: &mut Request, moved: Option<i32>) -> Result<(), BackendError> {
    let (kind, offset, bytes) = request.shape();
    let again = [libc::EAGAIN, libc::EINTR, libc::EOPNOTSUPP];
    match moved {
        Some(moved) if u64::try_from(moved) == Ok(bytes) => Ok(()),
        Some(errno) if errno < 0 && !again.contains(&-errno) => Err(BackendError::Io {
            kind,
            offset,
            bytes,
            source: io::Error::from_raw_os_error(-errno),
        }),
        _ => target.run(request),
    }
}
