//! Is this run worse than the committed baseline? For numbers that do not depend on the clock.
//!
//! Two sorts of number are judged: *counted* ones (bytes, extents, device writes, stored ratio),
//! which follow from workload and code and hold on any machine, and *ratios within one run*, where
//! a slow machine slows both sides; on another sort of machine those abstain. A stored wall-clock number is never compared: on a shared
//! machine such a gate fires on identical code more often than not.
//!
//! ```text
//!   every round beyond the tolerance, the same way   regressed or improved
//!   the median within it                             pass
//!   else                                             unstable: rounds disagree
//!   cannot be computed                               abstained, with the reason
//! ```
//!
//! Green means that something was compared: no row, an unknown metric, a cell with a fault or a run
//! that did not complete are *inconclusive* (exit 3), never good. Another workload is an error
//! (exit 2), since no number of it means the same. Wrong bytes outrank everything (exit 4).
//!
//! Timing is judged between two builds that run in turns (`ab`), never against a file. Instructions are (`counted`), with the tools
//! that they were counted with.
//!
//! Not here: statistics (`stats`), measuring.

pub mod ab;
mod baseline;
mod counted;
mod findings;
mod level;
mod reason;
mod succession;
mod table;
pub mod trend;

pub use ab::{AbArm, AbClass, AbRow, Unfit};
pub use counted::{COUNTED_FLOOR, Count, Uncounted, gate_counted};
pub use findings::{Finding, Findings, SUMMARY_BYTES_MAX};
pub use level::ANNOTATIONS_MAX;
pub use reason::Reason;

pub use baseline::{
    BASELINE_VERSION, Baseline, Blessing, Demoted, Entry, RatioRule, Rules, Tolerance,
};

use crate::assertion::{parse_sum, ratio_rounds};
use crate::exit::{ExitCode, Outcome};
use crate::metric::{Better, Unit};
use crate::record::{RecordError, RunRecord, RunStatus, Setting};
use crate::stats::median;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a gate says of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the tolerance.
    Pass,
    /// Every round is beyond it on the worse side.
    Regressed,
    /// Every round is beyond it on the better side; worth blessing.
    Improved,
    /// The rounds disagree.
    Unstable,
    /// Could not be computed.
    Abstained,
}

/// One number judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateRow {
    /// What was asked, in the language of assertions.
    pub expression: String,
    /// At which sweep point.
    pub point: Vec<Setting>,
    /// What the baseline holds.
    pub baseline: f64,
    /// What this run measured, round by round; empty when it abstained.
    pub rounds: Vec<f64>,
    /// Their median.
    pub measured: Option<f64>,
    /// measured / baseline; none when the baseline is 0.
    pub ratio: Option<f64>,
    /// Their unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// How far it may be off.
    pub tolerance: Tolerance,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, as a word for scripts.
    pub code: Reason,
    /// Why, in a few words.
    pub reason: String,
}

/// What a gate says of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// The workload both are of.
    pub workload: String,
    /// Why the baseline was blessed.
    pub baseline_reason: String,
    /// Every number judged, the ones to act on first.
    pub rows: Vec<GateRow>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// The exit code and one sentence.
    pub exit: Outcome,
}

/// Why there is nothing to judge or to bless. All of them are wrong input: exit 2.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The baseline is of another workload.
    #[error(
        "the baseline is of workload {baseline} and the record of {record}; compare the record of \
         the same workload, or bless a new baseline"
    )]
    OtherWorkload {
        /// The baseline's name and hash.
        baseline: String,
        /// The record's name and hash.
        record: String,
    },
    /// The baseline holds virtual times, and the run was timed by the clock.
    #[error(
        "the baseline is of a deterministic run, and this one was timed by the clock; replay with --set deterministic=true"
    )]
    NotDeterministic,
    /// The baseline was written by a later version.
    #[error("baseline_version {found}, this build reads up to {BASELINE_VERSION}")]
    TooNew {
        /// Its version.
        found: u32,
    },
    /// The baseline holds another sort of numbers.
    #[error("the baseline holds {held}; `{command}` judges it")]
    OtherSort {
        /// Which.
        held: &'static str,
        /// What judges those.
        command: &'static str,
    },
    /// A record that must not become a baseline.
    #[error("not blessed: {why}")]
    Unblessed {
        /// Why not.
        why: String,
    },
    /// The file.
    #[error(transparent)]
    File(#[from] RecordError),
}

