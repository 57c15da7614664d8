//! Every node of a tree on the device, in key order, with what is wrong with it.
//!
//! Used when a volume opens and when an image is checked. The children of a node are read many at a
//! time: a tree is thousands of small reads far apart, and a queue makes them quick. No place is read
//! twice: a damaged node has room to name one child a thousand times.
//!
//! Not here: what the items say (open, check).

use std::collections::HashSet;
use std::sync::Arc;

use delalloc_backends::Backend;

use super::read_many::read_many;
use crate::error::{EngineError, Result};
use crate::meta::format::{Key, NodePointer};
use crate::meta::node::Node;
use crate::meta::node_store::NodeShape;
use crate::units::DiskOffset;

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
    pub(crate) found: &'w Found,
}

/// What is at a place.
#[derive(Debug)]
pub(crate) enum Found {
    /// The node that its parent points to.
    Node(Arc<Node>),
    /// What was looked at before, under another parent or the same one.
    Again,
    /// Nothing that can be read, or not that node.
    Unusable(EngineError),
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
    let mut walk = Walk {
        backend,
        shape,
        seen: HashSet::new(),
    };
    walk.places(&[place], level, true, visit)
}

struct Walk<'w> {
    backend: &'w dyn Backend,
    shape: NodeShape,
    /// Places that were read, or that cannot be.
    seen: HashSet<DiskOffset>,
}

impl Walk<'_> {
    fn places(
        &mut self,
        places: &[Place],
        level: u8,
        root: bool,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<Onward>,
    ) -> Result<()> {
        for batch in places.chunks(READS_IN_FLIGHT) {
            let found = self.read(batch, level, root);
            for (place, found) in batch.iter().zip(found) {
                let onward = visit(Visit {
                    pointer: place.pointer,
                    lowest: place.lowest,
                    below: place.below,
                    found: &found,
                })?;
                if onward == Onward::Children
                    && level > 0
                    && let Found::Node(node) = found
                {
                    let children = children_of(&node, place.below);
                    self.places(&children, level - 1, false, visit)?;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, places: &[Place], level: u8, root: bool) -> Vec<Found> {
        let refused: Vec<Option<Found>> = places
            .iter()
            .map(|place| self.refuse(place.pointer))
            .collect();
        let wanted: Vec<(u64, usize)> = places
            .iter()
            .zip(&refused)
            .filter(|(_, refused)| refused.is_none())
            .map(|(place, _)| (place.pointer.address.0, self.shape.slot_len()))
            .collect();
        let mut answers = read_many(self.backend, &wanted).into_iter();
        places
            .iter()
            .zip(refused)
            .map(|(place, refused)| {
                refused.unwrap_or_else(|| {
                    let bytes = answers.next().expect("an answer for each place");
                    let node = bytes
                        .and_then(|bytes| self.shape.check(&bytes, place.pointer, level, root));
                    match node {
                        Ok(node) => Found::Node(Arc::new(node)),
                        Err(error) => Found::Unusable(error),
                    }
                })
            })
            .collect()
    }

    /// What is known of a place without reading it; the next time it was seen.
    fn refuse(&mut self, pointer: NodePointer) -> Option<Found> {
        if !self.seen.insert(pointer.address) {
            return Some(Found::Again);
        }
        let checked = self.shape.check_pointer(pointer);
        checked.err().map(Found::Unusable)
    }
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
