//! Looks at a phase while it runs: what clients finished since the last look, what the target holds now.
//!
//! It is told what time it is and keeps none, so the same looks are taken in real and in virtual time.

use std::sync::Arc;

use delalloc_results::record::{Sample, Stall, SteadyRecord};

use super::client::Shared;
use super::window::{Waiting, Window};
use crate::recorder::{Interval, Mailbox};
use crate::targets::{Counted, Levels};

/// From one look to the next, at first.
const INTERVAL_NS: u64 = 200_000_000;
/// After so many intervals, and after every half as many more, they become twice as long: a week has 13,000.
const INTERVALS_ALIKE: usize = 2048;

/// What there was to see.
pub(super) struct Looked {
    pub(super) series: Vec<Sample>,
    /// When counting began; the end, where it never did.
    pub(super) counted_from_ns: u64,
    pub(super) last_ns: u64,
    pub(super) steady: Option<SteadyRecord>,
    /// What the target counted since then.
    pub(super) counted: Counted,
}

/// The interval series of a phase, while it grows.
pub(super) struct Sampler<'a> {
    shared: &'a Shared<'a>,
    window: &'a Window,
    waiting: Option<Waiting>,
    mailboxes: Vec<Arc<Mailbox>>,
    seen: &'a mut dyn FnMut(&Sample),
    /// Of what counts; times count from where that begins.
    series: Vec<Sample>,
    last_ns: u64,
    /// The look before the last one.
    begun_ns: u64,
    spare: Interval,
    merged: Interval,
    levels: Levels,
    /// Says what the target counted since counting began; none before that.
    count: Option<Box<dyn FnOnce() -> Counted + 'a>>,
}

impl<'a> Sampler<'a> {
    /// Of so many clients; `seen` gets each sample as it is taken.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        window: &'a Window,
        waiting: Option<Waiting>,
        clients: usize,
        seen: &'a mut dyn FnMut(&Sample),
    ) -> Self {
        let target = shared.files.target();
        let counts = window.from_ns() == 0;
        Self {
            shared,
            window,
            waiting,
            mailboxes: (0..clients).map(|_| Arc::default()).collect(),
            seen,
            series: Vec::new(),
            last_ns: 0,
            begun_ns: 0,
            spare: Interval::default(),
            merged: Interval::default(),
            levels: target.levels(),
            count: counts.then(|| target.begin_count()),
        }
    }

    /// What of the phase counts.
    pub(super) fn window(&self) -> &'a Window {
        self.window
    }

    /// Where a client leaves what it finished.
    pub(super) fn mailbox(&self, client: usize) -> Arc<Mailbox> {
        Arc::clone(&self.mailboxes[client])
    }

    /// When the next look is due, in nanoseconds of the phase.
    pub(super) fn next_ns(&self) -> u64 {
        let next_ns = self.last_ns.saturating_add(interval_ns(self.series.len()));
        // An interval ends where counting begins, so that none is half of it.
        let from_ns = self.window.from_ns();
        if self.last_ns < from_ns {
            next_ns.min(from_ns)
        } else {
            next_ns
        }
    }

    /// Looks; it is now `now_ns`.
    pub(super) fn sample(&mut self, now_ns: u64) {
        self.merged.clear();
        for mailbox in &self.mailboxes {
            self.spare.clear();
            mailbox.swap(&mut self.spare);
            self.merged.merge(&self.spare);
        }
        let before = std::mem::replace(&mut self.levels, self.shared.files.target().levels());
        let begun_ns = self.last_ns;
        self.begun_ns = begun_ns;
        self.last_ns = now_ns;
        let response = self.merged.response.hist();
        let mut sample = Sample {
            t_ns: self.last_ns,
            ops: self.merged.ops,
            bytes: self.merged.bytes,
            ns_p50: response.ns_at(0.5),
            ns_p99: response.ns_at(0.99),
            ns_max: response.ns_max(),
            dirty_bytes: self.levels.dirty_bytes,
            spectrum: response.spectrum(),
            queues: self.levels.queues.clone(),
            workers: self.levels.workers.clone(),
            stalls: stalls(&before, &self.levels),
        };
        (self.seen)(&sample);
        if let Some(waiting) = &mut self.waiting {
            waiting.saw(begun_ns, &sample, self.window);
        }
        let from_ns = self.window.from_ns();
        if self.count.is_none() && now_ns >= from_ns {
            self.count = Some(self.shared.files.target().begin_count());
        }
        // The first interval that counts may begin a moment late, never early: what it holds began inside.
        if begun_ns >= from_ns {
            sample.t_ns -= from_ns;
            self.series.push(sample);
        }
    }

    /// All was over at `over_ns`: the last look, where it sees more than the one before it. One that was taken after the end, by
    /// a sampler that was woken late, was taken at the end: nothing happened between.
    pub(super) fn look_last(&mut self, over_ns: u64) {
        if over_ns > self.last_ns || self.series.is_empty() {
            // Who was through before anything counted ends where that is found out.
            self.sample(over_ns.max(self.last_ns));
            return;
        }
        self.last_ns = over_ns.max(self.begun_ns);
        let from_ns = self.window.from_ns();
        if let Some(sample) = self.series.last_mut().filter(|_| self.begun_ns >= from_ns) {
            sample.t_ns = self.last_ns - from_ns;
        }
    }

    /// What there was to see.
    pub(super) fn finish(self) -> Looked {
        Looked {
            counted_from_ns: self.window.from_ns().min(self.last_ns),
            last_ns: self.last_ns,
            steady: self.waiting.map(|waiting| waiting.record(self.last_ns)),
            counted: self.count.map(|count| count()).unwrap_or_default(),
            series: self.series,
        }
    }
}

