//! How fast content is served by one core: bytes made, and bytes compared, in a second, of every kind there is.
//!
//! Each kind is made and compared in blocks of 4 KiB and of 128 KiB, each in a version of its own as writes have them. The fastest
//! of many short slices counts: what another process takes of the core is not content's. With `--check` each is held against the
//! bar of docs/content.md, and the exit code is 1 where one is below.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use delalloc_workloads::{Checks, Content, FileSlot, load_str};

/// Bytes a second that one core serves at the least.
const BAR_BYTES_PER_S: f64 = 5e9;
const BLOCKS_BYTES: [usize; 2] = [4096, 128 << 10];
/// Served between two looks at the clock.
const SLICE_BYTES: usize = 1 << 20;
const SLICES: usize = 400;
/// Real files: the sources of this crate.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

const KINDS: [(&str, &str); 16] = [
    ("zeros", "zeros"),
    ("random", "random"),
    ("ratio", "{ ratio: 2.5 }"),
    ("corpus", "{ corpus: 'CORPUS' }"),
    (
        "mix",
        "{ mix: [{ weight: 1, content: zeros }, { weight: 1, content: random }] }",
    ),
    ("entropy", "{ entropy: { ratio: 2.5 } }"),
    ("matches", "{ matches: { ratio: 2.5 } }"),
    ("text", "{ text: { ratio: 2.5 } }"),
    ("records", "{ records: { ratio: 2.5 } }"),
    ("mosaic", "{ mosaic: { ratio: 2.5 } }"),
    ("mosaic by 4KiB", "{ mosaic: { ratio: 2.5, by: 4KiB } }"),
    (
        "mosaic of parts",
        "{ mosaic: { by: 4KiB, parts: [{ weight: 1, content: { text: { ratio: 2.5 } } }, { weight: 1, content: random }] } }",
    ),
    ("bursts", "{ bursts: { ratio: 2.5 } }"),
    ("borders", "{ borders: { ratio: 2.5 } }"),
    (
        "adversarial",
        "{ adversarial: { looks: random, ratio: 2.5 } }",
    ),
    ("duplicates", "{ ratio: 2.5, dedupe: 25% }"),
];

fn main() -> ExitCode {
    let is_check = std::env::args().any(|argument| argument == "--check");
    println!(
        "| content, GB/s | made, 4 KiB | made, 128 KiB | compared, 4 KiB | compared, 128 KiB |"
    );
    println!("|---|---|---|---|---|");
    let mut below = 0;
    for (name, written) in KINDS {
        let content = content(&written.replace("CORPUS", CORPUS));
        let mut line = format!("| {name} |");
        let made = BLOCKS_BYTES.map(|bytes| made(&content, bytes));
        let compared = BLOCKS_BYTES.map(|bytes| compared(&content, bytes));
        for bytes_per_s in made.into_iter().chain(compared) {
            let is_below = bytes_per_s < BAR_BYTES_PER_S;
            below += usize::from(is_below);
            let word = if is_check && is_below { " BELOW" } else { "" };
            line += &format!(" {:.1}{word} |", bytes_per_s / 1e9);
        }
        println!("{line}");
    }
    if is_check && below > 0 {
        eprintln!(
            "content-serving: {below} figures are below {} GB/s",
            BAR_BYTES_PER_S / 1e9
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn content(written: &str) -> Content {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\ncontent: {written}\nfiles: {{ t: {{ size: 64GiB }} }}\nphases: [{{ name: p, jobs: [{{ write: t, block: 1MiB }}] }}]\n"
    );
    let plan = load_str(&text, "serving", &[], Checks::none()).expect("the workload is right");
    Content::build(&plan.loads[0]).expect("it can be made")
}

/// Bytes made in a second, in writes of `block_bytes` one after the other.
fn made(content: &Content, block_bytes: usize) -> f64 {
    let mut block = vec![0; block_bytes];
    let mut nth: u64 = 0;
    fastest(block_bytes, || {
        nth += 1;
        content.fill(FileSlot(0), nth * block_bytes as u64, nth, &mut block);
        black_box(&mut block);
    })
}

/// Bytes compared in a second, in reads of `block_bytes` of writes as large.
fn compared(content: &Content, block_bytes: usize) -> f64 {
    let blocks: Vec<Vec<u8>> = (0..(SLICE_BYTES / block_bytes) as u64)
        .map(|nth| {
            let mut block = vec![0; block_bytes];
            content.fill(FileSlot(0), nth * block_bytes as u64, 1 + nth, &mut block);
            block
        })
        .collect();
    let mut nth = 0;
    fastest(block_bytes, || {
        let at = nth % blocks.len();
        let offset = (at * block_bytes) as u64;
        let verdict = content.verify(FileSlot(0), offset, 1 + at as u64, black_box(&blocks[at]));
        assert!(verdict.is_ok(), "what was made is right");
        nth += 1;
    })
}

/// Bytes a second of the fastest slice.
fn fastest(block_bytes: usize, mut serve: impl FnMut()) -> f64 {
    let slice_s = (0..SLICES).map(|_| {
        let begun = Instant::now();
        for _ in 0..SLICE_BYTES / block_bytes {
            serve();
        }
        begun.elapsed().as_secs_f64()
    });
    SLICE_BYTES as f64 / slice_s.fold(f64::INFINITY, f64::min)
}
