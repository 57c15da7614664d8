//! Which crashes of a recorded run are worth trying, as a pure function of its log.
//!
//! What a flush or a forced write has covered is the same in every crash after it, so the moments that
//! differ most lie at both sides of each such completion: just before it everything of its epoch is
//! loose, just after it nothing of that is. Those are all tried, with the moments a caller marks (the
//! return of a sync, say) and one random moment of each epoch.
//!
//! At each moment every subset of the loose requests is tried where they are few. Where they are many:
//! none, all, each one missing, each one alone, and some at random. One request that was needed and
//! not waited for, or one that must not have been there yet, is caught by the middle two. Each subset is
//! tried whole and, where a survivor is long enough to tear, torn at 512 bytes and at 4096.
//!
//! Not here: what a plan does to the bytes (image).

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::image::{CrashPlan, Survivors, Tear};
use super::log::{Fate, Log, Logged};
use crate::Durability;

/// A choice of crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Every subset of so many loose requests, or fewer, is tried: 2 to the power of it.
    pub subsets_of_max: usize,
    /// Random subsets where there are more.
    pub random_subsets: usize,
    /// A seeded choice of so many plans at each moment; `None` is all of them.
    pub plans_max: Option<usize>,
    /// Of everything random here.
    pub seed: u64,
}

impl Sweep {
    /// Every plan.
    pub fn whole(seed: u64) -> Self {
        Self {
            subsets_of_max: 5,
            random_subsets: 4,
            plans_max: None,
            seed,
        }
    }

    /// At most `plans_max` plans at each moment.
    pub fn share(plans_max: usize, seed: u64) -> Self {
        Self {
            plans_max: Some(plans_max),
            ..Self::whole(seed)
        }
    }