/// How long the interval after so many is.
fn interval_ns(taken: usize) -> u64 {
    let doublings = taken.saturating_sub(INTERVALS_ALIKE / 2) / (INTERVALS_ALIKE / 2);
    INTERVAL_NS.saturating_mul(1 << doublings.min(32))
}

fn stalls(before: &Levels, now: &Levels) -> Vec<Stall> {
    let grown = |(cause, total_ns): (&String, &u64)| {
        let ns = total_ns.saturating_sub(before.stalled_ns.get(cause).copied().unwrap_or(0));
        (ns > 0).then(|| Stall {
            cause: cause.clone(),
            ns,
        })
    };
    now.stalled_ns.iter().filter_map(grown).collect()
}

#[cfg(test)]
mod tests {
    use delalloc_workloads::{Checks, load_str};

    use super::*;
    use crate::replay::client::on_null::OnNull;

    /// Looks at these times at a phase that was over at `over_ns`: when each interval ended, and the phase.
    fn looked(looks_ns: &[u64], over_ns: u64) -> (Vec<u64>, u64) {
        let text = "version: 1\ntargets: { n: null }\nfiles: { t: { size: 1MiB } }\nphases: [{ name: p, jobs: [{ write: t, block: 4KiB }] }]\n";
        let plan = load_str(text, "w", &[], Checks::none()).unwrap();
        let load = &plan.loads[0];
        let on_null = OnNull::of(load);
        let shared = on_null.shared();
        let (window, mut seen) = (Window::of(&load.phases[0]), |_: &_| {});
        let mut sampler = Sampler::new(&shared, &window, None, 1, &mut seen);
        for now_ns in looks_ns {
            sampler.sample(*now_ns);
        }
        sampler.look_last(over_ns);
        let looked = sampler.finish();
        let ends = looked.series.iter().map(|sample| sample.t_ns);
        (ends.collect(), looked.last_ns)
    }

    #[test]
    fn a_phase_ends_when_its_last_client_does_and_not_when_the_sampler_wakes() {
        assert_eq!(looked(&[200], 250), (vec![200, 250], 250));
        assert_eq!(looked(&[200, 410], 395), (vec![200, 395], 395));
        assert_eq!(looked(&[200, 410], 410), (vec![200, 410], 410));
        // Later than a whole interval: no interval ends before it begins.
        assert_eq!(looked(&[200, 410, 620], 395), (vec![200, 410, 410], 410));
    }

    #[test]
    fn a_week_has_few_intervals_and_a_minute_fine_ones() {
        assert_eq!(interval_ns(300), INTERVAL_NS);
        assert_eq!(interval_ns(INTERVALS_ALIKE - 1), INTERVAL_NS);
        assert_eq!(interval_ns(INTERVALS_ALIKE), 2 * INTERVAL_NS);
        let (mut now_ns, mut taken) = (0, 0);
        while now_ns < 7 * 24 * 3_600_000_000_000 {
            now_ns += interval_ns(taken);
            taken += 1;
        }
        assert!((12_000..13_000).contains(&taken), "{taken}");
    }
}
