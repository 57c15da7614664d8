//! What verification has to remember: which version each block of each file holds.
//!
//! A write has an entry of its own, whose edges may cut two others in two: one entry for each write that stands behind the one before
//! it, two for each that stands apart, and never more than a file has places for edges. So it grows with the data set, and with the
//! operations only until each place was written once.
//!
//! Not here: the memory itself (`bench`, replay/versions).

use std::collections::HashMap;

use super::estimate::{Amount, job_ops, share, sizes};
use super::{
    AccessPlan, BlockPlan, FileSpan, JobPlan, LoadPlan, MixVerb, PhasePlan, Step, Verb, Work,
};

/// An entry: its share of a tree's node, which is a little more than half full where entries come in order.
pub const VERIFY_SEGMENT_BYTES: u64 = 160;
/// What the first entry of a file takes besides: the rest of a node.
pub const VERIFY_FIRST_BYTES: u64 = 704;
/// A file, whatever it holds.
pub const VERIFY_FILE_BYTES: u64 = 256;

/// Entries of the files that begin at one slot.
#[derive(Default)]
struct Entries {
    /// If every write made its own.
    by_writes: Option<u64>,
    /// Places for edges, by where they begin and how far they are apart.
    places: HashMap<(u64, u64), u64>,
    /// Something writes where no size is an end.
    is_open_ended: bool,
}

/// What one job may add.
struct Added {
    files: FileSpan,
    /// None where only the target knows.
    entries: Option<u64>,
    /// Where they begin, how far they are apart, how many.
    places: Option<((u64, u64), u64)>,
}

/// Memory at most; at least, where only the target knows how much is written.
pub(super) fn verification_bytes(load: &LoadPlan) -> Amount {
    let mut by_files: HashMap<u32, Entries> = HashMap::new();
    let mut sum = Amount {
        bytes: load.files.len() as u64 * (VERIFY_FILE_BYTES + VERIFY_FIRST_BYTES),
        is_at_least: false,
    };
    for phase in &load.phases {
        for job in &phase.jobs {
            if let Work::Trace(trace) | Work::Fill { trace, .. } = &job.work {
                sum = sum.plus(match trace.measured {
                    Some(measure) => entries_bytes(measure.entries, measure.files),
                    None => Amount {
                        is_at_least: true,
                        ..Amount::default()
                    },
                });
            }
            let Some(added) = added(load, phase, job) else {
                continue;
            };
            let known = by_files
                .entry(added.files.first.0)
                .or_insert_with(|| Entries {
                    by_writes: Some(0),
                    ..Entries::default()
                });
            known.by_writes = known
                .by_writes
                .zip(added.entries)
                .map(|(sum, more)| sum.saturating_add(more));
            match added.places {
                Some((grid, places)) => {
                    let known = known.places.entry(grid).or_default();
                    *known = (*known).max(places);
                }
                None => known.is_open_ended = true,
            }
        }
    }
    by_files.values().map(Entries::most).fold(sum, Amount::plus)
}

fn entries_bytes(entries: u64, files: u64) -> Amount {
    Amount {
        bytes: entries
            .saturating_mul(VERIFY_SEGMENT_BYTES)
            .saturating_add(files.saturating_mul(VERIFY_FILE_BYTES + VERIFY_FIRST_BYTES)),
        is_at_least: false,
    }
}

impl Entries {
    fn most(&self) -> Amount {
        let places = self.places.values().copied();
        let places = places.fold(0, u64::saturating_add);
        match self.by_writes {
            Some(writes) if self.is_open_ended => entries_bytes(writes, 0),
            Some(writes) => entries_bytes(writes.min(places), 0),
            None => Amount {
                is_at_least: self.is_open_ended,
                ..entries_bytes(places, 0)
            },
        }
    }
}

/// What a job of made-up work adds; none where it changes nothing.
fn added(load: &LoadPlan, phase: &PhasePlan, job: &JobPlan) -> Option<Added> {
    let ops = job_ops(load, phase, job);
    match &job.work {
        Work::Access(access) => of_access(load, access, ops),
        Work::Append { files, .. } => Some(Added {
            files: *files,
            entries: ops.map(whole_up),
            places: None,
        }),
        Work::Each {
            files,
            steps,
            block: Some(block),
        } => of_each(load, *files, steps, block, ops),
        Work::Each { .. }
        | Work::Truncate { .. }
        | Work::Create { .. }
        | Work::Remove { .. }
        | Work::Rename { .. }
        | Work::Sync { .. }
        | Work::Fill { .. }
        | Work::Trace(_) => None,
    }
}

fn of_access(load: &LoadPlan, access: &AccessPlan, ops: Option<f64>) -> Option<Added> {
    let changes = |verb| matches!(verb, MixVerb::Write | MixVerb::Append | MixVerb::Trim);
    let (part, appends) = match access.verb {
        _ if !access.mix.is_empty() => (
            share(access, changes),
            access.mix.iter().any(|one| one.verb == MixVerb::Append),
        ),
        Verb::Read => (0.0, false),
        Verb::Write | Verb::Trim => (1.0, false),
        Verb::Mix {
            read_weight,
            write_weight,
        } => {
            let all = f64::from(read_weight) + f64::from(write_weight);
            (f64::from(write_weight) / all, false)
        }
    };
    if part == 0.0 {
        return None;
    }
    let block = access.write_block.as_ref().unwrap_or(&access.block);
    let is_apart = access.pattern.is_drawn() || !access.mix.is_empty();
    let each = if is_apart { 2.0 } else { 1.0 };
    let files = access.files;
    Some(Added {
        files,
        entries: ops.map(|ops| whole_up(ops * part * each)),
        places: (!appends).then(|| {
            let all_bytes = if access.whole_files {
                sizes(load, files)
            } else {
                access.region_bytes.saturating_mul(u64::from(files.count))
            };
            let grid = grid_bytes(block);
            let places = (all_bytes / grid).saturating_add(u64::from(files.count));
            ((access.region_start % grid, grid), places)
        }),
    })
}

/// A file is made afresh or grows by a block, once for each lap.
fn of_each(
    load: &LoadPlan,
    files: FileSpan,
    steps: &[Step],
    block: &BlockPlan,
    ops: Option<f64>,
) -> Option<Added> {
    let appends = steps.iter().filter(|step| **step == Step::Append).count() as u64;
    let writes = steps.contains(&Step::Write);
    if !writes && appends == 0 {
        return None;
    }
    let is_emptied = |step: &Step| matches!(step, Step::Create | Step::Remove);
    let is_bounded = appends == 0 || steps.iter().any(is_emptied);
    let grid = grid_bytes(block);
    let written = if writes { sizes(load, files) / grid } else { 0 };
    let files_count = u64::from(files.count);
    let places = written.saturating_add(files_count.saturating_mul(appends + 1));
    Some(Added {
        files,
        entries: ops.map(whole_up),
        places: is_bounded.then_some(((0, grid), places)),
    })
}

/// How far edges are apart at least: blocks begin at multiples of one number and have several sizes.
fn grid_bytes(block: &BlockPlan) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let sizes = block.sizes.iter().map(|size| size.bytes);
    let step = block.step_bytes.unwrap_or(0);
    sizes.chain([step]).fold(block.align_bytes, gcd).max(1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; the cast saturates"
)]
fn whole_up(amount: f64) -> u64 {
    amount.ceil() as u64
}