    /// The moments: both sides of every completed flush and forced write, `marks`, a random moment in
    /// each epoch, and the end of the log. In rising order, each once.
    pub fn moments(&self, log: &Log, marks: &[u64]) -> Vec<u64> {
        let mut generator = self.generator(0);
        let mut moments: Vec<u64> = marks.to_vec();
        for entry in log.entries() {
            if let (true, Some(outcome)) = (ends_an_epoch(&entry.what), entry.outcome) {
                moments.extend([outcome.at - 1, outcome.at]);
            }
        }
        let mut begin = 0;
        for epoch in 0..log.epochs() {
            let end = log.end_of_epoch(epoch);
            moments.push(begin + below(&mut generator, end - begin + 1));
            begin = end;
        }
        moments.push(log.events());
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// The plans of a crash after the first `at` events.
    ///
    /// # Panics
    /// Past the end of the log.
    pub fn plans(&self, log: &Log, at: u64) -> Vec<CrashPlan> {
        let fates = log.fates(at);
        let loose: Vec<usize> = (0..fates.len())
            .filter(|&index| fates[index] == Fate::Loose)
            .collect();
        let mut generator = self.generator(at);
        let mut plans = Vec::new();
        for chosen in self.subsets(&loose, &mut generator) {
            let lengths = chosen.iter().map(|&index| written_bytes(log, index));
            let longest_bytes = lengths.max().unwrap_or(0);
            let tears = [512, 4096]
                .into_iter()
                .filter(|&bytes| longest_bytes > bytes as usize)
                .map(|bytes| Tear::Pieces {
                    bytes,
                    seed: generator.next_u64(),
                });
            for tear in std::iter::once(Tear::Whole).chain(tears) {
                plans.push(CrashPlan {
                    at,
                    survivors: Survivors::Chosen(chosen.clone()),
                    tear,
                });
            }
        }
        match self.plans_max {
            Some(plans_max) => choose(plans, plans_max, &mut generator),
            None => plans,
        }
    }

    fn subsets(&self, loose: &[usize], generator: &mut Xoshiro256PlusPlus) -> Vec<Vec<usize>> {
        if loose.len() <= self.subsets_of_max {
            return (0..1_u64 << loose.len())
                .map(|bits| those(loose, |nth| bits >> nth & 1 == 1))
                .collect();
        }
        let mut subsets = vec![Vec::new(), loose.to_vec()];
        for one in 0..loose.len() {
            subsets.push(those(loose, |nth| nth != one));
            subsets.push(vec![loose[one]]);
        }
        for _ in 0..self.random_subsets {
            subsets.push(those(loose, |_| generator.next_u64() >> 63 == 1));
        }
        subsets
    }

    fn generator(&self, at: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.seed ^ at.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

fn ends_an_epoch(what: &Logged) -> bool {
    match what {
        Logged::Flush => true,
        Logged::Write { durability, .. } => *durability == Durability::Fua,
        Logged::Discard { .. } => false,
    }
}

fn written_bytes(log: &Log, index: usize) -> usize {
    match &log.entries()[index].what {
        Logged::Write { bytes, .. } => bytes.len(),
        Logged::Flush | Logged::Discard { .. } => 0,
    }
}

fn those(loose: &[usize], mut keep: impl FnMut(usize) -> bool) -> Vec<usize> {
    let kept = loose.iter().enumerate().filter(|(nth, _)| keep(*nth));
    kept.map(|(_, &index)| index).collect()
}

/// So many of `plans`, in their order.
fn choose(
    mut plans: Vec<CrashPlan>,
    plans_max: usize,
    generator: &mut Xoshiro256PlusPlus,
) -> Vec<CrashPlan> {
    while plans.len() > plans_max {
        let gone = below(generator, plans.len() as u64);
        plans.remove(usize::try_from(gone).expect("an index"));
    }
    plans
}

fn below(generator: &mut Xoshiro256PlusPlus, end: u64) -> u64 {
    generator.next_u64() % end
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;

    /// Writes of these lengths, completed at once, and a flush where there is `None`.
    fn log_of(requests: &[Option<usize>]) -> Log {
        let mut log = Log::default();
        for (nth, bytes) in requests.iter().enumerate() {
            let what = match bytes {
                Some(bytes) => Logged::Write {
                    offset: nth as u64 * 8192,
                    bytes: Arc::from(vec![1; *bytes]),
                    durability: Durability::Cached,
                },
                None => Logged::Flush,
            };
            let entry = log.submitted(what);
            log.completed(entry, true);
        }
        log
    }

    fn chosen(plans: &[CrashPlan]) -> BTreeSet<Vec<usize>> {
        let set = |plan: &CrashPlan| match &plan.survivors {
            Survivors::Chosen(chosen) => chosen.clone(),
            other => panic!("{other:?}"),
        };
        plans.iter().map(set).collect()
    }

    #[test]
    fn few_loose_writes_survive_in_every_combination() {
        let log = log_of(&[Some(8192), None, Some(512), Some(512), Some(512)]);
        let plans = Sweep::whole(1).plans(&log, log.events());
        // Three writes of one piece: eight subsets, none of which can tear.
        assert_eq!((plans.len(), chosen(&plans).len()), (8, 8));
        let before_the_flush = Sweep::whole(1).plans(&log, log.end_of_epoch(0));
        // One write of two blocks: absent; or whole, or torn at either size.
        assert_eq!(before_the_flush.len(), 1 + 3);
    }

    #[test]
    fn of_many_each_is_once_missing_and_once_alone() {
        let log = log_of(&[Some(4096); 9]);
        let plans = Sweep::whole(1).plans(&log, log.events());
        let chosen = chosen(&plans);
        assert!(chosen.contains(&Vec::new()) && chosen.contains(&(0..9).collect::<Vec<_>>()));
        for one in 0..9 {
            assert!(chosen.contains(&vec![one]));
            assert!(chosen.contains(&(0..9).filter(|&other| other != one).collect::<Vec<_>>()));
        }
        let torn = plans.iter().filter(|plan| plan.tear != Tear::Whole).count();
        assert_eq!(torn, chosen.len() - 1, "at 512, but for the empty one");
    }

    #[test]
    fn both_sides_of_each_flush_are_moments_and_so_is_what_is_marked() {
        let log = log_of(&[Some(512), None, Some(512), None, Some(512)]);
        let moments = Sweep::whole(1).moments(&log, &[5]);
        assert!(moments.is_sorted_by(|left, right| left < right));
        for at in [3, 4, 7, 8, 5, log.events()] {
            assert!(moments.contains(&at), "{at} is not among {moments:?}");
        }
    }

    #[test]
    fn a_share_is_a_part_of_the_whole_and_follows_its_seed() {
        let log = log_of(&[Some(8192); 4]);
        let whole = Sweep::whole(7).plans(&log, log.events());
        let share = Sweep::share(5, 7).plans(&log, log.events());
        assert_eq!(share, Sweep::share(5, 7).plans(&log, log.events()));
        assert_eq!(share.len(), 5);
        assert!(share.iter().all(|plan| whole.contains(plan)));
        assert_ne!(share, Sweep::share(5, 8).plans(&log, log.events()));
    }
}
