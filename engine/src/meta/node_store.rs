//! Where nodes are while the tree uses them: changed ones in memory, others in a bounded cache or on
//! the device.
//!
//! ```text
//!   changed --(commit or gate writes it)--> written --(commit ends)--> clean --(room is short)--> device
//!      ^                                       |                         |                           |
//!      '----------- copied to a new address ---'-------------------------'---------------------------'
//! ```
//!
//! A node is known by its address alone; a parent's pointer carries the generation expected there.
//! `resident` (changed and written) belongs to the holder of the tree's lock. The clean nodes have a
//! lock of their own, because readers under the tree's shared lock fill them: they are kept by second
//! chance, in a ring.
//!
//! Locks: tree (outside) > clean nodes. A node is read from the device under the tree's shared lock;
//! with a cache that holds the inner nodes that is one read per lookup at most.
//!
//! Not here: which node is which child (btree), when nodes are written (commit).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{Backend, BackendExt};
use parking_lot::Mutex;

use super::format::{self, Malformed, NodePointer, Superblock};
use super::node::Node;
use crate::error::{EngineError, Result};
use crate::units::DiskOffset;

/// A cache below this many nodes would read the path of a change twice.
const CLEAN_NODES_MIN: u64 = 8;

/// What every node of a volume has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeShape {
    pub(crate) volume: u64,
    pub(crate) node_bytes: u32,
    pub(crate) capacity_bytes: u64,
}

/// The nodes of an open tree.
#[derive(Debug)]
pub(crate) struct NodeStore {
    backend: Arc<dyn Backend>,
    shape: NodeShape,
    resident: HashMap<u64, Resident, AddressHash>,
    clean: Mutex<CleanNodes>,
    dirty_bytes: Arc<AtomicU64>,
    hits: AtomicU64,
    reads: AtomicU64,
}

#[derive(Debug)]
struct Resident {
    node: Arc<Node>,
    state: ResidentState,
}

/// A node of the resident set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResidentState {
    /// May be changed in place if its generation is the running one.
    Changed,
    /// On its way to the device or there; never changed again.
    Written,
}

#[derive(Debug, Default)]
struct CleanNodes {
    nodes: HashMap<u64, CleanNode, AddressHash>,
    ring: VecDeque<u64>,
    nodes_max: usize,
}

#[derive(Debug)]
struct CleanNode {
    node: Arc<Node>,
    used: bool,
}

impl NodeShape {
    /// The shape of the nodes of a volume.
    pub(crate) fn of(superblock: &Superblock) -> Self {
        Self {
            volume: superblock.volume(),
            node_bytes: superblock.node_bytes,
            capacity_bytes: superblock.capacity_bytes,
        }
    }

    /// Bytes a node takes on the device.
    pub(crate) fn slot_len(&self) -> usize {
        (self.node_bytes as usize).max(format::SECTOR_LEN)
    }

    /// Can there be a node at all?
    pub(crate) fn check_pointer(&self, pointer: NodePointer) -> Result<()> {
        if format::node_address_valid(pointer.address, self.node_bytes, self.capacity_bytes) {
            return Ok(());
        }
        let expected = "an address inside the volume";
        Err(
            Malformed::new("pointer to a tree node", expected, format!("{pointer:?}"))
                .at(pointer.address),
        )
    }

    /// Takes bytes read from the device for the node behind `pointer`.
    pub(crate) fn check(
        &self,
        bytes: &[u8],
        pointer: NodePointer,
        level: u8,
        root: bool,
    ) -> Result<Node> {
        let bytes = bytes[..self.node_bytes as usize].into();
        let node = Node::from_device(bytes, pointer, level, self.volume)
            .map_err(|malformed| malformed.at(pointer.address))?;
        if node.items() == 0 && !root {
            let malformed = Malformed::new("tree node", "items below the root", "none");
            return Err(malformed.at(pointer.address));
        }
        Ok(node)
    }
}

