//! A volume: format, open, close, the files on it. Sequencing only; the work is in the rooms.
//!
//! Threads of an open volume besides its pools: the flusher (dirty data) and the committer
//! (metadata). `close` writes everything back, commits, stops them and joins them. Dropping the
//! last handle without `close` stops and joins them and writes nothing: the device is left as a
//! crash would leave it, which is safe, and loses what no `sync` was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::{Backend, Clock, HeldBackend, VirtualClock};
use parking_lot::Mutex;

use crate::config::EngineConfig;
use crate::core::{Core, VolumeFailures};
use crate::error::{EngineError, Result};
use crate::extent::State;
use crate::file::{File, forget_pages};
use crate::inode::{Inode, Life};
use crate::meta::{self, FormatOptions, LeftAlone, Metadata};
use crate::mutation::{self, Mutation};
use crate::namespace::{Namespace, check_name};
use crate::pools::{NodePool, Pools};
use crate::services::Services;
use crate::stats::EngineStats;
use crate::stepped::Stepper;
use crate::units::{FILE_BYTES_MAX, FileId, FileRange, PAGE_BYTES, PageIndex};
use crate::writeback::{self, Asked};

/// An open volume. Clones share it.
#[derive(Debug, Clone)]
pub struct Volume(Arc<Open>);

#[derive(Debug)]
struct Open {
    core: Arc<Core>,
    services: Mutex<Option<Services>>,
    /// What closing came to. Held for as long as that takes, so that who closes beside it waits; before every other lock.
    closed: Mutex<Option<Result<()>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Open {
    fn stop(&self) {
        self.core.shut();
        if let Some(services) = self.services.lock().take() {
            services.stop(&self.core);
            self.core.pools.shutdown();
        }
    }
}

/// A file, as `list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Its number.
    pub file: FileId,
    /// Bytes in it, as a reader sees it.
    pub size_bytes: u64,
}

impl Volume {
    /// Makes an empty volume on a device. What was there is gone.
    pub fn format(backend: &Arc<dyn Backend>, options: &FormatOptions) -> Result<()> {
        Metadata::format(backend.as_ref(), options)
    }

    /// Opens the volume on a device, as its newest whole commit left it.
    ///
    /// # Errors
    /// `Invalid` names every knob that cannot be; `NotAVolume` where there is none.
    pub fn open(
        backend: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        config: EngineConfig,
    ) -> Result<Self> {
        let (meta, namespace) = open_metadata(&backend, &config)?;
        let pools = Pools::start(&config, &clock);
        meta.encode_on(Arc::new(NodePool(Arc::clone(&pools.workers))));
        let core = Arc::new(Core::new(backend, clock, config, meta, pools, namespace));
        let services = Services::start(&core);
        Ok(Self(Arc::new(Open {
            core,
            services: Mutex::new(Some(services)),
            closed: Mutex::default(),
        })))
    }

    /// The same volume without any thread, in the time of the device's clock, for tests and
    /// deterministic runs: what happens in the background happens where an operation would wait for
    /// it, or where the stepper is told to, in an order that follows from `seed` alone. One thread at
    /// a time may call.
    ///
    /// # Errors
    /// As of `open`.
    pub fn open_stepped(
        device: Arc<HeldBackend>,
        config: EngineConfig,
        seed: u64,
    ) -> Result<(Self, Stepper)> {
        let (meta, namespace) = open_metadata(&device.at_once(), &config)?;
        let (pools, driver) = Pools::stepped(&config, &device, seed);
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(device.clock());
        let core = Arc::new(Core::new(device, clock, config, meta, pools, namespace));
        driver.serve(&core);
        let open = Open {
            core,
            services: Mutex::new(Some(Services::Steps(Arc::clone(&driver)))),
            closed: Mutex::default(),
        };
        Ok((Self(Arc::new(open)), Stepper::new(driver)))
    }

    /// Makes an empty file and opens it.
    pub fn create(&self, name: &str) -> Result<File> {
        let core = &self.0.core;
        check_name(name, core.meta.name_bytes_max())?;
        let _open = core.enter()?;
        core.balance_metadata()?;
        let mut names = core.namespace.lock();
        if names.by_name.contains_key(name) {
            return Err(EngineError::Exists(name.to_owned()));
        }
        let file = core.with_room(|| core.meta.create(name))?;
        names.by_name.insert(name.to_owned(), file);
        let inode = load(core, file)?;
        names.opened(file);
        Ok(File::new(Arc::clone(core), inode))
    }

