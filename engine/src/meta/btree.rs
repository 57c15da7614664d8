//! The copy-on-write tree: get, range, insert, remove.
//!
//! A node that a commit has seen is never changed: the first change after it copies the node to a new
//! address, and its parent, up to the root. Copies of the running generation are changed in place
//! until somebody writes them. So an old root stays whole while a new one grows beside it, and
//! writing a superblock is what moves the volume from one to the other.
//!
//! Changes go through `Change`, which holds an allowance for the most nodes they can allocate. Space
//! can therefore not run out in the middle of one; an unreadable node can, and then the tree in
//! memory is unfit for a commit (the caller makes the volume read-only).
//!
//! Balance: a full node is cut in two by bytes, or at its end where keys are known to ascend. A node below a quarter
//! takes from its sibling or merges with it, so that no removal leaves a sparse tree behind.
//!
//! Locks: none here; the holder's reader-writer lock is outside.
//!
//! Not here: nodes in memory (node_store), bytes of a node (node), what items mean (extents, files).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use delalloc_backends::Backend;

use super::format::{self, AREA_START, Key, NodePointer};
use super::node::Node;
use super::node_store::{NodeShape, NodeStore, ResidentState};
use super::node_writer;
use crate::alloc::{NodeAllowance, Reserve, Space};
use crate::error::{EngineError, Result};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, Generation};

/// A node with less than this part of its bytes in use is merged or refilled.
const SPARSE_DIVISOR: usize = 4;
/// Children of an inner node that is not sparse and not at the right edge, with nodes of 1 KiB.
const CHILDREN_MIN: u64 = 5;

/// A tree of items, ordered by key.
#[derive(Debug)]
pub struct Tree {
    store: NodeStore,
    space: Arc<Space>,
    root: NodePointer,
    root_level: u8,
    generation: Generation,
    nodes: u64,
    changed: bool,
    copies: u64,
    recopies: u64,
    path: Vec<Step>,
}

/// The right to change a tree, with the space that takes.
#[derive(Debug)]
pub struct Change<'t> {
    tree: &'t mut Tree,
    allowance: NodeAllowance,
}

/// A place between two items of a tree that does not change meanwhile.
#[derive(Debug)]
pub struct Cursor<'t> {
    tree: &'t Tree,
    path: Vec<(Arc<Node>, usize)>,
}

/// A generation of the tree that will not change any more, and its nodes that are not written yet.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) generation: Generation,
    pub(crate) root: NodePointer,
    pub(crate) root_level: u8,
    pub(crate) nodes: Vec<Arc<Node>>,
}

/// Where a tree is on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeRoot {
    pub(crate) root: NodePointer,
    pub(crate) level: u8,
    pub(crate) nodes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    address: DiskOffset,
    at: usize,
}

impl Tree {
    /// An empty tree that has the whole of `backend` to itself: for format, tests and benches.
    /// `node_bytes` is a power of two from 512 to 65536.
    pub fn empty_on(backend: Arc<dyn Backend>, node_bytes: u32, cache_bytes: u64) -> Self {
        let capacity_bytes = backend.geometry().capacity_bytes;
        let area = DiskExtent {
            start: AREA_START,
            bytes: capacity_bytes - AREA_START.0,
        };
        let space = Space::new(area, format::node_slot_bytes(node_bytes), [], 0);
        let shape = NodeShape {
            volume: 0,
            node_bytes,
            capacity_bytes,
        };
        Self::empty(NodeStore::new(backend, shape, cache_bytes), space)
    }

    /// An empty tree of generation 1.
    pub(crate) fn empty(mut store: NodeStore, space: Arc<Space>) -> Self {
        let generation = Generation(1);
        let mut allowance = space
            .allow_nodes(1, 1, Reserve::All)
            .expect("an empty volume has room for a root");
        let address = allowance.allocate().expect("one node was asked for");
        let root = Node::empty(store.node_bytes(), 0, address, generation);
        drop(allowance);
        let pointer = root.pointer();
        store.put_changed(root);
        Self {
            store,
            space,
            root: pointer,
            root_level: 0,
            generation,
            nodes: 1,
            changed: true,
            copies: 0,
            recopies: 0,
            path: Vec::new(),
        }
    }

    /// A tree that is on the device; changes go into `generation`.
    pub(crate) fn open(
        store: NodeStore,
        space: Arc<Space>,
        root: TreeRoot,
        generation: Generation,
    ) -> Self {
        Self {
            store,
            space,
            root: root.root,
            root_level: root.level,
            generation,
            nodes: root.nodes,
            changed: false,
            copies: 0,
            recopies: 0,
            path: Vec::new(),
        }
    }

