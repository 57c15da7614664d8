//! The face of metadata: the tree, the files, the space and the superblocks behind one lock order.
//!
//! Every change is one closure under the write lock: what it needs is found out first (and refused
//! there, with nothing done), then it is carried out whole. Where the nodes it can copy have no space,
//! a commit makes some and the change starts over. An error in the middle, which only an unreadable
//! node can cause, leaves memory half changed: the volume is read-only from then on.
//!
//! Locks: commit > state > clean nodes, space. `state` is held for in-memory work and for reads of
//! nodes that are not cached; never while anything is written.
//!
//! Not here: what files and mappings do to the tree (files, extents), writing it (commit).

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability};
use parking_lot::{Mutex, RwLock};

use super::btree::{Change, Tree};
use super::format::{self, AREA_START, LogRegion, LogTail, NodePointer, SUPERBLOCK_AT, Superblock};
use super::node::Node;
use super::node_store::NodeShape;
use super::node_writer::NodeWorkers;
use super::superblock;
use super::types::{ExtentTotals, FormatOptions, Inode, LeftAlone, MetaConfig, MetaStats};
use crate::alloc::{Reservation, Reserve, Space};
use crate::barrier::Barrier;
use crate::error::{EngineError, Result};
use crate::log::{DataNumber, HeldSet, Log, LogClaim, Record};
use crate::mutation::{self, Mutation};
use crate::recover;
use crate::recover::replay::Replayed;
use crate::units::{DiskExtent, DiskOffset, FileId, FileRange, Generation, SECTOR_BYTES};

/// How far from either end of a device the marks of others lie: the backup partition table ends a
/// device, ZFS labels and most superblocks begin it. All of it is before our area at the front.
const MARKS_LEN: usize = 256 * 1024;

const _: () = assert!(MARKS_LEN as u64 <= AREA_START.0);

/// Commits tried to make space for one change.
const COMMITS_FOR_SPACE_MAX: u32 = 3;
/// Commits tried to make space for data that was promised space.
const COMMITS_FOR_DATA_MAX: u32 = 32;
/// A volume has at least so many nodes' worth of space.
const VOLUME_NODES_MIN: u64 = 96;
/// Without a word about it, the log takes this part of the device ...
const LOG_DIVISOR: u64 = 64;
/// ... but room for some tens of batches ...
const LOG_BYTES_LEAST: u64 = 128 << 10;
/// ... and no more than some thousands: what is in it is read again after a crash.
const LOG_BYTES_MOST: u64 = 32 << 20;
/// Bytes of the log zeroed by one write.
const ZEROS_BYTES: u64 = 1 << 20;

/// Tree, space, superblocks and generation of an open volume.
#[derive(Debug)]
pub struct Metadata {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) space: Arc<Space>,
    pub(super) config: MetaConfig,
    /// What stays the same from superblock to superblock.
    pub(super) identity: Superblock,
    pub(super) state: RwLock<State>,
    /// The newest durable generation; held while nodes are written.
    pub(super) commit: Mutex<Generation>,
    pub(super) dirty_bytes: Arc<AtomicU64>,
    pub(super) workers: OnceLock<Arc<dyn NodeWorkers>>,
    pub(super) counters: Counters,
    pub(crate) log: Log,
    /// The log is being replayed: a commit now would lose the rest of it.
    replaying: AtomicBool,
    /// Holds why the volume only reads, if it does.
    pub(super) barrier: Arc<Barrier>,
    left_alone: Mutex<Vec<LeftAlone>>,
}

/// What a change changes together.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) files: BTreeMap<FileId, Inode>,
    pub(super) names: HashMap<String, FileId>,
    pub(super) file_next: u64,
    pub(super) totals: ExtentTotals,
}

/// Zeros where others look for a filesystem or a partition table: before our area, and at the end.
fn wipe_marks(backend: &dyn Backend) -> Result<()> {
    let capacity_bytes = backend.geometry().capacity_bytes;
    for at in [0, capacity_bytes - MARKS_LEN as u64] {
        let zeros = AlignedBuf::zeroed(MARKS_LEN);
        backend.write_blocking(at, zeros, Durability::Cached)?;
    }
    Ok(())
}

