//! How many nodes' worth of space a replay of the log would want that is not free now. Pure arithmetic.
//!
//! A change of the tree asks for the most nodes it may copy and gives most of them back, at once or with a
//! commit. Whoever opens the volume after a crash makes the changes since the last commit again, on the tree of
//! before, and cannot commit in between: each of them asks for as much as it did, while the nodes of those before
//! it are in use. Later promises of data must not have taken that room, though the tree is small again by now.
//!
//! ```text
//!   used   nodes that changes since the last durable commit have allocated and not given back: free at a replay
//!   most   the most that were used and asked for at one time since then
//!   a replay finds free + used, and wants most:    free >= most - used
//! ```
//!
//! A commit under way has closed its generation and is not durable: until it is, a replay begins before it, and
//! behind that with the changes of the running generation alone. So both are counted.
//!
//! A replay makes the changes in the order of their records. The record of an express lane is in the log before its
//! change is made, and changes that come in between meet, at a replay, the nodes of that one too. So what lanes may
//! ask for counts with each that asks meanwhile; it is there, kept for the promises of their data. A commit ends
//! that: behind it their records stand where their changes do.
//!
//! A node that was written early and is copied again counts as used until the commit: its slot is not free now,
//! and would be then.
//!
//! Not here: who takes the room (space).

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ReplayRoom {
    /// Of generations that are closed and not durable.
    used_closed: u64,
    /// Of the running generation.
    used: u64,
    most: u64,
    /// As `most`, of the running generation alone.
    most_running: u64,
    /// What lanes of the running generation may ask for.
    lanes: u64,
    generation: LaneGeneration,
}

/// Tells the lanes of before a commit from those behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LaneGeneration(u64);

impl ReplayRoom {
    /// A change asks for `nodes`.
    pub(super) fn asked(&mut self, nodes: u64) {
        let nodes = nodes + self.lanes;
        self.most = self.most.max(self.used_closed + self.used + nodes);
        self.most_running = self.most_running.max(self.used + nodes);
    }

    /// A lane begins that may ask for `nodes`.
    pub(super) fn lane_begins(&mut self, nodes: u64) -> LaneGeneration {
        self.lanes += nodes;
        self.generation
    }

    /// It has asked, or never will.
    pub(super) fn lane_ends(&mut self, nodes: u64, begun: LaneGeneration) {
        if begun == self.generation {
            self.lanes -= nodes;
        }
    }

    /// It has allocated one.
    pub(super) fn allocated(&mut self) {
        self.used += 1;
    }

    /// A node of the running generation was given back.
    pub(super) fn gave_back(&mut self) {
        self.used -= 1;
    }

    /// The running generation ends, and the next begins.
    pub(super) fn closed(&mut self) {
        self.used_closed += self.used;
        self.used = 0;
        self.most_running = 0;
        self.lanes = 0;
        self.generation.0 += 1;
    }

    /// What was closed is durable.
    pub(super) fn durable(&mut self) {
        self.used_closed = 0;
        self.most = self.most_running;
    }

    /// Of those, nodes that no commit which runs now lets go of.
    pub(super) fn nodes_running(&self) -> u64 {
        self.most_running - self.used
    }

    /// Nodes' worth of space that has to stay free.
    pub(super) fn nodes(&self) -> u64 {
        self.most - self.used_closed - self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change that asks for so many nodes, and keeps so many.
    fn change(room: &mut ReplayRoom, asks: u64, keeps: u64) {
        room.asked(asks);
        for _ in 0..asks {
            room.allocated();
        }
        for _ in keeps..asks {
            room.gave_back();
        }
    }

    #[test]
    fn what_a_change_gave_back_is_wanted_again_until_a_commit() {
        let mut room = ReplayRoom::default();
        change(&mut room, 50, 3);
        assert_eq!(room.nodes(), 47);
        change(&mut room, 10, 10);
        assert_eq!(room.nodes(), 37, "these are free at a replay");
        room.closed();
        assert_eq!(room.nodes(), 37, "it is not durable yet");
        room.durable();
        assert_eq!(room.nodes(), 0);
    }

    #[test]
    fn a_lane_counts_with_who_asks_before_it_and_not_behind_a_commit() {
        let mut room = ReplayRoom::default();
        let begun = room.lane_begins(20);
        change(&mut room, 10, 10);
        assert_eq!(room.nodes(), 20);
        room.closed();
        room.durable();
        change(&mut room, 10, 10);
        assert_eq!(room.nodes(), 0);
        room.lane_ends(20, begun);
        let begun = room.lane_begins(5);
        room.lane_ends(5, begun);
        change(&mut room, 20, 20);
        assert_eq!(room.nodes(), 0);
    }

    #[test]
    fn behind_a_commit_the_changes_beside_it_count() {
        let mut room = ReplayRoom::default();
        change(&mut room, 50, 20);
        room.closed();
        change(&mut room, 40, 5);
        assert_eq!(room.nodes(), 60 - 25, "20 of before and 40 more");
        room.durable();
        assert_eq!(room.nodes(), 35);
    }
}
