//! What the machine did beside a measurement, as far as the kernel tells.
//!
//! It stands under the verdicts for whoever wonders about them. Nothing is discarded for it: which effects count is settled
//! before they are measured, and alike for both builds.
//!
//! Everything is read from /proc, of the whole machine, and what cannot be read is absent. The measured builds are in it as well,
//! and three of them on one processor wait for each other.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::host;

/// The kernel's counters at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counters {
    stolen_ticks: Option<u64>,
    context_switches: Option<u64>,
    waited_cpu_us: Option<u64>,
    waited_io_us: Option<u64>,
}

/// What they counted between two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noise {
    /// Beside what.
    pub measured: String,
    /// How long that took.
    pub seconds: f64,
    /// The part of the processors' time that the host gave to others.
    pub stolen: Option<f64>,
    /// Of all threads of the machine.
    pub context_switches_per_second: Option<f64>,
    /// The part of the time in which some thread waited for a processor.
    pub waited_cpu: Option<f64>,
    /// The part of the time in which some thread waited for a device.
    pub waited_io: Option<f64>,
    /// Runnable threads, averaged over the last minute.
    pub load: Option<f64>,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            counters: Counters {
                stolen_ticks: host::stolen_ticks(),
                context_switches: host::context_switches(),
                waited_cpu_us: host::waited_us("cpu"),
                waited_io_us: host::waited_us("io"),
            },
        }
    }

    /// What was counted since, beside `measured`.
    pub fn until_now(self, measured: &str) -> Noise {
        let now = Self::now();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        Noise {
            load: host::load_average(),
            ..self
                .counters
                .until(now.counters, measured, seconds, processors)
        }
    }
}

impl Counters {
    fn until(self, now: Self, measured: &str, seconds: f64, processors: usize) -> Noise {
        let rate = |before: Option<u64>, now: Option<u64>| {
            Some(now?.saturating_sub(before?) as f64 / seconds.max(f64::MIN_POSITIVE))
        };
        Noise {
            measured: measured.to_owned(),
            seconds,
            // Ticks of a hundredth of a second.
            stolen: rate(self.stolen_ticks, now.stolen_ticks)
                .map(|ticks| ticks / 100.0 / processors as f64),
            context_switches_per_second: rate(self.context_switches, now.context_switches),
            waited_cpu: rate(self.waited_cpu_us, now.waited_cpu_us).map(|us| us / 1e6),
            waited_io: rate(self.waited_io_us, now.waited_io_us).map(|us| us / 1e6),
            load: None,
        }
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "beside {} in {:.0} s:", self.measured, self.seconds)?;
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let facts = [
            self.stolen
                .map(|part| format!("{} of the processors stolen", percent(part))),
            self.waited_cpu
                .map(|part| format!("{} with threads waiting for one", percent(part))),
            self.waited_io
                .map(|part| format!("{} for a device", percent(part))),
            self.context_switches_per_second
                .map(|rate| format!("{rate:.0} context switches/s")),
            self.load.map(|load| format!("load {load:.2}")),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if facts.is_empty() {
            return f.write_str(" the kernel tells nothing");
        }
        write!(f, " {}", facts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_parts_and_rates_and_what_is_not_told_is_absent() {
        let before = Counters {
            stolen_ticks: Some(100),
            context_switches: Some(1_000),
            waited_cpu_us: Some(0),
            waited_io_us: None,
        };
        let now = Counters {
            stolen_ticks: Some(140),
            context_switches: Some(21_000),
            waited_cpu_us: Some(1_000_000),
            waited_io_us: Some(5),
        };
        let noise = before.until(now, "rounds", 2.0, 2);
        assert_eq!(
            noise.to_string(),
            "beside rounds in 2 s: 10.0 % of the processors stolen, 50.0 % with threads waiting for one, 10000 context switches/s"
        );
        let silent = Counters::default().until(now, "rounds", 2.0, 2);
        assert_eq!(
            silent.to_string(),
            "beside rounds in 2 s: the kernel tells nothing"
        );
    }

    #[test]
    fn this_machine_switches_between_threads() {
        let before = Moment::now();
        for _ in 0..100 {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        let noise = before.until_now("naps");
        assert!(noise.context_switches_per_second > Some(0.0));
    }
}
