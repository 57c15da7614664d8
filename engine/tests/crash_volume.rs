//! What crashes leave of a volume under a random load: at both sides of every flush and forced write, at
//! the return of every sync, and in between; with every subset of the writes that no flush covers where
//! they are few, else those of the sweep, whole and torn.
//!
//! The promise is in `crash/mod.rs`. `DELALLOC_CASES` is how many seeds are run (each in four settings),
//! `DELALLOC_SEED` the first; with `DELALLOC_CRASH=all` every plan of the sweep is carried out instead of
//! a seeded share.

mod crash;
mod support;

use std::env;

use crash::load;
use crash::stage::{SMALL, blank};
use crash::survey::{Counts, Survey};
use delalloc_backends::Sweep;
use support::config;

fn number(name: &str, otherwise: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => otherwise,
    }
}

/// One seed in one setting.
fn crash(seed: u64, what: &str, node_bytes: u32, knobs: &[(&str, &str)], beside: bool) -> Counts {
    let mut small = SMALL.to_vec();
    small.extend(knobs);
    let knobs = config(&small);
    let whole = env::var("DELALLOC_CRASH").is_ok_and(|how| how == "all");
    let survey = Survey {
        sweep: if whole {
            Sweep::whole(seed)
        } else {
            Sweep::share(2, seed)
        },
        moments_max: (!whole).then_some(40),
        deep_once_in: 30,
        reopen: true,
        config: config(&SMALL),
    };
    let stage = load::run(seed, 40, blank(4 << 20, node_bytes), &knobs, beside);
    survey.of(stage, &format!("seed {seed} {what}"))
}

#[test]
fn a_crash_leaves_what_was_synced() {
    let seed = number("DELALLOC_SEED", 1);
    let seeds = number("DELALLOC_CASES", 5);
    let mut counts = Counts::default();
    let busy = [("dirty.background", "32KiB"), ("dirty.limit", "128KiB")];
    let parallel = [
        ("dirty.background", "32KiB"),
        ("dirty.limit", "128KiB"),
        ("thread_pool_size", "3"),
        ("delalloc.idle_thresh", "1"),
    ];
    for seed in seed..seed + seeds {
        counts.add(crash(seed, "quiet", 4096, &[], false));
        counts.add(crash(seed, "deep", 1024, &[], false));
        counts.add(crash(seed, "busy", 4096, &busy, true));
        counts.add(crash(seed, "parallel", 1024, &parallel, true));
    }
    assert!(counts.images > 100 * seeds, "few crashes: {counts:?}");
    println!(
        "crash: seed={seed} seeds={seeds} images={} recoveries={} lives={}",
        counts.images, counts.recoveries, counts.lives
    );
}