/// Judges a run by a baseline.
pub fn gate(baseline: &Baseline, record: &RunRecord) -> Result<GateReport, GateError> {
    baseline.readable()?;
    if !baseline.tools.is_empty() {
        return Err(GateError::OtherSort {
            held: "instructions",
            command: "delalloc gate counted WORKLOAD --baseline FILE",
        });
    }
    baseline.is_of(&record.workload.name, &record.workload.hash)?;
    // One workload, two sorts of time: its hash does not tell them apart.
    if !record.deterministic && baseline.entries.iter().any(Entry::is_virtual) {
        return Err(GateError::NotDeterministic);
    }
    let other_machine = other_machine(baseline, record);
    let mut rows: Vec<GateRow> = baseline
        .entries
        .iter()
        .map(|entry| judge(entry, record, other_machine.as_deref()))
        .collect();
    let exit = conclude(&rows, record);
    rows.sort_by_key(|row| match row.code {
        // Also a better one fails.
        Reason::Changed => Verdict::Regressed.urgency(),
        _ => row.verdict.urgency(),
    });
    Ok(GateReport {
        workload: record.workload.name.clone(),
        baseline_reason: baseline.reason.clone(),
        rows,
        notes: notes(baseline, record),
        exit,
    })
}

/// How the machines differ, where both say what they are and do.
fn other_machine(baseline: &Baseline, record: &RunRecord) -> Option<String> {
    let here = baseline::machine_key(&record.machine);
    let known = !here.is_empty() && !baseline.machine.is_empty();
    let held = &baseline.machine;
    (known && here != *held).then(|| format!("measured on another machine: {held}; this is {here}"))
}

fn judge(entry: &Entry, record: &RunRecord, other_machine: Option<&str>) -> GateRow {
    let rounds = parse_sum(&entry.expression)
        .map_err(|fault| fault.to_string())
        .and_then(|expr| ratio_rounds(record, &entry.point, &expr))
        .map(|(rounds, _)| rounds);
    let (rounds, (verdict, code, reason)) = match rounds {
        Err(reason) => (
            Vec::new(),
            (Verdict::Abstained, Reason::NotMeasured, reason),
        ),
        Ok(rounds) => {
            let verdict = match other_machine.filter(|_| entry.is_timed(record)) {
                Some(why) => (Verdict::Abstained, Reason::OtherMachine, why.to_owned()),
                None => verdict(entry, &rounds),
            };
            (rounds, verdict)
        }
    };
    let measured = median(&rounds);
    GateRow {
        expression: entry.expression.clone(),
        point: entry.point.clone(),
        baseline: entry.value,
        ratio: measured
            .filter(|_| entry.value != 0.0)
            .map(|measured| measured / entry.value),
        measured,
        rounds,
        unit: entry.unit,
        better: entry.better,
        tolerance: entry.tolerance,
        verdict,
        code,
        reason,
    }
}

/// The rule of the header, as a pure function of the rounds.
fn verdict(entry: &Entry, rounds: &[f64]) -> (Verdict, Reason, String) {
    if !entry.rounds.is_empty() {
        return by_round(entry, rounds);
    }
    let centre = median(rounds).expect("an expression yields at least one round");
    let beyond = |round: &f64| entry.tolerance.beyond(entry.value, *round);
    let above = rounds.iter().all(|value| beyond(value) > 0);
    let below = rounds.iter().all(|value| beyond(value) < 0);
    let within = match entry.tolerance {
        Tolerance::Exact => rounds.iter().all(|value| *value == entry.value),
        Tolerance::Relative(_) => beyond(&centre) == 0,
    };
    if within {
        return (Verdict::Pass, Reason::Within, String::new());
    }
    if !above && !below {
        let detail = format!("{} rounds disagree", rounds.len());
        return (Verdict::Unstable, Reason::RoundsDisagree, detail);
    }
    moved(entry.better, above)
}