    /// Opens a file.
    pub fn open_file(&self, name: &str) -> Result<File> {
        let core = &self.0.core;
        let _open = core.enter()?;
        let mut names = core.namespace.lock();
        let file = names.find(name)?;
        let inode = load(core, file)?;
        names.opened(file);
        Ok(File::new(Arc::clone(core), inode))
    }

    /// Takes a file's name away. Its bytes go at once, or with its last open handle.
    pub fn remove(&self, name: &str) -> Result<()> {
        let core = &self.0.core;
        let _open = core.enter()?;
        core.balance_metadata()?;
        let mut names = core.namespace.lock();
        let file = names.find(name)?;
        let inode = load(core, file)?;
        core.meta.set_orphan(file)?;
        inode.lock().life = Life::Orphan;
        names.by_name.remove(name);
        let in_use = names.is_open(file);
        drop(names);
        if in_use { Ok(()) } else { bury(core, &inode) }
    }

    /// Gives a file another name. A file that had that name is removed, in the same change.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let core = &self.0.core;
        check_name(to, core.meta.name_bytes_max())?;
        let _open = core.enter()?;
        core.balance_metadata()?;
        let mut names = core.namespace.lock();
        let file = names.find(from)?;
        if from == to {
            return Ok(());
        }
        let replaced = match names.by_name.get(to) {
            Some(&replaced) => Some(load(core, replaced)?),
            None => None,
        };
        let replaces = replaced.as_ref().map(|inode| inode.id);
        core.with_room(|| core.meta.rename(file, to, replaces))?;
        names.by_name.remove(from);
        names.by_name.insert(to.to_owned(), file);
        let Some(replaced) = replaced else {
            return Ok(());
        };
        replaced.lock().life = Life::Orphan;
        let in_use = names.is_open(replaced.id);
        drop(names);
        if in_use {
            Ok(())
        } else {
            bury(core, &replaced)
        }
    }

    /// Every file, by name.
    pub fn list(&self) -> Result<Vec<FileInfo>> {
        let core = &self.0.core;
        let names: Vec<(String, FileId)> = core
            .namespace
            .lock()
            .by_name
            .iter()
            .map(|(name, &file)| (name.clone(), file))
            .collect();
        let mut files = Vec::with_capacity(names.len());
        for (name, file) in names {
            let size_bytes = match core.namespace.inode(file) {
                Some(inode) => inode.lock().size.memory_bytes(),
                None => core.meta.inode(file)?.map_or(0, |inode| inode.size_bytes),
            };
            files.push(FileInfo {
                name,
                file,
                size_bytes,
            });
        }
        Ok(files)
    }

    /// Writes back every dirty byte and commits: all that was written before this call is durable.
    ///
    /// # Errors
    /// A write of any file that failed since the last call: what can be durable is, all the same.
    pub fn sync(&self) -> Result<()> {
        let core = &self.0.core;
        let _open = core.enter()?;
        sync_all(core)
    }

    /// Writes everything back and empties the caches of pages and of tree nodes, so that reads meet the device. What
    /// is being read meanwhile does not come in afterwards.
    pub fn drop_caches(&self) -> Result<()> {
        self.sync()?;
        for inode in self.0.core.namespace.inodes() {
            let mut state = inode.lock();
            state.tickets.invalidate(FileRange::WHOLE);
            let clean: Vec<_> = state
                .pages
                .range(PageIndex(0)..PageIndex::of(FILE_BYTES_MAX))
                .map(|(index, _)| index)
                .collect();
            for index in clean {
                let own = FileRange::new(index.start(), index.start() + PAGE_BYTES);
                if !state.states.any(own, State::all()) {
                    state.pages.remove(index);
                }
            }
        }
        self.0.core.meta.drop_clean_nodes();
        Ok(())
    }

    /// The numbers of the volume, since it was opened.
    pub fn stats(&self) -> EngineStats {
        let core = &self.0.core;
        EngineStats {
            stages: core.stats.stages(),
            counters: core.stats.counters(),
            dirty: core.dirty.stats(core.clock.as_ref()),
            stalls: core.stalls.stats(core.clock.as_ref()),
            budget: core.budget.stats(),
            frames: core.frames.stats(),
            reclaim: core.reclaimer.stats(),
            meta: core.meta.stats(),
            space: core.meta.space().numbers(),
            node_bytes: core.meta.node_slot_bytes(),
            pools: core.pools.stats(),
        }
    }

    /// Why the volume only reads, if a metadata write has failed.
    pub fn read_only(&self) -> Option<Arc<str>> {
        self.0.core.meta.read_only()
    }

    /// Files that were found damaged when the volume was opened, of which bytes that nobody reaches by name are
    /// still stored therefore.
    pub fn left_alone(&self) -> Vec<LeftAlone> {
        self.0.core.meta.left_alone()
    }

    /// The knobs the volume was opened with.
    pub fn config(&self) -> &EngineConfig {
        &self.0.core.config
    }

    /// Writes everything back, commits and stops. Handles that are still open fail from now on. Who closes it again, or meanwhile,
    /// gets the same answer, when that is done.
    ///
    /// # Errors
    /// As of `sync`.
    pub fn close(self) -> Result<()> {
        let mut closed = self.0.closed.lock();
        if let Some(answer) = &*closed {
            return answer.clone();
        }
        let core = &self.0.core;
        core.shut();
        let synced = sync_all(core);
        self.0.stop();
        *closed = Some(synced.clone());
        synced
    }
}

