//! What the harness pays before the target sees anything: making an operation, making and comparing its bytes.
//!
//! The budget is a target that does nothing: a few tens of nanoseconds for an operation, memory speed for bytes.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use delalloc_workloads::{Checks, Content, Cursors, FileSlot, LoadPlan, load_str};

fn load(content: &str, job: &str) -> Arc<LoadPlan> {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\ncontent: {content}\nfiles: {{ t: {{ size: 64GiB }}, log: {{}} }}\nphases: [{{ name: p, duration: 1000h, jobs: [{{ {job} }}] }}]\n"
    );
    let plan = load_str(&text, "bench", &[], Checks::none()).expect("the workload is right");
    Arc::clone(&plan.loads[0])
}

fn content(c: &mut Criterion) {
    let mut group = c.benchmark_group("content");
    for (name, model) in [
        ("zeros", "zeros"),
        ("random", "random"),
        ("ratio", "{ ratio: 2.5 }"),
        (
            "mix",
            "{ mix: [{ weight: 1, content: zeros }, { weight: 1, content: random }] }",
        ),
        ("entropy", "{ entropy: { ratio: 2.5 } }"),
        ("matches", "{ matches: { ratio: 2.5 } }"),
        ("text", "{ text: { ratio: 2.5 } }"),
        ("records", "{ records: { ratio: 2.5 } }"),
        ("mosaic", "{ mosaic: { ratio: 2.5, by: 4KiB } }"),
        (
            "parts",
            "{ mosaic: { by: 4KiB, parts: [{ weight: 1, content: { text: { ratio: 2.5 } } }, { weight: 1, content: random }] } }",
        ),
        ("bursts", "{ bursts: { ratio: 2.5 } }"),
        ("borders", "{ borders: { ratio: 2.5 } }"),
        (
            "adversarial",
            "{ adversarial: { looks: random, ratio: 2.5 } }",
        ),
        ("dedupe", "{ ratio: 2.5, dedupe: 25% }"),
    ] {
        let content =
            Content::build(&load(model, "write: t, block: 1MiB")).expect("it can be made");
        for bytes in [4096usize, 131_072, 1 << 20] {
            let mut block = vec![0; bytes];
            let mut nth: u64 = 0;
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new(format!("fill-{name}"), bytes), |b| {
                b.iter(|| {
                    nth += 1;
                    content.fill(FileSlot(0), nth * bytes as u64, nth, &mut block);
                    black_box(&mut block);
                });
            });
            content.fill(FileSlot(0), 0, 1, &mut block);
            group.bench_function(BenchmarkId::new(format!("verify-{name}"), bytes), |b| {
                b.iter(|| content.verify(FileSlot(0), 0, 1, black_box(&block)));
            });
        }
    }
    group.finish();
}

fn operations(c: &mut Criterion) {
    let mut group = c.benchmark_group("operation");
    group.throughput(Throughput::Elements(1));
    for (name, job) in [
        ("sequential", "write: t, block: 4KiB"),
        ("random", "write: t, block: 4KiB, pattern: random"),
        ("zipf", "write: t, block: 4KiB, pattern: { zipf: 1.1 }"),
        ("shuffle", "write: t, block: 4KiB, pattern: shuffle"),
        (
            "poisson",
            "write: t, block: 4KiB, pattern: random, rate: { poisson: 1000/s }",
        ),
        ("append", "append: log, block: 4KiB, fsync_every: 1"),
    ] {
        let load = load("zeros", job);
        let cursors = Arc::new(Cursors::new(&load));
        let mut streams = load.streams(0, &cursors).expect("no file is read");
        let stream = &mut streams[0];
        group.bench_function(name, |b| b.iter(|| black_box(stream.next())));
    }
    group.finish();
}

criterion_group!(benches, content, operations);
criterion_main!(benches);
