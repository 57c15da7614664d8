//! Every short sequence of operations, crashed: most crash bugs ever found need three operations and a
//! sync.
//!
//! A run takes a seeded share of the sequences. `DELALLOC_ACE=all` takes all of them, and
//! `DELALLOC_ACE=n` n of them; `DELALLOC_SEED` chooses which, and which crashes
//! of each, at its end and at `DELALLOC_MOMENTS` other moments; with `DELALLOC_CRASH=all` it is every moment, and every plan of the
//! sweep instead of a seeded share. What is promised is in `crash/mod.rs`, what a sequence is in `crash/ace.rs`.

mod crash;
mod support;

use std::env;

use crash::ace;
use crash::survey::{Counts, Survey, number};
use delalloc_backends::Sweep;
use support::Dice;

/// Sequences of a run that is not asked for more.
const SHARE: u64 = 300;

#[test]
fn short_sequences_keep_the_promise() {
    let seed = number("DELALLOC_SEED", 1);
    let all = ace::sequences();
    let numbers: Vec<u64> = match env::var("DELALLOC_ACE").as_deref() {
        Ok("all") => (0..all).collect(),
        _ => {
            let mut dice = Dice::new(seed);
            let count = number("DELALLOC_ACE", SHARE);
            (0..count).map(|_| dice.below(all)).collect()
        }
    };
    let moments = number("DELALLOC_MOMENTS", 3);
    let whole = env::var("DELALLOC_CRASH").is_ok_and(|how| how == "all");
    let mut counts = Counts::default();
    for &sequence in &numbers {
        let sweep = match whole {
            true => Sweep::whole(seed ^ sequence),
            false => Sweep::share(3, seed ^ sequence),
        };
        let survey = Survey {
            sweep,
            moments_max: (!whole).then_some(1 + usize::try_from(moments).expect("a count")),
            deep_once_in: 40,
            reopen: false,
            config: ace::knobs(sequence),
        };
        counts.add(ace::crash(sequence, &survey));
    }
    assert!(
        counts.images > numbers.len() as u64,
        "few crashes: {counts:?}"
    );
    println!(
        "ace: seed={seed} sequences={} of={all} images={} recoveries={} lives={}",
        numbers.len(),
        counts.images,
        counts.recoveries,
        counts.lives
    );
}
