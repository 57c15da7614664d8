//! One number out of one cell: a quantile, a rate, a counter.
//!
//! Assertions, gates and the report all ask here, so that "p99 of serve.read" is one thing. What a
//! path names is said in `path`; several phases of one name count as one (counts and times add,
//! histograms merge). Rates and `wall` are over the time of the phase, also where a job is asked for,
//! so that the rates of jobs add up. Warm-up phases never count, and neither does a cell with a fault.

use crate::bare_name;
use crate::hist::LatencyHist;
use crate::metric::Unit;
use crate::path::Named;
use crate::record::{Cell, OpRecord, RunRecord, ScheduleRecord};
use crate::stats::sum;
use std::fmt::Write as _;

/// What can be asked about the operations of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    P50,
    P90,
    P99,
    P999,
    Max,
    Mean,
    Throughput,
    Iops,
    Count,
    Errors,
    Wall,
}

impl Quantity {
    pub(crate) const ALL: [Self; 11] = [
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::Mean,
        Self::Throughput,
        Self::Iops,
        Self::Count,
        Self::Errors,
        Self::Wall,
    ];

    /// The name assertions use.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Throughput => "throughput",
            Self::Iops => "iops",
            Self::Count => "count",
            Self::Errors => "errors",
            Self::Wall => "wall",
        }
    }

    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Throughput => Unit::BytesPerSecond,
            Self::Iops => Unit::PerSecond,
            Self::Count | Self::Errors => Unit::Count,
            Self::P50
            | Self::P90
            | Self::P99
            | Self::P999
            | Self::Max
            | Self::Mean
            | Self::Wall => Unit::Nanoseconds,
        }
    }

    /// This quantity of one cell, in its unit (times in ns).
    pub(crate) fn of(self, cell: &Cell, path: &str) -> Result<f64, String> {
        let selection = Selection::of(cell, path)?;
        match self {
            Self::Throughput => selection.rate(|op| op.bytes),
            Self::Iops => selection.rate(|op| op.count),
            Self::Count => Ok(selection.sum(|op| op.count) as f64),
            Self::Errors => Ok(selection.sum(|op| op.errors) as f64),
            Self::Wall => Ok(selection.wall_ns as f64),
            Self::P50 => selection.latency(|op| op.response.ns_p50 as f64, |h| h.ns_at(0.5) as f64),
            Self::P90 => selection.latency(|op| op.response.ns_p90 as f64, |h| h.ns_at(0.9) as f64),
            Self::P99 => {
                selection.latency(|op| op.response.ns_p99 as f64, |h| h.ns_at(0.99) as f64)
            }
            Self::P999 => {
                selection.latency(|op| op.response.ns_p999 as f64, |h| h.ns_at(0.999) as f64)
            }
            Self::Max => selection.latency(|op| op.response.ns_max as f64, |h| h.ns_max() as f64),
            Self::Mean => selection.latency(|op| op.response.ns_mean, LatencyHist::ns_mean),
        }
    }

    /// Why a latency that a cell tells may be better than it was: more of the path's phase, or of its job, was due and never issued,
    /// when time was up, than this quantity can do without. What is missing would have waited longest.
    pub(crate) fn unissued(self, cell: &Cell, path: &str) -> Option<String> {
        let share_max = match self {
            Self::P50 => 0.5,
            Self::P90 => 0.1,
            Self::P99 | Self::Mean => 0.01,
            Self::P999 | Self::Max => 0.001,
            _ => return None,
        };
        let named = Named::of(cell, path).ok()?;
        named.schedules().find_map(|(whose, wall_ns, schedule)| {
            let share = schedule.unissued_share(wall_ns);
            (share > share_max).then(|| {
                format!(
                    "what was due in the last {} of {whose} was never issued, so its {} is not known",
                    Unit::Nanoseconds.format(schedule.backlog_ns as f64),
                    self.word()
                )
            })
        })
    }

    /// Why a latency that a cell tells may be worse than the target was: the generator began late.
    pub(crate) fn generators(self, cell: &Cell, path: &str) -> Option<String> {
        let is_targets = match self {
            Self::P50 | Self::P90 | Self::Mean => ScheduleRecord::is_kept,
            Self::P99 | Self::P999 | Self::Max => ScheduleRecord::is_true_to_p99,
            _ => return None,
        };
        let named = Named::of(cell, path).ok()?;
        named.schedules().find_map(|(whose, _, schedule)| {
            (!is_targets(schedule)).then(|| {
                format!(
                    "the generator was late in {whose} (p99 {}), so its {} is not the target's",
                    Unit::Nanoseconds.format(schedule.late.ns_p99 as f64),
                    self.word()
                )
            })
        })
    }
}

/// What a bare name asks for in one cell: a counter, of a phase where that stands before it, or a time of the target's own.
pub(crate) fn counter(record: &RunRecord, cell: &Cell, name: &str) -> Result<f64, String> {
    whole(cell)?;
    bare_name::number(cell, name).unwrap_or_else(|| {
        Err(missing(
            "counter",
            name,
            cell.counters.keys().map(String::as_str),
            record,
        ))
    })
}

/// The unit of a counter; none when the record does not say.
pub(crate) fn counter_unit(record: &RunRecord, name: &str) -> Option<Unit> {
    bare_name::unit(record, name)
}

/// The operations a path names in one cell.
struct Selection<'a> {
    path: &'a str,
    ops: Vec<&'a OpRecord>,
    wall_ns: u64,
}

