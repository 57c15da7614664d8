//! What a bare name in an assertion asks for, in one cell.
//!
//! ```text
//!   device.write_bytes                      a counter of the whole cell
//!   load.device.write_bytes                 what it grew by in the phase `load`
//!   write.home_ns_p99                       a whole way of writes: mean, p50, p99, max
//!   load.stage.compress.head_wait_ns_p99    single items in a part of a stage of the phase
//! ```
//!
//! A counter of exactly this name wins; else the longest beginning that is the name of a phase which has the rest. Phases of one name are one:
//! counters add, of a percentile the largest counts, which that of all does not exceed. Spaces in the name of a stage are
//! written `_`.

use crate::metric::{Better, Metric, Unit};
use crate::query::not_found;
use crate::record::{Cell, PhaseRecord, PhaseRole, RunRecord, SpanRecord, StageRecord};

/// The number of this name; none where the name means nothing here.
pub(crate) fn number(cell: &Cell, name: &str) -> Option<Result<f64, String>> {
    if let Some(number) = cell.counters.get(name) {
        return Some(Ok(*number));
    }
    let Some((phases, rest)) = phases_of(cell, name) else {
        let time = Time::parse(name)?;
        return Some(time.of(&[(&*cell.stages, &*cell.spans)]));
    };
    if let Some(time) = Time::parse(rest) {
        let parts: Vec<Part<'_>> = phases
            .iter()
            .map(|phase| (&*phase.stages, &*phase.spans))
            .collect();
        return Some(time.of(&parts));
    }
    let grown: Vec<f64> = phases
        .iter()
        .filter_map(|phase| phase.counters.get(rest).copied())
        .collect();
    if !grown.is_empty() {
        return Some(Ok(grown.iter().sum()));
    }
    let known = phases.iter().flat_map(|phase| phase.counters.keys());
    let what = format!("counter of the phase {}", phases[0].name);
    Some(Err(not_found(&what, rest, known.map(String::as_str))))
}

/// Its unit, as far as the record says.
pub(crate) fn unit(record: &RunRecord, name: &str) -> Option<Unit> {
    match metric(record, name) {
        Some(metric) => Some(metric.unit).filter(|unit| *unit != Unit::Plain),
        None => time_of(record, name).map(|_| Unit::Nanoseconds),
    }
}

/// Which way it is better.
pub(crate) fn better(record: &RunRecord, name: &str) -> Better {
    match metric(record, name) {
        Some(metric) => metric.better,
        None => time_of(record, name).map_or(Better::Neither, |_| Better::Lower),
    }
}

/// What the counter means, be it of the cell or of a phase.
fn metric<'a>(record: &'a RunRecord, name: &str) -> Option<&'a Metric> {
    let of_phase = || {
        let rest = record
            .cells
            .iter()
            .find_map(|cell| Some(phases_of(cell, name)?.1))?;
        record.metrics.get(rest)
    };
    record.metrics.get(name).or_else(of_phase)
}

fn time_of<'n>(record: &RunRecord, name: &'n str) -> Option<Time<'n>> {
    let of_phase = record.cells.iter().find_map(|cell| phases_of(cell, name));
    Time::parse(of_phase.map_or(name, |(_, rest)| rest))
}

/// The phases that the name begins with, and the rest of it.
fn phases_of<'c, 'n>(cell: &'c Cell, name: &'n str) -> Option<(Vec<&'c PhaseRecord>, &'n str)> {
    let split = |(at, _): (usize, &str)| {
        let is_it =
            |phase: &&PhaseRecord| phase.name == name[..at] && phase.role != PhaseRole::WarmUp;
        let phases: Vec<&PhaseRecord> = cell.phases.iter().filter(is_it).collect();
        (!phases.is_empty()).then(|| (phases, &name[at + 1..]))
    };
    let mut splits: Vec<(Vec<&PhaseRecord>, &str)> =
        name.rmatch_indices('.').filter_map(split).collect();
    let has = |(phases, rest): &(Vec<&PhaseRecord>, &str)| {
        Time::parse(rest).is_some() || phases.iter().any(|one| one.counters.contains_key(*rest))
    };
    let at = splits.iter().position(has).unwrap_or(0);
    (!splits.is_empty()).then(|| splits.swap_remove(at))
}

type Part<'a> = (&'a [StageRecord], &'a [SpanRecord]);

/// A time that the target took itself.
struct Time<'n> {
    /// None of a whole way.
    stage: Option<&'n str>,
    name: &'n str,
    number: fn(&SpanRecord) -> f64,
}

