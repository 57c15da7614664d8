//! What a run says of itself: did it end, were its bytes right, does it keep its promises?
//!
//! The report's first line and the exit code of a replay are the same answer, taken here.

use crate::assertion::{AssertionOutcome, Standing, evaluate};
use crate::exit::{ExitCode, Outcome};
use crate::metric::Unit;
use crate::record::{RunRecord, RunStatus, ScheduleRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunVerdict {
    /// The exit code and one sentence.
    pub exit: Outcome,
    /// Every assertion with both sides' numbers.
    pub assertions: Vec<AssertionOutcome>,
    /// Bytes read back and compared.
    pub bytes_verified: u64,
    /// Blocks that differed.
    pub mismatches: u64,
}

impl RunVerdict {
    /// Asks a record.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        let assertions = evaluate(record);
        let (bytes_verified, mismatches) = record.verified();
        let exit = conclude(record, &assertions, mismatches);
        Self {
            exit,
            assertions,
            bytes_verified,
            mismatches,
        }
    }

    /// How many assertions stand so.
    #[must_use]
    pub fn count(&self, standing: Standing) -> usize {
        self.assertions
            .iter()
            .filter(|outcome| outcome.standing == standing)
            .count()
    }

    /// The one line a script looks for.
    #[must_use]
    pub fn last_line(&self) -> String {
        format!(
            "run={} exit={} held={} violated={} unknown={} bytes_verified={} mismatches={} \
             reason={:?}",
            self.exit.code.word(),
            self.exit.code.code(),
            self.count(Standing::Held),
            self.count(Standing::Violated),
            self.count(Standing::Unknown),
            self.bytes_verified,
            self.mismatches,
            self.exit.reason
        )
    }
}

fn conclude(record: &RunRecord, assertions: &[AssertionOutcome], mismatches: u64) -> Outcome {
    let with = |standing| {
        assertions
            .iter()
            .find(move |outcome| outcome.standing == standing)
    };
    if mismatches > 0 {
        let place = record
            .cells
            .iter()
            .map(|cell| cell.verification.first_mismatch.as_str())
            .find(|place| !place.is_empty());
        let place = place.map_or_else(String::new, |place| format!(", the first at {place}"));
        return Outcome::new(
            ExitCode::Failed,
            format!("{mismatches} blocks read back wrong{place}; no timing of this run counts"),
        );
    }
    match &record.status {
        RunStatus::Failed { reason } => {
            return Outcome::new(ExitCode::Failed, format!("stopped by an error: {reason}"));
        }
        RunStatus::Interrupted { reason } => {
            return Outcome::new(ExitCode::Interrupted, format!("stopped early: {reason}"));
        }
        RunStatus::Complete => {}
    }
    if let Some(cell) = record.cells.iter().find(|cell| cell.fault.is_some()) {
        let fault = cell.fault.as_deref().unwrap_or_default();
        return Outcome::new(
            ExitCode::Failed,
            format!(
                "{} round {} did not finish: {fault}",
                cell.target, cell.round
            ),
        );
    }
    if let Some(violated) = with(Standing::Violated) {
        return Outcome::new(
            ExitCode::Regression,
            format!("violated: {} ({})", violated.text, violated.reason),
        );
    }
    if let Some(unknown) = with(Standing::Unknown) {
        return Outcome::new(
            ExitCode::Inconclusive,
            format!("unknown: {} ({})", unknown.text, unknown.reason),
        );
    }
    if let Some(reason) = restless(record).or_else(|| generator_was_late(record)) {
        return Outcome::new(ExitCode::Inconclusive, reason);
    }
    if record.cells.is_empty() {
        return Outcome::new(ExitCode::Inconclusive, "nothing was measured");
    }
    let held = match assertions.len() {
        0 => "no assertions".to_owned(),
        1 => "the assertion holds".to_owned(),
        count => format!("all {count} assertions hold"),
    };
    Outcome::new(ExitCode::Good, format!("complete; {held}"))
}

/// A phase that had to become steady and did not.
fn restless(record: &RunRecord) -> Option<String> {
    record.cells.iter().find_map(|cell| {
        let phase = cell.phases.iter().find(|phase| {
            let steady = phase.steady.as_ref();
            steady.is_some_and(|steady| steady.required && !steady.attained)
        })?;
        let steady = phase.steady.as_ref()?;
        Some(format!(
            "{} of {} round {} did not become steady: {} was to stay within {}% and moved by {}",
            phase.name,
            cell.target,
            cell.round,
            steady.metric,
            steady.within * 100.0,
            match (steady.deviation, steady.drift) {
                (Some(deviation), Some(drift)) => format!("{:.1}%", deviation.max(drift) * 100.0),
                _ => "more than could be told".to_owned(),
            }
        ))
    })
}

