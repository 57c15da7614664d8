//! What a codec pays for each recipe at one ratio, as a multiple of what it pays for random bytes.
//!
//! All contents are made first and cut into slices. Each slice is compressed twice in a row, so that it is in the cache the second
//! time, in turns with those of the others; of each the fastest time counts, and the sums divide out. So the bands of
//! docs/content.md hold wherever the same codecs run; with `--check` they are held against what was measured, and the exit
//! code is 1 where one is left.

use std::process::ExitCode;
use std::time::Instant;

use delalloc_workloads::plan::RatioCodec;
use delalloc_workloads::{Checks, Content, FileSlot, load_str};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/content.md");
const CODECS: [RatioCodec; 3] = [RatioCodec::Zstd(1), RatioCodec::Zstd(3), RatioCodec::Lz4];
const EXTENT_BYTES: usize = 128 << 10;
const SAMPLE_BYTES: usize = 8 << 20;
/// Compressed between two looks at the clock.
const SLICE_BYTES: usize = 256 << 10;
const ROUNDS: usize = 4;

/// As they are called in the document, and as they are written.
const RECIPES: [(&str, &str); 13] = [
    ("random", "random"),
    ("zeros", "zeros"),
    ("ratio", "{ ratio: 2.5, codec: CODEC }"),
    ("entropy", "{ entropy: { ratio: 2.5 }, codec: CODEC }"),
    ("matches", "{ matches: { ratio: 2.5 }, codec: CODEC }"),
    ("text", "{ text: { ratio: 2.5 }, codec: CODEC }"),
    ("records", "{ records: { ratio: 2.5 }, codec: CODEC }"),
    ("mosaic", "{ mosaic: { ratio: 2.5 }, codec: CODEC }"),
    (
        "mosaic by 4KiB",
        "{ mosaic: { ratio: 2.5, by: 4KiB }, codec: CODEC }",
    ),
    ("bursts", "{ bursts: { ratio: 2.5 }, codec: CODEC }"),
    ("borders", "{ borders: { ratio: 2.5 }, codec: CODEC }"),
    (
        "adversarial, looks random",
        "{ adversarial: { looks: random, ratio: 2.5 }, codec: CODEC }",
    ),
    (
        "adversarial, looks compressible",
        "{ adversarial: { looks: compressible } }",
    ),
];

fn main() -> ExitCode {
    let is_check = std::env::args().any(|argument| argument == "--check");
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/content.md is there");
    let columns: Vec<Vec<(f64, f64)>> = CODECS.map(costs).into();
    println!("| content | zstd 1 | zstd 3 | lz4 |\n|---|---|---|---|");
    let mut left = 0;
    for (row, (name, _)) in RECIPES.iter().enumerate() {
        let mut line = format!("| {name} |");
        for (column, costs) in columns.iter().enumerate() {
            let (ratio, cost) = costs[row];
            line += &format!(" {cost:.2} (ratio {ratio:.2})");
            if is_check {
                let (low, high) = bands(&document, name)[column];
                let is_within = (low..=high).contains(&cost);
                left += usize::from(!is_within);
                line += if is_within { " held" } else { " LEFT" };
            }
            line += " |";
        }
        println!("{line}");
    }
    if left > 0 {
        eprintln!("content-costs: {left} costs left their bands in docs/content.md");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Ratio and cost of each recipe, whose ratio is `codec`'s.
fn costs(codec: RatioCodec) -> Vec<(f64, f64)> {
    let name = match codec {
        RatioCodec::Zstd(level) => format!("'zstd:{level}'"),
        RatioCodec::Lz4 => "lz4".to_owned(),
    };
    let samples: Vec<Vec<u8>> = RECIPES
        .iter()
        .map(|(_, written)| sample(&written.replace("CODEC", &name)))
        .collect();
    let mut compress = compressor(codec);
    let mut timed = |slice: &[u8]| {
        let mut once = || {
            let begun = Instant::now();
            let stored: usize = slice.chunks_exact(EXTENT_BYTES).map(&mut compress).sum();
            (stored, begun.elapsed().as_secs_f64())
        };
        let ((_, first_s), (stored, second_s)) = (once(), once());
        (stored, second_s.min(first_s))
    };
    let slices = SAMPLE_BYTES / SLICE_BYTES;
    let mut fastest_s = vec![vec![f64::INFINITY; slices]; samples.len()];
    let mut stored = vec![0; samples.len()];
    for _ in 0..ROUNDS {
        for start in (0..SAMPLE_BYTES).step_by(SLICE_BYTES) {
            let range = start..start + SLICE_BYTES;
            for (nth, sample) in samples.iter().enumerate() {
                let (bytes, slice_s) = timed(&sample[range.clone()]);
                stored[nth] += bytes;
                let fastest_s = &mut fastest_s[nth][start / SLICE_BYTES];
                *fastest_s = slice_s.min(*fastest_s);
            }
        }
    }
    let bytes = (ROUNDS * SAMPLE_BYTES) as f64;
    let seconds: Vec<f64> = fastest_s.iter().map(|slices| slices.iter().sum()).collect();
    stored
        .into_iter()
        .zip(&seconds)
        .map(|(stored, own_s)| (bytes / stored as f64, own_s / seconds[0]))
        .collect()
}

fn sample(content: &str) -> Vec<u8> {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\ncontent: {content}\nfiles: {{ t: {{ size: 1GiB }} }}\nphases: [{{ name: p, jobs: [{{ write: t, block: 1MiB }}] }}]\n"
    );
    let plan = load_str(&text, "costs", &[], Checks::none()).expect("the workload is right");
    let content = Content::build(&plan.loads[0]).expect("a ratio in reach");
    let mut bytes = vec![0; SAMPLE_BYTES];
    content.fill(FileSlot(0), 0, 1, &mut bytes);
    bytes
}

type Compressor = Box<dyn FnMut(&[u8]) -> usize>;

/// What one extent comes to, with the tables kept from one to the next.
fn compressor(codec: RatioCodec) -> Compressor {
    match codec {
        RatioCodec::Zstd(level) => {
            let mut context = zstd::bulk::Compressor::new(level).expect("a level of zstd");
            let mut out = vec![0; zstd::zstd_safe::compress_bound(EXTENT_BYTES)];
            Box::new(move |extent| {
                let stored = context.compress_to_buffer(extent, &mut out[..]);
                stored.expect("the bound is enough").min(extent.len())
            })
        }
        RatioCodec::Lz4 => {
            let mut table = lz4_flex::block::CompressTable::large();
            let mut out = vec![0; lz4_flex::block::get_maximum_output_size(EXTENT_BYTES)];
            Box::new(move |extent| {
                let stored =
                    lz4_flex::block::compress_into_with_table(extent, &mut out, &mut table);
                stored.expect("the bound is enough").min(extent.len())
            })
        }
    }
}

/// The bands that docs/content.md declares for `name`, by codec: `| name | 1 to 2 | ... |` in the section on cost.
fn bands(document: &str, name: &str) -> Vec<(f64, f64)> {
    let (_, section) = document
        .split_once("## Cost bands")
        .expect("docs/content.md has a section on cost bands");
    let start = format!("| {name} |");
    let row = section.lines().find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("docs/content.md declares no cost of {name}"));
    row[start.len()..]
        .split('|')
        .filter_map(|field| {
            let (low, high) = field.split_once(" to ")?;
            Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
        })
        .collect()
}
