//! A device that holds requests of one kind back, so that something can happen while they are under way.

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Backend, BackendError, Done, Geometry, Request, RequestKind};
use parking_lot::Mutex;

use crate::support::pause;

/// Long against a thread that has only to get to its request.
const REQUEST_COMES_WITHIN: Duration = Duration::from_secs(5);

type Held = Vec<(Request, Done)>;

/// See the module.
pub(crate) struct Hold {
    base: Arc<dyn Backend>,
    kind: RequestKind,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Requests still to be held.
    more: usize,
    held: Held,
}

impl Hold {
    pub(crate) fn new(base: Arc<dyn Backend>, kind: RequestKind) -> Self {
        Self {
            base,
            kind,
            state: Mutex::default(),
        }
    }

    /// The next `count` requests wait.
    pub(crate) fn hold(&self, count: usize) {
        self.state.lock().more = count;
    }

    /// Returns when so many wait.
    pub(crate) fn wait_for(&self, count: usize) {
        let mut tries_left = REQUEST_COMES_WITHIN.as_millis();
        while self.state.lock().held.len() < count {
            assert!(tries_left > 0, "{count} requests were to come");
            tries_left -= 1;
            pause(Duration::from_millis(1));
        }
    }

    /// Takes those that wait; later ones pass.
    pub(crate) fn pass(&self) -> Held {
        std::mem::take(&mut *self.state.lock()).held
    }

    /// Carries requests out.
    pub(crate) fn release(&self, held: Held) {
        for (request, done) in held {
            self.base.submit(request, done);
        }
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({:?})", self.kind)
    }
}

impl Backend for Hold {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let mut state = self.state.lock();
        if request.shape().0 == self.kind && state.more > 0 {
            state.more -= 1;
            state.held.push((request, done));
            return;
        }
        drop(state);
        self.base.submit(request, done);
    }

    fn close(&self) -> Result<(), BackendError> {
        self.base.close()
    }

    fn describe(&self) -> String {
        "requests held back".to_owned()
    }
}
