//! Every node of a tree on the device, in key order, with what is wrong with it.
//!
//! Used when a volume opens and when an image is checked. The children of a node are read many at a
//! time: a tree is thousands of small reads far apart, and a queue makes them quick.
//!
//! Not here: what the items say (open, check).

use std::sync::Arc;
use std::sync::mpsc;

use delalloc_backends::{AlignedBuf, Request};

use crate::error::{EngineError, Result};
use crate::meta::format::{self, Key, NodePointer};
use crate::meta::node::Node;
use crate::meta::node_store::NodeReader;

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
    reader: &NodeReader,
    root: NodePointer,
    level: u8,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<Onward>,
) -> Result<()> {
    let place = Place {
        pointer: root,
        lowest: Key::LOWEST,
        below: None,
    };
    walk_places(reader, &[place], level, true, visit)
}

fn walk_places(
    reader: &NodeReader,
    places: &[Place],
    level: u8,
    root: bool,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<Onward>,
) -> Result<()> {
    for batch in places.chunks(READS_IN_FLIGHT) {
        let nodes = read_nodes(reader, batch, level, root);
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
                walk_places(reader, &children, level - 1, false, visit)?;
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
    reader: &NodeReader,
    places: &[Place],
    level: u8,
    root: bool,
) -> Vec<Result<Arc<Node>>> {
    let slot_bytes = format::node_slot_bytes(reader.node_bytes) as usize;
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<Result<Arc<Node>>> = Vec::with_capacity(places.len());
    let mut batch = Vec::with_capacity(places.len());
    for (at, place) in places.iter().enumerate() {
        let unread = "the device gave no answer";
        results.push(Err(EngineError::Invalid(unread.to_owned())));
        if let Err(error) = reader.check_pointer(place.pointer) {
            results[at] = Err(error);
            continue;
        }
        let sender = sender.clone();
        let request = Request::Read {
            offset: place.pointer.address.0,
            buf: AlignedBuf::zeroed(slot_bytes),
        };
        let done: delalloc_backends::Done = Box::new(move |completion| {
            // The receiver waits until the last sender is gone.
            let _ = sender.send((at, completion));
        });
        batch.push((request, done));
    }
    drop(sender);
    reader.backend.submit_batch(batch);
    for (at, completion) in receiver {
        let pointer = places[at].pointer;
        results[at] = match (completion.result, completion.buf) {
            (Ok(()), Some(bytes)) => reader.check(&bytes, pointer, level, root).map(Arc::new),
            (Ok(()), None) => panic!("a read gives its buffer back"),
            (Err(error), _) => Err(error.into()),
        };
    }
    results
}
