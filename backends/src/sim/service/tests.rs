//! The model does what its numbers say: rates, depths, cache and spread.

use super::*;
use crate::AlignedBuf;

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
fn reads_per_second(model: SimModel, depth: usize) -> f64 {
    const COUNT: usize = 4000;
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

#[test]
fn random_reads_are_as_quick_as_such_a_device() {
    let disk = reads_per_second(SimModel::HDD, 1);
    assert!((60.0..110.0).contains(&disk), "{disk} from a disk");
    let sata = reads_per_second(SimModel::SATA_SSD, 1);
    assert!((8000.0..11_000.0).contains(&sata), "{sata} from SATA");
    let nvme = reads_per_second(SimModel::NVME, 1);
    assert!((12_000.0..15_000.0).contains(&nvme), "{nvme} from NVMe");
}

#[test]
fn depth_reaches_the_units_until_the_link_is_full() {
    let one = reads_per_second(SimModel::NVME, 1);
    let many = reads_per_second(SimModel::NVME, 32);
    assert!(many > 25.0 * one, "{one} then {many}");
    let sata = reads_per_second(SimModel::SATA_SSD, 32);
    assert!((50_000.0..100_000.0).contains(&sata), "{sata} from SATA");
    let disk = reads_per_second(SimModel::HDD, 32);
    assert!(disk < 120.0, "{disk} from one head");
}

#[test]
fn sequential_writes_run_at_the_link_then_at_the_medium() {
    let mut service = Service::new(SimModel::NVME, CAPACITY_BYTES, 3);
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
    assert!((1.7e9..2.1e9).contains(&full), "{full} bytes per second");
}

#[test]
fn a_flush_waits_for_the_cache_and_a_forced_write_for_itself() {
    let mut service = Service::new(SimModel::SATA_SSD, CAPACITY_BYTES, 4);
    let idle = service.serve(Instant::default(), &Request::Flush);
    assert!(idle.ns < 20_000_000);
    let mut now = idle;
    for at in 0..100 {
        now = service.serve(now, &write(at << 20, 1 << 20, Durability::Cached));
    }
    let forced = service.serve(now, &write(0, 4096, Durability::Fua));
    let flushed = service.serve(now, &Request::Flush);
    // 100 MiB at 450 MB/s is 233 ms, of which the link's 191 ms have passed.
    assert!(forced.ns_since(now) < 20_000_000, "{forced:?} {now:?}");
    assert!(flushed.ns_since(now) > 30_000_000, "{flushed:?} {now:?}");
}

#[test]
fn the_spread_is_what_sigma_says() {
    let mut service = Service::new(SimModel::NVME, CAPACITY_BYTES, 5);
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
    let mut service = Service::new(SimModel::HDD, CAPACITY_BYTES, 6);
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
