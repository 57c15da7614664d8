//! What a volume stands on: a metered device and threads, or a held device and steps.
//!
//! The first takes the time it takes. The second lives in the time of a virtual clock, on the thread of
//! whoever calls, and everything in it follows from a seed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use delalloc_backends::{
    Backend, BackendError, Clock, HeldBackend, MeterBackend, MeterSnapshot, OsClock, VirtualClock,
};
use delalloc_engine::{EngineConfig, EngineError, Volume};

/// A device, and how a volume on it runs.
#[derive(Debug, Clone)]
pub enum Stand {
    /// On threads, in real time.
    Threads(Arc<MeterBackend>),
    /// In steps, in the time of the device's clock.
    Steps {
        /// The device.
        device: Arc<HeldBackend>,
        /// Decides which step is next.
        seed: u64,
    },
}

impl Stand {
    /// Threads and real time.
    pub fn threads(backend: Arc<dyn Backend>) -> Self {
        let clock = Arc::new(OsClock::new());
        Self::Threads(Arc::new(MeterBackend::new(backend, clock)))
    }

    /// Opens the volume on it, and says what its time is, where that is its own.
    pub(super) fn open(
        &self,
        config: EngineConfig,
    ) -> Result<(Volume, Option<Arc<dyn Clock>>), EngineError> {
        match self {
            Self::Threads(_) => {
                let clock = Arc::new(OsClock::new());
                Ok((Volume::open(self.device(), clock, config)?, None))
            }
            Self::Steps { device, seed } => {
                let (volume, stepper) = Volume::open_stepped(Arc::clone(device), config, *seed)?;
                Ok((volume, Some(Arc::new(stepper))))
            }
        }
    }

    /// The device, for callers that wait for its answers: formatting, checking, a file without a volume.
    pub(super) fn device(&self) -> Arc<dyn Backend> {
        match self {
            Self::Threads(device) => Arc::<MeterBackend>::clone(device),
            Self::Steps { device, .. } => device.at_once(),
        }
    }

    /// The device's own clock, where it has one.
    pub(super) fn clock(&self) -> Option<Arc<dyn Clock>> {
        match self {
            Self::Threads(_) => None,
            Self::Steps { device, .. } => Some(Arc::<VirtualClock>::clone(device.clock())),
        }
    }

    /// What the identity of a volume on it is made of: drawn by the system, so that nodes and batches of an earlier
    /// volume, or such that somebody wrote into a file, are never taken for its own; in steps it follows from the seed.
    pub(super) fn identity(&self) -> u64 {
        match self {
            Self::Threads(_) => RandomState::new().build_hasher().finish(),
            Self::Steps { seed, .. } => *seed,
        }
    }

    /// What the device was asked so far.
    pub(super) fn snapshot(&self) -> MeterSnapshot {
        match self {
            Self::Threads(device) => device.snapshot(),
            Self::Steps { device, .. } => device.snapshot(),
        }
    }

    pub(super) fn close(&self) -> Result<(), BackendError> {
        match self {
            Self::Threads(device) => device.close(),
            Self::Steps { device, .. } => device.close(),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Threads(device) => device.describe(),
            Self::Steps { device, .. } => {
                format!("{}, in virtual time", device.at_once().describe())
            }
        }
    }
}
