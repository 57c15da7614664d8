//! Two superblocks, written in turn; the newest whole one is the volume.
//!
//! A generation goes to slot `generation % 2`, so the one before it stays readable until the write is
//! complete. A torn or foreign slot is ignored as long as the other one is whole.
//!
//! Not here: the bytes (format), what must be on the device before (commit).

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability, Signature};

use super::format::{self, SUPERBLOCK_AT, SUPERBLOCK_BYTES, Superblock};
use crate::error::{EngineError, Result};
use crate::mutation::{self, Mutation};
use crate::units::{DiskOffset, Generation};

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SlotContent {
    /// A superblock of this version.
    Whole(Superblock),
    /// Other bytes, and what is wrong with them.
    Unusable {
        /// In words.
        reason: String,
    },
}

/// What marks a device as holding a volume: the start of each slot.
pub fn signatures() -> [Signature; 2] {
    SUPERBLOCK_AT.map(|at| Signature {
        offset: at.0,
        magic: &format::SUPERBLOCK_MAGIC,
    })
}

/// Where `generation` has its superblock.
pub(crate) fn slot_of(generation: Generation) -> DiskOffset {
    let odd = !generation.0.is_multiple_of(2) && !mutation::on(Mutation::SuperblockSameSlot);
    SUPERBLOCK_AT[usize::from(odd)]
}

/// Both slots as they are on the device.
pub(crate) fn read_slots(backend: &dyn Backend) -> Result<[SlotContent; 2]> {
    let capacity_bytes = backend.geometry().capacity_bytes;
    if capacity_bytes < format::AREA_START.0 {
        return Err(EngineError::NotAVolume(format!(
            "the device has {capacity_bytes} bytes, a volume has more"
        )));
    }
    let read = |at: DiskOffset| -> Result<SlotContent> {
        let bytes = backend.read_blocking(at.0, SUPERBLOCK_BYTES)?;
        Ok(match format::decode_superblock(&bytes, at) {
            Ok(superblock) => SlotContent::Whole(superblock),
            Err(malformed) => SlotContent::Unusable {
                reason: format!(
                    "{}: expected {}, found {}",
                    malformed.what, malformed.expected, malformed.found
                ),
            },
        })
    };
    Ok([read(SUPERBLOCK_AT[0])?, read(SUPERBLOCK_AT[1])?])
}

/// The newest whole superblock.
pub(crate) fn newest(slots: &[SlotContent; 2]) -> Option<&Superblock> {
    slots
        .iter()
        .filter_map(|slot| match slot {
            SlotContent::Whole(superblock) => Some(superblock),
            SlotContent::Unusable { .. } => None,
        })
        .max_by_key(
            |superblock| match mutation::on(Mutation::SuperblockOldest) {
                true => u64::MAX - superblock.generation.0,
                false => superblock.generation.0,
            },
        )
}

/// The superblock to open with; `NotAVolume` where there is none or the device is too small for it.
pub(crate) fn choose(backend: &dyn Backend) -> Result<Superblock> {
    let slots = read_slots(backend)?;
    let Some(superblock) = newest(&slots) else {
        let reasons = slots.map(|slot| match slot {
            SlotContent::Unusable { reason } => reason,
            SlotContent::Whole(_) => String::new(),
        });
        return Err(EngineError::NotAVolume(reasons.join("; ")));
    };
    let device_bytes = backend.geometry().capacity_bytes;
    if device_bytes < superblock.capacity_bytes {
        return Err(EngineError::NotAVolume(format!(
            "the volume has {} bytes, the device only {device_bytes}",
            superblock.capacity_bytes
        )));
    }
    Ok(superblock.clone())
}

/// Writes a superblock to `at` so that it is durable when this returns.
pub(crate) fn write_at(
    backend: &dyn Backend,
    superblock: &Superblock,
    at: DiskOffset,
) -> Result<()> {
    let bytes = format::encode_superblock(superblock, at);
    let durability = match mutation::on(Mutation::SuperblockCached) {
        true => Durability::Cached,
        false => Durability::Fua,
    };
    backend.write_blocking(at.0, AlignedBuf::copy_of(&bytes), durability)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use delalloc_backends::MemBackend;

    use super::*;
    use crate::log::{DataNumber, HeldSet};
    use crate::meta::format::{LogRegion, LogTail, NodePointer};
    use crate::units::DiskExtent;

    fn superblock(generation: u64) -> Superblock {
        Superblock {
            node_bytes: 4096,
            uuid: [7; 16],
            capacity_bytes: 1 << 20,
            generation: Generation(generation),
            root: NodePointer {
                address: format::AREA_START,
                generation: Generation(generation),
            },
            root_level: 0,
            file_next: 5,
            label: "bench".to_owned(),
            log: LogRegion {
                extent: DiskExtent {
                    start: format::AREA_START,
                    bytes: 8192,
                },
                tail: LogTail {
                    offset: 4096,
                    sequence: 9,
                },
            },
            replayed: true,
            held: HeldSet {
                first: DataNumber(3),
                bits: Box::new([0x5A; HeldSet::BYTES]),
            },
            held_through: 12,
        }
    }

    #[test]
    fn the_newest_whole_one_wins_and_a_torn_one_does_not_count() {
        let backend = MemBackend::new(1 << 20);
        assert!(matches!(choose(&backend), Err(EngineError::NotAVolume(_))));
        for generation in [4, 5] {
            let superblock = superblock(generation);
            write_at(&backend, &superblock, slot_of(Generation(generation))).expect("memory");
        }
        assert_eq!(choose(&backend).expect("a volume"), superblock(5));
        let slot = usize::try_from(slot_of(Generation(5)).0).expect("small");
        for at in (0..SUPERBLOCK_BYTES).step_by(37) {
            let mut image = backend.image();
            image[slot + at] ^= 1;
            let torn = MemBackend::from_image(&image, 4096);
            assert_eq!(choose(&torn).expect("a volume"), superblock(4), "byte {at}");
        }
    }

    #[test]
    fn a_superblock_in_the_wrong_place_is_refused() {
        let backend = MemBackend::new(1 << 20);
        let bytes = format::encode_superblock(&superblock(4), SUPERBLOCK_AT[1]);
        backend
            .write_blocking(
                SUPERBLOCK_AT[0].0,
                AlignedBuf::copy_of(&bytes),
                Durability::Fua,
            )
            .expect("memory");
        assert!(choose(&backend).is_err());
    }
}
