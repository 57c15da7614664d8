//! Random changes of a few files, by seed: what there is to crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use delalloc_backends::MemBackend;
use delalloc_engine::{EngineConfig, FileRange};

use super::stage::{Op, Stage};
use crate::support::Dice;

const NAMES: [&str; 3] = ["first", "second", "third"];
const FILE_BYTES_MAX: u64 = 160 << 10;
const WRITE_BYTES_MAX: u64 = 48 << 10;

/// Something to do next.
pub(crate) fn op(dice: &mut Dice, stage: &Stage) -> Op {
    let name = *dice.pick(&NAMES);
    let at = dice.below(FILE_BYTES_MAX);
    match dice.below(20) {
        0..=1 => Op::Truncate {
            name,
            size_bytes: at,
        },
        2 => Op::Punch {
            name,
            range: FileRange::new(at, at + dice.below(WRITE_BYTES_MAX)),
        },
        3 => Op::Rename {
            from: name,
            to: NAMES[length(dice.below(3))],
        },
        4 => Op::Remove { name },
        5..=9 => Op::Sync { name },
        10 => Op::SyncAll,
        kind => {
            let size_bytes = stage.size_bytes(name).unwrap_or(0);
            let at = if kind < 15 { size_bytes } else { at };
            let bytes_max = FILE_BYTES_MAX.saturating_sub(at).min(WRITE_BYTES_MAX);
            let bytes = length(dice.below(bytes_max + 1));
            Op::Write {
                name,
                at,
                bytes: dice.bytes(bytes),
            }
        }
    }
}

/// A run of so many random changes, with another thread that syncs beside it if asked for.
pub(crate) fn run(
    seed: u64,
    steps: usize,
    base: MemBackend,
    config: &EngineConfig,
    beside: bool,
) -> Stage {
    let mut stage = Stage::new(base, config);
    let over = Arc::new(AtomicBool::new(false));
    let other = beside.then(|| sync_all_the_time(stage.beside(), &over));
    let mut dice = Dice::new(seed);
    for _step in 0..steps {
        let op = op(&mut dice, &stage);
        stage.apply(&op);
    }
    over.store(true, Ordering::SeqCst);
    if let Some(other) = other {
        let marks = other.join().expect("the other thread ends");
        stage.marks.extend(marks);
    }
    stage
}

/// Syncs a file of its own over and over, so that commits fall between the changes of others.
fn sync_all_the_time(mut stage: Stage, over: &Arc<AtomicBool>) -> JoinHandle<Vec<u64>> {
    let over = Arc::clone(over);
    let body = move || {
        for number in 0_u64.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            stage.apply(&Op::Write {
                name: "beside",
                at: 0,
                bytes: number.to_le_bytes().to_vec(),
            });
            stage.apply(&Op::Sync { name: "beside" });
        }
        stage.marks
    };
    Builder::new().spawn(body).expect("a thread starts")
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}