impl<'a> Selection<'a> {
    fn of(cell: &'a Cell, path: &'a str) -> Result<Self, String> {
        whole(cell)?;
        let named = Named::of(cell, path)?;
        Ok(Self {
            path,
            ops: named.ops()?,
            wall_ns: sum(named.phases.iter().map(|phase| phase.wall_ns)),
        })
    }

    fn sum(&self, amount: impl Fn(&OpRecord) -> u64) -> u64 {
        sum(self.ops.iter().map(|op| amount(op)))
    }

    fn rate(&self, amount: impl Fn(&OpRecord) -> u64) -> Result<f64, String> {
        if self.ops.is_empty() {
            return Err(format!(
                "{} has no operations, so it has no rate",
                self.path
            ));
        }
        if self.wall_ns == 0 {
            return Err(format!("{} took no time, so it has no rate", self.path));
        }
        Ok(self.sum(amount) as f64 / (self.wall_ns as f64 / 1e9))
    }

    /// The stored number where one row answers, the merged histogram where several do.
    fn latency(
        &self,
        stored: impl Fn(&OpRecord) -> f64,
        merged: impl Fn(&LatencyHist) -> f64,
    ) -> Result<f64, String> {
        if self.ops.iter().all(|op| op.response.count == 0) {
            return Err(format!(
                "{} has no operations, so it has no latency",
                self.path
            ));
        }
        if let [op] = self.ops.as_slice() {
            return Ok(stored(op));
        }
        let mut all = LatencyHist::new();
        for op in &self.ops {
            all.merge(&op.response.hist().map_err(|error| error.to_string())?);
        }
        Ok(merged(&all))
    }
}

fn whole(cell: &Cell) -> Result<(), String> {
    match &cell.fault {
        Some(fault) => Err(format!("{} round {}: {fault}", cell.target, cell.round)),
        None => Ok(()),
    }
}

fn missing<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    record: &RunRecord,
) -> String {
    let mut message = not_found(what, name, known);
    if let Some(metric) = record.metrics.get(name) {
        let _ = write!(
            message,
            "; it is known ({}) but this target does not count it",
            metric.unit
        );
    }
    message
}

/// `no phase laod; did you mean load?`, or the list of what there is.
pub(crate) fn not_found<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("no {what} {name}; did you mean {near}?");
    }
    if known.is_empty() {
        return format!("no {what} {name}, and no other either");
    }
    const SHOWN_MAX: usize = 12;
    let shown = known
        .iter()
        .take(SHOWN_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = if known.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("no {what} {name}; there is {shown}{more}")
}

/// The known name within a third of the letters, if any.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance > 0 && *distance <= candidate.chars().count().max(3) / 3
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two names, a swap of neighbours counting as one (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (previous[j] + usize::from(a != b))
                .min(previous[j + 1] + 1)
                .min(current[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PhaseRecord, PhaseRole};

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("laod", ["load", "serve"].into_iter()), Some("load"));
        assert_eq!(
            nearest("throuhgput", ["throughput"].into_iter()),
            Some("throughput")
        );
        assert_eq!(nearest("zebra", ["load", "serve"].into_iter()), None);
    }

    #[test]
    fn a_phase_without_operations_took_its_time_and_has_no_rate() {
        let drain = PhaseRecord {
            name: "drain".to_owned(),
            wall_ns: 7,
            ..PhaseRecord::default()
        };
        let cell = Cell {
            phases: vec![drain],
            ..Cell::default()
        };
        assert_eq!(Quantity::Wall.of(&cell, "drain"), Ok(7.0));
        assert_eq!(Quantity::Count.of(&cell, "drain"), Ok(0.0));
        for quantity in [Quantity::Iops, Quantity::Throughput, Quantity::P99] {
            let why = quantity.of(&cell, "drain").expect_err("nothing ran");
            assert!(why.contains("no operations"), "{why}");
        }
        assert!(Quantity::Wall.of(&cell, "drain.write").is_err());
    }

    #[test]
    fn several_phases_of_one_name_count_as_one() {
        let mut fast = LatencyHist::new();
        fast.record_n(1000, 99);
        let mut slow = LatencyHist::new();
        slow.record_n(1_000_000, 1);
        let phase = |hist: &LatencyHist| PhaseRecord {
            name: "load".to_owned(),
            wall_ns: 500_000_000,
            ops: vec![OpRecord::new("write", 4096 * hist.count(), 0, hist, hist)],
            ..PhaseRecord::default()
        };
        let mut cell = Cell {
            phases: vec![phase(&fast), phase(&slow)],
            ..Cell::default()
        };
        assert_eq!(Quantity::Iops.of(&cell, "load.write"), Ok(100.0));
        assert_eq!(Quantity::Throughput.of(&cell, "load"), Ok(409_600.0));
        assert_eq!(Quantity::P50.of(&cell, "load.write"), Ok(1000.0));
        assert!(Quantity::Max.of(&cell, "load.write").expect("merged") >= 1_000_000.0);
        assert!(
            Quantity::P50
                .of(&cell, "laod.write")
                .expect_err("typo")
                .contains("mean load")
        );

        assert_eq!(Quantity::Count.of(&cell, "load.write"), Ok(100.0));
        cell.phases[1].role = PhaseRole::WarmUp;
        assert_eq!(Quantity::Iops.of(&cell, "load.write"), Ok(198.0));
        cell.fault = Some("killed".to_owned());
        assert!(Quantity::Iops.of(&cell, "load.write").is_err());
    }
}
