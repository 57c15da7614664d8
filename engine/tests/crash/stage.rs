//! A volume on a recorded device, and the oracle beside it: what is asked of one is told the other.
//!
//! One thread drives a stage. `beside` gives another thread a stage of its own on the same volume, with
//! files of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend, Recorder};
use delalloc_engine::{EngineConfig, File, FileRange, FormatOptions, Volume};
use parking_lot::Mutex;

use super::oracle::{Covered, Found, Object, Oracle};
use crate::support::open;

/// Something asked of a volume. Files that are not there make it nothing.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// The file is made if it is not there.
    Write {
        name: &'static str,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        name: &'static str,
        size_bytes: u64,
    },
    Punch {
        name: &'static str,
        range: FileRange,
    },
    /// What had the name before is replaced.
    Rename {
        from: &'static str,
        to: &'static str,
    },
    Remove {
        name: &'static str,
    },
    Sync {
        name: &'static str,
    },
    SyncAll,
    /// Pages leave the cache, and everything is synced on the way.
    DropCaches,
}

struct Opened {
    file: File,
    object: Object,
}

/// See the module.
pub(crate) struct Stage {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) volume: Volume,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    opened: BTreeMap<String, Opened>,
    /// Handles of files that lost their name; every other one is kept open, so that there are orphans.
    graves: Vec<File>,
    lost: usize,
    /// Events in the log when each sync returned.
    pub(crate) marks: Vec<u64>,
}

/// A device with an empty volume of small nodes, so that the tree has depth.
pub(crate) fn blank(capacity_bytes: u64, node_bytes: u32) -> MemBackend {
    let device = Arc::new(MemBackend::with_block(capacity_bytes, 512));
    let options = FormatOptions {
        node_bytes,
        ..FormatOptions::default()
    };
    let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
    Volume::format(&backend, &options).expect("a device can be formatted");
    device.fork()
}

/// A volume of few threads on little memory: cheap to open, and each of its steps is in the record.
pub(crate) const SMALL: [(&str, &str); 13] = [
    ("thread_pool_size", "1"),
    ("pool.kind", "plain"),
    ("compression.level", "1"),
    ("compression.backoff_extents_max", "0"),
    ("compression.extent_bytes", "16KiB"),
    ("compression.item_bytes", "32KiB"),
    ("dirty.background", "128KiB"),
    ("dirty.limit", "512KiB"),
    ("read.ahead_max", "0"),
    ("cache.bytes", "1MiB"),
    ("meta.node_cache", "1MiB"),
    ("commit.interval", "3600s"),
    ("dirty.expire", "3600s"),
];

impl Stage {
    /// Opens the volume on `base`, which is empty.
    pub(crate) fn new(base: MemBackend, config: &EngineConfig) -> Self {
        Self::going_on(base, config, &[])
    }

    /// Opens the volume on `base`, which holds `found`.
    pub(crate) fn going_on(base: MemBackend, config: &EngineConfig, found: &[Found]) -> Self {
        let recorder = Arc::new(Recorder::new(base));
        let backend: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
        let volume = open(&backend, config);
        let oracle = Oracle::holding(found);
        let opened = found.iter().enumerate().map(|(object, found)| {
            let file = volume.open_file(&found.name).expect("it was found");
            (found.name.clone(), Opened { file, object })
        });
        Self {
            opened: opened.collect(),
            graves: Vec::new(),
            lost: 0,
            recorder,
            volume,
            oracle: Arc::new(Mutex::new(oracle)),
            marks: Vec::new(),
        }
    }

    /// For another thread. It is to name other files.
    pub(crate) fn beside(&self) -> Self {
        Self {
            recorder: Arc::clone(&self.recorder),
            volume: self.volume.clone(),
            oracle: Arc::clone(&self.oracle),
            opened: BTreeMap::new(),
            graves: Vec::new(),
            lost: 0,
            marks: Vec::new(),
        }
    }

    /// Bytes in the file, if there is one.
    pub(crate) fn size_bytes(&self, name: &str) -> Option<u64> {
        let opened = self.opened.get(name)?;
        Some(self.oracle.lock().content(opened.object).len() as u64)
    }

