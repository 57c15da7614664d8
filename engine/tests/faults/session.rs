//! Carries a workload out on a device that may fail, and knows what must be there.
//!
//! As long as no fault has struck, every call succeeds and every byte read is the last one written.
//! After that a call may fail with the device's error, and then:
//!   * a failed `sync` has told of its failure: the same call does not tell of it again;
//!   * what the file shows is read back, must be something it was, and is what it holds from then on:
//!     a later `sync` that succeeds makes exactly that durable;
//!   * a volume that says that it only reads refuses every change with `ReadOnly`, changes nothing by
//!     that, and goes on to be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use delalloc_backends::{Backend, FaultHandle};
use delalloc_engine::{EngineConfig, EngineError, File, FileRange, Result, Volume};

use super::device::try_open;
use super::script::{SLOTS, Step};
use super::verify::{read_all, read_whole};
use crate::support::Dice;
use crate::support::oracle::History;
use crate::support::watchdog::Place;

/// A file with a handle.
#[derive(Debug)]
struct Open {
    file: File,
    /// Its place in `files`.
    index: usize,
}

/// A user at work.
pub(crate) struct Session {
    pub(crate) files: Vec<History>,
    volume: Option<Volume>,
    slots: [Option<Open>; SLOTS],
    orphans: Vec<Open>,
    backend: Arc<dyn Backend>,
    config: EngineConfig,
    faults: FaultHandle,
    place: Place,
    /// Somebody was told of a failure.
    pub(crate) told: bool,
    kept: bool,
    /// Calls that failed.
    pub(crate) failed: u64,
    names_given: usize,
    /// Files that could not be read after a failure: what they show is not known for now.
    unsure: BTreeSet<usize>,
    /// Nothing that a file has been is forgotten.
    remembers: bool,
}