    /// The right to touch up to `items` items, of which up to `inserts` are new. `None`: a commit must
    /// make space first.
    pub fn change(&mut self, items: u64, inserts: u64, reserve: Reserve) -> Option<Change<'_>> {
        let (nodes, growth) = self.nodes_for(items, inserts);
        let allowance = self.space.allow_nodes(nodes, growth, reserve)?;
        Some(Change {
            tree: self,
            allowance,
        })
    }

    /// Would `change` with the same words succeed now?
    pub(crate) fn has_room(&self, items: u64, inserts: u64, reserve: Reserve) -> bool {
        let (nodes, growth) = self.nodes_for(items, inserts);
        self.space.would_allow_nodes(nodes, growth, reserve)
    }

    /// The value of `key`.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.with(key, <[u8]>::to_vec)
    }

    /// What `look` makes of the value of `key`.
    pub(crate) fn with<T>(&self, key: &Key, look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let (mut pointer, mut level) = (self.root, self.root_level);
        loop {
            let node = self.store.get(pointer, level, pointer == self.root)?;
            if level == 0 {
                return Ok(node.search(key).ok().map(|at| look(node.value(at))));
            }
            pointer = node.child(node.child_of(key));
            level -= 1;
        }
    }

    /// A cursor before the first item that is not below `key`.
    pub fn seek(&self, key: &Key) -> Result<Cursor<'_>> {
        let (mut pointer, mut level) = (self.root, self.root_level);
        let mut path = Vec::with_capacity(usize::from(level) + 1);
        loop {
            let node = self.store.get(pointer, level, pointer == self.root)?;
            if level == 0 {
                let at = node.search(key).unwrap_or_else(|at| at);
                path.push((node, at));
                return Ok(Cursor { tree: self, path });
            }
            let at = node.child_of(key);
            pointer = node.child(at);
            path.push((node, at));
            level -= 1;
        }
    }

    /// Writes everything and starts a new generation, for an owner who has the tree alone. What was
    /// freed becomes reusable: nobody goes back to an earlier root.
    pub fn checkpoint(&mut self) -> Result<()> {
        let snapshot = self.begin_commit();
        let store = &self.store;
        node_writer::write_nodes(store.backend(), store.shape(), &snapshot.nodes, None)?;
        self.end_commit(&snapshot.nodes);
        self.space.unpin_through(snapshot.generation);
        Ok(())
    }

    /// Closes the running generation: from here on changes go into the next one.
    pub(crate) fn begin_commit(&mut self) -> Snapshot {
        let nodes = self.store.begin_write(usize::MAX);
        let generation = self.generation;
        self.generation = Generation(generation.0 + 1);
        self.space.close_generation();
        self.changed = false;
        Snapshot {
            generation,
            root: self.root,
            root_level: self.root_level,
            nodes,
        }
    }

    /// The nodes of a snapshot are on the device.
    pub(crate) fn end_commit(&mut self, nodes: &[Arc<Node>]) {
        self.store.end_write(nodes);
    }

    /// Takes up to `count_max` changed nodes for writing before their commit.
    pub(crate) fn begin_early_write(&mut self, count_max: usize) -> Vec<Arc<Node>> {
        self.store.begin_write(count_max)
    }

    pub(crate) fn store(&self) -> &NodeStore {
        &self.store
    }

    /// The generation that changes go into.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Something changed since the last `begin_commit`.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Levels; 1 is a single leaf.
    pub fn levels(&self) -> u64 {
        u64::from(self.root_level) + 1
    }

    /// Nodes of the tree.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// Nodes copied to a new address, and of those the ones a gate had written in this generation.
    pub(crate) fn copies(&self) -> (u64, u64) {
        (self.copies, self.recopies)
    }

    /// Bytes of nodes that are not on the device.
    pub fn dirty_node_bytes(&self) -> u64 {
        self.store.dirty_bytes().load(Ordering::Relaxed)
    }

    /// The space the tree lives in.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The most nodes that touching `items` items can allocate. Each node of the tree is copied once at
    /// most. Each item has a leaf, and a removal may look at a sibling on every level; above the leaves
    /// there is less than one node for `CHILDREN_MIN` below, apart from the right edge. Each new item
    /// cuts a leaf at most, and the cuts above halve from level to level. The second number is the nodes
    /// by which the tree can grow.
    fn nodes_for(&self, items: u64, inserts: u64) -> (u64, u64) {
        let levels = self.levels();
        let inner = (2 * items * (levels - 1)).min(self.nodes / CHILDREN_MIN + levels);
        let new = 2 * inserts + levels + 2;
        let growth = if inserts == 0 { 0 } else { new };
        ((2 * items + inner).min(self.nodes) + new, growth)
    }
}

