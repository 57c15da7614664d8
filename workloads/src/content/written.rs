//! In what pieces a load writes its contents, as a codec gets to see them.
//!
//! A codec gets what lies side by side in a file and is dirty at once, up to an extent. Writes one after the other fill whole extents,
//! each write in a version of its own; a write that goes elsewhere is an extent by itself, of whole pages. Between these two lies
//! what a real cache does, where pages written at random meet by chance: not foreseen here, nor is what a recording writes.

use super::codec::PIECE_BYTES;
use super::dedupe::Shown;
use crate::op::FileSlot;
use crate::plan::{
    AccessPlan, BlockPlan, ContentPlan, FileSpan, LoadPlan, MixShare, MixVerb, PatternPlan,
    RunLength, Step, SyncEveryPlan, Verb, Work,
};
use crate::random::Dice;

/// What is compressed is whole pages.
const PAGE_BYTES: u64 = 4096;
const EXTENT_BYTES: u64 = PIECE_BYTES as u64;
/// So many ways of writing one content are told apart: those that the most bytes of their jobs are written in.
const SHAPES_MAX: usize = 6;
/// Extents are looked at in places of so much of a file.
const REGION_BYTES: u64 = 1 << 30;
const FILE: FileSlot = FileSlot(0);

/// Writes of one size, and what a codec gets of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// Of one write.
    pub(super) block_bytes: u64,
    /// Of an extent.
    pub(super) extent_bytes: u64,
    /// Writes begin at multiples of this, a power of two within an extent.
    grain_bytes: u64,
}

impl Shape {
    fn new(block_bytes: u64, align_bytes: u64, in_a_row: u64, room_bytes: u64) -> Self {
        let zeros = align_bytes.trailing_zeros();
        let grain_bytes = 1 << zeros.min(EXTENT_BYTES.trailing_zeros());
        // How far into a page a write may begin.
        let into_page = PAGE_BYTES.saturating_sub(grain_bytes);
        let alone = (into_page + block_bytes).next_multiple_of(PAGE_BYTES);
        let row = block_bytes.saturating_mul(in_a_row).min(EXTENT_BYTES);
        let room = room_bytes
            .clamp(1, EXTENT_BYTES)
            .next_multiple_of(PAGE_BYTES);
        let extent_bytes = alone.max(row.next_multiple_of(PAGE_BYTES)).min(room);
        Self {
            block_bytes,
            extent_bytes,
            grain_bytes,
        }
    }

    /// Extents are what one write wrote, and as large as they get.
    pub(super) fn is_whole(&self) -> bool {
        self.block_bytes.is_multiple_of(EXTENT_BYTES) && self.grain_bytes == EXTENT_BYTES
    }

    /// Fills `extent` as it lies somewhere in a file, by `fill`, write by write; `version` is that of the next write.
    pub(super) fn fill_extent(
        &self,
        version: &mut u64,
        dice: &mut Dice,
        extent: &mut [u8],
        mut fill: impl FnMut(Shown, &mut [u8]),
    ) {
        let write_at = dice.below(REGION_BYTES / self.grain_bytes) * self.grain_bytes;
        let start = write_at / PAGE_BYTES * PAGE_BYTES;
        let mut done = 0;
        // What lies in the pages beside the write was written in the same way before.
        let mut bytes = match (write_at - start) % self.block_bytes {
            0 => self.block_bytes,
            before => before,
        };
        while done < self.extent_bytes {
            let bytes_now = bytes.min(self.extent_bytes - done);
            let range = index(done)..index(done + bytes_now);
            let at = Shown {
                file: FILE,
                offset: start + done,
                version: *version,
            };
            fill(at, &mut extent[range]);
            *version += 1;
            done += bytes_now;
            bytes = self.block_bytes;
        }
    }
}

