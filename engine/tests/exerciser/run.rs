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

use super::content::{self, whose};
use super::image::Image;
use super::model::{Model, ModelFile};
use super::ops::{NAMES, Op, Reopen, SLOTS, Step};
use super::report::{History, Mismatch};
use super::setup::Setup;
use crate::support::open;

/// Bytes promised under one promise of space.
const BATCH_BYTES: u64 = 2 << 20;
const ALL_FILES: &str = "of all files";

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) refused: u64,
    pub(crate) reopened: u64,
    pub(crate) written_bytes: u64,
    pub(crate) read_bytes: u64,
}

type Said<T = ()> = Result<T, String>;

struct Exerciser {
    setup: Setup,
    image: Image,
    zero_detect: bool,
    volume: Option<Volume>,
    handles: [Option<File>; SLOTS],
    model: Model,
    history: History,
    counts: Counts,
    /// Bytes written and read since the volume was opened.
    opened: Counts,
    place: Option<(u64, FileRange)>,
    bytes: Vec<u8>,
    found: Vec<u8>,
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

    fn volume(&self) -> &Volume {
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
    fn handle(&mut self, slot: usize) -> Said<Option<File>> {
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
    fn made(&mut self, slot: usize) -> Said<Option<File>> {
        if self.model.get(slot).is_none() && slot < NAMES.len() {
            self.create(slot)?;
        }
        if self.model.get(slot).is_none() {
            return Ok(None);
        }
        self.handle(slot)
    }

    fn create(&mut self, slot: usize) -> Said {
        let exists = self.model.get(slot).is_some();
        match self.volume().create(NAMES[slot]) {
            Ok(file) if !exists => {
                self.handles[slot] = Some(file);
                self.model.create(slot);
                Ok(())
            }
            Err(EngineError::Exists(_)) if exists => Ok(()),
            Err(EngineError::NoSpace { .. }) if self.setup.fills && !exists => self.refused(),
            other => Err(format!("making a file, which {exists}: {other:?}")),
        }
    }

    fn refused(&mut self) -> Said {
        self.counts.refused += 1;
        Ok(())
    }

    fn write(&mut self, slot: usize, offset: u64) -> Said {
        let bytes = std::mem::take(&mut self.bytes);
        let said = self.write_bytes(slot, offset, &bytes);
        self.bytes = bytes;
        said
    }

    fn write_bytes(&mut self, slot: usize, offset: u64, bytes: &[u8]) -> Said {
        let Some(file) = self.made(slot)? else {
            return Ok(());
        };
        if bytes.is_empty() {
            return told("a write of nothing", file.write_at(offset, bytes));
        }
        let taken = match file.write_at(offset, bytes) {
            Ok(()) => bytes.len(),
            Err(EngineError::NoSpace { .. }) if self.setup.fills => {
                self.refused()?;
                self.taken_batches(slot, &file, offset, bytes)?
            }
            Err(error) => return Err(format!("a write: {error}")),
        };
        self.counts.written_bytes += taken as u64;
        self.opened.written_bytes += taken as u64;
        if taken > 0 {
            self.model_mut(slot).write(length(offset), &bytes[..taken]);
        }
        self.size_is(slot, &file)?;
        if taken < bytes.len() {
            self.read(
                slot,
                offset.saturating_sub(8192),
                bytes.len() as u64 + 16_384,
            )?;
        }
        Ok(())
    }

    /// How much of a refused write was taken: whole batches from its front.
    fn taken_batches(
        &mut self,
        slot: usize,
        file: &File,
        offset: u64,
        bytes: &[u8],
    ) -> Said<usize> {
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        loop {
            let next = ((at / BATCH_BYTES + 1) * BATCH_BYTES).min(end);
            if next == end {
                break;
            }
            let (old_size, part) = (
                self.model.get(slot).map_or(0, ModelFile::size),
                &bytes[length(at - offset)..length(next - offset)],
            );
            let mut now = vec![0; part.len()];
            let count = told("a read", file.read_at(at, &mut now))?;
            if count < now.len() || now != part {
                break;
            }
            if file.size_bytes() < next.max(old_size) {
                break;
            }
            at = next;
        }
        Ok(length(at - offset))
    }

    fn model_mut(&mut self, slot: usize) -> &mut ModelFile {
        self.model.files[slot].as_mut().expect("the file is there")
    }

    fn size_is(&self, slot: usize, file: &File) -> Said {
        let (found, expected) = (
            file.size_bytes(),
            self.model.get(slot).map_or(0, ModelFile::size),
        );
        if found == expected {
            Ok(())
        } else {
            Err(format!("the file has {found} bytes instead of {expected}"))
        }
    }

    fn read(&mut self, slot: usize, offset: u64, len: u64) -> Said {
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.resize(length(len), 0xee);
        let count = told("a read", file.read_at(offset, &mut found))?;
        self.counts.read_bytes += count as u64;
        self.opened.read_bytes += count as u64;
        let bytes = &self.model.files[slot]
            .as_ref()
            .expect("it has a handle")
            .bytes;
        let start = length(offset).min(bytes.len());
        let expected = &bytes[start..(start + length(len)).min(bytes.len())];
        let said = same(&found[..count], expected, offset);
        self.found = found;
        if let Err((at, _)) = &said {
            let id = self.model.id(slot).unwrap_or(0);
            self.place = Some((id, FileRange::new(*at, *at + 1)));
        }
        said.map_err(|(_, what)| what)
    }

    fn truncate(&mut self, slot: usize, size: u64) -> Said {
        let Some(file) = self.made(slot)? else {
            return Ok(());
        };
        let grows = size > self.model_mut(slot).size();
        match file.truncate(size) {
            Ok(()) => self.model_mut(slot).truncate(length(size)),
            Err(EngineError::NoSpace { .. }) if self.setup.fills && grows => self.refused()?,
            Err(error) => return Err(format!("a truncation: {error}")),
        }
        self.size_is(slot, &file)
    }

    fn punch(&mut self, slot: usize, range: FileRange) -> Said {
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        match file.punch_hole(range) {
            Ok(()) => self
                .model_mut(slot)
                .punch(length(range.start), length(range.end)),
            Err(EngineError::NoSpace { .. }) if self.setup.fills => {
                self.refused()?;
                self.read(slot, range.start, range.bytes())?;
            }
            Err(error) => return Err(format!("a punch: {error}")),
        }
        self.size_is(slot, &file)
    }

    fn rename(&mut self, from: usize, to: usize) -> Said {
        let there = self.model.get(from).is_some();
        match self.volume().rename(NAMES[from], NAMES[to]) {
            Err(EngineError::NotFound(_)) if !there => Ok(()),
            Err(EngineError::NoSpace { .. }) if there && from != to && self.setup.fills => {
                self.refused()
            }
            Ok(()) if there => {
                if from != to {
                    self.set_aside(to);
                    self.model.files[to] = self.model.files[from].take();
                    self.handles[to] = self.handles[from].take();
                }
                Ok(())
            }
            other => Err(format!("a rename, {there}: {other:?}")),
        }
    }

    /// The file in `slot` has lost its name: it goes on where it is held.
    fn set_aside(&mut self, slot: usize) {
        let (handle, file) = (self.handles[slot].take(), self.model.files[slot].take());
        if handle.is_none() {
            return;
        }
        let aside = if self.model.get(NAMES.len()).is_none() {
            NAMES.len()
        } else {
            NAMES.len() + 1
        };
        self.handles[aside] = handle;
        self.model.files[aside] = file;
    }

    fn remove(&mut self, slot: usize, held: bool) -> Said {
        if !held {
            self.handles[slot] = None;
        } else if self.model.get(slot).is_some() {
            self.handle(slot)?;
        }
        let there = self.model.get(slot).is_some();
        match self.volume().remove(NAMES[slot]) {
            Err(EngineError::NotFound(_)) if !there => Ok(()),
            Ok(()) if there => {
                self.set_aside(slot);
                Ok(())
            }
            other => Err(format!("a removal, {there}: {other:?}")),
        }
    }

    fn list(&self) -> Said {
        let found = told("a list", self.volume().list())?;
        let found: Vec<(&str, u64)> = found
            .iter()
            .map(|info| (info.name.as_str(), info.size_bytes))
            .collect();
        let expected = self.model.listing();
        if found == expected {
            Ok(())
        } else {
            Err(format!("files {found:?} instead of {expected:?}"))
        }
    }

    /// After a sync nothing is dirty or under way, and nothing was counted less than was done.
    fn stats(&self) -> Said {
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

    fn misuse(&mut self, slot: usize) -> Said {
        let long = "x".repeat(256);
        for name in ["", &long] {
            if !matches!(self.volume().create(name), Err(EngineError::Invalid(_))) {
                return Err(format!("a file was made with {} bytes of name", name.len()));
            }
        }
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        let answers = [
            file.write_at(FILE_BYTES_MAX, b"x"),
            file.write_at(u64::MAX, b"x"),
            file.truncate(FILE_BYTES_MAX + 1),
            self.volume().create(NAMES[slot]).map(drop),
        ];
        let [
            Err(EngineError::Invalid(_)),
            Err(EngineError::Invalid(_)),
            Err(EngineError::Invalid(_)),
            Err(EngineError::Exists(_)),
        ] = answers
        else {
            return Err(format!("misuse was answered with {answers:?}"));
        };
        if !matches!(file.read_at(FILE_BYTES_MAX - 1, &mut [0; 9]), Ok(0)) {
            return Err("bytes were read at the end of all files".to_owned());
        }
        self.size_is(slot, &file)
    }

    fn reopen(&mut self, how: Reopen, held: bool, knobs: u64) -> Said {
        self.leave(how, held)?;
        let config = self.setup.config(knobs);
        self.zero_detect |= config.compression.how.zero_detect;
        self.volume = Some(open(self.image.backend(), &config));
        self.opened = Counts::default();
        self.counts.reopened += 1;
        self.list()?;
        self.read_all()
    }

    fn leave(&mut self, how: Reopen, held: bool) -> Said {
        if !held {
            self.let_orphans_go();
            self.handles = Default::default();
        }
        match how {
            Reopen::Close => {}
            Reopen::DropAfterSync => told("a volume sync", self.volume().sync())?,
            Reopen::DropAfterFileSyncs => self.sync_each()?,
        }
        let volume = self.volume.take().expect("the volume is open");
        if how == Reopen::Close {
            told("closing", volume.close())?;
        } else {
            drop(volume);
        }
        for file in self.handles.iter().flatten() {
            if !matches!(file.write_at(0, b"x"), Err(EngineError::Closed)) {
                return Err("a handle outlived its volume".to_owned());
            }
        }
        self.place = None;
        let said = match how {
            Reopen::DropAfterFileSyncs => self.image.check(),
            Reopen::Close | Reopen::DropAfterSync => {
                self.image.compare(&self.model, self.zero_detect)
            }
        };
        said.map_err(|what| format!("{how:?}: {what}"))?;
        self.let_orphans_go();
        self.handles = Default::default();
        Ok(())
    }

    fn let_orphans_go(&mut self) {
        for slot in NAMES.len()..SLOTS {
            self.handles[slot] = None;
            self.model.files[slot] = None;
        }
    }

    fn sync_each(&mut self) -> Said {
        let mut synced = false;
        for slot in 0..SLOTS {
            if self.model.get(slot).is_some()
                && let Some(file) = self.handle(slot)?
            {
                told("a sync", file.sync())?;
                synced |= slot < NAMES.len();
            }
        }
        if synced {
            return Ok(());
        }
        told("a volume sync", self.volume().sync())
    }

    fn read_all(&mut self) -> Said {
        for slot in 0..SLOTS {
            if let Some(size) = self.model.get(slot).map(ModelFile::size) {
                self.read(slot, 0, size + 10)?;
            }
        }
        Ok(())
    }

    /// Everything once more, by the door; then nothing, and there is room again.
    fn end(&mut self) -> Said {
        self.read_all()?;
        self.reopen(Reopen::Close, false, 0)?;
        for slot in 0..NAMES.len() {
            self.remove(slot, false)?;
        }
        self.leave(Reopen::DropAfterSync, false)?;
        let volume = open(self.image.backend(), &self.setup.config(0));
        let file = told("making a file", volume.create(ALL_FILES))?;
        told("a write", file.write_at(0, &vec![b'x'; 64 << 10]))?;
        told("closing", volume.close())
    }
}

fn told<T>(what: &str, answer: delalloc_engine::Result<T>) -> Said<T> {
    answer.map_err(|error| format!("{what}: {error}"))
}

/// Equal, or the first place in the file where they differ.
fn same(found: &[u8], expected: &[u8], offset: u64) -> Result<(), (u64, String)> {
    if found == expected {
        return Ok(());
    }
    if found.len() != expected.len() {
        let what = format!(
            "{} bytes were read instead of {}",
            found.len(),
            expected.len()
        );
        return Err((offset, what));
    }
    let differs = |at: &usize| found[*at] != expected[*at];
    let count = (0..found.len()).filter(differs).count();
    let at = (0..found.len()).find(differs).unwrap_or(0);
    let place = offset + at as u64;
    let what = format!(
        "byte {place} is {:#x} ({}) instead of {:#x} ({}); {count} bytes differ",
        found[at],
        whose(found, at),
        expected[at],
        whose(expected, at)
    );
    Err((place, what))
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a model fits memory")
}
