//! Does steps on a volume and on its model, and tells where they differ.
//!
//! What a step must answer follows from the model alone: a file that is not there is not found, a
//! name that is there exists, a read gives the model's bytes. Only room is the volume's to refuse,
//! on setups that fill, to steps that may need some; then nothing may have changed.
//!
//! A panic of the engine is a mismatch like any other.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_engine::{EngineError, FILE_BYTES_MAX, File, FileRange, Volume};

use super::content;
use super::image::Image;
use super::model::{Model, ModelFile};
use super::ops::{NAMES, Op, SLOTS, Step};
use super::report::{History, Mismatch};
use super::setup::Setup;
use crate::support::open;

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) refused: u64,
    pub(crate) reopened: u64,
    pub(crate) written_bytes: u64,
    pub(crate) read_bytes: u64,
}

pub(super) type Said<T = ()> = Result<T, String>;

pub(super) struct Exerciser {
    pub(super) setup: Setup,
    pub(super) image: Image,
    pub(super) zero_detect: bool,
    pub(super) volume: Option<Volume>,
    pub(super) handles: [Option<File>; SLOTS],
    pub(super) model: Model,
    pub(super) history: History,
    pub(super) counts: Counts,
    /// Bytes written and read since the volume was opened.
    pub(super) opened: Counts,
    pub(super) place: Option<(u64, FileRange)>,
    pub(super) bytes: Vec<u8>,
    pub(super) found: Vec<u8>,
}

/// Does `steps` and then leaves the volume by the door. `done` counts them while they are done.
pub(crate) fn drive(
    setup: &Setup,
    steps: impl Iterator<Item = Step>,
    done: &AtomicU64,
) -> Result<Counts, Box<Mismatch>> {
    let mut exerciser = Exerciser::new(setup.clone());
    let number = Cell::new(0);
    let all = catch_unwind(AssertUnwindSafe(|| {
        for step in steps {
            number.set(step.number);
            exerciser.step(step)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        exerciser.end()
    }));
    let said = all.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a text")))
    });
    said.map(|()| exerciser.counts).map_err(|what| {
        Box::new(Mismatch {
            number: number.get(),
            place: exerciser.place,
            what,
            history: exerciser.history.of(exerciser.place),
        })
    })
}

impl Exerciser {
    fn new(setup: Setup) -> Self {
        let backend = setup.device();
        let config = setup.config(0);
        Self {
            image: Image::new(&setup, Arc::clone(&backend)),
            zero_detect: config.compression.how.zero_detect,
            volume: Some(open(&backend, &config)),
            setup,
            handles: Default::default(),
            model: Model::default(),
            history: History::default(),
            counts: Counts::default(),
            opened: Counts::default(),
            place: None,
            bytes: Vec::new(),
            found: Vec::new(),
        }
    }

    pub(super) fn volume(&self) -> &Volume {
        self.volume.as_ref().expect("the volume is open")
    }

    fn step(&mut self, step: Step) -> Said {
        self.place = self.place_of(step.op);
        self.history.note(step, self.place);
        self.counts.steps += 1;
        match step.op {
            Op::Create { slot } => self.create(slot),
            Op::Write {
                slot,
                offset,
                len,
                fill,
            } => {
                content::fill(&mut self.bytes, length(len), fill, step.number);
                self.write(slot, offset)
            }
            Op::Append { slot, len, fill } => {
                let end = self.model.get(slot).map_or(0, ModelFile::size);
                let len = len.min(self.setup.file_bytes_max.saturating_sub(end));
                content::fill(&mut self.bytes, length(len), fill, step.number);
                self.write(slot, end)
            }
            Op::Read { slot, offset, len } => self.read(slot, offset, len),
            Op::Truncate { slot, size } => self.truncate(slot, size),
            Op::Punch { slot, start, end } => self.punch(slot, FileRange::new(start, end)),
            Op::Sync { slot } => match self.handle(slot)? {
                Some(file) => told("a sync", file.sync()),
                None => Ok(()),
            },
            Op::SyncVolume => told("a volume sync", self.volume().sync()),
            Op::DropCaches => told("dropping caches", self.volume().drop_caches()),
            Op::Rename { from, to } => self.rename(from, to),
            Op::Remove { slot, held } => self.remove(slot, held),
            Op::Shut { slot } => {
                self.handles[slot] = None;
                if slot >= NAMES.len() {
                    self.model.files[slot] = None;
                }
                Ok(())
            }
            Op::List => self.list(),
            Op::Stats => self.stats(),
            Op::Misuse { slot } => self.misuse(slot),
            Op::Reopen { how, held, knobs } => self.reopen(how, held, knobs),
        }
    }

