//! The accounting: the sums that must hold, and the moves between them.
//!
//! ```text
//!   capacity = allocated + pinned + free
//!   free    >= promised data + promised metadata + the running change's allowance
//! ```
//!
//! Two kinds of bytes are given out. Data takes sectors anywhere. Tree nodes take whole aligned
//! slots, and no item says so in advance: a change copies whatever nodes it meets. Therefore
//!   * each promise of data includes a share for the items it will cost (reservation);
//!   * a *metadata reserve* is out of reach of promises; it follows the tree and what is promised
//!     (headroom). A change first takes an allowance for the most nodes it can copy, out of the reserve
//!     if need be. If even that is short, a commit makes the nodes copied earlier reusable and the
//!     change tries again: so a removal always goes on. What changes took for a while since the last
//!     commit is kept from promises until the next: a replay takes it again (replay_room);
//!   * data never breaks the slots that the reserve and the shares stand for, and keeps from breaking
//!     any as long as the free sectors outside of slots would be left without nodes to describe them.
//!
//! The bound. At rest (all written back and committed) a volume that refuses one page has at most
//! `full_bytes_max` bytes free: n + 26 nodes' worth for a tree of n nodes, below 150 nodes' worth for
//! trees to 10,000 nodes; and the free sectors that lie outside of slots. With nodes of one sector every
//! sector is a slot. Data is never moved to make slots; so on a volume with larger nodes that was filled
//! with single sectors, and holes made between them, sectors can be left over.
//!
//! Locks: one mutex, held for map operations only, never while anything waits. It is the innermost
//! lock of the engine.
//!
//! Not here: choosing addresses (strategy), free runs (free_map).

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::free_map::FreeMap;
use super::headroom::{SHARE_DIVISOR, nodes_kept, nodes_kept_for_removals, nodes_left_max};
use super::pinned::Pinned;
use super::replay_room::{LaneGeneration, ReplayRoom};
use super::reservation::{Reservation, metadata_share};
use super::strategy;
use crate::error::{EngineError, Result};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, Generation, SECTOR_BYTES};

/// Extents made free under one hold of the lock.
const UNPIN_BATCH: usize = 1024;
/// The sums. `allocated + pinned + free == capacity` and `reserved <= free`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceNumbers {
    /// Bytes that can be allocated at all: the device without the system area.
    pub capacity_bytes: u64,
    /// Data and tree nodes.
    pub allocated_bytes: u64,
    /// Of those, tree nodes.
    pub node_bytes: u64,
    /// Freed, reusable after the commit of the generation that freed them.
    pub pinned_bytes: u64,
    /// Neither allocated nor pinned.
    pub free_bytes: u64,
    /// Promised, out of the free bytes: data and their metadata.
    pub reserved_bytes: u64,
    /// Kept out of reach of new reservations, so that removals and commits always go on, and a replay.
    pub metadata_reserve_bytes: u64,
    /// What `reserve` could still promise.
    pub available_bytes: u64,
    /// At rest, a volume with more free bytes than this (in whole slots for nodes) takes another page.
    pub full_bytes_max: u64,
}

/// How much of the metadata reserve a change may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// None of it stays used: the tree grows and nobody promised space for it.
    Kept,
    /// A few nodes of it may stay used: most such changes shrink the tree.
    Most,
    /// All of it: the tree shrinks, or the space was promised.
    All,
}

/// The sums as they are, or as a commit would leave them.
#[derive(Debug, Clone, Copy)]
enum When {
    Now,
    Committed,
}

/// All bytes of an open volume's device.
#[derive(Debug)]
pub struct Space {
    capacity_bytes: u64,
    node_slot_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: FreeMap,
    pinned: Pinned,
    allocated_bytes: u64,
    node_bytes: u64,
    promised_data_bytes: u64,
    promised_metadata_bytes: u64,
    allowance_bytes: u64,
    replay: ReplayRoom,
}

/// The nodes a running change may still allocate; what is left goes back on drop.
#[derive(Debug)]
pub(crate) struct NodeAllowance {
    space: Arc<Space>,
    nodes: u64,
}

/// What an express lane may ask for, until it has.
#[derive(Debug)]
pub(crate) struct LaneRoom {
    space: Arc<Space>,
    nodes: u64,
    begun: LaneGeneration,
}

impl Drop for LaneRoom {
    fn drop(&mut self) {
        let mut state = self.space.lock();
        state.replay.lane_ends(self.nodes, self.begun);
    }
}

