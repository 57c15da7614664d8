//! A device whose queue is held up now and then: each so many writes, whoever hands one over waits, and all that come behind.
//!
//! That is what a stall in the ordered part of writeback is: one thread sends, and the line behind it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use delalloc_backends::{Backend, BackendError, Done, Geometry, Request};
use parking_lot::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct HeldUpBackend {
    base: Arc<dyn Backend>,
    every: u64,
    for_how_long: Duration,
    writes: AtomicU64,
    /// The queue, held while nothing gets on.
    line: Mutex<()>,
}

impl HeldUpBackend {
    pub(super) fn new(base: Arc<dyn Backend>, every: u64, for_how_long: Duration) -> Self {
        Self {
            base,
            every,
            for_how_long,
            writes: AtomicU64::new(0),
            line: Mutex::new(()),
        }
    }
}

impl Backend for HeldUpBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let line = self.line.lock();
        if matches!(request, Request::Write { .. }) {
            let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(self.every) {
                std::thread::sleep(self.for_how_long);
            }
        }
        drop(line);
        self.base.submit(request, done);
    }

    fn close(&self) -> Result<(), BackendError> {
        self.base.close()
    }

    fn describe(&self) -> String {
        self.base.describe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use delalloc_backends::{AlignedBuf, BackendExt, Durability, MemBackend};

    use super::*;

    #[test]
    fn each_second_write_holds_up_a_read_behind_it() {
        const LONG: Duration = Duration::from_millis(30);
        let device = HeldUpBackend::new(Arc::new(MemBackend::new(1 << 20)), 2, LONG);
        let write = || {
            let begun = Instant::now();
            let sector = AlignedBuf::zeroed(4096);
            let written = device.write_blocking(0, sector, Durability::Cached);
            written.expect("memory");
            begun.elapsed()
        };
        write();
        assert!(write() >= LONG);
        write();
        std::thread::scope(|scope| {
            scope.spawn(write);
            while device.line.try_lock().is_some() {
                std::thread::yield_now();
            }
            let begun = Instant::now();
            device.read_blocking(0, 4096).expect("memory");
            assert!(begun.elapsed() >= LONG / 3, "it went past the line");
        });
    }
}