    /// The file, if there is one.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.opened.get(name).map(|opened| &opened.file)
    }

    /// What the file should hold.
    pub(crate) fn content(&self, name: &str) -> Option<Arc<[u8]>> {
        let opened = self.opened.get(name)?;
        Some(self.oracle.lock().content(opened.object))
    }

    /// Does it.
    ///
    /// # Panics
    /// Where the volume refuses.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { name, at, bytes } => self.write(name, *at, bytes),
            Op::Truncate { name, size_bytes } => self.change(
                name,
                |now| now.resize(length(*size_bytes), 0),
                |file| file.truncate(*size_bytes).expect("a truncate"),
            ),
            Op::Punch { name, range } => self.change(
                name,
                |now| {
                    let end = length(range.end).min(now.len());
                    if let Some(hole) = now.get_mut(length(range.start)..end) {
                        hole.fill(0);
                    }
                },
                |file| file.punch_hole(*range).expect("a punch"),
            ),
            Op::Rename { from, to } => self.rename(from, to),
            Op::Remove { name } => self.remove(name),
            Op::Sync { name } => {
                let Some(opened) = self.opened.get(*name) else {
                    return;
                };
                let covered = self.oracle.lock().cover(opened.object);
                opened.file.sync().expect("a sync");
                self.acknowledged(&covered);
            }
            Op::SyncAll => {
                let covered = self.oracle.lock().cover_all();
                self.volume.sync().expect("a sync of the volume");
                self.acknowledged(&covered);
            }
            Op::DropCaches => {
                let covered = self.oracle.lock().cover_all();
                self.volume.drop_caches().expect("caches drop");
                self.acknowledged(&covered);
            }
        }
    }

    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) {
        if !self.opened.contains_key(name) {
            self.create(name);
        }
        let put = |now: &mut Vec<u8>| {
            let range = length(at)..length(at) + bytes.len();
            if !bytes.is_empty() {
                now.resize(now.len().max(range.end), 0);
                now[range].copy_from_slice(bytes);
            }
        };
        self.change(name, put, |file| {
            file.write_at(at, bytes).expect("a write fits");
        });
    }

    fn create(&mut self, name: &str) {
        let began = self.now();
        let file = self.volume.create(name).expect("a new file");
        let files = self.volume.list().expect("names are in memory");
        let info = files.iter().find(|info| info.name == name);
        let id = info.expect("a file that was made is listed").file;
        let object = self.oracle.lock().created(began, name, id);
        self.opened.insert(name.to_owned(), Opened { file, object });
    }

    fn change(&self, name: &str, model: impl FnOnce(&mut Vec<u8>), really: impl FnOnce(&File)) {
        let Some(opened) = self.opened.get(name) else {
            return;
        };
        {
            let mut oracle = self.oracle.lock();
            let mut now = oracle.content(opened.object).to_vec();
            model(&mut now);
            oracle.changed(opened.object, self.now(), now);
        }
        really(&opened.file);
        self.oracle.lock().settled(opened.object);
    }

    fn rename(&mut self, from: &str, to: &str) {
        if from == to || !self.opened.contains_key(from) {
            return;
        }
        let began = self.now();
        self.volume.rename(from, to).expect("a rename");
        let opened = self.opened.remove(from).expect("it is there");
        let replaced = self.opened.remove(to);
        let object = replaced.as_ref().map(|replaced| replaced.object);
        self.oracle.lock().renamed(opened.object, began, to, object);
        if let Some(replaced) = replaced {
            self.bury(replaced.file);
        }
        self.opened.insert(to.to_owned(), opened);
    }

    fn remove(&mut self, name: &str) {
        let Some(opened) = self.opened.remove(name) else {
            return;
        };
        let began = self.now();
        self.volume.remove(name).expect("a removal");
        self.oracle.lock().removed(opened.object, began);
        self.bury(opened.file);
    }

    fn bury(&mut self, file: File) {
        self.lost += 1;
        if self.lost % 2 == 1 {
            self.graves.push(file);
        }
    }

    fn acknowledged(&mut self, covered: &Covered) {
        let now = self.now();
        self.oracle.lock().promise(covered, now);
        self.marks.push(now);
    }

    fn now(&self) -> u64 {
        self.recorder.events()
    }

    /// Every file shows what the model has.
    ///
    /// # Panics
    /// Where one does not.
    pub(crate) fn compare(&self, place: &str) {
        for (name, opened) in &self.opened {
            let expected = self.oracle.lock().content(opened.object);
            let found = read_whole(&opened.file, place);
            assert_eq!(found.len(), expected.len(), "{place}: size of {name}");
            let page = found
                .chunks(4096)
                .zip(expected.chunks(4096))
                .position(|(found, expected)| found != expected);
            assert_eq!(page, None, "{place}: a page of {name} is wrong");
        }
    }
}

/// Everything in a file.
pub(crate) fn read_whole(file: &File, place: &str) -> Vec<u8> {
    let mut bytes = vec![0xee; length(file.size_bytes())];
    let count = file
        .read_at(0, &mut bytes)
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(count, bytes.len(), "{place}: a short read");
    bytes
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}
