//! Which part of a phase counts: after its warm-up, once it is steady, until its end.
//!
//! ```text
//!   |-- warm-up --|-- waits for a steady state --|------ counts ------|
//!   0             warm_up_ns        found, or after limit_ns          + what is left of the duration
//! ```
//!
//! An operation counts when it was due, or in a closed loop began, inside. Clients read the two times without a lock; the
//! sampler alone moves them.
//!
//! Not here: the rule (steady), what is done with what does not count (recorder).

use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_results::record::{Sample, SteadyRecord};
use delalloc_workloads::plan::{PhasePlan, SteadyMetric, SteadyPlan};

use super::steady::{Movement, Series};

/// The part of a phase that counts, in nanoseconds of the phase.
#[derive(Debug)]
pub struct Window {
    /// `u64::MAX` while it is not known.
    from_ns: AtomicU64,
    /// `u64::MAX` where there is no end.
    end_ns: AtomicU64,
}

impl Window {
    /// That of a phase which has not begun.
    pub fn of(phase: &PhasePlan) -> Self {
        let from_ns = match phase.steady {
            Some(_) => u64::MAX,
            None => phase.warm_up_ns,
        };
        Self {
            from_ns: AtomicU64::new(from_ns),
            end_ns: AtomicU64::new(phase.duration_ns.unwrap_or(u64::MAX)),
        }
    }

    /// When it begins; `u64::MAX` while nobody knows.
    pub fn from_ns(&self) -> u64 {
        self.from_ns.load(Ordering::Relaxed)
    }

    /// No operation starts at or after this.
    pub fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    fn open(&self, from_ns: u64, end_ns: u64) {
        // The end first: who sees the new beginning must not run to the old end. Both are advice to clients, no more.
        self.end_ns.store(end_ns, Ordering::Relaxed);
        self.from_ns.store(from_ns, Ordering::Relaxed);
    }
}

/// Waits for a steady state.
#[derive(Debug)]
pub struct Waiting {
    plan: SteadyPlan,
    warm_up_ns: u64,
    counted_ns: u64,
    series: Series,
    last: Option<Movement>,
    opened: Option<(u64, bool)>,
}

impl Waiting {
    /// That of a phase; none where it waits for nothing.
    pub fn of(phase: &PhasePlan) -> Option<Self> {
        let plan = phase.steady?;
        let all_ns = phase.duration_ns?;
        Some(Self {
            plan,
            warm_up_ns: phase.warm_up_ns,
            counted_ns: all_ns
                .saturating_sub(phase.warm_up_ns)
                .saturating_sub(plan.limit_ns),
            series: Series::new(plan.window_ns),
            last: None,
            opened: None,
        })
    }

    /// An interval that began at `start_ns` is over. Opens the window when the series is steady, or when the wait is over.
    pub fn saw(&mut self, start_ns: u64, sample: &Sample, window: &Window) {
        if self.opened.is_some() || start_ns < self.warm_up_ns || sample.t_ns <= start_ns {
            return;
        }
        let number = number(self.plan.metric, start_ns, sample);
        self.series.push(start_ns, sample.t_ns, number);
        self.last = self.series.movement().or(self.last);
        let is_steady = self
            .series
            .movement()
            .is_some_and(|movement| movement.is_within(self.plan.within));
        let is_over = sample.t_ns >= self.warm_up_ns.saturating_add(self.plan.limit_ns);
        if is_steady || is_over {
            window.open(sample.t_ns, sample.t_ns.saturating_add(self.counted_ns));
            self.opened = Some((sample.t_ns, is_steady));
        }
    }

    /// What the record says of it; `end_ns` is when the phase was over.
    pub fn record(&self, end_ns: u64) -> SteadyRecord {
        let (opened_ns, attained) = self.opened.unwrap_or((end_ns, false));
        SteadyRecord {
            metric: self.plan.metric.word().to_owned(),
            within: self.plan.within,
            attained,
            required: self.plan.require,
            waited_ns: opened_ns.saturating_sub(self.warm_up_ns),
            deviation: self.last.map(|movement| movement.deviation),
            drift: self.last.map(|movement| movement.drift),
        }
    }
}

fn number(metric: SteadyMetric, start_ns: u64, sample: &Sample) -> f64 {
    let interval_s = (sample.t_ns - start_ns) as f64 / 1e9;
    match metric {
        SteadyMetric::Iops => sample.ops as f64 / interval_s,
        SteadyMetric::Throughput => sample.bytes as f64 / interval_s,
        SteadyMetric::P50 => sample.ns_p50 as f64,
        SteadyMetric::P99 => sample.ns_p99 as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_workloads::{Checks, load_str};

    const MS: u64 = 1_000_000;

    fn phase(extra: &str) -> PhasePlan {
        let text = format!(
            "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ t: {{ size: 1MiB }} }}\nphases: [{{ name: p, duration: 10s, {extra} jobs: [{{ write: t, block: 4KiB }}] }}]\n"
        );
        let plan = load_str(&text, "w.yaml", &[], Checks::none()).unwrap();
        plan.loads[0].phases[0].clone()
    }

    /// Feeds samples of `ops` until the window opens; when, and what is recorded.
    fn run(phase: &PhasePlan, ops: impl Fn(u64) -> u64) -> (u64, u64, SteadyRecord) {
        let window = Window::of(phase);
        let mut waiting = Waiting::of(phase).unwrap();
        for nth in 0..200 {
            let sample = Sample {
                t_ns: (nth + 1) * 200 * MS,
                ops: ops(nth),
                ..Sample::default()
            };
            waiting.saw(nth * 200 * MS, &sample, &window);
        }
        (
            window.from_ns(),
            window.end_ns(),
            waiting.record(40_000 * MS),
        )
    }

    #[test]
    fn a_plain_phase_counts_from_its_start_and_one_with_warm_up_after_it() {
        let window = Window::of(&phase(""));
        assert_eq!((window.from_ns(), window.end_ns()), (0, 10_000 * MS));
        let window = Window::of(&phase("warmup: 3s,"));
        assert_eq!(
            (window.from_ns(), window.end_ns()),
            (3_000 * MS, 13_000 * MS)
        );
        assert!(Waiting::of(&phase("warmup: 3s,")).is_none());
    }

    #[test]
    fn a_steady_phase_counts_from_then_on_for_its_whole_duration() {
        let phase =
            phase("warmup: 1s, steady: { metric: iops, within: 5%, window: 2s, limit: 20s },");
        let window = Window::of(&phase);
        assert_eq!((window.from_ns(), window.end_ns()), (u64::MAX, 31_000 * MS));
        // Falls for 4 s, then is flat.
        let (from_ns, end_ns, record) = run(&phase, |nth| 1000 - 40 * nth.min(20));
        assert!((5_000 * MS..6_500 * MS).contains(&from_ns), "{from_ns}");
        assert_eq!(end_ns, from_ns + 10_000 * MS);
        assert!(record.attained && record.deviation.unwrap() <= 0.05);
        assert_eq!(record.waited_ns, from_ns - 1_000 * MS);
    }

    #[test]
    fn a_phase_that_stays_restless_counts_after_the_limit_and_says_so() {
        let phase =
            phase("steady: { metric: iops, within: 5%, window: 2s, limit: 4s, require: true },");
        let (from_ns, end_ns, record) = run(&phase, |nth| 100 + 300 * (nth / 3 % 2));
        assert_eq!((from_ns, end_ns), (4_000 * MS, 14_000 * MS));
        assert!(!record.attained && record.required);
        assert!(record.deviation.unwrap() > 0.05);
    }
}