/// Rounds of a deterministic run, each of which has a seed and so a value of its own: any change is one, until it is blessed.
fn by_round(entry: &Entry, rounds: &[f64]) -> (Verdict, Reason, String) {
    if rounds.len() != entry.rounds.len() {
        let detail = format!(
            "{} rounds, the baseline has {}",
            rounds.len(),
            entry.rounds.len()
        );
        return (Verdict::Abstained, Reason::NotMeasured, detail);
    }
    let pairs = || rounds.iter().zip(&entry.rounds);
    if pairs().all(|(measured, held)| measured == held) {
        return (Verdict::Pass, Reason::Within, String::new());
    }
    let above = pairs().all(|(measured, held)| measured >= held);
    let below = pairs().all(|(measured, held)| measured <= held);
    let verdict = match moved(entry.better, above).0 {
        Verdict::Improved if above != below => Verdict::Improved,
        _ => Verdict::Regressed,
    };
    let detail = "another number of a deterministic run; bless it if that was meant".to_owned();
    (verdict, Reason::Changed, detail)
}

fn moved(better: Better, above: bool) -> (Verdict, Reason, String) {
    match (better, above) {
        (Better::Neither, _) => {
            let detail = "changed; bless it if that was meant".to_owned();
            (Verdict::Regressed, Reason::Changed, detail)
        }
        (Better::Higher, true) | (Better::Lower, false) => {
            let detail = "bless it to hold the gain".to_owned();
            (Verdict::Improved, Reason::Better, detail)
        }
        (Better::Higher, false) | (Better::Lower, true) => {
            (Verdict::Regressed, Reason::Worse, "worse".to_owned())
        }
    }
}

/// From the worst down: wrong bytes, a failed run, a regression, a run cut short, doubt.
fn conclude(rows: &[GateRow], record: &RunRecord) -> Outcome {
    let count = |wanted: Verdict| rows.iter().filter(|row| row.verdict == wanted).count();
    let (_, mismatches) = record.verified();
    if mismatches > 0 {
        return Outcome::new(
            ExitCode::Failed,
            format!("{mismatches} blocks read back wrong; no number of this run counts"),
        );
    }
    if let RunStatus::Failed { reason } = &record.status {
        return Outcome::new(ExitCode::Failed, format!("the run failed: {reason}"));
    }
    // An exact number holds a build to itself: also a better one has to be blessed to be held.
    let failing = |row: &&GateRow| row.verdict == Verdict::Regressed || row.code == Reason::Changed;
    let regressed = rows.iter().filter(failing).count();
    if regressed > 0 {
        return Outcome::new(
            ExitCode::Regression,
            format!("{regressed} of {} numbers regressed or changed", rows.len()),
        );
    }
    if let RunStatus::Interrupted { reason } = &record.status {
        return Outcome::new(
            ExitCode::Inconclusive,
            format!("the run was cut short: {reason}"),
        );
    }
    if rows.is_empty() {
        return Outcome::new(
            ExitCode::Inconclusive,
            "the baseline holds no number, so nothing was compared",
        );
    }
    let (unstable, abstained) = (count(Verdict::Unstable), count(Verdict::Abstained));
    if unstable + abstained > 0 {
        return Outcome::new(
            ExitCode::Inconclusive,
            format!(
                "{unstable} unstable and {abstained} abstained of {} numbers",
                rows.len()
            ),
        );
    }
    Outcome::new(
        ExitCode::Good,
        format!("{} numbers within their tolerance or better", rows.len()),
    )
}

fn notes(baseline: &Baseline, record: &RunRecord) -> Vec<String> {
    let mut notes: Vec<String> = baseline
        .demoted
        .iter()
        .map(|demoted| format!("{} is not judged: {}", demoted.expression, demoted.reason))
        .collect();
    for metric in record
        .metrics
        .values()
        .filter(|metric| metric.class.holds_elsewhere())
    {
        let known = |expression: &str| baseline::names_counter(expression, &metric.name);
        let counted = record
            .cells
            .iter()
            .any(|cell| cell.counters.contains_key(&metric.name));
        if counted
            && !baseline
                .entries
                .iter()
                .any(|entry| known(&entry.expression))
            && !baseline
                .demoted
                .iter()
                .any(|demoted| known(&demoted.expression))
        {
            notes.push(format!("{} is new since the baseline", metric.name));
        }
    }
    notes
}

impl Verdict {
    /// The one word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Unstable => "unstable",
            Self::Abstained => "abstained",
        }
    }

    const fn urgency(self) -> u8 {
        match self {
            Self::Regressed => 0,
            Self::Unstable => 1,
            Self::Abstained => 2,
            Self::Improved => 3,
            Self::Pass => 4,
        }
    }
}

#[cfg(test)]
mod tests;