/// Zeros over all of the log: a batch of an earlier volume must not follow one of this.
fn wipe_log(backend: &dyn Backend, log: DiskExtent) -> Result<()> {
    let mut at = log.start.0;
    while at < log.end().0 {
        let bytes = ZEROS_BYTES.min(log.end().0 - at);
        let zeros = AlignedBuf::zeroed(usize::try_from(bytes).expect("small"));
        backend.write_blocking(at, zeros, Durability::Cached)?;
        at += bytes;
    }
    Ok(())
}

/// A change under way.
#[derive(Debug)]
pub(super) struct Edit<'s> {
    pub(super) change: Change<'s>,
    pub(super) files: &'s mut BTreeMap<FileId, Inode>,
    pub(super) names: &'s mut HashMap<String, FileId>,
    pub(super) file_next: &'s mut u64,
    pub(super) totals: &'s mut ExtentTotals,
    pub(super) space: &'s Space,
    log: &'s Log,
}

impl Edit<'_> {
    /// The change that was made, for the log.
    pub(super) fn log(&self, record: &Record<'_>) {
        self.log.push(record);
    }

    /// Above the number of every page that was logged.
    pub(super) fn data_next(&self) -> DataNumber {
        self.log.data_next()
    }

    /// Are there logged pages of `range` before `before`?
    pub(super) fn holds(&self, file: FileId, range: FileRange, before: DataNumber) -> bool {
        self.log.holds(file, range, before)
    }

    /// The change that was made, where the log does not say it yet, and that logged pages of `range` before `before` are
    /// older than it.
    pub(super) fn log_newer(
        &self,
        record: Option<&Record<'_>>,
        file: FileId,
        range: FileRange,
        before: DataNumber,
    ) {
        self.log.push_newer(record, file, range, before);
    }
}

/// The most a change touches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) items: u64,
    pub(super) inserts: u64,
    pub(super) reserve: Reserve,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) node_writes: AtomicU64,
    pub(super) node_writes_early: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) commits_shared: AtomicU64,
    pub(super) front_gate_stalls: AtomicU64,
}

impl Metadata {
    /// Makes an empty volume: an empty tree, both superblocks, flushed. Whatever was on the device is
    /// not a volume any more from the first write on, and the marks that partition tables and other
    /// filesystems leave at both ends of a device are gone with it.
    pub fn format(backend: &dyn Backend, options: &FormatOptions) -> Result<()> {
        let superblock = empty_superblock(backend, options)?;
        for at in SUPERBLOCK_AT {
            let zeros = AlignedBuf::zeroed(format::SUPERBLOCK_BYTES);
            backend.write_blocking(at.0, zeros, Durability::Fua)?;
        }
        wipe_marks(backend)?;
        wipe_log(backend, superblock.log.extent)?;
        let slot_len = NodeShape::of(&superblock).slot_len();
        let root = Node::empty(
            options.node_bytes as usize,
            0,
            superblock.root.address,
            superblock.root.generation,
        );
        let mut image = AlignedBuf::zeroed(slot_len);
        root.image(superblock.volume(), &mut image);
        backend.write_blocking(superblock.root.address.0, image, Durability::Cached)?;
        backend.flush_blocking()?;
        for at in SUPERBLOCK_AT {
            superblock::write_at(backend, &superblock, at)?;
        }
        Ok(())
    }

