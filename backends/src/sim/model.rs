//! What a modelled device is made of, and five of the kind people have.
//!
//! A preset stands for a class, not for a product, but each takes its numbers from one: what is said of a
//! preset with a source is what a data sheet or a published measurement says of that product, and the
//! tests hold the model to it. What has no source is called assumed. Every field can be changed.
//! `docs/device-models.md` has the sources, and what the model leaves out.

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

/// How much of something a provider lets through: so many a second, and more while credits last.
///
/// Credits are earned at `per_second`, up to `credits`, which are there from the start; whatever is spent is
/// taken from them. 3 requests a second and 6 credits let a burst of 6 through at the peak rate, then 3 a
/// second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Earned in a second.
    pub per_second: u64,
    /// The most in a second while there are credits.
    pub peak_per_second: u64,
    /// The most that is saved.
    pub credits: u64,
}

impl Allowance {
    /// Always the same.
    pub const fn constant(per_second: u64) -> Self {
        Self {
            per_second,
            peak_per_second: per_second,
            credits: 0,
        }
    }
}

/// What the provider of a volume lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Requests.
    pub requests: Allowance,
    /// Bytes.
    pub bytes: Allowance,
    /// A longer request counts as several of this length.
    pub request_bytes_max: u64,
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
    /// For a volume of a provider.
    pub cap: Option<Cap>,
}

impl SimModel {
    /// A disk of 7200 turns a minute with its write cache on.
    ///
    /// Seeks average 8.2 ms (HGST Ultrastar 7K4000 SAS specification 1.8, table 6): over pairs of places
    /// chosen alike the square root of the distance averages 8/15, which gives the longest. The curve's
    /// shape is that of short seeks in Ruemmler and Wilkes, "An introduction to disk drive modeling"
    /// (IEEE Computer, 1994). Assumed: the shortest seek, transfer, cache, overheads.
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
            longest: Duration::from_micros(14_675),
            turn: Duration::from_nanos(8_333_333),
        }),
        cap: None,
    };

    /// A flash disk behind SATA.
    ///
    /// Samsung 870 EVO, data sheet: 560 MB/s read and 530 MB/s written in sequence; 4 KiB at random, one at a
    /// time, 13,000 reads and 36,000 writes a second; 98,000 reads at a depth of 32. Assumed: spread,
    /// stalls, what a flush costs, how much the cache holds.
    pub const SATA_SSD: Self = Self {
        name: "a SATA flash disk",
        queue_depth: 32,
        units: 32,
        command: Duration::from_nanos(2_800),
        link_bytes_per_second: 560_000_000,
        read: Latency {
            median: Duration::from_micros(65),
            sigma: 0.15,
            stalls_per_million: 500,
            stall: Duration::from_millis(2),
        },
        write: Latency {
            median: Duration::from_micros(15),
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
        medium_bytes_per_second: 530_000_000,
        cache_bytes: 256 << 20,
        seek: None,
        cap: None,
    };

    /// A flash disk behind PCIe, of the kind without capacitors.
    ///
    /// Samsung 970 EVO Plus 1 TB, data sheet: 3,500 MB/s read and 3,300 MB/s written in sequence; 4 KiB at
    /// random, one at a time, 19,000 reads and 60,000 writes a second; 600,000 reads at depth. A flush of a
    /// little costs what `pg_test_fsync` shows for `fdatasync` on a drive of this kind (T. Poder, 2025: 1.6 ms
    /// with the write). Assumed: spread, stalls, how much the cache holds.
    pub const NVME: Self = Self {
        name: "an NVMe flash disk",
        queue_depth: 1024,
        units: 128,
        command: Duration::from_nanos(480),
        link_bytes_per_second: 3_500_000_000,
        read: Latency {
            median: Duration::from_nanos(50_300),
            sigma: 0.12,
            stalls_per_million: 200,
            stall: Duration::from_micros(800),
        },
        write: Latency {
            median: Duration::from_nanos(14_500),
            sigma: 0.2,
            stalls_per_million: 200,
            stall: Duration::from_millis(1),
        },
        settle: Latency {
            median: Duration::from_micros(1500),
            sigma: 0.3,
            stalls_per_million: 1000,
            stall: Duration::from_millis(4),
        },
        medium_bytes_per_second: 3_300_000_000,
        cache_bytes: 512 << 20,
        seek: None,
        cap: None,
    };

    /// A network volume of a cloud with a constant allowance and nothing volatile.
    ///
    /// Amazon EBS gp3 as it comes (EBS user guide, volume types): 3,000 requests and 125 MiB a second, a
    /// request counts per 256 KiB, latency of one digit in milliseconds. Assumed: where in that digit.
    pub const CLOUD: Self = Self {
        name: "a cloud volume",
        queue_depth: 128,
        units: 64,
        command: Duration::from_micros(1),
        link_bytes_per_second: 1_250_000_000,
        read: Latency {
            median: Duration::from_micros(700),
            sigma: 0.25,
            stalls_per_million: 500,
            stall: Duration::from_millis(10),
        },
        write: Latency {
            median: Duration::from_micros(800),
            sigma: 0.25,
            stalls_per_million: 500,
            stall: Duration::from_millis(10),
        },
        settle: Latency::constant(Duration::ZERO),
        medium_bytes_per_second: 1_250_000_000,
        cache_bytes: 0,
        seek: None,
        cap: Some(Cap {
            requests: Allowance::constant(3000),
            bytes: Allowance::constant(125 << 20),
            request_bytes_max: 256 << 10,
        }),
    };

    /// A network volume of a cloud that lives on credits.
    ///
    /// Amazon EBS gp2 of 100 GiB (EBS user guide, volume types): 300 requests a second, up to 3,000 while credits
    /// last, and 128 MiB a second. A new volume has 5.4 million credits, half an hour at the peak; this one
    /// has a hundredth of that, as a volume that has been busy, so that 20 s at the peak spend them.
    pub const CLOUD_BURST: Self = Self {
        name: "a cloud volume on credits",
        cap: Some(Cap {
            requests: Allowance {
                per_second: 300,
                peak_per_second: 3000,
                credits: 54_000,
            },
            bytes: Allowance::constant(128 << 20),
            request_bytes_max: 256 << 10,
        }),
        ..Self::CLOUD
    };
}