fn new_address(allowance: &mut NodeAllowance, root: NodePointer) -> Result<DiskOffset> {
    allowance.allocate().ok_or_else(|| EngineError::Corrupt {
        what: "tree",
        at: root.address,
        expected: "nodes of three items and more".to_owned(),
        found: "so many emptier ones that a change has no bound".to_owned(),
    })
}

impl Change<'_> {
    /// Puts an item, over what has its key.
    ///
    /// # Panics
    /// If the value is longer than a quarter of a node.
    pub fn insert(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let (path, found) = self.open_path(key)?;
        let leaf = path[path.len() - 1];
        if found {
            let node = self.tree.store.changed_mut(leaf.address);
            if node.value(leaf.at).len() == value.len() {
                node.value_mut(leaf.at).copy_from_slice(value);
                self.tree.path = path;
                return Ok(());
            }
            node.remove(leaf.at);
        }
        self.insert_at(&path, key, value)?;
        self.tree.path = path;
        Ok(())
    }

    /// Changes the value of an item in place; false where there is none.
    pub fn update(&mut self, key: &Key, change: impl FnOnce(&mut [u8])) -> Result<bool> {
        let (path, found) = self.open_path(key)?;
        if found {
            let leaf = path[path.len() - 1];
            change(self.tree.store.changed_mut(leaf.address).value_mut(leaf.at));
        }
        self.tree.path = path;
        Ok(found)
    }

    /// Takes an item out; false where there is none.
    pub fn remove(&mut self, key: &Key) -> Result<bool> {
        let (path, found) = self.open_path(key)?;
        if found {
            let leaf = path[path.len() - 1];
            self.tree.store.changed_mut(leaf.address).remove(leaf.at);
            self.refill(&path)?;
            self.drop_lone_roots();
        }
        self.tree.path = path;
        Ok(found)
    }

    /// The generation this change goes into.
    pub(crate) fn generation(&self) -> Generation {
        self.tree.generation
    }

    /// The path to `key`, every node of it copied as needed, and whether the key is there.
    fn open_path(&mut self, key: &Key) -> Result<(Vec<Step>, bool)> {
        self.tree.changed = true;
        let mut path = std::mem::take(&mut self.tree.path);
        path.clear();
        let mut level = self.tree.root_level;
        self.tree.root = self.writable(self.tree.root, level, true)?;
        let mut address = self.tree.root.address;
        while level > 0 {
            let node = self.tree.store.changed(address);
            let at = node.child_of(key);
            let child = node.child(at);
            level -= 1;
            let writable = self.writable(child, level, false)?;
            if writable != child {
                self.tree.store.changed_mut(address).set_child(at, writable);
            }
            path.push(Step { address, at });
            address = writable.address;
        }
        let (at, found) = match self.tree.store.changed(address).search(key) {
            Ok(at) => (at, true),
            Err(at) => (at, false),
        };
        path.push(Step { address, at });
        Ok((path, found))
    }

    /// An address for a new node.
    ///
    /// # Errors
    /// `Corrupt` where the change has more of them than the bound of a tree whose nodes this engine wrote: it leaves none that empty.
    fn new_address(&mut self) -> Result<DiskOffset> {
        new_address(&mut self.allowance, self.tree.root)
    }

    /// The node itself if it may be changed, or a copy at a new address.
    fn writable(&mut self, pointer: NodePointer, level: u8, root: bool) -> Result<NodePointer> {
        if self.tree.store.resident(pointer.address) == Some(ResidentState::Changed) {
            assert_eq!(
                pointer.generation, self.tree.generation,
                "changed nodes are of the running generation"
            );
            return Ok(pointer);
        }
        let tree = &mut *self.tree;
        let node = tree.store.get(pointer, level, root)?;
        let address = new_address(&mut self.allowance, tree.root)?;
        let copy = node.copied_to(address, tree.generation);
        tree.copies += 1;
        if pointer.generation == tree.generation {
            tree.recopies += 1;
        }
        tree.store.forget(pointer.address);
        tree.space.pin_node(pointer.address, tree.generation);
        let pointer = copy.pointer();
        tree.store.put_changed(copy);
        Ok(pointer)
    }

    /// Puts an item at the end of `path`, cutting full nodes from there upward.
    fn insert_at(&mut self, path: &[Step], key: &Key, value: &[u8]) -> Result<()> {
        let (mut step, mut above) = path.split_last().expect("a path has a leaf");
        let Some(mut cut) = self.insert_or_cut(above, *step, key, value)? else {
            return Ok(());
        };
        while let Some((parent, rest)) = above.split_last() {
            (step, above) = (parent, rest);
            let place = Step {
                at: step.at + 1,
                ..*step
            };
            let pointer = format::encode_pointer(cut.right);
            match self.insert_or_cut(above, place, &cut.separator, &pointer)? {
                Some(next) => cut = next,
                None => return Ok(()),
            }
        }
        self.grow_root(&cut)
    }

    /// Inserts into one node, which is below `above`; where it is full it is cut in two first, and the
    /// parent must be told.
    fn insert_or_cut(
        &mut self,
        above: &[Step],
        place: Step,
        key: &Key,
        value: &[u8],
    ) -> Result<Option<Cut>> {
        let Step { address, at } = place;
        let node = self.tree.store.changed_mut(address);
        if node.insert(at, key, value) {
            return Ok(None);
        }
        let right_address = self.new_address()?;
        let tree = &mut *self.tree;
        let is_last = above
            .iter()
            .all(|step| step.at + 1 == tree.store.changed(step.address).items())
            || mutation::on(Mutation::NodeGivenAway);
        let mut left = tree.store.take_changed(address);
        let point = left.split_point(at, value.len(), is_last);
        let mut right = Node::empty(
            tree.store.node_bytes(),
            left.level(),
            right_address,
            tree.generation,
        );
        left.move_tail(point.stay, &mut right);
        let fits = if point.goes_right {
            right.insert(at - point.stay, key, value)
        } else {
            left.insert(at, key, value)
        };
        assert!(fits, "half a node has room for any item");
        let cut = Cut {
            separator: right.key(0),
            right: right.pointer(),
        };
        tree.store.put_changed(left);
        tree.store.put_changed(right);
        tree.nodes += 1;
        Ok(Some(cut))
    }

    fn grow_root(&mut self, cut: &Cut) -> Result<()> {
        let address = self.new_address()?;
        let tree = &mut *self.tree;
        tree.root_level += 1;
        assert!(tree.root_level < format::LEVELS_MAX);
        let mut root = Node::empty(
            tree.store.node_bytes(),
            tree.root_level,
            address,
            tree.generation,
        );
        let children = [(Key::LOWEST, tree.root), (cut.separator, cut.right)];
        for (at, (key, pointer)) in children.into_iter().enumerate() {
            let fits = root.insert(at, &key, &format::encode_pointer(pointer));
            assert!(fits, "a node has room for two children");
        }
        tree.root = root.pointer();
        tree.store.put_changed(root);
        tree.nodes += 1;
        Ok(())
    }

    /// After a removal: sparse nodes of the path merge with a sibling or take from it.
    fn refill(&mut self, path: &[Step]) -> Result<()> {
        for depth in (1..path.len()).rev() {
            let node = self.tree.store.changed(path[depth].address);
            if node.used_bytes() >= node.capacity_bytes() / SPARSE_DIVISOR {
                return Ok(());
            }
            let (parent, level) = (path[depth - 1], node.level());
            let (left_at, sibling_at) = if parent.at > 0 {
                (parent.at - 1, parent.at - 1)
            } else {
                (0, 1)
            };
            let sibling = self.tree.store.changed(parent.address).child(sibling_at);
            let writable = self.writable(sibling, level, false)?;
            let parent_node = self.tree.store.changed_mut(parent.address);
            parent_node.set_child(sibling_at, writable);
            let right_at = left_at + 1;
            let (left, right) = (parent_node.child(left_at), parent_node.child(right_at));
            match self.even_out(left.address, right.address) {
                Some(separator) => {
                    let parent_node = self.tree.store.changed_mut(parent.address);
                    parent_node.set_key(right_at, &separator);
                    return Ok(());
                }
                None => self.tree.store.changed_mut(parent.address).remove(right_at),
            }
        }
        Ok(())
    }

    /// Evens out two neighbours and returns the right one's new lowest key, or merges both into the
    /// left one.
    fn even_out(&mut self, left: DiskOffset, right: DiskOffset) -> Option<Key> {
        let tree = &mut *self.tree;
        let mut left_node = tree.store.take_changed(left);
        let mut right_node = tree.store.take_changed(right);
        let capacity_bytes = left_node.capacity_bytes();
        let (left_bytes, right_bytes) = (left_node.used_bytes(), right_node.used_bytes());
        if left_bytes + right_bytes <= capacity_bytes - capacity_bytes / SPARSE_DIVISOR {
            let all = right_node.items();
            left_node.take_head(&mut right_node, all);
            tree.store.put_changed(left_node);
            tree.space.free_unwritten_node(right);
            tree.nodes -= 1;
            return None;
        }
        let half_bytes = (left_bytes + right_bytes) / 2;
        if left_bytes > right_bytes {
            let stay = left_node.items_within(half_bytes);
            left_node.give_tail(stay, &mut right_node);
        } else {
            let moved = right_node.items_within(half_bytes - left_bytes);
            left_node.take_head(&mut right_node, moved);
        }
        let separator = right_node.key(0);
        tree.store.put_changed(left_node);
        tree.store.put_changed(right_node);
        Some(separator)
    }

    /// A root with one child gives way to it.
    fn drop_lone_roots(&mut self) {
        let tree = &mut *self.tree;
        while tree.root_level > 0 {
            let root = tree.store.changed(tree.root.address);
            if root.items() > 1 {
                return;
            }
            let child = root.child(0);
            tree.store.forget(tree.root.address);
            tree.space.free_unwritten_node(tree.root.address);
            tree.root = child;
            tree.root_level -= 1;
            tree.nodes -= 1;
        }
    }
}

