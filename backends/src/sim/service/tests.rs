//! The model does what its numbers say: rates, depths, cache and spread.

use super::*;
use crate::AlignedBuf;
use crate::sim::model::Seek;

const CAPACITY_BYTES: u64 = 1 << 40;

fn read(offset: u64, len_bytes: usize) -> Request {
    Request::Read {
        offset,
        buf: AlignedBuf::zeroed(len_bytes),
    }
}

fn write(offset: u64, len_bytes: usize, durability: Durability) -> Request {
    Request::Write {
        offset,
        buf: AlignedBuf::zeroed(len_bytes),
        durability,
    }
}

fn random_block(generator: &mut Xoshiro256PlusPlus) -> u64 {
    generator.next_u64() % (CAPACITY_BYTES / 4096) * 4096
}

/// Random 4 KiB reads with `depth` in flight: requests per second.
fn reads_per_second(model: &SimModel, depth: usize) -> f64 {
    const COUNT: usize = 40_000;
    let mut service = Service::new(model, CAPACITY_BYTES, 1);
    let mut places = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut in_flight = vec![Instant::default(); depth];
    for _ in 0..COUNT {
        let next = (0..depth)
            .min_by_key(|&slot| in_flight[slot])
            .expect("a depth");
        let now = in_flight[next];
        in_flight[next] = service.serve(now, &read(random_block(&mut places), 4096));
    }
    let end = in_flight.iter().max().expect("a depth");
    COUNT as f64 * 1e9 / end.ns as f64
}

/// Random 4 KiB writes into the cache, one after the other: requests per second.
fn writes_per_second(model: &SimModel) -> f64 {
    const COUNT: usize = 4000;
    let mut service = Service::new(model, CAPACITY_BYTES, 1);
    let mut places = Xoshiro256PlusPlus::seed_from_u64(2);
    let end = (0..COUNT).fold(Instant::default(), |now, _| {
        let request = write(random_block(&mut places), 4096, Durability::Cached);
        service.serve(now, &request)
    });
    COUNT as f64 * 1e9 / end.ns as f64
}

/// `mib` MiB read in sequence, 1 MiB at a time with two in flight: bytes per second.
fn sequential_read(model: &SimModel, mib: u64) -> f64 {
    let mut service = Service::new(model, CAPACITY_BYTES, 1);
    let mut in_flight = [Instant::default(); 2];
    for at in 0..mib {
        let next = usize::from(in_flight[1] < in_flight[0]);
        in_flight[next] = service.serve(in_flight[next], &read(at << 20, 1 << 20));
    }
    (mib << 20) as f64 * 1e9 / in_flight[0].max(in_flight[1]).ns as f64
}

/// Within 5 percent.
fn assert_near(found: f64, promised: f64, what: &str) {
    assert!(
        (found / promised - 1.0).abs() < 0.05,
        "{what}: {found}, and {promised} is promised"
    );
}

#[test]
fn the_presets_keep_what_their_sources_promise() {
    assert_near(
        reads_per_second(&SimModel::SATA_SSD, 1),
        13_000.0,
        "SATA reads",
    );
    assert_near(
        reads_per_second(&SimModel::SATA_SSD, 32),
        98_000.0,
        "SATA reads at 32",
    );
    assert_near(
        writes_per_second(&SimModel::SATA_SSD),
        36_000.0,
        "SATA writes",
    );
    assert_near(
        sequential_read(&SimModel::SATA_SSD, 500),
        560e6,
        "SATA in sequence",
    );
    assert_near(reads_per_second(&SimModel::NVME, 1), 19_000.0, "NVMe reads");
    assert_near(
        reads_per_second(&SimModel::NVME, 128),
        600_000.0,
        "NVMe reads at 128",
    );
    assert_near(writes_per_second(&SimModel::NVME), 60_000.0, "NVMe writes");
    assert_near(
        sequential_read(&SimModel::NVME, 2000),
        3500e6,
        "NVMe in sequence",
    );
    assert_near(
        reads_per_second(&SimModel::CLOUD, 32),
        3000.0,
        "cloud reads at 32",
    );
    let mib = (1 << 20) as f64;
    assert_near(
        sequential_read(&SimModel::CLOUD, 500),
        125.0 * mib,
        "cloud in sequence",
    );
    let one = reads_per_second(&SimModel::CLOUD, 1);
    assert!(
        (100.0..3000.0).contains(&one),
        "one digit of milliseconds: {one}"
    );
}

#[test]
fn a_disk_seeks_as_long_on_average_as_its_source_promises() {
    let seek = SimModel::HDD.seek.expect("a disk");
    let still = Seek {
        turn: Duration::ZERO,
        ..seek
    };
    let model = SimModel {
        seek: Some(still),
        ..SimModel::HDD
    };
    let mut service = Service::new(&model, CAPACITY_BYTES, 1);
    let mut places = Xoshiro256PlusPlus::seed_from_u64(2);
    let all: Duration = (0..4000)
        .map(|_| service.seek_to(random_block(&mut places), 4096))
        .sum();
    assert_near(all.as_secs_f64() / 4000.0, 0.0082, "an average seek");
    // A seek and half a turn, and nothing is sorted at depth.
    let each = 0.0082 + seek.turn.as_secs_f64() / 2.0;
    assert_near(
        reads_per_second(&SimModel::HDD, 1),
        1.0 / each,
        "disk reads",
    );
    assert_near(
        reads_per_second(&SimModel::HDD, 32),
        1.0 / each,
        "disk reads at 32",
    );
    assert_near(
        sequential_read(&SimModel::HDD, 500),
        180e6,
        "a disk in sequence",
    );
}

