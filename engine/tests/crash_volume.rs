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
use std::sync::Arc;

use crash::load;
use crash::oracle::{Found, Oracle};
use crash::stage::{SMALL, blank};
use crash::survey::{Counts, Survey, number};
use delalloc_backends::{Backend, Recorder, Sweep};
use delalloc_engine::FileId;
use support::{Dice, config, open};

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
    let past_the_log = [("log.inline_max", "0")];
    let parallel = [
        ("dirty.background", "32KiB"),
        ("dirty.limit", "128KiB"),
        ("thread_pool_size", "3"),
        ("delalloc.idle_thresh", "1"),
    ];
    for seed in seed..seed + seeds {
        counts.add(crash(seed, "quiet", 4096, &[], false));
        counts.add(crash(seed, "deep", 1024, &past_the_log, false));
        counts.add(crash(seed, "busy", 4096, &busy, true));
        counts.add(crash(seed, "parallel", 1024, &parallel, true));
    }
    assert!(counts.images > 100 * seeds, "few crashes: {counts:?}");
    println!(
        "crash: seed={seed} seeds={seeds} images={} recoveries={} lives={}",
        counts.images, counts.recoveries, counts.lives
    );
}

fn found(name: &str, file: u64, bytes: &[u8]) -> Found {
    Found {
        name: name.to_owned(),
        file: FileId(file),
        bytes: bytes.to_vec(),
    }
}

/// The oracle itself: two files, one of which takes the other's name; syncs at 10 and at 30.
/// Extents that are written whole and go home each time: after any crash each is one of its contents, and at least the last
/// that was synced.
#[test]
fn an_extent_is_old_or_new_as_a_whole() {
    const EXTENT: usize = 16 << 10;
    const EXTENTS: usize = 4;
    let seed = number("DELALLOC_SEED", 1);
    let mut images = 0_u64;
    for codec in ["none", "zstd"] {
        let knobs = [
            &SMALL[..],
            &[("log.inline_max", "0"), ("compression.codec", codec)],
        ]
        .concat();
        let recorder = Arc::new(Recorder::new(blank(4 << 20, 4096)));
        let volume = open(
            &(Arc::clone(&recorder) as Arc<dyn Backend>),
            &config(&knobs),
        );
        let file = volume.create("file").expect("a new file");
        let mut dice = Dice::new(seed);
        // Of each extent all that it has held, and how many of them were there at each sync.
        let mut contents = vec![vec![vec![0; EXTENT]]; EXTENTS];
        let mut synced: Vec<(u64, [usize; EXTENTS])> = Vec::new();
        for step in 0..60_u64 {
            let number = usize::try_from(dice.below(EXTENTS as u64)).expect("small");
            let bytes = match dice.once_in(2) {
                true => Dice::new(seed ^ step << 8).noise(EXTENT),
                false => Dice::new(seed ^ step << 8).text(EXTENT),
            };
            let at = (number * EXTENT) as u64;
            file.write_at(at, &bytes).expect("a write fits");
            contents[number].push(bytes);
            if dice.once_in(3) {
                match dice.once_in(4) {
                    true => volume.sync(),
                    false => file.sync(),
                }
                .expect("a sync");
                let held = std::array::from_fn(|number| contents[number].len());
                synced.push((recorder.events(), held));
            }
        }
        let log = recorder.log();
        drop((file, volume));
        let sweep = Sweep::share(3, seed);
        let marks: Vec<u64> = synced.iter().map(|(at, _)| *at).collect();
        for at in sweep.moments(&log, &marks) {
            let point = recorder.crash_point(at);
            let of_sync = synced.iter().rev().find(|(synced, _)| *synced <= at);
            let known = of_sync.map_or([0; EXTENTS], |(_, held)| *held);
            for plan in sweep.plans(&log, at) {
                images += 1;
                let image: Arc<dyn Backend> = Arc::new(point.image(&plan.survivors, plan.tear));
                let volume = open(&image, &config(&SMALL));
                let Ok(file) = volume.open_file("file") else {
                    assert_eq!(known, [0; EXTENTS], "{plan:?}: it was synced");
                    continue;
                };
                for (number, contents) in contents.iter().enumerate() {
                    let mut found = vec![0; EXTENT];
                    file.read_at((number * EXTENT) as u64, &mut found)
                        .expect("a read");
                    let oldest = known[number].saturating_sub(1);
                    let is_one = contents[oldest..].contains(&found);
                    assert!(is_one, "{plan:?}: extent {number} is a mix, or too old");
                }
            }
        }
    }
    println!("whole extents: {images} images");
    assert!(images > 100, "few crashes: {images}");
}

#[test]
fn the_oracle_refuses_what_was_not_promised() {
    let mut oracle = Oracle::default();
    let (first, second) = (
        oracle.created(1, "first", FileId(1)),
        oracle.created(2, "second", FileId(2)),
    );
    for (object, began, byte) in [(first, 3, 1), (second, 4, 2)] {
        oracle.changed(object, began, vec![byte; 5000]);
        oracle.settled(object);
    }
    let covered = oracle.cover_all();
    oracle.promise(&covered, 10);
    oracle.changed(first, 20, vec![3; 9000]);
    oracle.settled(first);
    oracle.renamed(first, 21, "second", Some(second));
    let covered = oracle.cover(first);
    oracle.promise(&covered, 30);

    let (old, new) = ([1; 5000], [3; 9000]);
    let other = found("second", 2, &[2; 5000]);
    let judge = |at, shown: &[Found]| oracle.judge(at, shown).is_ok();
    // Before the first sync anything up to then may be missing, and nothing later be there.
    assert!(judge(5, &[]) && judge(5, &[found("first", 1, &old)]));
    assert!(!judge(5, &[found("first", 1, &new)]) && !judge(1, std::slice::from_ref(&other)));
    // After it both are there, each page whole, old or new, under the old or the new name.
    assert!(!judge(15, &[found("first", 1, &old)]), "one is missing");
    assert!(judge(15, &[found("first", 1, &old), other.clone()]));
    assert!(!judge(15, &[found("second", 1, &old)]), "renamed too soon");
    let mut half = new;
    half[..4096].fill(1);
    assert!(judge(25, &[found("second", 1, &half)]), "page by page");
    half[..100].fill(3);
    assert!(!judge(25, &[found("second", 1, &half)]), "a torn page");
    assert!(
        judge(25, &[found("second", 1, &new[..6000])]),
        "a size between"
    );
    assert!(!judge(25, &[found("second", 1, &old[..4000])]), "too short");
    // After the second the new name and content hold, and what was replaced is gone.
    assert!(judge(30, &[found("second", 1, &new)]));
    assert!(!judge(30, &[found("first", 1, &new)]), "an older name");
    assert!(!judge(30, &[found("second", 1, &old)]), "older bytes");
    assert!(!judge(30, &[found("second", 1, &new), other]), "replaced");
    assert!(!judge(
        30,
        &[found("second", 1, &new), found("third", 3, &[])]
    ));
}
