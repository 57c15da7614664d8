//! What a modelled device is made of, and three of the kind people have.
//!
//! The numbers of the presets are round ones from data sheets of ordinary drives. They stand for a
//! class, not for a product; every field can be changed.

use std::time::Duration;

/// A latency with a spread and rare stalls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Half of the requests take at most this.
    pub median: Duration,
    /// Spread of the logarithm: 0 is constant; 0.1 puts the 99th percentile at 1.26 times the
    /// median, 0.5 at 3.2 times.
    pub sigma: f64,
    /// Of a million requests, how many meet a stall.
    pub stalls_per_million: u32,
    /// What a stall adds.
    pub stall: Duration,
}

impl Latency {
    /// No spread, no stalls.
    pub const fn constant(median: Duration) -> Self {
        Self {
            median,
            sigma: 0.0,
            stalls_per_million: 0,
            stall: Duration::ZERO,
        }
    }
}

/// A head that moves, over a medium that turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seek {
    /// To the next track.
    pub shortest: Duration,
    /// From one end to the other. Between them, time grows with the square root of the distance.
    pub longest: Duration,
    /// One turn; a request that does not follow the last one waits for half of it on average.
    pub turn: Duration,
}

/// A device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimModel {
    /// For `describe`, with its article.
    pub name: &'static str,
    /// Requests accepted at once; `submit` blocks above.
    pub queue_depth: u32,
    /// Requests worked on at once: the channels of flash, one head of a disk.
    pub units: u32,
    /// What every command costs on the link, one after the other: the inverse of the most
    /// commands per second.
    pub command: Duration,
    /// Bytes per second over the link.
    pub link_bytes_per_second: u64,
    /// From the medium to the link.
    pub read: Latency,
    /// From the link into the cache.
    pub write: Latency,
    /// From the cache to the medium, once per forced write and once per flush.
    pub settle: Latency,
    /// Bytes per second onto the medium.
    pub medium_bytes_per_second: u64,
    /// Volatile write cache; 0 is none, and every write waits for the medium.
    pub cache_bytes: u64,
    /// For a disk.
    pub seek: Option<Seek>,
}

impl SimModel {
    /// A disk of 7200 turns a minute with its write cache on.
    pub const HDD: Self = Self {
        name: "a rotating disk",
        queue_depth: 32,
        units: 1,
        command: Duration::from_micros(20),
        link_bytes_per_second: 550_000_000,
        read: Latency::constant(Duration::from_micros(100)),
        write: Latency::constant(Duration::from_micros(150)),
        settle: Latency::constant(Duration::from_micros(500)),
        medium_bytes_per_second: 180_000_000,
        cache_bytes: 64 << 20,
        seek: Some(Seek {
            shortest: Duration::from_micros(800),
            longest: Duration::from_millis(16),
            turn: Duration::from_nanos(8_333_333),
        }),
    };

    /// A flash disk behind SATA.
    pub const SATA_SSD: Self = Self {
        name: "a SATA flash disk",
        queue_depth: 32,
        units: 32,
        command: Duration::from_micros(10),
        link_bytes_per_second: 550_000_000,
        read: Latency {
            median: Duration::from_micros(95),
            sigma: 0.15,
            stalls_per_million: 500,
            stall: Duration::from_millis(2),
        },
        write: Latency {
            median: Duration::from_micros(45),
            sigma: 0.2,
            stalls_per_million: 500,
            stall: Duration::from_millis(4),
        },
        settle: Latency {
            median: Duration::from_micros(900),
            sigma: 0.3,
            stalls_per_million: 2000,
            stall: Duration::from_millis(8),
        },
        medium_bytes_per_second: 450_000_000,
        cache_bytes: 256 << 20,
        seek: None,
    };

    /// A flash disk behind PCIe, of the kind without capacitors.
    pub const NVME: Self = Self {
        name: "an NVMe flash disk",
        queue_depth: 1024,
        units: 128,
        command: Duration::from_nanos(1500),
        link_bytes_per_second: 3_500_000_000,
        read: Latency {
            median: Duration::from_micros(70),
            sigma: 0.12,
            stalls_per_million: 200,
            stall: Duration::from_micros(800),
        },
        write: Latency {
            median: Duration::from_micros(15),
            sigma: 0.2,
            stalls_per_million: 200,
            stall: Duration::from_millis(1),
        },
        settle: Latency {
            median: Duration::from_micros(500),
            sigma: 0.3,
            stalls_per_million: 1000,
            stall: Duration::from_millis(4),
        },
        medium_bytes_per_second: 1_800_000_000,
        cache_bytes: 512 << 20,
        seek: None,
    };
}