/// How `loads` write `content`, the smallest writes first.
pub(super) fn shapes(loads: &[&LoadPlan], content: &ContentPlan) -> Vec<Shape> {
    let mut found: Vec<(Shape, f64)> = Vec::new();
    for load in loads {
        let jobs = load.phases.iter().flat_map(|phase| &phase.jobs);
        for job in jobs {
            for (files, shape, weight) in shapes_of(&job.work, load) {
                // Instances of one file have one content.
                let own = load.files.get(files.first.0 as usize);
                let own = own.and_then(|file| file.content.as_ref());
                if own.unwrap_or(&load.content) != content {
                    continue;
                }
                match found.iter_mut().find(|(known, _)| *known == shape) {
                    Some((_, sum)) => *sum += weight,
                    None => found.push((shape, weight)),
                }
            }
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(SHAPES_MAX);
    let mut shapes: Vec<Shape> = found.into_iter().map(|(shape, _)| shape).collect();
    shapes.sort_unstable();
    shapes
}

/// The writes of a job, with the share of its bytes that each size has.
fn shapes_of(work: &Work, load: &LoadPlan) -> Vec<(FileSpan, Shape, f64)> {
    match work {
        Work::Access(plan) => shapes_of_access(plan),
        Work::Append {
            files,
            block,
            syncs,
        } => of_block(*files, block, between_syncs(*syncs), u64::MAX),
        Work::Each {
            files,
            steps,
            block: Some(block),
        } => {
            let file = &load.files[files.first.0 as usize];
            let mut found = Vec::new();
            if steps.contains(&Step::Write) {
                let room_bytes = file.size_bytes.unwrap_or(u64::MAX);
                found.extend(of_block(*files, block, u64::MAX, room_bytes));
            }
            if steps.contains(&Step::Append) {
                found.extend(of_block(*files, block, 1, u64::MAX));
            }
            found
        }
        Work::Each { block: None, .. }
        | Work::Truncate { .. }
        | Work::Create { .. }
        | Work::Remove { .. }
        | Work::Rename { .. }
        | Work::Sync { .. }
        | Work::Trace(_)
        | Work::Fill { .. } => Vec::new(),
    }
}

fn shapes_of_access(plan: &AccessPlan) -> Vec<(FileSpan, Shape, f64)> {
    let appends = |share: &MixShare| share.verb == MixVerb::Append && share.weight > 0;
    let (writes, is_alone) = match plan.verb {
        Verb::Write => (true, plan.mix.is_empty()),
        Verb::Mix {
            read_weight,
            write_weight,
        } => (write_weight > 0, read_weight == 0 && plan.mix.is_empty()),
        Verb::Read | Verb::Trim => (false, false),
    };
    let mut found = Vec::new();
    let block = plan.write_block.as_ref().unwrap_or(&plan.block);
    if writes {
        // Between two writes of a mix lies what it reads.
        let in_pattern = if is_alone {
            in_a_row(&plan.pattern, block)
        } else {
            1
        };
        let row = in_pattern.min(between_syncs(plan.syncs));
        found.extend(of_block(plan.files, block, row, plan.region_bytes));
    }
    if plan.mix.iter().any(appends) {
        found.extend(of_block(
            plan.files,
            block,
            between_syncs(plan.syncs),
            u64::MAX,
        ));
    }
    found
}

/// How many writes of a pattern lie side by side.
fn in_a_row(pattern: &PatternPlan, block: &BlockPlan) -> u64 {
    match *pattern {
        PatternPlan::Sequential | PatternPlan::Backward | PatternPlan::Interleaved { .. } => {
            u64::MAX
        }
        PatternPlan::Stride { stride_bytes, .. } if stride_bytes <= block.largest() => u64::MAX,
        PatternPlan::Runs(RunLength::Fixed(ops)) => ops,
        PatternPlan::Runs(RunLength::Jumps(share)) => mean_run(share),
        _ => 1,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of operations, saturating"
)]
fn mean_run(jumps: f64) -> u64 {
    (1.0 / jumps).round().max(1.0) as u64
}

fn between_syncs(syncs: SyncEveryPlan) -> u64 {
    match syncs.fsync_every.max(syncs.fdatasync_every) {
        0 => u64::MAX,
        every => every,
    }
}

fn of_block(
    files: FileSpan,
    block: &BlockPlan,
    in_a_row: u64,
    room_bytes: u64,
) -> Vec<(FileSpan, Shape, f64)> {
    let bytes = |bytes: u64, weight: f64| bytes as f64 * weight;
    let all: f64 = block
        .sizes
        .iter()
        .map(|size| bytes(size.bytes, size.weight))
        .sum();
    let sizes = block.sizes.iter().filter(|size| size.weight > 0.0);
    sizes
        .map(|size| {
            let shape = Shape::new(size.bytes, block.align_bytes, in_a_row, room_bytes);
            (files, shape, bytes(size.bytes, size.weight) / all)
        })
        .collect()
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("within an extent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checks, load_str};

    /// Block and extent of what `job` writes into `t`, in KiB.
    fn of(job: &str) -> Vec<(f64, u64)> {
        let text = format!(
            "version: 1\ntargets: {{ n: null }}\ncontent: random\nfiles: {{ t: {{ size: 64MiB }}, log: {{}} }}\nphases: [{{ name: p, duration: 9s, jobs: [{job}] }}]\n"
        );
        let plan = load_str(&text, "w", &[], Checks::none()).unwrap();
        let found = shapes(&[&plan.loads[0]], &ContentPlan::Random);
        found
            .iter()
            .map(|shape| (shape.block_bytes as f64 / 1024.0, shape.extent_bytes >> 10))
            .collect()
    }

    #[test]
    fn what_is_written_in_a_row_fills_extents_and_what_is_not_does_not() {
        for (job, wanted) in [
            ("{ write: t, block: 4KiB }", vec![(4.0, 128)]),
            ("{ write: t, block: 4KiB, pattern: random }", vec![(4.0, 4)]),
            (
                "{ write: t, block: 4KiB, pattern: { zipf: 1.1 } }",
                vec![(4.0, 4)],
            ),
            (
                "{ write: t, block: 1MiB, pattern: random }",
                vec![(1024.0, 128)],
            ),
            ("{ write: t, block: 512B, pattern: random }", vec![(0.5, 4)]),
            // A page at either end is written in part.
            (
                "{ write: t, block: 8KiB, align: 512B, pattern: random }",
                vec![(8.0, 12)],
            ),
            (
                "{ append: log, block: 4KiB, fsync_every: 1 }",
                vec![(4.0, 4)],
            ),
            (
                "{ append: log, block: 4KiB, fsync_every: 4 }",
                vec![(4.0, 16)],
            ),
            (
                "{ mix: { read: 70, write: 30 }, file: t, block: 16KiB }",
                vec![(16.0, 16)],
            ),
            ("{ sync: t, rate: 1/s }", vec![]),
            (
                "{ write: t, block: 1MiB }, { write: t, block: { 4KiB: 90, 64KiB: 10 }, pattern: random }",
                vec![(4.0, 4), (64.0, 64), (1024.0, 128)],
            ),
        ] {
            assert_eq!(of(job), wanted, "{job}");
        }
    }

    #[test]
    fn files_with_content_of_their_own_are_written_in_ways_of_their_own() {
        let text = "version: 1\ntargets: { n: null }\ncontent: random\nfiles: { t: { size: 1MiB }, z: { size: 1MiB, content: zeros } }\nphases: [{ name: p, jobs: [{ write: t, block: 64KiB }, { write: z, block: 8KiB, pattern: random }] }]\n";
        let plan = load_str(text, "w", &[], Checks::none()).unwrap();
        let blocks = |content| {
            let found = shapes(&[&plan.loads[0]], &content);
            found
                .iter()
                .map(|shape| shape.block_bytes >> 10)
                .collect::<Vec<_>>()
        };
        assert_eq!(blocks(ContentPlan::Random), [64]);
        assert_eq!(blocks(ContentPlan::Zeros), [8]);
        assert!(blocks(ContentPlan::Ratio(2.0)).is_empty());
    }

    #[test]
    fn an_extent_is_every_byte_of_it_once_in_writes_of_the_block_size() {
        let mut dice = Dice::new(&[1]);
        for (block_bytes, align_bytes, in_a_row) in [
            (4096, 4096, u64::MAX),
            (8192, 512, 1),
            (512, 512, 1),
            (3000, 8, 7),
        ] {
            let shape = Shape::new(block_bytes, align_bytes, in_a_row, u64::MAX);
            let mut extent = vec![0; index(shape.extent_bytes)];
            let (mut version, mut ends) = (1, Vec::new());
            for _ in 0..50 {
                extent.fill(0);
                let mut from = None;
                shape.fill_extent(&mut version, &mut dice, &mut extent, |at, part| {
                    assert!(part.len() as u64 <= block_bytes && at.version > 0);
                    assert_eq!(at.offset, *from.get_or_insert(at.offset));
                    from = Some(at.offset + part.len() as u64);
                    part.fill(1);
                    ends.push(at.offset);
                });
                assert!(extent.iter().all(|byte| *byte == 1), "{shape:?}");
            }
            assert_eq!(ends.len() as u64, version - 1, "each write has a version");
        }
    }
}
