//! Workloads of many files: one written by hand, others by seed.

use crate::support::Dice;

/// Files that are there at once.
pub(crate) const SLOTS: usize = 4;
/// No file of a random workload grows beyond.
const FILE_BYTES_MAX: u64 = 400 << 10;

/// One call of a user. A file is known by the slot it is in.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create(usize),
    Write {
        slot: usize,
        at: u64,
        len: usize,
        seed: u64,
    },
    Sync(usize),
    Truncate {
        slot: usize,
        size_bytes: u64,
    },
    Punch {
        slot: usize,
        start: u64,
        end: u64,
    },
    /// To a name that nobody has.
    Rename(usize),
    /// To the name of another, which is removed by that.
    Replace {
        slot: usize,
        by: usize,
    },
    /// Takes the name away; the handle is kept and read from then on.
    Remove(usize),
    SyncVolume,
    DropCaches,
    /// Reads everything and compares.
    ReadAll,
    /// Closes the volume and opens it again.
    Reopen,
}

fn write(slot: usize, at: u64, len: usize, seed: u64) -> Step {
    Step::Write {
        slot,
        at,
        len,
        seed,
    }
}

/// Everything a user can do, small and big, twice over.
pub(crate) fn by_hand() -> Vec<Step> {
    vec![
        Step::Create(0),
        write(0, 0, 3000, 1),
        Step::Sync(0),
        Step::Create(1),
        write(1, 0, 300_000, 2),
        Step::Sync(1),
        write(0, 1000, 9000, 3),
        Step::Sync(0),
        write(1, 100_000, 40_000, 4),
        write(1, 290_000, 90_000, 5),
        Step::Create(2),
        write(2, 0, 150_000, 6),
        Step::SyncVolume,
        Step::Truncate {
            slot: 1,
            size_bytes: 123_456,
        },
        Step::Sync(1),
        Step::Rename(0),
        Step::Sync(0),
        Step::Punch {
            slot: 1,
            start: 10_000,
            end: 90_000,
        },
        Step::Sync(1),
        Step::DropCaches,
        Step::ReadAll,
        write(1, 130_000, 60_000, 7),
        Step::Create(3),
        write(3, 20_000, 30_000, 8),
        Step::Sync(3),
        Step::Remove(2),
        Step::Sync(1),
        Step::Replace { slot: 0, by: 3 },
        Step::Sync(3),
        Step::Reopen,
        Step::ReadAll,
        write(1, 0, 200_000, 9),
        Step::DropCaches,
        Step::ReadAll,
        write(0, 0, 5000, 10),
        Step::Sync(0),
        write(1, 50_000, 10_000, 11),
    ]
}

/// What only the log has afterwards: pages, an extent, a name. Behind `by_hand`.
pub(crate) fn logged() -> Vec<Step> {
    vec![
        write(1, 400, 3000, 12),
        Step::Sync(1),
        Step::Create(2),
        write(2, 0, 50_000, 13),
        Step::Sync(2),
        Step::Rename(1),
        Step::Sync(1),
    ]
}

/// `steps` calls by seed. Those on a slot that holds no file are passed over.
pub(crate) fn by_seed(seed: u64, steps: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    (0..steps).map(|number| any(&mut dice, number)).collect()
}

fn any(dice: &mut Dice, number: usize) -> Step {
    let slot = dice.pick(&[0, 1, 2, 3]).to_owned();
    let at = dice.below(FILE_BYTES_MAX);
    match dice.below(100) {
        _ if number < 2 => Step::Create(number),
        0..8 => Step::Create(slot),
        8..45 => {
            // Small writes are as likely as big ones.
            let bytes_max = 1 << (8 + dice.below(11));
            Step::Write {
                slot,
                at: if dice.once_in(4) { 0 } else { at },
                len: usize::try_from(1 + dice.below(bytes_max)).expect("small"),
                seed: dice.below(u64::MAX),
            }
        }
        45..63 => Step::Sync(slot),
        63..69 => Step::Truncate {
            slot,
            size_bytes: at,
        },
        69..75 => Step::Punch {
            slot,
            start: at,
            end: at + 1 + dice.below(100 << 10),
        },
        75..78 => Step::Rename(slot),
        78..81 => Step::Replace {
            slot,
            by: (slot + 1) % SLOTS,
        },
        81..84 => Step::Remove(slot),
        84..88 => Step::SyncVolume,
        88..92 => Step::DropCaches,
        92..97 => Step::ReadAll,
        _ => Step::Reopen,
    }
}