/// A node was cut: its new right neighbour, and the lowest key of that.
#[derive(Debug, Clone, Copy)]
struct Cut {
    separator: Key,
    right: NodePointer,
}

impl Cursor<'_> {
    /// Steps over the next item and shows it.
    #[expect(
        clippy::should_implement_trait,
        reason = "lends its items and can fail"
    )]
    pub fn next(&mut self) -> Result<Option<(Key, &[u8])>> {
        loop {
            let (leaf, at) = self.leaf_mut();
            if *at < leaf.items() {
                *at += 1;
                break;
            }
            if !self.next_leaf()? {
                return Ok(None);
            }
        }
        let (leaf, at) = self.leaf();
        Ok(Some((leaf.key(at - 1), leaf.value(at - 1))))
    }

    /// Steps back over the item before and shows it.
    pub fn prev(&mut self) -> Result<Option<(Key, &[u8])>> {
        loop {
            let (_, at) = self.leaf_mut();
            if *at > 0 {
                *at -= 1;
                break;
            }
            if !self.prev_leaf()? {
                return Ok(None);
            }
        }
        let (leaf, at) = self.leaf();
        Ok(Some((leaf.key(at), leaf.value(at))))
    }

    /// The node that the item last shown is in.
    pub(crate) fn leaf_address(&self) -> DiskOffset {
        self.leaf().0.pointer().address
    }

    fn leaf(&self) -> (&Node, usize) {
        let (leaf, at) = &self.path[self.path.len() - 1];
        (leaf, *at)
    }

    fn leaf_mut(&mut self) -> (&Node, &mut usize) {
        let last = self.path.len() - 1;
        let (leaf, at) = &mut self.path[last];
        (leaf, at)
    }

    fn next_leaf(&mut self) -> Result<bool> {
        let Some(depth) = (0..self.path.len() - 1)
            .rev()
            .find(|&depth| self.path[depth].1 + 1 < self.path[depth].0.items())
        else {
            return Ok(false);
        };
        self.path[depth].1 += 1;
        self.descend(depth, |_| 0, |_| 0)?;
        Ok(true)
    }

    fn prev_leaf(&mut self) -> Result<bool> {
        let Some(depth) = (0..self.path.len() - 1)
            .rev()
            .find(|&depth| self.path[depth].1 > 0)
        else {
            return Ok(false);
        };
        self.path[depth].1 -= 1;
        self.descend(depth, |node| node.items() - 1, Node::items)?;
        Ok(true)
    }

    /// Loads the nodes below `depth` anew.
    fn descend(
        &mut self,
        depth: usize,
        inner_at: impl Fn(&Node) -> usize,
        leaf_at: impl Fn(&Node) -> usize,
    ) -> Result<()> {
        let leaf_depth = self.path.len() - 1;
        for depth in depth..leaf_depth {
            let (parent, at) = &self.path[depth];
            let child = self
                .tree
                .store
                .get(parent.child(*at), parent.level() - 1, false)?;
            let at = if depth + 1 == leaf_depth {
                leaf_at(&child)
            } else {
                inner_at(&child)
            };
            self.path[depth + 1] = (child, at);
        }
        Ok(())
    }
}