impl<'n> Time<'n> {
    fn parse(name: &'n str) -> Option<Self> {
        let (time, what) = name.rsplit_once("_ns_")?;
        let number: fn(&SpanRecord) -> f64 = match what {
            "mean" => |span| span.ns_mean,
            "p50" => |span| span.ns_p50 as f64,
            "p99" => |span| span.ns_p99 as f64,
            "max" => |span| span.ns_max as f64,
            _ => return None,
        };
        let (stage, name) = match time.strip_prefix("stage.") {
            Some(part) => part
                .rsplit_once('.')
                .map(|(stage, part)| (Some(stage), part))?,
            None => (None, time.strip_prefix("write.")?),
        };
        Some(Self {
            stage,
            name,
            number,
        })
    }

    fn of(&self, parts: &[Part<'_>]) -> Result<f64, String> {
        let spans: Vec<&SpanRecord> = match self.stage {
            None => parts.iter().flat_map(|(_, spans)| *spans).collect(),
            Some(wanted) => {
                let stages = parts.iter().flat_map(|(stages, _)| *stages);
                let same = stages.filter(|stage| stage.name.replace(' ', "_") == wanted);
                same.flat_map(|stage| &stage.times).collect()
            }
        };
        let same = spans.iter().copied().filter(|span| span.name == self.name);
        match SpanRecord::merged(same) {
            Some(span) => Ok((self.number)(&span)),
            None => {
                let what = match self.stage {
                    Some(stage) => format!("time of the stage {stage}"),
                    None => "way of a write".to_owned(),
                };
                let known = spans.iter().map(|span| span.name.as_str());
                Err(not_found(&what, self.name, known))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Tool, Workload};

    fn phase(name: &str, flushes: f64, ns: u64) -> PhaseRecord {
        PhaseRecord {
            name: name.to_owned(),
            counters: [("device.flushes".to_owned(), flushes)].into(),
            stages: vec![StageRecord {
                name: "read device".to_owned(),
                times: vec![SpanRecord::spread("running", 1, ns)],
                ..StageRecord::default()
            }],
            spans: vec![SpanRecord::spread("home", 1, 10 * ns)],
            ..PhaseRecord::default()
        }
    }

    fn record() -> RunRecord {
        let mut cell = Cell {
            phases: vec![
                phase("load", 3.0, 100),
                phase("load.device", 50.0, 1),
                phase("load", 4.0, 300),
            ],
            spans: vec![SpanRecord::spread("home", 9, 7000)],
            ..Cell::default()
        };
        cell.count("device.flushes", 60.0);
        cell.count("stored_ratio", 2.5);
        let mut record =
            RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        let metric = Metric::counted("device.flushes", Unit::Count, Better::Lower);
        record.metrics.insert(metric.name.clone(), metric);
        record.cells.push(cell);
        record
    }

    #[test]
    fn a_phase_before_the_name_means_that_phase() {
        let mut record = record();
        let of = |record: &RunRecord, name: &str| number(&record.cells[0], name);
        for (name, wanted) in [
            ("device.flushes", 60.0),
            ("load.device.flushes", 7.0),
            ("load.device.device.flushes", 50.0),
            ("write.home_ns_p99", 14_000.0),
            ("load.write.home_ns_mean", 2000.0),
            ("load.write.home_ns_p99", 6000.0),
            ("load.stage.read_device.running_ns_max", 900.0),
        ] {
            assert_eq!(of(&record, name), Some(Ok(wanted)), "{name}");
        }
        for (name, wanted) in [
            ("load.devise.flushes", "did you mean device.flushes?"),
            (
                "load.stored_ratio",
                "no counter of the phase load stored_ratio",
            ),
            ("load.write.hoem_ns_p50", "did you mean home?"),
            (
                "load.stage.compress.running_ns_p50",
                "no time of the stage compress running",
            ),
        ] {
            let said = of(&record, name).expect(name).expect_err(name);
            assert!(said.contains(wanted), "{said}");
        }
        assert_eq!(of(&record, "nothing"), None);
        record.cells[0].phases[2].role = PhaseRole::WarmUp;
        assert_eq!(of(&record, "load.device.flushes"), Some(Ok(3.0)));
    }

    #[test]
    fn unit_and_direction_are_those_of_the_counter_and_of_times() {
        let record = record();
        for name in ["device.flushes", "load.device.flushes"] {
            assert_eq!(unit(&record, name), Some(Unit::Count), "{name}");
            assert_eq!(better(&record, name), Better::Lower, "{name}");
        }
        for name in ["load.write.home_ns_p50", "stage.read_device.running_ns_max"] {
            assert_eq!(unit(&record, name), Some(Unit::Nanoseconds), "{name}");
            assert_eq!(better(&record, name), Better::Lower, "{name}");
        }
        assert_eq!(unit(&record, "stored_ratio"), None);
        assert_eq!(better(&record, "stored_ratio"), Better::Neither);
    }
}