#[test]
fn a_volume_on_credits_falls_to_what_it_earns() {
    let mut service = Service::new(&SimModel::CLOUD_BURST, CAPACITY_BYTES, 1);
    let mut places = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut rate = |from: Instant, count: u64| {
        let mut last = from;
        for _ in 0..count {
            let due = service.serve(from, &read(random_block(&mut places), 4096));
            last = last.max(due);
        }
        (count as f64 * 1e9 / last.ns_since(from) as f64, last)
    };
    let (quick, later) = rate(Instant::default(), 59_000);
    assert_near(quick, 3000.0, "with credits");
    // 54,000 saved, 300 a second earned in the 20 s that they last.
    let (_, spent) = rate(later, 1000);
    let (slow, _) = rate(spent, 3000);
    assert_near(slow, 300.0, "without");
}

#[test]
fn a_flush_of_nothing_settles_and_a_volume_without_a_cache_has_none_to_wait_for() {
    let flush_ns = |model: &SimModel| {
        let mut service = Service::new(model, CAPACITY_BYTES, 1);
        let mut now = Instant::default();
        let mut sum_ns = 0;
        for at in 0..1000 {
            now = service.serve(now, &write(at << 20, 4096, Durability::Cached));
            let flushed = service.serve(now, &Request::Flush);
            sum_ns += flushed.ns_since(now);
            now = flushed;
        }
        sum_ns / 1000
    };
    let nvme_ns = flush_ns(&SimModel::NVME);
    assert!((1_400_000..1_700_000).contains(&nvme_ns), "{nvme_ns}");
    assert_eq!(flush_ns(&SimModel::CLOUD), 0);
}

#[test]
fn sequential_writes_run_at_the_link_then_at_the_medium() {
    let mut service = Service::new(&SimModel::NVME, CAPACITY_BYTES, 3);
    let mut now = Instant::default();
    let mut rate = |service: &mut Service, from_mib: u64, mib: u64| {
        let start = now;
        let mut request = write(from_mib << 20, 1 << 20, Durability::Cached);
        for _ in 0..mib {
            now = service.serve(now, &request);
            if let Request::Write { offset, .. } = &mut request {
                *offset += 1 << 20;
            }
        }
        (mib << 20) as f64 * 1e9 / now.ns_since(start) as f64
    };
    let into_cache = rate(&mut service, 0, 256);
    assert!(into_cache > 3.0e9, "{into_cache} bytes per second");
    let full = rate(&mut service, 256, 4096);
    assert!((3.1e9..3.45e9).contains(&full), "{full} bytes per second");
}

#[test]
fn a_flush_waits_for_the_cache_and_a_forced_write_for_itself() {
    let mut service = Service::new(&SimModel::SATA_SSD, CAPACITY_BYTES, 4);
    let idle = service.serve(Instant::default(), &Request::Flush);
    assert!(idle.ns < 20_000_000);
    let mut now = idle;
    for at in 0..100 {
        now = service.serve(now, &write(at << 20, 1 << 20, Durability::Cached));
    }
    let forced = service.serve(now, &write(0, 4096, Durability::Fua));
    let flushed = service.serve(now, &Request::Flush);
    // 100 MiB at 530 MB/s is 198 ms, of which the link's 187 ms and 2 ms of latency have passed.
    assert!(forced.ns_since(now) < 20_000_000, "{forced:?} {now:?}");
    assert!(flushed.ns_since(now) > 6_000_000, "{flushed:?} {now:?}");
}

#[test]
fn the_spread_is_what_sigma_says() {
    let mut service = Service::new(&SimModel::NVME, CAPACITY_BYTES, 5);
    let latency = Latency {
        median: Duration::from_micros(100),
        sigma: 0.5,
        stalls_per_million: 10_000,
        stall: Duration::from_secs(1),
    };
    let mut sampled: Vec<Duration> = (0..20_000).map(|_| service.sample(latency)).collect();
    sampled.sort_unstable();
    let stalled = sampled.partition_point(|at| *at < Duration::from_secs(1));
    assert!(
        (19_700..19_900).contains(&stalled),
        "{stalled} without a stall"
    );
    let (median, high) = (sampled[stalled / 2], sampled[stalled * 99 / 100]);
    assert!((95..105).contains(&median.as_micros()), "{median:?}");
    assert!((290..350).contains(&high.as_micros()), "{high:?}");
}

#[test]
fn a_disk_reads_ahead_of_its_cache_and_drains_it_later() {
    let mut service = Service::new(&SimModel::HDD, CAPACITY_BYTES, 6);
    let mut places = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut now = Instant::default();
    for _ in 0..500 {
        let request = write(random_block(&mut places), 4096, Durability::Cached);
        now = service.serve(now, &request);
    }
    let quiet = service.medium;
    let read_at = service.serve(now, &read(random_block(&mut places), 4096));
    let took_ns = read_at.ns_since(now);
    assert!(took_ns < 30_000_000, "{took_ns} behind the cache");
    let pushed_ns = service.medium.ns_since(quiet);
    assert!(pushed_ns > took_ns / 2 && pushed_ns <= took_ns);
    let flushed = service.serve(read_at, &Request::Flush);
    assert!(flushed >= service.medium);
    let idle = service.serve(flushed, &Request::Flush);
    assert!(idle.ns_since(flushed) < 2_000_000, "the cache is empty");
    assert_eq!(service.cached_bytes, 0);
}