/// The metadata on a device, and the names in it; what a crash left without a name is removed.
fn open_metadata(
    backend: &Arc<dyn Backend>,
    config: &EngineConfig,
) -> Result<(Arc<Metadata>, Namespace)> {
    config.validate().map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        EngineError::Invalid(faults.join("; "))
    })?;
    let meta = Metadata::open(Arc::clone(backend), config.meta.clone())?;
    let namespace = Namespace::default();
    for inode in meta.inodes()? {
        if inode.orphan {
            meta.remove_orphan(inode.file)?;
        } else {
            namespace
                .lock()
                .by_name
                .insert(inode.name.clone(), inode.file);
        }
    }
    Ok((meta, namespace))
}

fn sync_all(core: &Arc<Core>) -> Result<()> {
    let mut own = core.failures.lock().told;
    let inodes = core.namespace.inodes();
    let mut answered = Vec::new();
    let mut asked = BTreeMap::new();
    for inode in &inodes {
        // Before its bytes go: what is written later is for a later sync to answer for.
        let since = inode.lock().unsynced_since.take();
        answered.extend(since.map(|since| (inode, since)));
        let asking = Asked::of(inode);
        writeback::flush(core, inode);
        asked.insert(inode.id, asking);
    }
    core.submit_limit.drain();
    let mut failures = core.failures.lock();
    let VolumeFailures { log, told } = &mut *failures;
    let failed = log.take(&mut own);
    told.told(own);
    drop(failures);
    let mut under_way = Vec::new();
    let mut refused = Ok(());
    for inode in &inodes {
        match answer(core, inode, &asked) {
            Ok(true) => {}
            Ok(false) => under_way.push(inode),
            // What can be durable is, all the same.
            Err(error) => refused = refused.and(Err(error)),
        }
    }
    let committed = core.meta.commit();
    let logged = committed.and_then(|_| logged_all(core, &under_way, &asked));
    let synced = logged
        .and(refused)
        .and_then(|()| failed.map_or(Ok(()), Err));
    let ended = core.clock.now();
    for (inode, since) in answered {
        match synced {
            Ok(()) => core.stats.synced.record(ended.ns_since(since)),
            Err(_) => inode.lock().still_unsynced(since),
        }
    }
    synced
}

/// The tree has the size that a file had when its sync began; false where some of it is on its way into the log instead.
fn answer(core: &Core, inode: &Inode, asked: &BTreeMap<FileId, Asked<'_>>) -> Result<bool> {
    let before = core.meta.data_next();
    match writeback::answer_size(core, inode, &asked[&inode.id], before) {
        // It went while this asked.
        Err(EngineError::Removed) => Ok(true),
        answer => answer,
    }
}

