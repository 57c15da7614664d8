//! How many workers of one shared queue may run at once.
//!
//! With a threshold, the count follows the backlog: one more above it, one less below half of it, looked
//! at as items start. Pure; which worker runs is a matter of who wakes first (shared.rs).

/// The count of workers that may run.
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