impl Space {
    /// The space of `area`, of which `used` is allocated and `node_bytes` of that are tree nodes.
    /// `used` is sorted, without overlaps, inside the area.
    pub(crate) fn new(
        area: DiskExtent,
        node_slot_bytes: u64,
        used: impl IntoIterator<Item = DiskExtent>,
        node_bytes: u64,
    ) -> Arc<Self> {
        let mut free = FreeMap::new(node_slot_bytes);
        let mut at = area.start.0;
        let mut put = |from: u64, to: u64| {
            assert!(from <= to, "used extents are sorted and do not overlap");
            if from < to {
                free.insert(DiskExtent {
                    start: DiskOffset(from),
                    bytes: to - from,
                });
            }
        };
        for extent in used {
            put(at, extent.start.0);
            at = extent.end().0;
        }
        put(at, area.end().0);
        let allocated_bytes = area.bytes - free.free_bytes();
        Arc::new(Self {
            capacity_bytes: area.bytes,
            node_slot_bytes,
            state: Mutex::new(State {
                free,
                pinned: Pinned::default(),
                allocated_bytes,
                node_bytes,
                promised_data_bytes: 0,
                promised_metadata_bytes: 0,
                allowance_bytes: 0,
                replay: ReplayRoom::default(),
            }),
        })
    }