/// What was on its way into the log is durable there, with the size that was asked for, also where it has arrived by now: a commit
/// in between has it without that size.
fn logged_all(
    core: &Arc<Core>,
    under_way: &[&Arc<Inode>],
    asked: &BTreeMap<FileId, Asked<'_>>,
) -> Result<()> {
    if mutation::on(Mutation::LogUnderWayUnwaited) {
        return Ok(());
    }
    for inode in under_way {
        let before = core.meta.data_next();
        if mutation::on(Mutation::LoggedUnsettled) && !core.meta.is_under_way(inode.id, before) {
            continue;
        }
        match writeback::finish_logged(core, inode, before, &asked[&inode.id]) {
            // It went while this asked, and so did its pages.
            Ok(()) | Err(EngineError::Removed) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The inode of `file`, read from the tree if it is not in memory. The caller holds the names.
fn load(core: &Arc<Core>, file: FileId) -> Result<Arc<Inode>> {
    if let Some(inode) = core.namespace.inode(file) {
        return Ok(inode);
    }
    let known: meta::Inode = core
        .meta
        .inode(file)?
        .ok_or_else(|| EngineError::NotFound(format!("file {}", file.0)))?;
    // Nothing is promised yet, so a volume that only reads opens files too.
    let reservation = core.meta.space().reserve(0)?;
    let inode = Arc::new(Inode::new(file, known.size_bytes, reservation));
    core.namespace.insert(Arc::clone(&inode));
    Ok(inode)
}

/// One handle less; an orphan goes with its last.
pub(crate) fn close_handle(core: &Arc<Core>, inode: &Arc<Inode>) {
    let last = core.namespace.lock().closed(inode.id);
    let Some(_open) = core.try_enter() else {
        return;
    };
    if last && inode.lock().life == Life::Orphan {
        // An orphan that cannot be removed now is removed at the next open.
        let _removed_now = bury(core, inode);
    }
}

/// Drops the bytes of a file that has neither name nor handle.
fn bury(core: &Arc<Core>, inode: &Arc<Inode>) -> Result<()> {
    let _writer = inode.writer.lock();
    let mut state = inode.lock();
    if state.life == Life::Gone {
        // Its last handle was closed while its name was taken away, and both came here.
        return Ok(());
    }
    inode.wait_writeback(&core.pools, &mut state, FileRange::WHOLE);
    state.life = Life::Gone;
    forget_pages(core, inode, &mut state, FileRange::WHOLE);
    state.tickets.invalidate(FileRange::WHOLE);
    state.size.truncate(0);
    drop(state);
    core.namespace.forget(inode.id);
    core.meta.remove_file(inode.id)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::thread;

    use delalloc_backends::{MemBackend, OsClock};

    use super::*;
    use crate::pool::Order;
    use crate::pools::tests::Panics;

    fn volume() -> Volume {
        let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(16 << 20));
        Volume::format(&backend, &FormatOptions::default()).expect("a device can be formatted");
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        Volume::open(backend, clock, EngineConfig::default()).expect("a volume")
    }

    #[test]
    fn a_file_that_is_buried_twice_is_gone() {
        let volume = volume();
        let core = &volume.0.core;
        let file = volume.create("file").expect("a new file");
        file.write_at(0, &[7; 5000]).expect("a write fits");
        let inode = load(core, volume.list().expect("names")[0].file).expect("in memory");
        volume.remove("file").expect("it is there");
        bury(core, &inode).expect("first by its last handle");
        bury(core, &inode).expect("then by who took its name");
        drop(file);
        assert_eq!(volume.0.core.meta.inodes().expect("in memory").len(), 0);
    }

    #[test]
    fn a_removal_beside_the_last_close_succeeds() {
        let volume = volume();
        for _again in 0..500 {
            let file = volume.create("file").expect("a new file");
            file.write_at(0, &[7; 5000]).expect("a write fits");
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    drop(file);
                });
                start.wait();
                volume.remove("file").expect("it is there");
            });
        }
    }

    /// Were it not, this test would not end.
    #[test]
    fn a_writer_at_the_limit_is_told_that_nobody_writes_back() {
        let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(16 << 20));
        Volume::format(&backend, &FormatOptions::default()).expect("a device can be formatted");
        let mut config = EngineConfig::default();
        config
            .set("dirty.limit", "1MiB")
            .and_then(|()| config.set("dirty.background", "64KiB"))
            .expect("knobs");
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let volume = Volume::open(backend, clock, config).expect("a volume");
        let file = volume.create("file").expect("a new file");
        let delalloc = &volume.0.core.pools.delalloc;
        delalloc.submit(Box::new(Panics), Order::Unordered);
        delalloc.drain();
        let write = || {
            for at in (0..8 << 20).step_by(1 << 20) {
                file.write_at(at, &[7; 1 << 20]).expect("a write fits");
            }
        };
        catch_unwind(AssertUnwindSafe(write)).expect_err("nothing can be written back");
        drop((file, volume));
    }
}
