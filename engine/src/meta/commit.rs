//! Making changes durable, and the two gates on the way there.
//!
//! ```text
//!   commit:  close the generation | write its nodes | FLUSH | superblock, FUA | unpin, free the log
//!            under the write lock   changes of the next generation go on
//! ```
//!
//! Data is complete before its mapping enters the tree, so the one FLUSH covers data and nodes alike.
//! Callers that arrive while a commit runs share the next one: each waits for the lock, and finds its
//! changes durable or makes them so together with everybody else's.
//!
//! The gates trade memory and long commits against copies: a node that was written must be copied
//! again to be changed. The *flush gate* keeps a background service writing above its threshold, the
//! *front gate* makes whoever dirties metadata write a batch first.
//!
//! A failed node write, FLUSH or superblock write makes the volume read-only: what is on the device
//! is then known only after opening it again.
//!
//! Locks: the commit lock is held throughout and is the outermost; the state's lock only to close a
//! generation and to take written nodes in.
//!
//! Not here: writing nodes (node_writer), the slots (superblock).

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::MutexGuard;

use super::btree::Snapshot;
use super::format::{LogRegion, Superblock};
use super::metadata::{GivesUp, Metadata};
use super::node::Node;
use super::node_store::NodeShape;
use super::node_writer::write_nodes;
use super::superblock;
use crate::error::Result;
use crate::mutation::{self, Mutation};
use crate::units::Generation;

/// Bytes of nodes a gate writes at once.
const GATE_BATCH_BYTES: u64 = 2 << 20;

impl Metadata {
    /// Makes every change made so far durable. Concurrent callers share one commit. Returns a durable
    /// generation that has all of the caller's changes.
    pub fn commit(&self) -> Result<Generation> {
        self.check_writable()?;
        let wanted = {
            let state = self.state.read();
            let generation = state.tree.generation();
            // A batch that failed leaves a gap in the log, and a change its room for a replay, though it changed nothing:
            // any commit ends both.
            let has_to_end = self.log.has_gap() || self.space.keeps_for_replay();
            if state.tree.is_changed() || has_to_end {
                generation
            } else {
                // What the caller changed is durable or in a commit that runs now.
                let unwaited = u64::from(mutation::on(Mutation::CommitAwaitedBelieved));
                Generation(generation.0 - 1 - unwaited)
            }
        };
        let mut durable = self.commit.lock();
        if *durable >= wanted {
            count(&self.counters.commits_shared, 1);
            return Ok(*durable);
        }
        self.commit_locked(&mut durable)?;
        Ok(*durable)
    }

    /// Commits although nothing may have changed: the log begins anew behind it.
    pub(super) fn commit_always(&self) -> Result<()> {
        self.check_writable()?;
        let mut durable = self.commit.lock();
        self.commit_locked(&mut durable)
    }

    /// `balance_metadata` would write.
    pub(crate) fn over_front_gate(&self) -> bool {
        self.dirty_node_bytes() > self.config.front_gate_bytes
    }

    /// The front gate: returns at once below it, writes a batch of dirty nodes on the caller's time
    /// above it.
    pub fn balance_metadata(&self) -> Result<()> {
        if !self.over_front_gate() {
            return Ok(());
        }
        count(&self.counters.front_gate_stalls, 1);
        self.write_early(self.config.front_gate_bytes).map(|_| ())
    }

    /// The flush gate, for a background service: writes a batch of dirty nodes while there are more
    /// bytes of them than the gate. Returns the bytes written; 0 means below the gate.
    pub fn write_some_dirty_nodes(&self) -> Result<u64> {
        self.write_early(self.config.flush_gate_bytes)
    }

    fn write_early(&self, gate_bytes: u64) -> Result<u64> {
        self.check_writable()?;
        let above = || self.dirty_node_bytes() > gate_bytes;
        if !above() {
            return Ok(0);
        }
        // The lock keeps a commit from writing its superblock before these nodes are on the device.
        let durable = self.commit.lock();
        self.check_writable()?;
        if !above() {
            return Ok(0);
        }
        let count_max = GATE_BATCH_BYTES / self.space.node_slot_bytes();
        let count_max = usize::try_from(count_max).expect("a batch is small");
        let unwinding = GivesUp(self, "a commit panicked");
        let nodes = self.state.write().tree.begin_early_write(count_max);
        let written = self.write_out(&nodes, &durable);
        mem::forget(unwinding);
        let bytes = written?;
        count(&self.counters.node_writes_early, nodes.len() as u64);
        Ok(bytes)
    }

    /// What does not come to its end, by an error or by a panic, makes the volume read-only: its nodes count as
    /// written already, and the next superblock would point to them.
    fn commit_locked(&self, durable: &mut MutexGuard<'_, Generation>) -> Result<()> {
        let unwinding = GivesUp(self, "a commit panicked");
        let committed = self.commit_once(durable);
        mem::forget(unwinding);
        committed.inspect_err(|error| self.fail(error))
    }

    fn commit_once(&self, durable: &mut MutexGuard<'_, Generation>) -> Result<()> {
        let (snapshot, file_next, mark, claim) = {
            let mut state = self.state.write();
            // A change that failed half-way said so under this lock, perhaps while it was waited for here.
            self.check_writable()?;
            // Both under one hold of the lock: a record belongs to the generation of its change.
            let (mark, claim) = self.log.begin_commit();
            (state.tree.begin_commit(), state.file_next, mark, claim)
        };
        let Snapshot {
            generation,
            root,
            root_level,
            nodes,
        } = snapshot;
        let superblock = Superblock {
            generation,
            root,
            root_level,
            file_next,
            log: LogRegion {
                tail: claim.tail,
                ..self.identity.log
            },
            held: claim.held,
            held_through: claim.held_through,
            replayed: claim.replayed,
            ..self.identity.clone()
        };
        let at = superblock::slot_of(generation);
        if mutation::on(Mutation::SuperblockFirst) {
            superblock::write_at(self.backend.as_ref(), &superblock, at)?;
        }
        if mutation::on(Mutation::UnpinEarly) {
            self.space.unpin_through(generation);
        }
        self.write_out(&nodes, durable)?;
        if !mutation::on(Mutation::FlushSkipped) {
            self.barrier.flush()?;
        }
        self.barrier
            .forced(|| superblock::write_at(self.backend.as_ref(), &superblock, at))?;
        **durable = generation;
        count(&self.counters.commits, 1);
        self.log.end_commit(mark);
        self.space.unpin_through(generation);
        Ok(())
    }

    /// Writes nodes that count as written already, and lets go of them.
    fn write_out(&self, nodes: &[Arc<Node>], _held: &MutexGuard<'_, Generation>) -> Result<u64> {
        let shape = NodeShape::of(&self.identity);
        let workers = self.workers.get().map(AsRef::as_ref);
        let bytes = write_nodes(&self.backend, shape, nodes, workers)
            .inspect_err(|error| self.fail(error))?;
        count(&self.counters.node_writes, nodes.len() as u64);
        self.state.write().tree.end_commit(nodes);
        Ok(bytes)
    }
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
