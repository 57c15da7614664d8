//! The two superblocks against each other.
//!
//! The newest whole one is the volume. The other one is what a crash in the next commit goes back to,
//! so it has to be of the same volume, and each has to lie where its generation puts it: a commit
//! writes over the other slot, never over the newest.
//!
//! Not here: reading one (meta).

use delalloc_backends::Backend;

use super::issue::Issue;
use crate::error::Result;
use crate::meta::format::{SUPERBLOCK_AT, Superblock};
use crate::meta::superblock::{self, SlotContent};
use crate::units::{DiskOffset, Generation};

/// The generation format writes, to both slots.
const FIRST: Generation = Generation(1);

/// The superblock a volume opens with; what is wrong with the two goes to `add`.
pub(super) fn usable(backend: &dyn Backend, add: &mut dyn FnMut(Issue)) -> Result<Superblock> {
    let chosen = superblock::choose(backend)?;
    for (slot, at) in superblock::read_slots(backend)?
        .into_iter()
        .zip(SUPERBLOCK_AT)
    {
        match slot {
            SlotContent::Unusable { reason } => add(Issue::SuperblockUnusable { at, reason }),
            SlotContent::Whole(found) => compare(&chosen, &found, at, add),
        }
    }
    Ok(chosen)
}

fn compare(chosen: &Superblock, found: &Superblock, at: DiskOffset, add: &mut dyn FnMut(Issue)) {
    if let Some(what) = difference(chosen, found) {
        add(Issue::SuperblocksDiffer { at, what });
    }
    if found.generation != FIRST && superblock::slot_of(found.generation) != at {
        add(Issue::SuperblockMisplaced {
            at,
            generation: found.generation,
        });
    } else if found.generation.0 + 1 < chosen.generation.0 {
        add(Issue::SuperblockStale {
            at,
            found: found.generation,
            newest: chosen.generation,
        });
    }
}

/// What never changes from commit to commit, and does here.
fn difference(one: &Superblock, other: &Superblock) -> Option<&'static str> {
    let same = [
        ("uuid", one.uuid == other.uuid),
        ("node size", one.node_bytes == other.node_bytes),
        ("capacity", one.capacity_bytes == other.capacity_bytes),
        ("label", one.label == other.label),
        ("log", one.log.extent == other.log.extent),
    ];
    let (what, _) = same.into_iter().find(|(_, same)| !same)?;
    Some(what)
}
