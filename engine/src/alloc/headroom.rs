//! How many nodes' worth of space stays out of reach of promises. Pure arithmetic.
//!
//! A change of the tree copies nodes before it frees them, and may cut full ones in two. While `pages`
//! of data are promised and not yet in a tree of `n` nodes, what may still be needed is
//!
//! ```text
//!   growth = min(n, 4 per page) + the share of the pages     nodes that were full and are cut, and
//!                                                            nodes for the new items themselves
//!   copies = min(n + growth, 128 + 16 per page)              what one change can copy at most
//!   loose  = 10                                              see `Reserve::Most`
//!   new    = 14                                              nodes one change can add beside that
//! ```
//!
//! `copies` need be there once only: a commit brings the copied nodes back. `growth` does not come back,
//! which is why it is counted for every promise. An earlier rule, a fixed part of the device, was both
//! too much for most volumes (a sixteenth of them) and too little for a small one full of small
//! extents, whose tree can double under random overwrites.
//!
//! So at rest, nothing promised and nothing pinned, a volume refuses a page when at most
//! `nodes_left_max` nodes' worth of its bytes is free: `n + 36` nodes, and never more than 176.
//!
//! Not here: who asks (space).

use crate::units::SECTOR_BYTES;

/// Pages of data are promised with nodes for their items: one byte for this many.
pub(super) const SHARE_DIVISOR: u64 = 8;
/// Nodes that one page can cut in two: under its mapping, the rest of the mapping it lands in, its
/// stored extent, and one above them.
const CUTS_PER_PAGE: u64 = 4;
/// Copies allowed for whatever the change is ...
const COPIES_MIN: u64 = 128;
/// ... and for each page of the extent it finishes, on a tree of seven levels.
const COPIES_PER_PAGE: u64 = 16;
/// Most pages of one extent: 4 MiB.
const PAGES_PER_EXTENT_MAX: u64 = 1024;
/// Nodes a change adds for three new items on six levels.
const NEW_NODES: u64 = 14;
/// Nodes that changes which mostly shrink the tree may use for good: one new item on six levels.
pub(super) const LOOSE_NODES: u64 = 10;

/// Nodes kept for a tree of `tree_nodes` while `pages` are promised.
pub(super) fn nodes_kept(tree_nodes: u64, pages: u64, slot_bytes: u64) -> u64 {
    let share_nodes = (pages * (SECTOR_BYTES / SHARE_DIVISOR)).div_ceil(slot_bytes);
    let growth = tree_nodes.min(CUTS_PER_PAGE * pages) + share_nodes;
    let copies_max = COPIES_MIN + COPIES_PER_PAGE * pages.min(PAGES_PER_EXTENT_MAX);
    growth + (tree_nodes + growth).min(copies_max) + NEW_NODES + LOOSE_NODES
}

/// The most nodes' worth of free bytes when a single page is refused at rest: what is kept for it, the
/// page with its share, and the odd sectors of one slot.
pub(super) fn nodes_left_max(tree_nodes: u64, slot_bytes: u64) -> u64 {
    let page_bytes = SECTOR_BYTES + SECTOR_BYTES / SHARE_DIVISOR;
    nodes_kept(tree_nodes, 1, slot_bytes) + page_bytes.div_ceil(slot_bytes) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_follows_the_tree_and_what_is_promised() {
        assert_eq!(nodes_kept(1, 0, 16384), 25);
        assert_eq!(nodes_kept(100, 0, 16384), 124);
        assert_eq!(nodes_kept(1_000_000, 0, 16384), 152);
        // A page: four cuts and a node for its share, all of which may be copied once more.
        assert_eq!(nodes_kept(100, 1, 16384), 134);
        // Many pages: the tree may double.
        assert_eq!(nodes_kept(100, 64, 16384), 100 + 2 + 202 + 24);
    }

    #[test]
    fn the_bound_is_the_one_in_the_header() {
        for slot_bytes in [4096, 16384, 65536] {
            for tree_nodes in [1, 10, 100, 1000, 1_000_000] {
                assert!(nodes_left_max(tree_nodes, slot_bytes) <= (tree_nodes + 36).min(176));
            }
        }
    }

    #[test]
    fn promising_more_never_keeps_less() {
        for tree_nodes in [1, 7, 300, 5000] {
            for pages in 0..3000 {
                let more = nodes_kept(tree_nodes, pages + 1, 4096);
                assert!(more >= nodes_kept(tree_nodes, pages, 4096));
            }
        }
    }
}
