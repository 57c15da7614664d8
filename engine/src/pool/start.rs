//! From the knobs to a pool that runs.

use std::sync::Arc;

use delalloc_backends::Clock;

use super::active::Active;
use super::config::{PoolConfig, PoolKind};
use super::face::Pool;
use super::seed::Seed;
use super::shared::Shared;
use super::threads::Threads;

/// Starts a pool.
///
/// # Panics
/// On knobs that [`PoolConfig::validate`] refuses, and where the system has no thread for the first
/// worker.
pub fn start(config: PoolConfig, clock: Arc<dyn Clock>) -> Arc<dyn Pool> {
    if let Err(fault) = config.validate() {
        panic!("{fault}");
    }
    let limit = config.threads_max;
    let opened = if config.start_all { limit } else { 1 };
    let active = match config.kind {
        PoolKind::Seed2008 => {
            let seed = Seed::new(&config, opened);
            return Arc::new(Threads::start(config, clock, seed, opened));
        }
        PoolKind::Plain => Active::all(limit),
        PoolKind::Threshold2014 => match config.idle_thresh {
            0 => Active::following(limit, PoolKind::THRESHOLD_MIN),
            1..PoolKind::THRESHOLD_MIN => Active::all(limit),
            thresh => Active::following(limit, thresh),
        },
    };
    let shared = Shared::new(active, limit, opened);
    Arc::new(Threads::start(config, clock, shared, opened))
}
