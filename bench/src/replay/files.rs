//! Slots of a workload to open files of a target.
//!
//! A stream speaks of slots; a slot has a name, which a rename changes, and at most one open file,
//! which every client of the phase shares. Clients keep what they looked up until the slot's
//! generation changes, so that an operation on an open file takes no lock.
//!
//! Locks: the table's, then one slot's. A slot's lock is held while its file is created, renamed or
//! removed, never during reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_workloads::{FileSlot, LoadPlan, renamed};
use parking_lot::{Mutex, RwLock};

use crate::targets::{Target, TargetFile};

/// The files of one cell.
pub struct FileTable<'a> {
    target: &'a dyn Target,
    load: &'a LoadPlan,
    slots: RwLock<Vec<Arc<Slot>>>,
}

struct Slot {
    /// Counts the times the open file was replaced.
    generation: AtomicU64,
    state: Mutex<SlotState>,
}

struct SlotState {
    name: String,
    file: Option<Arc<dyn TargetFile>>,
}

/// What one client has looked up.
#[derive(Default)]
pub struct OpenFiles {
    known: Vec<Option<Known>>,
}

struct Known {
    slot: Arc<Slot>,
    generation: u64,
    file: Arc<dyn TargetFile>,
}

impl<'a> FileTable<'a> {
    /// Nothing is open.
    pub fn new(target: &'a dyn Target, load: &'a LoadPlan) -> Self {
        Self {
            target,
            load,
            slots: RwLock::default(),
        }
    }

    /// The open file of a slot; made when it is not there.
    pub fn open(&self, slot: FileSlot) -> anyhow::Result<Arc<dyn TargetFile>> {
        self.open_in(&self.slot(slot))
    }

    /// Makes the file afresh and empty.
    pub fn create(&self, slot: FileSlot) -> anyhow::Result<()> {
        self.open(slot)?.truncate(0)
    }

    /// Takes the file away. One that was never opened is not there, which is no error.
    pub fn remove(&self, slot: FileSlot) -> anyhow::Result<()> {
        let slot = self.slot(slot);
        let mut state = slot.state.lock();
        if state.file.is_some() {
            self.target.remove(&state.name)?;
            state.file = None;
            slot.generation.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Gives the file its `serial`-th other name.
    pub fn rename(&self, slot: FileSlot, serial: u32) -> anyhow::Result<()> {
        self.open(slot)?;
        let to = renamed(&self.load.file_name(slot), serial);
        let slot = self.slot(slot);
        let mut state = slot.state.lock();
        self.target.rename(&state.name, &to)?;
        state.name = to;
        Ok(())
    }

    /// What a slot's file is called now.
    pub fn name(&self, slot: FileSlot) -> String {
        self.slot(slot).state.lock().name.clone()
    }

    /// Every open file, in order of slot.
    pub fn all_open(&self) -> Vec<Arc<dyn TargetFile>> {
        self.slots
            .read()
            .iter()
            .filter_map(|slot| slot.state.lock().file.clone())
            .collect()
    }

    /// Forgets every handle, as the target closes; names stay.
    pub fn close_all(&self) {
        for slot in self.slots.read().iter() {
            slot.state.lock().file = None;
            slot.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// The target below.
    pub fn target(&self) -> &'a dyn Target {
        self.target
    }

    fn open_in(&self, slot: &Slot) -> anyhow::Result<Arc<dyn TargetFile>> {
        let mut state = slot.state.lock();
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        let file = self.target.open_file(&state.name)?;
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn slot(&self, slot: FileSlot) -> Arc<Slot> {
        let index = slot.0 as usize;
        if let Some(found) = self.slots.read().get(index) {
            return Arc::clone(found);
        }
        let mut slots = self.slots.write();
        for number in slots.len()..=index {
            let number = u32::try_from(number).expect("below a u32");
            let name = self.load.file_name(FileSlot(number)).into_owned();
            let state = Mutex::new(SlotState { name, file: None });
            slots.push(Arc::new(Slot {
                generation: AtomicU64::new(0),
                state,
            }));
        }
        Arc::clone(&slots[index])
    }
}

impl OpenFiles {
    /// The open file of a slot, from memory where it is still the same.
    #[inline]
    pub fn get(
        &mut self,
        table: &FileTable<'_>,
        slot: FileSlot,
    ) -> anyhow::Result<&dyn TargetFile> {
        let index = slot.0 as usize;
        let known = self.known.get(index).and_then(Option::as_ref);
        if !known.is_some_and(Known::is_current) {
            self.look_up(table, slot)?;
        }
        let known = self.known[index].as_ref().expect("looked up above");
        Ok(&*known.file)
    }

    #[cold]
    fn look_up(&mut self, table: &FileTable<'_>, slot: FileSlot) -> anyhow::Result<()> {
        let index = slot.0 as usize;
        if self.known.len() <= index {
            self.known.resize_with(index + 1, || None);
        }
        let shared = table.slot(slot);
        // Before the file: a replacement in between makes this entry stale, never wrong.
        let generation = shared.generation.load(Ordering::Acquire);
        let file = table.open_in(&shared)?;
        self.known[index] = Some(Known {
            slot: shared,
            generation,
            file,
        });
        Ok(())
    }
}

impl Known {
    fn is_current(&self) -> bool {
        self.slot.generation.load(Ordering::Acquire) == self.generation
    }
}
