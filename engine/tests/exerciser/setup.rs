//! On what the steps are done: knobs, device, node size, size of files. A seed picks a setup.

use std::sync::Arc;

use delalloc_backends::{Backend, FaultAction, FaultBackend, FaultOn, FaultRule, MemBackend};
use delalloc_engine::{EngineConfig, FormatOptions, Volume};

use crate::support::{Dice, config};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

type Knobs = &'static [(&'static str, &'static str)];

/// A volume to exercise.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) device_bytes: u64,
    pub(crate) node_bytes: u32,
    pub(crate) file_bytes_max: u64,
    /// The device is too small for all that is written: refusals are right answers.
    pub(crate) fills: bool,
    pub(crate) knobs: Vec<(&'static str, &'static str)>,
    /// Other knobs, drawn anew, each time the volume is opened.
    pub(crate) redraws: bool,
    /// What the device does to its first write after the format.
    pub(crate) fault: Option<FaultAction>,
}

const SMALL_CACHE: Knobs = &[
    ("cache.bytes", "1MiB"),
    ("read.ahead_max", "256KiB"),
    ("compression.item_bytes", "128KiB"),
    ("dirty.background", "64KiB"),
    ("dirty.limit", "256KiB"),
    ("budget.bytes", "512KiB"),
];
const TINY_DIRTY: Knobs = &[
    ("compression.extent_bytes", "16KiB"),
    ("compression.item_bytes", "32KiB"),
    ("cache.bytes", "256KiB"),
    ("dirty.background", "0"),
    ("dirty.limit", "64KiB"),
    ("dirty.expire", "1"),
    ("read.ahead_max", "64KiB"),
    ("budget.bytes", "64KiB"),
    ("meta.front_gate", "256KiB"),
    ("meta.flush_gate", "64KiB"),
    ("commit.interval", "5"),
];

impl Setup {
    /// Quiet: a device that never fills, default knobs but for two threads.
    pub(crate) fn new(name: &'static str, knobs: Knobs) -> Self {
        Self {
            name,
            device_bytes: 64 * MIB,
            node_bytes: 16 << 10,
            file_bytes_max: MIB,
            fills: false,
            knobs: [&[("thread_pool_size", "2")], knobs].concat(),
            redraws: false,
            fault: None,
        }
    }

    pub(crate) fn nodes(self, node_bytes: u32) -> Self {
        Self { node_bytes, ..self }
    }

    fn files(self, file_bytes_max: u64) -> Self {
        Self {
            file_bytes_max,
            ..self
        }
    }

    pub(crate) fn full(self, device_bytes: u64) -> Self {
        Self {
            device_bytes,
            fills: true,
            ..self
        }
    }

    fn with(mut self, knobs: Knobs) -> Self {
        self.knobs.extend_from_slice(knobs);
        self
    }

    fn redrawn(self) -> Self {
        Self {
            redraws: true,
            ..self
        }
    }

    /// The knobs of the opening that `seed` stands for.
    pub(crate) fn config(&self, seed: u64) -> EngineConfig {
        if self.redraws {
            return drawn(seed);
        }
        config(&self.knobs)
    }

    /// An empty volume's device.
    pub(crate) fn device(&self) -> Arc<dyn Backend> {
        let device: Arc<dyn Backend> = Arc::new(MemBackend::new(self.device_bytes));
        let options = FormatOptions {
            node_bytes: self.node_bytes,
            ..FormatOptions::default()
        };
        Volume::format(&device, &options).expect("an empty device can be formatted");
        let Some(action) = self.fault else {
            return device;
        };
        let faulty = FaultBackend::new(device);
        faulty
            .handle()
            .arm(FaultRule::once(FaultOn::Write, 1, action));
        Arc::new(faulty)
    }
}

