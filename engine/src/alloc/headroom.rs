//! How many nodes' worth of space stays out of reach of promises. Pure arithmetic.
//!
//! A change of the tree copies nodes before it frees them, and may cut full ones in two. While `pages`
//! of data are promised and not yet in a tree of `n` nodes, what may still be needed is
//!
//! ```text
//!   growth = min(n, 4 per page but the last) + their share   nodes that were full and are cut, and nodes
//!                                                            for new items, before the last change
//!   copies                                                   what that change can copy, at most all nodes
//!   new                                                      nodes it can add
//!   loose                                                    see `Reserve::Most`
//! ```
//!
//! `copies` need be there once only: a commit brings the copied nodes back. `growth` does not come back,
//! which is why it is counted for every promise. An earlier rule, a fixed part of the device, was both
//! too much for most volumes (a sixteenth of them) and too little for a small one full of small
//! extents, whose tree can double under random overwrites.
//!
//! So at rest, nothing promised and nothing pinned, a volume refuses a page only when at most
//! `nodes_left_max` nodes' worth of its bytes is free: n + 26 for trees to 100 nodes, below 150 for
//! trees to 10,000, below 210 for trees to a million.
//!
//! Not here: who asks (space).

use crate::units::SECTOR_BYTES;

/// Pages of data are promised with nodes for their items: one byte for this many.
pub(super) const SHARE_DIVISOR: u64 = 8;
/// Nodes that one page can cut in two: under its mapping, the rest of the mapping it lands in, its
/// stored extent, and one above them.
const CUTS_PER_PAGE: u64 = 4;
/// Items a change touches besides those of the pages it finishes.
const ITEMS_MIN: u64 = 6;
/// Most pages of one extent: 4 MiB.
const PAGES_PER_EXTENT_MAX: u64 = 1024;
/// Children of an inner node that is not at the edge, at least.
const CHILDREN_MIN: u64 = 5;

/// Levels a tree of so many nodes may have.
fn levels_max(nodes: u64) -> u64 {
    2 + u64::from(nodes.max(1).ilog(CHILDREN_MIN))
}

/// Nodes kept for a tree of `tree_nodes` while `pages` are promised.
pub(super) fn nodes_kept(tree_nodes: u64, pages: u64, slot_bytes: u64) -> u64 {
    let earlier_pages = pages.saturating_sub(1);
    let share_nodes = (earlier_pages * (SECTOR_BYTES / SHARE_DIVISOR)).div_ceil(slot_bytes);
    let growth = tree_nodes.min(CUTS_PER_PAGE * earlier_pages) + share_nodes;
    let nodes = tree_nodes + growth;
    let new = 2 * 3 + levels_max(nodes) + 2;
    growth + copies_max(nodes, pages) + new + loose_nodes(tree_nodes)
}

/// Nodes kept from changes which mostly shrink the tree, so that one that only shrinks it has room
/// after them. While data is promised they leave alone what that may need.
pub(super) fn nodes_kept_for_removals(tree_nodes: u64, pages: u64, slot_bytes: u64) -> u64 {
    if pages > 0 {
        return nodes_kept(tree_nodes, pages, slot_bytes) - loose_nodes(tree_nodes);
    }
    copies_max(tree_nodes, 0) + loose_nodes(tree_nodes)
}

/// The most nodes of `nodes` that a change copies which finishes an extent of up to `pages`.
fn copies_max(nodes: u64, pages: u64) -> u64 {
    let levels = levels_max(nodes);
    // As the tree counts: a leaf and a sibling for each item, and what is above them.
    let items = ITEMS_MIN + (4 * pages.min(PAGES_PER_EXTENT_MAX)).div_ceil(3);
    let inner = (nodes / CHILDREN_MIN + levels).min(2 * items * (levels - 1));
    nodes.min(2 * items + inner)
}

/// Nodes for one new item.
fn loose_nodes(tree_nodes: u64) -> u64 {
    2 + levels_max(tree_nodes) + 2
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
        // A root: copied, and cut, with a new root above; and a little for names.
        assert_eq!(nodes_kept(1, 0, 16384), 1 + 10 + 6);
        // A page: eight items, each with a leaf, a sibling and what is above.
        assert_eq!(nodes_kept(100, 1, 16384), 16 + 24 + 12 + 8);
        // Many pages: the tree may double, and all of it may be copied.
        assert_eq!(nodes_kept(100, 1024, 16384), 132 + 232 + 13 + 8);
    }

    #[test]
    fn the_bound_is_the_one_in_the_header() {
        for slot_bytes in [4096, 16384, 65536] {
            for tree_nodes in [1, 10, 100, 1000, 10_000, 1_000_000] {
                let left = nodes_left_max(tree_nodes, slot_bytes);
                assert!(left <= tree_nodes + 26, "{tree_nodes}: {left}");
                assert!(tree_nodes > 10_000 || left < 150, "{tree_nodes}: {left}");
                assert!(left < 210, "{tree_nodes}: {left}");
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
