//! What a replay does, written down while it does it: every operation of every client, when it begins.
//!
//! ```text
//!   clients --note--> a batch, in the order of beginning --when full--> a thread that packs and writes
//! ```
//!
//! A client takes one lock for the length of a push; packing is another thread's. Where that thread is behind by more than a few
//! batches, clients wait for it, so that memory stays bounded. A replay that is recorded is therefore not one to take numbers from.
//!
//! Not here: the form of the file (`workloads::trace`).

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
/// Batches that wait to be written.
const WAITING_MAX: usize = 4;

/// A recording that is being made.
pub struct Tape {
    origin: Instant,
    batch: Mutex<Vec<Began>>,
    full: SyncSender<Vec<Began>>,
    writer: JoinHandle<Result<u64, StreamError>>,
}

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
            batch: Mutex::new(Vec::with_capacity(BATCH)),
            full,
            writer,
        })
    }

    /// `client` begins `op` now, by the clock of a target that has its own.
    pub fn note(&self, client: usize, op: Op, target: &dyn Target) {
        let mut batch = self.batch.lock();
        let at_ns = match target.clock() {
            Some(clock) => clock.now().ns,
            None => u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        batch.push(Began {
            at_ns,
            client: u32::try_from(client).unwrap_or(u32::MAX - 1),
            op,
        });
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut *batch, Vec::with_capacity(BATCH));
            // A writer that is gone has failed, which it tells at the end.
            let _ = self.full.send(full);
        }
    }

    /// Ends the file; how many operations it holds.
    pub fn finish(self) -> anyhow::Result<u64> {
        let _ = self.full.send(self.batch.into_inner());
        drop(self.full);
        let written = self.writer.join();
        Ok(written.map_err(|_| anyhow!("the writer of the recording panicked"))??)
    }
}
