//! Who gets the next item, and when another worker is worth having.
//!
//! Two policies, both pure: `Roster` for a queue per worker, `Active` for one shared queue.
//!
//! "Idle" in the roster does not mean idle: a worker is idle while its backlog is short, and may be
//! hard at work. All items go to the first idle worker until it turns busy: one warm thread serves a
//! trickle, and a burst opens one more per `grow_at` items. When all are busy, each gets `batch` items
//! in turn.
//!
//! ```text
//!            backlog reaches grow_at
//!   idle  ------------------------------>  busy      (to the tail of the busy line)
//!         <------------------------------            (to the head of the idle line)
//!            backlog falls below idle_below
//! ```
//!
//! Invariants
//!   * A pick raises the backlog of one worker by one, a finish lowers it by one: with nothing queued
//!     and nothing running all backlogs are 0.
//!   * Each worker is in exactly one of the two lines.
//!   * A worker is counted in the pick that opens it, before its thread exists, so pickers side by side
//!     cannot open more than `threads_max`.
//!
//! Not here: threads, queues and sleep (seed.rs, shared.rs, threads.rs).

use std::collections::VecDeque;

/// A worker, counted from 0 in the order they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seat(pub(super) usize);

/// The thresholds of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) threads_max: usize,
    pub(super) grow_at: usize,
    pub(super) batch: usize,
    pub(super) idle_below: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Idle,
    Busy,
    /// Its thread could not be started.
    Gone,
}

#[derive(Debug)]
struct Worker {
    backlog: usize,
    /// Items it got in its turns as a busy one.
    turns: usize,
    rest: Rest,
}

/// What a pick decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) seat: Seat,
    /// The worker is new: its thread is to be started.
    pub(super) opened: bool,
}

/// The workers of a pool with a queue each.
#[derive(Debug)]
pub(super) struct Roster {
    rules: Rules,
    workers: Vec<Worker>,
    idle: VecDeque<Seat>,
    busy: VecDeque<Seat>,
    may_open: bool,
    turned_idle: u64,
    turned_busy: u64,
}

impl Roster {
    /// With `opened` workers.
    pub(super) fn new(rules: Rules, opened: usize) -> Self {
        assert!(
            (1..=rules.threads_max).contains(&opened),
            "a roster opens between 1 and threads_max workers"
        );
        let mut roster = Self {
            rules,
            workers: Vec::with_capacity(rules.threads_max),
            idle: VecDeque::new(),
            busy: VecDeque::new(),
            may_open: true,
            turned_idle: 0,
            turned_busy: 0,
        };
        for _ in 0..opened {
            roster.open();
        }
        roster
    }

    /// The worker that gets the next item; its backlog is raised.
    pub(super) fn pick(&mut self) -> Pick {
        let (seat, opened) = if let Some(&seat) = self.idle.front() {
            (seat, false)
        } else if self.may_open && self.workers.len() < self.rules.threads_max {
            (self.open(), true)
        } else {
            (self.next_busy(), false)
        };
        let worker = &mut self.workers[seat.0];
        worker.backlog += 1;
        if worker.rest == Rest::Idle && worker.backlog >= self.rules.grow_at {
            worker.rest = Rest::Busy;
            self.turned_busy += 1;
            self.idle.retain(|&other| other != seat);
            self.busy.push_back(seat);
        }
        Pick { seat, opened }
    }

    /// An item of `seat` is through.
    pub(super) fn finish(&mut self, seat: Seat) {
        let worker = &mut self.workers[seat.0];
        assert!(
            worker.backlog > 0,
            "a worker finishes only what it was given"
        );
        worker.backlog -= 1;
        if worker.rest == Rest::Busy && worker.backlog < self.rules.idle_below {
            worker.rest = Rest::Idle;
            self.turned_idle += 1;
            self.busy.retain(|&other| other != seat);
            self.idle.push_front(seat);
        }
    }