    /// Opens the newest whole superblock, walks its tree, derives the free space, and makes the changes
    /// again that the log has and the tree has not. Mappings past the size of their file, left by a crash
    /// between the two, are dropped; files without a name are listed by `inodes` for the caller to
    /// remove. What is too damaged to be dropped stays: see `left_alone`.
    ///
    /// # Errors
    /// `Corrupt` for a tree or a log that cannot be what was written. Nothing was changed then.
    pub fn open(backend: Arc<dyn Backend>, config: MetaConfig) -> Result<Arc<Self>> {
        let mut opened = recover::open::open(&backend, config.node_cache_bytes)?;
        let logged = recover::log_scan::scan(backend.as_ref(), &opened.superblock)?;
        opened.keep_space(logged.extents())?;
        let superblock = opened.superblock;
        let area = DiskExtent {
            start: AREA_START,
            bytes: superblock.capacity_bytes - AREA_START.0,
        };
        let slot_bytes = format::node_slot_bytes(superblock.node_bytes);
        let node_bytes = opened.root.nodes * slot_bytes;
        let space = Space::new(area, slot_bytes, opened.used, node_bytes);
        let dirty_bytes = Arc::clone(opened.store.dirty_bytes());
        let generation = superblock.generation;
        let tree = Tree::open(
            opened.store,
            Arc::clone(&space),
            opened.root,
            Generation(generation.0 + 1),
        );
        let names = opened
            .files
            .values()
            .filter(|inode| !inode.orphan)
            .map(|inode| (inode.name.clone(), inode.file))
            .collect();
        let region = LogRegion {
            tail: logged.next,
            ..superblock.log
        };
        let barrier = Arc::new(Barrier::new(Arc::clone(&backend)));
        let log = Log::new(
            region,
            superblock.volume(),
            tree.generation(),
            config.log,
            Arc::clone(&barrier),
        );
        let metadata = Arc::new(Self {
            backend,
            space,
            config,
            log,
            replaying: AtomicBool::new(false),
            left_alone: Mutex::default(),
            state: RwLock::new(State {
                tree,
                names,
                file_next: superblock.file_next,
                totals: opened.totals,
                files: opened.files,
            }),
            identity: superblock,
            commit: Mutex::new(generation),
            dirty_bytes,
            workers: OnceLock::new(),
            counters: Counters::default(),
            barrier,
        });
        if logged.needs_replay() {
            metadata.replaying.store(true, Ordering::Relaxed);
            let replayed = logged.replay(&metadata);
            metadata.replaying.store(false, Ordering::Relaxed);
            let Replayed { files, pages } = replayed?;
            opened.overhanging.extend(files);
            if !pages.is_empty() {
                let log = metadata.identity.log;
                let held = pages
                    .held()
                    .map_err(|malformed| malformed.at(log.extent.start))?;
                metadata.log.replay(LogClaim {
                    tail: log.tail,
                    held,
                    held_through: logged.last,
                    replayed: true,
                });
                metadata.commit_always()?;
                pages.write_home(&metadata, metadata.backend.as_ref())?;
                metadata.log.replayed();
            }
            metadata.settle_sizes(&opened.overhanging)?;
            metadata.commit_always()?;
        } else {
            metadata.settle_sizes(&opened.overhanging)?;
        }
        Ok(metadata)
    }

    /// Drops what is mapped past the end of these files, as far as they are there.
    fn settle_sizes(&self, files: &[FileId]) -> Result<()> {
        for &file in files {
            if mutation::on(Mutation::OverhangKept) {
                break;
            }
            if let Some(inode) = self.inode(file)?
                && self.can_drop(file, inode.size_bytes)?
            {
                self.truncate(file, inode.size_bytes, inode.size_bytes)?;
            }
        }
        Ok(())
    }

