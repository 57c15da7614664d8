//! What a replay does, written down while it does it: every operation of every client, when it begins and how long it takes.
//!
//! ```text
//!   clients --begin--> a window, in the order of beginning --what is over--> a thread that packs and writes
//!             '--end---> how long it took
//! ```
//!
//! A client takes one lock for the length of a push; packing is another thread's. Where that thread is behind by more than a few
//! batches, clients wait for it, and where an operation takes so long that the window is full behind it, it is written without
//! its duration, so that memory stays bounded. A replay that is recorded is therefore not one to take numbers from.
//!
//! Not here: the form of the file (`workloads::trace`).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::anyhow;
use delalloc_workloads::trace::{Began, TraceRecording};
use delalloc_workloads::{LoadPlan, Op, StreamError};
use parking_lot::Mutex;

use crate::targets::Target;

/// Operations of a batch.
const BATCH: usize = 1 << 14;
/// Operations that wait for one before them to be over.
const WINDOW_MAX: usize = 4 * BATCH;
/// Batches that wait to be written.
const WAITING_MAX: usize = 4;

/// A recording that is being made.
pub struct Tape {
    origin: Instant,
    window: Mutex<Window>,
    full: SyncSender<Vec<Began>>,
    writer: JoinHandle<Result<u64, StreamError>>,
}

/// An operation that began, by its number from the beginning.
#[derive(Debug)]
#[must_use = "an operation that is over has to say so"]
pub struct Begun(u64);

impl Tape {
    /// Begins a file at `path` for a replay of `load`, which is called `source`.
    pub fn start(path: &Path, load: Arc<LoadPlan>, source: &str) -> anyhow::Result<Self> {
        let made_by = concat!("delalloc ", env!("CARGO_PKG_VERSION"));
        let mut recording = TraceRecording::create(path, source, made_by)?;
        let (full, batches) = sync_channel::<Vec<Began>>(WAITING_MAX);
        let writer = std::thread::Builder::new().name("tape".to_owned());
        let writer = writer.spawn(move || {
            for began in batches.into_iter().flatten() {
                recording.push(&began, |file| load.file_name(file))?;
            }
            recording.finish()
        })?;
        Ok(Self {
            origin: Instant::now(),
            window: Mutex::default(),
            full,
            writer,
        })
    }

    /// `client` begins `op` now, by the clock of a target that has its own.
    pub fn begin(&self, client: usize, op: Op, target: &dyn Target) -> Begun {
        let mut window = self.window.lock();
        let began = Began {
            at_ns: self.now_ns(target),
            took_ns: 0,
            client: u32::try_from(client).unwrap_or(u32::MAX - 1),
            op,
        };
        let begun = window.begin(began);
        let full = window.full();
        if !full.is_empty() {
            // A writer that is gone has failed, which it tells at the end.
            let _ = self.full.send(full);
        }
        begun
    }

    /// The operation is over, and its client goes on. One that failed does not say so.
    pub fn end(&self, begun: Begun, target: &dyn Target) {
        let now_ns = self.now_ns(target);
        self.window.lock().end(&begun, now_ns);
    }

    fn now_ns(&self, target: &dyn Target) -> u64 {
        match target.clock() {
            Some(clock) => clock.now().ns,
            None => u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Ends the file; how many operations it holds.
    pub fn finish(self) -> anyhow::Result<u64> {
        let rest = self.window.into_inner().all();
        let _ = self.full.send(rest);
        drop(self.full);
        let written = self.writer.join();
        Ok(written.map_err(|_| anyhow!("the writer of the recording panicked"))??)
    }
}

/// Operations that were not handed on yet, in the order of beginning.
#[derive(Debug, Default)]
struct Window {
    /// Number of the first.
    first: u64,
    /// Each with whether it is over.
    ops: VecDeque<(Began, bool)>,
}

impl Window {
    fn begin(&mut self, began: Began) -> Begun {
        self.ops.push_back((began, false));
        Begun(self.first + self.ops.len() as u64 - 1)
    }

    fn end(&mut self, begun: &Begun, now_ns: u64) {
        let at = begun.0.checked_sub(self.first);
        let at = at.and_then(|at| usize::try_from(at).ok());
        // One that was handed on is written as it was.
        if let Some((began, is_over)) = at.and_then(|at| self.ops.get_mut(at)) {
            began.took_ns = now_ns.saturating_sub(began.at_ns);
            *is_over = true;
        }
    }

    /// What is to be written once there is a batch: all up to the first that is not over, or a batch where too many wait for it.
    fn full(&mut self) -> Vec<Began> {
        if self.ops.len() < BATCH {
            return Vec::new();
        }
        let over = self.ops.iter().take_while(|(_, is_over)| *is_over).count();
        let count = match over {
            0 if self.ops.len() == WINDOW_MAX => BATCH,
            over => over,
        };
        self.first += count as u64;
        self.ops.drain(..count).map(|(began, _)| began).collect()
    }

    fn all(self) -> Vec<Began> {
        self.ops.into_iter().map(|(began, _)| began).collect()
    }
}

#[cfg(test)]
mod tests {
    use delalloc_workloads::FileSlot;

    use super::*;

    fn began(at_ns: u64) -> Began {
        Began {
            at_ns,
            took_ns: 0,
            client: 0,
            op: Op::Sync { file: FileSlot(0) },
        }
    }

    #[test]
    fn what_is_over_is_handed_on_in_order_with_how_long_it_took() {
        let mut window = Window::default();
        let numbers: Vec<Begun> = (0..BATCH as u64).map(|n| window.begin(began(n))).collect();
        assert!(window.full().is_empty(), "none is over");
        // The last first.
        for (nth, begun) in numbers.iter().enumerate().rev().skip(1) {
            window.end(begun, nth as u64 + 5);
        }
        let full = window.full();
        assert_eq!(full.len(), BATCH - 1);
        assert!(full.iter().all(|began| began.took_ns == 5));
        assert!(full.iter().map(|began| began.at_ns).is_sorted());
        window.end(numbers.last().unwrap(), BATCH as u64 + 99);
        assert_eq!(window.all()[0].took_ns, 100);
    }

    #[test]
    fn who_never_ends_holds_up_a_bounded_number() {
        let mut window = Window::default();
        let stuck = window.begin(began(0));
        let mut handed_on = Vec::new();
        for nth in 1..3 * WINDOW_MAX as u64 {
            let begun = window.begin(began(nth));
            handed_on.extend(window.full());
            window.end(&begun, nth + 1);
            assert!(window.ops.len() <= WINDOW_MAX);
        }
        assert!(handed_on.len() > WINDOW_MAX);
        assert_eq!(handed_on[0].took_ns, 0, "not known");
        assert!(handed_on[1..].iter().all(|began| began.took_ns == 1));
        window.end(&stuck, 9);
        assert!(window.all().iter().all(|began| began.at_ns > 0));
    }
}
