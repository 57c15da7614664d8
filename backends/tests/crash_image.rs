//! What a crash may and may not take from a recorded device.

use delalloc_backends::{
    AlignedBuf, Backend, BackendExt, CrashPlan, Durability, Fate, MemBackend, Recorder, Survivors,
    Sweep, Tear,
};
use proptest::prelude::*;

const CAPACITY_BYTES: u64 = 1 << 20;

fn recorder() -> Recorder {
    Recorder::new(MemBackend::with_block(CAPACITY_BYTES, 512))
}

fn write(device: &Recorder, offset: u64, fill: u8, durability: Durability) {
    let buf = AlignedBuf::copy_of(&[fill; 8192]);
    device
        .write_blocking(offset, buf, durability)
        .expect("memory takes it");
}

fn crash(device: &Recorder, at: u64, survivors: Survivors) -> Vec<u8> {
    let plan = CrashPlan {
        at,
        survivors,
        tear: Tear::Whole,
    };
    device.crash_image(&plan).image()
}

#[test]
fn flushed_and_forced_writes_survive_and_the_rest_is_loose() {
    let device = recorder();
    write(&device, 0, 1, Durability::Cached);
    device.flush_blocking().expect("flushes");
    write(&device, 8192, 2, Durability::Cached);
    write(&device, 16384, 3, Durability::Fua);
    let log = device.log();
    assert_eq!(
        log.fates(log.events()),
        [Fate::Durable, Fate::Absent, Fate::Loose, Fate::Durable]
    );
    let strict = crash(&device, log.events(), Survivors::None);
    assert_eq!((strict[0], strict[8192], strict[16384]), (1, 0, 3));
    let lax = crash(&device, log.events(), Survivors::All);
    assert_eq!((lax[0], lax[8192], lax[16384]), (1, 2, 3));
    let chosen = crash(&device, log.events(), Survivors::Chosen(vec![2]));
    assert_eq!(chosen[8192], 2);
}

#[test]
fn epochs_end_just_before_their_flush() {
    let device = recorder();
    write(&device, 0, 1, Durability::Cached);
    device.flush_blocking().expect("flushes");
    write(&device, 0, 2, Durability::Cached);
    let log = device.log();
    assert_eq!(log.epochs(), 2);
    assert_eq!(crash(&device, log.end_of_epoch(0), Survivors::None)[0], 0);
    assert_eq!(crash(&device, log.end_of_epoch(0), Survivors::All)[0], 1);
    assert_eq!(crash(&device, log.end_of_epoch(1), Survivors::None)[0], 1);
    assert_eq!(crash(&device, log.end_of_epoch(1), Survivors::All)[0], 2);
    assert_eq!(crash(&device, 0, Survivors::All)[0], 0);
}

#[test]
fn a_newer_loose_write_wins_over_an_older_durable_one_and_never_the_reverse() {
    let device = recorder();
    write(&device, 0, 1, Durability::Cached);
    write(&device, 0, 2, Durability::Fua);
    let events = device.log().events();
    assert_eq!(crash(&device, events, Survivors::All)[0], 2);
    write(&device, 0, 3, Durability::Cached);
    let events = device.log().events();
    assert_eq!(crash(&device, events, Survivors::All)[0], 3);
    assert_eq!(crash(&device, events, Survivors::None)[0], 2);
}

#[test]
fn a_torn_write_is_old_or_new_by_whole_pieces() {
    let device = recorder();
    write(&device, 0, 1, Durability::Fua);
    for offset in (0..CAPACITY_BYTES / 2).step_by(8192) {
        write(&device, offset, 2, Durability::Cached);
    }
    for piece_bytes in [512, 4096] {
        let plan = CrashPlan {
            at: device.log().events(),
            survivors: Survivors::All,
            tear: Tear::Pieces {
                bytes: piece_bytes,
                seed: 7,
            },
        };
        let image = device.crash_image(&plan).image();
        let pieces = image[..image.len() / 2].chunks(piece_bytes as usize);
        let total = pieces.len();
        let mut new = 0;
        for piece in pieces {
            assert!(piece.iter().all(|byte| byte == &piece[0]));
            new += usize::from(piece[0] == 2);
        }
        assert!(new > total / 4 && new < total * 3 / 4, "{new} of {total}");
    }
}

#[test]
fn bytes_from_before_the_log_and_discards_are_part_of_the_image() {
    let base = MemBackend::with_block(CAPACITY_BYTES, 512);
    let buf = AlignedBuf::copy_of(&[9; 4096]);
    base.write_blocking(0, buf, Durability::Cached)
        .expect("writes");
    let device = Recorder::new(base);
    device.discard_blocking(0, 512).expect("discards");
    let events = device.log().events();
    assert_eq!(crash(&device, events, Survivors::None)[0], 9);
    let gone = crash(&device, events, Survivors::All);
    assert_eq!(
        (gone[0], gone[512]),
        (MemBackend::DISCARDED_BYTE, 9),
        "a discard takes its range and no more"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Write { block: u64, forced: bool },
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u64, prop::bool::weighted(0.2))
            .prop_map(|(block, forced)| Step::Write { block, forced }),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every block of every crash image holds its last durable content or something newer.
    #[test]
    fn no_plan_loses_a_durable_write(steps in prop::collection::vec(step(), 1..40), seed: u64) {
        let device = recorder();
        // Per block: the newest durable version, the newest version; versions are step numbers.
        let (mut durable, mut newest) = ([0_u8; 8], [0_u8; 8]);
        for (number, step) in (1_u8..).zip(&steps) {
            match step {
                Step::Write { block, forced } => {
                    let buf = AlignedBuf::copy_of(&[number; 4096]);
                    let durability = if *forced { Durability::Fua } else { Durability::Cached };
                    device.write_blocking(block * 4096, buf, durability).expect("writes");
                    let slot = usize::try_from(*block).expect("small");
                    newest[slot] = number;
                    if *forced {
                        durable[slot] = number;
                    }
                }
                Step::Flush => {
                    device.flush_blocking().expect("flushes");
                    durable = newest;
                }
            }
        }
        let log = device.log();
        let last = CrashPlan {
            at: log.events(),
            survivors: Survivors::Random { seed, percent: 50 },
            tear: Tear::Pieces { bytes: 512, seed },
        };
        let image = device.crash_image(&last).image();
        for block in 0..8 {
            for piece in image[block * 4096..(block + 1) * 4096].chunks(512) {
                prop_assert!(piece[0] >= durable[block] && piece[0] <= newest[block]);
            }
        }
        let sweep = Sweep::share(3, seed);
        for at in sweep.moments(&log, &[]) {
            for plan in sweep.plans(&log, at) {
                prop_assert_eq!(device.crash_image(&plan).geometry(), device.geometry());
            }
        }
    }
}
