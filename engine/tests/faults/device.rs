//! A device with a volume, a wrapper that fails, and the parts of it that a fault can be kept to.

use std::ops::Range;
use std::sync::Arc;

use delalloc_backends::{Backend, FaultBackend, FaultHandle, FaultOn, MemBackend, OsClock};
use delalloc_engine::{EngineConfig, FormatOptions, Result, Volume};

/// Bytes of the devices here.
pub(crate) const DEVICE_BYTES: u64 = 16 << 20;
/// Where superblocks end and tree nodes, stored extents and the log begin.
const AREA_START: u64 = 256 << 10;
/// Both superblocks.
const SUPERBLOCKS: [usize; 2] = [64 << 10, 128 << 10];

/// Memory with an empty volume of small nodes: deep trees, many requests.
pub(crate) fn formatted() -> Arc<MemBackend> {
    let memory = Arc::new(MemBackend::new(DEVICE_BYTES));
    let options = FormatOptions {
        node_bytes: 4096,
        ..FormatOptions::default()
    };
    let backend: Arc<dyn Backend> = Arc::<MemBackend>::clone(&memory);
    Volume::format(&backend, &options).expect("an empty device can be formatted");
    memory
}

/// `memory` behind a wrapper, and what arms it.
pub(crate) fn faulty(memory: &Arc<MemBackend>) -> (Arc<dyn Backend>, FaultHandle) {
    let faulty = FaultBackend::new(Arc::<MemBackend>::clone(memory) as Arc<dyn Backend>);
    let handle = faulty.handle();
    (Arc::new(faulty), handle)
}

/// Opens the volume on `backend`, or says why not.
pub(crate) fn try_open(backend: &Arc<dyn Backend>, config: &EngineConfig) -> Result<Volume> {
    let clock = Arc::new(OsClock::new());
    Volume::open(Arc::clone(backend), clock, config.clone())
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    Everywhere,
    Superblocks,
    Area,
    Log,
}

impl Region {
    pub(crate) const ALL: [Self; 4] = [Self::Everywhere, Self::Superblocks, Self::Area, Self::Log];

    /// Its bytes; `None` is all. An empty range where the volume has no such region.
    pub(crate) fn bytes(self, memory: &MemBackend) -> Option<Range<u64>> {
        match self {
            Self::Everywhere => None,
            Self::Superblocks => Some(0..AREA_START),
            Self::Area => Some(AREA_START..DEVICE_BYTES),
            Self::Log => Some(log_region(memory)),
        }
    }
}

/// The log's bytes, as a superblock gives them (docs/format.md); a volume without one says zeros.
pub(crate) fn log_region(memory: &MemBackend) -> Range<u64> {
    let image = memory.image();
    let field = |at: usize| {
        let bytes = image[at..at + 8].try_into().expect("8 bytes");
        u64::from_le_bytes(bytes)
    };
    let slot = SUPERBLOCKS
        .into_iter()
        .find(|&at| image[at..].starts_with(b"DELALLOC"))
        .expect("a formatted volume has a superblock");
    let (start, bytes) = (field(slot + 120), field(slot + 128));
    start..start + bytes
}

/// Can a rule on these requests strike in this region at all?
pub(crate) fn strikes(on: FaultOn, region: &Option<Range<u64>>) -> bool {
    match region {
        None => true,
        Some(bytes) => !bytes.is_empty() && on != FaultOn::Flush,
    }
}
