//! The whole write path on memory, against the codec alone: what does everything around zstd cost?
//!
//! Each round measures both, one after the other, in the same process: the codec alone on all
//! cores, in extents of 128 KiB, is the most that any writer of compressed extents can reach; the
//! engine writes the same bytes sequentially and ends with a sync. The share of one in the other is
//! a ratio within one run, so it may be compared between machines.
//!
//! `cargo bench -p delalloc --bench write_path [-- --file PATH]` uses the bytes of a file instead of
//! generated ones. Without `--bench` (as `cargo test --benches` starts it) it runs once and small.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use delalloc_backends::{Backend, MemBackend, OsClock};
use delalloc_engine::{EngineConfig, FormatOptions, Volume};
use delalloc_results::stats::median;
use delalloc_workloads::plan::ContentPlan;
use delalloc_workloads::{Content, FileSlot, LoadPlan};

const EXTENT_BYTES: usize = 128 << 10;
const WRITE_BYTES: usize = 1 << 20;
const LEVEL: i32 = 1;

/// How much is written, how often.
struct Size {
    bytes: usize,
    rounds: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let canonical = arguments.iter().any(|argument| argument == "--bench");
    let size = if canonical {
        Size {
            bytes: 512 << 20,
            rounds: 5,
        }
    } else {
        Size {
            bytes: 8 << 20,
            rounds: 1,
        }
    };
    let file = arguments.iter().position(|argument| argument == "--file");
    let data = match file.and_then(|at| arguments.get(at + 1)) {
        Some(path) => cycled(
            &std::fs::read(path).expect("the file is readable"),
            size.bytes,
        ),
        None => generated(size.bytes),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);

    let (mut alone, mut engine, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let codec = mb_per_s(data.len(), || compress_alone(&data, cores));
        let whole = mb_per_s(data.len(), || write_through(&data, cores));
        println!("round {round}: codec alone {codec:.0} MB/s, engine {whole:.0} MB/s");
        alone.push(codec);
        engine.push(whole);
        shares.push(whole / codec);
    }
    let middle = |numbers: &[f64]| median(numbers).expect("at least one round");
    println!(
        "write_path cores={cores} bytes={} codec_mb_per_s={:.0} engine_mb_per_s={:.0} share={:.3}",
        data.len(),
        middle(&alone),
        middle(&engine),
        middle(&shares)
    );
}

fn mb_per_s(bytes: usize, work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    bytes as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

/// All cores, an extent at a time, output thrown away.
fn compress_alone(data: &[u8], cores: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut codec = zstd::bulk::Compressor::new(LEVEL).expect("level 1 exists");
                let mut out = vec![0; zstd::zstd_safe::compress_bound(EXTENT_BYTES)];
                loop {
                    let at = next.fetch_add(EXTENT_BYTES, Ordering::Relaxed);
                    let Some(extent) = data.get(at..data.len().min(at + EXTENT_BYTES)) else {
                        return;
                    };
                    let stored = codec.compress_to_buffer(extent, &mut out[..]);
                    std::hint::black_box(stored.expect("the buffer holds the worst case"));
                }
            });
        }
    });
}

/// Sequential writes into a fresh volume, then a sync of the file.
fn write_through(data: &[u8], cores: usize) {
    let device: Arc<dyn Backend> = Arc::new(MemBackend::new(data.len() as u64 * 2 + (64 << 20)));
    Volume::format(&device, &FormatOptions::default()).expect("formats");
    let mut config = EngineConfig::default();
    config
        .set("thread_pool_size", &cores.to_string())
        .expect("a knob");
    config.set("compression.codec", "zstd").expect("a knob");
    config
        .set("compression.level", &LEVEL.to_string())
        .expect("a knob");
    let volume = Volume::open(device, Arc::new(OsClock::new()), config).expect("opens");
    let file = volume.create("bench").expect("creates");
    for (index, part) in data.chunks(WRITE_BYTES).enumerate() {
        file.write_at((index * WRITE_BYTES) as u64, part)
            .expect("writes");
    }
    file.sync().expect("syncs");
    // Closing is not part of the write path, but it is little after a sync and frees the memory.
    volume.close().expect("closes");
}

fn generated(bytes: usize) -> Vec<u8> {
    let load = LoadPlan {
        seed: 1,
        content: ContentPlan::Ratio(2.5),
        files: Vec::new(),
        phases: Vec::new(),
    };
    let content = Content::build(&load).expect("a ratio in reach");
    let mut data = vec![0; bytes];
    for (index, part) in data.chunks_mut(WRITE_BYTES).enumerate() {
        content.fill(FileSlot(0), (index * WRITE_BYTES) as u64, 1, part);
    }
    data
}

fn cycled(source: &[u8], bytes: usize) -> Vec<u8> {
    assert!(!source.is_empty(), "an empty file has nothing to compress");
    source.iter().copied().cycle().take(bytes).collect()
}