    /// Can what a file shows past `size_bytes` be dropped? Where its extents are damaged it cannot; that is
    /// noted.
    pub(super) fn can_drop(&self, file: FileId, size_bytes: u64) -> Result<bool> {
        match self.check_truncate(file, size_bytes) {
            Ok(()) => Ok(true),
            Err(error @ EngineError::Corrupt { .. }) => {
                let mut left = self.left_alone.lock();
                if left.iter().all(|known| known.file != file) {
                    left.push(LeftAlone { file, error });
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Files that were found damaged when the volume was opened, and of which nothing was dropped therefore.
    pub fn left_alone(&self) -> Vec<LeftAlone> {
        self.left_alone.lock().clone()
    }

    /// Encodes nodes on `workers` from now on, instead of on the thread that commits.
    ///
    /// # Panics
    /// The second time.
    pub fn encode_on(&self, workers: Arc<dyn NodeWorkers>) {
        assert!(
            self.workers.set(workers).is_ok(),
            "the workers of metadata are set once"
        );
    }

    /// The device's space. Allocation and release go there directly.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Promises `bytes` of data and their metadata, if that needs no commit.
    pub(crate) fn reserve_at_once(&self, bytes: u64) -> Result<Reservation> {
        self.check_writable()?;
        self.space.reserve(bytes)
    }

    /// Promises `bytes` of data and their metadata; commits first where only what a commit frees is left.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation> {
        self.check_writable()?;
        match self.space.reserve(bytes) {
            Err(EngineError::NoSpace { .. }) if self.space.commit_would_help(bytes) => {
                self.commit()?;
                self.space.reserve(bytes)
            }
            result => result,
        }
    }

    /// Promises `bytes` once more that were promised before, out of what is kept from others; commits first where only
    /// what a commit frees is left.
    pub(crate) fn reserve_again(&self, bytes: u64) -> Result<Reservation> {
        match self.space.reserve_again(bytes) {
            Err(EngineError::NoSpace { .. }) if self.space.commit_makes_room() => {
                self.commit()?;
                self.space.reserve_again(bytes)
            }
            result => result,
        }
    }

    /// Allocates in pieces as `Space::allocate_pieces` does; commits first where only pinned space is
    /// left.
    pub fn allocate_pieces(
        &self,
        reservation: &mut Reservation,
        bytes: u64,
        piece_bytes_max: u64,
        hint: Option<DiskOffset>,
    ) -> Result<Vec<DiskExtent>> {
        let allocate = |reservation: &mut Reservation| {
            self.space
                .allocate_pieces(reservation, bytes, piece_bytes_max, hint)
        };
        // Others copy nodes all the time, and may take what a commit brought back before this does.
        for _commit in 0..COMMITS_FOR_DATA_MAX {
            match allocate(reservation) {
                Err(EngineError::NoSpace { .. }) => self.commit()?,
                answer => return answer,
            };
        }
        allocate(reservation)
    }

    /// Bytes that one node takes on the device.
    pub fn node_slot_bytes(&self) -> u64 {
        format::node_slot_bytes(self.identity.node_bytes)
    }

    /// The longest name a file of this volume can have, in bytes.
    pub fn name_bytes_max(&self) -> usize {
        format::name_bytes_max(self.identity.node_bytes as usize)
    }

    /// The most stored bytes an extent of this volume can have.
    pub fn extent_stored_bytes_max(&self) -> u64 {
        format::stored_bytes_max(self.identity.node_bytes as usize)
    }

    /// The identity of the volume.
    pub fn uuid(&self) -> [u8; 16] {
        self.identity.uuid
    }

    /// The name for people that the volume was given.
    pub fn label(&self) -> &str {
        &self.identity.label
    }

    /// Why the volume only reads, if it does.
    pub fn read_only(&self) -> Option<Arc<str>> {
        self.barrier.failure()
    }

    /// Nodes that the device has are read from it again.
    pub(crate) fn drop_clean_nodes(&self) {
        self.state.read().tree.store().drop_clean();
    }

    /// Bytes of nodes changed and not yet written.
    pub fn dirty_node_bytes(&self) -> u64 {
        self.dirty_bytes.load(Ordering::Relaxed)
    }

    /// A snapshot of the numbers.
    pub fn stats(&self) -> MetaStats {
        let state = self.state.read();
        let (node_hits, node_reads) = state.tree.store().hits_and_reads();
        let (node_copies, node_recopies) = state.tree.copies();
        let counters = &self.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let generation = state.tree.generation().0;
        MetaStats {
            generation,
            durable_generation: load(&counters.commits) + self.identity.generation.0,
            tree_levels: state.tree.levels(),
            tree_nodes: state.tree.nodes(),
            dirty_node_bytes: self.dirty_node_bytes(),
            cached_node_bytes: state.tree.store().clean_bytes(),
            node_hits,
            node_reads,
            node_copies,
            node_recopies,
            node_writes: load(&counters.node_writes),
            node_writes_early: load(&counters.node_writes_early),
            commits: load(&counters.commits),
            commits_shared: load(&counters.commits_shared),
            front_gate_stalls: load(&counters.front_gate_stalls),
            log_batches: load(&self.log.counts.batches),
            log_bytes: load(&self.log.counts.bytes),
            log_records: load(&self.log.counts.records),
            log_pages: load(&self.log.counts.pages),
            log_tickets: load(&self.log.counts.tickets),
            log_needless: load(&self.log.counts.needless),
            log_fallbacks: load(&self.log.counts.fallbacks),
            extents: state.totals,
        }
    }

    /// Refuses everything that would change a volume after a failure.
    pub(super) fn check_writable(&self) -> Result<()> {
        self.barrier.check()
    }

    /// Makes the volume read-only for good; the first reason stays.
    pub(crate) fn fail(&self, error: &EngineError) {
        self.barrier.fail(error);
    }

    /// Makes the volume read-only for a reason that is no error of the device by itself.
    pub(crate) fn give_up(&self, why: &str) -> EngineError {
        self.barrier.give_up(why)
    }

    /// One atomic change. `plan` looks, refuses, and says what `apply` will need; it may run several
    /// times. `apply` runs once.
    pub(super) fn edit<P, T>(
        &self,
        plan: impl Fn(&State) -> Result<(Need, P)>,
        apply: impl FnOnce(&mut Edit<'_>, P) -> Result<T>,
    ) -> Result<T> {
        let mut commits = 0;
        let (mut wanted_bytes, mut reserve);
        loop {
            self.check_writable()?;
            // The lock is given up before a commit is asked for space: it takes it too.
            {
                let mut state = self.state.write();
                let (need, planned) = plan(&state)?;
                wanted_bytes = need.items * self.space.node_slot_bytes();
                reserve = need.reserve;
                let state = &mut *state;
                if let Some(change) = state.tree.change(need.items, need.inserts, need.reserve) {
                    let mut edit = Edit {
                        change,
                        files: &mut state.files,
                        names: &mut state.names,
                        file_next: &mut state.file_next,
                        totals: &mut state.totals,
                        space: &self.space,
                        log: &self.log,
                    };
                    // Half of a change is not committed by who comes next: both ends say so under this lock.
                    let unwinding = GivesUp(self, "a change of the tree panicked");
                    let applied = apply(&mut edit, planned);
                    mem::forget(unwinding);
                    return applied.inspect_err(|error| self.fail(error));
                }
            }
            let numbers = self.space.numbers();
            // Space that was promised must come, however often others take what a commit freed.
            let promised = reserve == Reserve::All && numbers.pinned_bytes > 0;
            let tried_enough = commits >= COMMITS_FOR_SPACE_MAX && !promised;
            if tried_enough || self.replaying.load(Ordering::Relaxed) {
                return Err(EngineError::NoSpace {
                    wanted_bytes,
                    free_bytes: numbers.free_bytes - numbers.reserved_bytes,
                });
            }
            commits += 1;
            self.commit()?;
        }
    }
}

/// Makes the volume read-only where it is dropped, which only a panic does: what was begun is not ended.
pub(super) struct GivesUp<'m>(pub(super) &'m Metadata, pub(super) &'static str);

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}

fn empty_superblock(backend: &dyn Backend, options: &FormatOptions) -> Result<Superblock> {
    if !format::node_bytes_valid(options.node_bytes) {
        return Err(EngineError::Invalid(format!(
            "node size {}: a power of two from {} to {} would do",
            options.node_bytes,
            format::NODE_BYTES_MIN,
            format::NODE_BYTES_MAX
        )));
    }
    if options.label.len() > format::LABEL_BYTES || options.label.contains('\0') {
        return Err(EngineError::Invalid(format!(
            "label {:?}: at most {} bytes, none of them zero",
            options.label,
            format::LABEL_BYTES
        )));
    }
    let slot_bytes = format::node_slot_bytes(options.node_bytes);
    let capacity_bytes = backend.geometry().capacity_bytes / 4096 * 4096;
    let log_bytes = options
        .log_bytes
        .unwrap_or_else(|| (capacity_bytes / LOG_DIVISOR).clamp(LOG_BYTES_LEAST, LOG_BYTES_MOST));
    let log_bytes = log_bytes / SECTOR_BYTES * SECTOR_BYTES;
    if log_bytes > format::LOG_BYTES_MAX {
        return Err(EngineError::Invalid(format!(
            "a log of {log_bytes} bytes: at most {} would do",
            format::LOG_BYTES_MAX
        )));
    }
    let bytes_min = AREA_START.0 + log_bytes + VOLUME_NODES_MIN * slot_bytes;
    if capacity_bytes < bytes_min {
        return Err(EngineError::Invalid(format!(
            "the device has {capacity_bytes} bytes; a volume with nodes of {} takes at least {bytes_min}",
            options.node_bytes
        )));
    }
    let generation = Generation(1);
    Ok(Superblock {
        node_bytes: options.node_bytes,
        uuid: uuid_of(options.seed),
        capacity_bytes,
        generation,
        root: NodePointer {
            address: DiskOffset(capacity_bytes / slot_bytes * slot_bytes - slot_bytes),
            generation,
        },
        root_level: 0,
        file_next: 1,
        label: options.label.clone(),
        log: LogRegion {
            extent: DiskExtent {
                start: AREA_START,
                bytes: log_bytes,
            },
            tail: LogTail {
                offset: 0,
                sequence: 1,
            },
        },
        held: HeldSet::empty(),
        held_through: 0,
        replayed: false,
    })
}

/// Two rounds of splitmix64 over the seed.
fn uuid_of(seed: u64) -> [u8; 16] {
    let mix = |n: u64| {
        let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&mix(1).to_le_bytes());
    uuid[8..].copy_from_slice(&mix(2).to_le_bytes());
    uuid
}