    /// Promises `bytes` (rounded up to sectors) and their metadata; `NoSpace` if that cannot be kept.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation> {
        let data_bytes = bytes.next_multiple_of(SECTOR_BYTES);
        let mut state = self.lock();
        let fits = data_bytes == 0 || self.fits(&state, data_bytes, When::Now);
        if !fits && !mutation::on(Mutation::PromiseUnchecked) {
            return Err(EngineError::NoSpace {
                wanted_bytes: data_bytes,
                free_bytes: self.available(&state),
            });
        }
        state.promised_data_bytes += data_bytes;
        state.promised_metadata_bytes += metadata_share(data_bytes);
        self.assert_sums(&state);
        drop(state);
        Ok(Reservation::new(Arc::clone(self), data_bytes))
    }

    /// The same for bytes that were promised before and are wanted once more: the metadata reserve was there for them
    /// then and is not asked for again.
    pub(crate) fn reserve_again(self: &Arc<Self>, bytes: u64) -> Result<Reservation> {
        let data_bytes = bytes.next_multiple_of(SECTOR_BYTES);
        let mut state = self.lock();
        let wanted_bytes = data_bytes + metadata_share(data_bytes);
        let kept_bytes = self.replay_bytes(&state);
        let free_bytes = state.free.free_bytes() - state.reserved_bytes();
        if wanted_bytes + kept_bytes > free_bytes {
            return Err(EngineError::NoSpace {
                wanted_bytes,
                free_bytes: free_bytes.saturating_sub(kept_bytes),
            });
        }
        state.promised_data_bytes += data_bytes;
        state.promised_metadata_bytes += metadata_share(data_bytes);
        self.assert_sums(&state);
        drop(state);
        Ok(Reservation::new(Arc::clone(self), data_bytes))
    }

    /// Would a commit make room for `bytes` that are refused now?
    pub fn commit_would_help(&self, bytes: u64) -> bool {
        let state = self.lock();
        let data_bytes = bytes.next_multiple_of(SECTOR_BYTES);
        self.keeps_for_commit(&state) && self.fits(&state, data_bytes, When::Committed)
    }

    /// Is anything kept for a replay that only another commit than the running one ends?
    pub(crate) fn keeps_for_replay(&self) -> bool {
        self.lock().replay.nodes_running() > 0
    }

    /// Would a commit make any room?
    pub(crate) fn commit_makes_room(&self) -> bool {
        self.keeps_for_commit(&self.lock())
    }

    /// One contiguous extent, first fit after `hint`; `None` where no free piece is long enough.
    /// `bytes` is a multiple of the sector and at most what the reservation holds.
    pub fn allocate_contiguous(
        &self,
        reservation: &mut Reservation,
        bytes: u64,
        hint: Option<DiskOffset>,
    ) -> Option<DiskExtent> {
        self.assert_request(reservation, bytes);
        let mut state = self.lock();
        let extent = strategy::contiguous(&state.free, bytes, hint, self.wanted_slots(&state))
            .or_else(|| strategy::contiguous(&state.free, bytes, hint, self.floor_slots(&state)))?;
        self.take(&mut state, reservation, extent);
        Some(extent)
    }

    /// `bytes` in as few pieces as there are, none longer than `piece_bytes_max`. What was promised is
    /// there; where it takes the last sectors outside of slots, it breaks no slot more than it has to.
    /// All or nothing.
    pub fn allocate_pieces(
        &self,
        reservation: &mut Reservation,
        bytes: u64,
        piece_bytes_max: u64,
        hint: Option<DiskOffset>,
    ) -> Result<Vec<DiskExtent>> {
        self.assert_request(reservation, bytes);
        assert!(piece_bytes_max >= SECTOR_BYTES && piece_bytes_max.is_multiple_of(SECTOR_BYTES));
        let mut state = self.lock();
        let mut pieces: Vec<DiskExtent> = Vec::new();
        let mut left_bytes = bytes;
        let mut hint = hint;
        while left_bytes > 0 {
            let wanted = left_bytes.min(piece_bytes_max);
            let rest_slots = (state.free.free_bytes() - left_bytes) / self.node_slot_bytes;
            let piece = [
                self.wanted_slots(&state),
                self.floor_slots(&state).min(rest_slots),
            ]
            .into_iter()
            .find_map(|slots| strategy::piece(&state.free, wanted, hint, slots));
            let Some(piece) = piece else {
                for &piece in &pieces {
                    state.free.insert(piece);
                }
                return Err(EngineError::NoSpace {
                    wanted_bytes: bytes,
                    free_bytes: state.free.free_bytes(),
                });
            };
            state.free.remove(piece);
            left_bytes -= piece.bytes;
            hint = Some(piece.end());
            pieces.push(piece);
        }
        state.allocated_bytes += bytes;
        state.promised_data_bytes -= bytes;
        reservation.spend(bytes);
        self.assert_sums(&state);
        Ok(pieces)
    }

    /// Takes back an extent that no item ever pointed to: reusable at once.
    pub fn free_unpublished(&self, extent: DiskExtent) {
        let mut state = self.lock();
        state.allocated_bytes -= extent.bytes;
        state.free.insert(extent);
        self.assert_sums(&state);
    }

    /// Frees an extent in `generation`: reusable once that generation is durable.
    pub fn pin(&self, extent: DiskExtent, generation: Generation) {
        if mutation::on(Mutation::ExtentUnpinned) {
            return self.free_unpublished(extent);
        }
        let mut state = self.lock();
        state.allocated_bytes -= extent.bytes;
        state.pinned.push(extent, generation);
        self.assert_sums(&state);
    }

    /// The running generation ends; what is asked for next belongs to another.
    pub(crate) fn close_generation(&self) {
        self.lock().replay.closed();
    }

    /// `generation`, the last that was closed, is durable: what it and earlier ones freed is free.
    pub fn unpin_through(&self, generation: Generation) {
        self.lock().replay.durable();
        loop {
            let mut state = self.lock();
            let extents = state.pinned.take_through(generation, UNPIN_BATCH);
            if extents.is_empty() {
                return;
            }
            for extent in extents {
                state.free.insert(extent);
            }
            self.assert_sums(&state);
        }
    }

    /// The sums.
    pub fn numbers(&self) -> SpaceNumbers {
        let state = self.lock();
        SpaceNumbers {
            capacity_bytes: self.capacity_bytes,
            allocated_bytes: state.allocated_bytes,
            node_bytes: state.node_bytes,
            pinned_bytes: state.pinned.bytes(),
            free_bytes: state.free.free_bytes(),
            reserved_bytes: state.reserved_bytes(),
            metadata_reserve_bytes: self.kept_bytes(&state, 0, When::Now),
            available_bytes: self.available(&state),
            full_bytes_max: nodes_left_max(self.tree_nodes(&state), self.node_slot_bytes)
                * self.node_slot_bytes,
        }
    }

    /// Bytes a tree node takes on the device.
    pub(crate) fn node_slot_bytes(&self) -> u64 {
        self.node_slot_bytes
    }

    /// Room for a change that copies or adds at most `nodes` nodes, of which the tree may keep up to
    /// `growth` more than it has; or `None`: then a commit is due.
    pub(crate) fn allow_nodes(
        self: &Arc<Self>,
        nodes: u64,
        growth: u64,
        from: Reserve,
    ) -> Option<NodeAllowance> {
        let mut state = self.lock();
        assert_eq!(state.allowance_bytes, 0, "one change runs at a time");
        if !self.has_nodes(&state, nodes, growth, from) {
            return None;
        }
        state.allowance_bytes = nodes * self.node_slot_bytes;
        state.replay.asked(nodes);
        self.assert_sums(&state);
        drop(state);
        Some(NodeAllowance {
            space: Arc::clone(self),
            nodes,
        })
    }

    /// Would `allow_nodes` give them now?
    pub(crate) fn would_allow_nodes(&self, nodes: u64, growth: u64, from: Reserve) -> bool {
        self.has_nodes(&self.lock(), nodes, growth, from)
    }

    /// An express lane is about to log extents of `pages` pages, and will make its changes later.
    pub(crate) fn begin_lane(self: &Arc<Self>, pages: u64) -> LaneRoom {
        let mut state = self.lock();
        let nodes = nodes_kept(self.tree_nodes(&state), pages, self.node_slot_bytes);
        let begun = state.replay.lane_begins(nodes);
        drop(state);
        LaneRoom {
            space: Arc::clone(self),
            nodes,
            begun,
        }
    }

    fn has_nodes(&self, state: &State, nodes: u64, growth: u64, from: Reserve) -> bool {
        let bytes = nodes * self.node_slot_bytes;
        let growth_bytes = growth * self.node_slot_bytes;
        let (tree_nodes, pages) = (self.tree_nodes(state), state.promised_pages());
        let kept_nodes = match from {
            Reserve::Kept => nodes_kept(tree_nodes, pages, self.node_slot_bytes),
            Reserve::Most => nodes_kept_for_removals(tree_nodes, pages, self.node_slot_bytes),
            Reserve::All => 0,
        };
        // What is copied comes back with the next commit; what is added does not.
        let wanted_bytes = bytes.max(growth_bytes + kept_nodes * self.node_slot_bytes);
        let free_bytes = state.free.free_bytes() - state.reserved_bytes();
        let slot_bytes = state.free.slots() * self.node_slot_bytes;
        wanted_bytes <= free_bytes.min(slot_bytes)
    }

    /// Frees a node that was never written: reusable at once.
    pub(crate) fn free_unwritten_node(&self, node: DiskOffset) {
        let mut state = self.lock();
        state.replay.gave_back();
        self.free_node(&mut state, node);
    }

    fn free_node(&self, state: &mut State, node: DiskOffset) {
        state.node_bytes -= self.node_slot_bytes;
        state.allocated_bytes -= self.node_slot_bytes;
        state.free.insert(self.node_extent(node));
        self.assert_sums(state);
    }

    /// Frees a node that is on the device.
    pub(crate) fn pin_node(&self, node: DiskOffset, generation: Generation) {
        if mutation::on(Mutation::NodeUnpinned) {
            return self.free_node(&mut self.lock(), node);
        }
        let mut state = self.lock();
        state.node_bytes -= self.node_slot_bytes;
        state.allocated_bytes -= self.node_slot_bytes;
        let extent = self.node_extent(node);
        state.pinned.push(extent, generation);
        self.assert_sums(&state);
    }

    /// Gives back promised bytes that were not used.
    pub(crate) fn release(&self, data_bytes: u64, metadata_bytes: u64) {
        let mut state = self.lock();
        state.promised_data_bytes -= data_bytes;
        state.promised_metadata_bytes -= metadata_bytes;
    }

    fn node_extent(&self, node: DiskOffset) -> DiskExtent {
        DiskExtent {
            start: node,
            bytes: self.node_slot_bytes,
        }
    }

    fn take(&self, state: &mut State, reservation: &mut Reservation, extent: DiskExtent) {
        state.free.remove(extent);
        state.allocated_bytes += extent.bytes;
        state.promised_data_bytes -= extent.bytes;
        reservation.spend(extent.bytes);
        self.assert_sums(state);
    }

    /// Can `data_bytes` more be promised?
    fn fits(&self, state: &State, data_bytes: u64, when: When) -> bool {
        let more_bytes = match when {
            When::Now => 0,
            When::Committed => state.pinned.bytes(),
        };
        let share_bytes = state.promised_metadata_bytes + metadata_share(data_bytes);
        let kept_bytes = self
            .kept_bytes(state, data_bytes, when)
            .max(state.allowance_bytes);
        let wanted_bytes = state.promised_data_bytes + data_bytes + share_bytes + kept_bytes;
        let slot_bytes = state.free.slots() * self.node_slot_bytes;
        wanted_bytes <= state.free.free_bytes() + more_bytes
            && share_bytes + kept_bytes <= slot_bytes + more_bytes
    }

    /// The most data that can still be promised.
    fn available(&self, state: &State) -> u64 {
        let (mut fit, mut over) = (0, state.free.free_bytes() / SECTOR_BYTES + 1);
        while fit + 1 < over {
            let middle = fit + (over - fit) / 2;
            if self.fits(state, middle * SECTOR_BYTES, When::Now) {
                fit = middle;
            } else {
                over = middle;
            }
        }
        fit * SECTOR_BYTES
    }

    fn tree_nodes(&self, state: &State) -> u64 {
        state.node_bytes / self.node_slot_bytes
    }

    /// The metadata reserve when `more_bytes` of data are promised besides; now that is at least what a replay would take.
    fn kept_bytes(&self, state: &State, more_bytes: u64, when: When) -> u64 {
        let pages = state.promised_pages() + more_bytes / SECTOR_BYTES;
        let nodes = nodes_kept(self.tree_nodes(state), pages, self.node_slot_bytes);
        let bytes = nodes * self.node_slot_bytes;
        match when {
            When::Now => bytes.max(self.replay_bytes(state)),
            When::Committed => bytes,
        }
    }

    /// What a replay would take and give back.
    fn replay_bytes(&self, state: &State) -> u64 {
        if mutation::on(Mutation::ReplayRoomGivenAway) {
            return 0;
        }
        state.replay.nodes() * self.node_slot_bytes
    }

    fn keeps_for_commit(&self, state: &State) -> bool {
        state.pinned.bytes() > 0 || self.replay_bytes(state) > 0
    }

    /// Slots that data must leave whole.
    fn floor_slots(&self, state: &State) -> u64 {
        let kept_bytes = self
            .kept_bytes(state, 0, When::Now)
            .max(state.allowance_bytes);
        (kept_bytes + state.promised_metadata_bytes) / self.node_slot_bytes
    }

    /// Slots that data had better leave whole: as many more as it takes to describe the free sectors
    /// that are in none.
    fn wanted_slots(&self, state: &State) -> u64 {
        let free_bytes = state.free.free_bytes();
        let odd_bytes = free_bytes - state.free.slots() * self.node_slot_bytes;
        self.floor_slots(state) + (odd_bytes / SHARE_DIVISOR).div_ceil(self.node_slot_bytes)
    }

    fn assert_request(&self, reservation: &Reservation, bytes: u64) {
        assert!(
            reservation.is_of(self),
            "a promise of another volume was brought here"
        );
        assert!(
            bytes > 0 && bytes.is_multiple_of(SECTOR_BYTES) && bytes <= reservation.bytes(),
            "allocate {bytes} bytes against a promise of {}",
            reservation.bytes()
        );
    }

    fn assert_sums(&self, state: &State) {
        let sum = state.allocated_bytes + state.pinned.bytes() + state.free.free_bytes();
        assert_eq!(
            sum, self.capacity_bytes,
            "allocated + pinned + free is the capacity"
        );
        assert!(
            state.reserved_bytes() <= state.free.free_bytes(),
            "promises are free bytes: {state:?}"
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Pages that are promised and not in the tree yet: their share stays promised until they are.
    fn promised_pages(&self) -> u64 {
        self.promised_metadata_bytes * SHARE_DIVISOR / SECTOR_BYTES
    }

    fn reserved_bytes(&self) -> u64 {
        self.promised_data_bytes + self.promised_metadata_bytes + self.allowance_bytes
    }
}

impl NodeAllowance {
    /// An address for one node. None where the change has allocated all that it asked for.
    pub(crate) fn allocate(&mut self) -> Option<DiskOffset> {
        self.nodes = self.nodes.checked_sub(1)?;
        let space = &self.space;
        let mut state = space.lock();
        let node = strategy::node(&state.free).expect("an allowance is backed by free slots");
        state.free.remove(node);
        state.replay.allocated();
        state.allowance_bytes -= node.bytes;
        state.allocated_bytes += node.bytes;
        state.node_bytes += node.bytes;
        space.assert_sums(&state);
        Some(node.start)
    }
}

impl Drop for NodeAllowance {
    fn drop(&mut self) {
        self.space.lock().allowance_bytes -= self.nodes * self.space.node_slot_bytes;
    }
}