impl Session {
    /// Opens an empty volume, before any fault is armed.
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        config: &EngineConfig,
        faults: FaultHandle,
        place: Place,
    ) -> Self {
        let volume = try_open(&backend, config).unwrap_or_else(|error| panic!("{place}: {error}"));
        Self {
            files: Vec::new(),
            volume: Some(volume),
            slots: std::array::from_fn(|_| None),
            orphans: Vec::new(),
            backend,
            config: config.clone(),
            faults,
            place,
            told: false,
            kept: false,
            failed: 0,
            names_given: 0,
            unsure: BTreeSet::new(),
            remembers: false,
        }
    }

    /// Keeps everything that a file has been, for a device that may show any of it.
    pub(crate) fn remember(&mut self) {
        self.remembers = true;
    }

    /// Carries out all of `steps`, as far as there is a volume.
    pub(crate) fn run(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            self.place.at((number, step));
            let (struck, read_only) = (self.struck(), self.read_only());
            let sizes = self.sizes();
            let Some(answer) = self.carry_out(step) else {
                continue;
            };
            if let Err(error) = &answer {
                self.judge(error, struck);
            }
            if read_only && !matches!(step, Step::ReadAll | Step::Reopen) {
                self.refused(step, answer, &sizes);
            }
        }
    }

    /// Closes the volume: what it acknowledges by that is durable.
    pub(crate) fn close(mut self) -> Ended {
        self.place.at("the last close");
        let struck = self.struck();
        if let Err(error) = self.shut() {
            self.judge(&error, struck);
        }
        self.ended()
    }

    /// Lets go of the volume as a crash would.
    pub(crate) fn abandon(mut self) -> Ended {
        self.place.at("letting go of the volume");
        self.ended()
    }

    fn ended(&mut self) -> Ended {
        self.drop_handles();
        if let Some(volume) = self.volume.take() {
            self.note_kept(&volume);
        }
        self.expect_holes();
        Ended {
            files: std::mem::take(&mut self.files),
            told: self.told,
            kept: self.kept,
            failed: self.failed,
        }
    }

    /// A write that failed and lost nothing, because the log had it all, is told to nobody.
    fn note_kept(&mut self, volume: &Volume) {
        self.kept |= volume.stats().counters.kept_bytes > 0;
    }

    fn struck(&self) -> u64 {
        self.faults.fired()
    }

    fn expect_holes(&mut self) {
        if self.struck() > 0 {
            self.files.iter_mut().for_each(History::allow_holes);
        }
    }

    fn read_only(&self) -> bool {
        let volume = self.volume.as_ref();
        volume.is_some_and(|volume| volume.read_only().is_some())
    }

    fn sizes(&self) -> Vec<Option<u64>> {
        let size = |open: &Option<Open>| open.as_ref().map(|open| open.file.size_bytes());
        self.slots.iter().map(size).collect()
    }

    /// `None` where there is nothing to do.
    fn carry_out(&mut self, step: &Step) -> Option<Result<()>> {
        self.volume.as_ref()?;
        self.expect_holes();
        match *step {
            Step::Create(slot) => self.create(slot),
            Step::Write {
                slot,
                at,
                len,
                seed,
            } => {
                let bytes = Dice::new(seed).bytes(len);
                self.change(
                    slot,
                    |file| file.write_at(at, &bytes),
                    |now| overwrite(now, at, &bytes),
                )
            }
            Step::Truncate { slot, size_bytes } => self.change(
                slot,
                |file| file.truncate(size_bytes),
                |now| now.resize(index(size_bytes), 0),
            ),
            Step::Punch { slot, start, end } => self.change(
                slot,
                |file| file.punch_hole(FileRange::new(start, end)),
                |now| {
                    let end = now.len().min(index(end));
                    if let Some(hole) = now.get_mut(index(start)..end) {
                        hole.fill(0);
                    }
                },
            ),
            Step::Sync(slot) => self.sync(slot),
            Step::Rename(slot) => self.rename(slot),
            Step::Replace { slot, by } => self.replace(slot, by),
            Step::Remove(slot) => self.remove(slot),
            Step::SyncVolume => Some(self.sync_volume(Volume::sync)),
            Step::DropCaches => Some(self.sync_volume(Volume::drop_caches)),
            Step::ReadAll => Some(self.read_back_all()),
            Step::Reopen => Some(self.reopen()),
        }
    }

    /// An error has to have a reason, and to be one of those that a device is a reason for.
    fn judge(&mut self, error: &EngineError, struck_before: u64) {
        let place = &self.place;
        assert!(
            self.struck() > 0,
            "{place}: failed with nothing wrong: {error}"
        );
        self.failed += 1;
        self.told = true;
        match error {
            EngineError::Device(_) => {}
            EngineError::ReadOnly(_) => {
                assert!(
                    self.volume.is_none() || self.read_only(),
                    "{place}: says {error}, and read_only() does not"
                );
            }
            other => panic!("{place}: {other} ({struck_before} faults before)"),
        }
    }

    /// A volume that only reads has been asked for a change.
    fn refused(&self, step: &Step, answer: Result<()>, sizes: &[Option<u64>]) {
        let place = &self.place;
        let tells = matches!(step, Step::Sync(_) | Step::SyncVolume | Step::DropCaches);
        match answer {
            Err(EngineError::ReadOnly(_)) => {}
            Ok(()) if matches!(*step, Step::Punch { slot, start, .. } if sizes[slot] <= Some(start)) =>
                {}
            // A failure from before that this opener had not been told of.
            Err(EngineError::Device(_)) if tells => {}
            other => panic!("{place}: the volume only reads, and answers {other:?}"),
        }
        assert_eq!(
            sizes,
            self.sizes(),
            "{place}: refused, and a size has changed all the same"
        );
    }

    fn create(&mut self, slot: usize) -> Option<Result<()>> {
        if self.slots[slot].is_some() {
            return None;
        }
        let name = self.new_name();
        let answer = self.volume.as_ref()?.create(&name);
        self.files.push(History::new(&name));
        let index = self.files.len() - 1;
        match answer {
            Ok(file) => {
                self.slots[slot] = Some(Open { file, index });
                Some(Ok(()))
            }
            Err(error) => {
                self.find_name(index);
                Some(Err(error))
            }
        }
    }

    fn new_name(&mut self) -> String {
        self.names_given += 1;
        format!("file-{}", self.names_given)
    }

    /// A change of a file's bytes.
    fn change(
        &mut self,
        slot: usize,
        carry_out: impl FnOnce(&File) -> Result<()>,
        model: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Result<()>> {
        let Open { file, index } = self.slots[slot].as_ref()?;
        let index = *index;
        let answer = carry_out(file);
        let refused = matches!(answer, Err(EngineError::ReadOnly(_)));
        if !refused {
            let mut then = self.files[index].now().to_vec();
            model(&mut then);
            self.files[index].push(then);
        }
        if answer.is_err() {
            self.absorb(slot);
        }
        Some(answer)
    }

    fn sync(&mut self, slot: usize) -> Option<Result<()>> {
        let answer = self.sync_once(slot)?;
        match &answer {
            Ok(()) => self.settle(slot),
            Err(_) => {
                self.absorb(slot);
                let struck = self.struck();
                let again = self.sync_once(slot)?;
                let anew = self.struck() > struck;
                match &again {
                    Ok(()) => self.settle(slot),
                    Err(EngineError::Device(_)) if !anew => {
                        panic!("{}: told twice: {again:?}", self.place)
                    }
                    Err(_) => self.absorb(slot),
                }
            }
        }
        Some(answer)
    }

    fn sync_once(&self, slot: usize) -> Option<Result<()>> {
        Some(self.slots[slot].as_ref()?.file.sync())
    }

    /// A success: what the file shows is what it was, and durable.
    fn settle(&mut self, slot: usize) {
        let Some(open) = &self.slots[slot] else {
            return;
        };
        if self.unsure.contains(&open.index) {
            return self.absorb(slot);
        }
        let history = &mut self.files[open.index];
        if self.faults.fired() > 0
            && let Ok(bytes) = read_whole(&open.file)
        {
            assert!(
                bytes == history.now(),
                "{}: a failed write was told to nobody: {} bytes, not {}",
                self.place,
                bytes.len(),
                history.now().len()
            );
        }
        history.settle();
    }

    /// What a file shows now is what it holds; it must be something that it was.
    fn absorb(&mut self, slot: usize) {
        self.expect_holes();
        if let Some(open) = self.slots[slot].take() {
            self.absorb_open(&open);
            self.slots[slot] = Some(open);
        }
    }

    fn absorb_open(&mut self, open: &Open) {
        let Ok(bytes) = read_whole(&open.file) else {
            self.unsure.insert(open.index);
            return;
        };
        let history = &mut self.files[open.index];
        let answer = history.accept(&bytes);
        answer.unwrap_or_else(|why| panic!("{}: after a failure: {why}", self.place));
        history.push(bytes);
        self.unsure.remove(&open.index);
    }

    fn rename(&mut self, slot: usize) -> Option<Result<()>> {
        let index = self.slots[slot].as_ref()?.index;
        let from = self.files[index].name()?.to_owned();
        let to = self.new_name();
        let answer = self.volume.as_ref()?.rename(&from, &to);
        self.files[index].push_name(Some(&to));
        if answer.is_err() {
            self.files[index].push_name(Some(&from));
            self.find_name(index);
        }
        Some(answer)
    }

    fn replace(&mut self, slot: usize, by: usize) -> Option<Result<()>> {
        let replaced = self.slots[slot].as_ref()?.index;
        let index = self.slots[by].as_ref()?.index;
        let to = self.files[replaced].name()?.to_owned();
        let from = self.files[index].name()?.to_owned();
        let answer = self.volume.as_ref()?.rename(&from, &to);
        self.files[index].push_name(Some(&to));
        self.files[replaced].push_name(None);
        match &answer {
            Ok(()) => self.orphans.extend(self.slots[slot].take()),
            Err(_) => {
                self.files[index].push_name(Some(&from));
                self.files[replaced].push_name(Some(&to));
                self.find_name(index);
                self.find_name(replaced);
            }
        }
        Some(answer)
    }

    fn remove(&mut self, slot: usize) -> Option<Result<()>> {
        let index = self.slots[slot].as_ref()?.index;
        let name = self.files[index].name()?.to_owned();
        let answer = self.volume.as_ref()?.remove(&name);
        self.files[index].push_name(None);
        match &answer {
            Ok(()) => self.orphans.extend(self.slots[slot].take()),
            Err(_) => {
                self.files[index].push_name(Some(&name));
                self.find_name(index);
            }
        }
        Some(answer)
    }

    /// What a file is called after a change of names that failed: the volume says.
    fn find_name(&mut self, index: usize) {
        let Some(Ok(list)) = self.volume.as_ref().map(Volume::list) else {
            return;
        };
        let names = self.files[index].names().to_vec();
        let there = |name: &&Option<String>| {
            let listed = |own: &String| list.iter().any(|info| info.name == *own);
            name.as_ref().is_some_and(listed)
        };
        let now = names.iter().rev().find(there).cloned().flatten();
        self.files[index].push_name(now.as_deref());
    }

    fn sync_volume(&mut self, call: impl Fn(&Volume) -> Result<()>) -> Result<()> {
        let Some(volume) = self.volume.clone() else {
            return Ok(());
        };
        let answer = call(&volume);
        match &answer {
            Ok(()) => self.settle_all(),
            Err(_) => {
                self.absorb_all();
                let struck = self.struck();
                let again = call(&volume);
                let anew = self.struck() > struck;
                match &again {
                    Ok(()) => self.settle_all(),
                    Err(EngineError::Device(_)) if !anew => {
                        panic!("{}: told twice: {again:?}", self.place)
                    }
                    Err(_) => self.absorb_all(),
                }
            }
        }
        answer
    }

    fn settle_all(&mut self) {
        for slot in 0..SLOTS {
            self.settle(slot);
        }
        for file in &mut self.files {
            if file.name().is_none() {
                file.settle();
            }
        }
    }

    fn absorb_all(&mut self) {
        for slot in 0..SLOTS {
            self.absorb(slot);
        }
        let orphans = std::mem::take(&mut self.orphans);
        orphans.iter().for_each(|orphan| self.absorb_open(orphan));
        self.orphans = orphans;
    }

    fn read_back_all(&mut self) -> Result<()> {
        for slot in 0..SLOTS {
            self.read_back(slot)?;
        }
        for orphan in &self.orphans {
            let struck = self.faults.fired();
            let bytes = read_judged(&self.place, &self.faults, struck, &orphan.file)?;
            let answer = self.files[orphan.index].accept(&bytes);
            answer.unwrap_or_else(|why| panic!("{}: a file without a name: {why}", self.place));
        }
        Ok(())
    }

    fn read_back(&mut self, slot: usize) -> Result<()> {
        let struck = self.struck();
        let Some(open) = &self.slots[slot] else {
            return Ok(());
        };
        let history = &mut self.files[open.index];
        let bytes = read_judged(&self.place, &self.faults, struck, &open.file)?;
        if struck == 0 && self.faults.fired() == 0 {
            assert!(
                bytes == history.now(),
                "{}: {:?} shows {} bytes that are not the last ones written",
                self.place,
                history.name(),
                bytes.len()
            );
        }
        self.absorb(slot);
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        let closed = self.shut();
        let struck = self.struck();
        if let Err(error) = &closed {
            self.judge(error, struck);
        }
        self.place.at("opening again");
        let volume = try_open(&self.backend, &self.config)?;
        let found = match read_all(&volume) {
            Ok(found) => found,
            Err(error) => {
                // No byte is known to be wrong; the image is judged in the end.
                return Err(error);
            }
        };
        self.expect_holes();
        super::verify::compare(&found, &self.files, &self.place);
        self.adopt(volume, found)
    }

    /// What is there after opening again is what the files hold.
    fn adopt(&mut self, volume: Volume, found: Vec<(String, Vec<u8>)>) -> Result<()> {
        for file in &mut self.files {
            file.push_name(None);
            file.settle();
            if !self.remembers {
                file.forget_older();
            }
        }
        self.unsure.clear();
        for (slot, (name, bytes)) in found.into_iter().enumerate() {
            let mut history = History::of(Some(&name), bytes);
            history.settle();
            self.files.push(history);
            let index = self.files.len() - 1;
            if slot < SLOTS {
                let file = volume.open_file(&name)?;
                self.slots[slot] = Some(Open { file, index });
            }
        }
        self.volume = Some(volume);
        Ok(())
    }

    fn shut(&mut self) -> Result<()> {
        let Some(volume) = self.volume.take() else {
            return Ok(());
        };
        let answer = volume.clone().close();
        self.note_kept(&volume);
        if answer.is_ok() {
            for (index, file) in self.files.iter_mut().enumerate() {
                if !self.unsure.contains(&index) {
                    file.settle();
                }
            }
        }
        self.drop_handles();
        answer
    }

    fn drop_handles(&mut self) {
        self.slots = std::array::from_fn(|_| None);
        self.orphans.clear();
    }
}

/// What is left of a session.
pub(crate) struct Ended {
    pub(crate) files: Vec<History>,
    pub(crate) told: bool,
    /// A failed write stayed, and was written again.
    pub(crate) kept: bool,
    pub(crate) failed: u64,
}

/// A read fails for a fault that strikes it, and only then.
fn read_judged(place: &Place, faults: &FaultHandle, struck: u64, file: &File) -> Result<Vec<u8>> {
    let answer = read_whole(file);
    if let Err(error) = &answer {
        assert!(
            faults.fired() > struck,
            "{place}: a read failed although nothing struck it: {error}"
        );
    }
    answer
}

fn overwrite(now: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = index(at) + bytes.len();
    if now.len() < end {
        now.resize(end, 0);
    }
    now[index(at)..end].copy_from_slice(bytes);
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}