/// A value for each of these knobs, drawn until they go together.
fn drawn(seed: u64) -> EngineConfig {
    let choices: [(&str, Values); 19] = [
        ("compression.codec", &["none", "lz4", "zstd", "zlib"]),
        ("compression.level", &["1", "1", "3", "5"]),
        ("compression.heuristic", &["false", "true"]),
        ("compression.zero_detect", &["false", "true"]),
        ("compression.backoff_extents_max", &["0", "1", "64"]),
        (
            "compression.extent_bytes",
            &["4KiB", "16KiB", "68KiB", "128KiB", "512KiB"],
        ),
        (
            "compression.item_bytes",
            &["4KiB", "32KiB", "128KiB", "272KiB", "512KiB", "1MiB"],
        ),
        ("thread_pool_size", &["1", "2", "3"]),
        ("pool.kind", &["seed2008", "threshold2014", "plain"]),
        ("order.scope", &["volume", "file", "none"]),
        ("cache.bytes", &["256KiB", "1MiB", "4MiB", "64MiB"]),
        ("dirty.background", &["0", "64KiB", "1MiB"]),
        ("dirty.limit", &["64KiB", "512KiB", "2MiB", "32MiB"]),
        ("dirty.throttle", &["wall", "curve"]),
        ("read.ahead_max", &["0", "256KiB", "1MiB"]),
        ("read.populate", &["off", "forward", "both"]),
        ("read.inline_decode_max", &["0", "16KiB", "1MiB"]),
        ("log.inline_max", &["0", "8KiB", "32KiB", "1MiB"]),
        ("log.express_max", &["0", "128KiB"]),
    ];
    let mut dice = Dice::new(seed);
    loop {
        let mut config = EngineConfig::default();
        for (name, values) in choices {
            config
                .set(name, dice.pick::<&str>(values))
                .expect("a value of its row");
        }
        if config.validate().is_ok() {
            return config;
        }
    }
}

type Values = &'static [&'static str];

/// Every setup; a seed's is `seed % len`.
pub(crate) fn all() -> Vec<Setup> {
    let mut all = codecs();
    all.extend(pools());
    all.extend(bounds());
    all.extend(nodes());
    all.extend(fullness());
    all
}

/// The setup of a seed.
pub(crate) fn of_seed(seed: u64) -> Setup {
    let all = all();
    let index = usize::try_from(seed % all.len() as u64).expect("an index");
    all[index].clone()
}

/// One of each codec.
pub(crate) fn codecs() -> Vec<Setup> {
    let rows: [(&str, Knobs); 7] = [
        ("codec none", &[("compression.codec", "none")]),
        (
            "codec lz4",
            &[("compression.codec", "lz4"), ("compression.level", "1")],
        ),
        (
            "codec zstd 1",
            &[("compression.codec", "zstd"), ("compression.level", "1")],
        ),
        (
            "codec zstd 9",
            &[("compression.codec", "zstd"), ("compression.level", "9")],
        ),
        (
            "codec zlib 3",
            &[("compression.codec", "zlib"), ("compression.level", "3")],
        ),
        (
            "preset seed2008",
            &[("preset", "seed2008"), ("thread_pool_size", "2")],
        ),
        (
            "verdicts off",
            &[
                ("compression.heuristic", "false"),
                ("compression.zero_detect", "false"),
                ("compression.backoff_extents_max", "0"),
            ],
        ),
    ];
    rows.map(|(name, knobs)| Setup::new(name, knobs)).into()
}

/// One of each pool and order.
pub(crate) fn pools() -> Vec<Setup> {
    let rows: [(&str, Knobs); 9] = [
        (
            "seed2008, volume",
            &[("pool.kind", "seed2008"), ("order.scope", "volume")],
        ),
        (
            "seed2008, file",
            &[("pool.kind", "seed2008"), ("order.scope", "file")],
        ),
        (
            "seed2008, none",
            &[("pool.kind", "seed2008"), ("order.scope", "none")],
        ),
        (
            "threshold2014, volume",
            &[("pool.kind", "threshold2014"), ("order.scope", "volume")],
        ),
        (
            "threshold2014, file",
            &[("pool.kind", "threshold2014"), ("order.scope", "file")],
        ),
        (
            "threshold2014, none",
            &[("pool.kind", "threshold2014"), ("order.scope", "none")],
        ),
        (
            "plain, volume",
            &[("pool.kind", "plain"), ("order.scope", "volume")],
        ),
        (
            "plain, file",
            &[("pool.kind", "plain"), ("order.scope", "file")],
        ),
        (
            "plain, none",
            &[("pool.kind", "plain"), ("order.scope", "none")],
        ),
    ];
    let low: Knobs = &[
        ("dirty.background", "128KiB"),
        ("compression.codec", "lz4"),
        ("compression.level", "1"),
        ("compression.extent_bytes", "32KiB"),
        ("compression.item_bytes", "64KiB"),
    ];
    rows.map(|(name, knobs)| Setup::new(name, knobs).with(low))
        .into()
}