impl NodeStore {
    /// No node in memory; at most `cache_bytes` of clean ones later.
    pub(crate) fn new(backend: Arc<dyn Backend>, shape: NodeShape, cache_bytes: u64) -> Self {
        let nodes_max = (cache_bytes / u64::from(shape.node_bytes)).max(CLEAN_NODES_MIN);
        Self {
            backend,
            shape,
            resident: HashMap::default(),
            clean: Mutex::new(CleanNodes {
                nodes_max: usize::try_from(nodes_max).unwrap_or(usize::MAX),
                ..CleanNodes::default()
            }),
            dirty_bytes: Arc::default(),
            hits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    pub(crate) fn shape(&self) -> NodeShape {
        self.shape
    }

    pub(crate) fn node_bytes(&self) -> usize {
        self.shape.node_bytes as usize
    }

    /// The node behind `pointer`, from wherever it is.
    pub(crate) fn get(&self, pointer: NodePointer, level: u8, root: bool) -> Result<Arc<Node>> {
        let address = pointer.address.0;
        if let Some(resident) = self.resident.get(&address) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return same_generation(Arc::clone(&resident.node), pointer);
        }
        if let Some(node) = self.clean.lock().get(address) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return same_generation(node, pointer);
        }
        self.shape.check_pointer(pointer)?;
        let bytes = self.backend.read_blocking(address, self.shape.slot_len())?;
        let node = Arc::new(self.shape.check(&bytes, pointer, level, root)?);
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.clean.lock().insert(address, Arc::clone(&node));
        Ok(node)
    }

    /// Takes a node just read from the device into the clean ones.
    pub(crate) fn put_clean(&self, node: Arc<Node>) {
        self.clean.lock().insert(node.pointer().address.0, node);
    }

    /// What state a resident node is in.
    pub(crate) fn resident(&self, address: DiskOffset) -> Option<ResidentState> {
        self.resident.get(&address.0).map(|resident| resident.state)
    }

    /// A changed node, for changing it further.
    ///
    /// # Panics
    /// If it is not there or was written: then it must be copied first.
    pub(crate) fn changed_mut(&mut self, address: DiskOffset) -> &mut Node {
        let resident = self
            .resident
            .get_mut(&address.0)
            .expect("a node is copied before it is changed");
        assert_eq!(
            resident.state,
            ResidentState::Changed,
            "a written node is copied before it is changed"
        );
        Arc::make_mut(&mut resident.node)
    }

    /// A changed node, for reading.
    pub(crate) fn changed(&self, address: DiskOffset) -> &Node {
        &self.resident[&address.0].node
    }

    /// Takes a changed node out, to work on it beside another.
    pub(crate) fn take_changed(&mut self, address: DiskOffset) -> Node {
        let resident = self
            .resident
            .remove(&address.0)
            .expect("a node is copied before it is changed");
        assert_eq!(resident.state, ResidentState::Changed);
        self.dirty_bytes
            .fetch_sub(self.node_bytes() as u64, Ordering::Relaxed);
        Arc::unwrap_or_clone(resident.node)
    }

    /// Adds a node that is not on the device.
    pub(crate) fn put_changed(&mut self, node: Node) {
        let node_bytes = self.node_bytes() as u64;
        self.dirty_bytes.fetch_add(node_bytes, Ordering::Relaxed);
        let earlier = self.resident.insert(
            node.pointer().address.0,
            Resident {
                node: Arc::new(node),
                state: ResidentState::Changed,
            },
        );
        assert!(earlier.is_none(), "two nodes at one address");
    }

    /// The tree does not use this node any more.
    pub(crate) fn forget(&mut self, address: DiskOffset) {
        match self.resident.remove(&address.0) {
            Some(resident) if resident.state == ResidentState::Changed => {
                let node_bytes = self.node_bytes() as u64;
                self.dirty_bytes.fetch_sub(node_bytes, Ordering::Relaxed);
            }
            Some(_) => {}
            None => self.clean.lock().remove(address.0),
        }
    }

