//! What a mover costs: each against the bare system call on the same file.
//!
//! Three questions. One blocking 4 KiB read: is it as quick as `pread`? One asynchronous read at a
//! time: what do the hand-overs between threads cost? Many: does depth reach the device? And
//! sequential 1 MiB writes, four in flight, for bandwidth.
//!
//! The file lies in the folder for temporary files: set `TMPDIR` to measure another device.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, mpsc};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use delalloc_backends::{
    AlignedBuf, Backend, BackendExt, Device, Durability, FileOptions, MoverKind, Request,
};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const FILE_BYTES: u64 = 128 << 20;
const READ_BYTES: usize = 4096;
const WRITE_BYTES: usize = 1 << 20;
const MOVERS: [(&str, MoverKind); 2] =
    [("threads", MoverKind::Threads), ("uring", MoverKind::Uring)];

fn open(path: &Path, kind: MoverKind) -> Device {
    let mut options = FileOptions::create_or_reuse(path, FILE_BYTES);
    options.mover.kind = kind;
    options.open().expect("opens")
}

/// Offsets that no cache of the device's host expects.
fn offsets() -> impl FnMut() -> u64 {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(1);
    let blocks = FILE_BYTES / READ_BYTES as u64;
    move || generator.next_u64() % blocks * READ_BYTES as u64
}

/// Keeps `depth` requests in flight until `count` have completed.
fn keep_in_flight(
    device: &Device,
    depth: usize,
    count: u64,
    mut next: impl FnMut(AlignedBuf) -> Request,
    buffer_bytes: usize,
) {
    let (sender, receiver) = mpsc::channel();
    let submit = |request| {
        let sender = sender.clone();
        device.submit(
            request,
            Box::new(move |completion| {
                completion.result.expect("moves");
                let buf = completion.buf.expect("a transfer gives its buffer back");
                sender.send(buf).expect("somebody waits");
            }),
        );
    };
    let mut started = 0;
    for _ in 0..depth.min(usize::try_from(count).unwrap_or(depth)) {
        submit(next(AlignedBuf::zeroed(buffer_bytes)));
        started += 1;
    }
    for _ in 0..count {
        let buf = receiver.recv().expect("every request is answered");
        if started < count {
            submit(next(buf));
            started += 1;
        }
    }
}

fn blocking_reads(group: &mut BenchmarkGroup<'_, WallTime>, path: &Path) {
    let bare = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .expect("opens");
    let mut next = offsets();
    let mut buf = AlignedBuf::zeroed(READ_BYTES);
    group.bench_function("pread", |bencher| {
        bencher.iter(|| bare.read_exact_at(&mut buf, next()).expect("reads"));
    });
    let device = open(path, MoverKind::Auto);
    let mut buf = Some(AlignedBuf::zeroed(READ_BYTES));
    group.bench_function("blocking", |bencher| {
        bencher.iter(|| {
            let filled = device.read_into_blocking(next(), buf.take().expect("is here"));
            buf = Some(filled.expect("reads"));
        });
    });
}

fn submitted_reads(group: &mut BenchmarkGroup<'_, WallTime>, path: &Path, depth: usize) {
    for (name, kind) in MOVERS {
        let device = open(path, kind);
        let mut next = offsets();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let start = std::time::Instant::now();
                let read = |buf| Request::Read {
                    offset: next(),
                    buf,
                };
                keep_in_flight(&device, depth, count, read, READ_BYTES);
                start.elapsed()
            });
        });
    }
}

fn reads(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device.img");
    drop(open(&path, MoverKind::Threads));
    let mut group = criterion.benchmark_group("read_4k_depth_1");
    blocking_reads(&mut group, &path);
    submitted_reads(&mut group, &path, 1);
    group.finish();
    let mut group = criterion.benchmark_group("read_4k_depth_32");
    submitted_reads(&mut group, &path, 32);
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device.img");
    let mut group = criterion.benchmark_group("write_1m_sequential_depth_4");
    group.throughput(Throughput::Bytes(WRITE_BYTES as u64));
    for (name, kind) in MOVERS {
        let device = Arc::new(open(&path, kind));
        let mut offset = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let start = std::time::Instant::now();
                let write = |buf| {
                    offset = (offset + WRITE_BYTES as u64) % FILE_BYTES;
                    Request::Write {
                        offset,
                        buf,
                        durability: Durability::Cached,
                    }
                };
                keep_in_flight(&device, 4, count, write, WRITE_BYTES);
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = movers;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = reads, writes
}
criterion_main!(movers);
