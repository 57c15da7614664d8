//! Waiting for a few writes of the device, and whether all of them went well.
//!
//! Counted down by completions on the device's threads, waited for by whoever leads a batch. Lock: one
//! mutex, held for arithmetic; nothing is taken under it.

use std::sync::Arc;

use delalloc_backends::BackendError;
use parking_lot::{Condvar, Mutex};

use crate::waiting::Waiting;

/// Writes under way.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    state: Mutex<LatchState>,
    ended: Condvar,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct LatchState {
    left: usize,
    failed: Vec<(usize, Arc<BackendError>)>,
}

impl Latch {
    /// `writes` will end.
    pub(crate) fn new(writes: usize, waiting: Waiting) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(LatchState {
                left: writes,
                failed: Vec::new(),
            }),
            ended: Condvar::new(),
            waiting,
        })
    }

    /// The write of number `index` has ended.
    pub(crate) fn end(&self, index: usize, result: Result<(), BackendError>) {
        let mut state = self.state.lock();
        state.left -= 1;
        if let Err(error) = result {
            state.failed.push((index, Arc::new(error)));
        }
        if state.left == 0 {
            self.ended.notify_all();
        }
    }

    /// Waits for all of them; true if every one went well.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.left > 0 {
            self.waiting
                .wait("the data of a batch", &self.ended, &mut state);
        }
        state.failed.is_empty()
    }

    /// Why the write of number `index` failed, once all have ended.
    pub(crate) fn error(&self, index: usize) -> Option<Arc<BackendError>> {
        let state = self.state.lock();
        let failed = state.failed.iter().find(|(failed, _)| *failed == index);
        failed.map(|(_, error)| Arc::clone(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_known_by_its_number() {
        let latch = Latch::new(2, Waiting::default());
        latch.end(1, Err(BackendError::Closed));
        latch.end(0, Ok(()));
        assert!(!latch.wait());
        assert!(latch.error(1).is_some() && latch.error(0).is_none());
        assert!(Latch::new(0, Waiting::default()).wait());
    }
}
