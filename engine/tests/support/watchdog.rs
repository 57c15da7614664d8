//! Nothing may hang: a body runs under a limit of time, and says where it is.
//!
//! A thread that hangs cannot be stopped, so it is left behind; the test fails at once, with the
//! place it had come to.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use parking_lot::Mutex;

/// Longer than anything that does not hang, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a test is. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Arc<Mutex<(String, String)>>);

impl Place {
    /// A place by its name: seeds and parameters.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(Arc::new(Mutex::new((name.into(), String::new()))))
    }

    /// The test has come to this.
    pub(crate) fn at(&self, step: impl fmt::Debug) {
        self.0.lock().1 = format!("{step:?}");
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.lock();
        write!(f, "{}, at {}", place.0, place.1)
    }
}

/// Runs `body` and returns what it returned.
///
/// # Panics
/// Where it panics, and where it takes longer than the limit; the place is named in both cases.
pub(crate) fn watched<T: Send + 'static>(
    place: &Place,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    let thread = Builder::new()
        .name("watched".to_owned())
        .spawn(move || {
            // Nobody listens any more where the limit has passed.
            let _ = sender.send(body());
        })
        .expect("a thread starts");
    match receiver.recv_timeout(LIMIT) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => {
            panic!("HANG: nothing has happened for {LIMIT:?}: {place}")
        }
        Err(RecvTimeoutError::Disconnected) => {
            eprintln!("panicked: {place}");
            resume_unwind(thread.join().expect_err("it ended without an answer"))
        }
    }
}
