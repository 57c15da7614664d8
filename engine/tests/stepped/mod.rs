//! What the tests of a stepped volume share: a device of their own per seed, and knobs so small that
//! every bound of the engine is met.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]

use std::sync::{Arc, LazyLock};

use delalloc_backends::{Backend, HeldBackend, MemBackend, VirtualClock};
use delalloc_engine::{EngineConfig, FormatOptions, Stepper, Volume};

use crate::support::{Dice, config};

/// Room for the files of a test several times over.
const DEVICE_BYTES: u64 = 8 << 20;

/// A device with an empty volume on it, whose writes tear at 512 bytes.
pub(crate) fn formatted() -> MemBackend {
    static TEMPLATE: LazyLock<MemBackend> = LazyLock::new(|| {
        let device = MemBackend::with_block(DEVICE_BYTES, 512);
        let backend: Arc<dyn Backend> = Arc::new(device.reopen());
        // Small nodes, for a tree of some depth; a log that is full after a few syncs.
        let options = FormatOptions {
            node_bytes: 1024,
            log_bytes: Some(6 * 4096),
            ..FormatOptions::default()
        };
        Volume::format(&backend, &options).expect("a device can be formatted");
        device
    });
    TEMPLATE.fork()
}

/// Opens the volume on `base`, without threads, from time 0.
pub(crate) fn open(base: Arc<dyn Backend>, config: &EngineConfig, seed: u64) -> (Volume, Stepper) {
    let device = HeldBackend::new(base, Arc::new(VirtualClock::new()));
    Volume::open_stepped(Arc::new(device), config.clone(), seed).expect("a volume opens")
}

/// Knobs that follow from a seed: small bounds, every codec, throttle, order and way to populate.
pub(crate) fn tight_config(dice: &mut Dice) -> EngineConfig {
    let mut knobs = vec![
        ("compression.extent_bytes", "16KiB"),
        ("compression.item_bytes", "32KiB"),
        ("cache.bytes", "128KiB"),
        ("dirty.background", "24KiB"),
        ("dirty.limit", "64KiB"),
        ("read.ahead_max", "32KiB"),
        ("commit.interval", "500ms"),
        ("dirty.expire", "300ms"),
    ];
    let mut either = |name, values: &[&'static str]| knobs.push((name, *dice.pick(values)));
    either("compression.codec", &["none", "lz4", "zstd"]);
    either("thread_pool_size", &["1", "2", "4"]);
    either("submit.async_limit", &["1", "2", "64"]);
    either("budget.bytes", &["0", "32KiB", "80KiB"]);
    either("meta.front_gate", &["3KiB", "1MiB"]);
    either("meta.flush_gate", &["5KiB", "1MiB"]);
    either("order.scope", &["volume", "file", "none"]);
    either("dirty.throttle", &["wall", "curve"]);
    either("read.populate", &["off", "both"]);
    either("read.inline_decode_max", &["0", "16KiB"]);
    either("log.enabled", &["true", "true", "true", "false"]);
    either("log.express_max", &["0", "8KiB", "128KiB"]);
    either("log.inline_max", &["0", "8KiB", "32KiB"]);
    either("log.commit_at", &["1", "50", "100"]);
    let mut config = config(&knobs);
    if config.set("compression.level", "1").is_ok() && config.validate().is_err() {
        config.set("compression.level", "0").expect("a level");
    }
    config
}

/// How many seeds a test runs: `DELALLOC_SEEDS`, or so many.
pub(crate) fn seeds(by_default: u64) -> u64 {
    let Ok(text) = std::env::var("DELALLOC_SEEDS") else {
        return by_default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("DELALLOC_SEEDS={text} is not a number"))
}

/// The first seed: `DELALLOC_SEED_FIRST`, or 0.
pub(crate) fn seed_first() -> u64 {
    let Ok(text) = std::env::var("DELALLOC_SEED_FIRST") else {
        return 0;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("DELALLOC_SEED_FIRST={text} is not a number"))
}

pub(crate) fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}
