//! Random changes against the model, without crashes and with.

use delalloc_backends::Sweep;

use super::case;
use crate::crash::stage::{SMALL, Stage, blank};
use crate::crash::survey::Survey;
use crate::crash::{ace, load};
use crate::support::{Dice, config};

/// Every file reads as it was written, from the cache and from the device.
pub(crate) fn files_read_as_written() {
    for seed in 0..10 {
        let mut stage = Stage::new(blank(8 << 20, 4096), &config(&SMALL));
        let mut dice = Dice::new(seed);
        for step in 0..60 {
            case();
            let op = load::op(&mut dice, &stage);
            stage.apply(&op);
            if dice.once_in(6) {
                stage.apply(&crate::crash::stage::Op::DropCaches);
            }
            stage.compare(&format!("seed {seed} step {step}"));
        }
    }
}

/// A share of the short sequences.
pub(crate) fn short_sequences() {
    let mut dice = Dice::new(11);
    for _sequence in 0..250 {
        let number = dice.below(ace::sequences());
        let survey = Survey {
            config: ace::knobs(number),
            ..survey(number, 2, 4, 30)
        };
        ace::crash(number, &survey);
    }
}

/// Random loads, crashed.
pub(crate) fn random_loads() {
    for seed in 0..3 {
        for node_bytes in [4096, 1024] {
            let stage = load::run(seed, 40, blank(4 << 20, node_bytes), &config(&SMALL), false);
            survey(seed, 2, 40, 30).of(stage, &format!("seed {seed}"));
        }
    }
}

/// Random loads on little space beside a thread that commits all the time, crashed.
pub(crate) fn busy_loads() {
    let mut knobs = SMALL.to_vec();
    knobs.extend([
        ("dirty.background", "32KiB"),
        ("dirty.limit", "128KiB"),
        ("thread_pool_size", "3"),
        ("delalloc.idle_thresh", "1"),
    ]);
    for seed in 0..6 {
        let stage = load::run(seed, 60, blank(2 << 20, 1024), &config(&knobs), true);
        survey(seed, 2, 60, 20).of(stage, &format!("seed {seed}"));
    }
}

fn survey(seed: u64, plans: usize, moments: usize, deep_once_in: u64) -> Survey {
    Survey {
        sweep: Sweep::share(plans, seed),
        moments_max: Some(moments),
        deep_once_in,
        reopen: false,
        config: config(&SMALL),
    }
}