/// A measured phase whose latencies are more the generator's than the target's; the worst of them.
fn generator_was_late(record: &RunRecord) -> Option<String> {
    let unkept = record.cells.iter().flat_map(|cell| {
        let phases = cell.measured();
        phases.filter_map(move |phase| {
            let schedule = phase.schedule.as_ref()?;
            (!schedule.is_kept()).then_some((cell, phase, schedule))
        })
    });
    let share = |schedule: &ScheduleRecord| schedule.late_share();
    let (cell, phase, schedule) = unkept.max_by(|a, b| share(a.2).total_cmp(&share(b.2)))?;
    let time = |ns: u64| Unit::Nanoseconds.format(ns as f64);
    Some(format!(
        "the generator was late, not the target: in {} of {} round {} it began {:.1} % of {} operations more than {} \
         after they were due and the target free (p99 {}, max {}); leave it a processor or ask for a lower rate",
        phase.name,
        cell.target,
        cell.round,
        schedule.late_share() * 100.0,
        schedule.due,
        time(schedule.tolerated_ns),
        time(schedule.late.ns_p99),
        time(schedule.late.ns_max),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::LatencyHist;
    use crate::record::{Cell, PhaseRecord, PhaseRole, SteadyRecord};

    fn record() -> RunRecord {
        let mut record = RunRecord::of_an_engine();
        let mut cell = Cell {
            target: "engine".to_owned(),
            ..Cell::default()
        };
        cell.count("stored_ratio", 2.0);
        record.cells.push(cell);
        record
    }

    fn code(record: &RunRecord) -> ExitCode {
        RunVerdict::of(record).exit.code
    }

    #[test]
    fn each_ending_has_its_code_and_wrong_bytes_come_first() {
        let mut record = record();
        assert_eq!(code(&record), ExitCode::Good);
        record.assertions = vec!["stored_ratio >= 1".to_owned()];
        assert_eq!(code(&record), ExitCode::Good);
        record.assertions.push("no_such >= 1".to_owned());
        assert_eq!(code(&record), ExitCode::Inconclusive);
        record.assertions.push("stored_ratio >= 3".to_owned());
        assert_eq!(code(&record), ExitCode::Regression);
        assert!(RunVerdict::of(&record).last_line().starts_with(
            "run=regression exit=1 held=1 violated=1 unknown=1 bytes_verified=0 mismatches=0"
        ));
        record.status = RunStatus::Interrupted {
            reason: "signal".to_owned(),
        };
        assert_eq!(code(&record), ExitCode::Interrupted);
        record.status = RunStatus::Failed {
            reason: "no space".to_owned(),
        };
        assert_eq!(code(&record), ExitCode::Failed);
        record.status = RunStatus::Complete;
        record.cells[0].verification.mismatches = 2;
        record.cells[0].verification.first_mismatch = "table page 7".to_owned();
        let verdict = RunVerdict::of(&record);
        assert_eq!(verdict.exit.code, ExitCode::Failed);
        assert!(verdict.exit.reason.contains("table page 7"));
    }

    #[test]
    fn a_phase_that_had_to_be_steady_and_was_not_leaves_the_run_open() {
        let mut record = record();
        let steady = SteadyRecord {
            metric: "iops".to_owned(),
            within: 0.05,
            deviation: Some(0.2),
            drift: Some(0.1),
            ..SteadyRecord::default()
        };
        record.cells[0].phases.push(PhaseRecord {
            name: "serve".to_owned(),
            steady: Some(steady),
            ..PhaseRecord::default()
        });
        assert_eq!(code(&record), ExitCode::Good, "it was not asked for");
        record.cells[0].phases[0].steady.as_mut().unwrap().required = true;
        let verdict = RunVerdict::of(&record);
        assert_eq!(verdict.exit.code, ExitCode::Inconclusive);
        assert!(
            verdict.exit.reason.contains("serve of engine"),
            "{verdict:?}"
        );
        record.cells[0].phases[0].steady.as_mut().unwrap().attained = true;
        assert_eq!(code(&record), ExitCode::Good);
    }

    #[test]
    fn a_late_generator_leaves_the_run_open_with_its_number() {
        let mut record = record();
        let mut late = LatencyHist::new();
        late.record_n(20_000, 870);
        late.record_n(5_000_000, 130);
        record.cells[0].phases.push(PhaseRecord {
            name: "serve".to_owned(),
            schedule: Some(ScheduleRecord::new(0, &late, 5_100_000)),
            ..PhaseRecord::default()
        });
        let exit = RunVerdict::of(&record).exit;
        assert_eq!(exit.code, ExitCode::Inconclusive);
        let said = "in serve of engine round 0 it began 13.0 % of 1000 operations more than 1 ms";
        assert!(exit.reason.contains(said), "{}", exit.reason);
        record.cells[0].phases[0].role = PhaseRole::WarmUp;
        assert_eq!(code(&record), ExitCode::Good, "a warm-up counts nowhere");
        record.cells[0].phases[0].role = PhaseRole::Steady;
        record.assertions = vec!["stored_ratio >= 3".to_owned()];
        assert_eq!(code(&record), ExitCode::Regression, "it comes first");
    }

    #[test]
    fn a_run_without_cells_is_not_good() {
        let mut record = record();
        record.cells.clear();
        assert_eq!(code(&record), ExitCode::Inconclusive);
    }
}
