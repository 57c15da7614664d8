//! Every node of a tree on the device, in key order, with what is wrong with it.
//!
//! Used when a volume opens and when an image is checked. The children of a node are read many at a
//! time: a tree is thousands of small reads far apart, and a queue makes them quick.
//!
//! Not here: what the items say (open, check).

use std::sync::Arc;

use delalloc_backends::Backend;

use super::read_many::read_many;
use crate::error::Result;
use crate::meta::format::{Key, NodePointer};
use crate::meta::node::Node;
use crate::meta::node_store::NodeShape;

/// Nodes asked for at once.
const READS_IN_FLIGHT: usize = 64;

/// A place in a tree, and what was found there.
#[derive(Debug)]
pub(crate) struct Visit<'w> {
    pub(crate) pointer: NodePointer,
    /// Keys of this node are at least this ...
    pub(crate) lowest: Key,
    /// ... and below this, unless it is the last one.
    pub(crate) below: Option<Key>,
    pub(crate) node: &'w Result<Arc<Node>>,
}

impl Visit<'_> {
    /// Are the keys of this node where its parent says? The error names those it has. Keys ascend
    /// inside a node already, so its ends tell.
    pub(crate) fn check_range(&self, node: &Node) -> std::result::Result<(), String> {
        if node.items() == 0 {
            return Ok(());
        }
        let (first, last) = (node.key(0), node.key(node.items() - 1));
        let starts_right = if node.level() > 0 {
            first == self.lowest
        } else {
            first >= self.lowest
        };
        if starts_right && self.below.is_none_or(|below| last < below) {
            return Ok(());
        }
        Err(format!("{first:?} to {last:?}"))
    }

    /// The range the parent gives, in words.
    pub(crate) fn range(&self) -> String {
        format!("{:?} to {:?}", self.lowest, self.below)
    }
}

/// Where the walk goes after a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onward {
    /// To the children, if the node could be read.
    Children,
    /// Past them.
    Past,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    pointer: NodePointer,
    lowest: Key,
    below: Option<Key>,
}

/// Shows every place of the tree to `visit`, parents before children; its error ends the walk.
pub(crate) fn walk(
    backend: &dyn Backend,
    shape: NodeShape,
    root: NodePointer,
    level: u8,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<Onward>,
) -> Result<()> {
    let place = Place {
        pointer: root,
        lowest: Key::LOWEST,
        below: None,
    };
    walk_places(backend, shape, &[place], level, true, visit)
}

fn walk_places(
    backend: &dyn Backend,
    shape: NodeShape,
    places: &[Place],
    level: u8,
    root: bool,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<Onward>,
) -> Result<()> {
    for batch in places.chunks(READS_IN_FLIGHT) {
        let nodes = read_nodes(backend, shape, batch, level, root);
        for (place, node) in batch.iter().zip(nodes) {
            let onward = visit(Visit {
                pointer: place.pointer,
                lowest: place.lowest,
                below: place.below,
                node: &node,
            })?;
            if onward == Onward::Children
                && level > 0
                && let Ok(node) = node
            {
                let children = children_of(&node, place.below);
                walk_places(backend, shape, &children, level - 1, false, visit)?;
            }
        }
    }
    Ok(())
}

fn children_of(node: &Node, below: Option<Key>) -> Vec<Place> {
    (0..node.items())
        .map(|at| Place {
            pointer: node.child(at),
            lowest: node.key(at),
            below: if at + 1 < node.items() {
                Some(node.key(at + 1))
            } else {
                below
            },
        })
        .collect()
}

fn read_nodes(
    backend: &dyn Backend,
    shape: NodeShape,
    places: &[Place],
    level: u8,
    root: bool,
) -> Vec<Result<Arc<Node>>> {
    let wanted: Vec<(u64, usize)> = places
        .iter()
        .filter(|place| shape.check_pointer(place.pointer).is_ok())
        .map(|place| (place.pointer.address.0, shape.slot_len()))
        .collect();
    let mut found = read_many(backend, &wanted).into_iter();
    places
        .iter()
        .map(|place| {
            shape.check_pointer(place.pointer)?;
            let bytes = found.next().expect("an answer for each valid pointer")?;
            let node = shape.check(&bytes, place.pointer, level, root)?;
            Ok(Arc::new(node))
        })
        .collect()
}