    /// The file and range that a step is about; none for what is about all.
    fn place_of(&self, op: Op) -> Option<(u64, FileRange)> {
        let (slot, range) = match op {
            Op::Write {
                slot, offset, len, ..
            }
            | Op::Read { slot, offset, len } => (slot, FileRange::new(offset, offset + len)),
            Op::Append { slot, len, .. } => {
                let end = self.model.get(slot).map_or(0, ModelFile::size);
                (slot, FileRange::new(end, end + len))
            }
            Op::Truncate { slot, size } => (slot, FileRange::new(size, FILE_BYTES_MAX)),
            Op::Punch { slot, start, end } => (slot, FileRange::new(start, end)),
            Op::Create { slot }
            | Op::Sync { slot }
            | Op::Remove { slot, .. }
            | Op::Shut { slot }
            | Op::Misuse { slot } => (slot, FileRange::WHOLE),
            Op::Rename { from, .. } => (from, FileRange::WHOLE),
            Op::SyncVolume | Op::DropCaches | Op::List | Op::Stats | Op::Reopen { .. } => {
                return None;
            }
        };
        Some((self.model.id(slot).unwrap_or(0), range))
    }

    /// A handle of the file in `slot`; none where there is no such file, which is then not found.
    pub(super) fn handle(&mut self, slot: usize) -> Said<Option<File>> {
        if let Some(file) = &self.handles[slot] {
            return Ok(Some(file.clone()));
        }
        if self.model.get(slot).is_some() {
            let file = told("opening", self.volume().open_file(NAMES[slot]))?;
            self.handles[slot] = Some(file.clone());
            return Ok(Some(file));
        }
        let Some(name) = NAMES.get(slot) else {
            return Ok(None);
        };
        match self.volume().open_file(name) {
            Err(EngineError::NotFound(_)) => Ok(None),
            other => Err(format!("opening what is not there: {other:?}")),
        }
    }

    /// The same, and makes the file where it has a name.
    pub(super) fn made(&mut self, slot: usize) -> Said<Option<File>> {
        if self.model.get(slot).is_none() && slot < NAMES.len() {
            self.create(slot)?;
        }
        if self.model.get(slot).is_none() {
            return Ok(None);
        }
        self.handle(slot)
    }

    pub(super) fn refused(&mut self) -> Said {
        self.counts.refused += 1;
        Ok(())
    }

    /// After a sync nothing is dirty or under way, and nothing was counted less than was done.
    pub(super) fn stats(&self) -> Said {
        told("a volume sync", self.volume().sync())?;
        let stats = self.volume().stats();
        let bounds = self.model.bounds(self.zero_detect);
        let extents = stats.meta.extents;
        let faults: [(bool, &str); 8] = [
            (stats.dirty.dirty_bytes == 0, "bytes are dirty after a sync"),
            (
                stats.dirty.writeback_bytes == 0,
                "bytes are in writeback after a sync",
            ),
            (stats.dirty.files == 0, "files are dirty after a sync"),
            (
                stats.frames.frames_used <= stats.frames.frames_max,
                "frames",
            ),
            (
                stats.counters.accepted_bytes >= self.opened.written_bytes,
                "bytes written",
            ),
            (
                stats.counters.served_bytes >= self.opened.read_bytes,
                "bytes read",
            ),
            (
                extents.live_bytes >= bounds.min_bytes,
                "less is live than has to be",
            ),
            (
                extents.live_bytes <= bounds.max_bytes,
                "more is live than can be",
            ),
        ];
        match faults.iter().find(|(good, _)| !good) {
            None => Ok(()),
            Some((_, what)) => Err(format!("stats: {what}; {bounds:?} {stats:?}")),
        }
    }
}

pub(super) fn told<T>(what: &str, answer: delalloc_engine::Result<T>) -> Said<T> {
    answer.map_err(|error| format!("{what}: {error}"))
}

pub(super) fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a model fits memory")
}
