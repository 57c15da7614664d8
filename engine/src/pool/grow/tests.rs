//! The roster against the table of thresholds, and its accounts under random use.

use super::*;

const THREADS: usize = 8;

fn roster(idle_thresh: usize) -> Roster {
    let rules = Rules {
        threads_max: THREADS,
        grow_at: idle_thresh,
        batch: idle_thresh,
        idle_below: idle_thresh / 2,
    };
    Roster::new(rules, 1)
}

fn filled(idle_thresh: usize) -> Roster {
    let mut roster = roster(idle_thresh);
    while roster.busy.len() < THREADS {
        roster.pick();
    }
    roster
}

/// One row per threshold: the backlog of one worker before the next is opened; the backlog at which
/// it turns idle again; items until all eight are busy; the run of items in turn.
const TABLE: [(usize, usize, Option<usize>, usize, usize); 6] = [
    (1, 1, None, 8, 1),
    (2, 2, Some(0), 16, 2),
    (4, 4, Some(1), 32, 4),
    (16, 16, Some(7), 128, 16),
    (32, 32, Some(15), 256, 32),
    (64, 64, Some(31), 512, 64),
];

#[test]
fn workers_open_one_by_one_as_backlogs_fill() {
    for (thresh, grows_after, _, all_busy_after, _) in TABLE {
        let mut roster = roster(thresh);
        for item in 0..all_busy_after {
            assert!(roster.busy.len() < THREADS, "{thresh}: busy after {item}");
            let expected = Pick {
                seat: Seat(item / grows_after),
                opened: item >= grows_after && item % grows_after == 0,
            };
            assert_eq!(roster.pick(), expected, "{thresh}: item {item}");
        }
        assert_eq!(roster.busy.len(), THREADS, "{thresh}");
        assert_eq!(roster.turns(), (0, 8), "{thresh}");
    }
}

#[test]
fn a_worker_turns_idle_below_half_of_the_threshold() {
    for (thresh, _, idle_again_at, _, _) in TABLE {
        let mut roster = filled(thresh);
        let seat = Seat(3);
        let turned_at = (0..thresh).rev().find(|_| {
            roster.finish(seat);
            roster.idle.contains(&seat)
        });
        assert_eq!(turned_at, idle_again_at, "{thresh}");
    }
}

#[test]
fn busy_workers_get_a_batch_each_in_turn() {
    for (thresh, _, _, _, batch) in TABLE {
        let mut roster = filled(thresh);
        for round in 0..2 {
            for seat in 0..THREADS {
                for item in 0..batch {
                    let pick = roster.pick();
                    assert_eq!(pick.seat, Seat(seat), "{thresh}: {round} {item}");
                }
            }
        }
    }
}

#[test]
fn the_last_to_turn_idle_is_used_first_and_stays_in_use() {
    let mut roster = filled(4);
    for seat in [Seat(2), Seat(5)] {
        for _ in 0..4 {
            roster.finish(seat);
        }
    }
    let picks: Vec<Seat> = (0..8).map(|_| roster.pick().seat).collect();
    let expected = [5, 5, 5, 5, 2, 2, 2, 2].map(Seat);
    assert_eq!(picks, expected);
}

#[test]
fn the_three_parts_of_the_threshold_act_apart() {
    let rules = Rules {
        threads_max: 2,
        grow_at: 3,
        batch: 1,
        idle_below: 3,
    };
    let mut roster = Roster::new(rules, 1);
    let picks: Vec<usize> = (0..9).map(|_| roster.pick().seat.0).collect();
    assert_eq!(picks, [0, 0, 0, 1, 1, 1, 0, 1, 0]);
    for _ in 0..3 {
        roster.finish(Seat(0));
    }
    assert_eq!(roster.idle, [Seat(0)]);
}

#[test]
fn all_workers_may_be_there_from_the_start() {
    let rules = Rules {
        threads_max: 3,
        grow_at: 1,
        batch: 1,
        idle_below: 0,
    };
    let mut roster = Roster::new(rules, 3);
    let picks: Vec<Pick> = (0..4).map(|_| roster.pick()).collect();
    assert!(picks.iter().all(|pick| !pick.opened));
    assert_eq!(roster.workers_now(), 3);
}

#[test]
fn a_withdrawn_worker_gets_nothing_and_none_is_opened_after_it() {
    let mut roster = roster(1);
    roster.pick();
    assert!(roster.pick().opened);
    roster.withdraw(Seat(1));
    for _ in 0..5 {
        assert_eq!(
            roster.pick(),
            Pick {
                seat: Seat(0),
                opened: false
            }
        );
    }
    assert_eq!((roster.workers_now(), roster.backlog()), (1, 6));
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn backlogs_return_to_zero(
            thresh in 1usize..70,
            threads in 1usize..10,
            steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400),
        ) {
            let rules = Rules {
                threads_max: threads,
                grow_at: thresh,
                batch: thresh,
                idle_below: thresh / 2,
            };
            let mut roster = Roster::new(rules, 1);
            let mut held: Vec<Seat> = Vec::new();
            for (submit, which) in steps {
                if submit {
                    held.push(roster.pick().seat);
                } else if !held.is_empty() {
                    let seat = held.swap_remove(which.index(held.len()));
                    roster.finish(seat);
                }
                prop_assert_eq!(roster.backlog(), held.len());
                prop_assert!(roster.workers_now() <= threads);
                for (index, worker) in roster.workers.iter().enumerate() {
                    let idle = roster.idle.iter().filter(|seat| seat.0 == index).count();
                    let busy = roster.busy.iter().filter(|seat| seat.0 == index).count();
                    prop_assert_eq!(idle + busy, 1);
                    prop_assert_eq!(worker.rest == Rest::Idle, idle == 1);
                }
            }
            for seat in held {
                roster.finish(seat);
            }
            prop_assert_eq!(roster.backlog(), 0);
            if thresh > 1 {
                prop_assert_eq!(roster.busy.len(), 0);
            }
        }
    }
}