    /// The thread of `seat` could not be started: it gets no more items, and no others are opened. Its
    /// items are to be picked for again.
    pub(super) fn withdraw(&mut self, seat: Seat) {
        let worker = &mut self.workers[seat.0];
        worker.backlog = 0;
        worker.rest = Rest::Gone;
        self.may_open = false;
        self.idle.retain(|&other| other != seat);
        self.busy.retain(|&other| other != seat);
        assert!(
            !(self.idle.is_empty() && self.busy.is_empty()),
            "a pool keeps the worker it started with"
        );
    }

    /// Workers opened and not withdrawn.
    pub(super) fn workers_now(&self) -> usize {
        self.idle.len() + self.busy.len()
    }

    /// Items given and not finished.
    pub(super) fn backlog(&self) -> usize {
        self.workers.iter().map(|worker| worker.backlog).sum()
    }

    /// How often a worker turned idle, and busy.
    pub(super) fn turns(&self) -> (u64, u64) {
        (self.turned_idle, self.turned_busy)
    }

    fn open(&mut self) -> Seat {
        let seat = Seat(self.workers.len());
        self.workers.push(Worker {
            backlog: 0,
            turns: 0,
            rest: Rest::Idle,
        });
        self.idle.push_back(seat);
        seat
    }

    /// The first busy worker, which goes to the end of the line after `batch` items.
    fn next_busy(&mut self) -> Seat {
        let seat = *self.busy.front().expect("a worker is idle or busy");
        let worker = &mut self.workers[seat.0];
        worker.turns += 1;
        if worker.turns.is_multiple_of(self.rules.batch) {
            self.busy.rotate_left(1);
        }
        seat
    }
}

/// How many workers of a shared queue may run at once.
#[derive(Debug)]
pub(super) struct Active {
    now: usize,
    limit: usize,
    /// None: `limit` at all times.
    thresh: Option<usize>,
    started: usize,
    turned_idle: u64,
    turned_busy: u64,
}

impl Active {
    /// All of `limit`, always.
    pub(super) fn all(limit: usize) -> Self {
        Self {
            now: limit,
            limit,
            thresh: None,
            started: 0,
            turned_idle: 0,
            turned_busy: 0,
        }
    }

    /// From one up to `limit`, by the backlog against `thresh`.
    pub(super) fn following(limit: usize, thresh: usize) -> Self {
        assert!(
            thresh >= 4,
            "the frequency of changes is a quarter of the threshold"
        );
        Self {
            now: 1,
            thresh: Some(thresh),
            ..Self::all(limit)
        }
    }

    /// An item starts to run and leaves `pending` behind it. The count moves by at most one, and not at
    /// every `thresh / 4`th item.
    pub(super) fn on_start(&mut self, pending: usize) {
        let Some(thresh) = self.thresh else {
            return;
        };
        self.started = (self.started + 1) % (thresh / 4);
        if self.started == 0 {
            return;
        }
        if pending > thresh && self.now < self.limit {
            self.now += 1;
            self.turned_busy += 1;
        } else if pending < thresh / 2 && self.now > 1 {
            self.now -= 1;
            self.turned_idle += 1;
        }
    }

    /// Workers that may run.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// How often the count fell, and rose.
    pub(super) fn turns(&self) -> (u64, u64) {
        (self.turned_idle, self.turned_busy)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_active_count_follows_the_backlog() {
        let mut active = Active::following(4, 32);
        assert_eq!(active.now(), 1);
        for _ in 0..7 {
            active.on_start(33);
        }
        assert_eq!(active.now(), 4, "clamped to the limit");
        active.on_start(0);
        assert_eq!(active.now(), 4, "no change at every eighth item");
        active.on_start(16);
        active.on_start(32);
        assert_eq!(active.now(), 4, "between half and whole nothing changes");
        for _ in 0..5 {
            active.on_start(15);
        }
        assert_eq!(active.now(), 1);
        assert_eq!(active.turns(), (3, 3));
    }

    #[test]
    fn without_a_threshold_all_are_active() {
        let mut active = Active::all(5);
        active.on_start(0);
        assert_eq!(active.now(), 5);
    }
}