    /// Up to `count_max` changed nodes; from now on they count as written. Leaves go before inner
    /// nodes, and high addresses before low ones: nodes are placed downward, so the high ones are
    /// those that changed first and are least likely to change again.
    pub(crate) fn begin_write(&mut self, count_max: usize) -> Vec<Arc<Node>> {
        let mut changed: Vec<(u8, Reverse<u64>)> = self
            .resident
            .iter()
            .filter(|(_, resident)| resident.state == ResidentState::Changed)
            .map(|(&address, resident)| (resident.node.level(), Reverse(address)))
            .collect();
        if changed.len() > count_max {
            changed.select_nth_unstable(count_max);
            changed.truncate(count_max);
        }
        let node_bytes = self.node_bytes() as u64;
        self.dirty_bytes
            .fetch_sub(node_bytes * changed.len() as u64, Ordering::Relaxed);
        let mut nodes: Vec<Arc<Node>> = Vec::with_capacity(changed.len());
        for (_, Reverse(address)) in changed {
            let resident = self.resident.get_mut(&address).expect("found above");
            resident.state = ResidentState::Written;
            nodes.push(Arc::clone(&resident.node));
        }
        nodes.sort_unstable_by_key(|node| node.pointer().address);
        nodes
    }

    /// These written nodes are on the device: those still in use become clean ones.
    pub(crate) fn end_write(&mut self, nodes: &[Arc<Node>]) {
        let clean = self.clean.get_mut();
        for node in nodes {
            let address = node.pointer().address.0;
            let still_used = self
                .resident
                .get(&address)
                .is_some_and(|resident| Arc::ptr_eq(&resident.node, node));
            if still_used {
                self.resident.remove(&address);
                clean.insert(address, Arc::clone(node));
            }
        }
    }

    /// Bytes of changed nodes; the counter is shared with who watches it without the tree's lock.
    pub(crate) fn dirty_bytes(&self) -> &Arc<AtomicU64> {
        &self.dirty_bytes
    }

    /// Forgets every clean node.
    pub(crate) fn drop_clean(&self) {
        let mut clean = self.clean.lock();
        clean.nodes.clear();
        clean.ring.clear();
    }

    /// Bytes of clean nodes.
    pub(crate) fn clean_bytes(&self) -> u64 {
        (self.clean.lock().nodes.len() * self.node_bytes()) as u64
    }

    /// Nodes found in memory and nodes read.
    pub(crate) fn hits_and_reads(&self) -> (u64, u64) {
        (
            self.hits.load(Ordering::Relaxed),
            self.reads.load(Ordering::Relaxed),
        )
    }
}

impl CleanNodes {
    fn get(&mut self, address: u64) -> Option<Arc<Node>> {
        let clean = self.nodes.get_mut(&address)?;
        clean.used = true;
        Some(Arc::clone(&clean.node))
    }

    fn insert(&mut self, address: u64, node: Arc<Node>) {
        self.nodes.insert(address, CleanNode { node, used: false });
        self.ring.push_back(address);
        while self.nodes.len() > self.nodes_max {
            let Some(oldest) = self.ring.pop_front() else {
                return;
            };
            match self.nodes.get_mut(&oldest) {
                Some(clean) if clean.used => {
                    clean.used = false;
                    self.ring.push_back(oldest);
                }
                Some(_) => {
                    self.nodes.remove(&oldest);
                }
                None => {}
            }
        }
        if self.ring.len() > 2 * self.nodes.len() + 64 {
            // Addresses of nodes that went otherwise pile up in the ring.
            let mut seen = HashSet::new();
            let nodes = &self.nodes;
            self.ring
                .retain(|address| nodes.contains_key(address) && seen.insert(*address));
        }
    }

    fn remove(&mut self, address: u64) {
        self.nodes.remove(&address);
    }
}

fn same_generation(node: Arc<Node>, pointer: NodePointer) -> Result<Arc<Node>> {
    if node.pointer() == pointer {
        return Ok(node);
    }
    Err(EngineError::Corrupt {
        what: "tree node",
        at: pointer.address,
        expected: format!("generation {}", pointer.generation.0),
        found: format!("{}", node.pointer().generation.0),
    })
}

/// Hashes an address: multiples of a sector, spread by one multiplication.
#[derive(Debug, Default)]
pub(crate) struct AddressHasher(u64);

type AddressHash = BuildHasherDefault<AddressHasher>;

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, address: u64) {
        let spread = address.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }
}