/// Caches, dirty limits, extents and items of unusual size.
pub(crate) fn bounds() -> Vec<Setup> {
    vec![
        Setup::new("small cache", SMALL_CACHE),
        Setup::new("small cache, curve, populate both", SMALL_CACHE)
            .with(&[("dirty.throttle", "curve"), ("read.populate", "both")]),
        Setup::new("tiny dirty limit", TINY_DIRTY).files(256 * KIB),
        Setup::new("tiny dirty limit, curve", TINY_DIRTY)
            .with(&[("dirty.throttle", "curve"), ("submit.async_limit", "1")])
            .files(256 * KIB),
        Setup::new(
            "extents of a page",
            &[
                ("compression.extent_bytes", "4KiB"),
                ("compression.item_bytes", "4KiB"),
            ],
        )
        .files(128 * KIB),
        Setup::new(
            "small extents and items",
            &[
                ("compression.extent_bytes", "16KiB"),
                ("compression.item_bytes", "64KiB"),
                ("thread_pool_size", "3"),
                ("read.populate", "off"),
            ],
        ),
        Setup::new(
            "extents longer than nodes allow",
            &[
                ("compression.extent_bytes", "1MiB"),
                ("compression.item_bytes", "2MiB"),
            ],
        )
        .nodes(1024),
        Setup::new("knobs drawn anew", &[]).redrawn(),
        Setup::new("knobs drawn anew, small nodes", &[])
            .redrawn()
            .nodes(1024),
    ]
}

/// Trees of several levels.
pub(crate) fn nodes() -> Vec<Setup> {
    let small: Knobs = &[
        ("compression.extent_bytes", "8KiB"),
        ("compression.item_bytes", "64KiB"),
        ("dirty.background", "64KiB"),
    ];
    vec![
        Setup::new("nodes of 1 KiB", small).nodes(1024),
        Setup::new("nodes of 2 KiB", small).nodes(2048),
        Setup::new("nodes of 4 KiB", small).nodes(4096),
        Setup::new("nodes of 64 KiB", small).nodes(65_536),
    ]
}

/// Devices that fill.
pub(crate) fn fullness() -> Vec<Setup> {
    let raw: Knobs = &[("compression.codec", "none")];
    let early: Knobs = &[
        ("dirty.background", "64KiB"),
        ("compression.codec", "lz4"),
        ("compression.level", "1"),
    ];
    let small: Knobs = &[
        ("compression.extent_bytes", "8KiB"),
        ("compression.item_bytes", "64KiB"),
    ];
    vec![
        Setup::new("full, raw", raw).nodes(1024).full(5 * MIB / 4),
        Setup::new("full, early", early)
            .nodes(4096)
            .full(3 * MIB / 2),
        Setup::new("full, small extents", early)
            .with(small)
            .nodes(1024)
            .full(5 * MIB / 4),
        Setup::new("full, verdicts off", early)
            .with(small)
            .with(&[("compression.zero_detect", "false")])
            .nodes(2048)
            .full(MIB),
        Setup::new("full, tiny dirty limit", TINY_DIRTY)
            .nodes(4096)
            .full(MIB),
        Setup::new("full, batches", raw)
            .nodes(4096)
            .files(9 * MIB / 2)
            .full(5 * MIB),
        Setup::new("full, nodes of 16 KiB", early)
            .files(2 * MIB)
            .full(3 * MIB),
        Setup::new("full, knobs drawn anew", &[])
            .redrawn()
            .nodes(1024)
            .full(5 * MIB / 4),
    ]
}
